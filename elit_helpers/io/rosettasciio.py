"""Microscope files through RosettaSciIO: which of its readers, which of their signals, what the axes mean."""

from __future__ import annotations

import contextlib
import functools
import gc
import importlib
import logging
import traceback
import warnings
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path
from typing import Any

import numpy as np

from elit_helpers.core.checks import EngineMissing, require
from elit_helpers.io.axes import is_reciprocal, mapped, plain_unit, settings, to_angstrom, to_seconds
from elit_helpers.io.frames import Signal, in_memory
from elit_helpers.io.mrc import read_mrc

_NO_IMAGES = frozenset(
    (
        "DENS",
        "EDAX",
        "Impulse",
        "JobinYvon",
        "MSA",
        "Protochips",
        "Quadstar",
        "Renishaw",
        "Tofwerk",
        "TriVista",
    )
)
"""Logs and spectra."""

_LAZY_MB = 32
"""Files up to this size are read whole. Larger ones stay open and on disk."""


def plugins(suffix: str) -> list[dict[str, Any]]:
    """Return RosettaSciIO's entries for a suffix such as ``".dm4"``, without those for logs and spectra."""
    wanted = suffix.lower().removeprefix(".")
    entries = [
        entry
        for entry in require("rsciio", "Reading microscope files").IO_PLUGINS
        if entry["name"] not in _NO_IMAGES and wanted in {e.lower() for e in entry["file_extensions"]}
    ]
    return sorted(entries, key=lambda entry: entry["name"].lower() != wanted)  # MRC before MRCZ for .mrc


def suffixes() -> set[str]:
    """Return the suffixes of which RosettaSciIO may read an image, each with its dot, in lower case."""
    entries = require("rsciio", "Reading microscope files").IO_PLUGINS
    return {f".{e.lower()}" for p in entries if p["name"] not in _NO_IMAGES for e in p["file_extensions"]}


def read(path: Path, plugin: dict[str, Any]) -> list[Signal]:
    """Return what is in a file by one of RosettaSciIO's readers.

    Raises
    ------
    EngineMissing
        If that reader needs a package that is not installed.
    ValueError
        If the file cannot be read.
    """
    reader = _module(plugin, path).file_reader
    if plugin["name"] == "MRC":
        reader = functools.partial(read_mrc, reader)
    options = {"select_type": "images"} if plugin["name"] == "EMD" else {}  # no spectra from Velox files
    if _size_mb(path) > _LAZY_MB:
        signals = _left_on_disk(reader, path, options)
        if signals is not None:
            return signals
    with _in_words(plugin, path):
        return _signals(*_quietly(reader, path, **options))


def read_axes(path: Path, plugin: dict[str, Any]) -> list[tuple[tuple, dict[str, Any]]]:
    """Return sizes [Å/px] and metadata of each signal in a file, whose numbers are left alone if it is large.

    Raises
    ------
    EngineMissing
        If that reader needs a package that is not installed.
    ValueError
        If the file cannot be read.
    """
    if _size_mb(path) <= _LAZY_MB:
        return [(signal.sizes, signal.metadata) for signal in read(path, plugin)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # what it leaves open is closed at the end of this
        try:
            with _in_words(plugin, path):
                found, notes = _quietly(_module(plugin, path).file_reader, path, lazy=True)
                return [(signal.sizes, signal.metadata) for signal in _signals(found, notes)]
        finally:
            found = None
            gc.collect()


@contextlib.contextmanager
def _in_words(plugin: dict[str, Any], path: Path) -> Iterator[None]:
    """Say which file and which reader an error is of, and what may be wrong."""
    try:
        yield
    except EngineMissing:
        raise
    except ModuleNotFoundError as error:
        raise _missing(plugin, path, error) from error
    except Exception as error:  # its readers let whatever a broken file causes pass through
        _let_go(error)
        raise ValueError(
            f"{path.name} could not be read by RosettaSciIO's {plugin['name']}: {type(error).__name__}: "
            f"{error}. Is the file whole?"
        ) from error


def _left_on_disk(reader, path, options):
    """Signals whose frames are read later; None where this reader has no way, or none that works."""
    try:
        with require("dask.config", "Reading large files").set({"array.chunk-size": "16MiB"}):
            signals = _signals(*_quietly(reader, path, lazy=True, **options))
        for signal in signals:
            if not signal.why_not:
                signal.read(0, 1)
    except Exception as error:  # each says in its own words that it cannot; reading it whole shows why
        _let_go(error)
        return None
    return signals


def _let_go(error):
    """Close the file that a reader left open when it failed: only its traceback still holds it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        traceback.clear_frames(error.__traceback__)


def _signals(found, notes):
    """What RosettaSciIO's dictionaries describe, without scales and spectra of one axis beside the images."""
    signals = [_signal(one, i) for i, one in enumerate(found)]
    for signal in signals:
        signal.metadata["notes"] = list(notes)
    return [signal for signal in signals if len(signal.shape) > 1] or signals


def _module(plugin, path):
    require("rsciio", f"Reading {path.suffix}")
    try:
        with heard("rsciio"):
            return importlib.import_module(plugin["api"])
    except ImportError as error:
        raise _missing(plugin, path, error) from error


def _missing(plugin, path, error):
    """An error that names the package that this reader needs, or RosettaSciIO's own extra that brings it."""
    module = plugin["api"].rpartition(".")[2]
    try:
        extras = metadata("rosettasciio").get_all("Provides-Extra") or []
    except PackageNotFoundError:
        extras = []
    package = (getattr(error, "name", None) or "").partition(".")[0]
    if package == "rsciio":
        package = ""
    extra = "eds-stream" if "sparse" in str(error) else module
    wanted = f"'rosettasciio[{extra}]'" if extra in extras else package or "'rosettasciio[all]'"
    return EngineMissing(
        f"Reading {path.suffix} ({plugin['name']}) requires {package or 'another package'}: {error}. Install "
        f"it with `pip install {wanted}`, or export the picture as TIFF."
    )


def _size_mb(path):
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file()) / 1e6


