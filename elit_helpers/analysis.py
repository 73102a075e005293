"""Pure numbers on tables of atoms and on structures: how good, how sure, how bonded, how different.

Nothing here reads a file, trains or simulates. Tables are those of `locate`; structures are `ase.Atoms`
whose x and y lie in the plane of the sheet.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse.csgraph import connected_components

from elit_helpers._common import RandomState, check_choice, resolve_rng
from elit_helpers._matching import align, match_positions
from elit_helpers._reliability import calibration_error, reliability, true_labels
from elit_helpers._rings import Cutoffs, Edges, find_edges, prune, walk_faces
from elit_helpers._scores import GRAPHENE_BOND_A, nearest_neighbour_share, rms, score_atoms
from elit_helpers._uncertainty import (
    atom_uncertainty,
    label_candidates,
    members_table,
    missed_atoms,
    uncertainty_auroc,
)

__all__ = [
    "angles", "atom_uncertainty", "bond_spread", "bonds", "calibration_error", "compare_structures",
    "coordination", "defects", "edge_atoms", "label_candidates", "members_table", "missed_atoms",
    "nearest_neighbour_share", "reliability", "ring_census", "rings", "score_atoms", "true_labels",
    "uncertainty_auroc",
]  # fmt: skip


# ---------------------------------------------------------------- bonds, angles, rings


def bonds(atoms: Any, *, cutoffs: Cutoffs | None = None) -> pd.DataFrame:
    """List who is bonded to whom.

    Parameters
    ----------
    atoms : ase.Atoms
        Structure; bonds cross those cell walls that are periodic.
    cutoffs : dict, optional
        Longest bond for each pair of elements [Å]. By default C–C 1.75, C–Si 2.10, Si–Si 2.50, C–H 1.30,
        and 1.2 times the sum of the covalent radii for others.

    Returns
    -------
    DataFrame
        One row a bond: ``i, j, element_i, element_j, pair`` ("C-Si"), ``length_A``; if the structure has
        ``position_std_A`` (root mean square distance in the plane), ``length_std_A``: what of it lies along
        the bond, half of the variance of each end.
    """
    edges = find_edges(atoms, cutoffs)
    once = _once(edges)
    i, j = edges.i[once], edges.j[once]
    symbols = np.array(atoms.get_chemical_symbols(), object)
    pair = ["-".join(sorted(ends)) for ends in zip(symbols[i], symbols[j], strict=True)]
    table = pd.DataFrame(
        {
            "i": i,
            "j": j,
            "element_i": symbols[i],
            "element_j": symbols[j],
            "pair": pair,
            "length_A": np.linalg.norm(edges.vector[once], axis=1),
        }
    )
    if "position_std_A" in atoms.arrays:
        spread = atoms.arrays["position_std_A"]
        table["length_std_A"] = np.hypot(spread[i], spread[j]) / np.sqrt(2)
    return table


def _once(edges: Edges) -> np.ndarray:
    """Mark one of the two directions of each bond; one to its own image is told apart by the image."""
    image = [tuple(shift) for shift in edges.image]
    ends = zip(edges.i, edges.j, image, strict=True)
    return np.array([(i, j, s) < (j, i, tuple(-x for x in s)) for i, j, s in ends], bool)


def angles(atoms: Any, *, cutoffs: Cutoffs | None = None) -> pd.DataFrame:
    """List the angles between the bonds of each atom.

    Returns
    -------
    DataFrame
        One row an angle i–j–k with the corner in the middle: ``i, j, k``, ``elements`` ("C-Si-C") and
        ``angle_deg``.
    """
    edges = find_edges(atoms, cutoffs)
    unit = edges.vector / np.linalg.norm(edges.vector, axis=1, keepdims=True)
    symbols, rows = atoms.get_chemical_symbols(), []
    for own in np.split(np.arange(len(edges.i)), np.flatnonzero(np.diff(edges.i)) + 1):
        for first, second in itertools.combinations(own, 2):
            i, j, k = edges.j[first], edges.i[first], edges.j[second]
            angle = np.degrees(np.arccos(np.clip(unit[first] @ unit[second], -1, 1)))
            rows.append((i, j, k, f"{symbols[i]}-{symbols[j]}-{symbols[k]}", angle))
    return pd.DataFrame(rows, columns=["i", "j", "k", "elements", "angle_deg"])


def coordination(atoms: Any, *, cutoffs: Cutoffs | None = None) -> np.ndarray:
    """Return how many bonds each atom has, (N,) int."""
    return np.bincount(find_edges(atoms, cutoffs).i, minlength=len(atoms))


def edge_atoms(atoms: Any, *, cutoffs: Cutoffs | None = None) -> np.ndarray:
    """Return which atoms lie on the outer edge of a flake or ribbon, (N,) bool; dangling ones included."""
    edges = prune(find_edges(atoms, cutoffs), len(atoms))
    outer = np.ones(len(atoms), bool)
    outer[edges.i] = False
    for face in walk_faces(edges):
        if face.area < 0 or not face.closed:
            outer[face.atoms] = True
    return outer


def rings(atoms: Any, *, cutoffs: Cutoffs | None = None, max_size: int | None = None) -> pd.DataFrame:
    """List the rings of a sheet, seen along z.

    Parameters
    ----------
    atoms : ase.Atoms
        A sheet or a flake; bonds must not cross when seen from above.
    cutoffs : dict, optional
        As in `bonds`. One bond more or less over the cut-off turns two rings into one.
    max_size : int, optional
        Leave out larger rings; a hole is a large ring.

    Returns
    -------
    DataFrame
        One row a ring: ``size``, ``atoms`` (tuple of indices, counter-clockwise), ``mean_bond_A``,
        ``x_A, y_A`` of its centre and ``area_A2``.
    """
    edges, rows = prune(find_edges(atoms, cutoffs), len(atoms)), []
    for face in walk_faces(edges):
        size = len(face.atoms)
        if face.closed and face.area > 0 and (max_size is None or size <= max_size):
            corner = atoms.positions[face.atoms[0]] + np.cumsum(face.vectors, axis=0)
            rows.append(
                (
                    size,
                    tuple(face.atoms.tolist()),
                    np.linalg.norm(face.vectors, axis=1).mean(),
                    *corner.mean(axis=0)[:2],
                    face.area,
                )
            )
    table = pd.DataFrame(rows, columns=["size", "atoms", "mean_bond_A", "x_A", "y_A", "area_A2"])
    return table.sort_values(["size", "y_A", "x_A"], ignore_index=True)


def ring_census(atoms: Any, *, cutoffs: Cutoffs | None = None, max_size: int = 12) -> pd.DataFrame:
    """Count rings by size, with the mean bond of each size and its spread.

    Returns
    -------
    DataFrame
        Indexed by ``size``: ``count``, ``mean_bond_A`` and ``std_bond_A`` over the rings of that size.
    """
    table = rings(atoms, cutoffs=cutoffs, max_size=max_size)
    means = table.groupby("size")["mean_bond_A"]
    return pd.DataFrame({"count": means.size(), "mean_bond_A": means.mean(), "std_bond_A": means.std(ddof=0)})


def defects(atoms: Any, *, cutoffs: Cutoffs | None = None) -> pd.DataFrame:
    """Name what is not perfect graphene: groups of touching non-hexagons, and foreign atoms.

    Returns
    -------
    DataFrame
        One row a defect: ``kind`` ("Stone–Wales 5-7-7-5", "hole", "Si with 3 C", …), ``rings`` (sizes),
        ``atoms`` (tuple of indices), ``x_A, y_A``. The outer edge of a flake is not a defect.
    """
    table, columns = rings(atoms, cutoffs=cutoffs), ["kind", "rings", "atoms", "x_A", "y_A"]
    odd = table[table["size"] != 6].reset_index(drop=True)
    # Rings that share a bond belong together; one atom in common is only a touch.
    shared = np.array([[len(set(p) & set(q)) > 1 for q in odd["atoms"]] for p in odd["atoms"]])
    _, group = connected_components(shared.reshape(len(odd), len(odd)), directed=False)
    rows = []
    for _, members in odd.groupby(group):
        sizes = tuple(sorted(members["size"]))
        inside = tuple(sorted(set(itertools.chain(*members["atoms"]))))
        rows.append((_defect_name(sizes), sizes, inside, members["x_A"].mean(), members["y_A"].mean()))
    return pd.DataFrame(rows + _foreign_atoms(atoms, cutoffs), columns=columns)


_DEFECT_NAMES = {
    (5, 7): "dislocation 5-7", (5, 5, 7, 7): "Stone–Wales 5-7-7-5", (5, 5, 8): "divacancy 5-8-5",
    (5, 5, 5, 7, 7, 7): "divacancy 555-777",
    (5, 9): "vacancy 5-9", (12,): "vacancy, not closed", (14,): "divacancy, not closed",
    (5, 5, 5, 5, 7, 7, 7, 7): "divacancy 5555-6-7777",
}  # fmt: skip


def _defect_name(sizes: tuple[int, ...]) -> str:
    if sizes in _DEFECT_NAMES:
        return _DEFECT_NAMES[sizes]
    return "hole" if max(sizes) > 9 else "rings " + "-".join(map(str, sizes))


def _foreign_atoms(atoms: Any, cutoffs: Cutoffs | None) -> list[tuple]:
    symbols = np.array(atoms.get_chemical_symbols(), object)
    edges, rows = find_edges(atoms, cutoffs), []
    for index in np.flatnonzero((symbols != "C") & (symbols != "H")):
        partners, counts = np.unique(symbols[edges.j[edges.i == index]].astype(str), return_counts=True)
        bonded = " and ".join(f"{n} {p}" for p, n in zip(partners, counts, strict=True)) or "no bond"
        rows.append((f"{symbols[index]} with {bonded}", (), (int(index),), *atoms.positions[index, :2]))
    return rows


# ---------------------------------------------------------------- differences, error bars


def compare_structures(
    a: Any, b: Any, *, remove: Sequence[str] = ("drift", "rotation", "scale"), tolerance_A: float = 0.7
) -> dict[str, Any]:
    """Measure how far the atoms of `a` are from those of `b`, in the plane.

    `a` is first moved onto `b` by what `remove` names. Partners are found outwards from the middle, so
    that a wrong scale, which shifts the rim most, does not pair wrong atoms there.

    Parameters
    ----------
    a, b : ase.Atoms
        Structures of the same region; elements need not agree, periodic ones must be unwrapped alike.
    remove : sequence of {"drift", "rotation", "scale"}
        What is no difference; an empty one compares positions as they stand. Drift goes with the others,
        because there is no point in the picture that is known to have stayed in place.
    tolerance_A : float
        Largest distance of a pair after moving [Å]; half a bond is 0.71.

    Returns
    -------
    dict
        ``matched, only_a, only_b, element_changes``; ``drift_A`` (2,), ``rotation_deg``, ``scale`` (what
        took `a` to `b`); ``rmse_A, max_A, mean_dx_A, mean_dy_A`` (mean absolute); ``percent_x, percent_y``
        (of the mean coordinate, measured from the corner of `b`); ``percent_of_bond_x, …_y`` (of 1.42 Å);
        ``pairs`` (DataFrame ``a, b, dx_A, dy_A, distance_A``).

    Raises
    ------
    ValueError
        `remove` names something else or leaves the drift in, or fewer than three atoms have partners.
    """
    for name in remove:
        check_choice("remove", name, ("drift", "rotation", "scale"))
    if remove and "drift" not in remove:
        raise ValueError(f"`remove` is {remove!r}; rotation and scale can only go together with the drift.")
    here, there = a.positions[:, :2], b.positions[:, :2]
    moved, fit = align(here, there, remove=remove, tolerance_A=tolerance_A)
    i, j = match_positions(moved, there, tolerance_A=tolerance_A)
    if len(i) < 3:
        raise ValueError(f"Only {len(i)} atoms of `a` have a partner in `b`; are they the same region?")
    delta = moved[i] - there[j]
    mean = np.abs(delta).mean(axis=0)
    corner = there[j] - there[j].min(axis=0)
    percent, of_bond = 100 * mean / corner.mean(axis=0), 100 * mean / GRAPHENE_BOND_A
    distance = np.linalg.norm(delta, axis=1)
    symbols_a, symbols_b = (np.array(s.get_chemical_symbols())[k] for s, k in ((a, i), (b, j)))
    return {
        "matched": len(i), "only_a": len(a) - len(i), "only_b": len(b) - len(j),
        "element_changes": int((symbols_a != symbols_b).sum()), **fit,
        "rmse_A": rms(distance), "max_A": float(distance.max()),
        "mean_dx_A": float(mean[0]), "mean_dy_A": float(mean[1]),
        "percent_x": float(percent[0]), "percent_y": float(percent[1]),
        "percent_of_bond_x": float(of_bond[0]), "percent_of_bond_y": float(of_bond[1]),
        "pairs": pd.DataFrame({"a": i, "b": j, "dx_A": delta[:, 0], "dy_A": delta[:, 1],
                               "distance_A": distance}),
    }  # fmt: skip


def bond_spread(
    atoms: Any, *, samples: int = 200, cutoffs: Cutoffs | None = None, rng: RandomState = None
) -> tuple[pd.DataFrame, np.ndarray]:
    """Carry the spread of the positions to the bonds by drawing structures within it.

    Parameters
    ----------
    atoms : ase.Atoms
        Structure with the array ``position_std_A``, the root mean square distance in the plane: along x
        and along y an atom is spread by 1/√2 of it.
    samples : int
        Structures to draw; the bonds are those of `atoms` in each.
    cutoffs : dict, optional
        As in `bonds`.
    rng : int, Generator or None
        Seed or generator.

    Returns
    -------
    DataFrame, (samples,) float array
        `bonds` with ``sampled_mean_A, sampled_std_A`` (noise makes a bond longer on average, as moving an
        end sideways never shortens it), and the mean bond of every drawn structure [Å].

    Raises
    ------
    ValueError
        The structure has no finite ``position_std_A``.
    """
    spread = atoms.arrays.get("position_std_A")
    if spread is None or not np.isfinite(spread).all():
        raise ValueError("`atoms` needs a finite array `position_std_A`; `to_atoms` sets it from the table.")
    generator, table = resolve_rng(rng), bonds(atoms, cutoffs=cutoffs)
    edges = find_edges(atoms, cutoffs)
    straight = edges.vector[_once(edges)]
    noise = generator.normal(size=(samples, len(atoms), 2)) * (spread[:, None] / np.sqrt(2))
    bent = np.repeat(straight[None], samples, axis=0)
    bent[..., :2] += noise[:, table["j"]] - noise[:, table["i"]]
    length = np.linalg.norm(bent, axis=2)
    return table.assign(sampled_mean_A=length.mean(0), sampled_std_A=length.std(0)), length.mean(axis=1)
