"""The lattice of a picture's own atoms, and a defect of it in an endless ideal sheet whose seam closes."""

import re

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from places import ROOT
from recipe_files import load_recipe
from sheets import with_errors

import elit_helpers as eh
from elit_helpers.samples.sheets import nearest

MIDDLE = np.array([22.0, 22.0])
DEFECTS = {
    "perfect": lambda sheet, at: sheet,
    "vacancy": lambda sheet, at: eh.add_vacancy(sheet, at)[0],
    "divacancy": lambda sheet, at: eh.add_divacancy(sheet, at)[0],
    "Stone–Wales": lambda sheet, at: eh.add_stone_wales(sheet, at)[0],
    "silicon": lambda sheet, at: eh.substitute(sheet, at, "Si")[0],
}


def strained(atoms, strain):
    """Stretch and shear in the plane, about the middle."""
    out = atoms.copy()
    out.positions[:, :2] = MIDDLE + (out.positions[:, :2] - MIDDLE) @ (np.eye(2) + np.array(strain))
    return out


def pictured(defect="perfect", *, angle=0.0, strain=0.0, noise=0.0, size=44.0, material="graphene", seed=0):
    """A flake as it might come out of a picture: turned, strained, with an error of every position [Å]."""
    sheet = eh.sheet(material, (size, size), angle=angle)
    defected = DEFECTS[defect](sheet, nearest(sheet, MIDDLE))
    flake = strained(defected, strain * np.array([[1, 0.5], [0.5, -0.5]]))
    return with_errors(flake, noise, seed)


def seam_lengths(atoms):
    """Lengths of the bonds between the picture's atoms and the ideal sheet [Å]."""
    bonds, picture = eh.bonds(atoms), atoms.arrays["from_picture"]
    return bonds.loc[picture[bonds.i] != picture[bonds.j], "length_A"].to_numpy()


def relaxed(atoms):
    return eh.unscaled(eh.relax(atoms, fmax=0.05)).atoms


WIDE = {("C", "C"): 1.95, ("C", "Si"): 2.3, ("Si", "Si"): 2.6}  # closed bonds of a divacancy, unrelaxed


def other_rings(atoms, cutoffs=None):
    """How many rings of each size but six, vacancies and holes included."""
    sizes = eh.rings(atoms, cutoffs=cutoffs)["size"]
    return sizes[sizes != 6].value_counts().to_dict()


# ---------------------------------------------------------------- the lattice


@settings(max_examples=15, deadline=None)
@given(st.floats(-180, 180), st.floats(-0.03, 0.03), st.floats(-0.02, 0.02), st.floats(-0.03, 0.03))
def test_rotation_and_strain_of_a_sheet_are_found_whatever_they_are(angle, xx, xy, yy):
    flake = strained(eh.sheet("graphene", (36.0, 36.0), angle=angle), [[xx, xy], [xy, yy]])
    lattice = eh.sheet_lattice(flake)
    turned = (lattice.rotation_deg - angle + 30) % 60 - 30
    assert abs(turned) < 0.02
    assert lattice.strain == pytest.approx(np.array([[xx, xy], [xy, yy]]), abs=1e-6)
    assert lattice.rms_A < 1e-6
    assert -30.01 <= lattice.rotation_deg <= 30.01


def test_lattice_of_a_noisy_sheet_is_as_good_as_many_atoms_make_it():
    lattice = eh.sheet_lattice(pictured("vacancy", angle=11, noise=0.06))
    assert lattice.rotation_deg == pytest.approx(11, abs=0.05)
    assert lattice.a_A == pytest.approx(2.46, rel=1e-3)
    assert lattice.bond_A == pytest.approx(1.42, abs=0.002)
    assert lattice.rms_A == pytest.approx(0.06 * np.sqrt(2), rel=0.1)


def test_places_in_the_lattice_and_in_the_picture_are_one_to_one():
    lattice = eh.sheet_lattice(pictured(angle=5))
    points = np.random.default_rng(1).uniform(0, 40, (10, 2))
    assert lattice.to_picture(lattice.to_lattice(points)) == pytest.approx(points)


