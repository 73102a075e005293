"""Tables to structures and back, regions, and patches with hydrogen edges."""

import logging

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import cKDTree
from sheets import honeycomb
from tables import PIXEL, found_table

import elit_helpers as eh
from elit_helpers.core.checks import NoAtomsFound

HEIGHT = 300


def graphene(angle=0.3):
    return honeycomb(28.0, turn=angle, start=(3.3, 3.3), border_A=0.3)


def table(points=None, **columns):
    return found_table(graphene() if points is None else points, height=HEIGHT, **columns)


def nearest(points, place):
    return int(np.argmin(np.linalg.norm(np.asarray(points)[:, :2] - place, axis=1)))


def sheet_with_silicon():
    found = table()
    found.loc[nearest(graphene(), (14, 14)), "element"] = "Si"
    return eh.to_atoms(found)


# ---------------------------------------------------------------- table to structure


def test_structure_looks_like_its_picture():
    # The upper left corner of a picture is x small, y large.
    found = table([[1.0, 28.0], [2.42, 28.0], [20.0, 3.0]])
    atoms = eh.to_atoms(found)
    assert found.loc[0, "row_px"] < found.loc[2, "row_px"]
    assert atoms.positions[:, :2] == pytest.approx(found[["x_A", "y_A"]].to_numpy())


def test_certainty_travels_with_the_atoms_and_counts_with_the_structure():
    found = table(position_std_A=np.linspace(0.01, 0.1, len(graphene())))
    found.loc[[0, 5], ["kept", "reason"]] = [False, "edge"]
    atoms = eh.to_atoms(found)
    assert len(atoms) == len(found) - 2
    assert atoms.info["rows_not_kept"] == 2
    assert atoms.arrays["position_std_A"] == pytest.approx(found.loc[found["kept"], "position_std_A"])
    assert found.loc[atoms.arrays["table_row"], "x_A"].to_numpy() == pytest.approx(atoms.positions[:, 0])


def test_flake_is_not_periodic_and_its_copies_are_far():
    atoms = eh.to_atoms(table(), vacuum_A=12)
    assert not atoms.pbc.any()
    gap = atoms.cell.lengths()[:2] - atoms.positions[:, :2].max(axis=0)
    assert gap == pytest.approx([12, 12])
    assert atoms.cell.lengths()[2] == pytest.approx(12)


def test_less_probable_of_two_atoms_in_contact_goes_and_is_counted(caplog):
    points = graphene()
    found = table(np.vstack([points, points[40] + [0.3, 0]]))
    found.loc[40, "probability"] = 0.6
    with caplog.at_level(logging.WARNING):
        atoms = eh.to_atoms(found)
    assert atoms.info["contacts_resolved"] == 1
    assert 40 not in atoms.arrays["table_row"]
    assert "1 atom(s) in contact" in caplog.text


def test_larger_atoms_are_in_contact_further_apart():
    pairs = table([[1.0, 1.0], [2.2, 1.0], [9.0, 1.0], [10.2, 1.0]], probability=[0.9, 0.8, 0.9, 0.8])
    pairs["element"] = ["C", "C", "Si", "Si"]
    assert eh.to_atoms(pairs).get_chemical_formula() == "C2Si"
    assert eh.to_atoms(pairs, min_distance_A=1.0).get_chemical_formula() == "C2Si2"
    assert len(eh.to_atoms(pairs, min_distance_A=1.5)) == 2
    assert len(eh.to_atoms(pairs, min_distance_A=0)) == 4


def test_a_structure_without_contacts_is_one_that_engines_start_from():
    rng = np.random.default_rng(4)
    found = table(
        rng.uniform(1, 20, (300, 2)), element=rng.choice(["C", "Si"], 300), probability=rng.uniform(size=300)
    )
    atoms = eh.to_atoms(found)
    assert atoms.info["contacts_resolved"] > 50
    assert eh.single_point(atoms, engine="ase:lj").get_potential_energy() is not None


