"""The stages of Algorithm 1 as they finish, kept in memory and, if asked, in a folder to resume from."""

from __future__ import annotations

import hashlib
import json
import shutil
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from elit_helpers.core.checks import PathLike, RandomState, spawn_seeds
from elit_helpers.core.files import atomic_write, sha256
from elit_helpers.ensemble.settings import Ensemble
from elit_helpers.ensemble.storage import CorruptEnsemble, load_ensemble, save_ensemble, weights_sha256

_RUN, _ROW, _ATOMS = "run.json", "stage.json", "atoms.npz"
_TEXT = ("element", "reason")  # columns of the table of atoms


@dataclass
class Stage:
    """What a stage left: its ensemble, its row of the history, its table of atoms, and other plain JSON."""

    ensemble: Ensemble
    row: dict[str, Any]
    atoms: pd.DataFrame
    notes: dict[str, Any] = field(default_factory=dict)


@dataclass
class Checkpoint:
    """A folder with one sub-folder a finished stage; without a folder it keeps and gives nothing.

    Attributes
    ----------
    folder
        Where; or None.
    seed
        Of the whole run: each stage gets a generator of its own from it and from its name, so that what is
        drawn does not depend on which stages were loaded.
    """

    folder: Path | None
    seed: int

    @classmethod
    def open(cls, folder: PathLike | None, arguments: dict[str, Any], rng: RandomState) -> Checkpoint:
        """Begin a run in a folder, or go on with the one that is there.

        Raises
        ------
        ValueError
            If the folder holds a run with other arguments; they are named.
        CorruptEnsemble
            If its record cannot be read.
        """
        fixed = rng is not None and not isinstance(rng, np.random.Generator)
        seed = spawn_seeds(rng, 1)[0]
        if folder is None:
            return cls(None, seed)
        folder = Path(folder)
        arguments = json.loads(
            json.dumps({**arguments, "seed": seed if fixed else None})
        )  # as they come back
        if (folder / _RUN).is_file():
            stored = _read_json(folder / _RUN)
            differ = [
                name for name, value in arguments.items() if stored.get("arguments", {}).get(name) != value
            ]
            if differ:
                raise ValueError(
                    f"`checkpoint` {folder} holds a run with other {', '.join(differ)}. Pass the same "
                    "arguments to go on with it, or another folder."
                )
            return cls(folder, int(stored["seed"]))
        with atomic_write(folder / _RUN) as file:
            file.write_text(json.dumps({"arguments": arguments, "seed": seed}, indent=1) + "\n")
        return cls(folder, seed)

    def rng(self, stage: str) -> np.random.Generator:
        """Return the generator of one stage."""
        return np.random.default_rng([self.seed, zlib.crc32(stage.encode())])

    def members(self, stage: str) -> Path | None:
        """Return the folder for members that are finished before their stage is."""
        return None if self.folder is None else self.folder / f"{stage}.members"

    def load(self, stage: str) -> Stage | None:
        """Return a finished stage, or None.

        Raises
        ------
        CorruptEnsemble
            If one of its files is missing, cut off or changed; the file is named.
        """
        if self.folder is None or not (self.folder / stage).is_dir():
            return None
        home = self.folder / stage
        record = _read_json(home / _ROW)
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
        if self.folder is None:
            return
        with atomic_write(self.folder / name, folder=True) as home:
            save_ensemble(stage.ensemble, home / "ensemble")
            columns = {name: stage.atoms[name].to_numpy() for name in stage.atoms}
            np.savez(home / _ATOMS, **columns | {name: columns[name].astype(str) for name in _TEXT})
            record = {"row": stage.row, "notes": stage.notes, "atoms_sha256": sha256(home / _ATOMS)}
            (home / _ROW).write_text(json.dumps(record, indent=1) + "\n")
        shutil.rmtree(self.members(name), ignore_errors=True)  # what was in it is in the stage now


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text()))
    except (OSError, ValueError, TypeError, UnicodeDecodeError) as error:
        raise CorruptEnsemble(
            f"{path} cannot be read ({error}). Delete the folder {path.parent} and run again."
        ) from error


def describe(value: Any) -> Any:
    """Return what stands for an argument in the record: itself where JSON can say it, a hash of arrays."""
    if isinstance(value, tuple) and all(isinstance(part, np.ndarray) for part in value):
        return hashlib.sha256(b"".join(np.ascontiguousarray(part).tobytes() for part in value)).hexdigest()
    if isinstance(value, Ensemble):
        return weights_sha256(*value.weights)
    if isinstance(value, np.ndarray):
        return hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()
    return value
