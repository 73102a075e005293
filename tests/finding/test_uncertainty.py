"""Doubt is where the errors are, probabilities mean what they say, and what cannot be known is said."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import elit_helpers as eh
from elit_helpers.images.masks import DISC_A

PX = 0.1


def table(*rows):
    """Candidates or true atoms from (row, col) [Å] and what else is said of them."""
    columns = {"frame": 0, "element": "C", "kept": True, "reason": "", "under_contamination": False,
               "probability": 0.9, "position_std_A": 0.02, "member_share": 1.0}  # fmt: skip
    made = [{**columns, "row_px": row / PX, "col_px": col / PX, **more} for row, col, more in rows]
    return pd.DataFrame(made, columns=["row_px", "col_px", *columns])


# --------------------------------------------------------------------------- pixels
@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 20))
def test_probabilities_that_come_true_as_often_as_they_say_have_no_calibration_error(seed, bins):
    rng = np.random.default_rng(seed)
    probability = rng.random(40_000)
    error = eh.calibration_error(eh.reliability(probability, rng.random(40_000) < probability, bins=bins))
    assert error < 0.03


@pytest.mark.parametrize("shift", [-0.2, 0.1, 0.25])
def test_the_calibration_error_is_how_far_probabilities_are_off(shift):
    rng = np.random.default_rng(0)
    probability = rng.uniform(0.3, 0.7, 50_000)
    reliability = eh.reliability(probability, rng.random(50_000) < probability + shift)
    assert eh.calibration_error(reliability) == pytest.approx(abs(shift), abs=0.02)


def test_bins_say_what_was_predicted_what_was_observed_and_how_many():
    found = eh.reliability(np.array([0.1, 0.2, 0.8, 0.9]), np.array([0, 1, 1, 1]), bins=2)
    assert found["count"].tolist() == [2, 2]
    assert found["predicted"].to_numpy() == pytest.approx([0.15, 0.85])
    assert found["observed"].tolist() == [0.5, 1.0]


def test_both_ends_of_the_range_belong_to_it_and_what_is_outside_is_not_counted():
    found = eh.reliability(np.array([0.0, 0.05, 0.95, 1.0]), np.ones(4), lowest=0.05, highest=0.95)
    assert found["count"].sum() == 2
    assert eh.reliability(np.array([0.0, 1.0]), np.array([0, 1]))["count"].sum() == 2


def test_pixels_of_which_nothing_is_known_are_left_out_and_counted():
    found = eh.reliability(np.array([[0.5, 0.5, 0.6]]), np.array([[1, -1, -1]]))
    assert found["count"].sum() == 1
    assert found.attrs["left_out"] == 2


def test_without_a_pixel_in_range_there_is_no_error_to_name():
    assert np.isnan(eh.calibration_error(eh.reliability(np.zeros(3), np.zeros(3), lowest=0.5)))


@pytest.mark.parametrize(
    ("probability", "truth", "how", "message"),
    [
        (np.zeros(3), np.zeros(4), {}, r"\(3,\) and `truth` \(4,\)"),
        (np.full(3, 1.2), np.zeros(3), {}, "not between 0 and 1"),
        (np.full(3, np.nan), np.zeros(3), {}, "not between 0 and 1"),
        (np.zeros(3), np.full(3, 2), {}, "other than 0, 1 and -1"),
        (np.zeros(3), np.zeros(3), {"bins": 0}, "whole number from 1"),
        (np.zeros(3), np.zeros(3), {"lowest": 0.7, "highest": 0.2}, "lowest < highest"),
    ],
)
def test_what_is_no_probability_or_no_truth_is_refused(probability, truth, how, message):
    with pytest.raises(ValueError, match=message):
        eh.reliability(probability, truth, **how)


def prediction_of(maps, *, classes=("C",), scale=(0.5, 0.5), pixel_size=PX):
    """A `Prediction` from element maps (M, N, H, W, K) of frames twice as fine."""
    maps = np.concatenate([maps, 1 - maps.sum(-1, keepdims=True)], -1)
    shape = tuple(int((n - 1) / s) + 1 for n, s in zip(maps.shape[2:4], scale, strict=True))
    return eh.Prediction(
        maps.mean(0).astype(np.float32), maps.std(0).astype(np.float32), maps.astype(np.float16), classes,
        2 * pixel_size, scale, shape, pixel_size,
        expected_entropy=(-(maps * np.log(np.maximum(maps, 1e-12))).sum(-1)).mean(0).astype(np.float32),
    )  # fmt: skip


def test_the_labels_to_compare_with_are_discs_on_the_pixels_of_the_prediction():
    whole = prediction_of(np.zeros((1, 1, 40, 40, 2)), classes=("C", "Si"))
    labels = eh.true_labels(whole, table((4, 4, {"element": "Si"}), (4, 5.4, {})))[0]
    assert labels[20, 20] == 1
    assert labels[20, 27] == 0
    assert labels[10, 10] == 2
    area = (labels == 1).sum() * 0.2**2
    assert area == pytest.approx(np.pi * DISC_A**2, rel=0.25)


def test_pixels_under_contamination_and_at_the_border_are_dont_care():
    whole = prediction_of(np.zeros((1, 1, 40, 40, 1)))
    labels = eh.true_labels(whole, table((4, 4, {"under_contamination": True})))[0]
    rows, cols = np.mgrid[:40, :40]
    inside = np.hypot(rows - 20, cols - 20) * 0.2
    assert (labels[inside < 1.4] == -1).all()
    assert (labels[(inside > 1.6) & (abs(rows - 19.5) < 16) & (abs(cols - 19.5) < 16)] == 1).all()
    assert (labels[:2] == -1).all()
    assert (labels[:, -2:] == -1).all()


def test_an_element_that_the_ensemble_does_not_know_is_named():
    whole = prediction_of(np.zeros((1, 1, 40, 40, 2)), classes=("C", "Si"))
    with pytest.raises(ValueError, match="holds N, `prediction` only C, Si"):
        eh.true_labels(whole, table((4, 4, {"element": "N"})))


# --------------------------------------------------------------------------- atoms
TRUTH = table((2, 2, {}), (2, 3.4, {}), (8, 8, {"under_contamination": True}), (14, 14, {}))


def test_candidates_are_right_wrong_or_dont_care():
    found = table(
        (2.1, 2, {}), (2, 3.1, {"kept": False}), (5, 2, {}), (8.2, 8, {}), (9.2, 8, {}), (9.6, 8, {})
    )  # fmt: skip
    labels = eh.label_candidates(found, TRUTH, pixel_size=PX)
    assert labels.tolist() == ["right", "right", "wrong", "don't-care", "don't-care", "wrong"]


def test_of_two_candidates_for_one_atom_one_is_wrong():
    found = table((2.3, 2, {}), (2.1, 2, {}))
    assert eh.label_candidates(found, TRUTH, pixel_size=PX).tolist() == ["wrong", "right"]


def test_labels_keep_the_index_and_frames_apart():
    found = pd.concat([table((2, 2, {})), table((14, 14, {"frame": 1}))])
    truth = pd.concat([TRUTH, table((2, 2, {"frame": 1}))], ignore_index=True)
    labels = eh.label_candidates(found.set_axis([7, 9]), truth, pixel_size=PX)
    assert labels.to_dict() == {7: "right", 9: "wrong"}


def test_a_frame_without_truth_is_refused():
    with pytest.raises(ValueError, match=r"frames \[3\] without truth"):
        eh.label_candidates(table((2, 2, {"frame": 3})), TRUTH, pixel_size=PX)


def test_true_atoms_without_a_candidate_are_listed_with_what_the_members_say_there():
    maps = np.full((2, 1, 80, 80, 1), 0.01)
    maps[1, 0, 70, 70] = 0.6  # one member sees the atom at 14 Å, the other does not
    whole = prediction_of(maps)
    missed = eh.missed_atoms(table((2, 2, {}), (2, 3.4, {})), TRUTH, pixel_size=PX, prediction=whole)
    assert missed["under_contamination"].tolist() == [True, False]
    assert missed["highest"].to_numpy() == pytest.approx([0.01, 0.6], abs=1e-3)
    assert missed["mutual_information"].to_numpy()[0] == pytest.approx(0, abs=1e-3)
    assert missed["mutual_information"].to_numpy()[1] > 0.1
    assert len(eh.missed_atoms(TRUTH, TRUTH, pixel_size=PX)) == 0


def scattered(seed, n=300):
    """Candidates on a grid, a third of them wrong, the wrong ones on average the less probable."""
    rng = np.random.default_rng(seed)
    wrong, at = rng.random(n) < 0.3, np.argwhere(np.ones((20, 20)))[:n] * 2.0 + 2
    probability = np.clip(0.8 - 0.2 * wrong + rng.normal(0, 0.1, n), 0.01, 0.99)
    found = table(*[(*p, {"probability": q}) for p, q in zip(at, probability, strict=True)])
    truth = table(*[(*p, {}) for p in at[~wrong]], (100, 100, {}), (90, 90, {"under_contamination": True}))
    return found, truth, wrong


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.1, 5), st.floats(0.1, 0.9))
def test_a_monotone_change_of_the_probability_does_not_change_what_it_finds(seed, power, factor):
    found, truth, _ = scattered(seed)
    other = found.assign(probability=factor * found["probability"] ** power)
    first, second = (eh_auroc(f, truth) for f in (found, other))
    assert first["auroc"] == pytest.approx(second["auroc"], abs=1e-9)


def eh_auroc(found, truth, **how):
    return eh.uncertainty_auroc(found, truth, pixel_size=PX, samples=how.pop("samples", 0), **how)


def test_uncertainty_that_knows_everything_nothing_or_the_opposite():
    found, truth, wrong = scattered(1)
    for probability, expected in ((~wrong, 1.0), (wrong, 0.0), (np.full(len(wrong), 0.5), 0.5)):
        assert eh_auroc(found.assign(probability=probability.astype(float)), truth)["auroc"] == expected


def test_flagged_candidates_count_and_missing_atoms_are_counted_apart():
    found, truth, wrong = scattered(2)
    scores = eh_auroc(found.assign(kept=False, reason="low probability"), truth, samples=50)
    assert scores["candidates"] == len(found)
    assert scores["wrong"] == wrong.sum()
    assert scores["missing"] == 1
    assert scores["auroc_low"] < scores["auroc"] < scores["auroc_high"]


def test_what_lies_under_contamination_is_left_out_and_counted():
    found, truth, wrong = scattered(3)
    hidden = truth.assign(under_contamination=np.arange(len(truth)) < 10)
    scores = eh_auroc(found, hidden)
    assert scores["dont_care"] >= 10
    assert scores["candidates"] == len(found) - scores["dont_care"]


def test_atoms_outside_the_picture_are_doubted_and_counted_apart():
    found, truth, wrong = scattered(4)
    reason = np.where(np.cumsum(wrong) <= 5, np.where(wrong, "edge", ""), "")
    found = found.assign(probability=0.9, reason=reason)
    scores = eh_auroc(found, truth, by="combined")
    assert scores["wrong_edge"] == 5
    assert scores["auroc_inside"] == 0.5
    assert scores["auroc"] > 0.5


def test_without_an_error_there_is_nothing_to_find():
    scores = eh_auroc(table((2, 2, {})), TRUTH, samples=20)
    assert np.isnan(scores["auroc"])
    assert np.isnan(scores["auroc_low"])


def test_an_atom_that_fewer_than_two_members_see_has_the_largest_spread():
    found = table((2, 2, {"position_std_A": 0.3}), (5, 5, {"position_std_A": np.nan, "member_share": 0.2}))
    assert eh.atom_uncertainty(found, "position_std_A").tolist() == [0.3, np.inf]
    assert eh_auroc(found, TRUTH, by="position_std_A")["auroc"] == 1


def test_an_uncertainty_that_needs_members_says_so_without_them():
    found = table((2, 2, {"position_std_A": np.nan, "member_share": np.nan}))
    assert eh.atom_uncertainty(found).tolist() == pytest.approx([0.1])
    with pytest.raises(ValueError, match="knows no members"):
        eh.atom_uncertainty(found, "member_share")
    with pytest.raises(ValueError, match="position_std_A"):
        eh.atom_uncertainty(found, "luck")


# --------------------------------------------------------------------------- members
@pytest.fixture(scope="module")
def noisy_members():
    """Four members that each see all six atoms and two of their own, and the truth."""
    rng, at = np.random.default_rng(0), np.array([[r, c] for r in (20, 40, 60) for c in (30, 60)], float)
    rows, cols = np.mgrid[:80, :90]
    maps = []
    for _ in range(4):
        own = np.concatenate([at, rng.uniform(5, 75, (2, 2))])
        away = np.hypot(rows - own[:, :1, None], cols - own[:, 1:, None])
        maps.append((0.95 / (1 + np.exp(away * 2 - 8))).max(0)[None, ..., None])
    return prediction_of(np.array(maps)), table(*[(*(2 * PX * p), {}) for p in at])


def test_more_members_say_together_what_single_ones_do_not(noisy_members):
    found = eh.members_table(*noisy_members)
    assert found.index.tolist() == [1, 2, 3, 4]
    assert found["choices"].tolist() == [3, 3, 3, 1]
    assert found["f1"].iloc[-1] == 1
    assert found["f1"].iloc[0] < 0.9
    assert found["auroc"].iloc[-1] == 1
    assert {"rmse_A", "ece", "ece_std", "auroc_std", "auroc_inside", "wrong", "missing"} <= set(found)


def test_members_are_needed_to_count_them(noisy_members):
    without = dataclasses.replace(noisy_members[0], members=None)
    for ask in (
        lambda: eh.members_table(without, TRUTH),
        lambda: eh.missed_atoms(TRUTH[:1], TRUTH, pixel_size=PX, prediction=without),
    ):
        with pytest.raises(ValueError, match="no maps of its members"):
            ask()
