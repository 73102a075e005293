"""Readers for NumPy, HDF5, TIFF and picture files: each gives the file's signals, hardly read yet.

They are not RosettaSciIO's, so that large stacks stay on disk frame by frame and scales that ImageJ wrote
count; everything else is left to it.
"""

from __future__ import annotations

import contextlib
import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from elit_helpers.core.checks import EngineMissing, require
from elit_helpers.io import rosettasciio
from elit_helpers.io.axes import plain_unit, settings, to_angstrom
from elit_helpers.io.frames import RawFile, Signal, ZippedArray, in_memory


def _read_npy(path: Path) -> list[Signal]:
    array = _load_plain(path, mmap_mode="r")
    if (
        not isinstance(array, np.memmap)
        or array.ndim < 2
        or not array.flags.c_contiguous
        or _maybe_colour(array)
    ):
        return [in_memory(path.stem, array)]
    shape = _without_ones(array.shape)
    return [Signal(path.stem, shape, array.dtype, RawFile(path, array.offset, shape, array.dtype))]


def _load_plain(path, **options):
    """numpy.load without its licence to run code, and with a reason where the file is not what it says."""
    try:
        return np.load(path, **options)
    except (ValueError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"{path.name} is broken or holds Python objects, which can run code when read ({error}). "
            "Save the plain array with numpy.save(path, array) instead."
        ) from error


def _maybe_colour(array):
    return array.ndim > 2 and array.shape[-1] in (1, 3, 4)


def _without_ones(shape):
    """A shape without axes of length one, of which two are kept at least."""
    shape = list(shape)
    while len(shape) > 2 and 1 in shape:
        shape.remove(1)
    return tuple(shape)


def _read_npz(path: Path) -> list[Signal]:
    if not zipfile.is_zipfile(path):
        raise ValueError(f"{path.name} is broken: it ends before its table of contents. Is the file whole?")
    with _load_plain(path) as archive:
        names = archive.files
        known = _json_of(str(archive["metadata"])) if "metadata" in names else {}
        sizes = np.atleast_1d(archive["pixel_size"]).astype(float) if "pixel_size" in names else [None]
    first = [n for n in ("frames", "images", "image", "image_data") if n in names]
    signals = []
    for name in first + [n for n in names if n not in (*first, "metadata", "pixel_size")]:
        array = ZippedArray(path, f"{name}.npy")
        described: dict[str, Any] = {
            "sizes": (sizes[0], sizes[-1]),
            "metadata": {"array": name} | known | settings(known),
        }
        if array.fortran or len(array.shape) < 2 or array.shape[-1] in (1, 3, 4):
            signals.append(in_memory(name, array.whole(), **described))
        else:
            signals.append(Signal(name, array.shape, array.dtype, array, **described))
    return signals


def _read_hdf5(path: Path) -> list[Signal]:
    h5py = require("h5py", "Reading HDF5")
    with h5py.File(path, "r") as file:
        other = _maker_of(file)
        if other is None:
            known = _json_of(file["metadata"][()]) if isinstance(file.get("metadata"), h5py.Dataset) else {}
            signals: list[Signal] = []

            def look(name, item):
                if isinstance(item, h5py.Dataset) and item.dtype.kind in "fiub" and item.ndim >= 2:
                    signals.append(_dataset(path, name, item, known))

            file.visititems(look)
            top = ", ".join(file)
    if other is not None:
        return rosettasciio.read(
            path, next(p for p in rosettasciio.plugins(other[0]) if p["name"] == other[1])
        )
    if not signals:
        raise ValueError(f"{path.name} holds no dataset with an image; its top level has {top}.")
    return sorted(signals, key=lambda signal: signal.title != "image_data")


def _maker_of(file):
    """Suffix and reader where an HDF5 file is of a format that RosettaSciIO knows by another suffix."""
    if "HyperSpy" in str(file.attrs.get("file_format", "")):
        return ".hspy", "HSPY"
    if "version_major" in file.attrs or "emd_group_type" in file.attrs:
        return ".emd", "EMD"
    return None


