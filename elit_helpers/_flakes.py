"""Random pieces of graphene for training pairs: bare positions, drawn hundreds of times a second.

`samples` builds structures for people; here only what a picture of 10 Å needs is drawn, without ASE.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

BOND = 1.42


def random_flake(recipe, length, rng):
    """Draw a piece of graphene as a :class:`~elit_helpers.images.Recipe` describes it.

    Parameters
    ----------
    recipe : Recipe
    length : float
        Side of the square [Å].
    rng : Generator

    Returns
    -------
    positions : ndarray, shape (M, 2)
        row, column [Å], up to 1.5 Å outside the square.
    silicon : ndarray of bool, shape (M,)
    """
    p = _lattice(recipe, length, rng)
    if rng.random() < recipe.grain_boundary:
        angle = rng.uniform(0, 2 * np.pi)
        side = np.array([np.cos(angle), np.sin(angle)])
        middle, q = length * rng.uniform(0.3, 0.7, 2), _lattice(recipe, length, rng)
        p = np.concatenate([p[(p - middle) @ side < 0], q[(q - middle) @ side > 0]])
        p = _merge_close(p, 1.05)
    for _ in range(rng.integers(0, recipe.vacancies + 1)):
        p = np.delete(p, np.argmin(((p - rng.uniform(0, length, 2)) ** 2).sum(1)), 0)
    if rng.random() < recipe.holes:
        p = _cut(p, length, rng)
    silicon = rng.random(len(p)) < recipe.silicon * rng.uniform(0, 2)
    if len(p) > 3 and (recipe.silicon_edge > 0 or silicon.any()):
        p, silicon = _settle_silicon(p, silicon, recipe, rng)
    spread = rng.uniform(*recipe.displacement_A) / np.sqrt(2)
    return p + rng.normal(0, spread, p.shape), silicon


def _lattice(recipe, length, rng):
    """Graphene, turned, shifted, scaled and sheared at random, over a square and a little more."""
    a = np.sqrt(3) * BOND * (1 + recipe.scale * rng.uniform(-1, 1))
    n = int(0.85 * length / a) + 3
    i, j = (k.ravel() for k in np.mgrid[-n : n + 1, -n : n + 1])
    cells = np.column_stack([a * (i + j / 2), a * np.sqrt(0.75) * j])
    p = np.concatenate([cells, cells + [a / 2, a / np.sqrt(12)]])
    t = rng.uniform(0, 2 * np.pi)
    turn = np.array([[np.cos(t), np.sin(t)], [-np.sin(t), np.cos(t)]])
    shear = np.eye(2) + recipe.shear * rng.uniform(-1, 1, (2, 2))
    p = p @ turn @ shear + length / 2 + rng.uniform(-a, a, 2)
    return p[((p > -1.5) & (p < length + 1.5)).all(1)]


def _merge_close(p, limit):
    """Where two grains overlap, one atom in the middle of each pair that is too close."""
    pairs = cKDTree(p).query_pairs(limit, output_type="ndarray")
    if len(pairs) == 0:
        return p
    p = p.copy()
    p[pairs[:, 0]] = (p[pairs[:, 0]] + p[pairs[:, 1]]) / 2
    return np.delete(p, np.unique(pairs[:, 1]), 0)


def _cut(p, length, rng):
    """A hole in the sheet, or the sheet's own edge."""
    if rng.random() < 0.6:
        centre, radius = rng.uniform(0, length, 2), rng.uniform(1.5, 5.0)
        angle = np.arctan2(*(p - centre).T)
        radius = radius * (1 + 0.25 * np.cos(rng.integers(2, 4) * angle + rng.uniform(0, 6)))
        return p[np.hypot(*(p - centre).T) > radius]
    angle = rng.uniform(0, 2 * np.pi)
    along = (p - length * rng.uniform(0.2, 0.8, 2)) @ [np.cos(angle), np.sin(angle)]
    return p[along > 0]


def _settle_silicon(p, silicon, recipe, rng):
    """Put Si at edges, and let every Si push its carbon neighbours from 1.42 out to about 1.65 Å."""
    pairs = cKDTree(p).query_pairs(1.75, output_type="ndarray")
    degree = np.bincount(pairs.ravel(), minlength=len(p))
    share = recipe.silicon_edge * rng.uniform(0, 2.5) * (rng.random() < 0.6)
    silicon = silicon | ((degree < 3) & (rng.random(len(p)) < share))
    both = np.concatenate([pairs, pairs[:, ::-1]])
    push = both[silicon[both[:, 0]] & ~silicon[both[:, 1]]]
    away = p[push[:, 1]] - p[push[:, 0]]
    step = away / np.linalg.norm(away, axis=1, keepdims=True) * rng.uniform(0.1, 0.25)
    moved = p.copy()
    np.add.at(moved, push[:, 1], step)
    edge = push[degree[push[:, 0]] < 3]  # at an edge there is room: the Si itself gives way
    np.subtract.at(moved, edge[:, 0], step[degree[push[:, 0]] < 3] / 2)
    return moved, silicon
