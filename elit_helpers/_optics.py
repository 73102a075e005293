"""From positions to a picture: where an atom lands, how it is blurred, what the microscope adds.

Intensities are in units of one carbon spot's peak, so that a noise of 1 means "as strong as a carbon atom"
whatever the detector's gain. Shared by :mod:`elit_helpers.images` and the recipes of the training data.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from scipy.ndimage import gaussian_filter

from elit_helpers._common import check_frames, check_pixel_size, check_positive, resolve_rng

#: Brightness of one atom's spot relative to carbon; multislice gives 4.5 for Si, real frames 2 to 4.
BRIGHTNESS = {"H": 0.05, "B": 0.69, "C": 1.0, "N": 1.37, "O": 1.7, "Si": 3.0}


def to_pixels(positions_A, *, pixel_size, height):
    """Turn structure coordinates into image coordinates.

    Parameters
    ----------
    positions_A : array-like, shape (M, 2) or (M, 3)
        x to the right and y upwards [Å]; a third column is ignored.
    pixel_size : float
        [Å/px].
    height : int
        Rows of the image [px]; y = 0 lies at the centre of the last row.

    Returns
    -------
    ndarray, shape (M, 2)
        row, column [px], with fractions.
    """
    xy = np.asarray(positions_A, float).reshape(-1, np.shape(positions_A)[-1])
    return np.column_stack([height - 1 - xy[:, 1] / pixel_size, xy[:, 0] / pixel_size])


def to_angstrom(row_col, *, pixel_size, height):
    """Turn image coordinates into structure coordinates; the inverse of :func:`to_pixels`.

    Parameters
    ----------
    row_col : array-like, shape (M, 2)
        row, column [px].
    pixel_size : float
        [Å/px].
    height : int
        Rows of the image [px].

    Returns
    -------
    ndarray, shape (M, 2)
        x, y [Å].
    """
    rc = np.asarray(row_col, float).reshape(-1, 2)
    return np.column_stack([rc[:, 1] * pixel_size, (height - 1 - rc[:, 0]) * pixel_size])


@dataclass(frozen=True)
class Imaging:
    """How a microscope turns atoms into an image.

    Parameters
    ----------
    pixel_size : float
        [Å/px].
    shape : tuple of int
        Rows, columns [px].
    spot_sigma_A : float
        Gaussian width of a spot [Å]: probe, source size and Debye-Waller motion together.
    tail_weight, tail_ratio : float
        Height and width of the spot's wide tail, relative to its core.
    pedestal : float
        Constant intensity under the atoms [carbon peaks].
    background : float
        RMS of a slow background, some 10 Å long [carbon peaks].
    dose : float
        Counts per Å² and carbon peak; ``inf`` means no shot noise.
    noise, noise_blur_px : float
        RMS of the readout noise [carbon peaks] and its correlation length [px].
    jitter_A : float
        RMS shift of a scan line [Å].
    drift_A : tuple of float
        How far the sample moves in x and y during the frame [Å].
    contamination : float
        Height of one patch of contamination at a random place [carbon peaks]; 0 for none.
    brightness : mapping
        Spot peak of each element relative to carbon.
    """

    pixel_size: float = 0.1
    shape: tuple[int, int] = (256, 256)
    spot_sigma_A: float = 0.42
    tail_weight: float = 0.08
    tail_ratio: float = 2.2
    pedestal: float = 1.0
    background: float = 0.0
    dose: float = np.inf
    noise: float = 0.0
    noise_blur_px: float = 0.0
    jitter_A: float = 0.0
    drift_A: tuple[float, float] = (0.0, 0.0)
    contamination: float = 0.0
    brightness: Mapping[str, float] = field(default_factory=lambda: dict(BRIGHTNESS))

    def __post_init__(self):
        check_pixel_size(self.pixel_size)
        check_positive("spot_sigma_A", self.spot_sigma_A)
        if self.dose != np.inf:
            check_positive("dose", self.dose)
        if len(self.shape) != 2 or min(self.shape) < 1:
            raise ValueError(
                f"shape must be two positive numbers of pixels (rows, columns), got {self.shape!r}."
            )
        for name in ("tail_weight", "background", "noise", "noise_blur_px", "jitter_A", "contamination"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must be zero or positive, got {getattr(self, name)!r}.")

    @property
    def counts_per_peak(self):
        """Counts that one pixel at a carbon peak receives."""
        return self.dose * self.pixel_size**2


def weights_of(elements, brightness=None):
    """Spot heights for a sequence of element symbols.

    Parameters
    ----------
    elements : sequence of str
        Element symbols, length M.
    brightness : mapping, optional
        Element to height; :data:`BRIGHTNESS` if not given.

    Returns
    -------
    ndarray, shape (M,)

    Raises
    ------
    ValueError
        For an element without a brightness.
    """
    brightness = BRIGHTNESS if brightness is None else brightness
    unknown = sorted(set(elements) - set(brightness))
    if unknown:
        raise ValueError(
            f"No brightness is known for element {', '.join(unknown)}; known are {', '.join(brightness)}. "
            "Pass Imaging(brightness={...}) with a value for each element."
        )
    return np.array([brightness[e] for e in elements], float)


def add_spots(row_col, weights, sigma_px, shape):
    """Sum Gaussian spots at sub-pixel places onto an empty grid.

    A Gaussian is a product of a row and a column profile, so that all spots together are one matrix
    product; this is what makes a thousand atoms cheap.

    Parameters
    ----------
    row_col : ndarray, shape (M, 2)
        [px].
    weights : ndarray, shape (M,)
        Peak heights.
    sigma_px : float
        [px].
    shape : tuple of int

    Returns
    -------
    ndarray of float, shape `shape`
    """
    rows = np.exp(-((np.arange(shape[0])[None] - row_col[:, :1]) ** 2) / (2 * sigma_px**2))
    cols = np.exp(-((np.arange(shape[1])[None] - row_col[:, 1:]) ** 2) / (2 * sigma_px**2))
    return (rows * np.asarray(weights)[:, None]).T @ cols


def render(positions, weights, *, imaging):
    """Draw atoms as blurred spots: no noise, additive, exact to a fraction of a pixel.

    Parameters
    ----------
    positions : array-like, shape (M, 2) or (M, 3)
        x, y [Å], y upwards.
    weights : array-like, shape (M,)
        Peak of each spot [carbon peaks].
    imaging : Imaging
        Uses its pixel size, shape, spot width, tail and drift.

    Returns
    -------
    ndarray of float, shape (H, W)
        [carbon peaks], without pedestal or background.
    """
    positions = np.asarray(positions, float)
    if positions.size == 0:
        return np.zeros(imaging.shape)
    row_col = scan_positions(positions, imaging=imaging)
    sigma = imaging.spot_sigma_A / imaging.pixel_size
    image = add_spots(row_col, weights, sigma, imaging.shape)
    if imaging.tail_weight > 0:
        image += imaging.tail_weight * add_spots(row_col, weights, sigma * imaging.tail_ratio, imaging.shape)
    return image


def scan_positions(positions, *, imaging):
    """Where the scan finds each atom: the sample drifts while the rows are written one after another.

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
    height = imaging.shape[0]
    row_col = to_pixels(positions, pixel_size=imaging.pixel_size, height=height)
    time = row_col[:, 0] / height
    row_col[:, 0] -= time * imaging.drift_A[1] / imaging.pixel_size
    row_col[:, 1] += time * imaging.drift_A[0] / imaging.pixel_size
    return row_col


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
    pad = 8  # the Fourier shift is periodic: without a margin the left edge would appear at the right
    wide = np.pad(np.asarray(image, float), ((0, 0), (pad, pad)), mode="reflect")
    phase = np.exp(-2j * np.pi * np.fft.rfftfreq(wide.shape[1])[None] * np.asarray(shifts_px)[:, None])
    return np.fft.irfft(np.fft.rfft(wide, axis=1) * phase, n=wide.shape[1], axis=1)[:, pad:-pad]


