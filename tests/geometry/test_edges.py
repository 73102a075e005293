"""The outer edge of a flake, told from the holes inside it by what surrounds what."""

import numpy as np
import pytest
from ase import Atoms
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sheets import oblique_sheet, with_errors

import elit_helpers as eh
from elit_helpers.samples.sheets import neighbours
from elit_helpers.structure.sheet_lattice import outer_edge

MIDDLE = np.array([15.0, 15.0])


def flake(angle=7.0, *, noise=0.0, seed=0):
    return with_errors(eh.sheet("graphene", (30.0, 30.0), angle=angle), noise, seed)


def without(atoms, gone):
    """What is left without some atoms; array ``edge``: whether they were on the whole flake's edge."""
    out = atoms.copy()
    out.arrays.setdefault("edge", eh.edge_atoms(atoms))
    del out[np.flatnonzero(gone)]
    return out


def away(atoms, point=MIDDLE):
    return np.linalg.norm(atoms.positions[:, :2] - point, axis=1)


def ring_cut_out(atoms, *, inner, outer, point=MIDDLE):
    """A hole with a round island in it."""
    return without(atoms, (away(atoms, point) > inner) & (away(atoms, point) < outer))


def test_edge_of_a_flake_is_found_and_a_sheet_has_none():
    flake = oblique_sheet(8, periodic=False)
    outer = eh.edge_atoms(flake)
    assert outer[eh.coordination(flake) < 3].all()
    assert not outer[np.argmin(np.linalg.norm(flake.positions - flake.positions.mean(axis=0), axis=1))]
    assert not eh.edge_atoms(oblique_sheet(8)).any()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31), st.floats(2, 10), st.floats(0.1, 0.9), st.floats(-30, 30), st.floats(0, 0.05))
@example(seed=0, radius=10, share=0.5, angle=0, noise=0.0)
def test_whatever_is_taken_out_of_the_middle_the_edge_stays_the_edge(seed, radius, share, angle, noise):
    atoms = flake(angle, noise=noise, seed=seed)
    taken = np.random.default_rng(seed).random(len(atoms)) < share
    left = without(atoms, taken & (away(atoms) < radius))
    assert (eh.edge_atoms(left) == left.arrays["edge"]).all()


@pytest.mark.parametrize(("inner", "outer"), [(1.0, 4.0), (2.0, 5.0), (3.5, 6.0), (6.0, 8.5)])
def test_an_island_in_a_hole_is_no_edge_nor_is_one_in_a_hole_of_the_island(inner, outer):
    left = ring_cut_out(flake(), inner=inner, outer=outer)
    left = ring_cut_out(left, inner=0, outer=inner / 2)
    assert (eh.edge_atoms(left) == left.arrays["edge"]).all()


def test_fragments_beside_the_flake_have_edges_of_their_own():
    atoms = flake()
    left = without(atoms, abs(atoms.positions[:, 0] - 15) < 2)
    for half in (left[left.positions[:, 0] < 15], left[left.positions[:, 0] > 15]):
        apart = eh.edge_atoms(half)
        assert (eh.edge_atoms(left)[np.isin(left.positions[:, 0], half.positions[:, 0])] == apart).all()
    alone = flake() + Atoms("C2", [[50, 50, 0], [51.4, 50, 0]])
    assert eh.edge_atoms(alone)[-2:].all()


def test_the_wall_of_a_bay_is_edge_and_that_of_a_hole_beside_it_is_none():
    atoms = flake()
    slit = (abs(atoms.positions[:, 1] - 15) < 3) & (atoms.positions[:, 0] < 15)
    bay = without(atoms, slit | (away(atoms, (21.0, 15.0)) < 2.5))
    edge, degree = eh.edge_atoms(bay), eh.coordination(bay)
    around_bay = (away(bay, (13.0, 15.0)) < 4.5) & (degree < 3) & (bay.positions[:, 0] < 16)
    around_hole = (away(bay, (21.0, 15.0)) < 4.0) & (degree < 3)
    assert around_bay.sum() > 3
    assert edge[around_bay].all()
    assert around_hole.sum() > 3
    assert not edge[around_hole].any()


def test_a_hole_that_opens_into_the_rim_is_edge_all_round():
    atoms = flake()
    open_hole = without(atoms, (away(atoms, (4.0, 15.0)) < 5.0))
    wall = (away(open_hole, (4.0, 15.0)) < 6.3) & (eh.coordination(open_hole) < 3)
    assert eh.edge_atoms(open_hole)[wall].all()
    assert (wall & ~open_hole.arrays["edge"]).sum() > 3


@pytest.mark.parametrize("ribbon", [False, True])
def test_island_in_a_hole_across_the_wall_of_a_cell_is_no_edge(ribbon):
    sheet = eh.sheet("graphene", (12, 7))
    sheet.pbc = (True, not ribbon, False)
    left = ring_cut_out(sheet, inner=2, outer=5, point=sheet.positions[:, :2].mean(axis=0))
    assert 10 < len(left) < len(sheet) - 10
    for share in (0.0, 0.5):  # the second with the hole on the wall
        left.positions += share * left.cell[0]
        left.wrap(pbc=(True, False, False))
        assert (eh.edge_atoms(left) == left.arrays["edge"]).all()
        assert eh.edge_atoms(left).any() == ribbon


# ---------------------------------------------------------------- what stands on it


def hanging():
    """A flake whose hole in the middle has an atom with one bond, and that atom's number."""
    atoms = flake()
    own = int(np.argmin(away(atoms)))
    gone = np.isin(np.arange(len(atoms)), neighbours(atoms, own)[:2])
    return without(atoms, gone), own - int(gone[:own].sum())


def test_an_atom_that_hangs_into_a_hole_is_a_place_of_interest():
    atoms, own = hanging()
    regions = eh.regions_of_interest(atoms)
    assert "C with 1 bonds" in regions.iloc[0]["reason"]
    assert own in regions.iloc[0]["atoms"]


def test_a_hole_is_not_passivated_whatever_hangs_or_stands_in_it():
    for atoms in (hanging()[0], ring_cut_out(flake(), inner=1.6, outer=4.5)):
        cut = eh.patch(atoms, MIDDLE, radius_A=9.0)
        hydrogen = cut.positions[cut.symbols == "H"] - cut.info["offset_A"]
        assert np.linalg.norm(hydrogen[:, :2] - MIDDLE, axis=1).min() > 7
        assert cut.info["bare_edge_atoms"] == 0


def test_an_empty_site_beside_a_hanging_atom_is_proposed():
    atoms, own = hanging()
    place = atoms.positions[own, :2]
    found = eh.propose_missing(atoms)
    assert len(found) == 2
    assert (np.hypot(found["x_A"] - place[0], found["y_A"] - place[1]) < 1.6).all()


def test_edge_of_a_thick_sheet_is_found_where_its_columns_lean():
    sheet = eh.sheet("MoS2", (30.0, 30.0), angle=11)
    straight = outer_edge(sheet, eh.MATERIALS["MoS2"])
    sheet.positions[:, :2] += np.random.default_rng(3).normal(0, 0.05, (len(sheet), 2))
    assert (outer_edge(sheet, eh.MATERIALS["MoS2"]) == straight).all()
    assert not straight[away(sheet) < 8].any()
