"""Ensembles as files, written whole or not at all: those that ship, and what a stopped training left."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from elit_helpers.core import checks
from elit_helpers.core.checks import CorruptEnsemble, PathLike, require
from elit_helpers.core.files import sha256
from elit_helpers.core.interrupts import Hold
from elit_helpers.core.own_files import own_files
from elit_helpers.core.resume import Job, fingerprint
from elit_helpers.ensemble.networks import Weights
from elit_helpers.ensemble.settings import Ensemble, TrainSettings

_CARD, _HISTORY = "card.json", "history.csv"
SAVED = (_CARD, _HISTORY, "member_[0-9]*.safetensors", ".elit-????????/**/*")
"""What `save_ensemble` leaves in a folder, also when it is killed."""
TRAINING = (
    "job.json",
    "baseline.safetensors",
    "member_[0-9]*.safetensors",
    ".*.safetensors.part",
    ".job.json-*/*",
)
"""What a training leaves in the folder of its checkpoint."""
_HOME = Path(__file__).parent / "shipped"


def write_weights(path: Path, weights: Weights, notes: dict[str, Any] | None = None) -> None:
    """Write the arrays of one net, and JSON beside them in the same file; the file appears complete.

    Also a machine that loses its power leaves the old file or the new one.
    """
    numpy_files = require("safetensors.numpy", "Saving an ensemble")
    # not ascontiguousarray: it would make a vector of the number of batches seen
    arrays = {name: np.asarray(value, order="C") for name, value in weights.items()}
    metadata = {"notes": json.dumps(notes)} if notes is not None else None
    # One fixed name beside it: whatever a killed process left is written over, and never read.
    part = path.with_name(f".{path.name}.part")
    with Hold():
        with part.open("wb") as stream:
            stream.write(numpy_files.save(arrays, metadata))
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(part, path)


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


@dataclass(frozen=True)
class Checkpoint:
    """The nets that are finished of a training: a file each in the folder of the job."""

    job: Job

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
        if {key: notes.get(key) for key in ("job", "weights")} != self._marks(weights):
            raise CorruptEnsemble(
                f"{path} was changed after it was written, or belongs to another training. "
                "Delete it to train this net again."
            )
        return weights, notes["losses"]

    def save(self, name: str, weights: Weights, losses: Sequence[float]) -> None:
        """Keep a finished net."""
        if (path := self._path(name)) is not None:
            write_weights(path, weights, {**self._marks(weights), "losses": list(losses)})

    def finished(self) -> int:
        """Count the members that are kept; the net that all start from is none."""
        return 0 if self.job.folder is None else len(list(self.job.folder.glob("member_*.safetensors")))

    def _path(self, name: str) -> Path | None:
        return None if self.job.folder is None else self.job.folder / f"{name}.safetensors"

    def _marks(self, weights: Weights) -> dict[str, str]:
        """What shows that a file is whole, and of this job."""
        return {"job": fingerprint(self.job.description), "weights": fingerprint(weights)}


def fingerprint_of(ensemble: Ensemble) -> str:
    """Return the fingerprint of what an ensemble predicts with."""
    return fingerprint([ensemble.weights, ensemble.classes, ensemble.pixel_size, ensemble.temperature])


def save_ensemble(ensemble: Ensemble, folder: PathLike, *, overwrite: bool = False) -> Path:
    """Write an ensemble to a folder, whole or not at all: a safetensors file a member and a readable card.

    What else lies in the folder stays. An ensemble that an earlier call wrote there is replaced with all its
    members, as long as nobody changed a file of it.

    Parameters
    ----------
    folder
        Where to; made if it is not there.
    overwrite
        True to replace files of the same names whoever wrote or changed them, and nothing else.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    FileExistsError
        If a file of one of these names is not of such an ensemble, or was changed since; each is named.
    """
    card = {
        "classes": list(ensemble.classes),
        "pixel_size": ensemble.pixel_size,
        "temperature": ensemble.temperature,
        "network": "atomai Unet",
        "settings": dataclasses.asdict(ensemble.settings),
        "card": ensemble.card,
    }
    json.dumps(card)  # raises a TypeError for what could not be read back
    with own_files(folder, _CARD, card, overwrite=overwrite) as target:
        for i, weights in enumerate(ensemble.weights):
            write_weights(target / f"member_{i:02d}.safetensors", weights)
        ensemble.history.round({"loss": 6}).to_csv(target / _HISTORY, index=False)
    return checks.check_path("folder", folder)


def load_ensemble(folder: PathLike) -> Ensemble:
    """Read an ensemble that `save_ensemble` wrote. No code in it can run: it is numbers and JSON only.

    Raises
    ------
    FileNotFoundError
        If there is no ensemble in the folder.
    CorruptEnsemble
        If the card cannot be read, or a member is missing or was changed; the file is named.
    """
    folder = checks.check_path("folder", folder)
    if not (folder / _CARD).is_file():
        raise FileNotFoundError(
            f"{folder} holds no ensemble: {_CARD} is not there. Pass a folder made by save_ensemble, "
            "or use default_ensemble()."
        )
    try:
        card = json.loads((folder / _CARD).read_text(encoding="utf-8"))
        # Cards from before these could be chosen
        settings = TrainSettings(**{"layers": (1, 2, 2, 3), **card["settings"]})
        classes, temperature = tuple(card["classes"]), float(card.get("temperature", 1.0))
        hashes, pixel_size = dict(card["sha256"]), float(card["pixel_size"])
        logged = hashes.pop(_HISTORY, None)
        if not hashes or any(Path(name).name != name for name in hashes):
            raise ValueError("it lists no member, or one outside the folder")
    except (ValueError, KeyError, TypeError, UnicodeDecodeError) as error:
        raise CorruptEnsemble(
            f"{folder / _CARD} cannot be read ({error}). Train or download it again."
        ) from error
    weights = [_load_member(folder / name, expected) for name, expected in sorted(hashes.items())]
    history = _load_history(folder / _HISTORY, logged)
    return Ensemble(classes, weights, settings, pixel_size, card["card"], history, temperature)


def _load_member(path: Path, expected: str) -> Weights:
    _check_whole(path, expected)
    return read_weights(path)[0]


def _load_history(path: Path, expected: str | None) -> pd.DataFrame:
    """Read the losses; cards from before they had a hash may have none."""
    if expected is not None:
        _check_whole(path, expected)
    return pd.read_csv(path) if path.is_file() else pd.DataFrame(columns=["member", "step", "loss"])


def _check_whole(path: Path, expected: str) -> None:
    if not path.is_file():
        raise CorruptEnsemble(
            f"{path} is missing, though {_CARD} lists it. Train or download the ensemble again."
        )
    if sha256(path) != expected:
        raise CorruptEnsemble(
            f"{path} does not match its hash in {_CARD}: it was changed or cut off. "
            "Delete it and train or download the ensemble again."
        )


def shipped_materials() -> tuple[str, ...]:
    """Return the materials that `default_ensemble` knows."""
    return tuple(sorted(p.name for p in _HOME.iterdir() if (p / _CARD).is_file()))


def default_ensemble(material: str = "graphene") -> Ensemble:
    """Return the ensemble that ships with the package, trained on simulated frames only.

    Raises
    ------
    ValueError
        If there is none for this material; the text lists those there are.
    """
    return load_ensemble(_HOME / checks.check_choice("material", material, shipped_materials()))
