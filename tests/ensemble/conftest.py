"""A tiny ensemble, what it learned from, and a frame to predict; no test may change them for the next."""

import numpy as np
import pytest
from tiny_ensembles import TINY, TWO

import elit_helpers as eh


@pytest.fixture(scope="session")
def pairs():
    return tuple(map(unchangeable, eh.training_set("realistic", 16, rng=1, classes=TWO)))


@pytest.fixture(scope="session")
def tiny(pairs):
    ensemble = eh.train_ensemble(*pairs, classes=TWO, settings=TINY, rng=3)
    for weights in ensemble.weights:
        for value in weights.values():
            unchangeable(value)
    return ensemble


@pytest.fixture(scope="session")
def frame():
    return unchangeable(np.random.default_rng(0).normal(10, 1, (70, 83)).astype(np.float32))


def unchangeable(array):
    array.flags.writeable = False
    return array
