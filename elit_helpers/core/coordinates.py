"""The one pair of functions between pixels of a picture and Å of a structure."""

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
