"""What can be believed of the atoms an ensemble finds: physics of a flat, threefold lattice with impurities.

Private half of `elit`: which candidates sit as atoms do, where the lattice says one is missing, and how
bright each is over its own surroundings. Positions are (M, 2) rows and columns in pixels of the image given.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates
from scipy.spatial import cKDTree

BOND_A = 1.42
_FAR_A = 1.72  # Si to C in a sheet; the mean over three neighbours
_BOND_RANGE_A = 0.35  # bonds in defects and to Si, and what a noisy position adds


def neighbours(row_col: np.ndarray, *, pixel_size: float, low: float, high: float) -> list[np.ndarray]:
    """Return for each position the indices of those between `low` and `high` [Å] away."""
    if not len(row_col):
        return []
    tree = cKDTree(row_col * pixel_size)
    found = tree.query_ball_point(row_col * pixel_size, high)
    return [
        np.array([j for j in js if np.hypot(*(row_col[j] - row_col[i])) * pixel_size > low], int)
        for i, js in enumerate(found)
    ]


def bonded(row_col: np.ndarray, *, pixel_size: float, bond_A: float = BOND_A) -> np.ndarray:
    """Return for each position the number of others at a bond's distance (M,)."""
    low, high = bond_A - _BOND_RANGE_A, bond_A + _BOND_RANGE_A
    return np.array([len(js) for js in neighbours(row_col, pixel_size=pixel_size, low=low, high=high)], int)


def mean_bond(row_col: np.ndarray, *, pixel_size: float) -> np.ndarray:
    """Return the mean distance [Å] (M,) to the three nearest others within 2.2 Å; NaN without any."""
    if len(row_col) < 2:
        return np.full(len(row_col), np.nan)
    near = cKDTree(row_col * pixel_size).query(row_col * pixel_size, min(4, len(row_col)))[0][:, 1:]
    near = np.where(near < 2.2, near, np.nan)
    count = np.isfinite(near).sum(1)
    return np.where(count > 0, np.nansum(near, 1) / np.maximum(count, 1), np.nan)


def missing_sites(
    row_col: np.ndarray, others: np.ndarray, *, pixel_size: float, bond_A: float = BOND_A
) -> tuple[np.ndarray, np.ndarray]:
    """Return where atoms with two neighbours want a third, though no candidate is there.

    Parameters
    ----------
    row_col
        Atoms that are believed.
    others
        All candidates (P, 2).

    Returns
    -------
    ndarray, ndarray
        Sites (S, 2) [px], and how many atoms ask for each (S,).
    """
    low, high = bond_A - _BOND_RANGE_A, bond_A + _BOND_RANGE_A
    wanted = []
    for i, js in enumerate(neighbours(row_col, pixel_size=pixel_size, low=low, high=high)):
        if len(js) == 2:
            away = row_col[i] - row_col[js]
            away = (away / np.linalg.norm(away, axis=1, keepdims=True)).sum(0)
            if 0.5 < np.linalg.norm(away) < 1.5:  # 1 at 120°; others are not an sp2 atom's bonds
                wanted.append(row_col[i] + away / np.linalg.norm(away) * bond_A / pixel_size)
    if not wanted:
        return np.zeros((0, 2)), np.zeros(0, int)
    wanted = np.array(wanted)
    wanted = wanted[cKDTree(others).query(wanted)[0] * pixel_size > 0.6]
    return _merge(wanted, 0.6 / pixel_size)


