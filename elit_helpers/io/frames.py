"""Frames that may stay on disk: each is read, turned into float32 and checked when it is asked for."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from elit_helpers.core.checks import EngineMissing
from elit_helpers.io.tones import Coloured, without_colour

IN_MEMORY_MB = 256
"""Stacks up to this size as float32 are read whole; larger ones stay on disk."""

BLOCK_MB = 64
EXACT = 2**24
"""Counts above this are rounded by float32, by less than one part in ten million."""


@dataclass
class Signal:
    """One array of a file, not read yet: what it is, and how to get frames of it.

    Attributes
    ----------
    title
        What the file calls it: a detector, a dataset, a page.
    shape, dtype
        Of the array; the last two axes are rows and columns.
    read
        ``read(start, stop)`` gives frames `start` to `stop` as (n, H, W), all axes before the last two
        counting as one.
    block
        Frames that are best read together, because the file packs them together.
    sizes
        [Å/px] of rows and columns; None where the file does not say.
    metadata
        What the file says of it.
    why_not
        Why it is no image, or ``""``.
    diffraction
        True if its axes are angles or reciprocal lengths.
    """

    title: str
    shape: tuple[int, ...]
    dtype: np.dtype
    read: Callable[[int, int], np.ndarray]
    block: int = 1
    sizes: tuple[float | None, float | None] = (None, None)
    metadata: dict[str, Any] = field(default_factory=dict)
    why_not: str = ""
    diffraction: bool = False

    def __post_init__(self):
        self.shape, self.dtype = tuple(int(n) for n in self.shape), np.dtype(self.dtype)
        self.why_not = self.why_not or _why_not(self.shape, self.dtype)

    @property
    def n_frames(self) -> int:
        """How many frames of (H, W) there are."""
        return math.prod(self.shape[:-2])

    @property
    def megabytes(self) -> float:
        """Size as float32 [MB]."""
        return math.prod(self.shape) * 4 / 1e6


def _why_not(shape, dtype):
    """Why an array of this shape and type is no image or stack of images; empty if it is one."""
    if dtype.names is not None:
        return "a colour picture" if set(dtype.names) <= set("RGBA") else f"a table of type {dtype}"
    if dtype.kind == "c":
        return "complex numbers (a Fourier transform or a wave); save its amplitude or intensity"
    if dtype.kind not in "fiub":
        return f"of type {dtype}, not real numbers"
    if len(shape) < 2:
        return f"of shape {shape}, with fewer than two axes"
    if sum(n > 1 for n in shape[:-2]) > 1:
        return (
            f"of shape {shape}, with more than three axes; it must be (H, W) or (N, H, W). Take one detector "
            "of a 4-D stack, or sum diffraction patterns over a detector, first"
        )
    return ""


def in_memory(title: str, array: Any, **known: Any) -> Signal:
    """Return the signal of an array that is there already; grey saved as equal colours becomes grey."""
    array = np.asarray(array)
    array, colour = without_colour(array.reshape(without_ones(array.shape)))
    if colour:
        known["why_not"] = f"a colour picture of shape {array.shape}"
    return Signal(title, array.shape, array.dtype, lambda start, stop: as_stack(array)[start:stop], **known)


def without_ones(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return a shape without axes of length one, of which two are kept at least."""
    kept = list(shape)
    while len(kept) > 2 and 1 in kept:
        kept.remove(1)
    return tuple(kept)


def as_stack(array: np.ndarray) -> np.ndarray:
    """Return an array (..., H, W) as frames (N, H, W); contiguous ones are not copied."""
    return array.reshape(-1, *array.shape[-2:])