def test_sheet_of_two_elements_has_each_on_its_own_sites():
    for angle in (3, 47, 100, -70):
        lattice = eh.sheet_lattice(pictured(angle=angle, material="MoS2"), material="MoS2")
        assert abs((lattice.rotation_deg - angle + 60) % 120 - 60) < 0.05


def test_what_has_no_such_lattice_is_refused():
    flake = pictured()
    scattered = flake.copy()
    scattered.positions[:, :2] = np.random.default_rng(0).uniform(0, 44, (len(flake), 2))
    with pytest.raises(ValueError, match="lie on no lattice of graphene"):
        eh.sheet_lattice(scattered)
    with pytest.raises(ValueError, match="lie on no lattice"):
        eh.sheet_lattice(flake, center=(22, 22), radius_A=2.0)
    with pytest.raises(ValueError, match="belong together"):
        eh.sheet_lattice(flake, center=(22, 22))
    with pytest.raises(ValueError, match="SrTiO3; a lattice can be fitted to hexagonal"):
        eh.sheet_lattice(flake, material="SrTiO3")


# ---------------------------------------------------------------- the defect in its sheet


@pytest.mark.parametrize(("defect", "lost"), [
    ("perfect", 0), ("vacancy", 1), ("divacancy", 2), ("Stone–Wales", 0), ("silicon", 0),
])  # fmt: skip
@pytest.mark.parametrize("keep_strain", [False, True])
def test_defect_of_a_turned_and_strained_sheet_lies_in_a_periodic_one(defect, lost, keep_strain):
    flake = pictured(defect, angle=19, strain=0.02)
    whole = eh.embed(flake, MIDDLE, radius_A=8.0, keep_strain=keep_strain)
    assert whole.pbc.tolist() == [True, True, False]
    assert whole.info["rotation_deg"] == pytest.approx(19, abs=0.05)
    # With the strain the sites are those of the picture; without it the lattice is the material's own.
    area = np.linalg.norm(np.cross(*whole.cell[:2]))
    stretch = np.linalg.det(np.eye(2) + whole.info["strain"]) if keep_strain else 1.0
    sites = area / (stretch * eh.MATERIALS["graphene"].area / 2)
    assert sites == pytest.approx(len(whole) + lost, abs=0.3)
    assert other_rings(whole, WIDE) == other_rings(flake, WIDE)
    assert (eh.coordination(whole)[~whole.arrays["from_picture"]] == 3).all()


def test_atoms_of_the_patch_keep_their_places_to_each_other():
    flake = pictured("vacancy", angle=-24, strain=0.015)
    whole = eh.embed(flake, MIDDLE, radius_A=9.0, keep_strain=True)
    own = whole[whole.arrays["from_picture"]]
    back = own.positions - whole.info["offset_A"]
    assert np.linalg.norm(back[:, :2] - MIDDLE, axis=1).max() < 9.0 + 0.1
    distance = [np.linalg.norm(flake.positions[:, :2] - place[:2], axis=1).min() for place in back]
    assert max(distance) < 1e-6


def test_cell_is_as_large_as_asked_for_or_leaves_sheet_between_the_copies():
    flake = pictured("vacancy", angle=8)
    small = eh.embed(flake, MIDDLE, radius_A=6.0)
    large = eh.embed(flake, MIDDLE, radius_A=6.0, size_A=(30.0, 40.0))
    assert (small.cell.lengths()[:2] >= 22).all()
    assert (large.cell.lengths()[:2] >= [30, 40]).all()
    assert (large.cell.lengths()[:2] < [33, 45]).all()


def test_without_a_radius_the_widest_patch_is_taken_that_has_a_rim_of_lattice():
    flake = pictured("vacancy", angle=8)
    beside = eh.add_vacancy(flake, nearest(flake, MIDDLE + [9.0, 0.0]))[0]
    assert eh.embed(flake, MIDDLE).info["radius_A"] == 10.0
    assert 5.0 <= eh.embed(beside, MIDDLE).info["radius_A"] <= 8.5
    with pytest.raises(ValueError, match="touches the edge"):
        eh.embed(flake, (1.0, 22.0))