def _quietly(reader, path, **options):
    """Call a reader; what it warns of becomes notes beside the picture."""
    with warnings.catch_warnings(record=True) as caught, heard("rsciio") as said:
        warnings.simplefilter("always")
        found = reader(str(path), **options)
    notes = said + [str(w.message) for w in caught if issubclass(w.category, UserWarning)]
    return found, [" ".join(note.split()) for note in notes]


@contextlib.contextmanager
def heard(package: str) -> Iterator[list[str]]:
    """Collect what a package logs from warnings up, which it would otherwise write to the screen."""
    said: list[str] = []
    listener = logging.Handler(logging.WARNING)
    listener.emit = lambda record: said.append(record.getMessage())
    log = logging.getLogger(package)
    before, log.handlers = log.handlers, [listener]
    try:
        yield said
    finally:
        log.handlers = before


def _signal(one: dict[str, Any], number: int) -> Signal:
    """What RosettaSciIO's dictionary describes, with its axes in Å."""
    data, axes = one["data"], list(one.get("axes") or [])
    if all("index_in_array" in axis for axis in axes):
        axes.sort(key=lambda axis: axis["index_in_array"])
    tree = mapped(one)
    known = settings(tree, one.get("original_metadata") or {})
    described = {
        "metadata": {"file_metadata": tree, "original_metadata": one.get("original_metadata") or {}} | known,
        "why_not": _spectra(axes, tree),
    }
    if len(axes) >= 2:
        row, column = axes[-2:]
        described["sizes"] = tuple(to_angstrom(a.get("scale"), a.get("units")) for a in (row, column))
        patterns = tree.get("Signal", {}).get("signal_type") == "diffraction"
        described["diffraction"] = patterns or is_reciprocal(column.get("units"))
        described["metadata"]["unit"] = str(column.get("units") or "")
    if len(axes) == 3 and (seconds := to_seconds(axes[0].get("scale"), axes[0].get("units"))):
        described["metadata"].setdefault("frame_time_s", seconds)
    title = str(tree.get("General", {}).get("title") or "") or f"signal {number}"
    if isinstance(data, np.ndarray):
        return in_memory(title, data, **described)
    return _lazy(title, data, described)


def _spectra(axes, tree):
    """Why a signal is spectra and no images; empty if it is not."""
    energy = bool(axes) and plain_unit(axes[-1].get("units")) in ("ev", "kev")
    kind = str(tree.get("Signal", {}).get("signal_type") or "")
    if kind == "diffraction":
        return ""  # patterns along a line, whose axes come with one marked wrongly
    one = len(axes) >= 2 and sum(not axis.get("navigate", False) for axis in axes) == 1
    return "spectra, no images" if energy or one or kind.startswith(("EELS", "EDS")) else ""


def _lazy(title, data, described):
    """A dask array, read in the blocks in which it lies in the file."""
    shell = Signal(title, data.shape, data.dtype, lambda start, stop: None, **described)
    if shell.why_not:
        return shell
    # What dask cuts across the frames (NeXus) would be unpacked again for each piece: ask the dataset below.
    below = data.dask.get(f"original-{data.name}")
    if getattr(below, "shape", None) == data.shape and data.ndim == 3:
        packed = (getattr(below, "chunks", None) or (1,))[0]
        return Signal(title, data.shape, data.dtype, lambda a, b: below[a:b], block=packed, **described)
    stack = data.reshape(-1, *data.shape[-2:]) if data.ndim != 3 else data

    def frames(start, stop):
        return stack[start:stop].compute(scheduler="synchronous")

    return Signal(title, data.shape, data.dtype, frames, block=max(stack.chunks[0], default=1), **described)
