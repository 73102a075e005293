"""Rings of perfect, defected and torn sheets, and the names that follow from them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sheets import oblique_sheet

import elit_helpers as eh


def middle_bond(atoms):
    table = eh.bonds(atoms)
    i, j = table["i"].to_numpy(), table["j"].to_numpy()
    inside = np.linalg.norm(atoms.positions[i] - atoms.positions[j], axis=1) < 1.5
    middle = (atoms.positions[i] + atoms.positions[j]) / 2 - atoms.cell.sum(axis=0) / 2
    best = np.argmin(np.linalg.norm(middle, axis=1) + 1e3 * ~inside)
    return i[best], j[best]


def stone_wales(atoms):
    i, j = middle_bond(atoms)
    turned, centre = atoms.copy(), (atoms.positions[i] + atoms.positions[j]) / 2
    for k in (i, j):
        dx, dy, _ = atoms.positions[k] - centre
        turned.positions[k] = centre + [-dy, dx, 0]
    return turned


def test_perfect_sheet_has_three_equal_bonds_and_hexagons_only():
    atoms = oblique_sheet(8)
    table = eh.bonds(atoms)
    assert len(table) == 3 * len(atoms) / 2
    assert table["length_A"].to_numpy() == pytest.approx(2.46 / np.sqrt(3))
    assert eh.angles(atoms)["angle_deg"].to_numpy() == pytest.approx(120)
    census = eh.ring_census(atoms)
    assert census["count"].to_dict() == {6: len(atoms) / 2}
    assert eh.rings(atoms)["area_A2"].sum() == pytest.approx(abs(np.linalg.det(atoms.cell[:2, :2])))
    assert len(eh.defects(atoms)) == 0


def test_stone_wales_is_two_fives_and_two_sevens():
    atoms = stone_wales(oblique_sheet(8))
    assert eh.ring_census(atoms)["count"].to_dict() == {5: 2, 6: len(atoms) / 2 - 4, 7: 2}
    assert eh.defects(atoms)["kind"].to_list() == ["Stone–Wales 5-7-7-5"]


def test_reconstructed_divacancy_is_named_and_an_open_one_too():
    atoms = oblique_sheet(8)
    pair = list(middle_bond(atoms))
    open_ = atoms.copy()
    del open_[pair]
    assert eh.defects(open_)["kind"].to_list() == ["divacancy, not closed"]
    left = eh.coordination(open_) == 2
    closed = open_.copy()
    ends = np.flatnonzero(left)
    centre = atoms.positions[pair].mean(axis=0)
    for i in ends:
        partner = min(
            (k for k in ends if k != i), key=lambda k: np.linalg.norm(open_.positions[k] - open_.positions[i])
        )
        closed.positions[i] += 0.35 * (open_.positions[partner] - open_.positions[i]) / 2.46
    assert np.allclose(closed.positions[ends].mean(axis=0), centre)
    census = eh.ring_census(closed, cutoffs={("C", "C"): 1.85})
    assert {size: census["count"].get(size, 0) for size in (5, 7, 8)} == {5: 2, 7: 0, 8: 1}
    assert eh.defects(closed, cutoffs={("C", "C"): 1.85})["kind"].to_list() == ["divacancy 5-8-5"]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31), st.integers(0, 3), st.booleans())
def test_rings_agree_with_matscipy_on_defected_sheets(seed, gone, periodic):
    from matscipy.rings import ring_statistics

    rng = np.random.default_rng(seed)
    atoms = oblique_sheet(7, periodic=periodic)
    if gone:
        del atoms[rng.choice(len(atoms), gone, replace=False)]
    atoms.rattle(0.04, rng=np.random.RandomState(seed % 2**31))
    own = eh.ring_census(atoms, max_size=8)["count"]
    theirs = ring_statistics(atoms, 1.75, 8)
    assert own.to_dict() == {size: n for size, n in enumerate(theirs) if n}


def test_silicon_is_a_defect_with_its_partners():
    atoms = oblique_sheet(8)
    atoms.symbols[middle_bond(atoms)[0]] = "Si"
    assert eh.defects(atoms)["kind"].to_list() == ["Si with 3 C"]


def test_lone_atoms_and_chains_have_no_rings():
    from ase import Atoms

    assert len(eh.bonds(Atoms("C", [[0, 0, 0]]))) == 0
    assert len(eh.rings(Atoms("C3", [[0, 0, 0], [1.4, 0, 0], [2.8, 0, 0]]))) == 0


def test_published_bonds_cut_at_1_85_merge_two_rings():
    from ase import Atoms

    # Two hexagons that share a bond; stretch it over the cut-off.
    angle = np.radians(np.arange(6) * 60 + 30)
    one = 1.42 * np.c_[np.cos(angle), np.sin(angle), 0 * angle]
    both = np.vstack([one, (one + [2.46, 0, 0])[[0, 1, 4, 5]]])
    assert eh.rings(Atoms("C10", both))["size"].to_list() == [6, 6]
    both[[0, 5], 1] *= 1.5
    assert eh.rings(Atoms("C10", both))["size"].to_list() == [10]
