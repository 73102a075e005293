"""A known lattice in a frame, by its reflections: coarse search, then size, turn and distortion at once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.fft import next_fast_len, rfft2
from scipy.ndimage import gaussian_filter, map_coordinates, median_filter

from elit_helpers.samples.materials import Material

_SPOT_A = 0.45  # Å: width of a spot, for how weak the outer reflections are to be expected
_SIZE_STEP = 0.006  # relative; half the width of a second reflection at 25 cells across
_TURN_STEP = np.radians(1.0)
_TILE = (
    12  # spacings: reflections of a piece this wide are so broad that 15 % of distortion leaves them in place
)


@dataclass(frozen=True)
class Reflections:
    """Which reflections of a material are worth looking for.

    Parameters
    ----------
    waves : ndarray, shape (K, 2)
        One of each pair ±g, rows (row, column) of the unturned lattice [1/Å]; shortest first.
    strength : ndarray, shape (K,)
        Amplitude to be expected, relative to the strongest.
    fold : int
        The pattern repeats after a turn of 360°/fold.
    """

    waves: np.ndarray
    strength: np.ndarray
    fold: int


@dataclass(frozen=True)
class LatticeFit:
    """A lattice fitted to a frame's reflections.

    Parameters
    ----------
    to_A : ndarray, shape (2, 2)
        Turns a step in the picture (rows, columns) [px] into one in the lattice [Å].
    covariance : ndarray, shape (4, 4)
        Of ``to_A.ravel()``.
    misfit : float
        χ² per degree of freedom of the single reflections against one linear map: 1 for noise alone,
        more where the scan bends the lattice.
    contrast : float
        Weighted mean over the reflections of log(power / noise around it).
    """

    to_A: np.ndarray
    covariance: np.ndarray
    misfit: float
    contrast: float

    @property
    def size(self) -> float:
        """Side of a square as large as a pixel [Å/px]."""
        return float(np.sqrt(abs(np.linalg.det(self.to_A))))

    def spread(self, function) -> float:
        """Standard error of a number computed from the map, to first order."""
        flat, small = self.to_A.ravel(), 1e-4 * np.abs(self.to_A).max()
        slope = [
            (function((flat + step).reshape(2, 2)) - function((flat - step).reshape(2, 2))) / (2 * small)
            for step in small * np.eye(4)
        ]
        return float(np.sqrt(slope @ self.covariance @ slope))


@lru_cache
def reflections(material: Material, *, limit: int = 12, least: float = 0.15) -> Reflections:
    """List the reflections of a material that a microscope with atomic resolution may show.

    The amplitude is the structure factor of the columns, damped by the spot's width; those under `least` of
    the strongest are left out, and of the rest the `limit` shortest are kept.
    """
    to_waves = np.linalg.inv(np.array(material.cell)).T
    index = np.array([(h, k) for h in range(-4, 5) for k in range(-4, 5) if (h, k) > (0, 0)])
    waves = index @ to_waves
    factor = np.zeros(len(index), complex)
    for (_, u, v, _), bright in zip(material.columns, material.column_brightness, strict=True):
        factor += bright * np.exp(-2j * np.pi * index @ [u, v])
    strength = np.abs(factor) * np.exp(-2 * (np.pi * _SPOT_A) ** 2 * (waves**2).sum(1))
    strength /= strength.max()
    seen = np.flatnonzero(strength > least)
    seen = seen[np.argsort(np.linalg.norm(waves[seen], axis=1), kind="stable")][:limit]
    found = Reflections(waves[seen][:, ::-1], strength[seen], material.fold)
    found.waves.flags.writeable = found.strength.flags.writeable = False  # shared by all who ask again
    return found


def flatten(frame: np.ndarray, spacing_px: float, clip: float = 2.5) -> np.ndarray:
    """Even out brightness and contrast over a lattice spacing [px], and tame what no lattice has.

    Bright atoms and contamination are recognised in a smoothed copy, where the noise of single pixels does
    not hide them, and scaled down to `clip`; the frame itself is not smoothed, which would favour the lower
    frequencies of a reflection. Where contrast is high everything is scaled down to the rest of the frame; a
    hole, where there is less signal and less noise, is not scaled up.
    """
    low = gaussian_filter(frame, 0.85 * spacing_px, truncate=3)
    smooth = gaussian_filter(frame, 0.16 * spacing_px, truncate=3) - low
    rms = np.sqrt(gaussian_filter(smooth**2, 0.85 * spacing_px, truncate=3))
    rms = np.maximum(rms, np.median(rms)) + 1e-30
    return (frame - low) / np.maximum(rms, np.abs(smooth) / clip)


def binned(frame: np.ndarray, step: int) -> np.ndarray:
    """Mean of blocks of step × step pixels; what does not fill a block at the far edges is left out."""
    if step == 1:
        return frame
    rows, cols = (n // step for n in frame.shape)
    return frame[: rows * step, : cols * step].reshape(rows, step, cols, step).mean((1, 3))


def window(shape: tuple[int, int]) -> np.ndarray:
    """Hann window, which keeps one reflection's foot from another."""
    return np.hanning(shape[0] + 2)[1:-1, None] * np.hanning(shape[1] + 2)[1:-1]


