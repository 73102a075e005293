"""Even brightness and contrast, so that contamination does not set the scale of a whole frame."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

from elit_helpers.core.checks import check_frames, check_pixel_size, check_positive


def normalise(images, *, pixel_size, width_A=1.8):
    """Subtract the local mean and divide by the local RMS, frame by frame.

    A patch of contamination ten times as bright as an atom would otherwise set the scale of the whole
    frame, and a network would see nothing else. Two Gaussian windows, a little wider than a bond, keep
    the atoms and lose the hill they stand on.

    Parameters
    ----------
    images : ndarray, shape (H, W) or (N, H, W)
    pixel_size : float
        [Å/px].
    width_A : float
        Standard deviation of the Gaussian window [Å].

    Returns
    -------
    ndarray of float32, shape (N, H, W)
        Mean about 0 and RMS about 1 everywhere.
    """
    frames = check_frames(images, "images")
    check_pixel_size(pixel_size)
    check_positive("width_A", width_A)
    return np.stack([normalise_frame(f, width_A / pixel_size) for f in frames]).astype(np.float32)


def normalise_frame(frame, width_px):
    """One frame of :func:`normalise`, unchecked: what the training recipes call thousands of times."""
    frame = np.asarray(frame, np.float32)
    flat = frame - gaussian_filter(frame, width_px, truncate=3)
    rms = np.sqrt(gaussian_filter(flat * flat, width_px, truncate=3))
    return flat / (rms + 1e-6 * (np.abs(flat).max() + 1e-30))
