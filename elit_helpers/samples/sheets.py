"""What is cut from a perfect lattice: a sheet, a crystal seen along an axis; and which atoms are neighbours.

x lies to the right, y upwards, z out of the sheet, towards the beam.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
from ase import Atoms
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from elit_helpers.core.checks import RandomState, check_positive, resolve_rng
from elit_helpers.samples.materials import LONGEST_CC_A, MATERIALS, Material, hexagonal, material_of


def sheet(
    material: str | Material = "graphene",
    size: float | tuple = (30.0, 30.0),
    *,
    vacuum: float = 15.0,
    angle: float = 0.0,
) -> Atoms:
    """Build one sheet of a material, flat in x and y, its first lattice vector along x.

    Parameters
    ----------
    material : str or Material
        A key of :data:`MATERIALS`, or a material of your own.
    size : float or tuple
        Two integers count cells and give a periodic sheet: rectangular cells where the lattice has them
        (a × √3 a for a hexagonal one), else its own. A float, or two, is a field of view in x and y [Å],
        and gives a cut-out with open edges.
    vacuum : float
        Height of the cell [Å].
    angle : float
        Rotation of a cut-out, counter-clockwise [degrees]; a periodic sheet cannot be turned.

    Returns
    -------
    ase.Atoms
        In the middle of its cell in z.

    Raises
    ------
    ValueError
        If the material is unknown, a size is not positive, the sheet is thicker than its cell, or a periodic
        sheet is to be turned.
    """
    material = material_of(material)
    check_positive("vacuum", vacuum, unit="Å")
    pair = (size, size) if np.isscalar(size) else tuple(size)
    if len(pair) != 2:
        raise ValueError(f"`size` is {size!r}; give two integers (cells) or one or two lengths in Å.")
    for value in pair:
        check_positive("size", value)
    if material.thickness >= vacuum:
        raise ValueError(
            f"`vacuum` is {vacuum:g} Å, but {material.name} is {material.thickness:g} Å thick; "
            "give a higher cell."
        )
    if all(isinstance(v, int | np.integer) for v in pair):
        if angle:
            raise ValueError(
                f"`angle` is {angle!r} for a periodic sheet; give `size` in Å for a turned cut-out."
            )
        return _periodic(material, int(pair[0]), int(pair[1]), vacuum)
    return cut_out(material, np.array(pair, float), vacuum, np.radians(angle))


def graphene_sheet(
    size: float | tuple = (30.0, 30.0),
    *,
    a: float = MATERIALS["graphene"].cell[0][0],
    vacuum: float = 15.0,
    angle: float = 0.0,
) -> Atoms:
    """Build flat graphene: the short form of :func:`sheet`.

    Parameters
    ----------
    size, vacuum, angle
        As for :func:`sheet`.
    a : float
        Lattice constant [Å]; relaxed LCBOP has 2.459, GFN1-xTB 2.458.

    Returns
    -------
    ase.Atoms
    """
    check_positive("a", a, unit="Å")
    return sheet(replace(MATERIALS["graphene"], cell=hexagonal(a)), size, vacuum=vacuum, angle=angle)


def _periodic(material, nx, ny, vacuum):
    """Rectangular cells, repeated; the lattice's own cell where no small rectangle repeats."""
    cell, basis = material.axes, material.positions
    box, shifts = cell, np.zeros((1, 2))
    for n in range(1, 7):
        along = n * cell[1] - round(n * cell[1, 0] / cell[0, 0]) * cell[0]
        if abs(along[0]) < 1e-6 * cell[0, 0]:
            box, shifts = np.array([cell[0], [0.0, abs(along[1])]]), np.arange(n)[:, None] * cell[1]
            break
    xyz = (np.pad(shifts, ((0, 0), (0, 1)))[:, None] + basis).reshape(-1, 3)
    symbols = [atom[0] for atom in material.basis] * len(shifts)
    uv = xyz[:, :2] @ np.linalg.inv(box)
    # The first atom goes half of the narrowest spacing away from the border: no atom lies on it.
    for k in range(2):
        levels = np.unique(np.round((uv[:, k] - uv[0, k]) % 1, 9) % 1)
        uv[:, k] += np.diff(levels, append=1.0).min() / 2 - uv[0, k]
    uv = np.round(uv, 12) % 1
    order = np.lexsort((xyz[:, 2], np.round(uv[:, 0], 9), np.round(uv[:, 1], 9)))
    cells = np.array([(i, j) for j in range(ny) for i in range(nx)])
    xy = ((cells[:, None] + uv[order]) @ box).reshape(-1, 2)
    xyz = np.column_stack([xy, np.tile(xyz[order, 2], len(cells)) + vacuum / 2])
    box = np.array([[*(nx * box[0]), 0.0], [*(ny * box[1]), 0.0], [0.0, 0.0, vacuum]])
    return Atoms([symbols[k] for k in order] * len(cells), xyz, cell=box, pbc=(True, True, False))


