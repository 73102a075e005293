"""Drawing spots: a Gaussian is a row profile times a column profile, and many of them a matrix product."""

from __future__ import annotations

import numpy as np

_FAINT = 1e-8  # carbon peaks: what a spot may lack where it is cut off
_BLOCK = 96  # px: side of the squares that are drawn one by one, each with the spots that reach into it
_FEW = 100  # spots that are drawn at once: for so few, squares cost more than they save


def add_spots(row_col, weights, sigma_px, shape, *, columns=None):
    """Sum Gaussian spots at sub-pixel places onto an empty grid.

    Parameters
    ----------
    row_col : ndarray, shape (M, 2)
        [px].
    weights : ndarray, shape (M,)
        Peak heights.
    sigma_px : float
        [px].
    shape : tuple of int
    columns : ndarray, shape (W,), optional
        Where the beam stands when it records each column [px], in order; 0, 1, 2, ... if not given.

    Returns
    -------
    ndarray of float, shape `shape`
    """
    rows = np.arange(shape[0], dtype=float)
    columns = np.arange(shape[1], dtype=float) if columns is None else columns
    weights = np.asarray(weights, float)
    if len(row_col) <= _FEW:
        down = _profiles(row_col[:, 0], rows, sigma_px) * weights[:, None]
        return down.T @ _profiles(row_col[:, 1], columns, sigma_px)
    reach = sigma_px * np.sqrt(2 * np.log(max(np.abs(weights).max() / _FAINT, 2)))
    order = np.argsort(row_col[:, 0], kind="stable")
    at, along = row_col[order].T
    image = np.zeros((len(rows), len(columns)))
    for i in range(0, len(rows), _BLOCK):
        band = rows[i : i + _BLOCK]
        near = slice(*np.searchsorted(at, [band[0] - reach, band[-1] + reach]))
        down = _profiles(at[near], band, sigma_px) * weights[order[near], None]
        for j in range(0, len(columns), _BLOCK):
            strip = columns[j : j + _BLOCK]
            seen = np.flatnonzero((along[near] > strip[0] - reach) & (along[near] < strip[-1] + reach))
            across = _profiles(along[near][seen], strip, sigma_px)
            image[i : i + _BLOCK, j : j + _BLOCK] = down[seen].T @ across
    return image


def _profiles(centres, grid, sigma_px):
    """One Gaussian in each row of the answer, in every point of the grid."""
    profiles = grid[None] - centres[:, None]
    profiles *= profiles  # in place: this is where drawing spends its time
    profiles /= -2 * sigma_px**2
    return np.exp(profiles, out=profiles)