@dataclass
class ZippedArray:
    """An array in a .npz file, read frame by frame; going forward costs nothing, going back starts again."""

    path: Path
    member: str
    shape: tuple[int, ...] = ()
    dtype: np.dtype | None = None
    fortran: bool = False
    _open: Any = field(default=None, repr=False, compare=False)

    def __post_init__(self):
        with zipfile.ZipFile(self.path) as archive, archive.open(self.member) as file:
            version = np.lib.format.read_magic(file)
            header = (
                np.lib.format.read_array_header_1_0
                if version == (1, 0)
                else np.lib.format.read_array_header_2_0
            )
            self.shape, self.fortran, self.dtype = header(file)
            self._start = file.tell()
        self.shape = without_ones(self.shape)
        if self.dtype.hasobject:
            raise ValueError("it holds Python objects, which can run code when read")

    def __getstate__(self):
        return self.__dict__ | {"_open": None}  # an open file does not travel to another process

    def whole(self) -> np.ndarray:
        """The array; for small ones, and those that are stored column by column."""
        with np.load(self.path) as archive:
            return archive[self.member.removesuffix(".npy")].reshape(self.shape)

    def __call__(self, start: int, stop: int) -> np.ndarray:
        if self.fortran or len(self.shape) < 2:
            return as_stack(self.whole())[start:stop]
        height, width = self.shape[-2:]
        size = height * width * self.dtype.itemsize
        if self._open is None:
            self._open = zipfile.ZipFile(self.path).open(self.member)  # noqa: SIM115 - stays open between frames
        self._open.seek(self._start + start * size)
        data = self._open.read((stop - start) * size)
        if stop >= math.prod(self.shape[:-2]):
            self._open.close()  # read to the end: the next reading starts anew anyway
            self._open = None
        return np.frombuffer(data, self.dtype).reshape(-1, height, width)


def as_float32(frame: np.ndarray, name: str, number: int) -> np.ndarray:
    """Return a frame as float32 of its own.

    Raises
    ------
    ValueError
        If it holds NaN, infinity or numbers beyond float32, or is constant.
    """
    with np.errstate(over="ignore"):
        result = np.array(frame, np.float32)
    low, high = result.min(), result.max()  # NaN gets through both
    if np.isfinite(low) and np.isfinite(high):
        if low == high:
            raise ValueError(f"`{name}`: frame {number} is constant ({low:g} everywhere). Leave it out.")
        return result
    if np.isfinite(frame).all():
        raise ValueError(
            f"`{name}`: frame {number} holds numbers up to {np.abs(frame).max():g}, beyond float32 (3.4e38). "
            "Divide the frame by a constant first."
        )
    raise ValueError(
        f"`{name}`: frame {number} holds {np.count_nonzero(~np.isfinite(result))} pixels that are NaN or "
        "infinite. Replace them (for example by the median of their neighbours) or leave the frame out."
    )


