"""Contamination as a texture: hills of hydrocarbon without a single atom in them."""

from __future__ import annotations

import numpy as np

from elit_helpers.core.checks import check_at_least, check_pixel_size, check_positive, resolve_rng
from elit_helpers.images.disturbances import smooth_noise


def contamination_map(
    shape, *, pixel_size, rng=None, height=3.0, radius_A=8.0, center=None, texture=1.0, grain=1.0
):
    """A patch of hydrocarbon: a bright hill with a ragged edge, grainy on the scale of atoms.

    Parameters
    ----------
    shape : tuple of int
        [px].
    pixel_size : float
        [Å/px].
    rng : int, Generator or None
    height : float
        Typical brightness in its middle [carbon peaks].
    radius_A : float
        [Å].
    center : tuple of float, optional
        row, column [px]; a random place if not given.
    texture : float
        How strongly its brightness varies, relative to thick amorphous carbon (30 % on the scale of atoms,
        25 % in hills).
    grain : float
        How coarse that is, relative to 0.5 Å for the fine grain and 1.6 Å for the hills.

    Returns
    -------
    ndarray of float, shape `shape`
        Intensity to add, never negative [carbon peaks].
    """
    check_pixel_size(pixel_size)
    check_positive("radius_A", radius_A, unit="Å")
    check_positive("grain", grain)
    check_at_least("height", height, 0, unit="carbon peaks")
    rng = resolve_rng(rng)
    center = rng.uniform(-0.1, 1.1, 2) * shape if center is None else center
    rows, cols = np.arange(shape[0])[:, None] - center[0], np.arange(shape[1])[None] - center[1]
    ragged = 1 + 0.25 * smooth_noise(shape, 2.5 / pixel_size, rng)
    distance = np.sqrt(rows**2 + cols**2) * (pixel_size / radius_A)
    distance /= np.maximum(ragged, 0.3)
    envelope = height / (1 + np.exp(np.minimum((distance - 1) / 0.18, 30)))
    # projected amorphous carbon: as fine as atoms, but in no order, and hills of several Å on top
    fine = smooth_noise(shape, 0.5 * grain / pixel_size, rng)
    hills = smooth_noise(shape, 1.6 * grain / pixel_size, rng)
    return np.maximum(envelope * (1 + 0.30 * texture * fine + 0.25 * texture * hills), 0)
