# ruff: noqa: NPY002 (the old global generator is what is being watched)
"""Predictions: frames of any size, each by itself, cropped exactly; stacks and streams; with entropies."""

import dataclasses

import numpy as np
import pytest
from scipy.spatial import cKDTree
from tiny_ensembles import same

import elit_helpers as eh
from elit_helpers.ensemble import tiles


@pytest.mark.parametrize("shape", [(64, 64), (65, 71), (16, 200), (97, 40)])
def test_maps_have_the_size_of_the_frame_whatever_it_is(tiny, shape):
    noise = np.random.default_rng(1).normal(size=(2, *shape))
    prediction = eh.predict(tiny, noise, pixel_size=0.15)
    assert prediction.mean.shape == (2, *shape, 3)
    assert prediction.members.shape == (2, 2, *shape, 3)
    assert np.allclose(prediction.mean.sum(-1), 1, atol=1e-5)


def test_a_frame_does_not_depend_on_its_neighbours_in_the_stack(tiny, frame):
    bright = 1000 * frame[::-1] + 5
    alone = eh.predict(tiny, frame, pixel_size=0.15).mean[0]
    assert np.array_equal(eh.predict(tiny, np.stack([frame, bright]), pixel_size=0.15).mean[0], alone)


def test_stacks_of_different_size_can_follow_one_another(tiny, frame):
    for part in (frame, frame[:40, :50]):
        assert eh.predict(tiny, part, pixel_size=0.15).mean.shape[1:3] == part.shape


def test_mean_and_spread_are_those_of_the_members(tiny, frame):
    prediction = eh.predict(tiny, frame, pixel_size=0.15)
    assert np.allclose(prediction.members.astype(float).mean(0), prediction.mean, atol=2e-3)
    assert np.allclose(prediction.members.astype(float).std(0), prediction.std, atol=2e-3)
    assert prediction.std.max() > 0


def test_predicting_does_not_change_the_ensemble(tiny, frame):
    before = [{name: value.copy() for name, value in w.items()} for w in tiny.weights]
    first = eh.predict(tiny, frame, pixel_size=0.15).mean
    assert np.array_equal(first, eh.predict(tiny, frame, pixel_size=0.15).mean)
    assert all(same(a, b) for a, b in zip(before, tiny.weights, strict=True))


def test_tiles_leave_no_seam(tiny, monkeypatch):
    wide = np.random.default_rng(2).normal(size=(64, 460)).astype(np.float32)
    monkeypatch.setattr(tiles, "_TILE", 192)
    tiled = eh.predict(tiny, wide, pixel_size=0.15).mean
    monkeypatch.setattr(tiles, "_TILE", 4096)
    whole = eh.predict(tiny, wide, pixel_size=0.15).mean
    assert np.abs(tiled - whole).max() < 1e-4


def test_several_tiles_in_both_directions_cover_the_frame(tiny, monkeypatch):
    frame = np.random.default_rng(2).normal(size=(150, 203)).astype(np.float32)
    whole = eh.predict(tiny, frame, pixel_size=0.15)
    monkeypatch.setattr(tiles, "_TILE", 64)
    tiled = eh.predict(tiny, frame, pixel_size=0.15)
    for a, b in ((whole.mean, tiled.mean), (whole.std, tiled.std), (whole.members, tiled.members)):
        assert np.abs(a.astype(float) - b).max() < 2e-3


def test_predicting_does_not_depend_on_the_number_of_processors(tiny, frame, monkeypatch):
    first = eh.predict(tiny, frame, pixel_size=0.15)
    monkeypatch.setenv("ELIT_THREADS", "3")
    assert np.array_equal(eh.predict(tiny, frame, pixel_size=0.15).mean, first.mean)


@pytest.fixture(scope="module")
def sheet():
    """Part of a simulated frame of graphene, and the ensemble that ships."""
    return eh.load_movie("development").frames[0, :320, :320], eh.default_ensemble()


def kept(ensemble, frame):
    """Positions away from the borders, [px]."""
    found = eh.locate_atoms(eh.predict(ensemble, frame, pixel_size=0.096))
    return found.loc[found["kept"], ["row_px", "col_px"]].to_numpy()


def middle(positions, shape, margin=30):
    return positions[((positions > margin) & (positions < np.array(shape) - margin)).all(1)]


@pytest.mark.slow
@pytest.mark.parametrize("shift", [(16, 0), (7, 12)])
def test_a_shifted_frame_gives_shifted_atoms(sheet, shift):
    frame, ensemble = sheet
    moved = kept(ensemble, frame[shift[0] :, shift[1] :]) + shift
    here = middle(kept(ensemble, frame), frame.shape, 45)
    away, _ = cKDTree(moved).query(here)
    assert len(here) > 100
    assert np.mean(away < 1.0) > 0.98
    assert np.sqrt(np.mean(away[away < 1.0] ** 2)) * 0.096 < 0.05


@pytest.mark.slow
def test_a_mirrored_frame_gives_mirrored_atoms(sheet):
    frame, ensemble = sheet
    mirrored = kept(ensemble, frame[:, ::-1]).copy()
    mirrored[:, 1] = frame.shape[1] - 1 - mirrored[:, 1]
    here = middle(kept(ensemble, frame), frame.shape)
    away, _ = cKDTree(mirrored).query(here)
    assert np.mean(away < 1.0) > 0.98
    assert np.sqrt(np.mean(away[away < 1.0] ** 2)) * 0.096 < 0.05