def test_error_bars_travel_and_what_is_assumed_has_none():
    flake = pictured("silicon", angle=8)
    flake.arrays["position_std_A"] = np.full(len(flake), 0.04)
    flake.arrays["table_row"] = np.arange(len(flake))
    whole = eh.embed(flake, MIDDLE, radius_A=7.0)
    picture = whole.arrays["from_picture"]
    assert (whole.arrays["position_std_A"][picture] == 0.04).all()
    assert (whole.arrays["position_std_A"][~picture] == 0).all()
    assert (whole.arrays["table_row"][~picture] == -1).all()


def test_sulphur_vacancy_is_embedded_in_both_layers():
    sheet = eh.sheet("MoS2", (44.0, 44.0), angle=33)
    upper = np.flatnonzero((sheet.symbols == "S") & (sheet.positions[:, 2] > sheet.positions[:, 2].mean()))
    gone = upper[np.argmin(np.linalg.norm(sheet.positions[upper, :2] - MIDDLE, axis=1))]
    centre = sheet.positions[gone, :2].copy()
    del sheet[int(gone)]
    whole = eh.embed(sheet, centre, radius_A=8.0, material="MoS2")
    assert whole.symbols.count("S") == 2 * whole.symbols.count("Mo") - 1
    bonds = eh.coordination(whole)
    assert np.unique(bonds[whole.symbols == "S"]).tolist() == [3]
    assert np.bincount(bonds[whole.symbols == "Mo"])[5:].tolist() == [3, whole.symbols.count("Mo") - 3]


@pytest.mark.slow
@settings(max_examples=12, deadline=None)
@given(
    st.lists(st.sampled_from([name for name in DEFECTS if name != "perfect"]), min_size=1, max_size=2),
    st.floats(-30, 30), st.floats(-0.02, 0.02), st.integers(0, 2**31),
)  # fmt: skip
@example(
    defects=["divacancy", "divacancy"], angle=-16.359375, strain=-0.015625, seed=795616
)  # merged: an island
def test_seam_of_any_defected_sheet_relaxes_to_sound_bonds(defects, angle, strain, seed):
    rng = np.random.default_rng(seed)
    flake = eh.sheet("graphene", (44.0, 44.0), angle=angle)
    sites = len(flake)
    for defect in defects:
        point = MIDDLE + rng.uniform(-3, 3, 2)
        try:
            flake = DEFECTS[defect](flake, nearest(flake, point))
        except ValueError:  # a second defect may find no room for itself beside the first
            assume(False)
    lost, impure = sites - len(flake), flake.symbols.count("Si")
    flake = strained(flake, strain * np.array([[1, 0.5], [0.5, -0.5]]))
    flake.positions[:, :2] += rng.normal(0, 0.05, (len(flake), 2))
    whole = eh.embed(flake, MIDDLE, radius_A=10.0)
    perfect = np.linalg.norm(np.cross(*whole.cell[:2])) / (eh.MATERIALS["graphene"].area / 2)
    assert round(perfect) == len(whole) + lost
    assert whole.symbols.count("Si") == impure
    after = relaxed(whole)
    lengths = seam_lengths(after)
    assert len(lengths) == whole.info["seam_bonds"]
    assert 1.3 < lengths.min() < lengths.max() < 1.6
    # Away from the defect every ring of the sheet is a hexagon.
    rings = eh.rings(after)
    offset = whole.info["offset_A"][:2] + MIDDLE
    far = np.linalg.norm(rings[["x_A", "y_A"]] - offset, axis=1) > 10.0
    assert (rings.loc[far & (rings["size"] < 20), "size"] == 6).all()


