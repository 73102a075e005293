"""What a network is asked for: the pixel size it works at, and discs around the atoms as labels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.spatial import cKDTree

from elit_helpers.core.checks import check_pixel_size, check_positive
from elit_helpers.core.coordinates import to_pixels

NET_PIXEL = 0.15
"""Pixel size of everything a network sees [Å/px]."""
DISC_A = 0.42
"""Radius of an atom's disc in a mask [Å]: discs of neighbours 1.42 Å apart stay apart."""
_COLUMN_A = 0.3  # Å: atoms that look closer than this stand above each other, in one column


def element_mask(
    positions: np.ndarray,
    elements: Sequence[str],
    *,
    classes: Sequence[str],
    shape: tuple[int, int],
    pixel_size: float,
    radius_A: float = DISC_A,
) -> np.ndarray:
    """Label every pixel with the class of the atom whose disc it lies in.

    Parameters
    ----------
    positions : array-like, shape (M, 2) or (M, 3)
        x, y [Å], y upwards, with fractions of a pixel kept.
    elements : sequence of str, length M
        Atoms that look closer than 0.3 Å are one column, and have the class of its heaviest element.
    classes : sequence of str
        Element of each channel. With one class every atom is channel 0, whatever its element.
    shape : tuple of int
        [px].
    pixel_size : float
        [Å/px].
    radius_A : float
        [Å]; where discs overlap the nearer atom wins.

    Returns
    -------
    ndarray of int, shape `shape`
        0 … len(classes) − 1 for the classes, len(classes) for the background.

    Raises
    ------
    ValueError
        If an element is not among several `classes`, a position is not finite, or the lengths differ.
    """
    check_pixel_size(pixel_size)
    check_positive("radius_A", radius_A)
    xy = np.asarray(positions, float)
    if len(xy) != len(elements) or not np.isfinite(xy).all():
        raise ValueError(
            f"`positions` has shape {xy.shape} for {len(elements)} `elements`; give one finite position "
            "(x, y) in Å for each element."
        )
    if len(classes) == 0:
        raise ValueError("`classes` is empty; name the elements, such as ('C', 'Si').")
    if len(elements) == 0:
        return np.full(shape, len(classes), np.int64)
    row_col = to_pixels(xy, pixel_size=pixel_size, height=shape[0])
    channel = _channels(xy[:, :2], list(elements), list(classes))
    return discs(row_col, channel, len(classes), shape, radius_A / pixel_size)


def _channels(xy, elements, classes):
    """Class of each atom; of atoms above each other that of the heaviest."""
    if len(classes) == 1:
        return np.zeros(len(elements), int)
    if missing := sorted(set(elements) - set(classes)):
        raise ValueError(
            f"`classes` is {tuple(classes)!r} and lacks {', '.join(missing)}; "
            "add it, or leave those atoms out."
        )
    from ase.data import atomic_numbers

    weight = np.array([atomic_numbers[e] for e in elements])
    channel = np.array([classes.index(e) for e in elements])
    pairs = cKDTree(xy).query_pairs(_COLUMN_A, output_type="ndarray")
    heavy, light = np.where(weight[pairs[:, :1]] >= weight[pairs[:, 1:]], pairs, pairs[:, ::-1]).T
    order = np.argsort(weight[heavy], kind="stable")  # the heaviest has the last word
    channel[light[order]] = channel[heavy[order]]
    return channel


def discs(row_col, channel, background, shape, radius):
    """Write discs into a label image; where they overlap the nearest atom has its way."""
    reach = int(np.ceil(radius)) + 1
    window = np.arange(-reach, reach + 1)
    base = np.round(row_col).astype(int)
    near = ((base >= -reach) & (base < np.array(shape) + reach)).all(1)
    base, off = base[near], (row_col - base)[near]
    far = ((window - off[:, :1]) ** 2)[:, :, None] + ((window - off[:, 1:]) ** 2)[:, None, :]
    # on a grid with a border as wide as the windows, discs at the edge need no further care
    height, width = (n + 4 * reach for n in shape)
    middle = (base[:, 0] + 2 * reach) * width + base[:, 1] + 2 * reach
    inside = np.flatnonzero(far < radius**2)
    atom, place = np.divmod(inside, len(window) ** 2)
    pixel = middle[atom] + (window[:, None] * width + window).ravel()[place]
    distance, nearest = far.ravel()[inside], np.full(height * width, np.inf)
    np.minimum.at(nearest, pixel, distance)
    wins = distance == nearest[pixel]
    labels = np.full(height * width, background, np.int64)
    labels[pixel[wins]] = channel[near][atom[wins]]
    return labels.reshape(height, width)[2 * reach : -2 * reach, 2 * reach : -2 * reach].copy()
