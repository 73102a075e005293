"""Results of a notebook come back by name, each of its kind."""

import numpy as np
import pandas as pd
import pytest
from tiny_ensembles import ONE, TINY, same

import elit_helpers as eh


def test_every_kind_of_result_comes_back(tmp_path):
    tiny = eh.train_ensemble(*eh.training_set("ideal", 8, rng=1), classes=ONE, settings=TINY, rng=3)
    maps = eh.predict(tiny, np.random.default_rng(1).normal(size=(1, 40, 40)), pixel_size=0.15)
    table = pd.DataFrame(
        {"reason": ["", "edge"], "kept": [True, False], "x": [0.123449, np.nan]},
        index=pd.Index([3, 5], name="members"),
    )
    results = {"E": tiny, "P": maps, "table": table, "array": np.eye(3), "t": np.float64(1.5), "n": [1, 2]}
    back = eh.load_results(eh.save_results(results, tmp_path / "results"))
    assert set(back) == set(results)
    assert all(map(same, back["E"].weights, tiny.weights))
    assert back["P"].mean.shape == maps.mean.shape
    pd.testing.assert_frame_equal(back["table"], table.round(4))
    assert np.array_equal(back["array"], np.eye(3))
    assert (back["t"], back["n"]) == (1.5, [1, 2])


def test_the_same_results_are_the_same_bytes(tmp_path):
    table = pd.DataFrame({"x": np.arange(5) / 7})
    one, two = (eh.save_results({"table": table}, tmp_path / name) for name in ("one", "two"))
    assert (one / "table.csv.gz").read_bytes() == (two / "table.csv.gz").read_bytes()


def test_what_cannot_be_kept_is_refused_and_nothing_is_written(tmp_path):
    with pytest.raises(TypeError, match="has a set under 'odd'; allowed are ensembles"):
        eh.save_results({"fine": 1, "odd": {1}}, tmp_path / "results")
    with pytest.raises(ValueError, match=r"has the name '\.\./up'; use letters"):
        eh.save_results({"../up": 1}, tmp_path / "results")
    assert not list(tmp_path.iterdir())
    with pytest.raises(FileNotFoundError, match="holds no results: values.json is not there"):
        eh.load_results(tmp_path)