def smooth_noise(shape, sigma_px, rng):
    """Gaussian noise with a correlation length, scaled to RMS 1.

    Long lengths are drawn on a coarse grid and stretched: the same field for a fraction of the time.
    """
    if sigma_px <= 0.05:
        return rng.standard_normal(shape)
    step = max(1, int(sigma_px / 3))
    if step == 1:
        noise = gaussian_filter(rng.standard_normal(shape), sigma_px, truncate=3, mode="wrap")
    else:
        coarse = tuple(s // step + 4 for s in shape)
        small = gaussian_filter(rng.standard_normal(coarse), sigma_px / step, truncate=3, mode="wrap")
        noise = _stretch(small, shape, step)
    return noise / (noise.std() + 1e-12)


def _stretch(small, shape, step):
    """Linear interpolation from a grid `step` times as coarse."""
    out = small
    for axis, length in enumerate(shape):
        at = np.arange(length) / step
        low = at.astype(int)
        part = (at - low)[:, None] if axis == 0 else (at - low)[None]
        out = np.take(out, low, axis) * (1 - part) + np.take(out, low + 1, axis) * part
    return out


def contamination_map(shape, *, pixel_size, rng=None, height=3.0, radius_A=8.0, center=None):
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

    Returns
    -------
    ndarray of float, shape `shape`
        Intensity to add, never negative [carbon peaks].
    """
    rng = resolve_rng(rng)
    center = rng.uniform(-0.1, 1.1, 2) * shape if center is None else center
    rows, cols = np.arange(shape[0])[:, None] - center[0], np.arange(shape[1])[None] - center[1]
    ragged = 1 + 0.25 * smooth_noise(shape, 2.5 / pixel_size, rng)
    distance = np.hypot(rows, cols) * pixel_size / (radius_A * np.clip(ragged, 0.3, None))
    envelope = 1 / (1 + np.exp(np.clip((distance - 1) / 0.18, -30, 30)))
    # projected amorphous carbon: as fine as atoms, but in no order, and hills of several Å on top
    grain = 0.30 * smooth_noise(shape, 0.5 / pixel_size, rng) + 0.25 * smooth_noise(
        shape, 1.6 / pixel_size, rng
    )
    return np.clip(height * envelope * (1 + grain), 0, None)


def simulate_frame(atoms, imaging, rng=None, *, overlay=None):
    """Record atoms with a simulated microscope.

    Parameters
    ----------
    atoms : ase.Atoms
        x to the right, y upwards, z out of the sheet (not used); only what lies in the field is seen.
    imaging : Imaging
    rng : int, Generator or None
    overlay : ndarray, shape (H, W), optional
        Intensity to add before the noise [carbon peaks], a contamination map for one.

    Returns
    -------
    ndarray of float32, shape (H, W)
        [carbon peaks]; times ``imaging.counts_per_peak`` it is counts.
    """
    rng = resolve_rng(rng)
    weights = weights_of(atoms.get_chemical_symbols(), imaging.brightness)
    image = imaging.pedestal + render(atoms.positions[:, :2], weights, imaging=imaging)
    px = imaging.pixel_size
    if imaging.background > 0:
        image = image + imaging.background * smooth_noise(imaging.shape, 10.0 / px, rng)
    if imaging.contamination > 0:
        radius = 0.25 * min(imaging.shape) * px
        image = image + contamination_map(
            imaging.shape, pixel_size=px, rng=rng, height=imaging.contamination, radius_A=radius
        )
    if overlay is not None:
        image = image + overlay
    if imaging.jitter_A > 0:
        image = jitter_rows(image, rng.normal(0, imaging.jitter_A / px, imaging.shape[0]))
    if np.isfinite(imaging.dose):
        image = rng.poisson(np.clip(image, 0, None) * imaging.counts_per_peak) / imaging.counts_per_peak
    if imaging.noise > 0:
        image = image + imaging.noise * smooth_noise(imaging.shape, imaging.noise_blur_px, rng)
    return image.astype(np.float32)


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
