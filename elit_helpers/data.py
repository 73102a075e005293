"""Microscope files to images with a pixel size, and the course's own data by name.

What ships lies in the project's ``data`` folder, each file with its hash in ``MANIFEST.json`` and a card in
``README.md``. Nothing is downloaded here.
"""

from __future__ import annotations

import json
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from elit_helpers._common import PathLike, check_choice, check_frames, check_pixel_size
from elit_helpers._files import READERS, squeeze
from elit_helpers.workspace import data_dir, sha256

HALVES = ("development", "scoring")
MOVIE_FRAMES = {"development": range(0, 8), "scoring": range(8, 16)}


@dataclass
class Micrograph:
    """Frames of one field of view, and what is known about their scale.

    Attributes
    ----------
    frames
        float32, shape (N, H, W); row down, column right.
    pixel_size
        [Å/px], or None where neither the file nor the user says.
    pixel_size_source
        ``"user"``, ``"file"`` or ``"unknown"``.
    metadata
        What the file says, and ``path``.
    name
        Short name for titles.
    """

    frames: np.ndarray
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

    def __len__(self) -> int:
        return len(self.frames)

    def __repr__(self) -> str:
        scale = "pixel size" if self.pixel_size is None else f"{self.pixel_size:.4f} Å/px from"
        frames = f"{len(self)} frame{'s' if len(self) != 1 else ''}"
        scale += f" {self.pixel_size_source}"
        return f"Micrograph({self.name}, {frames} of {self.height}×{self.width}, {scale})"


# --------------------------------------------------------------------------- microscope files
def load_image(path: PathLike, *, pixel_size: float | None = None) -> Micrograph:
    """Read a frame or a stack of frames from a file of a microscope or a script.

    Parameters
    ----------
    path
        ``.npy``, ``.npz``, ``.tif``, ``.tiff``, ``.hdf5``, ``.h5``, ``.dm3``, ``.dm4``, ``.emd`` or greyscale
        ``.png``.
    pixel_size
        [Å/px]. The user's word counts before the file's, which stays in ``metadata["pixel_size_file_A"]``.

    Returns
    -------
    Micrograph

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        For another format, colour, more than three dimensions, NaN, a constant frame, or an impossible
        pixel size.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise FileNotFoundError(
            f"`path` is {str(path)!r}; there is no such file in {path.absolute().parent}."
        )
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise ValueError(
            f"`path` ends in {path.suffix!r}; the formats read are {', '.join(READERS)}. "
            "Export the frame as TIFF or save it with numpy.save first."
        )
    try:
        array, from_file, metadata = reader(path)
    except (OSError, EOFError, KeyError, IndexError, UnicodeDecodeError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"{path.name} could not be read as {path.suffix}: {error}. Is the file whole?"
        ) from error
    frames = check_frames(squeeze(array, path.name), path.name)
    if from_file is not None and not 0.005 <= from_file <= 1.0:
        metadata["pixel_size_refused_A"], from_file = from_file, None
    metadata |= {"path": str(path), "pixel_size_file_A": from_file}
    source = "user" if pixel_size is not None else "file" if from_file is not None else "unknown"
    size = check_pixel_size(pixel_size) if pixel_size is not None else from_file
    return Micrograph(frames, size, source, metadata, path.stem)


# --------------------------------------------------------------------------- what ships
def load_movie(half: str | None = "development") -> Micrograph:
    """The experiment-like movie of graphene with holes, Si and contamination.

    Parameters
    ----------
    half
        ``"development"`` (frames 0 to 7, to train on and to look at), ``"scoring"`` (8 to 15, another
        sample, to be judged on only) or None for both.

    Returns
    -------
    Micrograph
        Counts as float32; the pixel size is the nominal one, as files have it.
    """
    check_choice("half", half, (*HALVES, None))
    parts = [load_image(data_dir() / "movie" / f"{name}.npz") for name in HALVES if half in (name, None)]
    first = parts[0]
    frames = np.concatenate([p.frames for p in parts])
    return Micrograph(
        frames, first.pixel_size, "file", first.metadata, "movie" if half is None else f"movie, {half}"
    )


def load_movie_truth(half: str | None = "scoring") -> pd.DataFrame:
    """Where the movie's atoms are. For scoring only: training on it would teach nothing about an experiment.

    Parameters
    ----------
    half
        As for :func:`load_movie`.

    Returns
    -------
    DataFrame
        ``frame, row_px, col_px, x_A, y_A, element, under_contamination, defect``. ``frame`` counts in the
        half asked for (0 to 7); x and y are true Å. ``attrs["pixel_size"]`` is the true pixel size.
    """
    check_choice("half", half, (*HALVES, None))
    folder = data_dir() / "movie"
    table = pd.read_csv(folder / "truth.csv", keep_default_na=False)
    if half is not None:
        numbers = MOVIE_FRAMES[half]
        table = table[table["frame"].between(numbers[0], numbers[-1])].reset_index(drop=True)
        table["frame"] -= numbers[0]
    table.attrs.update(json.loads((folder / "truth.json").read_text(encoding="utf-8")))
    return table


def trajectory_names() -> list[str]:
    """Names that :func:`load_trajectory` knows, from no atom removed to three."""
    return sorted(p.stem for p in (data_dir() / "trajectories").glob("*.XDATCAR"))


def load_trajectory(name: str) -> list:
    """Frames of a molecular dynamics run of graphene at 300 K, from its VASP XDATCAR file.

    Parameters
    ----------
    name
        One of :func:`trajectory_names`.

    Returns
    -------
    list of ase.Atoms
        Periodic in all directions, as VASP has it.
    """
    check_choice("name", name, trajectory_names())
    from ase.io import read

    return read(data_dir() / "trajectories" / f"{name}.XDATCAR", index=":", format="vasp-xdatcar")


def shipped_files() -> dict[str, str]:
    """Name (below ``data``) and SHA-256 of each file that ships, from ``MANIFEST.json``."""
    manifest = json.loads((data_dir() / "MANIFEST.json").read_text(encoding="utf-8"))
    return {name: entry["sha256"] for name, entry in manifest["files"].items()}


def verify_shipped() -> pd.DataFrame:
    """Compare each file that ships with its hash.

    Returns
    -------
    DataFrame
        ``name``, ``status`` (``"ok"``, ``"missing"`` or ``"changed"``) and ``bytes``.
    """
    rows = []
    for name, expected in shipped_files().items():
        path = data_dir() / name
        if not path.is_file():
            rows.append((name, "missing", 0))
            continue
        rows.append((name, "ok" if sha256(path) == expected else "changed", path.stat().st_size))
    return pd.DataFrame(rows, columns=["name", "status", "bytes"])
