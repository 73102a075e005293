"""Readers of microscope files: each gives an array, the pixel size that the file states, and its metadata."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable

import numpy as np

from elit_helpers._common import require

_TO_ANGSTROM = {
    "å": 1.0, "angstrom": 1.0, "a": 1.0, "nm": 10.0, "nanometer": 10.0, "pm": 0.01, "um": 1e4, "µm": 1e4,
    "μm": 1e4, "micron": 1e4, "m": 1e10, "cm": 1e8,
}  # fmt: skip


def squeeze(array, name):
    """Drop axes of length one, and refuse colour with a better reason than its shape."""
    array = np.asarray(array)
    while array.ndim > 2 and 1 in array.shape:
        array = np.squeeze(array, axis=array.shape.index(1))
    if array.ndim == 3 and array.shape[-1] in (3, 4) and min(array.shape[:2]) >= 16:
        colour = array[..., :3]
        if not (colour == colour[..., :1]).all():
            raise ValueError(
                f"{name} is a colour picture of shape {array.shape}. A colour map cannot be turned back into "
                "intensities: use the microscope's own file, or one channel if that is the detector's signal."
            )
        array = colour[..., 0]  # grey saved as three equal channels: nothing is lost
    return array


def _load_plain(path):
    """numpy.load without its licence to run code, and with a reason where the file is not what it says."""
    try:
        return np.load(path)
    except (ValueError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"{path.name} is broken or holds Python objects, which can run code when read. "
            "Save the plain array with numpy.save(path, array) instead."
        ) from error


def _read_npy(path):
    return _load_plain(path), None, {}


def _read_npz(path):
    with _load_plain(path) as archive:
        names = [n for n in archive.files if archive[n].ndim in (2, 3) and archive[n].dtype.kind in "fiu"]
        wanted = [n for n in ("frames", "images", "image", "image_data") if n in names] or names
        if not wanted:
            raise ValueError(f"{path.name} holds no image: its arrays are {', '.join(archive.files)}.")
        metadata = {"array": wanted[0]}
        if "metadata" in archive.files:
            metadata |= json.loads(str(archive["metadata"]))
        size = float(archive["pixel_size"]) if "pixel_size" in archive.files else None
        return archive[wanted[0]], size, metadata


def _read_tiff(path):
    tifffile = require("tifffile", "Reading TIFF")
    try:
        with tifffile.TiffFile(path) as file:
            array, page = file.asarray(), file.pages[0]
            unit = (
                str((file.imagej_metadata or {}).get("unit", "")).encode().decode("unicode_escape", "ignore")
            )
            resolution = page.tags.get("XResolution")
            code = page.tags.get("ResolutionUnit")
    except tifffile.TiffFileError as error:
        raise ValueError(f"{path.name} could not be read as TIFF: {error}. Is the file whole?") from error
    if not unit and code is not None and int(code.value) == 3:
        unit = "cm"  # cameras of other instruments write inches by default; those mean nothing here
    size = None
    if resolution is not None and unit.lower() in _TO_ANGSTROM and resolution.value[0]:
        size = resolution.value[1] / resolution.value[0] * _TO_ANGSTROM[unit.lower()]
    return array, size, {"unit": unit}


def _read_hdf5(path):
    h5py = require("h5py", "Reading HDF5")
    with h5py.File(path, "r") as file:
        name = "image_data" if "image_data" in file else _first_image(file, h5py)
        if name is None:
            raise ValueError(
                f"{path.name} holds no dataset with an image; its top level has {', '.join(file)}."
            )
        array, metadata = file[name][()], {"dataset": name}
        if "metadata" in file:
            text = file["metadata"][()]
            try:
                loaded = json.loads(text.decode() if isinstance(text, bytes) else text)
            except (TypeError, ValueError):
                loaded = {"metadata": str(text)}
            metadata |= loaded if isinstance(loaded, dict) else {"metadata": loaded}
    try:
        size = 10 * float(metadata["scan size"]) / array.shape[-1]
    except (KeyError, TypeError, ValueError):
        size = None  # "NA" is how these files say that nobody wrote it down
    return array, size, metadata


def _first_image(file, h5py):
    """Name of the first dataset that can be an image or a stack."""
    found: list[str] = []

    def look(name, item):
        if isinstance(item, h5py.Dataset) and item.dtype.kind in "fiu" and np.squeeze(item).ndim in (2, 3):
            found.append(name)

    file.visititems(look)
    return found[0] if found else None


def _read_rsciio(module: str) -> Callable:
    """A reader through RosettaSciIO: the first real image in the file, and its horizontal axis."""

    def read(path):
        reader = require(f"rsciio.{module}", f"Reading {path.suffix}").file_reader
        try:
            signals = reader(str(path))
        except Exception as error:  # its readers let whatever a broken file causes pass through
            raise ValueError(f"{path.name} could not be read by RosettaSciIO: {error}.") from error
        images = [
            s for s in signals if np.ndim(s["data"]) in (2, 3) and np.asarray(s["data"]).dtype.kind in "fiu"
        ]
        if not images:
            raise ValueError(f"{path.name} holds no image among its {len(signals)} signals (2-D or a stack).")
        signal = images[0]
        axis = signal["axes"][-1]
        unit = str(axis.get("units") or "").strip().lower()
        size = abs(float(axis["scale"])) * _TO_ANGSTROM[unit] if unit in _TO_ANGSTROM else None
        general = (signal.get("metadata") or {}).get("General", {})
        return np.asarray(signal["data"]), size, {"title": general.get("title", ""), "signals": len(signals)}

    return read


def _read_png(path):
    image = require("PIL.Image", "Reading PNG", None)
    with image.open(path) as picture:
        return (
            np.asarray(picture.convert("RGB") if picture.mode == "P" else picture),
            None,
            {"mode": picture.mode},
        )


READERS = {
    ".npy": _read_npy, ".npz": _read_npz, ".tif": _read_tiff, ".tiff": _read_tiff, ".hdf5": _read_hdf5,
    ".h5": _read_hdf5, ".dm3": _read_rsciio("digitalmicrograph"), ".dm4": _read_rsciio("digitalmicrograph"),
    ".emd": _read_rsciio("emd"), ".png": _read_png,
}  # fmt: skip
