"""Files of an ensemble: safetensors written whole or not at all, and what a stopped training left behind."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from elit_helpers.core.checks import ElitError, PathLike, require
from elit_helpers.ensemble.networks import Weights

_JOB = "job.json"
_NEXT = "Delete the folder to train anew, or name another as `checkpoint`."


class CorruptEnsemble(ElitError):
    """A saved ensemble or checkpoint is incomplete or was changed; nothing of it is used."""


def write_weights(path: Path, weights: Weights, notes: dict[str, Any] | None = None) -> None:
    """Write the arrays of one net, and JSON beside them in the same file; the file appears complete.

    Also a machine that loses its power leaves the old file or the new one.
    """
    numpy_files = require("safetensors.numpy", "Saving an ensemble")
    # not ascontiguousarray: it would make a vector of the number of batches seen
    arrays = {name: np.asarray(value, order="C") for name, value in weights.items()}
    metadata = {"notes": json.dumps(notes)} if notes is not None else None
    _replace(path, numpy_files.save(arrays, metadata))


def read_weights(path: Path) -> tuple[Weights, dict[str, Any]]:
    """Read what `write_weights` wrote.

    Raises
    ------
    CorruptEnsemble
        If it is no safetensors file, or cut off.
    """
    files = require("safetensors", "Loading an ensemble")
    try:
        with files.safe_open(path, framework="numpy") as file:
            notes = json.loads((file.metadata() or {}).get("notes", "{}"))
            return {name: np.array(file.get_tensor(name)) for name in file.keys()}, notes  # noqa: SIM118
    except (files.SafetensorError, ValueError, OSError) as error:
        raise CorruptEnsemble(
            f"{path} is not a safetensors file ({error}). Delete it and train or download it again."
        ) from error


def weights_sha256(*nets: Weights) -> str:
    """Return one hash of the arrays of several nets, with their names and shapes."""
    digest = hashlib.sha256()
    for weights in nets:
        for name in sorted(weights):
            value = np.asarray(weights[name], order="C")
            digest.update(f"{name} {value.dtype} {value.shape};".encode())
            digest.update(value.reshape(-1).view(np.uint8))
    return digest.hexdigest()


def _replace(path: Path, content: bytes) -> None:
    # One fixed name beside it: whatever a killed process left is written over, and never read.
    part = path.with_name(f".{path.name}.part")
    with part.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(part, path)


# --------------------------------------------------------------------------- resumption
@dataclass
class Checkpoint:
    """A folder with one file for each net that is trained, and the job they belong to.

    Attributes
    ----------
    folder
        Where they lie, or None: then nothing is kept.
    job
        All that the weights depend on, as plain JSON.
    """

    folder: Path | None
    job: dict[str, Any]

    def open(self) -> None:
        """Make the folder, or see that what is in it belongs to this job.

        Raises
        ------
        ValueError
            If it holds another job, or something else.
        CorruptEnsemble
            If its list of what the job was cannot be read.
        """
        if self.folder is None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        earlier = read_job(self.folder)
        if earlier is None:
            _replace(self.folder / _JOB, json.dumps(self.job, indent=1).encode() + b"\n")
            return
        if names := _differences(earlier, self.job):
            raise ValueError(
                f"`checkpoint` {self.folder} holds another training: its {', '.join(names)} "
                f"{'differs' if len(names) == 1 else 'differ'} from what is asked for now. {_NEXT}"
            )

    def load(self, name: str) -> tuple[Weights, list[float]] | None:
        """Return weights and losses of a net that is finished, or None.

        Raises
        ------
        CorruptEnsemble
            If its file was cut off or changed.
        """
        path = self._path(name)
        if path is None or not path.is_file():
            return None
        weights, notes = read_weights(path)
        if notes.get("weights_sha256") != weights_sha256(weights) or notes.get("job") != self._hash():
            raise CorruptEnsemble(
                f"{path} was changed after it was written, or belongs to another training. "
                "Delete it to train this net again."
            )
        return weights, notes["losses"]

    def save(self, name: str, weights: Weights, losses: Sequence[float]) -> None:
        """Keep a finished net."""
        if (path := self._path(name)) is not None:
            notes = {"job": self._hash(), "weights_sha256": weights_sha256(weights), "losses": list(losses)}
            write_weights(path, weights, notes)

    def _path(self, name: str) -> Path | None:
        return None if self.folder is None else self.folder / f"{name}.safetensors"

    def _hash(self) -> str:
        return hashlib.sha256(json.dumps(self.job, sort_keys=True).encode()).hexdigest()


def read_job(folder: PathLike) -> dict[str, Any] | None:
    """Return what the checkpoint in this folder was training; None for a folder that is new or empty."""
    folder = Path(folder)
    path = folder / _JOB
    if not path.is_file():
        others = (
            sorted(p.name for p in folder.iterdir() if not p.name.startswith(".")) if folder.is_dir() else []
        )
        if others:
            raise ValueError(
                f"`checkpoint` {folder} holds {', '.join(others[:3])} but no {_JOB}; it was not made by "
                "train_ensemble. Name a folder that is new or empty."
            )
        return None
    try:
        job = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(job["seeds"], list):
            raise ValueError("its seeds are no list")
    except (ValueError, KeyError, TypeError) as error:
        raise CorruptEnsemble(f"{path} cannot be read ({error}). {_NEXT}") from error
    return job


def _differences(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """Name what two jobs differ in; settings one by one."""
    found = []
    for name in sorted({*old, *new}):
        a, b = old.get(name), new.get(name)
        if a == b:
            continue
        if isinstance(a, dict) and isinstance(b, dict):
            found += [f"{name}.{key}" for key in sorted({*a, *b}) if a.get(key) != b.get(key)]
        else:
            found.append(name)
    return found