def _merge(points: np.ndarray, reach: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the means of points closer than `reach` to the first of each group, and the groups' sizes."""
    left, centres, sizes = np.ones(len(points), bool), [], []
    for i in range(len(points)):
        if left[i]:
            group = left & (np.hypot(*(points - points[i]).T) < reach)
            centres.append(points[group].mean(0))
            sizes.append(int(group.sum()))
            left &= ~group
    return np.array(centres).reshape(-1, 2), np.array(sizes, int)


def texture(image: np.ndarray, *, pixel_size: float) -> np.ndarray:
    """Return how strongly an image (H, W) varies at the length of a bond, about every pixel."""
    fine, coarse = (gaussian_filter(np.asarray(image, np.float32), s / pixel_size) for s in (0.35, 0.9))
    return np.sqrt(gaussian_filter((fine - coarse) ** 2, 1.5 / pixel_size))


def brightness(image: np.ndarray, row_col: np.ndarray, *, pixel_size: float) -> np.ndarray:
    """Return how far each position (M,) stands out of its own surroundings, in the image's units.

    The mean over a disc of 0.3 Å, less the lower fifth of what lies within a bond's length: the middles of
    the hexagons, which a hill of contamination lifts by as much as it lifts the atom.
    """
    disc, around = _offsets(0.3 / pixel_size), _offsets(1.35 / pixel_size)
    return _sample(image, row_col, disc).mean(1) - np.quantile(_sample(image, row_col, around), 0.2, axis=1)


def peak(image: np.ndarray, row_col: np.ndarray, *, pixel_size: float) -> np.ndarray:
    """Return how far each position (M,) stands over a ring around it: 0 on a slope, however steep."""
    disc, outer = _offsets(0.42 / pixel_size), _offsets(0.95 / pixel_size)
    ring = outer[np.hypot(*outer.T) > 0.65 / pixel_size]
    return _sample(image, row_col, disc).mean(1) - _sample(image, row_col, ring).mean(1)


def visibility(image: np.ndarray, row_col: np.ndarray, *, pixel_size: float) -> np.ndarray:
    """Return how much of an atom there is to see at each position (M,): about 1 for an atom, 0 in a hole.

    A noisy spot in a hole can be as high over its ring as an atom; but the vacuum around it is darker than
    a sheet, whose spots overlap. Half of that difference, to the two dozen positions around, is added.
    """
    height = peak(image, row_col, pixel_size=pixel_size)
    darker = darkness(image, row_col, row_col, pixel_size=pixel_size)
    return (height - 0.5 * darker) / max(float(np.median(height)), 1e-12)


def darkness(image: np.ndarray, where: np.ndarray, atoms: np.ndarray, *, pixel_size: float) -> np.ndarray:
    """Return how much darker it is about the positions `where` (P,) than about the two dozen atoms around."""
    level = gaussian_filter(np.asarray(image, np.float32), 0.6 / pixel_size)
    near = cKDTree(atoms).query(where, min(25, len(atoms)))[1].reshape(len(where), -1)
    return np.maximum(np.median(at(level, atoms)[near], axis=1) - at(level, where), 0)


def relative_brightness(image: np.ndarray, row_col: np.ndarray, *, pixel_size: float) -> np.ndarray:
    """Return `brightness` over the median of the dozen atoms around (M,): 1 for the common element."""
    bright = brightness(image, row_col, pixel_size=pixel_size)
    if len(row_col) < 4:
        return np.ones(len(row_col))
    near = cKDTree(row_col).query(row_col, min(13, len(row_col)))[1]
    usual = np.median(bright[near], axis=1)
    floor = 0.3 * max(float(np.median(bright)), 1e-12)
    return bright / np.maximum(usual, floor)


def at(image: np.ndarray, row_col: np.ndarray) -> np.ndarray:
    """Return the values (M,) of the pixels nearest to the positions."""
    index = np.clip(np.round(row_col).astype(int), 0, np.array(image.shape) - 1)
    return image[index[:, 0], index[:, 1]]


def _offsets(radius: float) -> np.ndarray:
    step = np.arange(-int(np.ceil(radius)), int(np.ceil(radius)) + 1)
    offsets = np.stack(np.meshgrid(step, step, indexing="ij"), -1).reshape(-1, 2)
    return offsets[np.hypot(*offsets.T) <= max(radius, 0.5)]


def _sample(image: np.ndarray, row_col: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    where = (row_col[:, None] + offsets[None]).reshape(-1, 2).T
    values = map_coordinates(np.asarray(image, np.float32), where, order=1, mode="nearest")
    return values.reshape(len(row_col), len(offsets))


def impurity_chance(relative: np.ndarray, bond: np.ndarray) -> np.ndarray:
    """Return the probability (M,) that an atom is the brighter element, by a mixture of two Gaussians.

    Parameters
    ----------
    relative
        Brightness relative to the neighbours (M,).
    bond
        Mean distance to the neighbours [Å] (M,); NaN where there are none. Si sits 0.3 Å further off than C.

    Notes
    -----
    The common element is measured by median and deviation, and stays; only the share and the brightness of
    the other are fitted (expectation maximisation). With a few impurities among hundreds of atoms a free
    mixture would rather split the noise.
    """
    bright = np.log(np.clip(relative, 0.2, 8))
    usual, spread = np.median(bright), max(1.4826 * np.median(np.abs(bright - np.median(bright))), 0.05)
    bright = np.maximum(bright, usual)  # dim atoms are the common element, however dim
    bond = np.clip(np.where(np.isfinite(bond), bond, 0.5 * (BOND_A + _FAR_A)), 1.2, 1.9)
    usual_bond, bond_spread = min(np.median(bond), 0.5 * (BOND_A + _FAR_A)), 0.15
    far = _log_normal(bond, _FAR_A, bond_spread) - _log_normal(bond, usual_bond, bond_spread)
    centre, share = usual + np.log(2.5), 0.01
    for _ in range(50):
        odds = np.log(share / (1 - share)) + far
        odds += _log_normal(bright, centre, spread) - _log_normal(bright, usual, spread)
        chance = 1 / (1 + np.exp(-np.clip(odds, -50, 50)))
        share = float(np.clip(chance.mean(), 1e-4, 0.5))
        if chance.sum() > 0.5:
            lowest = usual + max(np.log(1.5), 3 * spread)  # nearer would be one element's noise
            centre = max(float((chance * bright).sum() / chance.sum()), lowest)
    return chance


def _log_normal(x: np.ndarray, centre: float, spread: float) -> np.ndarray:
    return -0.5 * np.clip((x - centre) / spread, -6, 6) ** 2 - np.log(spread)
