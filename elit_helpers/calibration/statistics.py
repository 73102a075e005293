"""What a frame is made of, in numbers that hold for real and simulated frames alike."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from elit_helpers.calibration.averaged_cell import align, fit_spot, synthesise
from elit_helpers.calibration.pixel_size import CalibrationFailed
from elit_helpers.calibration.reflections import LatticeFit, Reflections, refine, reflections, search, window
from elit_helpers.core.checks import check_frames, check_pixel_size
from elit_helpers.samples.materials import Material, material_of

_TILE = 6.0  # spacings: small enough for a bent scan, large enough to tell reflections apart
_MOST = 11  # pieces along an axis; more of a large frame say nothing new
_CONTRAST = 1.15  # of the reflections; the size is known here, so that less is needed than to calibrate
_BINS = 60


@dataclass(frozen=True)
class FrameStatistics:
    """Contrast, noise, spot and spectrum of one frame; intensities in peaks of its brightest column.

    Parameters
    ----------
    contrast : float
        (peak − trough) / trough of the averaged cell. It means something only if the detector's zero is zero.
    spot_sigma_A : float
        Gaussian width of a column's spot [Å], from how fast reflections fade with their order.
    noise : float
        RMS of a single pixel once lattice and background are taken away [column peaks].
    noise_blur_px : float
        Correlation length of that noise [px], as in :class:`~elit_helpers.Imaging`; 0 if white.
    dose : float
        Dose that would give this noise if all of it were counting statistics [counts per Å² and peak].
    level : float
        Mean intensity of the clean parts [column peaks].
    peak : float
        Height of one spot of the brightest column, in the frame's own units.
    pixel_size : float
        As measured here [Å/px].
    share : float
        Share of the pieces that were clean enough to be used.
    cell : ndarray, shape (48, 48)
        The averaged cell over fractional coordinates u (down) and v (across) [column peaks].
    frequency, power : ndarray, shape (60,)
        Radial mean of the power spectrum of the clean parts, [1/Å] and [peaks² Å²].
    """

    contrast: float
    spot_sigma_A: float
    noise: float
    noise_blur_px: float
    dose: float
    level: float
    peak: float
    pixel_size: float
    share: float
    cell: np.ndarray
    frequency: np.ndarray
    power: np.ndarray

    def summary(self) -> dict[str, float]:
        """The single numbers that can be compared between frames, for a row of a table."""
        names = ("contrast", "spot_sigma_A", "noise", "noise_blur_px", "dose", "level", "pixel_size", "share")
        return {name: float(getattr(self, name)) for name in names}


def frame_statistics(
    image: np.ndarray, *, pixel_size: float, material: str | Material = "graphene"
) -> FrameStatistics:
    """Measure what decides whether a simulated frame looks like a real one.

    The frame is taken apart into pieces six lattice spacings wide. In each the amplitudes of the lattice's
    reflections are measured and shifted to a common origin, so that slow distortion does not blur them;
    pieces with contamination, holes or bright atoms stand out and are left aside, and of the others the
    median is taken.

    Parameters
    ----------
    image : ndarray, shape (H, W)
    pixel_size : float
        [Å/px], within 8 %; the lattice gives the exact one.
    material : str or Material

    Returns
    -------
    FrameStatistics

    Raises
    ------
    CalibrationFailed
        If the lattice cannot be seen at this pixel size.
    """
    material = material_of(material)
    pixel_size = check_pixel_size(pixel_size)
    frame = check_frames(image, "image")[0].astype(float)
    fit = _fit(frame, pixel_size, material)
    pattern = _resolved(reflections(material, limit=18, least=0.01), fit)
    pieces = _Pieces(
        frame, pattern.waves @ fit.to_A, 1 / np.linalg.norm(pattern.waves, axis=1).min() / fit.size
    )
    clean = pieces.clean()
    amplitude = align(pieces.amplitude[clean], pattern.waves)
    sigma, peak = fit_spot(amplitude, pattern.waves, material)
    level = float(np.median(pieces.level[clean]))
    cell = level + synthesise(amplitude, pattern.waves, material)
    noise, blur = _noise(pieces, clean)
    frequency, power = _spectrum(pieces, clean, fit.size)
    # what a pixel's noise would be if the detector had not smeared it out
    white = (noise / peak) ** 2 * max(1.0, 4 * np.pi * blur**2)
    return FrameStatistics(
        contrast=float(np.ptp(cell) / cell.min()) if cell.min() > 0 else np.nan,
        spot_sigma_A=sigma,
        noise=noise / peak,
        noise_blur_px=blur,
        dose=float(level / peak / white / fit.size**2) if level > 0 else np.nan,
        level=level / peak,
        peak=peak,
        pixel_size=fit.size,
        share=float(clean.mean()),
        cell=cell / peak,
        frequency=frequency,
        power=power / peak**2,
    )


def _fit(frame, pixel_size, material) -> LatticeFit:
    scaled = ((frame - frame.mean()) / frame.std()).astype(np.float32)
    pattern = reflections(material)
    size, turn, contrast = search(scaled, (0.92 * pixel_size, 1.08 * pixel_size), pattern)
    fit = refine(scaled, size, turn, pattern) if contrast >= _CONTRAST else None
    if fit is None or abs(np.log(fit.size / pixel_size)) > 0.1:
        raise CalibrationFailed(
            f"No {material.name} lattice is seen at {pixel_size:.4f} Å/px within 8 % (contrast "
            f"{contrast:.1f}, needed {_CONTRAST:g}). Measure the pixel size with `calibrate(image)` first, "
            "or crop to a region that shows the lattice."
        )
    return fit


def _resolved(pattern, fit) -> Reflections:
    """Without the reflections that lie beyond the frame's own resolution."""
    seen = (np.abs(pattern.waves @ fit.to_A) < 0.45).all(1)
    if seen.sum() < 2:
        raise CalibrationFailed("Fewer than two reflections are resolved; take a frame with smaller pixels.")
    return Reflections(pattern.waves[seen], pattern.strength[seen], pattern.fold)


