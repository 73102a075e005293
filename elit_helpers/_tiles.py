"""A frame through the nets of an ensemble: padded on all sides, in tiles that overlap, side by side."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from elit_helpers import _nets
from elit_helpers._nets import POOL

# A U-Net sees about 50 px to each side; with tiles that start at multiples of 8 the seams are exact.
_TILE, _MARGIN = 544, 56
_PAD = 16
_TINY = 1e-12


def ensemble_maps(
    nets: list[Any], frame: np.ndarray, temperature: float, pool: ThreadPoolExecutor
) -> Iterator[tuple[tuple[slice, slice], np.ndarray]]:
    """Yield for each tile where it belongs and what each member says: float32 (M, h, w, K + 1).

    Parameters
    ----------
    nets
        Of `make_net`.
    frame
        Normalised, (H, W).
    temperature
        Divides the logits.
    pool
        Threads of one torch thread each. What a tile becomes does not depend on how many there are.
    """
    height, width = frame.shape
    after = [_PAD + -(n + 2 * _PAD) % POOL for n in (height, width)]
    padded = np.pad(frame, [(_PAD, after[0]), (_PAD, after[1])], mode="symmetric")
    tiles = [(row, col) for row in _tiles(padded.shape[0]) for col in _tiles(padded.shape[1])]
    answers = [
        [pool.submit(_nets.probabilities, net, padded[row[0], col[0]], temperature) for net in nets]
        for row, col in tiles
    ]
    for i, (row, col) in enumerate(tiles):
        maps = np.stack([answer.result() for answer in answers[i]])
        answers[i] = []  # a frame of any size needs the memory of a few tiles
        (row_to, row_from), (col_to, col_from) = (
            _inside(axis, _PAD, length) for axis, length in ((row, height), (col, width))
        )
        if row_to.stop > row_to.start and col_to.stop > col_to.start:
            yield (row_to, col_to), maps[:, row_from, col_from]


def entropy(chance: np.ndarray) -> np.ndarray:
    """Return the entropy over the last axis [nat]."""
    return -np.sum(chance * np.log(np.maximum(chance, _TINY)), axis=-1, dtype=np.float32)


def _tiles(length: int) -> Iterator[tuple[slice, slice, slice]]:
    """Yield for each tile along an axis: what to read, which part of the answer to keep, where to put it."""
    count = -(-length // _TILE)
    size = -(-length // (count * POOL)) * POOL
    for begin in range(0, length, size):
        end = min(begin + size, length)
        low, high = max(begin - _MARGIN, 0), min(end + _MARGIN, length)
        yield slice(low, high), slice(begin - low, end - low), slice(begin, end)


def _inside(axis: tuple[slice, slice, slice], pad: int, length: int) -> tuple[slice, slice]:
    """Cut the padding off a tile: where it goes in the frame, and which part of the answer that is."""
    _, kept, out = axis
    low, high = max(out.start, pad), min(out.stop, pad + length)
    first = kept.start + low - out.start
    return slice(low - pad, high - pad), slice(first, first + max(high - low, 0))
