"""What can be believed of the atoms an ensemble finds: physics of a flat, threefold lattice.

Which candidates sit as atoms do, where the lattice says one is missing, and how
bright each is over its own surroundings. Positions are (M, 2) rows and columns in pixels of the image given.
Lengths are written down for graphene and grow with the bond of the `sheet`.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates
from scipy.spatial import cKDTree

from elit_helpers.elit.honeycomb import GRAPHENE, Honeycomb


def bond_pairs(
    row_col: np.ndarray, *, pixel_size: float, sheet: Honeycomb = GRAPHENE
) -> tuple[np.ndarray, np.ndarray]:
    """Return who is at a bond's distance from whom (P,), (P,): each pair in both directions."""
    if len(row_col) < 2:
        return np.zeros(0, int), np.zeros(0, int)
    low, high = (length / pixel_size for length in sheet.bond_range)
    i, j = cKDTree(row_col).query_pairs(high, output_type="ndarray").T
    apart = np.hypot(*(row_col[i] - row_col[j]).T) > low
    i, j = i[apart], j[apart]
    return np.concatenate([i, j]), np.concatenate([j, i])


def bonded(row_col: np.ndarray, *, pixel_size: float, sheet: Honeycomb = GRAPHENE) -> np.ndarray:
    """Return for each position the number of others at a bond's distance (M,)."""
    i, _ = bond_pairs(row_col, pixel_size=pixel_size, sheet=sheet)
    return np.bincount(i, minlength=len(row_col))


def mean_bond(row_col: np.ndarray, *, pixel_size: float, sheet: Honeycomb = GRAPHENE) -> np.ndarray:
    """Return the mean distance [Å] (M,) to the three nearest others within 1.55 bonds; NaN without any."""
    if len(row_col) < 2:
        return np.full(len(row_col), np.nan)
    near = cKDTree(row_col).query(row_col, min(4, len(row_col)))[0][:, 1:] * pixel_size
    near = np.where(near < 2.2 * sheet.scale, near, np.nan)
    count = np.isfinite(near).sum(1)
    return np.where(count > 0, np.nansum(near, 1) / np.maximum(count, 1), np.nan)


def missing_sites(
    row_col: np.ndarray, others: np.ndarray, *, pixel_size: float, sheet: Honeycomb = GRAPHENE
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
    i, j = bond_pairs(row_col, pixel_size=pixel_size, sheet=sheet)
    unit = row_col[i] - row_col[j]
    unit /= np.maximum(np.linalg.norm(unit, axis=1, keepdims=True), 1e-9)
    away = np.stack([np.bincount(i, unit[:, k], minlength=len(row_col)) for k in (0, 1)], axis=1)
    length = np.linalg.norm(away, axis=1)
    # the sum of two unit vectors is 1 long at 120°; others are not such an atom's bonds
    asking = (np.bincount(i, minlength=len(row_col)) == 2) & (length > 0.5) & (length < 1.5)
    wanted = row_col[asking] + away[asking] / length[asking, None] * sheet.material.bond / pixel_size
    near = 0.6 * sheet.scale / pixel_size
    if len(wanted):
        wanted = wanted[cKDTree(others).query(wanted)[0] > near]
    return _merge(wanted, near)


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


def texture(image: np.ndarray, *, pixel_size: float, sheet: Honeycomb = GRAPHENE) -> np.ndarray:
    """Return how strongly an image (H, W) varies at the length of a bond, about every pixel."""
    px = pixel_size / sheet.scale
    fine, coarse = (gaussian_filter(np.asarray(image, np.float32), s / px) for s in (0.35, 0.9))
    return np.sqrt(gaussian_filter((fine - coarse) ** 2, 1.5 / px))


def brightness(
    image: np.ndarray, row_col: np.ndarray, *, pixel_size: float, sheet: Honeycomb = GRAPHENE
) -> np.ndarray:
    """Return how far each position (M,) stands out of its own surroundings, in the image's units.

    The mean over a disc of 0.3 Å, less the lower fifth of what lies within a bond's length: the middles of
    the hexagons, which a hill of contamination lifts by as much as it lifts the atom.
    """
    px = pixel_size / sheet.scale
    disc, around = _offsets(0.3 / px), _offsets(1.35 / px)
    return _sample(image, row_col, disc).mean(1) - np.quantile(_sample(image, row_col, around), 0.2, axis=1)


def peak(
    image: np.ndarray, row_col: np.ndarray, *, pixel_size: float, sheet: Honeycomb = GRAPHENE
) -> np.ndarray:
    """Return how far each position (M,) stands over a ring around it: 0 on a slope, however steep.

    In a sheet of two elements the ring of the fainter lies in the light of the brighter; there `brightness`
    has to do.
    """
    if len(sheet.elements) > 1:
        return brightness(image, row_col, pixel_size=pixel_size, sheet=sheet)
    px = pixel_size / sheet.scale
    disc, outer = _offsets(0.42 / px), _offsets(0.95 / px)
    ring = outer[np.hypot(*outer.T) > 0.65 / px]
    return _sample(image, row_col, disc).mean(1) - _sample(image, row_col, ring).mean(1)


def visibility(
    image: np.ndarray, row_col: np.ndarray, *, pixel_size: float, sheet: Honeycomb = GRAPHENE
) -> np.ndarray:
    """Return how much of an atom there is to see at each position (M,): about 1 for an atom, 0 in a hole.

    A noisy spot in a hole can be as high over its ring as an atom; but the vacuum around it is darker than
    a sheet, whose spots overlap. Half of that difference, to the two dozen positions around, is added.
    Of two elements the fainter is the measure.
    """
    height = peak(image, row_col, pixel_size=pixel_size, sheet=sheet)
    darker = darkness(image, row_col, row_col, pixel_size=pixel_size, sheet=sheet)
    return (height - 0.5 * darker) / max(float(sheet.usual(height)), 1e-12)


def darkness(
    image: np.ndarray,
    where: np.ndarray,
    atoms: np.ndarray,
    *,
    pixel_size: float,
    sheet: Honeycomb = GRAPHENE,
) -> np.ndarray:
    """Return how much darker it is about the positions `where` (P,) than about the two dozen atoms around.

    Than the third of them that is darkest, that is: beside a hill of contamination the others are on it.
    """
    level = gaussian_filter(np.asarray(image, np.float32), 0.6 * sheet.scale / pixel_size)
    near = cKDTree(atoms).query(where, min(25, len(atoms)))[1].reshape(len(where), -1)
    return np.maximum(sheet.usual(at(level, atoms)[near], axis=1, share=0.3) - at(level, where), 0)


def relative_brightness(
    image: np.ndarray, row_col: np.ndarray, *, pixel_size: float, sheet: Honeycomb = GRAPHENE
) -> np.ndarray:
    """Return `brightness` over the usual one of the dozen atoms around (M,): 1 for the common element.

    Of two elements that alternate, the usual one is the mean of both.
    """
    bright = brightness(image, row_col, pixel_size=pixel_size, sheet=sheet)
    if len(row_col) < 4:
        return np.ones(len(row_col))
    two = len(sheet.elements) > 1
    near = cKDTree(row_col).query(row_col, min(25 if two else 13, len(row_col)))[1]
    usual = bright[near].mean(1) if two else np.median(bright[near], axis=1)
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