def test_frames_are_brought_to_the_pixel_size_of_the_ensemble(tiny, frame):
    prediction = eh.predict(tiny, frame, pixel_size=0.3, members=False)
    assert prediction.members is None
    assert prediction.mean.shape[1:3] == (139, 165)
    assert prediction.scale == pytest.approx((2.0, 2.0))


@pytest.mark.parametrize(("size", "message"), [(None, "no pixel size"), (15, "nm or pm")])
def test_a_frame_without_a_sensible_pixel_size_is_refused(tiny, frame, size, message):
    with pytest.raises(ValueError, match=message):
        eh.predict(tiny, frame, pixel_size=size)


# ------------------------------------------------------------------------- entropy and temperature
def test_entropies_are_those_of_the_members_and_of_the_mean(tiny, frame):
    prediction = eh.predict(tiny, frame, pixel_size=0.15)
    chance = np.clip(prediction.members.astype(float), 1e-9, 1)
    expected = -(chance * np.log(chance)).sum(-1).mean(0)
    assert prediction.expected_entropy.shape == prediction.entropy.shape == prediction.mean.shape[:3]
    assert np.allclose(prediction.expected_entropy, expected, atol=5e-3)
    mean = prediction.mean.astype(float)
    assert np.allclose(prediction.entropy, -(mean * np.log(mean)).sum(-1), atol=1e-4)
    assert prediction.entropy.max() <= np.log(3) + 1e-5
    assert np.allclose(
        prediction.mutual_information, prediction.entropy - prediction.expected_entropy, atol=1e-6
    )
    assert prediction.mutual_information.max() > 0
    assert prediction.mutual_information.min() >= 0


def test_members_that_agree_have_no_mutual_information(tiny, frame):
    twice = dataclasses.replace(tiny, weights=[tiny.weights[0]] * 2)
    assert eh.predict(twice, frame, pixel_size=0.15).mutual_information.max() < 1e-5


def test_entropy_is_filled_also_without_the_members(tiny, frame):
    prediction = eh.predict(tiny, frame, pixel_size=0.15, members=False)
    assert np.isfinite(prediction.mutual_information).all()
    by_hand = dataclasses.replace(prediction, expected_entropy=None)
    with pytest.raises(ValueError, match="`expected_entropy` is None.*predict"):
        _ = by_hand.mutual_information


def test_temperature_makes_an_ensemble_less_sure_without_changing_its_mind(tiny, frame):
    one = tiny.subset([0])  # in single precision: members' maps are rounded to half of it
    cold = eh.predict(one, frame, pixel_size=0.15)
    warm = eh.predict(dataclasses.replace(one, temperature=5.0), frame, pixel_size=0.15)
    assert warm.expected_entropy.mean() > cold.expected_entropy.mean()
    assert np.mean(warm.mean.argmax(-1) == cold.mean.argmax(-1)) > 0.999
    odds = [np.log(p.mean[..., 0] / p.mean[..., 1]) for p in (cold, warm)]
    assert np.allclose(odds[0], 5 * odds[1], atol=1e-3)
    with pytest.raises(ValueError, match="`temperature`"):
        dataclasses.replace(tiny, temperature=0.0)


# ------------------------------------------------------------------------- streams
class Lazy:
    """A stack that knows its shape and counts what was read."""

    def __init__(self, frames):
        self.frames, self.shape, self.read = frames, frames.shape, []

    def __len__(self):
        return len(self.frames)

    def __getitem__(self, key):
        self.read.append(key)
        return self.frames[key]


def test_a_stream_says_what_predict_says_a_few_frames_at_a_time(tiny):
    stack = Lazy(np.random.default_rng(5).normal(size=(5, 40, 48)).astype(np.float32))
    whole = eh.predict(tiny, stack.frames, pixel_size=0.15)
    parts = eh.predict_stream(tiny, stack, pixel_size=0.15, batch=2)
    assert stack.read == []
    first, prediction = next(parts)
    assert (first, len(prediction), stack.read) == (0, 2, [slice(0, 2)])
    rest = [(first, prediction), *parts]
    assert [i for i, _ in rest] == [0, 2, 4]
    assert np.array_equal(np.concatenate([p.mean for _, p in rest]), whole.mean)
    assert np.array_equal(np.concatenate([p.members for _, p in rest], axis=1), whole.members)
    assert np.array_equal(np.concatenate([p.expected_entropy for _, p in rest]), whole.expected_entropy)


def test_between_the_parts_of_a_stream_global_state_is_the_callers(tiny):
    import torch

    stack, before = np.random.default_rng(5).normal(size=(3, 40, 48)), torch.get_num_threads()
    np.random.seed(4)
    expected = np.random.random(3).tolist()
    np.random.seed(4)
    drawn = []
    for _ in eh.predict_stream(tiny, stack, pixel_size=0.15, batch=1):
        drawn.append(np.random.random())
        assert torch.get_num_threads() == before
    assert drawn == expected


@pytest.mark.parametrize(
    ("frames", "options", "message"),
    [
        (np.ones((40, 48)), {}, r"`frames` has shape \(40, 48\).*frames\[None\]"),
        (np.ones((0, 40, 48)), {}, "at least one frame"),
        (np.ones((2, 40, 48)), {"batch": 0}, "`batch` is 0"),
    ],
)
def test_a_stream_that_cannot_be_read_is_refused_at_once(tiny, frames, options, message):
    with pytest.raises(ValueError, match=message):
        eh.predict_stream(tiny, frames, pixel_size=0.15, **options)
