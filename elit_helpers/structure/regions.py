"""Regions worth a simulation, pieces of a structure, and round flakes with a hydrogen edge."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from ase import Atoms
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from elit_helpers.core.checks import check_positive
from elit_helpers.geometry.bonds import coordination, find_edges
from elit_helpers.geometry.defects import defects
from elit_helpers.geometry.rings import edge_atoms, rings

HYDROGEN_BOND_A = {"C": 1.09, "Si": 1.48}
HYDROGEN_CONTACT_A = 1.5  # two H closer than this share one gap in the edge


def cut_region(
    atoms: Atoms,
    center: Sequence[float],
    *,
    radius_A: float | None = None,
    box_A: Sequence[float] | None = None,
) -> Atoms:
    """Cut the atoms within a radius, or within a box, about a point of the plane.

    Parameters
    ----------
    atoms : ase.Atoms
        Structure to cut from; positions and cell stay as they are.
    center : (2,) sequence of float
        x, y [Å].
    radius_A : float, optional
        Radius [Å]; or
    box_A : (2,) sequence of float, optional
        Full width and height [Å].

    Raises
    ------
    ValueError
        Both or none of `radius_A` and `box_A` are given, or the region holds no atom.
    """
    if (radius_A is None) == (box_A is None):
        raise ValueError("Give either `radius_A` or `box_A` [Å], not both and not none.")
    away = atoms.positions[:, :2] - np.asarray(center, float)[:2]
    if radius_A is not None:
        inside = np.linalg.norm(away, axis=1) <= check_positive("radius_A", radius_A, unit="Å")
    else:
        inside = (np.abs(away) <= np.asarray(box_A, float) / 2).all(axis=1)
    if not inside.any():
        low, high = atoms.positions[:, :2].min(axis=0), atoms.positions[:, :2].max(axis=0)
        raise ValueError(
            f"The region about {tuple(np.round(center, 2))} holds no atom; the structure spans x "
            f"{low[0]:.1f} to {high[0]:.1f} Å and y {low[1]:.1f} to {high[1]:.1f} Å."
        )
    return atoms[inside]


def patch(
    atoms: Atoms, center: Sequence[float], *, radius_A: float, passivate: bool = True, vacuum_A: float = 12.0
) -> Atoms:
    """Cut a round flake that a quantum calculation can afford, its edge closed with hydrogen.

    Atoms that the cut left hanging by one bond are left out, and an atom that would close a ring is taken
    along, so that no two hydrogens are put into the same gap. A defect inside is not passivated.

    Parameters
    ----------
    atoms : ase.Atoms
        Structure to cut from.
    center : (2,) sequence of float
        x, y of the middle [Å].
    radius_A : float
        Radius of the cut [Å].
    passivate : bool
        False leaves the edge bare.
    vacuum_A : float
        Empty space on every side of the flake [Å]; it stands in the middle of its cell, not periodic.

    Returns
    -------
    ase.Atoms
        Array ``added`` marks the hydrogens; ``info["offset_A"]`` is what was added to the picture's
        coordinates, ``info["hydrogens"]`` how many there are, ``info["bare_edge_atoms"]`` how many edge
        atoms had no room for one.

    Raises
    ------
    ValueError
        The region is empty, or reaches beyond the structure, or nothing holds together in it.
    """
    check_region(atoms, center, radius_A)
    flake = atoms[_patch_atoms(atoms, np.asarray(center, float)[:2], radius_A)]
    flake.arrays["added"] = np.zeros(len(flake), bool)
    hydrogens = _hydrogens(flake) if passivate else Atoms()
    bare = int((edge_atoms(flake) & (coordination(flake) < 3)).sum()) - len(hydrogens)
    for name, values in flake.arrays.items():
        if name not in hydrogens.arrays and len(hydrogens):
            hydrogens.arrays[name] = np.zeros(len(hydrogens), values.dtype)
    flake += hydrogens
    return _centred(flake, vacuum_A, hydrogens=len(hydrogens), bare_edge_atoms=bare)


def check_region(atoms: Atoms, center: Sequence[float], radius: float) -> None:
    """Refuse a round region that holds no atom, or is larger than the structure."""
    cut_region(atoms, center, radius_A=radius)
    extent = np.ptp(atoms.positions[:, :2], axis=0)
    if 2 * radius > extent.max():
        raise ValueError(
            f"`radius_A` is {radius:g} Å, but the structure is only {extent[0]:.1f} × {extent[1]:.1f} Å; "
            f"give less than {extent.min() / 2:.1f} Å."
        )


def _centred(flake: Atoms, vacuum: float, **info: int) -> Atoms:
    low, high = flake.positions.min(axis=0), flake.positions.max(axis=0)
    offset = vacuum - low
    before = np.asarray(flake.info.get("offset_A", np.zeros(3)), float)
    flake.positions += offset
    flake.cell = high - low + 2 * vacuum
    flake.pbc = False
    flake.info.update(offset_A=before + offset, vacuum_A=float(vacuum), **info)
    return flake


def _patch_atoms(atoms: Atoms, center: np.ndarray, radius: float) -> np.ndarray:
    """Choose the atoms of a patch: the disk, without hanging ends, rings short of one atom made whole."""
    edges, n = find_edges(atoms), len(atoms)
    whole = np.bincount(edges.i, minlength=n)
    chosen = np.linalg.norm(atoms.positions[:, :2] - center, axis=1) <= radius
    small = [list(ring) for ring in rings(atoms, max_size=8)["atoms"]]
    while True:
        before = chosen.copy()
        inner = chosen[edges.i] & chosen[edges.j]
        degree = np.bincount(edges.i[inner], minlength=n)
        chosen &= ~((degree < 2) & (whole > 1))
        for ring in small:
            if chosen[ring].sum() == len(ring) - 1:
                chosen[ring] = True
        if (chosen == before).all():
            break
    inner = chosen[edges.i] & chosen[edges.j]
    graph = coo_matrix((np.ones(inner.sum()), (edges.i[inner], edges.j[inner])), shape=(n, n))
    label = np.where(chosen, connected_components(graph, directed=False)[1], -1)
    if not chosen.any():
        raise ValueError(f"No ring fits into `radius_A` = {radius:g} Å; make it larger than 3 Å.")
    return label == np.bincount(label[chosen]).argmax()


def _hydrogens(flake: Atoms) -> Atoms:
    """Put one H on every atom of the outer edge that lacks a bond, away from the bonds it has."""
    edges, symbols = find_edges(flake), flake.get_chemical_symbols()
    lacking = edge_atoms(flake) & (np.bincount(edges.i, minlength=len(flake)) < 3)
    places: list[np.ndarray] = []
    for k in np.flatnonzero(lacking):
        bonds = edges.vector[edges.i == k][:, :2]
        outward = -(bonds / np.linalg.norm(bonds, axis=1, keepdims=True)).sum(axis=0)
        if symbols[k] in HYDROGEN_BOND_A and np.linalg.norm(outward) > 0.1:
            step = HYDROGEN_BOND_A[symbols[k]] * outward / np.linalg.norm(outward)
            place = flake.positions[k] + [*step, 0.0]
            others = np.delete(flake.positions, k, axis=0)
            free = all(np.linalg.norm(place - h) > HYDROGEN_CONTACT_A for h in places)
            if free and np.linalg.norm(others - place, axis=1).min() > HYDROGEN_CONTACT_A:
                places.append(place)
    hydrogens = Atoms(f"H{len(places)}" if places else "", np.array(places).reshape(-1, 3))
    hydrogens.arrays["added"] = np.ones(len(places), bool)
    return hydrogens


def regions_of_interest(atoms: Atoms, *, merge_A: float = 4.0, spread_factor: float = 4.0) -> pd.DataFrame:
    """Find the places of a sheet that are worth a simulation, with the reason for each.

    Named are groups of rings that are not hexagons, foreign atoms, atoms inside the sheet without three
    bonds, and atoms whose position is far less certain than the others'. Places closer than `merge_A`
    become one. The outer edge of the flake is the picture's doing and is left out.

    Parameters
    ----------
    atoms : ase.Atoms
        A sheet or flake, from `to_atoms`.
    merge_A : float
        Distance below which two places are one [Å].
    spread_factor : float
        How many times the median a position's spread must be to be a reason.

    Returns
    -------
    DataFrame
        One row a region, most reasons first: ``x_A, y_A, radius_A`` (of the atoms that gave the reason),
        ``atoms`` (tuple of indices), ``reason``.
    """
    found = [(row.atoms, row.kind) for row in defects(atoms).itertuples()]
    inside = ~edge_atoms(atoms)
    n_bonds = coordination(atoms)
    odd = inside & (n_bonds != 3) & (np.array(atoms.get_chemical_symbols()) == "C")
    found += [((int(k),), f"C with {n_bonds[k]} bonds") for k in np.flatnonzero(odd)]
    if "position_std_A" in atoms.arrays and len(atoms):
        spread = atoms.arrays["position_std_A"]
        wide = inside & (spread > spread_factor * np.nanmedian(spread)) & (spread > 0.05)
        found += [((int(k),), "uncertain position") for k in np.flatnonzero(wide)]
    return _merge_regions(atoms, found, merge_A)


def _merge_regions(atoms: Atoms, found: Sequence[tuple[tuple[int, ...], str]], merge: float) -> pd.DataFrame:
    columns = ["x_A", "y_A", "radius_A", "atoms", "reason"]
    if not found:
        return pd.DataFrame(columns=columns)
    xy = atoms.positions[:, :2]
    centre = np.array([xy[list(members)].mean(axis=0) for members, _ in found])
    near = np.linalg.norm(centre[:, None] - centre[None], axis=2) < merge
    overlap = np.array([[bool(set(p) & set(q)) for q, _ in found] for p, _ in found])
    _, group = connected_components(near | overlap, directed=False)
    rows = []
    for label in range(group.max() + 1):
        own = [found[k] for k in np.flatnonzero(group == label)]
        members = sorted(set().union(*(m for m, _ in own)))
        middle = xy[members].mean(axis=0)
        reasons = pd.Series([reason for _, reason in own]).value_counts(sort=False)
        text = "; ".join(f"{n} × {why}" if n > 1 else why for why, n in reasons.items())
        radius = float(np.linalg.norm(xy[members] - middle, axis=1).max())
        rows.append((*middle, radius, tuple(members), text, len(reasons)))
    table = pd.DataFrame(rows, columns=[*columns, "n"]).sort_values(["n", "radius_A"], ascending=False)
    return table.drop(columns="n").reset_index(drop=True)
