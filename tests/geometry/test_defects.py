"""What defects are called, how many atoms they lack, how long their bonds are, what becomes of them."""

from collections import Counter

import numpy as np
import pytest
from ase import Atoms
from ase.io import read
from hypothesis import given, settings
from hypothesis import strategies as st

import elit_helpers as eh
from elit_helpers.samples.sheets import nearest

WIDE = {("C", "C"): 1.85}  # closes the rings of a divacancy
SITES = ((8.0, 8.0), (8.0, 22.0), (22.0, 8.0), (22.0, 22.0))  # far enough apart to stay apart
MADE = {
    "Stone–Wales 5-7-7-5": lambda a, p: eh.add_stone_wales(a, nearest(a, p))[0],
    "vacancy, not closed": lambda a, p: eh.add_vacancy(a, nearest(a, p))[0],
    "divacancy 5-8-5": lambda a, p: eh.add_divacancy(a, nearest(a, p))[0],
    "divacancy 555-777": lambda a, p: eh.add_divacancy(a, nearest(a, p), kind="555-777")[0],
    "hole of 4 atoms": lambda a, p: eh.add_hole(a, center=a.positions[nearest(a, p), :2], radius_A=1.6)[0],
    "hole of 13 atoms": lambda a, p: eh.add_hole(a, center=a.positions[nearest(a, p), :2], radius_A=2.9)[0],
}
CLOSED = ("Stone–Wales 5-7-7-5", "divacancy 5-8-5", "divacancy 555-777")
LACKING = dict(zip(MADE, (0, 1, 2, 2, 4, 13), strict=True))
some_defects = st.lists(st.sampled_from(list(MADE)), min_size=1, max_size=4)


def sheet():
    return eh.graphene_sheet((12, 7))


def defected(kinds, *, seed=0):
    """A periodic sheet with defects of these kinds, and a little noise."""
    rng, atoms = np.random.default_rng(seed), sheet()
    for kind, site in zip(kinds, rng.permutation(SITES), strict=False):
        atoms = MADE[kind](atoms, site)
    atoms.positions += rng.normal(0, 0.005, atoms.positions.shape)
    return atoms


def middle(atoms):
    return nearest(atoms, atoms.positions.mean(axis=0)[:2])


def names(atoms, cutoffs=WIDE):
    return Counter(eh.defects(atoms, cutoffs=cutoffs)["kind"])


# ---------------------------------------------------------------- names and numbers


@settings(max_examples=30, deadline=None)
@given(some_defects, st.integers(0, 2**31))
def test_every_defect_is_named_and_its_missing_atoms_are_counted(kinds, seed):
    atoms = defected(kinds, seed=seed)
    found = eh.defects(atoms, cutoffs=WIDE)
    assert Counter(found["kind"]) == Counter(kinds)
    assert found["missing"].sum() == len(sheet()) - len(atoms) == sum(LACKING[kind] for kind in kinds)


@settings(max_examples=30, deadline=None)
@given(some_defects, st.integers(0, 2**31), st.floats(-180, 180), st.floats(-30, 30), st.floats(-30, 30))
def test_turning_moving_and_shuffling_change_no_name_and_no_ring(kinds, seed, degrees, dx, dy):
    atoms = defected(kinds, seed=seed)
    other = atoms[np.random.default_rng(seed).permutation(len(atoms))]
    other.positions += [dx, dy, 0]
    other.wrap()
    other.rotate(degrees, "z", rotate_cell=True)
    assert names(other) == names(atoms)
    one, two = (eh.ring_census(a, cutoffs=WIDE, max_size=40)["count"].to_dict() for a in (atoms, other))
    assert one == two


@settings(max_examples=30, deadline=None)
@given(some_defects, st.integers(0, 2**31))
def test_euler_counts_what_rings_and_bonds_lack(kinds, seed):
    atoms = defected(kinds, seed=seed)
    sizes = eh.rings(atoms, cutoffs=WIDE)["size"].to_numpy()
    bonds = eh.coordination(atoms, cutoffs=WIDE)
    # On a torus atoms − bonds + rings = 0; with two ends a bond and two rings: Σ(6 − n) = 2 Σ(z − 3).
    assert np.sum(6 - sizes) == 2 * np.sum(bonds - 3)
    if set(kinds) <= set(CLOSED):
        assert np.sum(6 - sizes) == 0


