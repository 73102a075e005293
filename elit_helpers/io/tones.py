"""What the numbers of a picture stand for: grey kept as colours, white as zero, a picture on its side."""

from __future__ import annotations

import numpy as np

WHITE_IS_ZERO = (
    "The file says that white is zero: its numbers are turned round, so that bright is what a viewer shows "
    "bright (whole numbers within their range, others by their sign)."
)
LOSSY = "JPEG is lossy: it smooths noise and faint atoms in blocks of 8 px. Use the original file."
NO_ALPHA = "Its alpha channel (transparency) is left out."
TURNED = "The file says that its first row is not at the top: the frame is turned as a viewer shows it."


class Coloured(ValueError):
    """A frame has colours, from which no one can take back intensities."""


def without_colour(array: np.ndarray) -> tuple[np.ndarray, bool]:
    """Return grey from channels that are equal, and whether there is colour that no one can take back."""
    if array.dtype.names is not None and set(array.dtype.names) <= set("RGBA"):
        array = np.stack([array[name] for name in array.dtype.names], -1)
    if array.ndim < 3 or array.shape[-1] not in (3, 4) or min(array.shape[-3:-1]) < 16:
        return array, False
    if (array[..., :3] == array[..., :1]).all():
        return array[..., 0], False
    return array, True


def turned_round(array: np.ndarray, bits: int | None = None) -> np.ndarray:
    """Return numbers of which zero means white as numbers of which zero means black.

    Whole numbers of `bits` bits (by default all of their type) stay within their range, exactly; the sign of
    other numbers changes, since they have no range to be turned in.
    """
    if array.dtype.kind == "u" and bits is not None and bits < 8 * array.dtype.itemsize:
        return array.dtype.type(2**bits - 1) - array
    return ~array if array.dtype.kind in "biu" else -array


def upright(array: np.ndarray, orientation: int) -> np.ndarray:
    """Return frames (..., H, W) with the first row at the top and the first column at the left.

    `orientation` is what TIFF and Exif count from 1 (upright) to 8; from 5 on rows and columns change places.
    """
    if orientation > 4:
        array = np.swapaxes(array, -1, -2)
    rows = -1 if orientation in (3, 4, 7, 8) else 1
    columns = -1 if orientation in (2, 3, 6, 7) else 1
    return array[..., ::rows, ::columns]