def search(frame: np.ndarray, sizes: tuple[float, float], pattern: Reflections) -> tuple[float, float, float]:
    """Find the size [Å/px] and turn [rad] at which all reflections stand out together.

    Sizes are tried octave by octave, each on the frame binned and flattened as this size asks for.

    Returns
    -------
    size, turn, contrast : float
        The contrast is a weighted mean over the reflections of log(power / typical power at that radius).
    """
    octaves = max(1, int(np.ceil(np.log2(sizes[1] / sizes[0]))))
    edges = np.geomspace(*sizes, octaves + 1)
    found = [_search_octave(frame, pair, pattern) for pair in zip(edges[:-1], edges[1:], strict=True)]
    return max((f for f in found if f is not None), key=lambda f: f[2], default=(np.nan, 0.0, -np.inf))


def _search_octave(frame, sizes, pattern):
    """The best of one octave; None where the frame is smaller than four spacings or coarser than half one.

    The spectrum is laid out in log radius and angle, where the pattern of another size or turn is the same
    pattern shifted. Each reflection counts by its logarithm: one that is missing counts against the pattern,
    and a single strong line of the scan cannot make up for the others.
    """
    lengths = np.linalg.norm(pattern.waves, axis=1)
    spacing_px = 1 / lengths.min() / np.sqrt(sizes[0] * sizes[1])
    if spacing_px * 4 > min(frame.shape) or spacing_px < 3:
        return None
    step = max(1, int(0.12 * spacing_px))
    flat = flatten(binned(frame, step), spacing_px / step).astype(np.float32)
    power = _tiled_power(tiles(flat, _TILE * spacing_px / step))
    low = np.log(sizes[0] * step * lengths.min())
    size = np.arange(np.log(sizes[0] * step), np.log(sizes[1] * step) + 1e-9, _SIZE_STEP)
    level = _polar(power, np.exp(np.arange(low, size[-1] + np.log(lengths.max()) + _SIZE_STEP, _SIZE_STEP)))
    turns = int(round(2 * np.pi / pattern.fold / _TURN_STEP))
    score = np.zeros((len(size), turns))
    weight = np.sqrt(pattern.strength)
    for wave, length, share in zip(pattern.waves, lengths, weight / weight.sum(), strict=True):
        row = np.round((size + np.log(length) - low) / _SIZE_STEP).astype(int)
        column = np.round(np.arctan2(*wave) / _TURN_STEP).astype(int) + np.arange(turns)
        score += share * level[row][:, column % level.shape[1]]
    best = np.unravel_index(np.argmax(score), score.shape)
    return float(np.exp(size[best[0]]) / step), float(best[1] * _TURN_STEP), float(score[best])


def tiles(flat: np.ndarray, width_px: float) -> list[np.ndarray]:
    """Half-overlapping windowed pieces of about this width, the whole frame if it is hardly wider."""
    starts, sizes = [], []
    for length in flat.shape:
        count = max(1, int(np.round(2 * length / width_px)) - 1)
        sizes.append(int(2 * length / (count + 1)))
        starts.append(np.linspace(0, length - sizes[-1], count).astype(int))
    taper = window(tuple(sizes))
    return [taper * flat[r : r + sizes[0], c : c + sizes[1]] for r in starts[0] for c in starts[1]]