@settings(max_examples=20, deadline=None)
@given(some_defects, st.integers(0, 2**31))
def test_rings_agree_with_matscipy_on_all_defects(kinds, seed):
    from matscipy.rings import ring_statistics

    atoms = defected(kinds, seed=seed)
    own = eh.ring_census(atoms, cutoffs=WIDE, max_size=9)["count"]
    assert own.to_dict() == {size: n for size, n in enumerate(ring_statistics(atoms, 1.85, 9)) if n}


@settings(max_examples=20, deadline=None)
@given(some_defects, st.integers(0, 2**31))
def test_bonds_are_the_same_from_both_ends(kinds, seed):
    from elit_helpers.geometry.bonds import find_edges

    atoms = defected(kinds, seed=seed)
    edges = find_edges(atoms, WIDE)
    there = {(i, j, *np.round(v, 9) + 0.0) for i, j, v in zip(edges.i, edges.j, edges.vector, strict=True)}
    assert there == {(j, i, *(0.0 - np.array(v))) for i, j, *v in there}
    assert 2 * len(eh.bonds(atoms, cutoffs=WIDE)) == len(there)


def test_the_cutoff_decides_between_an_open_and_a_closed_divacancy():
    relaxed = eh.relax(MADE["divacancy 5-8-5"](sheet(), (15, 15)), engine="lammps:lcbop").atoms
    assert names(relaxed, None) == {"divacancy, not closed": 1}
    assert names(relaxed, WIDE) == {"divacancy 5-8-5": 1}


def test_a_hole_that_has_closed_itself_is_one_still():
    perfect, atoms = sheet(), MADE["hole of 4 atoms"](sheet(), (15, 15))
    ends = np.flatnonzero(eh.coordination(atoms) == 2)
    centre = perfect.positions[nearest(perfect, (15, 15))]
    away = np.linalg.norm(perfect.positions - centre, axis=1)
    for place in perfect.positions[np.isclose(away, 1.42, atol=0.01)]:  # each lets two atoms meet
        i, j = ends[np.argsort(np.linalg.norm(atoms.positions[ends] - place, axis=1))[:2]]
        along = atoms.positions[j] - atoms.positions[i]
        atoms.positions[i] += 0.25 * along
        atoms.positions[j] -= 0.25 * along
    relaxed = eh.relax(atoms, engine="lammps:lcbop").atoms
    assert names(relaxed) == {"hole of 4 atoms, closed to 5-5-5-9": 1}
    change = "hole of 4 atoms → hole of 4 atoms, closed to 5-5-5-9"
    assert eh.fate(MADE["hole of 4 atoms"](sheet(), (15, 15)), relaxed) == f"rearranged: {change}"


def test_a_bond_too_long_makes_no_hole():
    atoms = sheet()
    i, j = (int(k) for k in eh.bonds(atoms).iloc[100][["i", "j"]])
    short = eh.defects(Atoms(atoms, positions=pulled(atoms, i, j)))
    assert short["kind"].to_list() == ["rings 10"]
    assert short["missing"].to_list() == [0]


def pulled(atoms, i, j):
    """Positions with two bonded atoms moved apart over the cut-off."""
    positions = atoms.positions.copy()
    along = 0.2 * atoms.get_distance(i, j, mic=True, vector=True) / 1.42
    positions[i], positions[j] = positions[i] - along, positions[j] + along
    return positions


def test_at_an_edge_the_lattice_does_not_tell_what_is_missing():
    flake = eh.graphene_sheet((20.0, 20.0))
    corner = eh.add_vacancy(flake, nearest(flake, (3.0, 3.0)))[0]
    inside = eh.add_vacancy(flake, nearest(flake, (10.0, 10.0)))[0]
    assert eh.defects(inside)["missing"].to_list() == [1]
    assert eh.defects(corner)["missing"].isna().all()


