"""The bonds of a defect and of its rings, at rest and in motion, and what became of it in the end."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from ase.geometry import find_mic

from elit_helpers.geometry.bonds import COOLED, CUTOFFS, Cutoffs, find_edges
from elit_helpers.geometry.defects import defects
from elit_helpers.geometry.matching import match_positions
from elit_helpers.geometry.rings import rings

SAME_PLACE_A = 0.8  # two places of a Stone–Wales defect are at least 1.23 Å apart, two of a vacancy 1.42 Å


def defect_bonds(
    atoms: Any,
    *,
    defect: int | None = None,
    frames: Sequence[Any] = (),
    cutoffs: Cutoffs | None = None,
) -> pd.DataFrame:
    """List the bonds of a defect by numbers that walk round its rings, as the lecture's table does.

    Atom 1 is the uppermost (the leftmost of several) of the largest ring. The numbers go on counter-clockwise
    round it, then round the ring that shares most atoms with those already numbered. A foreign atom is
    number 1, and its partners follow from the top.

    Parameters
    ----------
    atoms : ase.Atoms
        The structure whose bonds they are, best one at rest.
    defect : int, optional
        Row of `defects`; the one with most atoms if not given.
    frames : sequence of ase.Atoms
        Other frames of the same atoms, such as the hot end of a run: the same bonds are measured in them.
    cutoffs : dict, optional
        Longest bonds [Å] as in `bonds`; 1.85 Å for C–C if not given. They are in ``attrs["cutoffs"]``.

    Returns
    -------
    DataFrame
        One row a bond: ``name`` ("1-2"), ``i, j`` (indices), ``length_A``; with `frames` also ``mean_A,
        std_A, longest_A`` and ``open_share``, in which share of them the bond is longer than the cut-off.
        ``attrs["rings"]`` has the numbers round each ring.

    Raises
    ------
    ValueError
        The structure has no defect, no such one, or a frame has other atoms.
    """
    cutoffs = COOLED if cutoffs is None else cutoffs
    found = defects(atoms, cutoffs=cutoffs)
    if not len(found) or (defect is not None and not 0 <= defect < len(found)):
        raise ValueError(
            f"`defect` is {defect}, but `atoms` has {len(found)} defects at this cut-off; see `defects`."
        )
    members = max(found["atoms"], key=len) if defect is None else found["atoms"][defect]
    own = [
        r for r in rings(atoms, cutoffs=cutoffs).itertuples() if r.size != 6 and set(r.atoms) <= {*members}
    ]
    edges = find_edges(atoms, cutoffs)
    ends = {(i, j) for i, j in zip(edges.i.tolist(), edges.j.tolist(), strict=True)}
    partners = [] if own else [j for i, j in ends if i == members[0]]
    number = _numbers(atoms, [r.atoms for r in own]) if own else _numbers_about(atoms, members[0], partners)
    pairs = sorted((number[i], number[j], i, j) for i, j in ends if {i, j} <= number.keys())
    pairs = [pair for pair in pairs if pair[0] < pair[1]]
    i, j = np.array([pair[2:] for pair in pairs], int).reshape(-1, 2).T
    table = pd.DataFrame({"name": [f"{a}-{b}" for a, b, *_ in pairs], "i": i, "j": j})
    table["length_A"] = _lengths(atoms, i, j)
    if len(frames):
        table = table.assign(**_in_motion(atoms, frames, i, j, cutoffs))
    table.attrs = {"cutoffs": dict(cutoffs), "rings": [tuple(number[k] for k in r.atoms) for r in own]}
    return table


def _numbers(atoms: Any, left: list[tuple[int, ...]]) -> dict[int, int]:
    """Number the atoms of rings from 1, ring by ring; `left` becomes empty."""
    order: dict[int, int] = {}
    while left:
        # Geometry alone decides, so that the numbers do not depend on the order of the atoms in the file.
        first = {ring: min(range(len(ring)), key=lambda n: _from_top(atoms, ring[n])) for ring in left}
        rank = {r: (-len({*r} & {*order}), -len(r), _from_top(atoms, r[first[r]])) for r in left}
        ring = min(left, key=rank.get)
        left.remove(ring)
        for k in ring[first[ring] :] + ring[: first[ring]]:
            order.setdefault(k, len(order) + 1)
    return order


def _numbers_about(atoms: Any, centre: int, partners: Sequence[int]) -> dict[int, int]:
    """Number a foreign atom and its partners from 1."""
    order = [centre, *sorted(partners, key=lambda k: _from_top(atoms, k))]
    return {k: n for n, k in enumerate(order, 1)}


def _from_top(atoms: Any, k: int) -> tuple[float, float]:
    """Sort atoms from the top downwards, the leftmost of a row first; a rounding error is no difference."""
    x, y = np.round(atoms.positions[k, :2], 3).tolist()
    return -y, x


def _lengths(atoms: Any, i: np.ndarray, j: np.ndarray) -> np.ndarray:
    vector = atoms.positions[j] - atoms.positions[i]
    return find_mic(vector, atoms.cell, atoms.pbc & atoms.cell.any(1))[1] if len(i) else np.zeros(0)


def _in_motion(atoms: Any, frames: Sequence[Any], i: np.ndarray, j: np.ndarray, cutoffs: Cutoffs) -> dict:
    if any(len(frame) != len(atoms) for frame in frames):
        raise ValueError("`frames` must hold the same atoms as `atoms`, in the same order.")
    lengths = np.array([_lengths(frame, i, j) for frame in frames])
    symbols = atoms.get_chemical_symbols()
    known = {frozenset(pair): length for pair, length in cutoffs.items()}
    limit = np.array(
        [known.get(frozenset((symbols[a], symbols[b])), np.nan) for a, b in zip(i, j, strict=True)]
    )
    return {
        "mean_A": lengths.mean(axis=0),
        "std_A": lengths.std(axis=0),
        "longest_A": lengths.max(axis=0),
        "open_share": (lengths > limit).mean(axis=0),
    }


def ring_bonds(frames: Any, *, sizes: Sequence[int] = (5, 7), cutoffs: Cutoffs | None = None) -> pd.DataFrame:
    """Average the mean bond of the rings of each size over frames.

    Parameters
    ----------
    frames : ase.Atoms or sequence of ase.Atoms
        One structure or many.
    sizes : sequence of int
        Sizes of the rings to report.
    cutoffs : dict, optional
        As in `bonds`; they are in ``attrs["cutoffs"]``. A ring with a bond over the cut-off is no ring of
        its size any more and does not count, so that a hot mean is that of the rings which are whole.

    Returns
    -------
    DataFrame
        Indexed by ``size``: ``count`` (rings a frame), ``mean_bond_A`` and ``std_bond_A`` over all rings of
        that size in all frames; NaN where there is none.
    """
    frames = [frames] if hasattr(frames, "positions") else list(frames)
    found = [rings(frame, cutoffs=cutoffs, max_size=max(sizes)) for frame in frames]
    by_size = pd.concat(found).groupby("size")["mean_bond_A"] if found else None
    rows = {}
    for size in sizes:
        own = (
            by_size.get_group(size)
            if by_size is not None and size in by_size.groups
            else pd.Series(dtype=float)
        )
        rows[size] = (len(own) / max(len(frames), 1), own.mean(), own.std(ddof=0))
    columns = ["count", "mean_bond_A", "std_bond_A"]
    table = pd.DataFrame.from_dict(rows, orient="index", columns=columns).rename_axis("size")
    table.attrs = {"cutoffs": dict(cutoffs or CUTOFFS)}
    return table


def fate(before: Any, after: Any, *, cutoffs: Cutoffs | None = None) -> str:
    """Say what became of the defects of a sheet.

    Both structures must be at rest (a hot snapshot has bonds that are only stretched) and lie in the same
    cell; a drift of less than half a bond is taken out. Defects of the same kind and rings within 0.8 Å of
    each other are the same; of the others, in this order:

    - none on either side: ``"unchanged"``;
    - none left after, and no rings but hexagons at all: ``"healed"``;
    - none left after, but others stayed: ``"partly healed: A gone"``;
    - none before: ``"grown: B new"``;
    - the same kinds at other places: ``"moved"``;
    - fewer atoms missing than before: ``"partly healed: A → B"``; more: ``"grown: A → B"``; as many, or
      where the lattice does not tell: ``"rearranged: A → B"``.

    Parameters
    ----------
    before, after : ase.Atoms
        Sheets or flakes. Atoms may be added or taken away between them, in any order.
    cutoffs : dict, optional
        Longest bonds [Å] as in `bonds`; 1.85 Å for C–C if not given, so that a 5-8-5 is seen as closed.

    Returns
    -------
    str
        What is before the colon is one of the six words above.
    """
    cutoffs = COOLED if cutoffs is None else cutoffs
    old, new = (defects(atoms, cutoffs=cutoffs) for atoms in (before, after))
    new[["x_A", "y_A"]] -= _drift(before, after)
    stayed = _same(old, new, before)
    gone, come = old.drop(index=stayed), new.drop(index=stayed.values())
    if not len(gone) and not len(come):
        return "unchanged"
    if not len(come):
        return f"partly healed: {_listed(gone)} gone" if new["rings"].map(len).any() else "healed"
    if not len(gone):
        return f"grown: {_listed(come)} new"
    if Counter(_labels(gone)) == Counter(_labels(come)):
        return "moved"
    change = f"{_listed(gone)} → {_listed(come)}"
    lacked, lacks = _missing(gone), _missing(come)
    if lacked is None or lacks is None or lacked == lacks:
        return f"rearranged: {change}"
    return f"{'partly healed' if lacks < lacked else 'grown'}: {change}"


def _drift(before: Any, after: Any) -> np.ndarray:
    """Median displacement (2,) of the atoms that have a partner within half a bond [Å]."""
    i, j = match_positions(after.positions[:, :2], before.positions[:, :2], tolerance_A=0.7)
    return np.median(after.positions[i, :2] - before.positions[j, :2], axis=0) if len(i) else np.zeros(2)


def _same(old: pd.DataFrame, new: pd.DataFrame, cell_of: Any) -> dict[int, int]:
    """Pair rows of two tables of defects: same kind and rings, same place, each used once."""
    periodic, pairs = cell_of.pbc & cell_of.cell.any(1), {}
    for i, j in itertools.product(old.index, new.index):
        alike = all(old.at[i, name] == new.at[j, name] for name in ("kind", "rings"))
        if not alike or i in pairs or j in pairs.values():
            continue
        away = [new.at[j, axis] - old.at[i, axis] for axis in ("x_A", "y_A")]
        if find_mic([*away, 0.0], cell_of.cell, periodic)[1] < SAME_PLACE_A:
            pairs[i] = j
    return pairs


def _missing(table: pd.DataFrame) -> int | None:
    """Atoms that these defects lack together; foreign atoms, which have no rings, lack none."""
    own = table.loc[table["rings"].map(len) > 0, "missing"]
    return None if own.isna().any() else int(own.sum())


def _labels(table: pd.DataFrame) -> list[str]:
    """Name defects so that those with other rings have another name: "hole of 4 atoms (5-5-14)"."""
    written = ["-".join(map(str, sizes)) for sizes in table["rings"]]
    return [
        f"{kind} ({sizes})" if "-" in sizes and kind.startswith("hole") and sizes not in kind else kind
        for kind, sizes in zip(table["kind"], written, strict=True)
    ]


def _listed(table: pd.DataFrame) -> str:
    counts = Counter(_labels(table))
    return " and ".join(f"{n} × {label}" if n > 1 else label for label, n in sorted(counts.items()))
