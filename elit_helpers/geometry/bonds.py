"""Who is bonded to whom: bonds as directed edges of a flat graph, their lengths and angles."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from ase.data import atomic_numbers, covalent_radii

from elit_helpers.core.checks import RandomState, require, resolve_rng
from elit_helpers.samples.materials import LONGEST_CC_A

Cutoffs = Mapping[tuple[str, str], float]

CUTOFFS: dict[tuple[str, str], float] = {
    ("C", "C"): LONGEST_CC_A, ("C", "Si"): 2.10, ("Si", "Si"): 2.50, ("C", "H"): 1.30, ("H", "Si"): 1.70,
    ("H", "H"): 0.90, ("C", "N"): 1.70, ("C", "O"): 1.65,
    # Two Mo of MoS2 are 3.16 Å apart and not bonded; their radii would make them so.
    ("Mo", "S"): 2.90, ("Mo", "Mo"): 2.90, ("S", "S"): 2.50,
}  # fmt: skip
"""Longest bond of two elements [Å]. A length or a ring means nothing without its cut-off."""

COOLED: dict[tuple[str, str], float] = CUTOFFS | {("C", "C"): 1.85}
"""The same for structures at rest: the bonds that close a 5-8-5 are 1.80 Å long in LCBOP, and no others of
the relaxed defects lie between that and the second neighbours at 2.2 Å."""


@dataclass(frozen=True)
class Edges:
    """Directed bonds: each bond twice, from `i` to `j`, as a vector [Å] and in which periodic image."""

    i: np.ndarray
    j: np.ndarray
    vector: np.ndarray
    image: np.ndarray


def find_edges(atoms: Any, cutoffs: Cutoffs | None = None) -> Edges:
    """Return all bonds shorter than the cut-off of their elements.

    Without `cutoffs` they are `CUTOFFS`, and 1.2 times the sum of the covalent radii for other pairs.

    Raises
    ------
    ValueError
        A position is not finite, or `cutoffs` lacks a pair of elements that are present.
    """
    matscipy_neighbours = require("matscipy.neighbours", "The search for bonds")
    if not np.isfinite(atoms.positions).all():
        raise ValueError("`atoms` has positions that are not finite; drop or repair those atoms first.")
    if len(atoms) < 2:
        none = np.zeros(0, int)
        return Edges(none, none, np.zeros((0, 3)), np.zeros((0, 3), int))
    table = complete_cutoffs(cutoffs, sorted(set(atoms.get_chemical_symbols())))
    i, j, vector, image = matscipy_neighbours.neighbour_list("ijDS", boxed(atoms), table)
    return Edges(i, j, vector, image)


def complete_cutoffs(cutoffs: Cutoffs | None, elements: list[str]) -> dict[tuple[str, str], float]:
    """The longest bond of each pair of these elements [Å]."""
    known = {frozenset(pair): float(length) for pair, length in (cutoffs or CUTOFFS).items()}
    pairs = [(a, b) for n, a in enumerate(elements) for b in elements[n:]]
    missing = [pair for pair in pairs if frozenset(pair) not in known]
    if missing and cutoffs and cutoffs is not COOLED:
        names = ", ".join("–".join(pair) for pair in missing)
        raise ValueError(f"`cutoffs` has no length [Å] for {names}; pass a dict that has {missing[0]!r} too.")
    for pair in missing:
        known[frozenset(pair)] = 1.2 * sum(covalent_radii[atomic_numbers[element]] for element in pair)
    return {pair: known[frozenset(pair)] for pair in pairs}


def boxed(atoms: Any) -> Any:
    """Give directions without a cell vector one that holds the atoms, as the neighbour search needs three."""
    if atoms.cell.rank == 3:
        return atoms
    boxed, missing = atoms.copy(), ~atoms.cell.any(1)
    boxed.set_cell(atoms.cell.complete() * np.where(missing, np.ptp(atoms.positions) + 10, 1.0)[:, None])
    return boxed


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
