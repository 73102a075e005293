"""Drawing spots: a Gaussian is a row profile times a column profile, and many of them a matrix product."""

from __future__ import annotations

import numpy as np

_FAINT = 1e-8  # carbon peaks: what a spot may lack where it is cut off
_BAND = 64  # rows drawn at once; a spot costs time only in the bands it reaches
_MANY = 100  # spots, below which bands and windows cost more than they save


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
    if len(row_col) <= _MANY:
        across = _profiles(row_col[:, 0], rows, sigma_px) * weights[:, None]
        return across.T @ _profiles(row_col[:, 1], columns, sigma_px)
    return _add_many(row_col, weights, sigma_px, rows, columns)


def _profiles(centres, grid, sigma_px):
    """One Gaussian in each row of the answer, in every point of the grid."""
    return np.exp(-((grid[None] - centres[:, None]) ** 2) / (2 * sigma_px**2))


def _add_many(row_col, weights, sigma_px, rows, columns):
    """What :func:`add_spots` does, leaving out all that is fainter than can be seen."""
    strongest = max(1.0, np.abs(weights).max())
    reach = sigma_px * np.sqrt(2 * np.log(strongest / _FAINT))
    low, high = (np.array([grid[0], grid[-1]]) for grid in (rows, columns))
    near = (row_col > [low[0] - reach, high[0] - reach]).all(1)
    near &= (row_col < [low[1] + reach, high[1] + reach]).all(1)
    order = np.flatnonzero(near)
    order = order[np.argsort(row_col[order, 0], kind="stable")]
    at, col = row_col[order].T
    across = _windowed(col, columns, sigma_px, reach) * weights[order, None]
    image = np.zeros((len(rows), len(columns)))
    for start in range(0, len(rows), _BAND):
        band = rows[start : start + _BAND]
        first, last = np.searchsorted(at, [band[0] - reach, band[-1] + reach])
        if last > first:
            image[start : start + _BAND] = _profiles(at[first:last], band, sigma_px).T @ across[first:last]
    return image


def _windowed(centres, grid, sigma_px, reach):
    """As :func:`_profiles`, with the exponential only where it is not negligible."""
    half = (
        int(np.ceil(reach + np.ptp(grid - np.arange(len(grid))))) + 1
    )  # points of a lagging beam lie closer
    if 2 * half + 1 >= len(grid):
        return _profiles(centres, grid, sigma_px)
    nearest = np.clip(np.searchsorted(grid, centres), half, len(grid) - 1 - half)
    window = nearest[:, None] + np.arange(-half, half + 1)[None]
    profiles = np.zeros((len(centres), len(grid)))
    part = np.exp(-((grid[window] - centres[:, None]) ** 2) / (2 * sigma_px**2))
    np.put_along_axis(profiles, window, part, axis=1)
    return profiles
