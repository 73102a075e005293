"""The frames of a TIFF, read page by page, with what its tags say of the numbers carried out.

tifffile unpacks the bytes and leaves the numbers as they stand: white may be zero, grey may be kept as
colours or by a table, the first row may be at the bottom. Where it would need imagecodecs (LZW, JPEG, 12
bits), Pillow unpacks what it can.
"""

from __future__ import annotations

import contextlib
import lzma
import math
import re
import struct
import threading
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from elit_helpers.core.checks import EngineMissing, require
from elit_helpers.io.pictures import tones
from elit_helpers.io.tones import (
    LOSSY,
    NO_ALPHA,
    TURNED,
    WHITE_IS_ZERO,
    Coloured,
    turned_round,
    upright,
    without_colour,
)

BROKEN = (ValueError, RuntimeError, TypeError, IndexError, struct.error, zlib.error, lzma.LZMAError)
"""What tifffile lets pass through from a file that is not whole, beside its own TiffFileError."""
_ANOTHERS_WORK = re.compile("imagecodecs|not supported")
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _TABLE = range(4)
_OTHER_COLOURS = {5, 6, 8, 9, 10, 32803, 32845}  # inks, brightness with colour differences, a sensor's mosaic
_PHOTOMETRIC, _ORIENTATION = 262, 274  # numbers of tags
_ALPHA, _JPEG = {1, 2}, {6, 7}


@dataclass
class Pages:
    """Reads frames of one series. The file is parsed once, and open only while it is read."""

    path: Path
    series: int
    _file: Any = field(default=None, repr=False, compare=False)
    _alone: Any = field(default_factory=threading.Lock, repr=False, compare=False)

    def __reduce__(self):
        return Pages, (self.path, self.series)  # neither a file nor a lock travels to another process

    def __call__(self, start: int, stop: int) -> np.ndarray:
        tifffile = require("tifffile", "Reading TIFF")
        try:
            with self._alone, self._opened() as series:
                return self._frames(series, start, stop)
        except (Coloured, EngineMissing):
            raise
        except (tifffile.TiffFileError, *BROKEN) as error:
            raise ValueError(str(error)) from error

    @contextlib.contextmanager
    def _opened(self) -> Iterator[Any]:
        if self._file is None:
            self._file = require("tifffile", "Reading TIFF").TiffFile(self.path)
        self._file.filehandle.open()
        try:
            yield self._file.series[self.series]
        finally:
            self._file.close()

    def _frames(self, series, start, stop):
        page, each = series.keyframe, frames_per_page(series.keyframe)
        first, last = start // each, -(-stop // each)
        try:
            stored = self._stored(series, first, last)
        except (ValueError, RuntimeError) as error:
            if not _ANOTHERS_WORK.search(str(error)):
                raise
            frames = self._by_pillow(series[first:last], page, error)
        else:
            frames = _as_meant(stored, page)
        calibration = calibration_of(self._file)
        if calibration:
            frames = calibration[0] + calibration[1] * frames.astype(float)
        return frames[start - first * each : stop - first * each]

    def _stored(self, series, first, last):
        """Pages as they stand: (pages, planes, depth, rows, columns, samples)."""
        shape = series.keyframe.shaped
        if is_one_block(series):
            kind = np.dtype(self._file.byteorder + series.dtype.char)
            size = math.prod(shape)
            offset = series.dataoffset + first * size * kind.itemsize
            stored = self._file.filehandle.read_array(kind, (last - first) * size, offset)
        else:
            stored = self._file.asarray(key=slice(first, last), series=series, squeeze=False)
        return stored.reshape(last - first, *shape)

    def _by_pillow(self, pages, page, error):
        numbers = [getattr(one, "index", None) for one in pages]
        frames = None
        if frames_per_page(page) == 1 and all(isinstance(number, int) for number in numbers):
            try:
                frames = _unpacked(self.path, numbers, page)
            except (require("PIL", "Reading TIFF").UnidentifiedImageError, SyntaxError, ValueError):
                pass  # its ways to say that it cannot either
            except OSError as broken:
                raise ValueError(f"{broken} (Pillow; tifffile would need imagecodecs)") from broken
        if frames is None:
            raise EngineMissing(
                f"{self.path.name} is compressed in a way that needs imagecodecs: {error}. Install it with "
                "`pip install imagecodecs`, or save the TIFF without compression."
            ) from error
        return _grey(frames)


def is_colour(page: Any) -> bool:
    """Return True if a page is kept as red, green and blue, which may all be equal."""
    return page.photometric == _RGB and page.samplesperpixel >= 3


def is_one_block(series: Any) -> bool:
    """Return True if one page describes many frames that lie behind it (ImageJ, beyond 4 GB)."""
    return len(series) == 1 and math.prod(series.shape) > math.prod(series.keyframe.shape)


