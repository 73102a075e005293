"""The lattice that a picture's own atoms lie on: where it is, how it is turned and strained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from ase import Atoms
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from elit_helpers.core.checks import check_positive
from elit_helpers.geometry.compare import rms
from elit_helpers.geometry.lattice import index_columns
from elit_helpers.geometry.rings import edge_atoms
from elit_helpers.samples.materials import MATERIALS, Material, material_of

COLUMN = 0.3  # share of a bond within which atoms, seen from above, are one column
TURN = np.array([[0, 1], [-1, 1]])  # the axes of a hexagonal lattice turned by 60°, in themselves


@dataclass(frozen=True)
class SheetLattice:
    """A lattice fitted to the atoms of a picture; `sheet_lattice` makes it.

    Attributes
    ----------
    material
        What the sheet is.
    origin
        (2,) x, y of a corner of a cell, in graphene the middle of a hexagon [Å].
    axes
        (2, 2) the two lattice vectors as the picture has them, in rows [Å].
    rms_A
        Root mean square distance of the atoms from their sites [Å].
    sites
        How many atoms the fit rests on.
    """

    material: Material
    origin: np.ndarray = field(repr=False)
    axes: np.ndarray = field(repr=False)
    rms_A: float
    sites: int

    def to_lattice(self, xy: np.ndarray) -> np.ndarray:
        """Positions (N, 2) [Å] in units of the lattice vectors."""
        return (np.asarray(xy, float) - self.origin) @ np.linalg.inv(self.axes)

    def to_picture(self, uv: np.ndarray) -> np.ndarray:
        """Lattice coordinates (N, 2) as positions in the picture [Å]."""
        return self.origin + np.asarray(uv, float) @ self.axes

    @property
    def unstrained(self) -> np.ndarray:
        """The material's own lattice vectors in the picture's orientation, (2, 2) in rows [Å]."""
        return self.material.axes @ self._parts[0]

    @property
    def rotation_deg(self) -> float:
        """Angle of the first lattice vector to x without strain, counter-clockwise [degrees]."""
        turn = self._parts[0]
        return float(np.degrees(np.arctan2(turn[0, 1], turn[0, 0])))

    @property
    def strain(self) -> np.ndarray:
        """(2, 2) symmetric strain along x and y of the picture, relative to the material."""
        return self._parts[1] - np.eye(2)

    @property
    def a_A(self) -> float:
        """Lattice constant of the cell's area [Å]."""
        return float(np.sqrt(np.linalg.det(self.axes) / np.sin(np.pi / 3)))

    @property
    def bond_A(self) -> float:
        """Mean distance of neighbouring columns [Å]."""
        return self.a_A / np.sqrt(3)

    @property
    def _parts(self) -> tuple[np.ndarray, np.ndarray]:
        """Rotation and stretch (rows: own axes @ rotation @ stretch), by polar decomposition."""
        left, size, right = np.linalg.svd(np.linalg.inv(self.material.axes) @ self.axes)
        return left @ right, right.T @ np.diag(size) @ right