def cut_out(material, size, vacuum, angle):
    """A rectangle cut from an endless turned lattice, whose origin (in graphene a hexagon) is its centre."""
    cell, basis, elements = material.axes, material.positions, [atom[0] for atom in material.basis]
    n = int(np.hypot(*size) / 2 * np.linalg.norm(cell, axis=1).max() / material.area) + 3
    i, j = (k.ravel() for k in np.mgrid[-n : n + 1, -n : n + 1])
    cells = i[:, None] * cell[0] + j[:, None] * cell[1]
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    xy = (basis[:, None, :2] + cells).reshape(-1, 2) @ turn + size / 2
    inside = ((xy > -1e-9) & (xy < size - 1e-9)).all(1)  # rounding shall not decide about a border's atoms
    xy = np.maximum(xy, 0)
    xyz = np.column_stack([xy, np.repeat(basis[:, 2], len(cells)) + vacuum / 2])[inside]
    return Atoms(np.repeat(elements, len(cells))[inside], xyz, cell=[*size, vacuum], pbc=False)


def columns(atoms: Atoms, *, tolerance_A: float = 0.3) -> pd.DataFrame:
    """Merge the atoms that a beam along z sees above each other: what can be found in an image.

    Parameters
    ----------
    atoms : ase.Atoms
    tolerance_A : float
        How far apart two atoms of a column may look [Å].

    Returns
    -------
    DataFrame
        One row a column, in the order of their first atoms: ``x_A``, ``y_A`` (mean), ``element`` (the
        heaviest), ``n_atoms``, ``elements`` (all, heaviest first, such as ``("Ti", "O")``).
    """
    check_positive("tolerance_A", tolerance_A, unit="Å")
    table = {"x_A": [], "y_A": [], "element": [], "n_atoms": [], "elements": []}
    if len(atoms):
        label = _stacks(atoms, tolerance_A)
        first = np.unique(label, return_index=True)[1]
        size = np.bincount(label)
        # Means are taken from the first atom on, so that a column across a periodic border stays whole.
        offset = atoms.positions[:, :2] - atoms.positions[first[label], :2]
        offset = _shortest(atoms, offset)
        mean = [np.bincount(label, offset[:, k]) / size + atoms.positions[first, k] for k in range(2)]
        order = np.lexsort((-atoms.numbers, label))
        symbols = np.array(atoms.get_chemical_symbols())[order]
        stacks = [tuple(part.tolist()) for part in np.split(symbols, np.cumsum(size)[:-1])]
        element = [stack[0] for stack in stacks]
        table = dict(zip(table, (*mean, element, size, stacks), strict=True))
        order = np.argsort(first, kind="stable")
        return pd.DataFrame(table).iloc[order].reset_index(drop=True)
    return pd.DataFrame(table)


def _shortest(atoms, xy):
    """Vectors in the plane [Å], each brought to its shortest periodic image."""
    box = atoms.cell.array[:2, :2]
    if not atoms.pbc[:2].any() or abs(np.linalg.det(box)) < 1e-9:
        return xy
    return xy - np.round(xy @ np.linalg.inv(box)) * atoms.pbc[:2] @ box