def test_a_defect_across_a_periodic_wall_has_its_place_there():
    atoms = MADE["Stone–Wales 5-7-7-5"](sheet(), (0.0, 0.0))
    x, y = eh.defects(atoms)[["x_A", "y_A"]].to_numpy()[0]
    moved = atoms.copy()
    moved.positions += [9.0, 9.0, 0]
    moved.wrap()
    away = eh.defects(moved)[["x_A", "y_A"]].to_numpy()[0] - [x + 9.0, y + 9.0]
    lengths = atoms.cell.lengths()[:2]
    assert away - lengths * np.round(away / lengths) == pytest.approx(0, abs=1e-6)


def test_the_shipped_tight_binding_defects_are_named():
    folder = eh.data_dir() / "dftb_plus"
    vacancy, turned = (read(folder / f"{n}_relaxation.extxyz", index=-1) for n in ("vacancy", "stone_wales"))
    assert names(vacancy) == {"vacancy, not closed": 1}
    assert names(turned) == {"Stone–Wales 5-7-7-5": 1}


# ---------------------------------------------------------------- bonds of a defect


def test_bonds_of_a_defect_are_numbered_round_its_rings():
    table = eh.defect_bonds(MADE["Stone–Wales 5-7-7-5"](sheet(), (15, 15)))
    assert len(table) == 19  # 16 atoms and four rings: 16 + 4 − 1
    assert sorted(map(len, table.attrs["rings"])) == [5, 5, 7, 7]
    listed = set(table["name"])
    for ring in table.attrs["rings"]:
        ends = zip(ring, (*ring[1:], ring[0]), strict=True)
        assert {f"{min(e)}-{max(e)}" for e in ends} <= listed
    assert {"1-2", "2-3", "3-4"} <= listed
    assert table.attrs["cutoffs"]["C", "C"] == 1.85


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**31))
def test_numbers_do_not_depend_on_the_order_of_the_atoms(seed):
    atoms = MADE["divacancy 5-8-5"](sheet(), (15, 15))
    other = atoms[np.random.default_rng(seed).permutation(len(atoms))]
    one, two = (eh.defect_bonds(a) for a in (atoms, other))
    assert one["name"].to_list() == two["name"].to_list()
    assert one["length_A"].to_numpy() == pytest.approx(two["length_A"].to_numpy())


def test_a_foreign_atom_is_number_one_among_its_partners():
    atoms = sheet()
    k = middle(atoms)
    atoms.symbols[k] = "Si"
    table = eh.defect_bonds(atoms)
    assert table["name"].to_list() == ["1-2", "1-3", "1-4"]
    assert set(table["i"]) == {k}
    assert atoms.positions[table["j"], 1].tolist() == sorted(atoms.positions[table["j"], 1], reverse=True)


def test_bonds_in_motion_are_measured_in_every_frame():
    atoms = MADE["Stone–Wales 5-7-7-5"](sheet(), (15, 15))
    i, j = eh.defect_bonds(atoms)[["i", "j"]].iloc[0]
    frames = [Atoms(atoms, positions=p) for p in (atoms.positions, pulled(atoms, i, j))]
    first = eh.defect_bonds(atoms, frames=frames).iloc[0]
    assert first["mean_A"] == pytest.approx(first["length_A"] + 0.2 * first["length_A"] / 1.42, abs=1e-6)
    assert first["longest_A"] == pytest.approx(2 * first["mean_A"] - first["length_A"])
    assert first["open_share"] == (first["longest_A"] > 1.85) / 2


def test_a_defect_that_is_not_there_has_no_bonds():
    with pytest.raises(ValueError, match="has 0 defects at this cut-off"):
        eh.defect_bonds(sheet())
    with pytest.raises(ValueError, match="`defect` is 3"):
        eh.defect_bonds(MADE["hole of 4 atoms"](sheet(), (15, 15)), defect=3)
    with pytest.raises(ValueError, match="same atoms"):
        eh.defect_bonds(MADE["hole of 4 atoms"](sheet(), (15, 15)), frames=[sheet()])


