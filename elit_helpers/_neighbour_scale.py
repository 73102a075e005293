"""The pixel size a second time, without any spectrum: how far apart are neighbouring columns or hollows?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter, maximum_filter
from scipy.spatial import Delaunay, QhullError

from elit_helpers._lattice_fit import binned, column_brightness, reflections
from elit_helpers._materials import Material

_RATIO = 1.12  # between one trial scale and the next
_EDGE = 0.25  # how far an edge may be from the ideal one, relative
_FEWEST = 12  # points in whole surroundings; fewer are no lattice


@dataclass(frozen=True)
class NeighbourScale:
    """Pixel size from neighbours, its standard error [Å/px], and what it rests on.

    Parameters
    ----------
    size, std : float
        [Å/px].
    points : int
        Points in regular surroundings.
    share : float
        These, as a share of all points away from the frame's border.
    bright : bool
        Whether the points are bright columns or dark hollows.
    """

    size: float
    std: float
    points: int
    share: float
    bright: bool


def neighbour_scales(
    frame: np.ndarray, material: Material, sizes: tuple[float, float]
) -> list[NeighbourScale]:
    """Find one point in each cell, at whatever scale they are regular, and measure their triangles.

    At each trial scale the frame is smoothed until only one extremum is left in each cell (the hollow of
    graphene, the metal of a dichalcogenide). Neighbours are joined to triangles; a point counts if all
    triangles around it have edges like the lattice's. The mean area of those triangles is half a cell,
    however the lattice is turned, stretched or sheared, and wherever grains meet.

    Returns
    -------
    list of NeighbourScale
        Most convincing first. More than one where a lattice is seen inside another; none where there is no
        regular scale.
    """
    cell = _Cell.of(material)
    count = max(2, int(np.ceil(np.log(sizes[1] / sizes[0]) / np.log(_RATIO))) + 1)
    trials = [_trial(frame, size, cell, sign) for size in np.geomspace(*sizes, count) for sign in cell.signs]
    found = [t for t in trials if t is not None and sizes[0] <= t.size <= sizes[1]]
    distinct: list[NeighbourScale] = []
    for trial in sorted(found, key=lambda t: -t.share * np.sqrt(t.points)):
        if all(abs(np.log(trial.size / d.size)) > 0.15 for d in distinct):
            # smoothed once more, for the very spacing that was found
            again = _trial(frame, trial.size, cell, 1 if trial.bright else -1)
            distinct.append(again or trial)
    return distinct


@dataclass(frozen=True)
class _Cell:
    """What of a material the triangles are compared with."""

    area: float
    edges: np.ndarray  # of a triangle, sorted [Å]
    spacing: float  # between the densest lines of points [Å]
    signs: tuple[int, ...]  # +1 if one bright point leads in the cell, −1 if one dark point does

    @classmethod
    def of(cls, material):
        a, b = np.array(material.cell)
        third = min((a - b, a + b), key=np.linalg.norm)
        lengths = np.sort([np.linalg.norm(v) for v in (a, b, third)])
        spacing = 1 / np.linalg.norm(reflections(material).waves, axis=1).min()
        return cls(material.area, lengths, spacing, _signs(material, spacing))


def _signs(material, spacing):
    """Smooth one cell as the frames are smoothed, and see whether its top or its bottom is alone in it."""
    n = 24
    grid = np.zeros((n, n))
    for (_, u, v, _), bright in zip(material.columns, column_brightness(material), strict=True):
        grid[int(round(u * n)) % n, int(round(v * n)) % n] += bright
    index = np.fft.fftfreq(n, 1 / n)
    waves = np.stack(np.meshgrid(index, index, indexing="ij"), -1) @ np.linalg.inv(np.array(material.cell)).T
    damped = np.fft.fft2(grid) * np.exp(-2 * (np.pi * _POINT * spacing) ** 2 * (waves**2).sum(-1))
    damped[0, 0] = 0
    smooth = np.fft.ifft2(damped).real
    return tuple(sign for sign in (1, -1) if _lead(sign * smooth) > 0.2 * np.ptp(smooth))


def _lead(cell):
    """How far the highest summit of a periodic cell stands above the second."""
    summits = np.sort(cell[cell == maximum_filter(cell, 5, mode="wrap")])
    return summits[-1] - (summits[-2] if len(summits) > 1 else cell.min())


_POINT, _AROUND = 0.22, 0.6  # spacings: widths of the smoothing and of the background taken away


def _trial(frame, size, cell, sign):
    """Points and triangles at one trial size; None if they show no lattice."""
    spacing_px = cell.spacing / size
    if spacing_px * 4 > min(frame.shape) or spacing_px < 3:
        return None
    step = max(1, int(0.12 * spacing_px))
    small = binned(frame, step)
    points = _extrema(sign * small, spacing_px / step)
    if len(points) < _FEWEST + 8:
        return None
    try:
        triangles = Delaunay(points).simplices
    except QhullError:
        return None
    # the scale is that of the triangles themselves; those of ordinary size first
    area = _areas(points, triangles)
    scale = np.sqrt(cell.area / 2 / np.median(area))
    for _ in range(3):
        good = _regular(points, triangles, cell.edges / scale)
        if good.sum() < _FEWEST:
            return None
        scale = np.sqrt(cell.area / 2 / area[good].mean())
    # a spacing far from what the smoothing was made for is the smoothing's, not the lattice's
    if not 0.8 < scale / (size * step) < 1.25:
        return None
    around = np.bincount(triangles.ravel(), minlength=len(points))
    regular = np.bincount(triangles[good].ravel(), minlength=len(points))
    margin = 1.2 * spacing_px / step
    inside = ((points > margin) & (points < np.array(small.shape) - 1 - margin)).all(1)
    whole = inside & (regular == around)
    if whole.sum() < _FEWEST:
        return None
    used = good & whole[triangles].any(1)
    size, std = _measure(points, triangles[used], cell.area)
    share = float(whole.sum() / inside.sum())
    return NeighbourScale(size / step, std / step, int(whole.sum()), share, sign > 0)


def _measure(points, triangles, cell_area):
    """Mean area of triangles that share sides: only their common border adds to its error."""
    area = _areas(points, triangles)
    size = np.sqrt(cell_area / 2 / area.mean())
    slope = np.zeros_like(points)
    for k in range(3):
        across = points[triangles[:, (k + 1) % 3]] - points[triangles[:, (k + 2) % 3]]
        signed = np.stack([across[:, 1], -across[:, 0]], 1) / 2
        side = points[triangles[:, k]] - points[triangles[:, (k + 1) % 3]]
        turn = np.sign((signed * side).sum(1))[:, None]
        np.add.at(slope, triangles[:, k], turn * signed)
    error = _scatter(points, triangles) * np.sqrt((slope**2).sum()) / len(triangles)
    return float(size), float(0.5 * error / area.mean() * size)


def _scatter(points, triangles):
    """Standard error of a point's row or column, from how far points lie off the middle of their ring."""
    pairs = np.unique(np.sort(triangles[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1), axis=0)
    both = np.concatenate([pairs, pairs[:, ::-1]])
    degree = np.bincount(both[:, 0], minlength=len(points))
    middle = np.stack([np.bincount(both[:, 0], points[both[:, 1], k], len(points)) for k in (0, 1)], 1)
    around = np.bincount(triangles.ravel(), minlength=len(points))
    closed = (degree == around) & (degree >= 4) & (degree % 2 == 0)
    off = points[closed] - middle[closed] / degree[closed, None]
    if len(off) < 4:
        return np.inf
    return float(np.sqrt((off**2).mean() / (1 + 1 / degree[closed].mean())))


def _areas(points, triangles):
    a, b, c = (points[triangles[:, k]] for k in range(3))
    return np.abs((b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]) / 2


def _regular(points, triangles, ideal):
    """Triangles all of whose edges are about as long as the lattice's."""
    edges = np.stack(
        [np.linalg.norm(points[triangles[:, k]] - points[triangles[:, k - 1]], axis=1) for k in range(3)], 1
    )
    return (np.abs(np.sort(edges, 1) / ideal - 1) < _EDGE).all(1)


def _extrema(image, spacing_px):
    """Bright points one lattice spacing [px] apart, to a fraction of a pixel."""
    smooth = gaussian_filter(image, _POINT * spacing_px, truncate=3)
    smooth -= gaussian_filter(image, _AROUND * spacing_px, truncate=3)
    reach = max(1, int(0.4 * spacing_px))
    peak = (smooth == maximum_filter(smooth, 2 * reach + 1)) & (smooth > 0)
    rows, cols = np.nonzero(peak[1:-1, 1:-1])
    rows, cols = rows + 1, cols + 1
    place = np.stack([rows, cols], 1).astype(float)
    for axis, (dr, dc) in enumerate(((1, 0), (0, 1))):
        before, here, after = smooth[rows - dr, cols - dc], smooth[rows, cols], smooth[rows + dr, cols + dc]
        place[:, axis] += 0.5 * (before - after) / np.minimum(before - 2 * here + after, -1e-30)
    return place
