"""The two-dimensional materials the course knows: cell, atoms, and how bright each column is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType

import numpy as np

from elit_helpers.core.checks import check_positive

# Rounded, as scores and percentages of a bond are given; MATERIALS["graphene"] has 1.4203 and 0.3816.
GRAPHENE_BOND_A = 1.42
GRAPHENE_DENSITY = 0.3818  # atoms/Å²
LONGEST_CC_A = 1.75  # the longest C-C distance that counts as a bond

#: Brightness of one atom's spot relative to carbon, for the Gaussian probe. Si: multislice gives 4.5, real
#: frames 2 to 4; elements from Al on that are not silicon: as computed for 60 kV (see `load_kernel`).
BRIGHTNESS = {
    "H": 0.05, "B": 0.69, "C": 1.0, "N": 1.37, "O": 1.7, "Si": 3.0, "Al": 4.0, "P": 5.0, "S": 5.6, "Ti": 9.9,
    "V": 10.7, "Cr": 11.5, "Fe": 13.1, "Se": 18.7, "Sr": 21.4, "Mo": 24.3, "W": 44.4,
}  # fmt: skip


@dataclass(frozen=True)
class Material:
    """A sheet as the microscope sees it from above. Another material is another one of these.

    Parameters
    ----------
    name, about : str
        Short name, and one line for people.
    cell : tuple of two tuples of float
        Lattice vectors in the plane, x and y of each [Å]. What is said of the lattice is read off this cell,
        so give the smallest one, with equal sides where there are any.
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
        # Lists are fine to write a material down; as tuples of numbers it can be looked up in a cache.
        object.__setattr__(self, "cell", tuple(tuple(map(float, vector)) for vector in self.cell))
        object.__setattr__(
            self, "basis", tuple((e, float(u), float(v), float(z)) for e, u, v, z in self.basis)
        )
        object.__setattr__(self, "brightness", dict(self.brightness))

    # ------------------------------------------------------------------ the lattice
    @cached_property
    def axes(self) -> np.ndarray:
        """Lattice vectors in rows, turned until the first lies along x, (2, 2) [Å]."""
        (ax, ay), (bx, by) = self.cell
        length = np.hypot(ax, ay)
        return _fixed([[length, 0.0], [(ax * bx + ay * by) / length, (ax * by - ay * bx) / length]])

    @cached_property
    def fold(self) -> int:
        """The lattice repeats after a turn of 360°/fold: 6 if the cell is hexagonal, 4 if square, else 2."""
        lengths = np.linalg.norm(self.cell, axis=1)
        cosine = abs(np.dot(*np.array(self.cell))) / lengths.prod()
        if not np.isclose(*lengths, rtol=1e-3):
            return 2
        return 6 if np.isclose(cosine, 0.5, atol=1e-3) else 4 if cosine < 1e-3 else 2

    @property
    def is_hexagonal(self) -> bool:
        """Whether the lattice is hexagonal, whatever stands in its cell."""
        return self.fold == 6

    @property
    def area(self) -> float:
        """Area of the cell [Å²]."""
        return float(abs(np.linalg.det(self.cell)))

    # ------------------------------------------------------------------ atoms
    @property
    def elements(self) -> tuple[str, ...]:
        """Elements in the order of the basis, each once."""
        return tuple(dict.fromkeys(atom[0] for atom in self.basis))

    @cached_property
    def positions(self) -> np.ndarray:
        """Atoms of the basis: x and y as `axes` lie, z over the sheet's middle, (N, 3) [Å]."""
        z = np.array([atom[3] for atom in self.basis])
        return _fixed(
            np.c_[np.array([atom[1:3] for atom in self.basis]) @ self.axes, z - (z.min() + z.max()) / 2]
        )

    @property
    def thickness(self) -> float:
        """From the lowest atom to the highest [Å]."""
        return float(np.ptp([atom[3] for atom in self.basis]))

    @property
    def is_flat(self) -> bool:
        """Whether all atoms lie in one plane."""
        return self.thickness == 0

    @property
    def atom_brightness(self) -> dict[str, float]:
        """Peak of one atom of every element that has one: the material's own, else that of BRIGHTNESS."""
        return BRIGHTNESS | self.brightness

    # ------------------------------------------------------------------ columns, as seen from above
    @cached_property
    def columns(self) -> tuple[tuple[str, float, float, tuple[str, ...]], ...]:
        """Columns seen from above: heaviest element, fractional coordinates, all atoms above each other."""
        from ase.data import atomic_numbers

        stacks: dict[tuple[float, float], list[str]] = {}
        for element, u, v, _ in self.basis:
            stacks.setdefault(_in_cell(u, v), []).append(element)
        return tuple(
            (max(stack, key=atomic_numbers.get), u, v, tuple(stack)) for (u, v), stack in stacks.items()
        )

    @property
    def column_elements(self) -> tuple[str, ...]:
        """Elements that the columns show, each once."""
        return tuple(dict.fromkeys(column[0] for column in self.columns))

    @property
    def column_brightness(self) -> tuple[float, ...]:
        """How bright each column is [carbon peaks]; an element without a known peak counts as (Z/6)^1.7."""
        from ase.data import atomic_numbers

        known = self.atom_brightness
        return tuple(
            sum(known.get(e, (atomic_numbers[e] / 6) ** 1.7) for e in stack) for *_, stack in self.columns
        )

    def stack(self, element: str) -> tuple[tuple[str, float], ...]:
        """Atoms of a column that shows `element`: each one's element and height over the sheet's middle [Å].

        An element that is foreign to the columns is one atom half-way up.
        """
        for shown, u, v, _ in self.columns:
            if shown == element:
                heights = zip(self.basis, self.positions[:, 2].tolist(), strict=True)
                return tuple((atom[0], z) for atom, z in heights if _in_cell(*atom[1:3]) == (u, v))
        return ((element, 0.0),)

    @property
    def density(self) -> float:
        """Columns per Å²."""
        return len(self.columns) / self.area

    @cached_property
    def places(self) -> np.ndarray:
        """Where the columns stand in the cell, x and y (K, 2) [Å]."""
        return _fixed(np.array([column[1:3] for column in self.columns]) @ np.array(self.cell))

    @cached_property
    def _around(self) -> np.ndarray:
        """Distances from each column to those about it, itself first, (K, 25 K) [Å]."""
        shifts = np.array([(i, j) for i in range(-2, 3) for j in range(-2, 3)]) @ np.array(self.cell)
        away = self.places[:, None, None] + shifts - self.places[None, :, None]
        return _fixed(np.sort(np.linalg.norm(away, axis=-1).reshape(len(away), -1), axis=1))

    @property
    def bond(self) -> float:
        """Shortest distance between two columns [Å]."""
        return float(self._around[self._around > 0.1].min())

    @property
    def is_threefold(self) -> bool:
        """Whether every column has three neighbours at one distance, and the next clearly further off."""
        first, _, third, fourth = self._around[:, 1:5].T
        return bool((third < 1.05 * first).all() and (fourth > 1.3 * first).all())


def _fixed(values) -> np.ndarray:
    """An array that is computed once and shared, so that no one may write into it."""
    array = np.array(values, float)
    array.flags.writeable = False
    return array


def _in_cell(u: float, v: float) -> tuple[float, float]:
    """Fractional coordinates between 0 and 1; what is equal but for rounding becomes equal."""
    return round(u % 1, 6) % 1, round(v % 1, 6) % 1


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


def material_of(material: str | Material, name: str = "material") -> Material:
    """Look a material up by its name; a :class:`Material` is returned as it is.

    Parameters
    ----------
    material : str or Material
        A key of :data:`MATERIALS`, or a material of your own.
    name : str
        What the caller's argument is called, for the error.

    Raises
    ------
    ValueError
        For a material that is not there.
    """
    if isinstance(material, Material):
        return material
    if isinstance(material, str) and material in MATERIALS:
        return MATERIALS[material]
    raise ValueError(
        f"`{name}` is {material!r}; choose one of {', '.join(map(repr, MATERIALS))}, or describe yours: "
        "Material(name, about, cell, basis)."
    )
