"""Scores of found atoms, and what the bonds, rings and comparisons say about a structure."""

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import elit_helpers as eh
from elit_helpers.geometry.matching import match_positions


def table(points, *, frame=0, element="C", pixel_size=0.1, **extra):
    points = np.asarray(points, float).reshape(-1, 2)
    columns = {
        "frame": frame,
        "x_A": points[:, 0],
        "y_A": points[:, 1],
        "col_px": points[:, 0] / pixel_size,
        "row_px": 511 - points[:, 1] / pixel_size,
        "element": element,
    }
    return pd.DataFrame({**columns, **extra}, index=range(len(points)))


def lattice(n=6):
    return np.array([(2.5 * i + 3, 2.5 * j + 3) for i in range(n) for j in range(n)])


def truth(points, hidden=(), **extra):
    return table(points, under_contamination=np.isin(np.arange(len(points)), hidden), **extra)


def test_perfect_finding_scores_one():
    score = eh.score_atoms(table(lattice()), truth(lattice()))
    assert (score["precision"], score["recall"], score["f1"], score["rmse_A"]) == (1, 1, 1, 0)


def test_false_and_missing_atoms_are_counted_and_a_pair_is_used_once():
    points = lattice()
    found = np.vstack([points[1:], points[5] + 0.2, [20.0, 20.0]])
    score = eh.score_atoms(table(found), truth(points))
    assert (score["matched"], score["missing"], score["false"]) == (35, 1, 2)


def test_hidden_atoms_are_neither_missing_nor_false():
    points = lattice()
    dirt = points[3] + [0.9, 0.0]
    score = eh.score_atoms(table(np.vstack([points[4:], dirt])), truth(points, hidden=[0, 1, 2, 3]))
    assert (score["missing"], score["false"], score["false_on_contamination"]) == (0, 0, 1)
    score = eh.score_atoms(table(points), truth(points, hidden=[0, 1]))
    assert (score["matched"], score["f1"]) == (34, 1)


def test_contamination_mask_decides_when_given():
    mask = np.zeros((1, 512, 512), bool)
    mask[0, :, 300:] = True
    found = table(np.vstack([lattice(), [[31.0, 20.0], [25.0, 20.0]]]))
    score = eh.score_atoms(found, truth(lattice()), contamination=mask, pixel_size=0.1, shape=(512, 512))
    assert (score["false"], score["false_on_contamination"]) == (1, 1)


def test_border_is_dont_care():
    points = np.vstack([lattice(), [[0.3, 10.0]]])
    found = np.vstack([lattice(), [[10.0, 0.2]]])
    score = eh.score_atoms(table(found), truth(points), border_A=1.0, pixel_size=0.1, shape=(512, 512))
    assert (score["missing"], score["false"], score["dont_care"]) == (0, 0, 1)


def test_frames_are_matched_apart_and_summed():
    both = pd.concat([truth(lattice(), frame=0), truth(lattice(3), frame=7)])
    found = pd.concat([table(lattice(3), frame=0), table(lattice(3) + [0.1, 0], frame=7)])
    score = eh.score_atoms(found, both)
    assert (score["frames"], score["truth"], score["matched"]) == (2, 45, 18)
    assert score["per_frame"].set_index("frame").loc[7, "rmse_A"] == pytest.approx(0.1)


def test_only_kept_rows_count_and_elements_are_confused_aloud():
    found = table(lattice(), kept=np.arange(36) > 0)
    found.loc[4, "element"] = "Si"
    score = eh.score_atoms(found, truth(lattice()))
    assert score["matched"] == 35
    assert score["element_confusion"].loc["C", "Si"] == 1
    assert score["element_accuracy"] == pytest.approx(34 / 35)


def test_nothing_found_scores_zero_without_failing():
    score = eh.score_atoms(table(np.zeros((0, 2))), truth(lattice()))
    assert (score["f1"], score["missing"]) == (0, 36)
    assert np.isnan(score["rmse_A"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f, t: (f.drop(columns="x_A"), t), "no column x_A"),
        (lambda f, t: (f.assign(x_A=np.nan), t), "not finite"),
        (lambda f, t: (f.assign(frame=3), t), "without truth"),
    ],
)
def test_bad_tables_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        eh.score_atoms(*change(table(lattice()), truth(lattice())))


def test_border_needs_the_shape():
    with pytest.raises(ValueError, match="need `shape`"):
        eh.score_atoms(table(lattice()), truth(lattice()), border_A=2)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**31), st.integers(0, 5), st.integers(0, 5))
