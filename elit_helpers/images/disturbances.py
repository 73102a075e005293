"""What the scan and the detector do to a picture: a beam that lags behind, unsteady lines, noise."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter


def beam_columns(columns, *, lag_px, settle_px):
    """Where the beam stands when each column is recorded.

    After the flight back to the start of a row the beam arrives late: it still stands to the right of where
    it should be, and settles exponentially, ``lag_px * exp(-column / settle_px)``. The left end of the
    picture is stretched by it, and what the beam never reached is missing.

    Parameters
    ----------
    columns : int
        Columns of the image.
    lag_px : float
        How far it is behind in the first column [px].
    settle_px : float
        Columns in which that falls to 1/e; more than `lag_px`, or the beam would move backwards.

    Returns
    -------
    ndarray, shape (columns,)
        [px of a beam that does not lag].
    """
    column = np.arange(columns, dtype=float)
    return column + lag_px * np.exp(-column / settle_px) if lag_px > 0 else column


def recorded_columns(places, *, lag_px, settle_px):
    """In which column the lagging beam meets a place; the inverse of :func:`beam_columns`.

    Parameters
    ----------
    places : ndarray
        [px of a beam that does not lag].
    lag_px, settle_px : float
        As for :func:`beam_columns`.

    Returns
    -------
    ndarray
        [px]; below 0 for what lies left of all that the beam reached.
    """
    column = np.asarray(places, float) - lag_px
    inside = column > 0
    if lag_px == 0 or not inside.any():
        return column
    # column + lag * exp(-column / settle) grows and bends upwards: from above, Newton's steps cannot miss
    found, wanted = np.asarray(places, float)[inside], np.asarray(places, float)[inside]
    for _ in range(50):
        late = lag_px * np.exp(-found / settle_px)
        step = (found + late - wanted) / (1 - late / settle_px)
        found = found - step
        if np.abs(step).max() < 1e-9:
            break
    column[inside] = found
    return column


def at_columns(image, columns):
    """An image as the lagging beam sees it, by linear interpolation between its columns."""
    late = np.count_nonzero(columns - np.arange(len(columns)) > 1e-6)
    low = np.minimum(columns[:late].astype(int), image.shape[1] - 2)
    part = np.minimum(columns[:late] - low, 1.0)  # the beam may be late for the last column itself
    seen = np.array(image, float)
    seen[:, :late] = image[:, low] * (1 - part) + image[:, low + 1] * part
    return seen


def jitter_rows(image, shifts_px):
    """Shift every row of an image sideways by a fraction of a pixel.

    Parameters
    ----------
    image : ndarray, shape (H, W)
    shifts_px : array-like, shape (H,)
        [px], to the right.

    Returns
    -------
    ndarray of float, shape (H, W)
    """
    shifts_px = np.asarray(shifts_px, float)
    if len(shifts_px) != len(image):
        raise ValueError(f"`shifts_px` has {len(shifts_px)} shifts; give one for each of {len(image)} rows.")
    # the Fourier shift is periodic: without a margin the left edge would appear at the right
    pad = max(8, int(np.abs(shifts_px).max()) + 4)
    wide = np.pad(np.asarray(image, float), ((0, 0), (pad, pad)), mode="reflect")
    phase = np.exp(-2j * np.pi * np.fft.rfftfreq(wide.shape[1])[None] * shifts_px[:, None])
    return np.fft.irfft(np.fft.rfft(wide, axis=1) * phase, n=wide.shape[1], axis=1)[:, pad:-pad]


def smooth_noise(shape, sigma_px, rng):
    """Gaussian noise with a correlation length, scaled to RMS 1.

    Long lengths are drawn on a coarse grid and stretched: the same field for a fraction of the time. Their
    mean is taken off, because over a field no longer than the noise it would be many times the rest.
    """
    if sigma_px <= 0.05:
        return rng.standard_normal(shape)
    step = max(1, int(sigma_px / 3))
    if step == 1:
        noise = gaussian_filter(rng.standard_normal(shape), sigma_px, truncate=3, mode="wrap")
    else:
        coarse = tuple(max(s // step + 4, 16) for s in shape)  # 16: room enough that its ends differ
        small = gaussian_filter(rng.standard_normal(coarse), sigma_px / step, truncate=3, mode="wrap")
        noise = _stretch(small, shape, step)
        noise -= noise.mean()
    noise /= np.sqrt(max(np.vdot(noise, noise) / noise.size - noise.mean() ** 2, 0)) + 1e-12
    return noise


def _stretch(small, shape, step):
    """Linear interpolation from a grid `step` times as coarse: a product with one matrix for each axis."""
    down, across = (_tents(length, step, n) for length, n in zip(shape, small.shape, strict=True))
    return down @ (small @ across.T)


def _tents(length, step, n):
    """Shares of `n` coarse points in each of `length` fine ones, shape (length, n)."""
    at = np.arange(length)[:, None] / step
    return np.maximum(0.0, 1 - np.abs(at - np.arange(n)))
