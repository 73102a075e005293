"""Trainings that several benchmarks need, each done once in a run."""

from __future__ import annotations

import dataclasses
import functools
import time
from dataclasses import dataclass
from typing import Any

import _frames

import elit_helpers as eh

SEEDS = (1, 2, 3)  # of training; the third only of E_initial
PAIRS = 1000  # what run_elit simulates


@dataclass(frozen=True)
class Timed:
    """A result, and what it took [s]: on the clock, and of all processors together."""

    result: Any
    wall: float
    cpu: float


def timed(job) -> Timed:
    """Run a job and say what it took."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = job()
    return Timed(result, time.perf_counter() - wall, time.process_time() - cpu)


@functools.cache
def imports() -> Timed:
    """Import what training needs, so that it is counted once and by itself."""

    def load():
        import atomai  # noqa: F401

    return timed(load)


def settings(quick: bool) -> eh.TrainSettings:
    """Return the class preset, or for a trial run one that learns next to nothing."""
    preset = eh.PRESETS["class"]
    return dataclasses.replace(preset, members=2, steps=30, member_steps=15) if quick else preset


@functools.cache
def algorithm(data: str, seed: int, quick: bool = False) -> Timed:
    """Run Algorithm 1 on the movie's development half: five members, two rounds, the elements."""
    imports()
    frames, _, size = _frames.movie("development")
    frames, rounds = (frames[:2], 1) if quick else (frames, 2)
    options = {"settings": settings(quick), "rounds": rounds, "rng": seed}
    run = timed(lambda: eh.run_elit(frames, pixel_size=size, data=data, **options))
    print(
        f"Algorithm 1 from {data} simulation, seed {seed}: {run.wall:.0f} s, {run.cpu:.0f} CPU-s", flush=True
    )
    return run


@functools.cache
def initial(data: str, seed: int, quick: bool = False) -> eh.Ensemble:
    """Return an ensemble of the class preset trained on simulation alone."""
    if seed in SEEDS[:2]:
        return algorithm(data, seed, quick).result.ensembles["E_initial"]
    imports()
    images, labels = eh.training_set(data, 100 if quick else PAIRS, rng=seed)
    return eh.train_ensemble(images, labels, classes=("C",), settings=settings(quick), rng=seed)
