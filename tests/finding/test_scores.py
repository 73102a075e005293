"""Scores of found atoms: what counts as right, wrong or neither, and what can be told without a truth."""

import numpy as np
import pandas as pd
import pytest
from sheets import honeycomb
from tables import atoms_table

import elit_helpers as eh


def lattice(n=6):
    return np.array([(2.5 * i + 3, 2.5 * j + 3) for i in range(n) for j in range(n)])


def truth(points, hidden=(), **extra):
    return atoms_table(points, under_contamination=np.isin(np.arange(len(points)), hidden), **extra)


def test_perfect_finding_scores_one():
    score = eh.score_atoms(atoms_table(lattice()), truth(lattice()))
    assert (score["precision"], score["recall"], score["f1"], score["rmse_A"]) == (1, 1, 1, 0)


def test_false_and_missing_atoms_are_counted_and_a_pair_is_used_once():
    points = lattice()
    found = np.vstack([points[1:], points[5] + 0.2, [20.0, 20.0]])
    score = eh.score_atoms(atoms_table(found), truth(points))
    assert (score["matched"], score["missing"], score["false"]) == (35, 1, 2)


def test_hidden_atoms_are_neither_missing_nor_false():
    points = lattice()
    dirt = points[3] + [0.9, 0.0]
    score = eh.score_atoms(atoms_table(np.vstack([points[4:], dirt])), truth(points, hidden=[0, 1, 2, 3]))
    assert (score["missing"], score["false"], score["false_on_contamination"]) == (0, 0, 1)
    score = eh.score_atoms(atoms_table(points), truth(points, hidden=[0, 1]))
    assert (score["matched"], score["f1"]) == (34, 1)


def test_contamination_mask_decides_when_given():
    mask = np.zeros((1, 512, 512), bool)
    mask[0, :, 300:] = True
    found = atoms_table(np.vstack([lattice(), [[31.0, 20.0], [25.0, 20.0]]]))
    score = eh.score_atoms(found, truth(lattice()), contamination=mask, pixel_size=0.1, shape=(512, 512))
    assert (score["false"], score["false_on_contamination"]) == (1, 1)


def test_border_is_dont_care():
    points = np.vstack([lattice(), [[0.3, 10.0]]])
    found = np.vstack([lattice(), [[10.0, 0.2]]])
    score = eh.score_atoms(atoms_table(found), truth(points), border_A=1.0, pixel_size=0.1, shape=(512, 512))
    assert (score["missing"], score["false"], score["dont_care"]) == (0, 0, 1)


def test_frames_are_matched_apart_and_summed():
    both = pd.concat([truth(lattice(), frame=0), truth(lattice(3), frame=7)])
    found = pd.concat([atoms_table(lattice(3), frame=0), atoms_table(lattice(3) + [0.1, 0], frame=7)])
    score = eh.score_atoms(found, both)
    assert (score["frames"], score["truth"], score["matched"]) == (2, 45, 18)
    assert score["per_frame"].set_index("frame").loc[7, "rmse_A"] == pytest.approx(0.1)


def test_only_kept_rows_count_and_elements_are_confused_aloud():
    found = atoms_table(lattice(), kept=np.arange(36) > 0)
    found.loc[4, "element"] = "Si"
    score = eh.score_atoms(found, truth(lattice()))
    assert score["matched"] == 35
    assert score["element_confusion"].loc["C", "Si"] == 1
    assert score["element_accuracy"] == pytest.approx(34 / 35)


def test_nothing_found_scores_zero_without_failing():
    score = eh.score_atoms(atoms_table(np.zeros((0, 2))), truth(lattice()))
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
        eh.score_atoms(*change(atoms_table(lattice()), truth(lattice())))


def test_border_needs_the_shape():
    with pytest.raises(ValueError, match="need `shape`"):
        eh.score_atoms(atoms_table(lattice()), truth(lattice()), border_A=2)


def test_perfect_graphene_has_share_and_density_one():
    n, share, density = eh.nearest_neighbour_share(honeycomb(40.0) / 0.1, pixel_size=0.1, shape=(400, 400))
    assert n > 400
    assert share == 1
    assert density == pytest.approx(1, abs=0.02)


def test_few_good_atoms_do_not_pass_for_many():
    points = honeycomb(40.0)
    n, share, density = eh.nearest_neighbour_share(
        points[points[:, 0] < 20] / 0.1, pixel_size=0.1, shape=(400, 400)
    )
    assert share > 0.9
    assert density < 0.6


def test_no_atoms_score_zero_and_several_frames_are_refused():
    assert eh.nearest_neighbour_share(np.zeros((0, 2)), pixel_size=0.1, shape=(9, 9)) == (0, 0.0, 0.0)
    two = pd.concat([atoms_table(lattice(), frame=f) for f in (0, 1)])
    with pytest.raises(ValueError, match="several frames"):
        eh.nearest_neighbour_share(two, pixel_size=0.1, shape=(512, 512))