def test_loose_pieces_are_counted_and_left_out_on_demand():
    before = eh.to_atoms(table()).info["loose_atoms"]
    found = table(np.vstack([graphene(), [[32.0, 5.0], [33.4, 5.0]]]))
    assert eh.to_atoms(found).info["loose_atoms"] == before + 2
    whole = eh.to_atoms(found, keep_loose=False)
    assert len(whole) == len(found) - before - 2


@pytest.mark.parametrize(("lift", "middle"), [({"Si": 0.8}, 0.8), ({"Si": -0.8}, -0.8), ({"O": 1.2}, 0.0)])
def test_elements_are_lifted_only_on_demand(lift, middle):
    flat = sheet_with_silicon()
    assert np.ptp(flat.positions[:, 2]) == 0
    lifted = eh.to_atoms(eh.to_table(flat), lift_A=lift, vacuum_A=15)
    z = lifted.positions[:, 2]
    assert z[lifted.symbols == "Si"] - z[lifted.symbols == "C"].mean() == pytest.approx(middle)
    # Copies above each other stay apart by the vacuum.
    assert lifted.cell.lengths()[2] - np.ptp(z) == pytest.approx(15)
    assert (z >= 7.5 - 1e-9).all()


@pytest.mark.parametrize("lift", [{"Xx": 1.0}, {"Si": np.nan}])
def test_lift_of_no_element_or_of_no_height_is_refused(lift):
    with pytest.raises(ValueError, match="`lift_A` has"):
        eh.to_atoms(table(), lift_A=lift)


@pytest.mark.parametrize(
    ("found", "error", "message"),
    [
        (table(kept=False), NoAtomsFound, "none kept"),
        (table().iloc[:0], NoAtomsFound, "no atom"),
        (table(frame=3), NoAtomsFound, "no frame 0; it has .*3"),
        (table(element="Xx"), ValueError, "no chemical elements"),
        (table(element="X"), ValueError, "no chemical elements"),
        (table(x_A=np.nan), ValueError, "not finite"),
        (table().drop(columns="y_A"), ValueError, "no column y_A"),
    ],
)
def test_bad_tables_are_refused(found, error, message):
    with pytest.raises(error, match=message):
        eh.to_atoms(found)


def test_unknown_material_lists_the_known_ones():
    with pytest.raises(ValueError, match="'graphene'"):
        eh.to_atoms(table(), material="cheese")


def mos2_table(missing=()):
    """The columns of a turned sheet of MoS2, as an ensemble would find them."""
    sheet = eh.sheet("MoS2", (22.0, 22.0), angle=13)
    upper = sheet[sheet.positions[:, 2] >= np.median(sheet.positions[:, 2])]
    keep = np.setdiff1d(np.arange(len(upper)), missing)
    return table(upper.positions[keep, :2], element=np.array(upper.get_chemical_symbols())[keep])


def test_a_column_of_sulphur_is_two_atoms_about_the_molybdenum():
    found = mos2_table()
    atoms = eh.to_atoms(found, material="MoS2", vacuum_A=14)
    counts = found["element"].value_counts()
    assert atoms.symbols.count("Mo") == counts["Mo"]
    assert atoms.symbols.count("S") == 2 * counts["S"]
    assert atoms.info["columns_of_several"] == {"S": 2}
    height = atoms.positions[:, 2] - atoms.positions[atoms.symbols == "Mo", 2].mean()
    assert height[atoms.symbols == "Mo"] == pytest.approx(0)
    assert np.abs(height[atoms.symbols == "S"]) == pytest.approx(1.56)
    assert atoms.cell.lengths()[2] == pytest.approx(14 + 2 * 1.56)
    for row in np.unique(atoms.arrays["table_row"]):
        column = atoms[atoms.arrays["table_row"] == row]
        assert column.positions[:, :2] == pytest.approx(
            np.repeat([found.loc[row, ["x_A", "y_A"]]], len(column), 0)
        )
        assert set(column.symbols) == {found.loc[row, "element"]}