def _dataset(path, name, item, known):
    """A dataset, read in the blocks in which it is packed."""
    kept, shape = list(range(item.ndim)), item.shape
    while len(kept) > 2 and any(shape[axis] == 1 for axis in kept):
        kept.remove(next(axis for axis in kept if shape[axis] == 1))
    shape = tuple(shape[axis] for axis in kept)

    def read(start, stop):
        h5py = require("h5py", "Reading HDF5")
        with h5py.File(path, "r") as file:
            index: list[Any] = [0] * item_ndim
            for axis in kept:
                index[axis] = slice(None)
            if len(shape) == 2:
                return file[name][tuple(index)][None]
            index[kept[0]] = slice(start, stop)
            return file[name][tuple(index)]

    item_ndim = item.ndim
    told, notes = _of_this_scan(known)
    described: dict[str, Any] = {"metadata": {"dataset": name, "notes": notes} | known | settings(told)}
    with contextlib.suppress(KeyError, TypeError, ValueError):  # "NA" says that nobody wrote it down
        described["sizes"] = (10 * float(known["scan size"]) / shape[-1],) * 2
    if shape[-1] in (3, 4) and len(shape) == 3:
        return in_memory(name, item[()].reshape(shape), **described)
    block = item.chunks[kept[0]] if item.chunks and len(shape) == 3 else 1
    return Signal(name, shape, item.dtype, read, block=block, **described)


def _of_this_scan(known):
    """Metadata without tables that were copied from another scan, as their field of view gives away."""
    told, notes = {}, []
    for key, value in known.items():
        if isinstance(value, dict):
            field = next((v for k, v in value.items() if k.endswith("ScanSize(nm)")), None)
            with contextlib.suppress(TypeError, ValueError, KeyError):
                if abs(float(field) / float(known["scan size"]) - 1) > 0.1:
                    notes.append(
                        f"{key!r} is of another scan, of {float(field):g} nm; nothing is taken from it."
                    )
                    continue
        told[key] = value
    return told, notes


def _json_of(text):
    try:
        loaded = json.loads(text.decode() if isinstance(text, bytes) else text)
    except (TypeError, ValueError):
        return {"metadata": str(text)}
    return loaded if isinstance(loaded, dict) else {"metadata": loaded}


_CUT_SHORT = re.compile(r"failed to reshape|corrupted|truncated|invalid page offset|is missing")

_BY_TIFFFILE = (1, 8, 32773, 32946)  # none, deflate (twice), PackBits: what it unpacks without imagecodecs


def _read_tiff(path: Path) -> list[Signal]:
    tifffile = require("tifffile", "Reading TIFF")
    try:
        with rosettasciio.heard("tifffile") as said, tifffile.TiffFile(path) as file:
            imagej = file.imagej_metadata or {}
            signals = [_series(path, one, i, imagej) for i, one in enumerate(file.series)]
            plain = all(int(one.keyframe.compression) in _BY_TIFFFILE for one in file.series)
    except (tifffile.TiffFileError, ValueError, RuntimeError) as error:
        if "imagecodecs" in str(error):
            raise EngineMissing(
                f"{path.name} is compressed in a way that needs imagecodecs: {error}. Install it with "
                "`pip install imagecodecs`, or save the TIFF without compression."
            ) from error
        raise ValueError(f"{path.name} could not be read as TIFF: {error}. Is the file whole?") from error
    if cut := next((line for line in said if _CUT_SHORT.search(line)), None):
        raise ValueError(f"{path.name} could not be read as TIFF: {cut}. Is the file whole?")
    if plain and not any(any(s.sizes) for s in signals) and sum(s.megabytes for s in signals) < 256:
        _borrow_axes(path, signals)
    return signals