def _stacks(atoms, tolerance):
    """For each atom the number of its column: atoms within `tolerance` [Å] in x and y, linked into chains."""
    xy, home = atoms.positions[:, :2], np.arange(len(atoms))
    around = [
        (i, j) for i in (0, 1, -1) for j in (0, 1, -1) if (atoms.pbc[0] or not i) and (atoms.pbc[1] or not j)
    ]
    if len(around) > 1:  # with a copy across each periodic border
        box = atoms.cell.array[:2, :2]
        xy = atoms.get_positions(wrap=True)[:, :2]
        xy = np.concatenate([xy + np.array(step) @ box for step in around])
        home = np.tile(home, len(around))
    i, j = home[cKDTree(xy).query_pairs(tolerance, output_type="ndarray")].T
    graph = coo_array((np.ones(len(i)), (i, j)), shape=(len(atoms),) * 2)
    return connected_components(graph, directed=False)[1]


def nearest(atoms: Atoms, point) -> int:
    """Index of the atom closest to a point (x, y) [Å]."""
    return int(np.argmin(((atoms.positions[:, :2] - np.asarray(point, float)[:2]) ** 2).sum(1)))


def reach_of(atoms: Atoms) -> float:
    """Longest distance that counts as a bond [Å]: carbon's, or 1.2 times the usual one of other atoms."""
    if len(atoms) < 2 or np.mean(atoms.numbers == 6) > 0.5:
        return LONGEST_CC_A
    usual = np.median(cKDTree(atoms.positions).query(atoms.positions, 2)[0][:, 1])
    return max(LONGEST_CC_A, 1.2 * float(usual))


def neighbours(atoms: Atoms, index: int, *, reach: float | None = None) -> np.ndarray:
    """Indices of the atoms within `reach` of one atom, across periodic borders too.

    Parameters
    ----------
    atoms : ase.Atoms
    index : int
    reach : float, optional
        [Å]; 1.75 in carbon, elsewhere 1.2 times the usual distance of nearest atoms if that is more.

    Returns
    -------
    ndarray of int
    """
    check_index(atoms, index)
    distance = atoms.get_distances(index, np.arange(len(atoms)), mic=bool(atoms.pbc.any()))
    reach = reach_of(atoms) if reach is None else reach
    return np.flatnonzero((distance < reach) & (np.arange(len(atoms)) != index))


def check_index(atoms, index):
    """Refuse an index that is no atom's."""
    if not 0 <= index < len(atoms):
        raise ValueError(f"`index` is {index!r}; the structure has atoms 0 to {len(atoms) - 1}.")


def projection(
    crystal: Atoms,
    size: float | tuple = (30.0, 30.0),
    *,
    axis: str | tuple[int, int, int] = "z",
    thickness_A: float | None = None,
    angle: float = 0.0,
) -> Atoms:
    """Cut a slab from a crystal so that the beam looks along one of its axes.

    Parameters
    ----------
    crystal : ase.Atoms
        Its unit cell, from :func:`ase.build.bulk` or :func:`ase.spacegroup.crystal`.
    size : float or tuple of float
        Field of view in x and y [Å].
    axis : {"x", "y", "z"} or tuple of three int
        Direction of the beam, in lattice vectors of the cell: "z" is (0, 0, 1).
    thickness_A : float, optional
        Of the slab [Å]; one repeat along the axis if not given.
    angle : float
        The shortest lattice vector beside the axis is seen along x; this turns it, counter-clockwise
        [degrees].

    Returns
    -------
    ase.Atoms
        Centred on a lattice point, z from 0 to the thickness, with open borders; :func:`columns` merges it.

    Raises
    ------
    ValueError
        If the crystal has no cell of three vectors, or the axis no direction.
    """
    if crystal.cell.rank != 3:
        raise ValueError("`crystal` has no cell of three vectors; pass a unit cell, as ase.build.bulk makes.")
    uvw = {"x": (1, 0, 0), "y": (0, 1, 0), "z": (0, 0, 1)}.get(axis, axis) if isinstance(axis, str) else axis
    if np.shape(uvw) != (3,) or not np.any(uvw) or not np.equal(np.mod(uvw, 1), 0).all():
        raise ValueError(f"`axis` is {axis!r}; give 'x', 'y', 'z' or three integers such as (1, 1, 0).")
    size = np.array((size, size) if np.isscalar(size) else size, float)
    for value in size:
        check_positive("size", value, unit="Å")
    along = np.asarray(uvw, float) @ crystal.cell.array
    thickness = np.linalg.norm(along) if thickness_A is None else check_positive("thickness_A", thickness_A)
    lattice = crystal.cell.array @ _turned(crystal.cell.array, along, np.radians(angle)).T
    box = np.array([*size, thickness])
    corners = np.array(np.meshgrid(*[(0.0, b) for b in box])).reshape(3, -1).T - [*(size / 2), 0.0]
    reach = corners @ np.linalg.inv(lattice)
    ranges = [
        np.arange(np.floor(low) - 1, np.ceil(high) + 1)
        for low, high in zip(reach.min(0), reach.max(0), strict=True)
    ]
    steps = np.array(np.meshgrid(*ranges, indexing="ij")).reshape(3, -1).T
    inner = crystal.get_scaled_positions(wrap=True)
    xyz = ((steps[:, None] + inner) @ lattice).reshape(-1, 3) + [*(size / 2), 0.0]
    keep = ((xyz > -1e-6) & (xyz < box - 1e-6)).all(1)
    numbers = np.tile(crystal.numbers, len(steps))
    return Atoms(numbers[keep], np.maximum(xyz[keep], 0), cell=box, pbc=False)