def test_the_bonds_of_mos2_are_those_between_molybdenum_and_sulphur():
    atoms = eh.to_atoms(mos2_table(), material="MoS2")
    bonds = eh.bonds(atoms)
    assert set(bonds["pair"]) == {"Mo-S"}
    assert bonds["length_A"].to_numpy() == pytest.approx(2.406, abs=0.01)
    assert eh.coordination(atoms)[atoms.symbols == "Mo"].max() == 6


def test_molybdenum_and_sulphur_are_further_apart_than_they_look():
    # In three dimensions 2.41 Å; an error of 0.3 Å in the picture makes no contact of 1.82 Å.
    found = mos2_table()
    molybdenum = found[found["element"] == "Mo"][["x_A", "y_A"]].to_numpy()
    row = int(found.index[(found["element"] == "S") & (np.abs(found["x_A"] - 11) < 3)][0])
    place = found.loc[row, ["x_A", "y_A"]].to_numpy(float)
    towards = molybdenum[np.argmin(np.hypot(*(molybdenum - place).T))] - place
    for shift, lost in ((0.4, 0), (1.0, 1)):
        found.loc[row, ["x_A", "y_A"]] = place + shift * towards / np.hypot(*towards)
        assert eh.to_atoms(found, material="MoS2").info["contacts_resolved"] == lost


def test_a_foreign_element_is_one_atom_in_the_middle():
    found = mos2_table()
    found.loc[40, "element"] = "V"
    atoms = eh.to_atoms(found, material="MoS2")
    vanadium, molybdenum = (atoms.positions[atoms.symbols == e, 2] for e in ("V", "Mo"))
    assert vanadium == pytest.approx(molybdenum[:1])


@pytest.mark.parametrize("name", list(eh.MATERIALS))
def test_every_material_comes_back_as_it_was_built(name):
    sheet, material = eh.sheet(name, (18.0, 18.0)), eh.MATERIALS[name]
    columns, heaviest = np.unique(sheet.positions[:, :2].round(4), axis=0), []
    for xy in columns:
        there = sheet[np.abs(sheet.positions[:, :2] - xy).max(axis=1) < 1e-3]
        heaviest.append(there.symbols[int(np.argmax(there.numbers))])
    atoms = eh.to_atoms(table(columns, element=heaviest), material=material, vacuum_A=15)
    assert atoms.get_chemical_formula() == sheet.get_chemical_formula()
    for built in (sheet, atoms):
        built.positions[:, 2] -= (built.positions[:, 2].min() + built.positions[:, 2].max()) / 2
    distance, partner = cKDTree(sheet.positions).query(atoms.positions)
    assert distance.max() < 2e-3
    assert sorted(partner) == list(range(len(sheet)))
    assert (sheet.numbers[partner] == atoms.numbers).all()


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31))
def test_table_survives_the_way_there_and_back(seed):
    rng = np.random.default_rng(seed)
    points = graphene() + rng.normal(0, 0.1, (len(graphene()), 2))
    found = table(
        points, element=rng.choice(["C", "Si"], len(points)), probability=rng.uniform(0.5, 1, len(points))
    )
    back = eh.to_table(eh.to_atoms(found, min_distance_A=1e-3))
    pd.testing.assert_frame_equal(back[found.columns], found, check_dtype=False, atol=1e-7)


def test_structure_without_a_picture_has_no_pixels():
    atoms = sheet_with_silicon()
    del atoms.info["pixel_size"]
    with pytest.raises(ValueError, match="pass `pixel_size`"):
        eh.to_table(atoms)
    assert eh.to_table(atoms, pixel_size=PIXEL)["col_px"].max() < HEIGHT


# ---------------------------------------------------------------- regions and patches


def test_perfect_sheet_has_no_region_of_interest():
    assert eh.regions_of_interest(eh.to_atoms(table())).empty