def test_matching_is_the_best_of_all_possible(seed, m, n):
    rng = np.random.default_rng(seed)
    a, b = rng.uniform(0, 2, (m, 2)), rng.uniform(0, 2, (n, 2))
    i, j = match_positions(a, b, tolerance_A=0.8)
    distance = np.linalg.norm(a[:, None] - b[None], axis=2)
    assert len(set(i)) == len(set(j)) == len(i)
    best = max(
        (k, -sum(distance[r, c] for r, c in zip(rows, cols, strict=True)))
        for k in range(min(m, n) + 1)
        for rows in itertools.combinations(range(m), k)
        for cols in itertools.permutations(range(n), k)
        if all(distance[r, c] <= 0.8 for r, c in zip(rows, cols, strict=True))
    )
    assert (len(i), -distance[i, j].sum()) == pytest.approx(best)


def graphene_points(size_A=40.0):
    a = 2.46
    cell = np.array([[a, 0], [a / 2, a * np.sqrt(3) / 2]])
    n = np.arange(-40, 41)
    grid = np.stack(np.meshgrid(n, n), -1).reshape(-1, 2) @ cell
    points = np.vstack([grid, grid + [0, a / np.sqrt(3)]])
    return points[((points > 0) & (points < size_A)).all(1)]


def test_perfect_graphene_has_share_and_density_one():
    n, share, density = eh.nearest_neighbour_share(graphene_points() / 0.1, pixel_size=0.1, shape=(400, 400))
    assert n > 400
    assert share == 1
    assert density == pytest.approx(1, abs=0.02)


def test_few_good_atoms_do_not_pass_for_many():
    points = graphene_points()
    n, share, density = eh.nearest_neighbour_share(
        points[points[:, 0] < 20] / 0.1, pixel_size=0.1, shape=(400, 400)
    )
    assert share > 0.9
    assert density < 0.6


def test_no_atoms_score_zero_and_several_frames_are_refused():
    assert eh.nearest_neighbour_share(np.zeros((0, 2)), pixel_size=0.1, shape=(9, 9)) == (0, 0.0, 0.0)
    two = pd.concat([table(lattice(), frame=f) for f in (0, 1)])
    with pytest.raises(ValueError, match="several frames"):
        eh.nearest_neighbour_share(two, pixel_size=0.1, shape=(512, 512))


# ---------------------------------------------------------------- structures


def sheet(n=8, *, periodic=True):
    from ase.build import graphene

    atoms = graphene(a=2.46, size=(n, n, 1), vacuum=8)
    atoms.pbc = (periodic, periodic, False)
    return atoms


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
    atoms = sheet()
    table = eh.bonds(atoms)
    assert len(table) == 3 * len(atoms) / 2
    assert table["length_A"].to_numpy() == pytest.approx(2.46 / np.sqrt(3))
    assert eh.angles(atoms)["angle_deg"].to_numpy() == pytest.approx(120)
    census = eh.ring_census(atoms)
    assert census["count"].to_dict() == {6: len(atoms) / 2}
    assert eh.rings(atoms)["area_A2"].sum() == pytest.approx(abs(np.linalg.det(atoms.cell[:2, :2])))
    assert len(eh.defects(atoms)) == 0


def test_stone_wales_is_two_fives_and_two_sevens():
    atoms = stone_wales(sheet())
    assert eh.ring_census(atoms)["count"].to_dict() == {5: 2, 6: len(atoms) / 2 - 4, 7: 2}
    assert eh.defects(atoms)["kind"].to_list() == ["Stone–Wales 5-7-7-5"]


def test_reconstructed_divacancy_is_named_and_an_open_one_too():
    atoms = sheet()
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
    atoms = sheet(7, periodic=periodic)
    if gone:
        del atoms[rng.choice(len(atoms), gone, replace=False)]
    atoms.rattle(0.04, rng=np.random.RandomState(seed % 2**31))
    own = eh.ring_census(atoms, max_size=8)["count"]
    theirs = ring_statistics(atoms, 1.75, 8)
    assert own.to_dict() == {size: n for size, n in enumerate(theirs) if n}


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31), st.booleans())
def test_bonds_agree_with_ase(seed, periodic):
    from ase.neighborlist import neighbor_list

    rng = np.random.default_rng(seed)
    atoms = sheet(4, periodic=periodic)
    atoms.symbols[rng.choice(len(atoms), 4)] = "Si"
    atoms.positions += rng.normal(0, 0.1, atoms.positions.shape)
    if not periodic:
        atoms.cell = [0, 0, 0]
    expected = neighbor_list("d", atoms, {("C", "C"): 1.75, ("C", "Si"): 2.1, ("Si", "Si"): 2.5})
    table = eh.bonds(atoms)
    assert sorted(table["length_A"]) == pytest.approx(sorted(expected)[::2])
    assert set(table["pair"]) <= {"C-C", "C-Si", "Si-Si"}


