"""The atoms to start from: sheets of any two-dimensional material, and one function for each defect.

Every defect returns a new :class:`ase.Atoms` (the input is never changed) and a small dict that says what
was changed. x lies to the right, y upwards, z out of the sheet.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from ase import Atoms
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from elit_helpers._common import RandomState, check_choice, check_positive, resolve_rng
from elit_helpers._materials import MATERIALS, Material, hexagonal

_REACH = 1.75  # Å: longest C-C distance that counts as a bond


def material_of(material: str | Material) -> Material:
    """Look a material up by its name; a :class:`Material` is returned as it is.

    Parameters
    ----------
    material : str or Material
        A key of :data:`MATERIALS`, or a material of your own.

    Raises
    ------
    ValueError
        For an unknown name.
    """
    if isinstance(material, Material):
        return material
    if isinstance(material, str) and material in MATERIALS:
        return MATERIALS[material]
    raise ValueError(
        f"`material` is {material!r}; choose one of {', '.join(map(repr, MATERIALS))}, or describe yours: "
        "Material(name, about, cell, basis)."
    )


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
    thickness = np.ptp([atom[3] for atom in material.basis])
    if thickness >= vacuum:
        raise ValueError(
            f"`vacuum` is {vacuum:g} Å, but {material.name} is {thickness:g} Å thick; give a higher cell."
        )
    if all(isinstance(v, int | np.integer) for v in pair):
        if angle:
            raise ValueError(
                f"`angle` is {angle!r} for a periodic sheet; give `size` in Å for a turned cut-out."
            )
        return _periodic(material, int(pair[0]), int(pair[1]), vacuum)
    return _cut_out(material, np.array(pair, float), vacuum, np.radians(angle))


def graphene_sheet(
    size: float | tuple = (30.0, 30.0), *, a: float = 2.46, vacuum: float = 15.0, angle: float = 0.0
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


def _frame_of(material):
    """Lattice vectors turned until the first lies along x, and the basis: x, y, z [Å] and elements."""
    (ax, ay), (bx, by) = material.cell
    length = np.hypot(ax, ay)
    cell = np.array([[length, 0.0], [(ax * bx + ay * by) / length, (ax * by - ay * bx) / length]])
    xy = np.array([atom[1:3] for atom in material.basis], float) @ cell
    z = np.array([atom[3] for atom in material.basis], float)
    return cell, np.column_stack([xy, z - (z.min() + z.max()) / 2]), [atom[0] for atom in material.basis]


def _periodic(material, nx, ny, vacuum):
    """Rectangular cells, repeated; the lattice's own cell where no small rectangle repeats."""
    cell, basis, elements = _frame_of(material)
    box, shifts = cell, np.zeros((1, 2))
    for n in range(1, 7):
        along = n * cell[1] - round(n * cell[1, 0] / cell[0, 0]) * cell[0]
        if abs(along[0]) < 1e-6 * cell[0, 0]:
            box, shifts = np.array([cell[0], [0.0, abs(along[1])]]), np.arange(n)[:, None] * cell[1]
            break
    xyz = (np.pad(shifts, ((0, 0), (0, 1)))[:, None] + basis).reshape(-1, 3)
    symbols = elements * len(shifts)
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


def _cut_out(material, size, vacuum, angle):
    """A rectangle cut from an endless turned lattice, whose origin (in graphene a hexagon) is its centre."""
    cell, basis, elements = _frame_of(material)
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


def neighbours(atoms: Atoms, index: int, *, reach: float = _REACH) -> np.ndarray:
    """Indices of the atoms within `reach` [Å] of one atom, across periodic borders too."""
    _check_index(atoms, index)
    distance = atoms.get_distances(index, np.arange(len(atoms)), mic=bool(atoms.pbc.any()))
    return np.flatnonzero((distance < reach) & (np.arange(len(atoms)) != index))


def _check_index(atoms, index):
    if not 0 <= index < len(atoms):
        raise ValueError(f"`index` is {index!r}; the structure has atoms 0 to {len(atoms) - 1}.")