@pytest.mark.slow
@pytest.mark.parametrize(("defect", "rings"), [
    ("vacancy", {12: 1}), ("divacancy", {5: 2, 8: 1}), ("Stone–Wales", {5: 2, 7: 2}), ("silicon", {}),
])  # fmt: skip
def test_a_relaxed_defect_keeps_its_rings_in_a_sheet_of_hexagons(defect, rings):
    whole = eh.embed(pictured(defect, angle=23, strain=0.02, noise=0.05), MIDDLE, radius_A=8.0)
    # 1.85 Å for C–C: the bonds that close a divacancy are 1.80 Å long in LCBOP.
    assert other_rings(relaxed(whole), {("C", "C"): 1.85, ("C", "Si"): 2.1, ("Si", "Si"): 2.5}) == rings


@pytest.mark.slow
@pytest.mark.parametrize("number", [8, 11, 14])
def test_seams_of_the_movies_true_structures_are_sound(number):
    sample = load_recipe("make_movie").load_structure(ROOT / "data" / "movie", number)
    sample.set_cell([*(sample.positions[:, :2].max(axis=0) + 15), 30])
    tried = done = 0
    for place in eh.regions_of_interest(sample).itertuples():
        if place.radius_A > 5 or done == 3:
            continue
        tried += 1
        try:
            whole = eh.embed(sample, (place.x_A, place.y_A), radius_A=place.radius_A + 5)
        except ValueError:  # crowded by other defects
            continue
        lengths = seam_lengths(relaxed(whole))
        assert 1.3 < lengths.min() < lengths.max() < 1.6
        done += 1
    assert done, f"none of {tried} regions had room"


# ---------------------------------------------------------------- holes and edges


def with_holes(*holes, size=56.0, angle=9.0):
    """A flake about the middle of all pictures, with round holes: (x, y) from the middle, and radius [Å]."""
    flake = eh.sheet("graphene", (size, size), angle=angle)
    flake.positions[:, :2] += MIDDLE - size / 2
    away = [
        np.linalg.norm(flake.positions[:, :2] - MIDDLE - place, axis=1) / radius for *place, radius in holes
    ]
    return flake[np.min(away, axis=0) > 1] if holes else flake


@pytest.mark.parametrize("holes", [
    [(0, 0, 2.0)], [(0, 0, 4.0)], [(0, 0, 6.0)],
    [(-2.5, 0, 2.5), (2.5, 0, 2.5)], [(-3, 0, 2.0), (3, 1, 2.0)], [(-2, -2, 2.0), (2, 2, 3.0), (3, -2, 1.5)],
])  # fmt: skip
def test_holes_of_any_size_and_holes_that_merge_are_embedded(holes):
    flake = with_holes(*holes)
    whole = eh.embed(flake, MIDDLE, radius_A=10.0)
    area = np.linalg.norm(np.cross(*whole.cell[:2]))
    lost = len(with_holes()) - len(flake)
    assert round(2 * area / eh.MATERIALS["graphene"].area) == len(whole) + lost
    assert other_rings(whole) == other_rings(flake)


@pytest.mark.parametrize("rest", [(22.0, 22.0, 1.6), (22.5, 21.0, 3.0)])
def test_what_stands_free_in_a_hole_or_hangs_into_it_is_embedded_with_it(rest):
    flake, hole = with_holes(), with_holes((0, 0, 5.5))
    inside = np.linalg.norm(flake.positions[:, :2] - rest[:2], axis=1) < rest[2]
    whole = eh.embed(hole + flake[inside], MIDDLE, radius_A=10.0)
    assert len(whole) == len(eh.embed(hole, MIDDLE, radius_A=10.0)) + inside.sum()
    beside = nearest(hole, MIDDLE)
    inwards = (MIDDLE - hole.positions[beside, :2]) / np.linalg.norm(MIDDLE - hole.positions[beside, :2])
    hole.append("C")
    hole.positions[-1] = hole.positions[beside] + [*1.4 * inwards, 0]
    assert len(eh.embed(hole, MIDDLE, radius_A=10.0)) == len(whole) - inside.sum() + 1