def test_edge_of_a_flake_is_found_and_a_sheet_has_none():
    flake = sheet(periodic=False)
    outer = eh.edge_atoms(flake)
    assert outer[eh.coordination(flake) < 3].all()
    assert not outer[np.argmin(np.linalg.norm(flake.positions - flake.positions.mean(axis=0), axis=1))]
    assert not eh.edge_atoms(sheet()).any()


def test_silicon_is_a_defect_with_its_partners():
    atoms = sheet()
    atoms.symbols[middle_bond(atoms)[0]] = "Si"
    assert eh.defects(atoms)["kind"].to_list() == ["Si with 3 C"]


def test_pair_without_a_cutoff_and_nan_are_refused():
    atoms = sheet(3)
    atoms.symbols[0] = "Fe"
    assert len(eh.bonds(atoms)) >= 3 * len(atoms) / 2
    with pytest.raises(ValueError, match="no length .* C–Fe"):
        eh.bonds(atoms, cutoffs={("C", "C"): 1.75})
    atoms.positions[0] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        eh.rings(atoms)


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


def flake():
    atoms = sheet(12, periodic=False)
    atoms.rattle(0.03, rng=np.random.RandomState(1))
    return atoms


def transformed(atoms, *, shift=(0.0, 0.0), degrees=0.0, scale=1.0):
    out, angle = atoms.copy(), np.radians(degrees)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    middle = atoms.positions[:, :2].mean(axis=0)
    out.positions[:, :2] = scale * (atoms.positions[:, :2] - middle) @ turn + middle + shift
    return out


@settings(max_examples=20, deadline=None)
@given(st.floats(-0.4, 0.4), st.floats(-0.4, 0.4), st.floats(-2, 2), st.floats(0.96, 1.04), st.integers(0, 9))
def test_drift_rotation_and_scale_are_recovered(dx, dy, degrees, scale, seed):
    a = flake()
    order = np.random.default_rng(seed).permutation(len(a))
    b = transformed(a, shift=(dx, dy), degrees=degrees, scale=scale)[order]
    result = eh.compare_structures(a, b)
    assert result["matched"] == len(a)
    assert result["rmse_A"] == pytest.approx(0, abs=1e-6)
    assert (result["scale"], result["rotation_deg"]) == pytest.approx((scale, degrees), abs=1e-6)
    assert result["drift_A"] == pytest.approx([dx, dy], abs=1e-6)


def test_compare_counts_what_has_no_partner_and_other_elements():
    a = flake()
    b = a.copy()
    b.symbols[10] = "Si"
    del b[[50, 60]]
    result = eh.compare_structures(a, b)
    assert (result["only_a"], result["only_b"], result["element_changes"]) == (2, 0, 1)


def test_noise_is_measured_per_axis():
    a, rng = flake(), np.random.default_rng(0)
    b = a.copy()
    b.positions[:, 0] += rng.normal(0, 0.1, len(a))
    result = eh.compare_structures(a, b)
    assert result["mean_dx_A"] == pytest.approx(0.1 * np.sqrt(2 / np.pi), rel=0.15)
    assert result["mean_dy_A"] < 0.01
    assert result["percent_of_bond_x"] == pytest.approx(100 * result["mean_dx_A"] / 1.42)


def test_scale_stays_in_when_not_removed():
    a = flake()
    result = eh.compare_structures(a, transformed(a, scale=1.02), remove=("drift", "rotation"))
    assert result["scale"] == 1
    assert result["rmse_A"] > 0.1


def test_compare_refuses_strangers():
    far = flake()
    far.positions[:, 0] += 500
    with pytest.raises(ValueError, match="same region"):
        eh.compare_structures(flake(), far, remove=())
    with pytest.raises(ValueError, match="`remove` is 'mirror'"):
        eh.compare_structures(flake(), far, remove=("mirror",))
    with pytest.raises(ValueError, match="together with the drift"):
        eh.compare_structures(flake(), far, remove=("scale",))


def test_spread_of_positions_widens_bonds_and_lengthens_them():
    atoms = sheet()
    atoms.arrays["position_std_A"] = np.full(len(atoms), 0.1)
    table, means = eh.bond_spread(atoms, samples=300, rng=1)
    assert table["length_std_A"].to_numpy() == pytest.approx(0.1)
    assert table["sampled_std_A"].mean() == pytest.approx(0.1, rel=0.05)
    # 0.1 Å in the plane is 0.1/√2 sideways; each of two ends lengthens the bond by s²/(2 d).
    assert means.mean() - 1.4203 == pytest.approx(0.1**2 / 2 / 1.42, rel=0.15)
    again = eh.bond_spread(atoms, samples=300, rng=1)[1]
    assert np.array_equal(means, again)


def test_spread_needs_an_error_bar():
    with pytest.raises(ValueError, match="position_std_A"):
        eh.bond_spread(sheet())
