"""Large arrays that need no memory of their own: the system may put them aside on the disk."""

from __future__ import annotations

import contextlib
import os
import tempfile
from typing import Any

import numpy as np

_FROM_BYTES = 1 << 20  # smaller ones are not worth a file


def roomy(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Return an array of zeros on a temporary file that nobody else sees and that goes away with it.

    Its pages lie in memory while there is room. Where there is no room on the disk, or no way to ask for it,
    it is an array like any other.
    """
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    if size >= _FROM_BYTES:
        # Asked for in advance: a file without room for what is written later would end the process.
        with contextlib.suppress(OSError, AttributeError), tempfile.TemporaryFile(prefix="elit-") as file:
            os.posix_fallocate(file.fileno(), 0, size)
            return np.asarray(np.memmap(file, dtype, "r+", shape=shape))
    return np.zeros(shape, dtype)
