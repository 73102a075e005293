"""A microscope file to a `Micrograph`: frames with a pixel size, and what the file says of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from elit_helpers.core.checks import PathLike, check_choice, check_path, check_pixel_size, logger
from elit_helpers.core.coordinates import extent
from elit_helpers.io.axes import SETTINGS
from elit_helpers.io.formats import picture
from elit_helpers.io.frames import IN_MEMORY_MB, Frames

SQUARE = 0.005
"""Rows and columns may differ by this share before it is said."""
_UNITS = {"kV": "kV", "us": "µs", "s": "s", "mm": "mm", "mrad": "mrad", "pA": "pA"}


@dataclass
class Micrograph:
    """Frames of one field of view, and what is known about their scale.

    ``micrograph[3]`` is one frame (H, W), ``micrograph[2:5]`` a micrograph of three, and a loop over it takes
    frame by frame, which is how a stack that is larger than the memory is used.

    Attributes
    ----------
    frames
        float32, shape (N, H, W); row down, column right. For a stack that stays on disk something that looks
        like it: its length, its shape, ``frames[0]`` and ``frames[:4]`` are there, and only what is asked for
        is read.
    pixel_size
        [Å/px], or None where neither the file nor the user says.
    pixel_size_source
        ``"user"``, ``"file"`` or ``"unknown"``.
    metadata
        What the file says. Where it is known: ``voltage_kV``, ``dwell_us``, ``frame_time_s``, ``detector``,
        ``magnification``, ``convergence_mrad``, ``current_pA``, ``microscope``, ``date``. Always: ``path``,
        ``signals`` (what else is in the file), ``notes`` (what a careful reader should know).
    name
        Short name for titles.
    """

    frames: np.ndarray | Frames
    pixel_size: float | None = None
    pixel_size_source: str = "unknown"
    metadata: dict[str, Any] = field(default_factory=dict)
    name: str = ""

    @property
    def height(self) -> int:
        """Rows [px]."""
        return self.frames.shape[1]

    @property
    def width(self) -> int:
        """Columns [px]."""
        return self.frames.shape[2]

    @property
    def on_disk(self) -> bool:
        """True if frames are read as they are asked for."""
        return isinstance(self.frames, Frames)

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, (int, np.integer)):
            return self.frames[index]
        chosen = self.frames.view(index) if self.on_disk else self.frames[index]
        if chosen.ndim != 3 or not len(chosen):
            raise IndexError(
                f"`micrograph[{index!r}]` is no frame and no stack of frames; there are {len(self)}. "
                "Take one by its number, some by a slice, or parts of them from `micrograph.frames`."
            )
        return replace(self, frames=chosen)

    def __iter__(self) -> Iterator[np.ndarray]:
        return iter(self.frames)

    def __repr__(self) -> str:
        scale = "pixel size" if self.pixel_size is None else f"{self.pixel_size:.4f} Å/px from"
        frames = f"{len(self)} frame{'s' if len(self) != 1 else ''}"
        known = [frames + f" of {self.height}×{self.width}", f"{scale} {self.pixel_size_source}"]
        units = {"voltage_kV": " kV", "dwell_us": " µs a pixel", "detector": ""}
        known += [_figure(self.metadata[key]) + unit for key, unit in units.items() if key in self.metadata]
        return f"Micrograph({', '.join([self.name, *known])}{', on disk' if self.on_disk else ''})"

    def summary(self) -> pd.DataFrame:
        """Return what is known of the frames and of the microscope, to show in a notebook.

        Returns
        -------
        DataFrame
            One row for each fact, with the columns ``what`` and ``value`` (text).
        """
        size, data = self.pixel_size, self.metadata
        rows = [
            ("frames", f"{len(self)} of {self.height}×{self.width} px{', on disk' * self.on_disk}"),
            ("pixel size", f"{size:.4f} Å/px ({self.pixel_size_source})" if size else "unknown"),
        ]
        if size:
            height, width = extent((self.height, self.width), size)
            rows.append(("field of view, rows × columns", f"{height:.1f} × {width:.1f} Å"))
        for key in SETTINGS:
            if key in data:
                name, _, unit = key.rpartition("_")
                what, unit = (name, _UNITS[unit]) if unit in _UNITS else (key, "")
                rows.append((what.replace("_", " "), f"{_figure(data[key])} {unit}".rstrip()))
        rows += [("signal", line) for line in data.get("signals", []) if len(data["signals"]) > 1]
        rows += [("note", note) for note in data.get("notes", [])]
        return pd.DataFrame([*rows, ("file", str(data.get("path", "")))], columns=["what", "value"])


def _figure(value):
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def load_image(
    path: PathLike,
    *,
    pixel_size: float | None = None,
    signal: int | str | None = None,
    lazy: bool | str = "auto",
) -> Micrograph:
    """Read a frame or a stack of frames from a file of a microscope or a script, or from a folder of them.

    Parameters
    ----------
    path
        ``.npy``, ``.npz``, TIFF, HDF5, a greyscale picture, and whatever RosettaSciIO reads as images:
        ``.dm3``, ``.dm4``, ``.emd`` (Velox and NCEM), ``.ser``, ``.emi``, ``.mrc``, ``.hspy``, ``.nxs``,
        ``.tvips``, ``.rpl``, ``.blo``, ``.mib`` and more. A folder, or a pattern in one such as
        ``"run3/*.tif"``, gives its frames in the order of the numbers in their names.
    pixel_size
        [Å/px]. The user's word counts before the file's, which stays in ``metadata["pixel_size_file_A"]``.
    signal
        Which of the file's signals, by title or number; ``metadata["signals"]`` lists them. By default the
        first image, of several detectors an annular dark-field one.
    lazy
        True leaves the frames on disk until they are asked for, False reads them all; ``"auto"`` leaves
        stacks over 256 MB (as float32) there.

    Returns
    -------
    Micrograph

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        For another format, a file that is not whole, colour, more than three dimensions, NaN, a constant
        frame, or an impossible pixel size.
    EngineMissing
        If the format needs a package that is not installed; the text says which.

    Notes
    -----
    Whole counts become float32, which is exact up to 2²⁴ (16.8 million); beyond it they are rounded, and a
    note says so. What a file says of its numbers is carried out, with a note: white that is zero is turned
    round, ImageJ's calibration of whole numbers applied, transparency left out, a picture on its side turned
    upright; colours that are all equal are grey, others are refused. Where rows and columns have different
    sizes, `pixel_size` is their geometric mean and both are in ``metadata``, with a note.
    """
    path = check_path("path", path)
    check_choice("lazy", lazy, ("auto", True, False))
    given = None if pixel_size is None else check_pixel_size(pixel_size)
    chosen, lines = picture(path, signal, same_scale=given is None)
    return micrograph_of(chosen, lines, path, given, lazy)


def micrograph_of(chosen, lines, path, given, lazy):
    """Read a signal, or leave it on disk, and put what is known of it beside it."""
    if min(chosen.shape[-2:]) < 16 or not chosen.n_frames:
        raise ValueError(f"{path.name} has shape {chosen.shape}; it must be at least one frame of 16×16 px.")
    notes = list(chosen.metadata.get("notes", [])) + _note_signals(chosen, lines)
    frames: np.ndarray | Frames = Frames(chosen, path.name)
    if lazy is True or (lazy == "auto" and chosen.megabytes > IN_MEMORY_MB):
        notes += frames.first_notes()
    else:
        frames, more = frames.load()
        notes += more
    stated, known = _stated_size(chosen, notes)
    metadata = chosen.metadata | known
    metadata |= {"path": str(path), "signal": chosen.title, "signals": lines, "notes": notes}
    for note in notes:
        logger.info("%s: %s", path.name, note)
    source = "user" if given is not None else "file" if stated is not None else "unknown"
    return Micrograph(frames, given if given is not None else stated, source, metadata, _short(path))


def _short(path):
    return path.parent.name if "*" in path.name else path.name if path.is_dir() else path.stem


def _note_signals(chosen, lines):
    """Say which other pictures there are, and that a diffraction pattern is none of atoms."""
    notes = []
    if len(lines) > 1:
        notes.append(
            f"There are {len(lines)} signals; this is {chosen.title!r}. Choose another with `signal`."
        )
    if chosen.diffraction:
        notes.append("Its axes are angles or reciprocal lengths: a diffraction pattern, no picture of atoms.")
    return notes


def _stated_size(chosen, notes):
    """The file's pixel size [Å/px] if it can be one, and what it says of rows and columns."""
    row, column = (None if size is None else float(size) for size in chosen.sizes)
    known: dict[str, Any] = {"pixel_size_file_A": None}
    if row is None or column is None:
        row = column = row if column is None else column
    if row is None:
        return None, known
    size = float(np.sqrt(abs(row * column)))
    if not all(0.005 <= abs(one) <= 1.0 for one in (row, column)):
        notes.append(
            f"The file states {column:g} Å/px, which no frame that resolves atoms has (0.005 to 1); not used."
        )
        return None, known | {"pixel_size_refused_A": size}
    if abs(row / column) - 1 > SQUARE or abs(column / row) - 1 > SQUARE:
        notes.append(
            f"Pixels are not square: {abs(row):.4f} Å for rows, {abs(column):.4f} Å for columns. Their "
            "geometric mean is taken, and distances are off until the frame is resampled."
        )
        known |= {"pixel_size_rows_A": abs(row), "pixel_size_columns_A": abs(column)}
    return size, known | {"pixel_size_file_A": size}