def _turned(cell, along, angle):
    """Rotation that lays `along` on z and, seen along it, the shortest lattice vector at `angle` [rad]."""
    z = along / np.linalg.norm(along)
    steps = np.array([(i, j, k) for i in (1, 0, -1) for j in (0, 1, -1) for k in (0, 1, -1)]) @ cell
    across = steps - np.outer(steps @ z, z)
    length = np.linalg.norm(across, axis=1)
    x = across[np.flatnonzero(length > 1e-6)[np.argmin(np.round(length[length > 1e-6], 6))]]
    x /= np.linalg.norm(x)
    y = np.cross(z, x)
    return np.array([np.cos(angle) * x - np.sin(angle) * y, np.sin(angle) * x + np.cos(angle) * y, z])


def amorphous_carbon(
    size: float | tuple = (30.0, 30.0),
    thickness_A: float = 10.0,
    *,
    density: float = 2.0,
    shortest_A: float = 1.4,
    rng: RandomState = None,
) -> Atoms:
    """Fill a box with carbon at random, no two atoms closer than a bond: contamination as atoms.

    It has the density and the shortest distance of evaporated carbon, and no other order: right for what a
    beam sees through it, not for forces.

    Parameters
    ----------
    size : float or tuple of float
        x and y [Å].
    thickness_A : float
        z [Å].
    density : float
        [g/cm³]; amorphous carbon has 1.8 to 2.2.
    shortest_A : float
        Shortest distance of two atoms [Å].
    rng : int, Generator or None

    Returns
    -------
    ase.Atoms
        z from 0 to the thickness.

    Raises
    ------
    ValueError
        If a length is not positive, or so many atoms do not fit at such distances.
    """
    box = np.array([*((size, size) if np.isscalar(size) else size), thickness_A], float)
    for name, value in zip(("size", "size", "thickness_A"), box, strict=True):
        check_positive(name, value, unit="Å")
    check_positive("density", density, unit="g/cm³")
    check_positive("shortest_A", shortest_A, unit="Å")
    rng = resolve_rng(rng)
    wanted = round(density * 0.050142 * np.prod(box))  # 0.0501 atoms of carbon per Å³ at 1 g/cm³
    placed = np.empty((0, 3))
    for _ in range(200):
        if len(placed) >= wanted:
            break
        more = rng.uniform(0, box, (2 * (wanted - len(placed)) + 8, 3))
        if len(placed):
            more = more[cKDTree(placed).query(more)[0] >= shortest_A]
        # Of two newcomers that are too close the later one goes.
        pairs = cKDTree(more).query_pairs(shortest_A, output_type="ndarray")
        placed = np.concatenate(
            [placed, np.delete(more, np.unique(pairs.max(1, initial=0)), 0) if len(pairs) else more]
        )
    if len(placed) < wanted:
        raise ValueError(
            f"`density` is {density:g} g/cm³: {wanted} atoms do not fit {shortest_A:g} Å apart, only "
            f"{len(placed)} did; give a lower density or a smaller `shortest_A`."
        )
    return Atoms(f"C{wanted}", placed[:wanted], cell=box, pbc=False)
