"""Names for what is not perfect graphene.

A defect is a group of non-hexagons that share bonds. Its name follows from the sizes of its rings and from
how many atoms it lacks, which the lattice round it tells exactly: see `_missing_atoms`.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from ase.geometry import find_mic
from scipy.sparse.csgraph import connected_components

from elit_helpers.geometry.bonds import Cutoffs, find_edges
from elit_helpers.geometry.rings import prune, rings


def defects(atoms: Any, *, cutoffs: Cutoffs | None = None) -> pd.DataFrame:
    """Name what is not perfect graphene: groups of touching non-hexagons, and foreign atoms.

    Parameters
    ----------
    atoms : ase.Atoms
        A sheet or a flake.
    cutoffs : dict, optional
        As in `bonds`. It decides the name: the bonds that close a 5-8-5 are about 1.8 Å long in LCBOP, so
        that it is a "divacancy, not closed" at 1.75 Å (the default) and a 5-8-5 at 1.85 Å.

    Returns
    -------
    DataFrame
        One row a defect: ``kind`` ("Stone–Wales 5-7-7-5", "hole of 6 atoms", "Si with 3 C", …), ``rings``
        (sizes), ``atoms`` (tuple of indices), ``x_A, y_A``, and ``missing``, the atoms that a perfect sheet
        has more there (<NA> where the lattice round it does not tell: at a dislocation, at the edge of a
        flake, for a foreign atom). The outer edge of a flake is not a defect.
    """
    table = rings(atoms, cutoffs=cutoffs)
    odd = table[table["size"] != 6].reset_index(drop=True)
    # Rings that share a bond belong together; one atom in common is only a touch.
    shared = np.array([[len(set(p) & set(q)) > 1 for q in odd["atoms"]] for p in odd["atoms"]])
    _, group = connected_components(shared.reshape(len(odd), len(odd)), directed=False)
    edges = prune(find_edges(atoms, cutoffs), len(atoms))
    degree, rows = np.bincount(edges.i, minlength=len(atoms)), []
    for _, members in odd.groupby(group):
        sizes = tuple(sorted(members["size"]))
        inside = tuple(sorted(set(itertools.chain(*members["atoms"]))))
        missing = _missing_atoms(list(members["atoms"]), degree)
        middle = _middle(members[["x_A", "y_A"]].to_numpy(), atoms)
        rows.append((_name(sizes, missing), sizes, inside, *middle, missing))
    columns = ["kind", "rings", "atoms", "x_A", "y_A", "missing"]
    found = pd.DataFrame(rows + _foreign_atoms(atoms, cutoffs), columns=columns)
    return found.astype({"missing": "Int64"})


_NAMES = {
    (5, 7): ("dislocation 5-7", None),
    (5, 5, 7, 7): ("Stone–Wales 5-7-7-5", 0),
    (12,): ("vacancy, not closed", 1),
    (5, 9): ("vacancy 5-9", 1),
    (14,): ("divacancy, not closed", 2),
    (5, 5, 8): ("divacancy 5-8-5", 2),
    (5, 5, 5, 7, 7, 7): ("divacancy 555-777", 2),
    (5, 5, 5, 5, 7, 7, 7, 7): ("divacancy 5555-6-7777", 2),
}
"""Sizes of the rings → name, and how many atoms are missing where that can be told."""


def _name(sizes: tuple[int, ...], missing: int | None) -> str:
    name, expected = _NAMES.get(sizes, ("", None))
    if name and missing in (None, expected):
        return name
    written = "-".join(map(str, sizes))
    if missing in (1, 2):
        return f"{'di' if missing == 2 else ''}vacancy {written}"
    if missing is not None and missing > 2:
        return f"hole of {missing} atoms" + (f", closed to {written}" if max(sizes) <= 9 else "")
    if max(sizes) > 9 and missing is None:  # large for lack of a bond, not of an atom, it is no hole
        return "hole"
    return f"rings {written}"


def _missing_atoms(group: Sequence[tuple[int, ...]], degree: np.ndarray) -> int | None:
    """Count the atoms that a perfect sheet has more inside the outline of a group of rings.

    The outline is copied into a perfect lattice by its turns alone: left by 60° at an atom with a bond
    outwards, right by 60° at one without. If the copy closes, it encloses H hexagons, and with b atoms on it
    2 H − b/2 + 1 atoms within. If it does not, there is a dislocation or an edge, and the answer is None.
    """
    steps = {(i, j) for ring in group for i, j in zip(ring, (*ring[1:], ring[0]), strict=True)}
    inner = {(j, i) for i, j in steps}
    after = dict(sorted(steps - inner))
    if len(after) < len(steps - inner):
        return None  # the outline touches itself
    inside: dict[int, set[int]] = {}
    for i, j in steps | inner:
        inside.setdefault(i, set()).add(j)
    expected, outlines, present = 0, 0, len(inside)
    while after:
        loop = [next(iter(after))]
        while (following := after.pop(loop[-1])) != loop[0]:
            loop.append(following)
        outward = degree[loop] - [len(inside[i]) for i in loop]
        enclosed = _enclosed_atoms(outward) if set(outward.tolist()) <= {0, 1} else None
        if enclosed is None:
            return None
        if (outward == 1).sum() > len(loop) / 2:  # the outer one; others go round islands of hexagons
            expected, present, outlines = enclosed, present - len(loop), outlines + 1
        else:
            present += enclosed
    return expected - present if outlines == 1 else None


def _enclosed_atoms(outward: np.ndarray) -> int | None:
    """Return the atoms inside a closed walk on the perfect lattice, None if these turns do not close it."""
    heading = np.cumsum(np.where(outward == 1, 1, -1))
    corner = np.cumsum(np.exp(1j * np.pi / 3 * heading))
    if abs(heading[-1]) != 6 or abs(corner[-1]) > 1e-6:
        return None
    area = abs(np.sum(corner.real * np.roll(corner.imag, -1) - corner.imag * np.roll(corner.real, -1))) / 2
    hexagons = area / (1.5 * np.sqrt(3))
    return round(2 * hexagons - len(outward) / 2 + 1)


def _middle(centres: np.ndarray, atoms: Any) -> np.ndarray:
    """Average centres of rings (M, 2) that may lie on both sides of a periodic wall."""
    away = np.c_[centres - centres[0], np.zeros(len(centres))]
    near, _ = find_mic(away, atoms.cell, atoms.pbc & atoms.cell.any(1))
    return centres[0] + near[:, :2].mean(axis=0)


def _foreign_atoms(atoms: Any, cutoffs: Cutoffs | None) -> list[tuple]:
    symbols = np.array(atoms.get_chemical_symbols(), object)
    edges, rows = find_edges(atoms, cutoffs), []
    for index in np.flatnonzero((symbols != "C") & (symbols != "H")):
        partners, counts = np.unique(symbols[edges.j[edges.i == index]].astype(str), return_counts=True)
        bonded = " and ".join(f"{n} {p}" for p, n in zip(partners, counts, strict=True)) or "no bond"
        kind = f"{symbols[index]} with {bonded}"
        rows.append((kind, (), (int(index),), *atoms.positions[index, :2], None))
    return rows