def test_each_region_has_its_reason_and_place():
    points = graphene()
    si, gone, doubtful = (nearest(points, place) for place in ((8, 8), (20, 20), (8, 20)))
    found = table()
    found.loc[si, "element"] = "Si"
    found.loc[doubtful, "position_std_A"] = 0.4
    found.loc[gone, "kept"] = False
    regions = eh.regions_of_interest(eh.to_atoms(found))
    assert len(regions) == 3
    expected = {si: "Si with 3 C", gone: "3 × C with 2 bonds", doubtful: "uncertain position"}
    for place, reason in expected.items():
        here = regions.iloc[nearest(regions[["x_A", "y_A"]], points[place])]
        assert reason in here["reason"]
        assert np.hypot(here["x_A"] - points[place, 0], here["y_A"] - points[place, 1]) < 1


def test_region_is_cut_by_radius_or_box():
    atoms = eh.to_atoms(table())
    disk = eh.cut_region(atoms, (14, 14), radius_A=5)
    assert np.linalg.norm(disk.positions[:, :2] - 14, axis=1).max() <= 5
    box = eh.cut_region(atoms, (14, 14), box_A=(6, 10))
    assert (np.ptp(box.positions[:, :2], axis=0) <= [6, 10]).all()
    assert "probability" in box.arrays
    with pytest.raises(ValueError, match="holds no atom; the structure spans x"):
        eh.cut_region(atoms, (100, 100), radius_A=5)
    with pytest.raises(ValueError, match="either `radius_A` or `box_A`"):
        eh.cut_region(atoms, (14, 14))


@settings(max_examples=40, deadline=None)
@given(st.floats(9, 19), st.floats(9, 19), st.floats(3.5, 8), st.floats(0, 1), st.booleans())
def test_every_patch_is_closed_by_hydrogen_without_clashes(x, y, radius, angle, silicon):
    found = table(graphene(angle=angle))
    if silicon:
        found.loc[nearest(found[["x_A", "y_A"]], (x, y)), "element"] = "Si"
    flake = eh.patch(eh.to_atoms(found), (x, y), radius_A=radius)
    hydrogen = np.array(flake.get_chemical_symbols()) == "H"
    assert (flake.arrays["added"] == hydrogen).all()
    # Every atom of the sheet has three bonds, every hydrogen one, of the right length and in the plane.
    assert (eh.coordination(flake)[~hydrogen] == 3).all()
    assert (eh.coordination(flake)[hydrogen] == 1).all()
    table_of_bonds = eh.bonds(flake)
    assert table_of_bonds.loc[table_of_bonds["pair"] == "C-H", "length_A"].to_numpy() == pytest.approx(1.09)
    assert np.ptp(flake.positions[:, 2]) == 0
    distances = flake.get_all_distances()[np.ix_(hydrogen, hydrogen)]
    assert distances[distances > 0].min() > 1.5
    assert flake.info["bare_edge_atoms"] == 0


def test_vacancy_inside_a_patch_keeps_its_dangling_bonds():
    found = table()
    found.loc[nearest(graphene(), (14, 14)), "kept"] = False
    flake = eh.patch(eh.to_atoms(found), (14, 14), radius_A=6)
    carbon = np.array(flake.get_chemical_symbols()) == "C"
    assert (eh.coordination(flake)[carbon] == 2).sum() == 3
    assert "vacancy, not closed" in eh.defects(flake)["kind"].to_list()


def test_patch_stands_free_in_its_cell_and_knows_where_it_came_from():
    atoms = sheet_with_silicon()
    flake = eh.patch(atoms, (14, 14), radius_A=5, vacuum_A=9)
    assert flake.positions.min(axis=0) == pytest.approx([9, 9, 9])
    assert flake.cell.lengths() - flake.positions.max(axis=0) == pytest.approx([9, 9, 9])
    back = eh.to_table(flake)
    si = back[back["element"] == "Si"][["x_A", "y_A"]].to_numpy()[0]
    assert si == pytest.approx(atoms.positions[atoms.symbols == "Si"][0, :2])


def test_patch_larger_than_the_picture_or_too_small_is_refused():
    atoms = sheet_with_silicon()
    with pytest.raises(ValueError, match="`radius_A` is 40 Å, but the structure is only"):
        eh.patch(atoms, (14, 14), radius_A=40)
    with pytest.raises(ValueError, match="No ring fits"):
        eh.patch(atoms, (14, 14), radius_A=1.2)
