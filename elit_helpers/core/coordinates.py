"""The one pair of functions between pixels of a picture and Å of a structure, and how far a picture reaches.

A position is counted from the centre of the first pixel, but a pixel has an area: in a picture of N pixels a
side the centres span (N − 1)·px, while the picture covers N·px, half a pixel more at either end. Distances
between positions do not care; areas, densities and the distance to the edge do, and count the whole picture.
"""

from __future__ import annotations

import numpy as np

from elit_helpers.core.checks import check_pixel_size


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
    check_pixel_size(pixel_size)
    xy = np.asarray(positions_A, float)
    xy = xy.reshape(-1, xy.shape[-1]) if xy.size else np.zeros((0, 2))
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
    check_pixel_size(pixel_size)
    rc = np.asarray(row_col, float).reshape(-1, 2)
    return np.column_stack([rc[:, 1] * pixel_size, (height - 1 - rc[:, 0]) * pixel_size])


def extent(shape, pixel_size):
    """Return height and width (2,) [Å] of the area that a picture (H, W) [px] covers: N · px."""
    return np.asarray(shape, float) * pixel_size


def inside(row_col, shape, border_px=0.0):
    """Mark the positions (M, 2) [px] that lie in a picture (H, W), `border_px` from its edge at least."""
    row_col = np.asarray(row_col, float).reshape(-1, 2)
    from_edge = np.minimum(row_col, np.asarray(shape, float) - 1 - row_col) + 0.5
    return (from_edge >= border_px).all(axis=1)
