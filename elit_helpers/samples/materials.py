"""The two-dimensional materials the course knows: cell, atoms, and how bright each column is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np

from elit_helpers.core.checks import check_positive

GRAPHENE_BOND_A = 1.42
GRAPHENE_DENSITY = 0.3818  # atoms/Å² of a perfect sheet with a = 2.46 Å


@dataclass(frozen=True)
class Material:
    """A sheet as the microscope sees it from above. Another material is another one of these.

    Parameters
    ----------
    name, about : str
        Short name, and one line for people.
    cell : tuple of two tuples of float
        Lattice vectors in the plane, x and y of each [Å].
    basis : tuple of (str, float, float, float)
        Atoms of the cell: element, two fractional coordinates, height z [Å]. Atoms with equal coordinates
        stand above each other and make one column.
    brightness : mapping of str to float
        Peak of one atom of each element, relative to carbon; what is missing is taken from
        :data:`~elit_helpers.BRIGHTNESS`.
    source : str
        Where the lattice constant comes from.

    Raises
    ------
    ValueError
        If the cell has no area, or an atom is no element with three numbers.
    """

    name: str
    about: str
    cell: tuple[tuple[float, float], tuple[float, float]]
    basis: tuple[tuple[str, float, float, float], ...]
    brightness: Mapping[str, float] = field(default_factory=dict, hash=False)
    source: str = ""

    def __post_init__(self):
        from ase.data import atomic_numbers

        if np.shape(self.cell) != (2, 2) or not abs(np.linalg.det(self.cell)) > 0.1:
            raise ValueError(
                f"`cell` of {self.name} is {self.cell!r}; give two vectors (x, y) in Å that span an area."
            )
        for atom in self.basis:
            if len(atom) != 4 or atom[0] not in atomic_numbers or not np.isfinite(atom[1:]).all():
                raise ValueError(
                    f"`basis` of {self.name} holds {atom!r}; each atom is (element, u, v, z in Å)."
                )
        if not self.basis:
            raise ValueError(f"`basis` of {self.name} is empty; give at least one atom (element, u, v, z).")
        for element, value in self.brightness.items():
            check_positive(f"brightness[{element!r}]", value)

    @property
    def elements(self) -> tuple[str, ...]:
        """Elements in the order of the basis, each once."""
        return tuple(dict.fromkeys(atom[0] for atom in self.basis))

    @property
    def columns(self) -> tuple[tuple[str, float, float, tuple[str, ...]], ...]:
        """Columns seen from above: heaviest element, fractional coordinates, all atoms above each other."""
        from ase.data import atomic_numbers

        stacks: dict[tuple[float, float], list[str]] = {}
        for element, u, v, _ in self.basis:
            stacks.setdefault((round(u % 1, 6), round(v % 1, 6)), []).append(element)
        return tuple(
            (max(stack, key=atomic_numbers.get), u, v, tuple(stack)) for (u, v), stack in stacks.items()
        )

    @property
    def area(self) -> float:
        """Area of the cell [Å²]."""
        return float(abs(np.linalg.det(self.cell)))

    @property
    def density(self) -> float:
        """Columns per Å²."""
        return len(self.columns) / self.area

    @property
    def bond(self) -> float:
        """Shortest distance between two columns, seen from above [Å]."""
        places = np.array([(u, v) for _, u, v, _ in self.columns]) @ np.array(self.cell)
        shifts = np.array([(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1)]) @ np.array(self.cell)
        far = np.linalg.norm(places[:, None, None] + shifts - places[None, :, None], axis=-1)
        return float(far[far > 0.1].min())


def hexagonal(a: float) -> tuple[tuple[float, float], tuple[float, float]]:
    return ((a, 0.0), (a / 2, a * 3**0.5 / 2))


def _dichalcogenide(metal: str, half: float) -> tuple[tuple[str, float, float, float], ...]:
    """2H: the metal in the middle, a chalcogen `half` Å above and below it, in one column."""
    return ((metal, 1 / 3, 1 / 3, 0.0), ("S", 2 / 3, 2 / 3, half), ("S", 2 / 3, 2 / 3, -half))


MATERIALS: Mapping[str, Material] = MappingProxyType({
    m.name: m for m in (
        Material("graphene", "one atom thin carbon", hexagonal(2.46),
                 (("C", 1 / 3, 1 / 3, 0.0), ("C", 2 / 3, 2 / 3, 0.0)), {"C": 1.0},
                 source="graphite, a = 2.461 Å: Baskin & Meyer, Phys. Rev. 100, 544 (1955)"),
        Material("hBN", "hexagonal boron nitride, one layer", hexagonal(2.504),
                 (("B", 1 / 3, 1 / 3, 0.0), ("N", 2 / 3, 2 / 3, 0.0)), {"B": 0.69, "N": 1.37},
                 source="a = 2.504 Å: Paszkowicz et al., Appl. Phys. A 75, 431 (2002)"),
        Material("MoS2", "2H molybdenum disulphide, one layer: S above S", hexagonal(3.160),
                 _dichalcogenide("Mo", 1.56), {"Mo": 24.3, "S": 5.56},
                 source="a = 3.160 Å: Wakabayashi et al., Phys. Rev. B 12, 659 (1975)"),
        Material("WS2", "2H tungsten disulphide, one layer: S above S", hexagonal(3.153),
                 _dichalcogenide("W", 1.57), {"W": 44.4, "S": 5.56},
                 source="a = 3.153 Å: Schutte et al., J. Solid State Chem. 70, 207 (1987)"),
        Material("SrTiO3", "a perovskite along [001]: Sr, Ti with O, and O columns, one cell thick",
                 ((3.905, 0.0), (0.0, 3.905)),
                 (("Sr", 0.0, 0.0, 0.0), ("Ti", 0.5, 0.5, 1.9525), ("O", 0.5, 0.5, 0.0),
                  ("O", 0.5, 0.0, 1.9525), ("O", 0.0, 0.5, 1.9525)),
                 {"Sr": 21.4, "Ti": 9.85, "O": 1.79},
                 source="a = 3.905 Å at room temperature: Schmidbauer et al., Acta Cryst. B 68, 8 (2012)"),
    )
})  # fmt: skip
"""The materials that ship, by name. Brightness: peaks of single atoms in multislice at 60 kV."""
