"""Trains, saves, loads and applies an ensemble.

With its private half `_nets` the only file that knows AtomAI and torch.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from elit_helpers import _common, _nets, workspace
from elit_helpers._common import ElitError, PathLike, RandomState
from elit_helpers._nets import UNSURE, Weights
from elit_helpers.images import NET_PIXEL, normalise, resample

_CARD = "card.json"


class CorruptEnsemble(ElitError):
    """A saved ensemble is incomplete or was changed; nothing of it is used."""


@dataclass(frozen=True)
class TrainSettings:
    """How an ensemble is trained.

    Parameters
    ----------
    members
        Number of networks.
    steps
        Mini-batches from random weights: of the common baseline, or of each member with ``"scratch"``.
    member_steps
        Mini-batches each member takes on from the baseline, or from the member it continues.
    batch
        Patches in a mini-batch.
    filters
        Filters in the first block of AtomAI's U-Net.
    learning_rate
        Peak of the one-cycle schedule; continued members rise to half of it.
    weight_decay
        Of AdamW.
    strategy
        ``"baseline"`` (members branch off one trained net) or ``"scratch"`` (each starts anew).
    """

    members: int = 4
    steps: int = 200
    member_steps: int = 140
    batch: int = 16
    filters: int = 8
    learning_rate: float = 6e-3
    weight_decay: float = 1e-4
    strategy: str = "scratch"

    def __post_init__(self) -> None:
        for name in ("members", "steps", "member_steps", "batch", "filters"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
                raise ValueError(f"`{name}` is {value!r}; it must be a whole number from 1 up.")
        _common.check_positive("learning_rate", self.learning_rate)
        _common.check_choice("strategy", self.strategy, ("baseline", "scratch"))


PRESETS = {
    "demo": TrainSettings(members=2, steps=60, member_steps=20),
    "class": TrainSettings(),
    "paper": TrainSettings(
        members=10, steps=1000, member_steps=200, batch=32, filters=16, strategy="scratch"
    ),
}
"""Settings by name: a taste, a classroom on two cores, and a size for a GPU."""


@dataclass
class Ensemble:
    """Networks of one kind that were trained on different samples.

    Attributes
    ----------
    classes
        Element symbols in the order of the channels; the background is the channel after them.
    weights
        For each member its arrays by name.
    settings
        What it was trained with.
    pixel_size
        Of the images it knows [Å/px].
    card
        What made it: seeds, data hash, versions and whatever the caller adds. Plain JSON.
    history
        Columns member (-1 for the baseline), step, loss.
    """

    classes: tuple[str, ...]
    weights: list[Weights]
    settings: TrainSettings
    pixel_size: float
    card: dict[str, Any] = field(default_factory=dict)
    history: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=["member", "step", "loss"]))

    def __len__(self) -> int:
        return len(self.weights)

    def subset(self, indices: Sequence[int]) -> Ensemble:
        """Return the ensemble of the members with these numbers.

        Raises
        ------
        ValueError
            If none is chosen, or one that is not there.
        """
        chosen = [int(i) for i in indices]
        if not chosen or any(not 0 <= i < len(self) for i in chosen):
            raise ValueError(f"`indices` is {list(indices)}; choose at least one of 0 to {len(self) - 1}.")
        card = {**self.card, "chosen_members": chosen}
        if len(self.card.get("member_seeds", [])) == len(self):
            card["member_seeds"] = [self.card["member_seeds"][i] for i in chosen]
        return dataclasses.replace(self, weights=[self.weights[i] for i in chosen], card=card)


@dataclass
class Prediction:
    """What an ensemble says of each pixel, on its own pixel grid.

    Attributes
    ----------
    mean, std
        Probability of each class and its spread over members, float32 (N, H, W, K + 1), background last.
    members
        Probabilities of each member, float16 (M, N, H, W, K + 1), or None.
    classes
        Element symbols of the first K channels.
    pixel_size
        Of these maps [Å/px].
    scale
        For rows and columns: position in the frame = position in these maps / scale [px].
    shape_original
        Height and width of the frames that went in [px].
    pixel_size_original
        Of the frames that went in [Å/px].
    """

    mean: np.ndarray
    std: np.ndarray
    members: np.ndarray | None
    classes: tuple[str, ...]
    pixel_size: float
    scale: tuple[float, float]
    shape_original: tuple[int, int]
    pixel_size_original: float

    def __len__(self) -> int:
        return len(self.mean)


# --------------------------------------------------------------------------- training
def train_ensemble(
    images: np.ndarray,
    labels: np.ndarray,
    *,
    classes: Sequence[str],
    settings: TrainSettings | str = "class",
    rng: RandomState = None,
    start: Ensemble | None = None,
    progress: bool = False,
) -> Ensemble:
    """Train an ensemble with AtomAI's `EnsembleTrainer`; each member on its own bootstrap sample.

    The same arguments give the same weights on a CPU with the same number of threads.

    Parameters
    ----------
    images
        Normalised patches (n, H, W) at the net's pixel size, H and W multiples of 8.
    labels
        Integers (n, H, W): the number of the class, ``len(classes)`` for the background,
        `UNSURE` where nothing is known.
    classes
        Element symbols in channel order; one name means "an atom, of whatever element".
    settings
        `TrainSettings` or the name of one of `PRESETS`.
    rng
        Seed or generator; the seed of each member is kept in the card.
    start
        Ensemble to continue from, member by member. Where its classes differ, the last layer starts anew.
    progress
        True for a bar.

    Raises
    ------
    ValueError
        If shapes or labels do not fit, or a class has no pixel to learn from.
    """
    settings = _settings(settings)
    classes = tuple(classes)
    images, labels = _check_pairs(images, labels, classes)
    if start is not None and start.settings.filters != settings.filters:
        raise ValueError(
            f"`start` has {start.settings.filters} filters and `settings` {settings.filters}; they must "
            "agree. Use dataclasses.replace(settings, filters=...)."
        )
    seeds = _common.spawn_seeds(rng, settings.members + 1)
    total = _total_steps(settings, start)
    with _nets.contained() as folder, _common.progress(total=total, desc="training", enabled=progress) as bar:
        job = _nets.Job(images, labels, len(classes), settings, folder, bar.update)
        weights = _train_members(job, seeds, start)
    card = {
        "member_seeds": seeds[1:],
        "baseline_seed": seeds[0],
        "pairs": len(images),
        "data_sha256": hashlib.sha256(images.tobytes() + labels.tobytes()).hexdigest(),
        "threads": workspace.threads(),
        "versions": workspace.versions(),
        "continued": start is not None,
    }
    return Ensemble(classes, weights, settings, NET_PIXEL, card, pd.DataFrame(job.history))


def _train_members(job: _nets.Job, seeds: list[int], start: Ensemble | None) -> list[Weights]:
    """Train the members one after another, each from where it is to start."""
    n = job.settings.members
    if start is not None:
        origins = [start.weights[i % len(start)] for i in range(n)]
    elif job.settings.strategy == "baseline":
        origins = [job.train(-1, seeds[0], None)] * n
    else:
        origins = [None] * n
    return [job.train(i, seed, origin) for i, (seed, origin) in enumerate(zip(seeds[1:], origins))]


def _total_steps(settings: TrainSettings, start: Ensemble | None) -> int:
    if start is not None:
        return settings.members * settings.member_steps
    if settings.strategy == "scratch":
        return settings.members * settings.steps
    return settings.steps + settings.members * settings.member_steps


def _settings(settings: TrainSettings | str) -> TrainSettings:
    if isinstance(settings, TrainSettings):
        return settings
    return PRESETS[_common.check_choice("settings", settings, tuple(PRESETS))]


def _check_pairs(
    images: np.ndarray, labels: np.ndarray, classes: tuple[str, ...]
) -> tuple[np.ndarray, np.ndarray]:
    images, labels = np.asarray(images, np.float32), np.asarray(labels)
    if images.ndim != 3 or images.shape != labels.shape or np.any(np.mod(images.shape[1:], _nets.POOL)):
        raise ValueError(
            f"`images` has shape {images.shape} and `labels` {labels.shape}; both must be (n, H, W) "
            f"with H and W multiples of {_nets.POOL}. Use training_set(...) or crop them."
        )
    if not np.isfinite(images).all():
        raise ValueError("`images` holds NaN or infinite pixels; normalise frames that do not.")
    if not classes:
        raise ValueError("`classes` is empty; name the elements, such as ('C', 'Si').")
    present, allowed = set(np.unique(labels).tolist()), set(range(len(classes) + 1))
    if not present <= allowed | {UNSURE}:
        raise ValueError(
            f"`labels` holds {sorted(present)}; allowed are 0 to {len(classes)} for {classes} and the "
            f"background, and {UNSURE} for pixels to leave out."
        )
    if missing := sorted(allowed - present):
        names = [(*classes, "background")[i] for i in missing]
        raise ValueError(
            f"`labels` has no pixel of {', '.join(names)}; a net cannot learn what it never sees. "
            "Add such patches or leave the class out of `classes`."
        )
    return np.ascontiguousarray(images), np.ascontiguousarray(labels.astype(np.int8))


# --------------------------------------------------------------------------- prediction
def predict(
    ensemble: Ensemble,
    images: np.ndarray,
    *,
    pixel_size: float,
    members: bool = True,
    progress: bool = False,
) -> Prediction:
    """Apply an ensemble to frames of any size; what it says of one does not depend on the others.

    Frames are resampled to the ensemble's pixel size, normalised one by one, and predicted in tiles that
    overlap by what a net can see, so that memory does not grow with the frame.

    Parameters
    ----------
    images
        Raw frames (N, H, W) or one frame (H, W).
    pixel_size
        Of the frames [Å/px].
    members
        False to leave out the members' own maps, which take the most memory. Without them
        `locate_atoms` cannot give the spread of a position.
    progress
        True for a bar.

    Returns
    -------
    Prediction
        Maps on the ensemble's pixel grid.

    Raises
    ------
    ValueError
        If the frames or the pixel size are not usable.
    """
    frames = _common.check_frames(images, "images")
    pixel_size = _common.check_pixel_size(pixel_size)
    fine, scale = resample(frames, pixel_size=pixel_size, target=ensemble.pixel_size)
    height, width = fine.shape[1:]
    shape = (len(frames), height, width, len(ensemble.classes) + 1)
    mean, std = np.empty(shape, np.float32), np.empty(shape, np.float32)
    each = np.empty((len(ensemble), *shape), np.float16) if members else None
    with _nets.contained():
        filters = ensemble.settings.filters
        nets = [_nets.make_net(w, n_classes=len(ensemble.classes), filters=filters) for w in ensemble.weights]
        for i, frame in enumerate(_common.progress(fine, desc="predicting", enabled=progress)):
            flat = normalise(frame[None], pixel_size=ensemble.pixel_size)[0]
            maps = np.stack([_nets.forward(net, flat) for net in nets])
            mean[i], std[i] = maps.mean(0), maps.std(0)
            if each is not None:
                each[:, i] = maps
    return Prediction(
        mean, std, each, ensemble.classes, ensemble.pixel_size, scale, frames.shape[1:], pixel_size
    )


# --------------------------------------------------------------------------- files
def save_ensemble(ensemble: Ensemble, folder: PathLike) -> Path:
    """Write an ensemble to a folder, whole or not at all: a safetensors file a member and a readable card.

    Returns
    -------
    Path
        The folder.
    """
    numpy_files = _common.require("safetensors.numpy", "Saving an ensemble")
    with _common.atomic_write(folder, folder=True) as target:
        hashes = {}
        for i, weights in enumerate(ensemble.weights):
            name = f"member_{i:02d}.safetensors"
            numpy_files.save_file({k: np.ascontiguousarray(v) for k, v in weights.items()}, target / name)
            hashes[name] = workspace.sha256(target / name)
        card = {
            "classes": list(ensemble.classes),
            "pixel_size": ensemble.pixel_size,
            "network": "atomai Unet",
            "settings": dataclasses.asdict(ensemble.settings),
            "card": ensemble.card,
            "sha256": hashes,
        }
        (target / _CARD).write_text(json.dumps(card, indent=1) + "\n")
        if len(ensemble.history):
            ensemble.history.round({"loss": 6}).to_csv(target / "history.csv", index=False)
    return Path(folder)


def load_ensemble(folder: PathLike) -> Ensemble:
    """Read an ensemble that `save_ensemble` wrote. No code in it can run: it is numbers and JSON only.

    Raises
    ------
    FileNotFoundError
        If there is no ensemble in the folder.
    CorruptEnsemble
        If the card cannot be read, or a member is missing or was changed; the file is named.
    """
    folder = Path(folder)
    if not (folder / _CARD).is_file():
        raise FileNotFoundError(
            f"{folder} holds no ensemble: {_CARD} is not there. Pass a folder made by save_ensemble, "
            "or use default_ensemble()."
        )
    try:
        card = json.loads((folder / _CARD).read_text())
        settings, classes = TrainSettings(**card["settings"]), tuple(card["classes"])
        names, pixel_size = card["sha256"], float(card["pixel_size"])
        if not names or any(Path(name).name != name for name in names):
            raise ValueError("it lists no member, or one outside the folder")
    except (ValueError, KeyError, TypeError, UnicodeDecodeError) as error:
        raise CorruptEnsemble(
            f"{folder / _CARD} cannot be read ({error}). Train or download it again."
        ) from error
    weights = [_load_member(folder / name, expected) for name, expected in sorted(names.items())]
    log = folder / "history.csv"
    history = pd.read_csv(log) if log.is_file() else pd.DataFrame(columns=["member", "step", "loss"])
    return Ensemble(classes, weights, settings, pixel_size, card["card"], history)


def _load_member(path: Path, expected: str) -> Weights:
    files = _common.require("safetensors", "Loading an ensemble")
    numpy_files = _common.require("safetensors.numpy", "Loading an ensemble")
    if not path.is_file():
        raise CorruptEnsemble(
            f"{path} is missing, though {_CARD} lists it. Train or download the ensemble again."
        )
    if workspace.sha256(path) != expected:
        raise CorruptEnsemble(
            f"{path} does not match its hash in {_CARD}: it was changed or cut off. "
            "Delete the folder and train or download the ensemble again."
        )
    try:
        return {name: value.astype(value.dtype) for name, value in numpy_files.load_file(path).items()}
    except (files.SafetensorError, ValueError) as error:
        raise CorruptEnsemble(
            f"{path} is not a safetensors file ({error}). Train or download it again."
        ) from error


def default_ensemble(material: str = "graphene") -> Ensemble:
    """Return the ensemble that ships with the package, trained on simulated frames only.

    Raises
    ------
    ValueError
        If there is none for this material; the text lists those there are.
    """
    home = Path(__file__).parent / "ensembles"
    _common.check_choice(
        "material", material, sorted(p.name for p in home.iterdir() if (p / _CARD).is_file())
    )
    return load_ensemble(home / material)
