"""Ensembles so small that they are trained in a second: where the numbers that come out do not matter."""

import numpy as np

import elit_helpers as eh

ONE, TWO = ("C",), ("C", "Si")
TINY = eh.TrainSettings(members=2, steps=4, member_steps=2, batch=4, filters=2)


def same(a, b):
    """Whether the weights of two members are the same."""
    return all(np.array_equal(a[name], b[name]) for name in a)