def _choose(atoms, index, rng):
    """The given atom, or a random one."""
    if index is None:
        index = int(resolve_rng(rng).integers(len(atoms)))
    _check_index(atoms, index)
    return index


def add_vacancy(
    atoms: Atoms, index: int | None = None, *, rng: RandomState = None
) -> tuple[Atoms, dict[str, Any]]:
    """Take one atom out.

    Parameters
    ----------
    atoms : ase.Atoms
    index : int, optional
        Which; a random one if not given.
    rng : int, Generator or None

    Returns
    -------
    atoms : ase.Atoms
    info : dict
        ``defect``, ``removed`` (index) and ``position`` [Å].
    """
    index = _choose(atoms, index, rng)
    out, position = atoms.copy(), atoms.positions[index].copy()
    del out[index]
    return out, {"defect": "vacancy", "removed": [index], "position": position}


def add_hole(atoms: Atoms, *, center, radius_A: float) -> tuple[Atoms, dict[str, Any]]:
    """Take out every atom in a circle, and any left hanging by a single bond.

    Parameters
    ----------
    atoms : ase.Atoms
    center : tuple of float
        x, y [Å].
    radius_A : float
        [Å].

    Returns
    -------
    atoms : ase.Atoms
    info : dict
        ``defect``, ``removed`` (indices in the input) and ``position``.
    """
    check_positive("radius_A", radius_A, unit="Å")
    center = np.asarray(center, float)[:2]
    gone = np.hypot(*(atoms.positions[:, :2] - center).T) < radius_A
    if not gone.any():
        raise ValueError(f"No atom lies within {radius_A:g} Å of {tuple(center)}; choose another `center`.")
    near = np.hypot(*(atoms.positions[:, :2] - center).T) < radius_A + 4
    for _ in range(3):
        keep = np.flatnonzero(~gone)
        bonds = cKDTree(atoms.positions[keep]).query_pairs(_REACH, output_type="ndarray")
        degree = np.bincount(bonds.ravel(), minlength=len(keep))
        gone[keep[(degree < 2) & near[keep]]] = True
    out = atoms[~gone]
    return out, {"defect": "hole", "removed": np.flatnonzero(gone).tolist(), "position": center}


def add_stone_wales(
    atoms: Atoms, index: int | None = None, *, rng: RandomState = None
) -> tuple[Atoms, dict[str, Any]]:
    """Turn one bond by 90°: two pentagons and two heptagons in place of four hexagons.

    Parameters
    ----------
    atoms : ase.Atoms
    index : int, optional
        One end of the bond; a random atom if not given. The other end is its nearest carbon.
    rng : int, Generator or None

    Returns
    -------
    atoms : ase.Atoms
        Unrelaxed: relax it before anything else.
    info : dict
        ``defect``, ``turned`` (two indices) and ``position`` (the bond's middle) [Å].
    """
    index = _choose(atoms, index, rng)
    others = neighbours(atoms, index)
    if len(others) == 0:
        raise ValueError(f"Atom {index} has no neighbour within {_REACH} Å; choose an atom inside the sheet.")
    partner = int(others[np.argmin(atoms.get_distances(index, others, mic=bool(atoms.pbc.any())))])
    bond = atoms.get_distance(index, partner, mic=bool(atoms.pbc.any()), vector=True)
    middle = atoms.positions[index] + bond / 2
    # a little shorter than the bond was, so that the two new pentagons do not start crushed
    across = 0.48 * np.array([-bond[1], bond[0], 0.0])
    out = atoms.copy()
    out.positions[index], out.positions[partner] = middle - across, middle + across
    return out, {"defect": "stone-wales", "turned": [index, partner], "position": middle}


