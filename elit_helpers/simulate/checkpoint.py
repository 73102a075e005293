"""A simulation on disk while it runs: enough to go on after a kill, and to know that it is the same one."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Collection
from typing import Any

import numpy as np
import pandas as pd
from ase import Atoms

from elit_helpers.core.checks import PathLike
from elit_helpers.core.files import atomic_write, check_file
from elit_helpers.core.resume import fingerprint, go_on, plain
from elit_helpers.engines.plan import Snapshot, held_atoms
from elit_helpers.simulate.record import Record

FORMAT = 1
FIELDS = ("positions", "velocities", "forces", "cell")


def fingerprint_of(atoms: Atoms, *, velocities: bool) -> str:
    """The fingerprint of what a simulation starts from; of the velocities too where it takes them over."""
    parts = [atoms.numbers, np.asarray(atoms.pbc), held_atoms(atoms)]
    parts += [np.round(atoms.positions, 6) + 0.0, np.round(np.array(atoms.cell), 6) + 0.0]
    if velocities:
        parts.append(np.round(atoms.get_velocities(), 6) + 0.0)
    return fingerprint(parts)


def save(path: PathLike, record: Record, job: dict[str, Any]) -> None:
    """Write a run as far as it is, whole or not at all."""
    frames = [*record.kept(), record.last]
    arrays = {
        "positions": np.array([one.positions for one in frames]),
        "velocities": np.array([one.get_velocities() for one in frames]),
        "forces": np.array([one.calc.results["forces"] for one in frames]),
        "cell": np.array([np.array(one.cell) for one in frames]),
        "energy": np.array([one.calc.results["energy"] for one in frames]),
        "step": np.array([round(one.info["time_fs"] / record.timestep_fs) for one in frames]),
        "log": np.array(record.log().to_json(orient="split", double_precision=15)),
        "census": np.array(record.census().to_json(orient="split")),
        "job": np.array(json.dumps(plain(job))),
    }
    with atomic_write(path) as target, open(target, "wb") as file:
        np.savez(file, **arrays)


def load(path: PathLike, record: Record, job: dict[str, Any], free: Collection[str]) -> dict[str, Any] | None:
    """Put what a file holds into a record and return its job; None if there is no file yet.

    What is `free` may differ from the job of this call.

    Raises
    ------
    ValueError
        The file cannot be read, or belongs to another structure or to other settings.
    """
    path = check_file("checkpoint", path)
    if not path.exists():
        return None
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        saved = json.loads(str(arrays["job"]))
        log, census = (_table(arrays[name]) for name in ("log", "census"))
        moments = _moments(arrays)
    except (OSError, ValueError, KeyError, IndexError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"`checkpoint` {path} cannot be read ({error}). Delete it to start anew, or name another file."
        ) from error
    saved = go_on(path, saved, job, free)
    record.restore(log, [record.frame(moment) for moment in moments[:-1]], moments[-1], census)
    return saved


def _table(text: np.ndarray) -> pd.DataFrame:
    table = pd.read_json(io.StringIO(str(text)), orient="split", precise_float=True)
    table.columns = [int(name) if str(name).isdigit() else name for name in table.columns]
    return table


def _moments(arrays: dict[str, np.ndarray]) -> list[Snapshot]:
    steps, energies = arrays["step"].tolist(), arrays["energy"].tolist()
    rows = [{name: arrays[name][k] for name in FIELDS} for k in range(len(steps))]
    return [Snapshot(**row, energy=e, step=k) for row, e, k in zip(rows, energies, steps, strict=True)]
