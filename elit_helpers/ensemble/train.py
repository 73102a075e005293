"""Trains an ensemble: each member on its own sample of the pairs, from a plan that can be resumed."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from elit_helpers.core import checks, resume
from elit_helpers.core.checks import PathLike, RandomState
from elit_helpers.core.files import versions
from elit_helpers.core.interrupts import stopped_as
from elit_helpers.ensemble import jobs, networks, storage
from elit_helpers.ensemble.networks import UNSURE, Weights
from elit_helpers.ensemble.settings import Ensemble, TrainSettings, settings_of, with_elements
from elit_helpers.images.masks import NET_PIXEL


def train_ensemble(
    images: np.ndarray,
    labels: np.ndarray,
    *,
    classes: Sequence[str],
    settings: TrainSettings | str = "class",
    rng: RandomState = None,
    start: Ensemble | None = None,
    progress: bool = False,
    checkpoint: PathLike | None = None,
    on_progress: Callable[[pd.DataFrame], None] | None = None,
    workers: int | None = None,
) -> Ensemble:
    """Train an ensemble with AtomAI's `EnsembleTrainer`; each member on its own bootstrap sample.

    Members are trained side by side, each in one thread of torch, so that the same arguments give the same
    weights on a CPU, however many processors there are.

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
        Ensemble to continue from, member by member. From one class to two, the nets keep what they know of
        atoms and learn to tell the elements apart; with other classes the last layer starts anew.
    progress
        True for a bar.
    checkpoint
        Folder for what is finished: a file a member. The same call again, after whatever stopped the first
        one, loads those and trains the rest from their seeds, to the same weights. With ``rng=None`` it goes
        on with the seeds that the folder holds.
    on_progress
        Called from this thread with the losses so far (columns member, step, loss), at most twice a second
        and once in the end.
    workers
        Members trained at once; None for as many as there are processors, but one where less than 4 GB of
        memory are free, or on a GPU.

    Raises
    ------
    ValueError
        If shapes or labels do not fit, a class has no pixel to learn from, or `checkpoint` holds another
        training.
    CorruptEnsemble
        If a file in `checkpoint` was changed or cut off; it is named.
    Stopped
        At an interrupt; the text says what `checkpoint` holds.
    """
    settings = settings_of(settings)
    classes = tuple(classes)
    images, labels = _check_pairs(images, labels, classes)
    _check_start(start, settings)
    description = _describe(images, labels, classes, settings, start)
    description["seeds"] = checks.spawn_seeds(rng, settings.members + 1)
    kept = resume.Job.open(checkpoint, description, free=("seeds",) if rng is None else ())
    description, seeds = kept.description, kept.description["seeds"]
    total = _total_steps(settings, start)
    if start is not None:
        start = with_elements(start, classes, np.random.default_rng(seeds[0]))
    with (
        networks.contained() as folder,
        checks.progress(total=total, desc="training", enabled=progress) as bar,
    ):
        job = networks.Job(images, labels, len(classes), settings, folder)
        watch, store = jobs.Watch(bar, on_progress), storage.Checkpoint(kept)
        with stopped_as(lambda _: _how_far(store, settings.members)):
            weights = _train_members(job, seeds, start, store, workers, watch)
            watch.look(last=True)
    card = {
        "member_seeds": seeds[1:],
        "baseline_seed": seeds[0],
        "pairs": len(images),
        "data_sha256": description["data_sha256"],
        "start_sha256": description["start_sha256"],
        "threads": networks.THREADS,
        "device": description["device"],
        "deterministic": description["device"] == "cpu",
        "versions": versions(),
        "continued": start is not None,
    }
    return Ensemble(classes, weights, settings, NET_PIXEL, card, watch.history())


def _train_members(
    job: networks.Job,
    seeds: list[int],
    start: Ensemble | None,
    store: storage.Checkpoint,
    workers: int | None,
    watch: jobs.Watch,
) -> list[Weights]:
    """Train the members side by side, each from where it is to start."""
    n, task = job.settings.members, jobs.Task

    def train(tasks: list[jobs.Task]) -> dict[int, Weights]:
        crew = jobs.how_many(workers, len(tasks))
        return jobs.train(job, tasks, checkpoint=store, workers=crew, watch=watch)

    if start is not None:
        origins = [start.weights[i % len(start)] for i in range(n)]
    elif job.settings.strategy == "baseline":
        origins = [train([task(-1, seeds[0], None)])[-1]] * n
    else:
        origins = [None] * n
    trained = train([task(i, seed, origin) for i, (seed, origin) in enumerate(zip(seeds[1:], origins))])
    return [trained[i] for i in range(n)]


def _how_far(store: storage.Checkpoint, members: int) -> str:
    """Say to an interrupt what there is of the members."""
    where = store.job.folder
    if where is None:
        return "The training was stopped by an interrupt; without a `checkpoint` nothing of it is kept."
    return (
        f"The training was stopped by an interrupt: {store.finished()} of {members} members are in {where}. "
        "The same call trains the others."
    )


def _describe(
    images: np.ndarray,
    labels: np.ndarray,
    classes: tuple[str, ...],
    settings: TrainSettings,
    start: Ensemble | None,
) -> dict[str, Any]:
    """Return all that the weights depend on, beside the seeds."""
    return {
        "classes": classes,
        "settings": dataclasses.asdict(settings),
        "data_sha256": resume.fingerprint([images, labels]),
        "start_sha256": None if start is None else storage.fingerprint_of(start),
        "versions": networks.versions(),
        "device": networks.device(),
        "threads": networks.THREADS,
    }


def _total_steps(settings: TrainSettings, start: Ensemble | None) -> int:
    if start is not None:
        return settings.members * settings.member_steps
    if settings.strategy == "scratch":
        return settings.members * settings.steps
    return settings.steps + settings.members * settings.member_steps


def _check_start(start: Ensemble | None, settings: TrainSettings) -> None:
    for name in ("filters", "layers"):
        if start is not None and getattr(start.settings, name) != getattr(settings, name):
            raise ValueError(
                f"`start` has {name} {getattr(start.settings, name)} and `settings` "
                f"{getattr(settings, name)}; they must agree. Use dataclasses.replace(settings, {name}=...)."
            )


def _check_pairs(
    images: np.ndarray, labels: np.ndarray, classes: tuple[str, ...]
) -> tuple[np.ndarray, np.ndarray]:
    images, labels = np.asarray(images, np.float32), np.asarray(labels)
    if images.ndim != 3 or images.shape != labels.shape or np.any(np.mod(images.shape[1:], networks.POOL)):
        raise ValueError(
            f"`images` has shape {images.shape} and `labels` {labels.shape}; both must be (n, H, W) "
            f"with H and W multiples of {networks.POOL}. Use training_set(...) or crop them."
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
