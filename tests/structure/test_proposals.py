"""What a picture leaves open is proposed with a probability, and carried out only when asked."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sheets import with_errors
from tables import found_table

import elit_helpers as eh
from elit_helpers.samples.sheets import nearest

MIDDLE = (14.0, 14.0)


def table(angle=17.0, noise=0.0, seed=0):
    """A table of graphene as `locate_atoms` makes it."""
    sheet = with_errors(eh.sheet("graphene", (28.0, 28.0), angle=angle), noise, seed)
    return found_table(sheet.positions[:, :2], probability=0.95)


def row_at(found, point):
    return int(np.argmin(np.hypot(found["x_A"] - point[0], found["y_A"] - point[1])))


def with_candidate(probability=0.4, element="C"):
    """A table in which the atom of the middle is a candidate that was not kept."""
    found = table(noise=0.03)
    gone = row_at(found, MIDDLE)
    changed = {"kept": False, "reason": "low probability", "probability": probability, "element": element}
    found.loc[gone, list(changed)] = list(changed.values())
    return found, gone


def silicon(height=0.0, noise=0.0):
    """A sheet with a Si in the middle whose bonds are 1.775 Å long in space: from above they look shorter."""
    sheet = eh.sheet("graphene", (28.0, 28.0))
    at = nearest(sheet, MIDDLE)
    sheet, _ = eh.substitute(sheet, at, "Si")
    near = np.argsort(np.linalg.norm(sheet.positions - sheet.positions[at], axis=1))[1:4]
    away = sheet.positions[near, :2] - sheet.positions[at, :2]
    seen = np.sqrt(1.775**2 - height**2) / np.linalg.norm(away, axis=1, keepdims=True)
    sheet.positions[near, :2] = sheet.positions[at, :2] + away * seen
    return with_errors(sheet, noise, seed=3), at


# ---------------------------------------------------------------- atoms that were not found


def test_perfect_sheet_misses_nothing():
    atoms = eh.to_atoms(table(noise=0.05))
    assert eh.propose_missing(atoms).empty


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**31), st.floats(0, 30))
def test_each_empty_site_of_any_sheet_is_proposed_where_it_is(seed, angle):
    rng, found = np.random.default_rng(seed), table(angle, noise=0.04, seed=seed)
    inner = np.flatnonzero(found[["x_A", "y_A"]].sub(14).abs().max(axis=1) < 9)
    gone = rng.choice(inner, 3, replace=False)
    places = eh.sheet("graphene", (28.0, 28.0), angle=angle).positions[gone, :2]
    apart = np.linalg.norm(places[:, None] - places, axis=2)[np.triu_indices(3, 1)]
    proposals = eh.propose_missing(eh.to_atoms(found.drop(index=gone)))
    away = np.linalg.norm(proposals[["x_A", "y_A"]].to_numpy()[:, None] - places, axis=2)
    assert (away.min(axis=1) < 0.2).all()
    if apart.min() > 3:  # neighbours of each other have too few neighbours left
        assert len(proposals) == 3
        assert (away.min(axis=0) < 0.2).all()


def test_candidate_that_was_not_kept_speaks_for_its_site():
    found, gone = with_candidate(0.4, "Si")
    (proposal,) = eh.propose_missing(eh.to_atoms(found), found).itertuples()
    assert (proposal.element, proposal.probability) == ("Si", 0.4)
    assert (proposal.x_A, proposal.y_A) == pytest.approx((found.loc[gone, "x_A"], found.loc[gone, "y_A"]))
    assert "low probability" in proposal.reason


def test_without_a_candidate_the_finders_misses_are_shared_among_the_empty_sites():
    found = table()
    gone = [row_at(found, point) for point in ((8, 8), (20, 20), (8, 20), (20, 8))]
    atoms = eh.to_atoms(found.drop(index=gone))
    few, many = (eh.propose_missing(atoms, missed_share=m) for m in (0.001, 0.01))
    assert len(few) == len(many) == 4
    # 0.001 of 300 atoms are 0.3 misses for four sites; ten times as many are three.
    assert few["probability"].sum() == pytest.approx(0.001 * len(atoms), rel=0.05)
    assert many["probability"].sum() == pytest.approx(0.01 * len(atoms), rel=0.05)
    assert eh.propose_missing(atoms, missed_share=0.5)["probability"].max() < 1


def test_edge_of_the_flake_and_closed_defects_are_not_missing_atoms():
    sheet = eh.sheet("graphene", (28.0, 28.0), angle=17)
    at = nearest(sheet, MIDDLE)
    turned, _ = eh.add_stone_wales(sheet, at)
    assert eh.propose_missing(turned).empty
    silicon_there, _ = eh.substitute(sheet, at, "Si")
    assert eh.propose_missing(silicon_there).empty


def test_missing_column_of_sulphur_is_two_atoms():
    sheet = eh.sheet("MoS2", (26.0, 26.0), angle=13)
    upper = np.flatnonzero((sheet.symbols == "S") & (sheet.positions[:, 2] > 7.6))
    gone = upper[np.argmin(np.linalg.norm(sheet.positions[upper, :2] - 13, axis=1))]
    place = sheet.positions[gone, :2].copy()
    column = np.linalg.norm(sheet.positions[:, :2] - place, axis=1) < 0.1
    proposals = eh.propose_missing(sheet[~column], material="MoS2")
    assert proposals["element"].tolist() == ["S", "S"]
    assert np.ptp(proposals["z_A"]) == pytest.approx(3.12)
    assert proposals[["x_A", "y_A"]].to_numpy() == pytest.approx(np.repeat([place], 2, 0), abs=0.01)


# ---------------------------------------------------------------- heights


def test_short_bonds_seen_from_above_are_a_height_up_or_down():
    atoms, at = silicon(height=0.8, noise=0.02)
    proposals = eh.propose_heights(atoms)
    assert (proposals["index"] == at).all()
    up, down, flat = proposals.itertuples()
    assert up.height_A == -down.height_A == pytest.approx(0.8, abs=0.1)
    assert up.probability == down.probability > 0.48
    assert flat.height_A == 0
    assert proposals["probability"].sum() == pytest.approx(1)
    assert "1.775 Å is natural" in up.reason


def test_long_bonds_leave_the_silicon_in_the_sheet():
    atoms, at = silicon(height=0.0)
    atoms.positions[at, :2] += 1e-3
    flat = eh.propose_heights(atoms).query("height_A == 0")
    assert flat["probability"].item() > 0.45


def test_worse_positions_make_heights_less_sure():
    atoms, _ = silicon(height=0.5)
    sure, unsure = (eh.propose_heights(atoms, error_A=error) for error in (0.02, 0.2))
    assert sure["probability"].max() > unsure["probability"].max()
    assert sure["height_std_A"].max() < unsure["height_std_A"].max()
    atoms.arrays["position_std_A"] = np.full(len(atoms), 0.4)
    assert eh.propose_heights(atoms, error_A=0.02)["height_std_A"].max() > 0.5


def test_silicon_with_other_than_three_carbons_has_no_height_to_tell():
    atoms, at = silicon()
    near = np.argsort(np.linalg.norm(atoms.positions - atoms.positions[at], axis=1))[1]
    fewer = atoms.copy()
    del fewer[int(near)]
    assert eh.propose_heights(fewer).empty


# ---------------------------------------------------------------- acceptance


def test_nothing_changes_until_a_proposal_is_accepted():
    found, _ = with_candidate()
    atoms = eh.to_atoms(found)
    before = atoms.copy()
    proposals = eh.propose_missing(atoms, found)
    whole = eh.accept(atoms, proposals)
    assert atoms == before
    assert "proposed" not in atoms.arrays
    assert len(whole) == len(atoms) + 1
    assert whole.arrays["proposed"].tolist() == [False] * len(atoms) + [True]
    assert whole.arrays["probability"][-1] == pytest.approx(0.4)
    assert whole.arrays["table_row"][-1] == -1
    assert (eh.ring_census(whole).index == 6).all()


def test_none_accepted_is_nothing_added():
    found, _ = with_candidate()
    atoms = eh.to_atoms(found)
    whole = eh.accept(atoms, eh.propose_missing(atoms, found).iloc[:0])
    assert len(whole) == len(atoms)
    assert not whole.arrays["proposed"].any()


def test_accepted_height_is_taken_from_the_neighbours():
    atoms, at = silicon(height=0.8)
    proposals = eh.propose_heights(atoms)
    lifted = eh.accept(atoms, proposals[proposals["height_A"] < 0])
    below = lifted.positions[at, 2] - np.delete(lifted.positions[:, 2], at).mean()
    assert below == pytest.approx(-0.8, abs=0.01)
    assert np.flatnonzero(lifted.arrays["proposed"]).tolist() == [at]


def test_proposals_that_contradict_each_other_or_the_structure_are_refused():
    atoms, at = silicon(height=0.8)
    heights = eh.propose_heights(atoms)
    with pytest.raises(ValueError, match=f"two heights for atom {at}"):
        eh.accept(atoms, heights)
    with pytest.raises(ValueError, match="not among the"):
        eh.accept(atoms[:10], heights[heights["height_A"] > 0].assign(index=500))
    x, y, _ = atoms.positions[at] + 0.3
    with pytest.raises(ValueError, match="within 1 Å of another"):
        eh.accept(atoms, pd.DataFrame({"x_A": [x], "y_A": [y], "element": ["C"]}))
    with pytest.raises(ValueError, match="pass rows of propose_missing"):
        eh.accept(atoms, pd.DataFrame({"a": [1]}))
    with pytest.raises(ValueError, match="between 0 and 1"):
        eh.propose_missing(atoms, missed_share=2.0)
    with pytest.raises(ValueError, match="no column kept"):
        eh.propose_missing(*[eh.to_atoms(table().drop(index=row_at(table(), MIDDLE)))],
                                  table().drop(columns="kept"))  # fmt: skip
