"""Structures to start from: the right lattice, defects that change what they say, inputs left alone."""

import numpy as np
import pytest

from elit_helpers import samples


def degrees(atoms):
    return np.array([len(samples.neighbours(atoms, i)) for i in range(len(atoms))])


def test_a_periodic_sheet_has_three_bonds_everywhere():
    sheet = samples.graphene_sheet((5, 3))
    assert len(sheet) == 60
    assert (degrees(sheet) == 3).all()
    lengths = sheet.get_distances(0, samples.neighbours(sheet, 0), mic=True)
    np.testing.assert_allclose(lengths, 1.42028, atol=1e-4)


def test_a_cut_out_has_graphenes_density_at_any_angle():
    for angle in (0.0, 17.0):
        sheet = samples.graphene_sheet((40.0, 30.0), angle=angle)
        assert len(sheet) / 1200 == pytest.approx(samples.MATERIALS["graphene"].density, rel=0.02)
        assert (sheet.positions[:, :2] >= 0).all()
        assert (sheet.positions[:, :2] <= [40, 30]).all()


def test_wrong_sizes_are_refused():
    with pytest.raises(ValueError, match="above zero"):
        samples.graphene_sheet((-3.0, 10.0))
    with pytest.raises(ValueError, match="turned cut-out"):
        samples.graphene_sheet((4, 4), angle=10.0)


def test_each_defect_says_what_it_changed_and_leaves_the_input_alone():
    sheet = samples.graphene_sheet((30.0, 30.0))
    before = sheet.positions.copy()
    middle = samples.nearest(sheet, (15, 15))
    vacancy, info = samples.add_vacancy(sheet, middle)
    assert len(vacancy) == len(sheet) - 1
    np.testing.assert_allclose(info["position"], before[middle])
    hole, info = samples.add_hole(sheet, center=(15, 15), radius_A=4)
    assert len(hole) == len(sheet) - len(info["removed"])
    turned, info = samples.add_stone_wales(sheet, middle)
    assert (np.abs(turned.positions - before).max(1) > 0.1).sum() == 2
    silicon, info = samples.substitute(sheet, middle)
    assert silicon.get_chemical_symbols().count("Si") == 1
    np.testing.assert_allclose(
        silicon.get_distances(middle, samples.neighbours(sheet, middle)), 1.62, atol=0.01
    )
    np.testing.assert_array_equal(sheet.positions, before)


def test_no_atom_hangs_by_one_bond_at_a_hole():
    sheet, info = samples.add_hole(samples.graphene_sheet((40.0, 40.0), angle=8), center=(20, 20), radius_A=6)
    near = np.hypot(*(sheet.positions[:, :2] - info["position"]).T) < 10
    assert degrees(sheet)[near].min() == 2


def test_a_grain_boundary_has_no_atoms_on_top_of_each_other():
    sheet, info = samples.add_grain_boundary(samples.graphene_sheet((30.0, 30.0)), angle=24)
    distance = sheet.get_all_distances() + 9 * np.eye(len(sheet))
    assert distance.min() > 0.9
    with pytest.raises(ValueError, match="cut-out"):
        samples.add_grain_boundary(samples.graphene_sheet((4, 4)), angle=24)


def test_only_edge_atoms_are_decorated():
    hole, _ = samples.add_hole(samples.graphene_sheet((30.0, 30.0)), center=(15, 15), radius_A=4)
    out, info = samples.decorate_edge(hole, center=(15, 15), radius_A=7, n=3, rng=1)
    assert len(info["indices"]) == 3
    assert (degrees(hole)[info["indices"]] == 2).all()


def test_an_index_outside_and_an_unknown_element_are_refused():
    sheet = samples.graphene_sheet((2, 2))
    with pytest.raises(ValueError, match="atoms 0 to 15"):
        samples.add_vacancy(sheet, 16)
    with pytest.raises(ValueError, match="'Si'"):
        samples.substitute(sheet, 0, "Xx")
    with pytest.raises(ValueError, match="No atom lies within"):
        samples.add_hole(sheet, center=(100, 100), radius_A=2)