def sheet_lattice(
    atoms: Atoms,
    *,
    center: Sequence[float] | None = None,
    radius_A: float | None = None,
    material: str | Material = "graphene",
) -> SheetLattice:
    """Fit the lattice of a sheet to its own atoms: where it lies, how it is turned and strained.

    Atoms of a defect, which sit on no site, have no say. With pictures whose scan bends the lattice give a
    `center` and a radius: over a few nanometres every lattice is straight.

    Parameters
    ----------
    atoms : ase.Atoms
        A sheet or flake, from `to_atoms`.
    center : (2,) sequence of float, optional
        x, y [Å]; with `radius_A`, only the atoms around it are fitted.
    radius_A : float, optional
        [Å].
    material : str or Material
        A hexagonal sheet of two columns: graphene, hBN, MoS2, WS2.

    Returns
    -------
    SheetLattice

    Raises
    ------
    ValueError
        The material is not hexagonal, `center` comes without `radius_A` or the other way round, or the atoms
        lie on no such lattice.
    """
    material = _hexagonal(material_of(material))
    if (center is None) != (radius_A is None):
        raise ValueError("`center` and `radius_A` belong together; give both, or none for the whole sheet.")
    near = atoms[atoms.numbers != 1]
    if center is not None:
        check_positive("radius_A", radius_A, unit="Å")
        near = near[np.linalg.norm(near.positions[:, :2] - np.asarray(center, float)[:2], axis=1) <= radius_A]
    xy = near.positions[:, :2]
    try:
        cell, site = index_columns(xy[:, ::-1], material.axes[0, 0])
    except ValueError as error:
        raise ValueError(
            f"{len(xy)} atoms {'in all' if center is None else f'about {tuple(center)}'} lie on no lattice "
            f"of {material.name} ({error}). Check the pixel size, or take a larger or another region."
        ) from error
    on = site >= 0
    uv = cell + site[:, None] / 3 + 1 / 3  # from an atom's corner to the middle of a hexagon
    for _ in range(3):
        rows = np.c_[np.ones(on.sum()), uv[on]]
        origin, *axes = np.linalg.lstsq(rows, xy[on], rcond=None)[0]
        off = np.linalg.norm(xy - origin - uv @ np.array(axes), axis=1)
        on = (site >= 0) & (off < max(4 * np.median(off[on]), 0.1))
    axes = _towards_x(np.array(axes), xy[on] - origin, np.array(near.get_chemical_symbols())[on], material)
    return SheetLattice(material, origin, axes, rms(off[on]), int(on.sum()))


def _hexagonal(material: Material) -> Material:
    places = sorted(tuple(np.round(c[1:3], 3)) for c in material.columns)
    honeycomb = material.is_hexagonal and material.is_threefold  # thirds alone are none in a cell of 120°
    if not honeycomb or places != [(0.333, 0.333), (0.667, 0.667)]:
        raise ValueError(
            f"`material` is {material.name}; a lattice can be fitted to hexagonal sheets of two columns at a "
            "third and two thirds of the cell: graphene, hBN, MoS2, WS2."
        )
    return material


def _towards_x(axes: np.ndarray, away: np.ndarray, element: np.ndarray, material: Material) -> np.ndarray:
    """Of the six ways to choose the axes take the one nearest to x; of two elements each on its own sites."""
    names = [column[0] for column in material.columns]
    turned = []
    for _ in range(6):
        second = np.round(3 * (away @ np.linalg.inv(axes)).sum(axis=1)).astype(int) % 3 == 1
        agree = np.mean(element == np.where(second, names[1], names[0]))
        angle = abs(np.degrees(np.arctan2(axes[0, 1], axes[0, 0])))
        turned.append((-agree if names[0] != names[1] else 0.0, angle, axes))
        axes = TURN @ axes
    return min(turned, key=lambda way: (round(way[0], 6), way[1]))[2]


def outer_edge(atoms: Atoms, material: Material) -> np.ndarray:
    """Mark the atoms on the outer edge of a flake, (N,) bool; those of thick sheets by their columns."""
    if material.is_flat:
        return edge_atoms(atoms)
    # Two atoms of a column need not stand exactly above each other: their bonds would cross, seen from above.
    close = cKDTree(atoms.positions[:, :2]).query_pairs(COLUMN * material.bond, output_type="ndarray")
    graph = coo_matrix((np.ones(len(close)), tuple(close.T)), shape=(len(atoms), len(atoms)))
    count, column = connected_components(graph, directed=False)
    xy = np.zeros((count, 2))
    np.add.at(xy, column, atoms.positions[:, :2])
    xy /= np.bincount(column, minlength=count)[:, None]
    # As graphene of the same shape, whose rings are those of the columns.
    seen = Atoms(f"C{count}", np.pad(xy * MATERIALS["graphene"].bond / material.bond, ((0, 0), (0, 1))))
    return edge_atoms(seen)[column]
