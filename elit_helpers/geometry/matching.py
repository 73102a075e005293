"""Which point of one set is which point of another, and the drift, rotation and scale between them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree


def match_positions(a: np.ndarray, b: np.ndarray, *, tolerance_A: float) -> tuple[np.ndarray, np.ndarray]:
    """Pair two sets of points one to one: as many pairs as possible, then the shortest.

    Parameters
    ----------
    a, b : (M, D) and (N, D) float arrays
        Points [Å].
    tolerance_A : float
        Largest distance of a pair [Å].

    Returns
    -------
    (P,) int array, (P,) int array
        Indices into `a` and into `b`, sorted by the first.
    """
    a, b = np.atleast_2d(np.asarray(a, float)), np.atleast_2d(np.asarray(b, float))
    if a.size == 0 or b.size == 0:
        return np.zeros(0, int), np.zeros(0, int)
    near = cKDTree(a).sparse_distance_matrix(cKDTree(b), tolerance_A, output_type="ndarray")
    i, j, distance = near["i"].astype(int), near["j"].astype(int), near["v"]
    size = len(a) + len(b)
    graph = coo_matrix((np.ones(len(i)), (i, len(a) + j)), shape=(size, size))
    _, label = connected_components(graph, directed=False)
    # Almost every group is one point with one partner; only the crowded ones need the assignment.
    group = label[i]
    alone = np.bincount(group, minlength=size)[group] == 1
    first, second = [i[alone]], [j[alone]]
    order = np.argsort(group[~alone], kind="stable")
    crowded = np.flatnonzero(~alone)[order]
    for members in np.split(crowded, np.flatnonzero(np.diff(group[crowded])) + 1):
        if len(members):
            left, row = np.unique(i[members], return_inverse=True)
            right, col = np.unique(j[members], return_inverse=True)
            cost = np.zeros((len(left), len(right)))
            cost[row, col] = distance[members] - 1e3 * tolerance_A  # another pair is worth any distance
            r, c = linear_sum_assignment(cost)
            taken = cost[r, c] < 0
            first.append(left[r[taken]])
            second.append(right[c[taken]])
    i, j = np.concatenate(first), np.concatenate(second)
    order = np.argsort(i)
    return i[order], j[order]


def fit_similarity(a: np.ndarray, b: np.ndarray, *, rotation: bool = True, scale: bool = True):
    """Fit b ≈ scale · a · R + shift by least squares (Umeyama's method, without reflections).

    Parameters
    ----------
    a, b : (M, 2) float arrays
        Points and their partners [Å].
    rotation, scale : bool
        False keeps the angle at 0, or the scale at 1.

    Returns
    -------
    float, (2, 2) float array, (2,) float array
        Scale, rotation matrix R (points are rows: ``scale * a @ R + shift``), shift [Å].
    """
    centre_a, centre_b = a.mean(axis=0), b.mean(axis=0)
    da, db = a - centre_a, b - centre_b
    turn = np.eye(2)
    if rotation:
        u, _, vt = np.linalg.svd(da.T @ db)
        turn = u @ np.diag([1.0, np.sign(np.linalg.det(u @ vt))]) @ vt
    factor = float(np.sum((da @ turn) * db) / np.sum(da**2)) if scale and len(a) > 1 else 1.0
    return factor, turn, centre_b - factor * centre_a @ turn


def align(
    a: np.ndarray, b: np.ndarray, *, remove: Sequence[str], tolerance_A: float
) -> tuple[np.ndarray, dict]:
    """Move `a` onto `b`, pairing atoms outwards from the middle.

    Parameters
    ----------
    a, b : (M, 2) and (N, 2) float arrays
        Points [Å], not in the same order and not all in both.
    remove : sequence of {"drift", "rotation", "scale"}
        What may be used to move; nothing moves if it is empty.
    tolerance_A : float
        Largest distance of a pair [Å].

    Returns
    -------
    (M, 2) float array, dict
        The moved points, and ``drift_A`` (of the middle of `a`), ``rotation_deg`` and ``scale``.
    """
    best = None
    starts = [np.zeros(2), b.mean(axis=0) - a.mean(axis=0)] if remove else []
    for start in starts:
        moved, fit = _grow(a, b, start, remove, tolerance_A)
        i, j = match_positions(moved, b, tolerance_A=tolerance_A)
        quality = (len(i), -np.sum((moved[i] - b[j]) ** 2))
        if best is None or quality > best[0]:
            best = quality, moved, fit
    scale, turn, shift = best[2] if best else (1.0, np.eye(2), np.zeros(2))
    centre = a.mean(axis=0)
    return (best[1] if best else a), {
        "drift_A": scale * centre @ turn + shift - centre,
        "rotation_deg": float(np.degrees(np.arctan2(turn[0, 1], turn[0, 0]))),
        "scale": scale,
    }


def _grow(a, b, start, remove, tolerance) -> tuple[np.ndarray, tuple]:
    """Fit on a disk about the middle, widen it by a third, and fit again until all is inside."""
    moved, fit = a + start, (1.0, np.eye(2), start)
    radius = np.linalg.norm(a - a.mean(axis=0), axis=1)
    reach, last = 6.0, None
    while last is None or reach < 2 * radius.max():
        inner = np.flatnonzero(radius <= reach)
        i, j = match_positions(moved[inner], b, tolerance_A=tolerance)
        if len(i) >= 3:
            fit = fit_similarity(a[inner[i]], b[j], rotation="rotation" in remove, scale="scale" in remove)
            moved = fit[0] * a @ fit[1] + fit[2]
        last, reach = reach, reach * 4 / 3
    return moved, fit
