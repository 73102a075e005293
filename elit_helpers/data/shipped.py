"""What ships in the project's ``data`` folder: the movie, the trajectories, the tables of others."""

from __future__ import annotations

import gzip
import io
import itertools
import json
import re
from collections.abc import Iterator
from typing import Any, TextIO

import numpy as np
import pandas as pd
from ase import Atoms

from elit_helpers.core.checks import check_choice
from elit_helpers.core.files import sha256
from elit_helpers.core.settings import data_dir
from elit_helpers.io.micrograph import Micrograph, load_image

_LECTURE = (
    "1-2 1.529 2-3 1.403 3-4 1.628 4-5 1.358 5-6 1.378 6-7 1.474 7-8 1.324 8-9 1.270 9-10 1.390 10-11 1.411 "
    "11-12 1.470 12-13 2.336 13-14 1.413 6-10 1.693 14-15 1.412 15-16 1.423 14-17 1.698 17-18 1.544 "
    "18-19 1.256 19-3 1.674 13-4 1.596 16-12 1.351"
)

HALVES = ("development", "scoring")
MOVIE_FRAMES = {"development": range(0, 8), "scoring": range(8, 16)}


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


def healing_runs() -> pd.DataFrame:
    """Load the table of the healing study that ships, one row a run (see its card in ``data/README.md``)."""
    return pd.read_csv(data_dir() / "healing" / "runs.csv")


def healing_frames(name: str) -> list[Atoms]:
    """Load the frames of one run by tight binding of the healing study.

    Parameters
    ----------
    name : str
        From the column ``name`` of `healing_runs`; runs by AIREBO ship without frames.

    Returns
    -------
    list of ase.Atoms
        A frame every 10 fs and then the cooled end. ``info`` has ``time_fs`` (-1 for the cooled one),
        ``potential_eV``, and of the molecule's carbon ``distance_A`` from the hole and ``bonds``.

    Raises
    ------
    ValueError
        There is no such run.
    """
    from ase.io import read

    with gzip.open(data_dir() / "healing" / "runs.extxyz.gz", "rt", encoding="utf-8") as file:
        blocks = list(_blocks(file))
    check_choice("name", name, list(dict.fromkeys(run for run, _ in blocks)))
    own = "".join(text for run, text in blocks if run == name)
    return read(io.StringIO(own), index=":", format="extxyz")


def _blocks(file: TextIO) -> Iterator[tuple[str, str]]:
    """Split a file of frames without parsing them: the run in the header of each, and its text."""
    for count in file:
        header = next(file)
        run = re.search(r"\brun=(\S+)", header)[1]
        yield run, "".join([count, header, *itertools.islice(file, int(count))])


def real_figures() -> tuple[pd.DataFrame, dict[str, dict[str, np.ndarray]]]:
    """Statistics of real frames, measured once by ``data/recipes/measure_real_frames.py``; no pixels ship.

    Returns
    -------
    table : pandas.DataFrame
        A row for each frame: ``name``, ``material``, ``sha256``, ``shape``, what
        :meth:`FrameStatistics.summary` gives, what its calibration said (``pixel_size_std``, ``neighbours``,
        ``agreement``, ``anisotropy``, ``shear_deg``), and ``refused``, the reason where it failed.
    spectra : dict
        Of the frames that were measured: name to ``{"frequency": …, "power": …}``, [1/Å] and [peaks² Å²].

    Raises
    ------
    FileNotFoundError
        If the file does not lie in the data folder.
    """
    path = data_dir() / "real_frames.json"
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} is not there; it ships with the course. Rebuild it with "
            "`python data/recipes/measure_real_frames.py FOLDER` from frames of your own."
        )
    frames: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["frames"]
    curves = ("frequency", "power")
    spectra = {f["name"]: {key: np.array(f[key]) for key in curves} for f in frames if "power" in f}
    table = pd.DataFrame([{key: value for key, value in f.items() if key not in curves} for f in frames])
    return table, spectra


def published_bonds() -> pd.DataFrame:
    """Return the bonds that the lecture prints for a defect at 4000 K.

    Returns
    -------
    DataFrame
        One row a bond: ``name`` ("1-2"), ``i, j`` (the lecture's numbers of the atoms), ``length_A``. In
        ``attrs``: the ``source``, its ``doi``, ``temperature_K``, and ``sentence``, the mean bond [Å] by
        size of the ring as the same slides say it in words (which the table contradicts).

    References
    ----------
    A. Ghosh, "Bridging experiments with theory: ELIT to HPC simulations", slides of lecture 12 in the
    repository SergeiVKalinin/ML-ElectronMicroscopy-2023; ab initio molecular dynamics of a graphene patch.
    """
    words = _LECTURE.split()
    rows = [
        (name, *map(int, name.split("-")), float(length))
        for name, length in zip(words[::2], words[1::2], strict=True)
    ]
    table = pd.DataFrame(rows, columns=["name", "i", "j", "length_A"])
    table.attrs = {
        "source": "A. Ghosh, Bridging experiments with theory: ELIT to HPC simulations (slides), lecture 12 "
        "of SergeiVKalinin/ML-ElectronMicroscopy-2023; ab initio molecular dynamics",
        "doi": "10.1038/s41524-022-00733-7",
        "temperature_K": 4000.0,
        "sentence": {5: 1.606, 7: 1.430},
    }
    return table
