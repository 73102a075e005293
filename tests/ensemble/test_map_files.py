"""A prediction comes back from its file as it was, but for half a step of what a byte can hold."""

import dataclasses

import numpy as np
import pytest

import elit_helpers as eh
from elit_helpers.core.checks import CorruptEnsemble
from elit_helpers.ensemble.map_files import load_prediction, save_prediction


@pytest.fixture(scope="module")
def prediction(tiny):
    noise = np.random.default_rng(1).normal(size=(3, 40, 56))
    return eh.predict(tiny, noise, pixel_size=0.12)


def test_maps_come_back_within_half_a_step(prediction, tmp_path):
    back = load_prediction(save_prediction(prediction, tmp_path / "maps.npz"))
    elements = np.abs(back.members[..., :-1].astype(float) - prediction.members[..., :-1])
    assert elements.max() < 0.0035
    assert np.abs(back.mean - prediction.mean).max() < 0.008
    assert np.abs(back.std - prediction.std).max() < 0.008
    assert np.allclose(back.mean.sum(-1), 1, atol=0.01)
    assert np.abs(back.entropy - prediction.entropy).max() < 0.03


def test_what_surrounds_the_maps_comes_back_exactly(prediction, tmp_path):
    back = load_prediction(save_prediction(prediction, tmp_path / "maps.npz"))
    for name in ("classes", "pixel_size", "scale", "shape_original", "pixel_size_original"):
        assert getattr(back, name) == getattr(prediction, name)


def test_near_none_and_near_certain_a_byte_is_finer(prediction, tmp_path):
    members = np.full_like(prediction.members, 0)
    members[..., 0], members[..., -1] = 0.001, 0.999
    sure = dataclasses.replace(prediction, members=members)
    back = load_prediction(save_prediction(sure, tmp_path / "maps.npz"))
    assert np.abs(back.members[..., 0].astype(float) - 0.001).max() < 0.0002


def test_a_prediction_without_members_cannot_be_kept(prediction, tmp_path):
    with pytest.raises(ValueError, match="no maps of its members; use predict"):
        save_prediction(dataclasses.replace(prediction, members=None), tmp_path / "maps.npz")


@pytest.mark.parametrize("keep", [0, 100, -30])
def test_a_file_that_was_cut_off_is_named(prediction, tmp_path, keep):
    path = save_prediction(prediction, tmp_path / "maps.npz")
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(CorruptEnsemble, match=r"maps\.npz is not a file of save_prediction"):
        load_prediction(path)


def test_some_frames_of_a_prediction_are_a_prediction(prediction):
    some = prediction[1:]
    assert len(some) == 2
    assert np.array_equal(some.members, prediction.members[:, 1:])
    assert np.array_equal(
        prediction[np.array([0, 2])].mutual_information[1], prediction.mutual_information[2]
    )
    with pytest.raises(TypeError, match=r"`frames` is 1; .* use \[1:2\]"):
        prediction[1]