def test_ring_bonds_average_over_frames_and_state_the_cutoff():
    atoms = MADE["Stone–Wales 5-7-7-5"](sheet(), (15, 15))
    small, large = atoms.copy(), atoms.copy()
    large.set_cell(atoms.cell * [1.02, 1.02, 1], scale_atoms=True)
    one, two, both = (eh.ring_bonds(frames) for frames in (small, large, [small, large]))
    assert both["count"].to_list() == [2, 2]
    assert both["mean_bond_A"].to_numpy() == pytest.approx((one["mean_bond_A"] + two["mean_bond_A"]) / 2)
    assert both.attrs["cutoffs"]["C", "C"] == 1.75
    assert eh.ring_bonds(sheet()).loc[5, "count"] == 0
    assert np.isnan(eh.ring_bonds(sheet()).loc[5, "mean_bond_A"])


def test_the_published_sentence_and_the_published_table_disagree():
    table = eh.published_bonds()
    length = {frozenset((i, j)): d for i, j, d in table[["i", "j", "length_A"]].itertuples(index=False)}
    means = {}
    for ring in ((6, 7, 8, 9, 10), (4, 5, 6, 10, 11, 12, 13)):
        ends = zip(ring, (*ring[1:], ring[0]), strict=True)
        means[len(ring)] = round(float(np.mean([length[frozenset(e)] for e in ends])), 3)
    assert (len(table), table["length_A"].max()) == (22, 2.336)
    assert means == {5: 1.430, 7: 1.606}
    assert table.attrs["sentence"] == {5: 1.606, 7: 1.430}


# ---------------------------------------------------------------- fate


def put_back(atoms, missing):
    return atoms + Atoms("C", [missing])


def test_a_vacancy_with_its_atom_put_back_is_healed():
    perfect = sheet()
    k = middle(perfect)
    hole = eh.add_vacancy(perfect, k)[0]
    assert eh.fate(hole, put_back(hole, perfect.positions[k])) == "healed"
    assert eh.fate(hole, hole) == "unchanged"
    assert eh.fate(perfect, perfect) == "unchanged"
    assert eh.fate(perfect, hole) == "grown: vacancy, not closed new"


def test_a_bond_turned_back_is_healed():
    turned = MADE["Stone–Wales 5-7-7-5"](sheet(), (15, 15))
    assert eh.fate(turned, sheet()) == "healed"


def test_a_hole_with_one_atom_put_back_is_healed_in_part():
    perfect = sheet()
    k = middle(perfect)
    hole = eh.add_hole(perfect, center=perfect.positions[k, :2], radius_A=1.6)[0]
    gone = [p for p in perfect.positions if np.linalg.norm(hole.positions - p, axis=1).min() > 1]
    rim = max(gone, key=lambda p: np.linalg.norm(p - perfect.positions[k]))
    assert eh.fate(hole, put_back(hole, rim)) == "partly healed: hole of 4 atoms → hole of 3 atoms"
    assert eh.fate(put_back(hole, rim), hole) == "grown: hole of 3 atoms → hole of 4 atoms"


def test_one_of_two_defects_gone_is_healed_in_part():
    both = defected(["Stone–Wales 5-7-7-5", "vacancy, not closed"])
    turned_back = sheet()
    x, y = eh.defects(both).set_index("kind").loc["vacancy, not closed", ["x_A", "y_A"]]
    one = MADE["vacancy, not closed"](turned_back, (x, y))
    assert eh.fate(both, one) == "partly healed: Stone–Wales 5-7-7-5 gone"


def test_a_vacancy_next_door_has_moved():
    perfect = sheet()
    k = middle(perfect)
    i, j = eh.bonds(perfect).query("i == @k or j == @k")[["i", "j"]].iloc[0]
    neighbour = int(i + j - k)
    assert eh.fate(eh.add_vacancy(perfect, k)[0], eh.add_vacancy(perfect, neighbour)[0]) == "moved"


def test_a_divacancy_that_turns_a_bond_has_rearranged():
    one, two = (MADE[f"divacancy {kind}"](sheet(), (15, 15)) for kind in ("5-8-5", "555-777"))
    assert eh.fate(one, two) == "rearranged: divacancy 5-8-5 → divacancy 555-777"