def _series(path, series, number, imagej):
    """One series of a TIFF: pages of one shape that belong together."""
    page, shape = series.keyframe, _without_ones(series.shape)
    unit = _tiff_unit(page, imagej)
    sizes = tuple(
        to_angstrom(tag.value[1] / tag.value[0], unit) if tag is not None and tag.value[0] else None
        for tag in (page.tags.get("YResolution"), page.tags.get("XResolution"))
    )
    described: dict[str, Any] = {"metadata": {"unit": unit} | settings(imagej), "sizes": sizes}
    if interval := imagej.get("finterval"):
        described["metadata"].setdefault("frame_time_s", float(interval))
    title = series.name or f"series {number}"
    if series.dataoffset is not None and shape[-1] not in (3, 4):
        return Signal(
            title, shape, series.dtype, RawFile(path, series.dataoffset, shape, series.dtype), **described
        )
    pages = [getattr(p, "index", None) for p in series.pages]
    if tuple(page.shape) != shape[-2:] or not all(isinstance(p, int) for p in pages):
        return in_memory(title, series.asarray(), **described)
    if len(pages) == 1:
        return in_memory(title, _pages(path, pages)[0], **described)
    return Signal(title, shape, series.dtype, lambda a, b: _pages(path, pages[a:b]), block=8, **described)


def _pages(path, numbers):
    """Pages of a TIFF by their numbers; by Pillow where tifffile would need a package more (LZW, JPEG)."""
    tifffile, image = require("tifffile", "Reading TIFF"), require("PIL.Image", "Reading TIFF")
    try:
        with tifffile.TiffFile(path) as file:
            return np.stack([file.pages[i].asarray() for i in numbers])
    except ValueError as error:
        if "imagecodecs" not in str(error):
            raise
        frames = []
        try:
            with image.open(path) as picture:
                for number in numbers:
                    picture.seek(number)
                    frames.append(np.array(picture))
        except OSError:
            raise error from None  # Pillow cannot either: what tifffile asks for helps
        return np.stack(frames)


def _tiff_unit(page, imagej):
    """The unit of a TIFF's resolution; "" where it says nothing of the sample."""
    unit = plain_unit(imagej.get("unit"))
    code = page.tags.get("ResolutionUnit")
    if not unit and code is not None and int(code.value) == 3:
        unit = "cm"  # programs write inches when they know nothing; those mean nothing here
    return unit


def _borrow_axes(path, signals):
    """Take scale and settings from RosettaSciIO, which knows the private tags of several makers."""
    for plugin in rosettasciio.plugins(".tif"):
        try:
            others = rosettasciio.read(path, plugin)
        except (ValueError, EngineMissing):
            continue  # the picture itself is read already; nothing is known of its scale
        for signal, other in zip(signals, others):
            if not signal.metadata.get("unit"):
                signal.sizes, signal.metadata = other.sizes, other.metadata | signal.metadata
                signal.metadata["unit"] = other.metadata.get("unit", "")


def _read_picture(path: Path) -> list[Signal]:
    image = require("PIL.Image", "Reading pictures")
    sequence = require("PIL.ImageSequence", "Reading pictures")
    with image.open(path) as picture:
        mode, kind = picture.mode, picture.format
        frames = [np.asarray(p.convert("RGB") if p.mode == "P" else p) for p in sequence.Iterator(picture)]
    known: dict[str, Any] = {"mode": mode}
    if kind == "JPEG":
        known["notes"] = [
            "JPEG is lossy: it smooths noise and faint atoms in blocks of 8 px. Use the original file."
        ]
    return [in_memory(path.stem, np.stack(frames) if len(frames) > 1 else frames[0], metadata=known)]


READERS: dict[str, Callable[[Path], list[Signal]]] = {
    ".npy": _read_npy, ".npz": _read_npz, ".tif": _read_tiff, ".tiff": _read_tiff, ".hdf5": _read_hdf5,
    ".h5": _read_hdf5, ".png": _read_picture, ".jpg": _read_picture, ".jpeg": _read_picture,
    ".bmp": _read_picture, ".gif": _read_picture, ".pgm": _read_picture,
}  # fmt: skip
"""Formats read without RosettaSciIO: so that stacks stay on disk, or because it takes no scale from them."""
