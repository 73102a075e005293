"""The pixel size a second time, without any spectrum: how far apart are neighbouring columns or hollows?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter, maximum_filter
from scipy.spatial import Delaunay, QhullError, cKDTree

from elit_helpers.calibration.reflections import binned, flatten, reflections
from elit_helpers.samples.materials import Material

_RATIO = 1.12  # between one trial scale and the next
_FEWEST = 12  # points in whole surroundings; fewer are no lattice


_BORDER = 0.4  # spacings: nearer to the border the smoothing sees the frame's mirror image


@dataclass(frozen=True)
class _Look:
    """How the frame is smoothed, and how far from the ideal an edge may be.

    Parameters
    ----------
    point, around : float
        Widths of the smoothing and of the background taken away [spacings].
    edge : float
        Relative.
    """

    point: float
    around: float
    edge: float


_STRICT = _Look(0.22, 0.45, 0.22)
_LENIENT = _Look(0.30, 0.55, 0.32)  # for frames so noisy that the strict look sees nothing regular


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
    return _look(frame, sizes, cell, _STRICT) or _look(frame, sizes, cell, _LENIENT)


def _look(frame, sizes, cell, look):
    """Try all scales in one way of looking."""
    count = max(2, int(np.ceil(np.log(sizes[1] / sizes[0]) / np.log(_RATIO))) + 1)
    trials = [
        _trial(frame, size, cell, sign, look) for size in np.geomspace(*sizes, count) for sign in cell.signs
    ]
    found = [t for t in trials if t is not None and sizes[0] <= t.size <= sizes[1]]
    distinct: list[NeighbourScale] = []
    for trial in sorted(found, key=lambda t: -t.share * np.sqrt(t.points)):
        if all(abs(np.log(trial.size / d.size)) > 0.15 for d in distinct):
            # smoothed once more, for the very spacing that was found
            again = _trial(frame, trial.size, cell, 1 if trial.bright else -1, look)
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
    for (_, u, v, _), bright in zip(material.columns, material.column_brightness, strict=True):
        grid[int(round(u * n)) % n, int(round(v * n)) % n] += bright
    index = np.fft.fftfreq(n, 1 / n)
    waves = np.stack(np.meshgrid(index, index, indexing="ij"), -1) @ np.linalg.inv(np.array(material.cell)).T
    damped = np.fft.fft2(grid) * np.exp(-2 * (np.pi * _STRICT.point * spacing) ** 2 * (waves**2).sum(-1))
    damped[0, 0] = 0
    smooth = np.fft.ifft2(damped).real
    return tuple(sign for sign in (1, -1) if _lead(sign * smooth) > 0.2 * np.ptp(smooth))


def _lead(cell):
    """How far the highest summit of a periodic cell stands above the second."""
    summits = np.sort(cell[cell == maximum_filter(cell, 5, mode="wrap")])
    return summits[-1] - (summits[-2] if len(summits) > 1 else cell.min())


def _trial(frame, size, cell, sign, look):
    """Points and triangles at one trial size; None if they show no lattice."""
    spacing_px = cell.spacing / size
    if spacing_px * 4 > min(frame.shape) or spacing_px < 3:
        return None
    step = max(1, int(0.12 * spacing_px))
    small = flatten(binned(frame, step), spacing_px / step)
    points = _extrema(sign * small, spacing_px / step, look)
    if len(points) < _FEWEST + 8:
        return None
    try:
        triangles = Delaunay(points).simplices
    except QhullError:
        return None
    area, scale = _areas(points, triangles), size * step
    for _ in range(3):
        good = _regular(points, triangles, cell.edges / scale, look.edge)
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
    near = np.zeros(len(points), bool)
    near[triangles[good & whole[triangles].any(1)]] = True
    used = good & near[triangles].any(1)
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
    """Standard error of a point's row or column, from how far points lie off the middle of opposite ones."""
    sides = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    middle, one = points[sides[:, 0]], points[sides[:, 1]]
    far, other = cKDTree(points).query(2 * middle - one)
    paired = far < 0.5 * np.linalg.norm(one - middle, axis=1)
    if paired.sum() < 4:
        return np.inf
    off = middle - (one + points[other]) / 2
    return float(np.sqrt((off[paired] ** 2).mean() / 1.5))


def _areas(points, triangles):
    a, b, c = (points[triangles[:, k]] for k in range(3))
    return np.abs((b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]) / 2


def _regular(points, triangles, ideal, tolerance):
    """Triangles all of whose edges are about as long as the lattice's."""
    edges = np.stack(
        [np.linalg.norm(points[triangles[:, k]] - points[triangles[:, k - 1]], axis=1) for k in range(3)], 1
    )
    return (np.abs(np.sort(edges, 1) / ideal - 1) < tolerance).all(1)


def _extrema(image, spacing_px, look):
    """Bright points one lattice spacing [px] apart, to a fraction of a pixel."""
    smooth = gaussian_filter(image, look.point * spacing_px, truncate=3)
    smooth -= gaussian_filter(image, look.around * spacing_px, truncate=3)
    reach = max(1, int(0.4 * spacing_px))
    edge = _BORDER * spacing_px  # nearer to the border the smoothing sees the frame's mirror image
    peak = (smooth == maximum_filter(smooth, 2 * reach + 1)) & (smooth > 0)
    rows, cols = np.nonzero(peak[1:-1, 1:-1])
    rows, cols = rows + 1, cols + 1
    inner = (
        (rows > edge)
        & (rows < image.shape[0] - 1 - edge)
        & (cols > edge)
        & (cols < image.shape[1] - 1 - edge)
    )
    rows, cols = rows[inner], cols[inner]
    place = np.stack([rows, cols], 1).astype(float)
    for axis, (dr, dc) in enumerate(((1, 0), (0, 1))):
        before, here, after = smooth[rows - dr, cols - dc], smooth[rows, cols], smooth[rows + dr, cols + dc]
        place[:, axis] += 0.5 * (before - after) / np.minimum(before - 2 * here + after, -1e-30)
    return place
