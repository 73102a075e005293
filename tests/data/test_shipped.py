"""What ships is whole, and is what it says."""

import numpy as np
import pytest

import elit_helpers as eh
from elit_helpers.data.shipped import HALVES


def test_what_ships_is_what_the_manifest_says():
    table = eh.verify_shipped()
    assert (table["status"] == "ok").all(), table[table["status"] != "ok"]
    assert table["bytes"].max() < 8e6
    assert table["bytes"].sum() < 30e6


def test_trajectories_lose_one_atom_after_another_and_stay_at_300_K():
    runs = [eh.load_trajectory(name) for name in eh.trajectory_names()]
    assert [len(run[0]) for run in runs] == [200, 199, 198, 197]
    cell = np.diag(runs[0][0].cell.array)
    for run in runs:
        moved = np.array([a.positions for a in run]) - run[0].positions
        moved -= cell * np.round(moved / cell)
        moved -= moved.mean(1, keepdims=True)
        assert 0.02 < (moved - moved.mean(0))[..., :2].std() < 0.06
    with pytest.raises(ValueError, match="graphene_0_removed"):
        eh.load_trajectory("graphene")


def test_the_halves_of_the_movie_are_two_samples_and_truth_counts_in_its_half():
    for half in HALVES:
        movie, truth = eh.load_movie(half), eh.load_movie_truth(half)
        assert movie.frames.shape == (8, 512, 512)
        assert sorted(truth["frame"].unique()) == list(range(8))
        assert set(truth["element"]) == {"C", "Si"}
        assert truth["under_contamination"].mean() < 0.3
    assert len(eh.load_movie(None)) == 16


def test_the_movies_nominal_pixel_size_is_off_and_the_lattice_tells():
    movie, true = eh.load_movie("development"), eh.load_movie_truth("development").attrs["pixel_size"]
    measured = eh.calibrate(movie.frames[0], nominal=movie.pixel_size)
    assert measured.pixel_size == pytest.approx(true, rel=0.01)
    assert measured.disagreement == pytest.approx(-0.04, abs=0.01)
