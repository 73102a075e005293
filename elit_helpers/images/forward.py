"""From positions to a picture: where an atom lands, how it is blurred, what the microscope adds.

Intensities are in units of one carbon spot's peak, so that a noise of 1 means "as strong as a carbon atom"
whatever the detector's gain. The recipes of the training data share the units.
"""

from __future__ import annotations

import numpy as np

from elit_helpers.core.checks import check_positive, resolve_rng
from elit_helpers.core.coordinates import to_pixels
from elit_helpers.images.contamination import contamination_map
from elit_helpers.images.disturbances import (
    at_columns,
    beam_columns,
    jitter_rows,
    recorded_columns,
    smooth_noise,
)
from elit_helpers.images.microscope import check_known
from elit_helpers.images.spots import add_spots


def render(positions, weights, *, imaging):
    """Draw atoms as blurred spots: no noise, additive, exact to a fraction of a pixel.

    Parameters
    ----------
    positions : array-like, shape (M, 2) or (M, 3)
        x, y [Å], y upwards. What lies outside the field is seen by the tails that reach into it.
    weights : sequence of str or array-like of float, length M
        Elements, drawn with the spots of ``imaging.spot``; or heights of carbon's spot [carbon peaks].
    imaging : Imaging
        Uses its pixel size, shape, spot, drift and flyback.

    Returns
    -------
    ndarray of float, shape (H, W)
        [carbon peaks], without pedestal or background.

    Raises
    ------
    ValueError
        If a position is not finite, an element unknown, or the two lengths differ.
    """
    row_col = _drifted(positions, imaging)
    heights = _heights(weights, imaging.spot)
    if len(heights) != len(row_col):
        raise ValueError(
            f"`positions` has {len(row_col)} atoms and `weights` {len(heights)}; give one for each."
        )
    columns = beam_columns(imaging.shape[1], **_lag(imaging))
    image = np.zeros(imaging.shape)
    for sigma, height in zip(imaging.spot.sigmas_A, heights.T, strict=True):
        image += add_spots(row_col, height, sigma / imaging.pixel_size, imaging.shape, columns=columns)
    return image


def _heights(weights, spot):
    """Heights of each atom's Gaussians, shape (M, K), from elements or from factors of carbon's."""
    if not len(weights):
        return np.zeros((0, len(spot.sigmas_A)))
    if isinstance(weights[0], str):
        check_known(weights, spot.heights)
        rows = {e: np.array(spot.heights[e]) for e in set(weights)}
        return np.array([rows[e] for e in weights])
    factors = np.asarray(weights, float).reshape(-1, 1)
    if not np.isfinite(factors).all():
        raise ValueError(
            f"`weights` holds {np.count_nonzero(~np.isfinite(factors))} values that are not finite."
        )
    return factors * np.array(spot.heights["C"])


def _lag(imaging):
    return {"lag_px": imaging.flyback_A / imaging.pixel_size, "settle_px": imaging.flyback_px}


def _drifted(positions, imaging):
    """Row and column of each atom at the time when it is scanned, by a beam that does not lag."""
    height = imaging.shape[0]
    row_col = to_pixels(positions, pixel_size=imaging.pixel_size, height=height)
    bad = ~np.isfinite(row_col).all(1)
    if bad.any():
        raise ValueError(
            f"`positions` holds {bad.sum()} atoms without a finite place, the first of them number "
            f"{np.argmax(bad)}. Leave them out."
        )
    time = row_col[:, 0] / height
    row_col[:, 0] -= time * imaging.drift_A[1] / imaging.pixel_size
    row_col[:, 1] += time * imaging.drift_A[0] / imaging.pixel_size
    return row_col


def scan_positions(positions, *, imaging):
    """Where the scan finds each atom: the sample drifts while the rows are written, the beam lags behind.

    Parameters
    ----------
    positions : array-like, shape (M, 2) or (M, 3)
        x, y [Å].
    imaging : Imaging

    Returns
    -------
    ndarray, shape (M, 2)
        row, column [px] in the image.
    """
    row_col = _drifted(positions, imaging)
    row_col[:, 1] = recorded_columns(row_col[:, 1], **_lag(imaging))
    return row_col


