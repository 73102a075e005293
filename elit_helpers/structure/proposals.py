"""What a picture leaves open, atoms not found and heights not shown, as proposals with a probability.

Nothing is repaired in silence: a proposal is a row of a table, and becomes a part of a structure by `accept`.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from ase import Atoms
from scipy.spatial import cKDTree
from scipy.special import ndtr

from elit_helpers.core.atoms_table import flagged, one_frame, require_columns
from elit_helpers.core.checks import check_positive
from elit_helpers.geometry.bonds import find_edges
from elit_helpers.geometry.matching import match_positions
from elit_helpers.samples.materials import Material
from elit_helpers.structure.embed import ON_SITE, sites_about
from elit_helpers.structure.sheet_lattice import SheetLattice, outer_edge, sheet_lattice

ROOM_A = 1.15  # an atom nearer than this to an empty site has moved into it: the defect is closed
NEAR_A = 0.7  # a candidate this near to a site belongs to it
AROUND_A = 5.0  # the lattice of a picture bends: an empty site moves with those this near
MISSED = 0.003  # of the atoms inside a sheet that the shipped ensemble does not find: 24 of 8378 in the movie
ERROR_A = 0.055  # of a found position along x or y, measured with the shipped ensemble on the movie
SI_BOND_A = (1.775, 0.025)  # natural length of a bond of threefold Si in graphene, and how sure it is


def propose_missing(
    atoms: Atoms,
    table: pd.DataFrame | None = None,
    *,
    material: str | Material = "graphene",
    missed_share: float = MISSED,
) -> pd.DataFrame:
    """List sites of the sheet that hold no atom, each with the probability that there is one after all.

    A site is listed if two of its neighbours at least hold atoms that are not on the flake's outer edge.
    If the finder had a candidate there that was not kept, the probability is the candidate's. Else it is
    Bayes' rule: the finder should have missed a known share of all atoms, and these have to be shared
    among the sites found empty.

    Parameters
    ----------
    atoms : ase.Atoms
        A sheet or flake, from `to_atoms`.
    table : DataFrame, optional
        The table it was made from, with the candidates that were not kept.
    material : str or Material
        As for `sheet_lattice`.
    missed_share : float
        Share of the atoms that the finder misses, between 0 and 1.

    Returns
    -------
    DataFrame
        Most probable first: ``x_A, y_A, z_A, element, position_std_A, probability, reason``. A vacancy that
        has closed its ring is no empty site.
    """
    if not 0 < check_positive("missed_share", missed_share) < 1:
        raise ValueError(f"`missed_share` is {missed_share!r}; it must lie between 0 and 1.")
    lattice = sheet_lattice(atoms, material=material)
    rows, held = _empty_sites(atoms, lattice)
    missed = missed_share * held / (1 - missed_share)
    rows["probability"] = missed / max(len(rows), missed + 1)
    why = "empty site, {} neighbours; {:.2%} are missed"
    rows["reason"] = [why.format(n, missed_share) for n in rows.pop("asking")]
    if table is not None and len(rows):
        require_columns(table, ("x_A", "y_A", "element", "probability", "kept"), "table")
        _hear_candidates(rows, flagged(one_frame(table, atoms.info.get("frame", 0))), atoms)
    return rows.sort_values("probability", ascending=False, kind="stable", ignore_index=True)


def propose_heights(
    atoms: Atoms, *, bond_A: tuple[float, float] = SI_BOND_A, error_A: float = ERROR_A
) -> pd.DataFrame:
    """Say of each silicon with three carbon neighbours how likely it stands above the sheet, below, or in it.

    A picture shows bonds from above, and a bond that leaves the plane looks too short. What the three bonds
    lack of their natural length is the height. The picture never tells above from below.

    Parameters
    ----------
    atoms : ase.Atoms
        From `to_atoms`.
    bond_A : (float, float)
        Natural length of the bond and how sure it is [Å]: what tight binding and density-functional theory
        give for threefold Si in graphene. Another engine has another, and puts its Si at another height.
    error_A : float
        Error of a position along x or y [Å]; an atom whose own spread is larger has that.

    Returns
    -------
    DataFrame
        Up to three rows an atom: ``index, element, height_A`` (over the mean of its neighbours),
        ``height_std_A, probability`` (of the rows of one atom together 1) and ``reason``.
    """
    for name, value in (("error_A", error_A), ("bond_A", bond_A[0]), ("bond_A", bond_A[1])):
        check_positive(name, value, unit="Å")
    edges, symbols = find_edges(atoms), np.array(atoms.get_chemical_symbols())
    spread = np.nan_to_num(atoms.arrays.get("position_std_A", np.zeros(len(atoms)))) / np.sqrt(2)
    natural, unsure = bond_A
    rows = []
    for k in np.flatnonzero(symbols == "Si"):
        partners = edges.j[edges.i == k]
        if len(partners) != 3 or (symbols[partners] != "C").any():
            continue
        seen = float(np.linalg.norm(edges.vector[edges.i == k][:, :2], axis=1).mean())
        # The Si's own error shortens one bond by what it adds to the others: only the neighbours' count.
        error = float(np.hypot(np.sqrt(np.mean(np.maximum(spread[partners], error_A) ** 2) / 3), unsure))
        out = float(ndtr((natural - seen) / error))
        why = f"bonds look {seen:.2f} ± {error:.2f} Å, {natural:g} Å is natural"
        if natural > seen:
            height = float(np.sqrt(natural**2 - seen**2))
            rows += [(int(k), "Si", s * height, seen * error / height, out / 2, why) for s in (1.0, -1.0)]
        rows.append((int(k), "Si", 0.0, 0.0, 1 - out if natural > seen else 1.0, why))
    columns = ["index", "element", "height_A", "height_std_A", "probability", "reason"]
    return pd.DataFrame(rows, columns=columns)


def accept(atoms: Atoms, proposals: pd.DataFrame) -> Atoms:
    """Return a copy of a structure with proposals carried out: those of the table, so choose rows first.

    Parameters
    ----------
    atoms : ase.Atoms
        What the proposals were made for.
    proposals : DataFrame
        Rows of `propose_missing` or of `propose_heights`, one height an atom.

    Returns
    -------
    ase.Atoms
        Array ``proposed`` marks what was added or lifted, now or before. An added atom has the probability
        of its proposal, no member that saw it, and the lattice's spread.

    Raises
    ------
    ValueError
        The table is neither, has two heights for one atom or none such atom, or an added atom would be in
        contact with another.
    """
    out = atoms.copy()
    out.arrays.setdefault("proposed", np.zeros(len(out), bool))
    if {"index", "height_A"} <= set(proposals):
        return _lifted(out, proposals)
    if {"x_A", "y_A", "element"} <= set(proposals):
        return _filled(out, proposals)
    raise ValueError(
        f"`proposals` has the columns {list(proposals)}; pass rows of propose_missing or propose_heights."
    )


def _empty_sites(atoms: Atoms, lattice: SheetLattice) -> tuple[pd.DataFrame, int]:
    """Sites without an atom inside the sheet, how many neighbours ask for each; and how many have one."""
    xy, level = atoms.positions[:, :2], float(np.median(atoms.positions[:, 2]))
    low, high = xy.min(axis=0), xy.max(axis=0)
    sites, names = sites_about(lattice, (low + high) / 2, float(np.linalg.norm(high - low)) / 2 + 1)
    i, j = match_positions(sites[:, :2], xy, tolerance_A=ON_SITE * lattice.bond_A)
    held, firm = np.zeros(len(sites), bool), np.zeros(len(sites), bool)
    held[i], firm[i] = True, ~outer_edge(atoms, lattice.material)[j]
    # The lattice of a picture bends a little: an empty site is where its surroundings say.
    moved = xy[j] - sites[i, :2]
    around = cKDTree(sites[i, :2]).query_ball_point(sites[:, :2], AROUND_A)
    shift = np.array([moved[near].mean(axis=0) if near else np.zeros(2) for near in around])
    spread = np.array([moved[near].std(axis=0) if near else np.zeros(2) for near in around])
    beside = cKDTree(sites[:, :2]).query_ball_point(sites[:, :2], 1.2 * lattice.bond_A)
    places = [np.unique(sites[near][firm[near], :2].round(3), axis=0) for near in beside]
    asking = np.array([len(place) for place in places])  # atoms above each other ask once
    at = sites[:, :2] + shift
    free = cKDTree(xy).query(at)[0] > ROOM_A
    empty = ~held & free & (asking >= 2)
    rows = {"z_A": sites[:, 2] + level, "element": names, "position_std_A": np.hypot(*spread.T)}
    table = pd.DataFrame({"x_A": at[:, 0], "y_A": at[:, 1], **rows, "asking": asking})
    return table[empty].reset_index(drop=True), len(i)


def _hear_candidates(rows: pd.DataFrame, candidates: pd.DataFrame, atoms: Atoms) -> None:
    """Let a candidate that was not kept speak for its site, in place."""
    if candidates.empty:
        return
    offset = np.asarray(atoms.info.get("offset_A", np.zeros(3)), float)[:2]
    points = candidates[["x_A", "y_A"]].to_numpy(float) + offset
    away, nearest = cKDTree(points).query(rows[["x_A", "y_A"]].to_numpy())
    for row in np.flatnonzero(away <= NEAR_A):
        own = candidates.iloc[nearest[row]]
        spread = own.get("position_std_A", np.nan)
        rows.loc[row, ["x_A", "y_A"]] = points[nearest[row]]
        rows.loc[row, "element"] = own["element"]
        rows.loc[row, "probability"] = float(own["probability"])
        rows.loc[row, "reason"] = f"candidate not kept: {own.get('reason') or 'no reason given'}"
        if np.isfinite(spread):
            rows.loc[row, "position_std_A"] = float(spread)


def _lifted(out: Atoms, proposals: pd.DataFrame) -> Atoms:
    index = proposals["index"].to_numpy(int)
    twice = sorted(set(proposals["index"][proposals["index"].duplicated()]))
    if twice or (index < 0).any() or (index >= len(out)).any():
        wrong = f"two heights for atom {twice[0]}" if twice else f"an atom that is not among the {len(out)}"
        raise ValueError(f"`proposals` has {wrong}; keep one row an atom, such as those with height_A > 0.")
    edges, before = find_edges(out), out.positions.copy()
    for k, height in zip(index, proposals["height_A"].to_numpy(float), strict=True):
        partners = edges.j[edges.i == k]
        out.positions[k, 2] = (before[partners, 2].mean() if len(partners) else before[k, 2]) + height
    out.arrays["proposed"][index] = True
    return out


def _filled(out: Atoms, proposals: pd.DataFrame) -> Atoms:
    level = float(np.median(out.positions[:, 2]))
    z = np.broadcast_to(proposals.get("z_A", level), len(proposals))
    places = np.c_[proposals[["x_A", "y_A"]].to_numpy(float), z]
    whole = np.vstack([out.positions, places])
    pairs = cKDTree(whole).query_pairs(1.0, output_type="ndarray")
    pairs = pairs[(pairs >= len(out)).any(axis=1)]
    if len(pairs):
        x, y = whole[pairs.max(axis=1)[0], :2]
        raise ValueError(
            f"The atom proposed at ({x:.1f}, {y:.1f}) Å would stand within 1 Å of another; leave it out."
        )
    added = Atoms(proposals["element"].to_list(), places)
    given = {"probability": proposals.get("probability"), "position_std_A": proposals.get("position_std_A")}
    for name, values in out.arrays.items():
        if name not in added.arrays:
            blank = np.full((len(added), *values.shape[1:]), -1 if name == "table_row" else 0, values.dtype)
            added.arrays[name] = blank if given.get(name) is None else given[name].to_numpy(float)
    added.arrays["proposed"] = np.ones(len(added), bool)
    return out + added
