"""The readers that are not RosettaSciIO's, by suffix; those of NumPy and HDF5: signals, hardly read yet.

They are there so that large stacks stay on disk frame by frame, and for what a file says of its numbers and
its scale; everything else is left to RosettaSciIO.
"""

from __future__ import annotations

import contextlib
import json
import math
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from elit_helpers.core.checks import require
from elit_helpers.io import rosettasciio
from elit_helpers.io.axes import settings
from elit_helpers.io.frames import Signal, ZippedArray, as_stack, in_memory, without_ones
from elit_helpers.io.pictures import SUFFIXES, read_picture
from elit_helpers.io.tiff import read_tiff
from elit_helpers.io.tones import TURNED, WHITE_IS_ZERO, turned_round, upright

_IMAGE = {"CLASS", "IMAGE_SUBCLASS", "IMAGE_WHITE_IS_ZERO", "DISPLAY_ORIGIN"}


def _read_npy(path: Path) -> list[Signal]:
    array = _load_plain(path, mmap_mode="r")
    if not isinstance(array, np.memmap) or array.ndim < 2 or _maybe_colour(array):
        return [in_memory(path.stem, array)]
    shape = without_ones(array.shape)

    def read(start, stop):  # mapped anew each time, so that memory stays at the frames asked for
        return np.array(as_stack(np.load(path, mmap_mode="r").reshape(shape))[start:stop])

    # Stored by columns, the frames lie among each other: all must be read for one.
    block = 1 if array.flags.c_contiguous else math.prod(shape[:-2])
    return [Signal(path.stem, shape, array.dtype, read, block=block)]


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
                return meant(file[name][tuple(index)][None])
            index[kept[0]] = slice(start, stop)
            return meant(file[name][tuple(index)])

    item_ndim = item.ndim
    told, notes = _of_this_scan(known)
    meant, said, coloured = _image_attributes(item)
    notes += said
    described: dict[str, Any] = {"metadata": {"dataset": name, "notes": notes} | known | settings(told)}
    with contextlib.suppress(KeyError, TypeError, ValueError):  # "NA" says that nobody wrote it down
        described["sizes"] = (10 * float(known["scan size"]) / shape[-1],) * 2
    if coloured:
        described["why_not"] = f"a colour picture of shape {shape}"
    elif shape[-1] in (3, 4) and len(shape) == 3:
        return in_memory(name, item[()].reshape(shape), **described)
    block = item.chunks[kept[0]] if item.chunks and len(shape) == 3 else 1
    return Signal(name, shape, item.dtype, read, block=block, **described)


def _image_attributes(item):
    """What a dataset that is marked as an IMAGE says: how to read its numbers, notes, whether in colour."""
    said = {name: item.attrs[name] for name in item.attrs if name in _IMAGE}
    said = {name: v.decode() if isinstance(v, bytes) else v for name, v in said.items()}
    if said.get("CLASS") != "IMAGE":
        return np.asarray, [], False
    white = bool(np.any(said.get("IMAGE_WHITE_IS_ZERO", 0)))
    turn = {"UR": 2, "LR": 3, "LL": 4}.get(said.get("DISPLAY_ORIGIN"), 1)

    def meant(frames):
        return upright(turned_round(frames) if white else frames, turn)

    planes = said.get("IMAGE_SUBCLASS") == "IMAGE_TRUECOLOR" and item.shape[0] == 3
    notes = [note for note, holds in ((WHITE_IS_ZERO, white), (TURNED, turn > 1)) if holds]
    return meant, notes, planes or said.get("IMAGE_SUBCLASS") == "IMAGE_INDEXED"


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


READERS: dict[str, Callable[[Path], list[Signal]]] = {
    ".npy": _read_npy, ".npz": _read_npz, ".tif": read_tiff, ".tiff": read_tiff, ".hdf5": _read_hdf5,
    ".h5": _read_hdf5,
} | dict.fromkeys(SUFFIXES, read_picture)  # fmt: skip
"""Formats read without RosettaSciIO: so that stacks stay on disk, or because it takes no scale from them."""