@pytest.mark.parametrize("radius_A", [None, 6.0, 10.0])
def test_a_hole_too_wide_for_the_patch_is_named_with_the_radius_that_holds_it(radius_A):
    flake = with_holes((0, 0, 9.0), size=70.0)
    with pytest.raises(ValueError, match="a hole in the sheet, a ring of 54 atoms, is too wide") as refused:
        eh.embed(flake, MIDDLE, radius_A=radius_A)
    needed = float(re.search(r"a `radius_A` of ([\d.]+) Å would hold it", str(refused.value))[1])
    assert eh.embed(flake, MIDDLE, radius_A=needed).info["radius_A"] == needed


def bay(flake):
    """The same flake with a slit from its left edge to the middle."""
    x, y = (flake.positions[:, :2] - MIDDLE).T
    return flake[(np.abs(y) > 3) | (x > 0)]


@pytest.mark.parametrize(("flake", "center"), [
    (bay(with_holes()), (26, 22)),  # a concave flake: the end of its bay
    (bay(with_holes()), (10, 30)),  # the wall of the bay
    (with_holes((-16, 0, 3.0), size=44.0), (7, 22)),  # a hole beside the rim, which is as near
    (with_holes((-20, 0, 4.0), size=44.0), (6, 22)),  # a hole that opens into the rim
    (with_holes((0, 0, 3.0), size=18.5), (22, 22)),  # a hole in a flake too narrow for the patch
])  # fmt: skip
def test_the_edge_of_a_flake_is_refused_whatever_its_shape(flake, center):
    with pytest.raises(ValueError, match="touches the edge of the flake"):
        eh.embed(flake, center, radius_A=9.0)


def test_a_hole_near_the_rim_is_embedded_where_the_patch_keeps_off_the_rim():
    flake = with_holes((-13, 0, 3.0), size=46.0)
    assert eh.embed(flake, MIDDLE - [13, 0], radius_A=7.0).info["radius_A"] == 7.0
    with pytest.raises(ValueError, match="touches the edge of the flake"):
        eh.embed(flake, MIDDLE - [13, 0], radius_A=9.9)


# ---------------------------------------------------------------- bad input


@pytest.mark.parametrize(("center", "options", "message"), [
    ((300, 300), {"radius_A": 6.0}, "holds no atom"),
    ((22, 22), {"radius_A": 40.0}, "the structure is only"),
    ((5, 22), {"radius_A": 8.0}, "touches the edge of the flake"),
    ((22, 22), {"radius_A": 6.0, "size_A": 13.0}, "needs a cell of at least"),
    ((22, 22), {"radius_A": 6.0, "size_A": np.nan}, "needs a cell of at least"),
    ((22, 22), {"radius_A": 6.0, "material": "SrTiO3"}, "hexagonal sheets"),
    ((22, 22), {"radius_A": -1.0}, "above zero"),
])  # fmt: skip
def test_regions_that_cannot_be_embedded_are_refused(center, options, message):
    with pytest.raises(ValueError, match=message):
        eh.embed(pictured("vacancy", angle=9), center, **options)


def test_defect_that_reaches_across_the_rim_is_refused():
    sheet = pictured(angle=9)
    gone = sheet.positions[nearest(sheet, MIDDLE), :2]
    with pytest.raises(ValueError, match="rim of the patch is not the sheet's lattice"):
        eh.embed(pictured("vacancy", angle=9), gone + [6.0, 0.0], radius_A=6.5)
    turned = pictured("Stone–Wales", angle=9)
    with pytest.raises(ValueError, match="reaches out of it|rim of the patch"):
        eh.embed(turned, MIDDLE + [6.0, 0.0], radius_A=6.5)


def test_other_grain_within_the_patch_is_refused():
    grains, _ = eh.add_grain_boundary(eh.sheet("graphene", (44.0, 44.0)), angle=20.0)
    with pytest.raises(ValueError, match="rim of the patch|lie on no lattice|reaches out|edge"):
        eh.embed(grains, (22, 22), radius_A=8.0)