def substitute(atoms: Atoms, index: int | None = None, element: str = "Si", *, rng: RandomState = None):
    """Change the element of one atom; a larger one pushes its neighbours 0.2 Å away.

    Parameters
    ----------
    atoms : ase.Atoms
    index : int, optional
        Which; a random one if not given.
    element : {"Si", "N", "B"}
    rng : int, Generator or None

    Returns
    -------
    atoms : ase.Atoms
    info : dict
        ``defect``, ``index``, ``was`` and ``position``.
    """
    check_choice("element", element, ("Si", "N", "B"))
    index = _choose(atoms, index, rng)
    out, was = atoms.copy(), atoms.get_chemical_symbols()[index]
    symbols = out.get_chemical_symbols()
    symbols[index] = element
    out.set_chemical_symbols(symbols)
    if element == "Si" and was == "C":
        for other in neighbours(atoms, index):
            away = atoms.get_distance(index, int(other), mic=bool(atoms.pbc.any()), vector=True)
            out.positions[other] += 0.2 * away / np.linalg.norm(away)
    return out, {
        "defect": f"{element} for {was}",
        "index": index,
        "was": was,
        "position": out.positions[index].copy(),
    }


def add_grain_boundary(atoms: Atoms, *, angle: float, position: float = 0.5) -> tuple[Atoms, dict[str, Any]]:
    """Turn the right-hand part of a cut-out, and merge the atoms that come too close at the seam.

    Parameters
    ----------
    atoms : ase.Atoms
        A cut-out with open edges, as :func:`graphene_sheet` builds from lengths.
    angle : float
        Rotation of the right-hand grain [degrees].
    position : float
        Where the seam runs, as a share of the width.

    Returns
    -------
    atoms : ase.Atoms
    info : dict
        ``defect``, ``angle``, ``position`` (x of the seam) [Å] and ``merged`` (count).
    """
    if atoms.pbc[:2].any():
        raise ValueError(
            "`atoms` is periodic; a grain boundary needs a cut-out: graphene_sheet((30.0, 30.0))."
        )
    width, height, depth = atoms.cell.lengths()
    seam = position * width
    right = _cut_out(MATERIALS["graphene"], np.array([width, height]), depth, np.radians(angle))
    left, right = atoms[atoms.positions[:, 0] < seam], right[right.positions[:, 0] >= seam]
    out = left + right
    pairs = cKDTree(out.positions).query_pairs(1.1, output_type="ndarray")
    if len(pairs):
        out.positions[pairs[:, 0]] = (out.positions[pairs[:, 0]] + out.positions[pairs[:, 1]]) / 2
        del out[sorted(set(pairs[:, 1].tolist()))]
    return out, {"defect": "grain boundary", "angle": angle, "position": seam, "merged": len(pairs)}


def decorate_edge(
    atoms: Atoms, *, center, radius_A: float, n: int, element: str = "Si", rng: RandomState = None
) -> tuple[Atoms, dict[str, Any]]:
    """Replace edge atoms near a point, those with two neighbours, by another element.

    Parameters
    ----------
    atoms : ase.Atoms
    center : tuple of float
        x, y [Å], the middle of a hole for one.
    radius_A : float
        How far the edge atoms may lie from it [Å].
    n : int
        How many; fewer if the edge has fewer, which `info` tells.
    element : str
    rng : int, Generator or None

    Returns
    -------
    atoms : ase.Atoms
    info : dict
        ``defect`` and ``indices``.
    """
    degree = np.bincount(
        cKDTree(atoms.positions).query_pairs(_REACH, output_type="ndarray").ravel(), minlength=len(atoms)
    )
    close = np.hypot(*(atoms.positions[:, :2] - np.asarray(center, float)[:2]).T) < radius_A
    edge = np.flatnonzero((degree == 2) & close & (np.array(atoms.get_chemical_symbols()) == "C"))
    chosen = resolve_rng(rng).permutation(edge)[:n].tolist()
    symbols = atoms.get_chemical_symbols()
    for i in chosen:
        symbols[i] = element
    out = atoms.copy()
    out.set_chemical_symbols(symbols)
    return out, {"defect": f"{element} at an edge", "indices": chosen}