def _tiled_power(pieces):
    """Mean power of the pieces on a grid about twice as fine as their frequencies, zero frequency first."""
    n = 2 * next_fast_len(max(pieces[0].shape), real=True)
    half = np.mean([np.abs(rfft2(piece, (n, n))) ** 2 for piece in pieces], axis=0)
    mirrored = np.roll(half[::-1, 1 : n // 2], 1, axis=0)[:, ::-1]  # −f has the power of f
    return np.hstack([half, mirrored])


def _polar(power, radius):
    """Logarithm of the spectrum over its median at each radius [cycles/px]; angles 0 to 180° across."""
    n = len(power)
    power = _without_axes(gaussian_filter(power, 1.0, mode="wrap"))
    angle = np.arange(0, np.pi - 1e-9, _TURN_STEP)
    at = n * radius[:, None] * np.stack([np.sin(angle), np.cos(angle)])[:, None]
    level = map_coordinates(power, at, order=1, mode="grid-wrap")
    level[radius > 0.5] = 0.0  # beyond the frame's own resolution a reflection is missing
    middle = np.log(np.median(level, axis=1) + 1e-30)
    middle = gaussian_filter(middle, 0.05 / _SIZE_STEP, mode="nearest")
    return np.log(level / np.exp(middle)[:, None] + 0.05)


def _without_axes(power):
    """Scale the spectrum on both axes down to that beside them: noise of whole rows (or columns) lies there.

    Each stretch of an axis is scaled by its median, so that a reflection that happens to lie on it stays.
    """
    n = len(power)
    for half in (power, power.T):
        beside = median_filter(half[:, [6, 7, 8]].mean(1), n // 16, mode="wrap")
        for k in range(-4, 5):
            line = median_filter(half[:, k], n // 16, mode="wrap")
            half[:, k] *= np.minimum(1.0, beside / (line + 1e-30))
    return power


def refine(frame: np.ndarray, size: float, turn: float, pattern: Reflections) -> LatticeFit:
    """Fit the linear map from lattice to picture, first on small pieces, then on the whole frame.

    Pieces a dozen spacings wide have broad reflections, which are found even if the scan stretches or shears
    the lattice; the whole frame then has the precision.
    """
    spacing_px = 1 / np.linalg.norm(pattern.waves, axis=1).min() / size
    step = max(1, int(0.12 * spacing_px))
    flat = flatten(binned(frame, step), spacing_px / step)
    c, s = np.cos(turn), np.sin(turn)
    to_A = size * step * np.array([[c, -s], [s, c]])  # wave [cycles/px] = wave [1/Å] @ to_A
    pieces = tiles(flat, _TILE * spacing_px / step)
    if len(pieces) > 1:
        to_A = _climb(pieces, to_A, pattern).to_A
    whole = [flat * np.sqrt(window(flat.shape))]  # a gentler taper: more of the frame counts
    fit = _climb(whole, to_A, pattern)
    other = _relative(whole, fit.to_A, pattern)
    if other is not None:
        fit = _climb(whole, other, pattern)
    return LatticeFit(fit.to_A / step, fit.covariance / step**2, fit.misfit, fit.contrast)


def _relative(pieces, to_A, pattern):
    """The map of a lattice that shares reflections with the one found and explains more of the power.

    The reflections of a perovskite's columns form one square pattern inside another, of which the search may
    have taken the coarser; likewise for hexagons in hexagons.
    """
    turn, factors = (np.pi / 4, (2**0.5, 2.0)) if pattern.fold == 4 else (np.pi / 6, (3**0.5, 2.0))
    maps = [to_A]
    for factor in (*factors, *(1 / f for f in factors)):
        angle = 0.0 if factor in (2.0, 0.5) else turn
        c, s = np.cos(angle), np.sin(angle)
        maps.append(np.array([[c, -s], [s, c]]) @ to_A / factor)
    explained = []
    for candidate in maps:
        waves = pattern.waves @ candidate
        if np.abs(waves).max() > 0.5:
            explained.append(0.0)
            continue
        over = [_power(pieces, w).value / _noise(pieces[0], w) - 1 for w in waves]
        explained.append(float(np.clip(over, 0, None).sum()))
    best = int(np.argmax(explained))
    return maps[best] if explained[best] > 1.05 * explained[0] else None


def _climb(pieces, to_A, pattern):
    """Move all reflections by one linear map to where their summed power is greatest.

    Newton's method on the exact Fourier transform of the windowed pieces, whose first and second derivatives
    are transforms of the pieces times position. Each reflection counts by its power over the noise around it,
    which is its likelihood in white noise; unequal axes and shear have a prior of 0 ± 2 %. The errors follow
    from that noise; if single reflections scatter more than it explains, as they do in a bent scan, they are
    widened by it.
    """
    waves, shape = pattern.waves, pieces[0].shape
    noise = np.array([np.mean([_noise(p, w) for p in pieces]) for w in waves @ to_A])
    reach = 0.3 / max(shape) / np.abs(waves).max()
    for _ in range(25):
        terms = [_power(pieces, wave) for wave in waves @ to_A]
        slope = sum(np.outer(g, t.slope) / q for g, t, q in zip(waves, terms, noise, strict=True))
        curve = sum(_spread(g, t.curve / q) for g, t, q in zip(waves, terms, noise, strict=True))
        stiff = _DISTORTION / np.linalg.det(to_A)
        slope, curve = slope - (stiff @ to_A.ravel()).reshape(2, 2), curve - stiff
        values, vectors = np.linalg.eigh(curve)
        uphill = np.maximum(np.abs(values), 1e-3 * np.abs(values).max())
        step = (vectors @ ((vectors.T @ slope.ravel()) / uphill)).reshape(2, 2)
        step *= min(1.0, reach / (np.abs(step).max() + 1e-30))
        to_A = to_A + step
        if np.abs(step).max() < 1e-7 * np.abs(to_A).max():
            break
    return _errors(to_A, terms, noise, pattern)


# projects (to_A.ravel()) on what is no turn and no size, over the prior's variance
_DISTORTION = np.array([[1, 0, 0, -1], [0, 1, 1, 0], [0, 1, 1, 0], [-1, 0, 0, 1]]) / 2 / 0.02**2 / 2


def _spread(wave, block):
    """A 2 × 2 block for one reflection's place, carried over to the four numbers of the map."""
    return np.einsum("i,j,ab->iajb", wave, wave, block).reshape(4, 4)


def _errors(to_A, terms, noise, pattern):
    """Covariance of the map from the noise around each reflection, and how well one map fits them all."""
    inverse, chi2, count = _DISTORTION / np.linalg.det(to_A), 0.0, 0
    for wave, term, level in zip(pattern.waves, terms, noise, strict=True):
        if np.linalg.eigvalsh(term.curve)[-1] < 0:  # on a summit; a reflection lost in noise may not be
            information = -term.curve / level  # of this reflection's place [px²]
            shift = np.linalg.solve(term.curve, term.slope)
            inverse = inverse + _spread(wave, information)
            chi2, count = chi2 + shift @ information @ shift, count + 1
    misfit = chi2 / max(2 * count - 4, 1)
    weight = np.sqrt(pattern.strength)
    height = np.log([t.value / q + 0.05 for t, q in zip(terms, noise, strict=True)])
    contrast = (weight * height).sum() / weight.sum()
    return LatticeFit(to_A, np.linalg.pinv(inverse) * max(1.0, misfit), float(misfit), float(contrast))


@dataclass(frozen=True)
class _Power:
    """Power at one wave, and its first and second derivatives along rows and columns."""

    value: float
    slope: np.ndarray
    curve: np.ndarray


def _power(pieces, wave):
    along = [np.arange(n) - (n - 1) / 2 for n in pieces[0].shape]
    rows, cols = (
        np.exp(-2j * np.pi * w * x) * np.stack([x**0, -2j * np.pi * x, (-2j * np.pi * x) ** 2])
        for w, x in zip(wave, along, strict=True)
    )
    value, slope, curve = 0.0, np.zeros(2), np.zeros((2, 2))
    for piece in pieces:
        t = rows @ piece @ cols.T
        first = np.array([t[1, 0], t[0, 1]])
        second = np.array([[t[2, 0], t[1, 1]], [t[1, 1], t[0, 2]]])
        value += np.abs(t[0, 0]) ** 2 / len(pieces)
        slope += 2 * np.real(np.conj(t[0, 0]) * first) / len(pieces)
        curve += 2 * np.real(np.outer(np.conj(first), first) + np.conj(t[0, 0]) * second) / len(pieces)
    return _Power(float(value), slope, curve)


def _noise(image, wave):
    """Median-based mean power on two rings around a wave, beyond the window's own foot."""
    around = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    ring = np.stack([np.sin(around), np.cos(around)], 1)
    places = np.concatenate([wave + r * ring / np.array(image.shape) for r in (3.5, 5.0)])
    y, x = np.arange(image.shape[0]), np.arange(image.shape[1])
    rows, cols = (
        np.exp(-2j * np.pi * np.outer(places[:, 0], y)),
        np.exp(-2j * np.pi * np.outer(places[:, 1], x)),
    )
    power = np.abs(((rows @ image) * cols).sum(1)) ** 2
    return float(np.mean(np.minimum(power, 6 * np.median(power)))) + 1e-30
