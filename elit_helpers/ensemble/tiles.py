"""A frame through the nets of an ensemble: in tiles that overlap, members side by side, cropped exactly."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from elit_helpers.ensemble import networks
from elit_helpers.ensemble.networks import POOL

# A U-Net sees about 50 px to each side; with tiles that start at multiples of 8 the seams are exact.
_TILE, _MARGIN = 272, 56
_TINY = 1e-12
_BYTES = 45
"""Memory of a net for each pixel of a tile and each of its filters: measured, 48 MB for a tile of 384² px
with 8 filters (torch 2.14 on a processor), and 37 MB each for four side by side."""


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
    # Only up to the next multiple of 8: nets meet zeros beyond the borders of their training patches, too,
    # and with 8 to 32 px of mirrored, repeated or constant values on all sides no more atoms are found.
    padded = np.pad(frame, [(0, -height % POOL), (0, -width % POOL)], mode="symmetric")
    tiles = [(row, col) for row in _tiles(padded.shape[0]) for col in _tiles(padded.shape[1])]
    answers = [
        [pool.submit(networks.probabilities, net, padded[row[0], col[0]], temperature) for net in nets]
        for row, col in tiles
    ]
    for i, ((_, row_kept, row_to), (_, col_kept, col_to)) in enumerate(tiles):
        maps = np.stack([answer.result()[row_kept, col_kept] for answer in answers[i]])
        answers[i] = []  # a frame of any size needs the memory of a few tiles
        here = slice(row_to.start, min(row_to.stop, height)), slice(col_to.start, min(col_to.stop, width))
        yield here, maps[:, : here[0].stop - here[0].start, : here[1].stop - here[1].start]


def bytes_a_thread(filters: int) -> float:
    """Return how much memory each thread takes beside the others, for the tile that it is at."""
    return _BYTES * filters * (_TILE + 2 * _MARGIN) ** 2


def entropy(chance: np.ndarray) -> np.ndarray:
    """Return the entropy over the last axis [nat]."""
    return -np.sum(chance * np.log(np.maximum(chance, _TINY)), axis=-1, dtype=np.float32)


def over_members(maps: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return mean, spread and mean entropy [nat] over the members of maps (M, ..., K + 1)."""
    return maps.mean(0), maps.std(0), sum(map(entropy, maps)) / len(maps)


def _tiles(length: int) -> Iterator[tuple[slice, slice, slice]]:
    """Yield for each tile along an axis: what to read, which part of the answer to keep, where to put it."""
    count = -(-length // _TILE)
    size = -(-length // (count * POOL)) * POOL
    for begin in range(0, length, size):
        end = min(begin + size, length)
        low, high = max(begin - _MARGIN, 0), min(end + _MARGIN, length)
        yield slice(low, high), slice(begin - low, end - low), slice(begin, end)