class Frames:
    """A stack on disk that looks like an array of float32 (N, H, W).

    ``frames[0]`` is one frame, ``frames[:4]`` four; a loop over it holds one at a time. Each frame is checked
    for NaN, infinity and constancy as it is read. `numpy.asarray` works up to `IN_MEMORY_MB`; beyond, it says
    how to ask for less.
    """

    dtype = np.dtype(np.float32)
    ndim = 3

    def __init__(self, signal: Signal, name: str, numbers: range | np.ndarray | None = None):
        self._signal, self._name = signal, name
        self._numbers = range(signal.n_frames) if numbers is None else numbers
        per_frame = max(1, math.prod(signal.shape[-2:]) * signal.dtype.itemsize)
        self._block = max(1, min(signal.block, int(BLOCK_MB * 1e6) // per_frame))
        self._kept: tuple[int, np.ndarray | None] = (-1, None)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(N, H, W)."""
        return (len(self._numbers), *self._signal.shape[-2:])

    @property
    def nbytes(self) -> int:
        """Bytes that the whole stack would take in memory."""
        return math.prod(self.shape) * 4

    def __len__(self) -> int:
        return len(self._numbers)

    def __repr__(self) -> str:
        return f"Frames({self._name}, shape {self.shape}, float32, {self.nbytes / 1e6:.0f} MB, on disk)"

    def __getitem__(self, index: Any) -> np.ndarray:
        first, rest = (index[0], index[1:]) if isinstance(index, tuple) else (index, ())
        if isinstance(first, (int, np.integer)) and not isinstance(first, bool):
            return self._frame(int(self._numbers[first]))[rest]
        return self._stack(np.asarray(self._numbers)[first])[(slice(None), *rest)]

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self._frame(int(number)) for number in self._numbers)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if self.nbytes > IN_MEMORY_MB * 1e6:
            raise ValueError(
                f"{self._name} would take {self.nbytes / 1e9:.1f} GB as an array of shape {self.shape}. Take "
                "some frames, as in `frames[:8]`, or go through them one by one; "
                "`load_image(path, lazy=False)` reads it whole."
            )
        return self._stack(np.asarray(self._numbers)).astype(dtype or self.dtype, copy=False)

    def view(self, index: Any) -> Frames:
        """Some of the frames (a slice, a list, a mask), still on disk."""
        return Frames(self._signal, self._name, np.asarray(self._numbers)[index])

    def _stack(self, numbers: np.ndarray) -> np.ndarray:
        numbers = np.asarray(numbers).ravel()
        frames = np.empty((len(numbers), *self.shape[1:]), np.float32)
        for i, number in enumerate(numbers):
            frames[i] = self._frame(int(number))
        return frames

    def _frame(self, number: int) -> np.ndarray:
        return as_float32(self._raw(number), self._name, number)

    def _raw(self, number: int) -> np.ndarray:
        start = number - number % self._block
        if self._block == 1 or self._kept[0] != start:
            stop = min(start + self._block, self._signal.n_frames)
            try:
                block = np.asarray(self._signal.read(start, stop))
                if block.shape != (stop - start, *self.shape[1:]):
                    raise ValueError(f"{block.size} numbers came instead of {math.prod(self.shape[1:])}")
            except EngineMissing:
                raise
            except Coloured as error:
                raise ValueError(f"{self._name}: frame {number} is {error}. Leave it out.") from error
            except (OSError, EOFError, KeyError, ValueError, RuntimeError, zipfile.BadZipFile) as error:
                raise ValueError(
                    f"{self._name}: frame {number} could not be read: {error}. Is the file whole?"
                ) from error
            if self._block == 1:
                return block[0]
            self._kept = (start, block)
        return self._kept[1][number - start]

    def load(self) -> tuple[np.ndarray, list[str]]:
        """Read everything into memory.

        Returns
        -------
        frames
            float32, shape (N, H, W), checked.
        notes
            What a careful reader should know of the numbers.
        """
        frames, worst, full = np.empty(self.shape, np.float32), 0, 0
        for i, number in enumerate(self._numbers):
            raw = self._raw(int(number))
            frames[i] = as_float32(raw, self._name, int(number))
            large, saturated = extremes(raw)
            worst, full = max(worst, large), max(full, saturated)
        self._kept = (-1, None)
        return frames, notes_on(self._signal.dtype, worst, full)

    def first_notes(self) -> list[str]:
        """Read the first frame: it says whether the file can be read, and what its numbers are like."""
        raw = self._raw(int(self._numbers[0]))
        as_float32(raw, self._name, int(self._numbers[0]))
        return notes_on(self._signal.dtype, *extremes(raw))


def extremes(raw: np.ndarray) -> tuple[int, int]:
    """Return the largest count of an integer frame, and how many pixels are as large as the type can hold."""
    if raw.dtype.kind not in "iu":
        return 0, 0
    largest = int(raw.max())
    top = np.iinfo(raw.dtype).max
    return max(largest, -int(raw.min())), int(np.count_nonzero(raw == top)) if largest == top else 0


def notes_on(dtype: np.dtype, worst: int, full: int) -> list[str]:
    """Sentences on counts that float32 rounds, and on pixels at the end of the detector's range."""
    notes = []
    if worst > EXACT:
        notes.append(f"Counts up to {worst:,} are rounded to float32, by less than one part in ten million.")
    if full > 1:
        notes.append(
            f"Up to {full} pixels of a frame are at {np.iinfo(dtype).max:,}, the most that {dtype} holds: "
            "the detector was saturated, or larger counts were cut off when the file was written."
        )
    return notes
