"""The stages of Algorithm 1 as they finish, kept in memory and, if asked, in a folder to resume from."""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from elit_helpers.core.checks import CorruptEnsemble, PathLike, RandomState, spawn_seeds
from elit_helpers.core.files import atomic_write, remove_own, sha256
from elit_helpers.core.resume import Job, read_json
from elit_helpers.ensemble.settings import Ensemble
from elit_helpers.ensemble.storage import SAVED, TRAINING, load_ensemble, save_ensemble

_RUN, _ROW, _ATOMS = "run.json", "stage.json", "atoms.npz"
_TEXT = ("element", "reason")  # columns of the table of atoms


@dataclass
class Stage:
    """What a stage left: its ensemble, its row of the history, its table of atoms, and other plain JSON."""

    ensemble: Ensemble
    row: dict[str, Any]
    atoms: pd.DataFrame
    notes: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Checkpoint:
    """The stages that are finished of a run: a sub-folder each in the folder of the job.

    Each stage gets a generator of its own from the job's seed and from its name, so that what is drawn does
    not depend on which stages were loaded.
    """

    job: Job

    @classmethod
    def open(cls, folder: PathLike | None, arguments: dict[str, Any], rng: RandomState) -> Checkpoint:
        """Begin a run in a folder, or go on with the one that is there: with its seed, if `rng` is none."""
        fixed = rng is not None and not isinstance(rng, np.random.Generator)
        description = {**arguments, "seed": spawn_seeds(rng, 1)[0]}
        return cls(Job.open(folder, description, name=_RUN, free=() if fixed else ("seed",)))

    def rng(self, stage: str) -> np.random.Generator:
        """Return the generator of one stage."""
        return np.random.default_rng([self.job.description["seed"], zlib.crc32(stage.encode())])

    def members(self, stage: str) -> Path | None:
        """Return the folder for members that are finished before their stage is."""
        return None if self.job.folder is None else self.job.folder / f"{stage}.members"

    def load(self, stage: str) -> Stage | None:
        """Return a finished stage, or None.

        Raises
        ------
        CorruptEnsemble
            If one of its files is missing, cut off or changed; the file is named.
        """
        if self.job.folder is None or not (home := self.job.folder / stage).is_dir():
            return None
        record = read_json(home / _ROW)
        if not (home / _ATOMS).is_file() or sha256(home / _ATOMS) != record.get("atoms_sha256"):
            raise CorruptEnsemble(
                f"{home / _ATOMS} is missing or does not match its hash in {_ROW}. Delete the folder {home} "
                "and run again: the stage is then computed anew."
            )
        with np.load(home / _ATOMS) as columns:
            # as objects, from which pandas makes its own strings, as it did when the table was made
            table = {n: columns[n].astype(object) if n in _TEXT else columns[n] for n in columns.files}
        atoms = pd.DataFrame(table)
        return Stage(load_ensemble(home / "ensemble"), record["row"], atoms, record["notes"])

    def save(self, name: str, stage: Stage) -> None:
        """Write a finished stage, whole or not at all."""
        if self.job.folder is None:
            return
        with atomic_write(self.job.folder / name, folder=True) as home:
            save_ensemble(stage.ensemble, home / "ensemble")
            columns = {name: stage.atoms[name].to_numpy() for name in stage.atoms}
            np.savez(home / _ATOMS, **columns | {name: columns[name].astype(str) for name in _TEXT})
            record = {"row": stage.row, "notes": stage.notes, "atoms_sha256": sha256(home / _ATOMS)}
            (home / _ROW).write_text(json.dumps(record, indent=1) + "\n")
        remove_own(self.members(name), *TRAINING)  # what was in it is in the stage now


def forget(folder: Path) -> None:
    """Delete the stages that a run kept in a folder, and no more than that."""
    ensemble = [f"*/ensemble/{pattern}" for pattern in SAVED]
    members = [f"*.members/{pattern}" for pattern in TRAINING]
    killed = [f".{name}-????????/**/*" for name in ("E_*", _RUN)]
    remove_own(folder, _RUN, "E_*", f"*/{_ROW}", f"*/{_ATOMS}", *ensemble, *members, *killed)


def finished_of(folder: Path) -> list[str]:
    """Name what a folder of stages holds whole, in the order it was made: stages, and members of the next."""
    homes = sorted((path.stat().st_mtime, path) for path in folder.glob("*") if path.is_dir())
    stages = [home.name for _, home in homes if (home / _ROW).is_file()]
    for _, home in homes:
        members = len(list(home.glob("member_*.safetensors")))
        if home.suffix == ".members" and members:
            stages.append(f"{members} members of {home.stem}")
    return stages
