"""Algorithm 1: what is believed, what is learned from, and that the loop holds together."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

import elit_helpers as eh
from elit_helpers import _candidates, _labels, _patches
from elit_helpers._honeycomb import Honeycomb
from elit_helpers.elit import assign_elements
from elit_helpers.ensemble import UNSURE

PX = 0.15


def lattice(length=30.0, turn=0.2):
    """Graphene (row, column) [px] over a square."""
    a = 2.46
    i, j = (k.ravel() for k in np.mgrid[-30:31, -30:31])
    cells = np.column_stack([a * (i + j / 2), a * np.sqrt(0.75) * j])
    p = np.concatenate([cells, cells + [a / 2, a / np.sqrt(12)]])
    p = p @ [[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]] + length / 2
    return p[((p > 1) & (p < length - 1)).all(1)] / PX


def picture(row_col, weights=None, shape=(200, 200), noise=0.15, sigma=0.45 / PX):
    rows, cols = np.arange(shape[0])[:, None], np.arange(shape[1])[:, None]
    gr = np.exp(-((rows - row_col[:, 0]) ** 2) / (2 * sigma**2))
    gc = np.exp(-((cols - row_col[:, 1]) ** 2) / (2 * sigma**2))
    image = (gr * (np.ones(len(row_col)) if weights is None else weights)) @ gc.T
    return (image + noise * np.random.default_rng(0).normal(size=shape)).astype(np.float32) + 3


def table_of(row_col, element="C", reason=""):
    return pd.DataFrame(
        {"frame": 0, "row_px": row_col[:, 0], "col_px": row_col[:, 1], "element": element, "reason": reason}
    ).assign(kept=lambda t: t["reason"] == "")


def labels_of(frame, row_col, table):
    return _labels.label_frame(frame, row_col, table, classes=("C",), pixel_size=PX).mask


def value_at(mask, positions):
    return _candidates.at(mask, positions)


# ------------------------------------------------------------------------- what is believed
def test_a_missing_atom_is_asked_for_by_its_three_neighbours():
    sheet = lattice()
    gone = np.argmin(((sheet - 100) ** 2).sum(1))
    rest = np.delete(sheet, gone, 0)
    sites, votes = _candidates.missing_sites(rest, rest, pixel_size=PX)
    nearest = np.argmin(((sites - sheet[gone]) ** 2).sum(1))
    assert np.hypot(*(sites[nearest] - sheet[gone])) * PX < 0.1
    assert votes[nearest] == 3


def test_an_overlooked_atom_is_labelled_if_the_picture_shows_it():
    sheet = lattice()
    gone = np.argmin(((sheet - 100) ** 2).sum(1))
    rest, middle = np.delete(sheet, gone, 0), sheet[gone : gone + 1]
    seen = labels_of(picture(sheet), rest, table_of(rest))
    vacancy = labels_of(picture(rest), rest, table_of(rest))
    assert value_at(seen, middle) == [0]
    assert value_at(vacancy, middle) != [0]


def test_a_candidate_alone_becomes_background_and_a_doubtful_one_unsure():
    sheet = lattice()
    hole = np.hypot(*(sheet - 100).T) * PX > 6
    alone, extra = np.array([[100.0, 100.0]]), sheet[hole][:1] + [4.0, 0.0]
    positions = np.concatenate([sheet[hole], alone])
    mask = labels_of(picture(sheet[hole]), positions, table_of(positions))
    assert value_at(mask, alone) == [1]
    positions = np.concatenate([sheet[hole], extra])
    faint = table_of(positions)
    faint.loc[len(faint) - 1, ["reason", "kept"]] = ["low probability", False]
    mask = labels_of(picture(sheet[hole]), positions, faint)
    assert UNSURE in mask[(np.hypot(*(np.indices(mask.shape) - extra[0][:, None, None])) < 4)]


def test_a_part_of_the_sheet_that_was_overlooked_teaches_nothing():
    sheet = lattice()
    known = sheet[sheet[:, 1] < 130]
    mask = labels_of(picture(sheet), known, table_of(known))
    overlooked = sheet[sheet[:, 1] > 165]
    assert np.mean(value_at(mask, overlooked) == 1) < 0.2


def test_a_hole_is_background():
    sheet = lattice()
    sheet = sheet[np.hypot(*(sheet - 100).T) * PX > 6]
    mask = labels_of(picture(sheet), sheet, table_of(sheet))
    inside = np.hypot(*(np.indices(mask.shape) - 100)) * PX < 4
    assert np.mean(mask[inside] == 1) > 0.9


# ------------------------------------------------------------------------- elements
def test_silicon_is_told_from_carbon_on_a_hill_of_contamination():
    sheet = lattice()
    rng = np.random.default_rng(1)
    silicon = rng.choice(len(sheet), 6, replace=False)
    weights = np.ones(len(sheet))
    weights[silicon] = 2.6
    hill = 6 * np.exp(-((np.arange(200) - 150) ** 2) / (2 * 25**2))[:, None]
    frame = picture(sheet, weights, noise=0.25) + hill
    named = assign_elements(table_of(sheet), frame, pixel_size=PX)
    assert set(np.flatnonzero(named["element"] == "Si")) == set(silicon.tolist())
    assert named["impurity_chance"].between(0, 1).all()


def test_carbon_alone_stays_carbon():
    sheet = lattice()
    named = assign_elements(table_of(sheet), picture(sheet, noise=0.4), pixel_size=PX)
    assert set(named["element"]) == {"C"}


# ------------------------------------------------------------------------- with an ensemble
@pytest.fixture(scope="module")
def sheet():
    return lattice()


@pytest.fixture(scope="module")
def frames(sheet):
    weights = np.ones(len(sheet))
    weights[[40, 90, 140, 200]] = 2.8
    return np.stack([picture(sheet, weights, noise=n) for n in (0.2, 0.25)])


@pytest.fixture(scope="module")
def prediction(frames):
    ensemble = eh.default_ensemble()
    one = eh.predict(ensemble, frames, pixel_size=PX)
    join = lambda p: np.stack([p[..., :-1].sum(-1), p[..., -1]], -1)  # noqa: E731
    return dataclasses.replace(
        one, mean=join(one.mean), std=join(one.std), members=join(one.members), classes=("C",)
    )


def test_training_data_are_patches_with_labels_that_repeat_for_a_seed(prediction, frames):
    images, labels = eh.training_data_from(prediction, frames, n=12, rng=1)
    again, _ = eh.training_data_from(prediction, frames, n=12, rng=1)
    assert images.shape == labels.shape == (12, 64, 64)
    assert np.array_equal(images, again)
    assert set(np.unique(labels)) <= {UNSURE, 0, 1}
    assert images[labels == 0].mean() > images[labels == 1].mean() + 0.5


def test_many_of_the_multi_class_patches_hold_an_impurity(prediction, frames):
    _, labels = eh.multi_class_data(prediction, frames, n=30, rng=1)
    assert set(np.unique(labels)) <= {UNSURE, 0, 1, 2}
    assert np.mean((labels == 1).any((1, 2))) > 0.3


def test_without_an_impurity_the_error_says_so(prediction, sheet):
    plain = np.stack([picture(sheet, noise=n) for n in (0.2, 0.25)])
    with pytest.raises(eh.NoAtomsFound, match="no Si to learn from"):
        eh.multi_class_data(prediction, plain, n=4, rng=1)


def test_without_atoms_there_is_nothing_to_learn_from(prediction, frames):
    nothing = dataclasses.replace(prediction, mean=np.zeros_like(prediction.mean) + [0, 1], members=None)
    with pytest.raises(eh.NoAtomsFound, match="pixel size"):
        eh.training_data_from(nothing, frames, n=4)


def test_frames_of_another_size_are_refused(prediction, frames):
    with pytest.raises(ValueError, match="frames that went into predict"):
        eh.training_data_from(prediction, frames[:1])


def test_a_member_that_sees_atoms_in_noise_is_left_out(frames):
    ensemble = eh.default_ensemble()
    prediction = eh.predict(ensemble, frames, pixel_size=PX)
    rng = np.random.default_rng(0)
    wild = prediction.members[0].copy()
    for row, col in rng.integers(5, 195, (150, 2)):
        wild[:, row - 2 : row + 3, col - 2 : col + 3] = [1, 0, 0]
    prediction.members[0] = wild
    chosen, scores = eh.select_artifact_free(ensemble, prediction, frames)
    assert not scores.loc[0, "kept"]
    assert scores["score"].idxmin() == 0
    assert len(chosen) == len(ensemble) - 1


def test_a_choice_by_hand_is_taken_as_it_is(frames):
    ensemble = eh.default_ensemble()
    prediction = eh.predict(ensemble, frames, pixel_size=PX)
    chosen, scores = eh.select_artifact_free(ensemble, prediction, frames, keep=[0, 3])
    assert chosen.card["chosen_members"] == [0, 3]
    assert scores.loc[scores["kept"], "member"].tolist() == [0, 3]


def test_a_choice_needs_the_maps_of_the_members(frames):
    ensemble = eh.default_ensemble()
    prediction = eh.predict(ensemble, frames, pixel_size=PX, members=False)
    with pytest.raises(ValueError, match="members=True"):
        eh.select_artifact_free(ensemble, prediction, frames)


@pytest.mark.slow
def test_the_loop_leaves_a_row_and_an_ensemble_a_stage(frames):
    settings = eh.TrainSettings(members=2, steps=150, member_steps=20)
    result = eh.run_elit(
        frames,
        pixel_size=PX,
        data=eh.training_set("realistic", 200, rng=0),
        settings=settings,
        rounds=1,
        rng=3,
        score=lambda atoms: {"mine": len(atoms)},
    )
    assert result.history["stage"].tolist() == ["E_initial", "E_0", "E_1", "E_final"]
    assert result.final.classes == ("C", "Si")
    assert (result.history["mine"] > 0).all()
    assert {"C", "Si"} >= set(result.atoms["element"])
