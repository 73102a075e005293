"""Images brought to another pixel size, and positions back to the original one."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter, zoom

from elit_helpers.core.checks import check_frames, check_pixel_size
from elit_helpers.images.masks import NET_PIXEL


def resample(
    images: np.ndarray, *, pixel_size: float, target: float = NET_PIXEL
) -> tuple[np.ndarray, tuple[float, float]]:
    """Bring images to another pixel size, and say exactly by how much.

    Parameters
    ----------
    images : ndarray, shape (H, W) or (N, H, W)
    pixel_size, target : float
        Now, and wanted [Å/px].

    Returns
    -------
    resampled : ndarray of float32, shape (N, h, w)
    scale : tuple of float
        (row scale, column scale). Pixel centres at the two ends of a row stay at its ends, so that
        ``original_px = resampled_px / scale`` with no offset; h and w are whole numbers, and the scales are
        therefore not exactly ``pixel_size / target``. :func:`resample_positions` does this.
    """
    frames = check_frames(images, "images")
    ratio = check_pixel_size(pixel_size) / check_pixel_size(target, "target")
    shape = [max(2, int(round((n - 1) * ratio)) + 1) for n in frames.shape[1:]]
    scale = tuple((new - 1) / (old - 1) for new, old in zip(shape, frames.shape[1:], strict=True))
    if ratio < 1:  # average over what one new pixel covers, or the noise of skipped pixels would stay
        sigma = [0.35 * np.sqrt(1 / s**2 - 1) for s in scale]
        frames = np.stack([gaussian_filter(f, sigma) for f in frames])
    factors = [new / old for new, old in zip(shape, frames.shape[1:], strict=True)]
    # "nearest": a coordinate that rounding puts past the last pixel would otherwise make a black last row
    out = np.stack([zoom(f, factors, order=1, mode="nearest", grid_mode=False) for f in frames])
    return out.astype(np.float32), scale


def resample_positions(row_col: np.ndarray, scale: tuple[float, float]) -> np.ndarray:
    """Positions in a resampled image [px] → positions in the original image [px]."""
    return np.asarray(row_col, float).reshape(-1, 2) / np.asarray(scale, float)