class _Pieces:
    """Pieces of a frame, overlapping by half or spread over a large one, and what is measured in each.

    ``amplitude`` (n, K) of each reflection from the frame's corner on, ``level`` (n,) of the background.
    """

    def __init__(self, frame, waves, spacing_px):
        low = gaussian_filter(frame, 0.85 * spacing_px, truncate=3)
        self.flat, self.waves = frame - low, waves
        self.size = tuple(int(min(_TILE * spacing_px, length)) for length in frame.shape)
        starts = [
            np.linspace(0, length - own, min(_MOST, max(1, int(2 * length / own) - 1))).astype(int)
            for length, own in zip(frame.shape, self.size, strict=True)
        ]
        self.corners = [(r, c) for r in starts[0] for c in starts[1]]
        self.taper = window(self.size)
        mean = self.taper / self.taper.sum()
        rows, cols = (
            np.exp(-2j * np.pi * np.outer(np.arange(length), w))
            for length, w in zip(frame.shape, waves.T, strict=True)
        )
        amplitude = []
        for r, c in self.corners:
            part = (mean * self.cut(self.flat, (r, c))) @ cols[c : c + self.size[1]]
            amplitude.append((rows[r : r + self.size[0]] * part).sum(0))
        self.amplitude = np.array(amplitude)
        self.level = np.array([(mean * self.cut(low, corner)).sum() for corner in self.corners])

    def cut(self, image, corner):
        """The pixels of one piece."""
        return image[corner[0] : corner[0] + self.size[0], corner[1] : corner[1] + self.size[1]]

    def rest(self, index):
        """One piece without lattice and background."""
        (r, c), (h, w) = self.corners[index], self.size
        rows = np.exp(2j * np.pi * np.outer(np.arange(r, r + h), self.waves[:, 0]))
        cols = np.exp(2j * np.pi * np.outer(np.arange(c, c + w), self.waves[:, 1]))
        return self.cut(self.flat, (r, c)) - 2 * ((rows * self.amplitude[index]) @ cols.T).real

    def clean(self) -> np.ndarray:
        """Which pieces show the lattice, and nothing much brighter or rougher than the others do."""
        strength = np.sqrt((np.abs(self.amplitude) ** 2).sum(1))
        rough = np.array([self.rest(i).std() for i in range(len(strength))])
        off = np.abs(self.level - np.median(self.level))
        clean = (strength > 0.5 * np.median(strength)) & (rough < 1.3 * np.median(rough))
        clean &= off <= 4.5 * np.median(off) + 1.5 * np.median(strength)
        return clean if clean.sum() >= max(1, len(clean) // 5) else np.ones(len(clean), bool)


def _noise(pieces, clean) -> tuple[float, float]:
    """RMS of a pixel and correlation length [px] of what is neither lattice nor background."""
    rms, correlation = [], []
    for i in np.flatnonzero(clean):
        rest = pieces.rest(i)
        rest = rest - np.median(rest)
        near = 0.5 * ((rest[1:] * rest[:-1]).mean() + (rest[:, 1:] * rest[:, :-1]).mean())
        rms.append(1.4826 * np.median(np.abs(rest)))
        correlation.append(near / rest.var())
    middle = float(np.clip(np.median(correlation), 0, 0.98))
    # white noise blurred by a Gaussian of width s has the correlation exp(−1 / 4 s²) from pixel to pixel
    length = 0.5 / np.sqrt(-np.log(middle)) if middle > 0.02 else 0.0
    return float(np.median(rms)), float(length)


def _spectrum(pieces, clean, pixel_size):
    """Radial mean of the clean pieces' power spectrum [units² Å²] up to the frame's own limit."""
    taper = pieces.taper / np.sqrt((pieces.taper**2).sum())
    cuts = [taper * pieces.cut(pieces.flat, pieces.corners[i]) for i in np.flatnonzero(clean)]
    power = np.mean([np.abs(np.fft.fft2(cut)) ** 2 for cut in cuts], axis=0) * pixel_size**2
    rows, cols = (np.fft.fftfreq(n, pixel_size) for n in pieces.size)
    radius = np.hypot(rows[:, None], cols[None])
    edges = np.linspace(0, min(0.5 / pixel_size, 2.5), _BINS + 1)
    middle = (edges[1:] + edges[:-1]) / 2
    which = np.digitize(radius.ravel(), edges) - 1
    count = np.bincount(which, minlength=_BINS + 1)[:_BINS]
    total = np.bincount(which, power.ravel(), minlength=_BINS + 1)[:_BINS]
    filled = count > 0  # a small piece's frequencies are coarser than the bins
    return middle, np.interp(middle, middle[filled], total[filled] / count[filled])