def frames_per_page(page: Any) -> int:
    """How many frames a page holds: more than one where its samples are neither colours nor transparency."""
    return page.imagedepth * _channels(page)


def _channels(page):
    one = is_colour(page) or page.photometric == _TABLE or _ALPHA & set(page.extrasamples)
    return 1 if one else page.samplesperpixel


def orientation(page: Any) -> int:
    """Return where a page has its first row and column: 1 is upright, from 5 on it lies on its side."""
    value = getattr(page.tags.get(_ORIENTATION), "value", 1)
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def calibration_of(file: Any) -> tuple[float, float] | None:
    """Return offset and factor of the line by which ImageJ's whole numbers stand for others.

    Signed counts are kept so, with an offset of -32768.
    """
    known = file.imagej_metadata or {}
    if known.get("cf") != 0 or file.pages.first.dtype.kind not in "iu":
        return None
    try:
        line = float(known.get("c0", 0)), float(known.get("c1", 1))
    except (TypeError, ValueError):
        return None
    return line if line[1] and line != (0, 1) and np.isfinite(line).all() else None


def notes_on_tags(file: Any, page: Any) -> list[str]:
    """Sentences on what was carried out, or left out, because of a tag."""
    notes = []
    if is_white_zero(page):
        notes.append(WHITE_IS_ZERO)
    if _ALPHA & set(page.extrasamples):
        notes.append(NO_ALPHA)
    if orientation(page) > 1:
        notes.append(TURNED)
    if page.photometric == _TABLE and not _is_grey(page.colormap):
        notes.append("ImageJ shows it in colours by a table; its numbers are read, not the colours.")
    if page.compression in _JPEG:
        notes.append(LOSSY)
    if line := calibration_of(file):
        notes.append(f"ImageJ's calibration is carried out: {line[0]:g} + {line[1]:g} times what is stored.")
    return notes


def is_white_zero(page: Any) -> bool:
    """Return True if the file says so; tifffile takes a file without this tag for one."""
    return page.photometric == _WHITE_IS_ZERO and _PHOTOMETRIC in page.tags


def no_intensities(file: Any, page: Any) -> str:
    """Why the numbers of a page are no intensities; empty if they are.

    With a table of colours they only count colours, unless the table is grey, or ImageJ's: that keeps the
    numbers that were measured and shows them by a table.
    """
    if page.photometric in _OTHER_COLOURS:
        return f"a colour picture, kept as {page.photometric.name}"
    if page.photometric != _TABLE or file.is_imagej or _is_grey(page.colormap):
        return ""
    return "a colour picture, by a table of colours"


def _is_grey(table):
    return table is not None and bool((table == table[:1]).all())


def _as_meant(stored, page):
    """Frames (n, H, W), upright and with black as zero, of pages as they stand."""
    n, planes, depth, height, width, samples = stored.shape
    frames = stored.transpose(0, 2, 1, 5, 3, 4).reshape(n, depth, planes * samples, height, width)
    if is_colour(page):
        frames = _grey(np.moveaxis(frames[:, :, :3], 2, -1).reshape(-1, height, width, 3))
    elif _channels(page) == 1:
        frames = frames[:, :, 0]
    frames = frames.reshape(-1, height, width)
    if page.photometric == _TABLE and _is_grey(page.colormap):
        table = page.colormap[0]
        frames = (table >> 8).astype(np.uint8)[frames] if len(table) <= 256 else table[frames]
    if is_white_zero(page):
        frames = turned_round(frames, page.bitspersample)
    return upright(frames, orientation(page))


def _grey(frames):
    grey, colour = without_colour(frames)
    if colour:
        raise Coloured(f"a colour picture of shape {frames.shape[1:]}")
    return grey


def _unpacked(path, numbers, page):
    """Frames by Pillow: it turns them upright, and white round where a number has 8 bits or fewer."""
    with require("PIL.Image", "Reading TIFF").open(path) as picture:
        frames = []
        for number in numbers:
            picture.seek(number)
            picture.load()  # turned only now, and not before its shape is asked for
            frames.append(tones(picture))
    stack, bits = np.stack(frames), page.bitspersample
    if stack.dtype.itemsize < page.dtype.itemsize:
        raise ValueError("Pillow would cut its numbers")
    if page.photometric in (_WHITE_IS_ZERO, _BLACK_IS_ZERO):
        if bits in (2, 4):
            stack = stack // (255 // (2**bits - 1))  # it stretches them to 8 bits
        stack = stack.astype(page.dtype)
        if is_white_zero(page) and bits > 8:
            stack = turned_round(stack, bits)
    return stack
