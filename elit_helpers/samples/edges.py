"""Holes, edges, grain boundaries and contamination of a sheet.

Every function returns a new :class:`ase.Atoms` (the input is never changed) and a small dict that says what
was changed. x lies to the right, y upwards, z out of the sheet.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from ase import Atoms
from ase.geometry import find_mic
from ase.neighborlist import neighbor_list
from scipy.spatial import cKDTree

from elit_helpers.core.checks import RandomState, check_choice, check_positive, resolve_rng
from elit_helpers.samples.materials import MATERIALS, Material, material_of
from elit_helpers.samples.sheets import amorphous_carbon, cut_out, reach_of


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
    step = (atoms.positions - [*center, 0.0]) * [1.0, 1.0, 0.0]
    away = find_mic(step, atoms.cell, atoms.pbc)[1] if atoms.pbc.any() else np.linalg.norm(step, axis=1)
    gone = away < radius_A
    if not gone.any():
        raise ValueError(f"No atom lies within {radius_A:g} Å of {tuple(center)}; choose another `center`.")
    gone = _trim(atoms, gone, away < radius_A + 4)
    out = atoms[~gone]
    return out, {"defect": "hole", "removed": np.flatnonzero(gone).tolist(), "position": center}


def _degrees(atoms, reach):
    """Number of neighbours of each atom."""
    return np.bincount(neighbor_list("i", atoms, reach), minlength=len(atoms))


def _trim(atoms, gone, near):
    """Add to the atoms that are gone those nearby that are left hanging by a single bond."""
    reach = reach_of(atoms)
    whole = _degrees(atoms, reach)
    # Sr in SrTiO3 has no neighbour at a bond's distance anywhere; it hangs by nothing.
    bonded = np.zeros(len(atoms), bool)
    for number in set(atoms.numbers.tolist()):
        bonded[atoms.numbers == number] = np.median(whole[atoms.numbers == number]) > 1
    gone = gone.copy()
    for _ in range(3):
        keep = np.flatnonzero(~gone)
        degree = _degrees(atoms[keep], reach)
        gone[keep[(degree < 2) & (near & bonded)[keep]]] = True
    return gone


def cut_edge(
    atoms: Atoms,
    direction: str | float = "zigzag",
    *,
    point: tuple[float, float] | None = None,
    towards: tuple[float, float] = (1.0, 0.0),
) -> tuple[Atoms, dict[str, Any]]:
    """Cut the sheet along a straight line: a zigzag or an armchair edge.

    The lattice's orientation is read from its bonds, so that a turned cut-out is cut along its own rows.

    Parameters
    ----------
    atoms : ase.Atoms
        A cut-out with open edges, as :func:`sheet` builds from lengths.
    direction : {"zigzag", "armchair"} or float
        Which edge of a hexagonal lattice; or, in any lattice, the edge's own angle to x [degrees].
    point : tuple of float, optional
        x, y that the edge runs through [Å]; the middle of the sheet if not given.
    towards : tuple of float
        Where the vacuum shall be: of the six edges of a kind the one that faces this way is cut.

    Returns
    -------
    atoms : ase.Atoms
    info : dict
        ``defect``, ``angle`` of the edge to x [degrees], ``removed`` (indices in the input) and ``position``.

    Raises
    ------
    ValueError
        If the sheet is periodic, has no hexagonal lattice for a named edge, or nothing would be left.
    """
    if atoms.pbc[:2].any():
        raise ValueError("`atoms` is periodic; an edge needs a cut-out: graphene_sheet((30.0, 30.0)).")
    towards = np.asarray(towards, float)[:2]
    if not np.hypot(*towards) > 0:
        raise ValueError(f"`towards` is {tuple(towards.tolist())}; give a direction (x, y), such as (1, 0).")
    if not len(atoms):
        raise ValueError("`atoms` is empty; start from graphene_sheet((30.0, 30.0)), for example.")
    xy = atoms.positions[:, :2]
    point = (xy.min(0) + xy.max(0)) / 2 if point is None else np.asarray(point, float)[:2]
    angles = np.radians(_edge_angles(atoms, direction))
    normals = np.column_stack([np.sin(angles), -np.cos(angles)])
    chosen = int(np.argmax(normals @ towards))
    beyond = (xy - point) @ normals[chosen]
    gone = beyond > 1e-6
    if gone.all() or not gone.any():
        raise ValueError(
            f"The edge through {tuple(point.tolist())} leaves {'nothing' if gone.all() else 'everything'}; "
            "choose a `point` inside the sheet."
        )
    gone = _trim(atoms, gone, beyond > -4)
    info = {
        "defect": f"{direction} edge" if isinstance(direction, str) else "edge",
        "angle": float(np.degrees(angles[chosen]) % 180),
        "removed": np.flatnonzero(gone).tolist(),
        "position": point,
    }
    return atoms[~gone], info


def _edge_angles(atoms, direction):
    """Angles [degrees] that the edge may have: two for a number, six for a kind."""
    if not isinstance(direction, str):
        if not np.isfinite(direction):
            raise ValueError(
                f"`direction` is {direction!r}; give 'zigzag', 'armchair' or an angle in degrees."
            )
        return float(direction) + np.array([0.0, 180.0])
    check_choice("direction", direction, ("zigzag", "armchair"))
    pairs = cKDTree(atoms.positions).query_pairs(reach_of(atoms), output_type="ndarray")
    bonds = atoms.positions[pairs[:, 1], :2] - atoms.positions[pairs[:, 0], :2]
    order = np.exp(6j * np.arctan2(bonds[:, 1], bonds[:, 0])).mean() if len(bonds) else 0.0
    if abs(order) < 0.6:
        raise ValueError(
            f"The bonds share no hexagonal lattice (order {abs(order):.2f} of 1), so `direction` "
            f"{direction!r} means nothing; give the edge's angle to x in degrees."
        )
    # An armchair edge runs along bonds, a zigzag edge 30° from them.
    along = np.degrees(np.angle(order)) / 6 + (30.0 if direction == "zigzag" else 0.0)
    return along + 60.0 * np.arange(6)


def add_grain_boundary(
    atoms: Atoms, *, angle: float, position: float = 0.5, material: str | Material = "graphene"
) -> tuple[Atoms, dict[str, Any]]:
    """Turn the right-hand part of a cut-out, and merge the atoms that come too close at the seam.

    Parameters
    ----------
    atoms : ase.Atoms
        A cut-out with open edges, as :func:`sheet` builds from lengths.
    angle : float
        Rotation of the right-hand grain [degrees].
    position : float
        Where the seam runs, as a share of the width.
    material : str or Material
        What the right-hand grain is cut from: that of `atoms`.

    Returns
    -------
    atoms : ase.Atoms
        Unrelaxed: relax it before anything else.
    info : dict
        ``defect``, ``angle``, ``position`` (x of the seam) [Å] and ``merged`` (count).

    Raises
    ------
    ValueError
        If the sheet is periodic, or is not of this material.
    """
    if atoms.pbc[:2].any():
        raise ValueError(
            "`atoms` is periodic; a grain boundary needs a cut-out: graphene_sheet((30.0, 30.0))."
        )
    material = material_of(material)
    strange = set(material.elements) - set(atoms.get_chemical_symbols())
    if strange:
        raise ValueError(
            f"`material` is {material.name}, but `atoms` has no {', '.join(sorted(strange))}; "
            "pass the material the sheet was cut from."
        )
    width, height, depth = atoms.cell.lengths()
    seam = position * width
    right = cut_out(material, np.array([width, height]), depth, np.radians(angle))
    left, right = atoms[atoms.positions[:, 0] < seam], right[right.positions[:, 0] >= seam]
    out = left + right
    merged = _merge_close(out, 1.1 * _bond_of(material) / MATERIALS["graphene"].bond)
    return out, {"defect": "grain boundary", "angle": angle, "position": seam, "merged": merged}


def _bond_of(material):
    """Shortest distance of two atoms in space [Å]; `Material.bond` is seen from above."""
    small = cut_out(material, 4 * np.abs(np.array(material.cell)).max(0), 100.0, 0.0).positions
    return float(cKDTree(small).query(small, 2)[0][:, 1].min())


def _merge_close(atoms, limit):
    """Make one atom of two that are too close, in place: in their middle, or the heavier one of two elements.

    Returns
    -------
    int
        How many pairs.
    """
    pairs = cKDTree(atoms.positions).query_pairs(limit, output_type="ndarray")
    if len(pairs):
        lighter = atoms.numbers[pairs[:, 0]] < atoms.numbers[pairs[:, 1]]
        pairs[lighter] = pairs[lighter, ::-1]
        alike = pairs[atoms.numbers[pairs[:, 0]] == atoms.numbers[pairs[:, 1]]]
        atoms.positions[alike[:, 0]] = (atoms.positions[alike[:, 0]] + atoms.positions[alike[:, 1]]) / 2
        del atoms[sorted(set(pairs[:, 1].tolist()))]
    return len(pairs)


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
    degree = _degrees(atoms, reach_of(atoms))
    close = np.hypot(*(atoms.positions[:, :2] - np.asarray(center, float)[:2]).T) < radius_A
    edge = np.flatnonzero((degree == 2) & close & (np.array(atoms.get_chemical_symbols()) == "C"))
    chosen = resolve_rng(rng).permutation(edge)[:n].tolist()
    symbols = atoms.get_chemical_symbols()
    for i in chosen:
        symbols[i] = element
    out = atoms.copy()
    out.set_chemical_symbols(symbols)
    return out, {"defect": f"{element} at an edge", "indices": chosen}


def add_contamination(
    atoms: Atoms,
    *,
    center: tuple[float, float],
    radius_A: float,
    thickness_A: float = 10.0,
    rng: RandomState = None,
) -> tuple[Atoms, dict[str, Any]]:
    """Lay a patch of amorphous carbon on the sheet, thick in the middle, with a wavy outline.

    Parameters
    ----------
    atoms : ase.Atoms
    center : tuple of float
        x, y [Å].
    radius_A : float
        Mean radius [Å].
    thickness_A : float
        In the middle [Å].
    rng : int, Generator or None

    Returns
    -------
    atoms : ase.Atoms
        The patch's atoms are the last ones, 3 Å above the sheet and more.
    info : dict
        ``defect``, ``indices`` (of the patch) and ``position``.
    """
    check_positive("radius_A", radius_A, unit="Å")
    rng = resolve_rng(rng)
    center = np.asarray(center, float)[:2]
    wide = 1.4 * radius_A
    film = amorphous_carbon(2 * wide, thickness_A, rng=rng)
    x, y = (film.positions[:, :2] - wide).T
    phases, turn = rng.uniform(0, 2 * np.pi, 2), np.arctan2(y, x)
    outline = radius_A * (1 + 0.2 * np.cos(2 * turn + phases[0]) + 0.12 * np.cos(3 * turn + phases[1]))
    film = film[film.positions[:, 2] < thickness_A * (1 - (np.hypot(x, y) / outline) ** 2)]
    if not len(film):
        raise ValueError(
            f"A patch of `radius_A` {radius_A:g} Å and `thickness_A` {thickness_A:g} Å holds no atom; "
            "make it larger."
        )
    film.positions += [*(center - wide), atoms.positions[:, 2].max(initial=0.0) + 3.0]
    out = atoms.copy()
    out.extend(film)
    indices = list(range(len(atoms), len(out)))
    return out, {"defect": "contamination", "indices": indices, "position": center}