def test_a_pentagon_at_the_rim_of_a_hole_is_a_change():
    hole = MADE["hole of 4 atoms"](sheet(), (15, 15))
    narrow = hole.copy()
    twofold = np.flatnonzero(eh.coordination(hole) == 2)
    gone = [p for p in sheet().positions if np.linalg.norm(hole.positions - p, axis=1).min() > 1]
    rim = max(gone, key=lambda p: np.linalg.norm(p - np.mean(gone, axis=0)))
    i, j = twofold[np.argsort(np.linalg.norm(hole.positions[twofold] - rim, axis=1))[:2]]
    along = 0.16 * (hole.positions[j] - hole.positions[i])
    narrow.positions[i] += along
    narrow.positions[j] -= along
    assert eh.fate(hole, narrow) == "rearranged: hole of 4 atoms → hole of 4 atoms (5-15)"
    assert eh.fate(narrow, narrow) == "unchanged"


def test_two_atoms_less_are_growth():
    one, two = (MADE[kind](sheet(), (15, 15)) for kind in ("vacancy, not closed", "hole of 13 atoms"))
    assert eh.fate(one, two) == "grown: vacancy, not closed → hole of 13 atoms"


def test_silicon_that_stays_is_no_obstacle_to_healing():
    perfect = sheet()
    perfect.symbols[5] = "Si"
    turned = MADE["Stone–Wales 5-7-7-5"](perfect, (15, 15))
    assert eh.fate(turned, perfect) == "healed"
    assert eh.fate(perfect, turned) == "grown: Stone–Wales 5-7-7-5 new"


@settings(max_examples=15, deadline=None)
@given(some_defects, st.integers(0, 2**31), st.floats(-0.3, 0.3), st.floats(-0.3, 0.3))
def test_noise_drift_order_and_wrapping_change_no_fate(kinds, seed, dx, dy):
    before = defected(kinds, seed=seed)
    after = before[np.random.default_rng(seed).permutation(len(before))]
    after.rattle(0.005, seed=seed % 2**31)
    after.positions += [dx, dy, 0]
    after.wrap()
    assert eh.fate(before, after) == "unchanged"


# ---------------------------------------------------------------- mean structures


def test_a_mean_structure_takes_out_drift_and_keeps_the_thermal_width():
    atoms, rng = sheet(), np.random.default_rng(1)
    frames = []
    for step in range(200):
        frame = atoms.copy()
        frame.positions += rng.normal(0, 0.05, frame.positions.shape) + [0.01 * step, -0.02 * step, 0]
        frames.append(frame)
    mean = eh.mean_structure(frames, skip=50)
    assert mean.arrays["thermal_rms_A"].mean() == pytest.approx(0.05 * np.sqrt(2), rel=0.02)
    away = mean.positions[:, :2] - atoms.positions[:, :2]
    assert (away - away.mean(axis=0)).std() < 2 * 0.05 / np.sqrt(150)


def test_the_rotation_of_a_flake_is_taken_out_and_a_held_one_is_left():
    from ase.constraints import FixAtoms

    flake = eh.graphene_sheet((15.0, 15.0))
    frames = [flake.copy() for _ in range(5)]
    for degrees, frame in enumerate(frames):
        frame.rotate(degrees, "z", center="COP")
    assert eh.mean_structure(frames).arrays["thermal_rms_A"].max() < 1e-6
    for frame in frames:
        frame.set_constraint(FixAtoms([0]))
    assert eh.mean_structure(frames).arrays["thermal_rms_A"].max() > 0.1


def test_a_mean_needs_frames_of_the_same_atoms():
    with pytest.raises(ValueError, match="has 1 left after `skip`=1"):
        eh.mean_structure([sheet(), sheet()], skip=1)
    with pytest.raises(ValueError, match="same atoms in the same order"):
        eh.mean_structure([sheet(), sheet()[:-1]])


def test_the_largest_deviations_stand_beside_the_mean_ones():
    a = eh.graphene_sheet((25.0, 25.0))
    b = a.copy()
    b.positions[7] += [0.2, -0.1, 0]
    result = eh.compare_structures(a, b, remove=())
    assert (result["max_dx_A"], result["max_dy_A"]) == pytest.approx((0.2, 0.1))
    assert result["mean_dx_A"] == pytest.approx(0.2 / len(a))
    assert result["max_percent_of_bond_x"] == pytest.approx(100 * 0.2 / 1.42)
    span = b.positions[:, 1] - b.positions[:, 1].min()
    assert result["max_percent_y"] == pytest.approx(100 * 0.1 / span.mean())