def simulate_frame(atoms, imaging, rng=None, *, overlay=None):
    """Record atoms with a simulated microscope.

    Parameters
    ----------
    atoms : ase.Atoms
        x to the right, y upwards, z out of the sheet (not used); only what lies in the field is seen. With no
        atoms at all it is an empty field: pedestal, background and noise.
    imaging : Imaging
    rng : int, Generator or None
    overlay : ndarray, shape (H, W), optional
        Intensity to add before the noise [carbon peaks], a contamination map for one.

    Returns
    -------
    ndarray of float32, shape (H, W)
        [carbon peaks]; times ``imaging.counts_per_peak`` it is counts, see :func:`to_counts`.
    """
    rng = resolve_rng(rng)
    px = imaging.pixel_size
    image = imaging.pedestal + render(atoms.positions[:, :2], atoms.get_chemical_symbols(), imaging=imaging)
    texture = _texture(imaging, overlay, rng)
    if texture is not None:
        if imaging.flyback_A > 0:
            texture = at_columns(texture, beam_columns(imaging.shape[1], **_lag(imaging)))
        image += texture
    if imaging.jitter_A > 0:
        image = jitter_rows(image, rng.normal(0, imaging.jitter_A / px, imaging.shape[0]))
    if np.isfinite(imaging.dose):
        image = rng.poisson(np.maximum(image, 0) * imaging.counts_per_peak) / imaging.counts_per_peak
    if imaging.noise > 0:
        image += imaging.noise * smooth_noise(imaging.shape, imaging.noise_blur_px, rng)
    return image.astype(np.float32)


def _texture(imaging, overlay, rng):
    """All intensity that belongs to no atom of the structure and is not the same everywhere; None if none."""
    parts = []
    if imaging.background > 0:
        parts.append(imaging.background * smooth_noise(imaging.shape, 10.0 / imaging.pixel_size, rng))
    if imaging.contamination > 0:
        radius = 0.25 * min(imaging.shape) * imaging.pixel_size
        parts.append(
            contamination_map(
                imaging.shape,
                pixel_size=imaging.pixel_size,
                rng=rng,
                height=imaging.contamination,
                radius_A=radius,
            )
        )
    if overlay is not None:
        if np.shape(overlay) != tuple(imaging.shape) or not np.isfinite(overlay).all():
            raise ValueError(
                f"`overlay` has shape {np.shape(overlay)}; it must be finite numbers in the shape of the "
                f"frame, {tuple(imaging.shape)}."
            )
        parts.append(overlay)
    return sum(parts[1:], parts[0]) if parts else None


def to_counts(frame, imaging, *, gain=1.0, offset=0.0):
    """The whole numbers that a microscope's file would hold.

    Parameters
    ----------
    frame : ndarray, shape (H, W) or (N, H, W)
        From :func:`simulate_frame` [carbon peaks].
    imaging : Imaging
        Its dose and pixel size tell the counts of a carbon peak.
    gain : float
        Numbers in the file for each count.
    offset : float
        Number in the file where nothing is detected; with readout noise it keeps what is below zero.

    Returns
    -------
    ndarray of uint16, of the shape of `frame`

    Raises
    ------
    ValueError
        If the dose is infinite, or a number is not finite, below zero or above 65,535.
    """
    if not np.isfinite(imaging.dose):
        raise ValueError("`imaging` has an infinite dose: it counts nothing. Give Imaging a finite dose.")
    numbers = np.round(
        np.asarray(frame, float) * imaging.counts_per_peak * check_positive("gain", gain) + offset
    )
    least, most = (numbers.min(), numbers.max()) if numbers.size else (0, 0)
    if not (least >= 0 and most <= np.iinfo(np.uint16).max):
        raise ValueError(
            f"`frame` would be numbers from {least:g} to {most:g}; 16 bits hold 0 to 65535. Pass a smaller "
            "`gain` or dose for what is above, a larger `offset` for what is below zero."
        )
    return numbers.astype(np.uint16)
