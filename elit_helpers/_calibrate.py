"""The true pixel size, measured from the lattice in the picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from elit_helpers._common import ElitError, check_choice, check_frames, check_pixel_size

_LATTICE_A = {"graphene": 2.46}
_SHORTEST, _LONGEST = 0.02, 0.30  # Å/px searched when nothing is known

_ENOUGH = 5.0  # pure noise reaches about 4 by chance, real frames of graphene 8 to 10
_ENOUGH_NEAR_NOMINAL = 4.2  # fewer sizes are tried, so that chance reaches less


class CalibrationFailed(ElitError):
    """No lattice could be recognised; the text says what to do instead."""


@dataclass(frozen=True, repr=False)
class Calibration:
    """A measured pixel size [Å/px], its standard error, and how it compares with the file's.

    Parameters
    ----------
    pixel_size, std : float
        [Å/px].
    method : str
    nominal : float or None
        What the file or the user said [Å/px].
    disagreement : float or None
        ``pixel_size / nominal - 1``; above 3 % it is worth a sentence in any report.
    contrast : float
        How far the lattice's reflections stand out from the rest of the spectrum.
    angle_deg : float
        Direction of one of the lattice's reflections.
    """

    pixel_size: float
    std: float
    method: str
    nominal: float | None = None
    disagreement: float | None = None
    contrast: float = np.nan
    angle_deg: float = np.nan

    def __str__(self):
        text = f"{self.pixel_size:.4f} ± {self.std:.4f} Å/px ({self.method})"
        if self.disagreement is not None:
            text += f", {100 * self.disagreement:+.1f} % against the nominal {self.nominal:.4f}"
        return text

    __repr__ = __str__


def calibrate(image: np.ndarray, *, lattice: str = "graphene", nominal: float | None = None) -> Calibration:
    """Measure the pixel size from the reflections of a known lattice.

    The power spectrum is compared with the six first and six second reflections of a hexagonal lattice at
    every size and angle; then each reflection is located to a fraction of a frequency step, and a linear
    distortion (drift, unequal scan axes) is fitted, whose determinant gives the mean pixel size.

    Parameters
    ----------
    image : ndarray, shape (H, W)
        One frame. It should show a dozen hexagons or more.
    lattice : {"graphene"}
    nominal : float, optional
        [Å/px]; if given, only sizes within 30 % of it are tried.

    Returns
    -------
    Calibration

    Raises
    ------
    CalibrationFailed
        If no lattice stands out from the noise.
    """
    spacing = _LATTICE_A[check_choice("lattice", lattice, tuple(_LATTICE_A))] * np.sqrt(0.75)
    frame = check_frames(image, "image")[0].astype(float)
    sizes, enough = (_SHORTEST, _LONGEST), _ENOUGH
    if nominal is not None:
        nominal = check_pixel_size(nominal, "nominal")
        sizes, enough = (0.7 * nominal, 1.3 * nominal), _ENOUGH_NEAR_NOMINAL
    size, angle, contrast = _search(_flatten(frame, min(frame.shape) / 16), sizes, spacing)
    if contrast >= enough:
        # once the size is known the frame can be flattened over 1.8 Å, and searched again close by
        flat = _flatten(frame, 1.8 / size)
        size, angle, contrast = _search(flat, (0.9 * size, 1.1 * size), spacing)
    if contrast < enough:
        raise CalibrationFailed(
            f"No {lattice} lattice stands out in this frame (contrast {contrast:.1f}, needed {enough:g}) "
            f"between {sizes[0]:.3f} and {sizes[1]:.3f} Å/px. Pass pixel_size=… from the microscope's "
            "field of view, average some frames, or crop to a region that shows the lattice."
        )
    size, std = _refine(flat, size, angle, spacing)
    return Calibration(
        pixel_size=size, std=std, method=f"{lattice} reflections", nominal=nominal,
        disagreement=None if nominal is None else size / nominal - 1, contrast=contrast,
        angle_deg=float(np.degrees(angle)),
    )  # fmt: skip


def _flatten(frame, width_px):
    """Even out brightness and contrast, and clip what no lattice has (Si, contamination)."""
    flat = frame - gaussian_filter(frame, width_px)
    flat /= np.sqrt(gaussian_filter(flat**2, width_px)) + 1e-9 * np.abs(frame).max() + 1e-30
    window = np.hanning(frame.shape[0])[:, None] * np.hanning(frame.shape[1])
    return np.clip(flat, -3, 3) * window


def _search(flat, sizes, spacing):
    """Coarse size [Å/px], angle [rad] and contrast of the best hexagonal pattern in the spectrum."""
    n = 2 * max(flat.shape)  # twice as fine as the frame's own frequencies
    power = gaussian_filter(np.abs(np.fft.fftshift(np.fft.fft2(flat, (n, n)))) ** 2, 1.0)
    rows, cols = np.indices(power.shape) - n // 2
    radius = np.hypot(rows, cols)
    ring = np.minimum(radius.astype(int), n // 2)
    mean = np.bincount(ring.ravel(), power.ravel()) / np.bincount(ring.ravel())
    middle = gaussian_filter(mean, 0.02 * n / 2)
    power = power / middle[ring]
    size = np.exp(np.arange(np.log(sizes[0]), np.log(sizes[1]), 0.007))
    angle = np.radians(np.arange(0, 60, 1.0))
    score = sum(
        weight * np.log(_sample(power, order * size / spacing * n, angle + turn + k * np.pi / 3) + 0.05)
        for order, turn, weight in ((1.0, 0.0, 1.0), (np.sqrt(3), np.pi / 6, 0.5))
        for k in range(3)
    )
    best = np.unravel_index(np.argmax(score), score.shape)
    return float(size[best[0]]), float(angle[best[1]]), float(score[best])


def _sample(power, radius, angle):
    """Spectrum on a polar grid (radius down, angle across)."""
    middle = power.shape[0] // 2
    rows = np.round(middle + radius[:, None] * np.sin(angle)[None]).astype(int)
    cols = np.round(middle + radius[:, None] * np.cos(angle)[None]).astype(int)
    inside = (rows >= 0) & (cols >= 0) & (rows < len(power)) & (cols < len(power))
    return np.where(inside, power[np.clip(rows, 0, len(power) - 1), np.clip(cols, 0, len(power) - 1)], 0.0)


def _refine(flat, size, angle, spacing):
    """Locate each reflection, fit a linear map from the ideal ones: pixel size and standard error."""
    step = max(1, int(0.2 * spacing / (np.sqrt(3) * size)))
    small = flat[: flat.shape[0] // step * step, : flat.shape[1] // step * step]
    small = small.reshape(small.shape[0] // step, step, small.shape[1] // step, step).mean((1, 3))
    ideal, found, weight = [], [], []
    for order, turn in ((1.0, 0.0), (np.sqrt(3), np.pi / 6)):
        for k in range(3):
            direction = angle + turn + k * np.pi / 3
            wave = order / spacing * np.array([np.sin(direction), np.cos(direction)])
            at, height = _summit(small, wave * size * step, 0.6 / min(small.shape))
            ideal.append(wave), found.append(at / step), weight.append(height)
    ideal, found, weight = np.array(ideal), np.array(found), np.sqrt(np.array(weight))
    fit = np.linalg.lstsq(ideal * weight[:, None], found * weight[:, None], rcond=None)[0]
    size = float(np.sqrt(abs(np.linalg.det(fit))))
    off = (found - ideal @ fit) * weight[:, None]
    std = np.sqrt((off**2).sum() / 8 / ((ideal * weight[:, None]) ** 2).sum() * 2)
    return size, float(max(std, 1e-4 * size))


def _summit(image, frequency, reach):
    """The frequency near `frequency` [cycles/px] at which the image's Fourier transform is greatest."""
    y, x = np.arange(image.shape[0]), np.arange(image.shape[1])
    grid = np.linspace(-1, 1, 7)
    for _ in range(4):
        fy, fx = frequency[0] + reach * grid, frequency[1] + reach * grid
        value = np.exp(-2j * np.pi * np.outer(fy, y)) @ image @ np.exp(-2j * np.pi * np.outer(x, fx))
        best = np.unravel_index(np.argmax(np.abs(value)), value.shape)
        frequency, reach = np.array([fy[best[0]], fx[best[1]]]), reach / 2.5
    return frequency, float(np.abs(value).max() ** 2)
