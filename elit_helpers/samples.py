"""The atoms to start from: graphene, and one function for each thing that can be wrong with it.

Every defect returns a new :class:`ase.Atoms` (the input is never changed) and a small dict that says what
was changed. x lies to the right, y upwards, z out of the sheet.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import numpy as np
from ase import Atoms
from scipy.spatial import cKDTree

from elit_helpers._common import RandomState, check_choice, check_positive, resolve_rng

LATTICES = MappingProxyType({"graphene": {"a": 2.46, "bond": 1.42, "density": 0.3816, "elements": ("C",)}})
"""Lattice constant [Å], bond length [Å], atoms per Å², and elements of each known material."""

_REACH = 1.75  # Å: longest C-C distance that counts as a bond


def graphene_sheet(
    size: float | tuple = (30.0, 30.0), *, a: float = 2.46, vacuum: float = 15.0, angle: float = 0.0
) -> Atoms:
    """Build flat graphene.

    Parameters
    ----------
    size : float or tuple
        Two integers count rectangular cells of four atoms (a × √3 a) and give a periodic sheet.
        A float, or two, is a field of view in x and y [Å], and gives a cut-out with open edges.
    a : float
        Lattice constant [Å]; relaxed LCBOP has 2.459, GFN1-xTB 2.458.
    vacuum : float
        Height of the cell [Å].
    angle : float
        Rotation of a cut-out [degrees]; a periodic sheet cannot be turned.

    Returns
    -------
    ase.Atoms
        In the middle of its cell in z.

    Raises
    ------
    ValueError
        If a size is not positive, or a periodic sheet is to be turned.
    """
    check_positive("a", a, unit="Å")
    check_positive("vacuum", vacuum, unit="Å")
    pair = (size, size) if np.isscalar(size) else tuple(size)
    if len(pair) != 2:
        raise ValueError(f"`size` is {size!r}; give two integers (cells) or one or two lengths in Å.")
    for value in pair:
        check_positive("size", value)
    if all(isinstance(v, int | np.integer) for v in pair):
        if angle:
            raise ValueError(
                f"`angle` is {angle!r} for a periodic sheet; give `size` in Å for a turned cut-out."
            )
        return _periodic(int(pair[0]), int(pair[1]), a, vacuum)
    return _cut_out(np.array(pair, float), a, vacuum, np.radians(angle))


def _periodic(nx, ny, a, vacuum):
    """Rectangular cells of four atoms, repeated."""
    wide, high = a, a * np.sqrt(3)
    basis = np.array([[0.25, 1 / 12], [0.75, 3 / 12], [0.75, 7 / 12], [0.25, 9 / 12]]) * [wide, high]
    cells = np.array([[i * wide, j * high] for j in range(ny) for i in range(nx)])
    xy = (cells[:, None] + basis[None]).reshape(-1, 2)
    xyz = np.column_stack([xy, np.full(len(xy), vacuum / 2)])
    return Atoms(f"C{len(xyz)}", positions=xyz, cell=[nx * wide, ny * high, vacuum], pbc=(True, True, False))


def _cut_out(size, a, vacuum, angle):
    """A rectangle cut from an endless turned lattice, centred on a hexagon."""
    n = int(np.hypot(*size) / a) + 3
    i, j = (k.ravel() for k in np.mgrid[-n : n + 1, -n : n + 1])
    cells = np.column_stack([a * (i + j / 2), a * np.sqrt(0.75) * j])
    xy = np.concatenate([cells + [a / 2, a / np.sqrt(12)], cells + [a, a / np.sqrt(3)]])
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    xy = xy @ turn + size / 2
    xy = xy[((xy >= 0) & (xy < size)).all(1)]
    xyz = np.column_stack([xy, np.full(len(xy), vacuum / 2)])
    return Atoms(f"C{len(xyz)}", positions=xyz, cell=[*size, vacuum], pbc=False)


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
    right = _cut_out(np.array([width, height]), LATTICES["graphene"]["a"], depth, np.radians(angle))
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
