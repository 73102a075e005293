"""AtomAI as its users have it: defaults, its own batches, on the patches that this course trains on."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import inspect
import io
import os
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd
from _frames import Finder
from _runs import PAIRS, Timed, imports

import elit_helpers as eh

CYCLES = 1000  # AtomAI's default, for a net that is stopped when it is good enough
EXAMPLE = 300  # cycles of a single net in its own example
_FILTERS, _LAYERS = 16, (1, 2, 2, 3)  # of its U-Net


class _Enough(Exception):
    """Training has got where it was to get."""


@contextlib.contextmanager
def _aside(threads: int) -> Iterator[None]:
    """Keep AtomAI's files, prints, warnings and random state to itself; `threads` for torch."""
    import torch

    here, state, before = os.getcwd(), np.random.get_state(), torch.get_num_threads()  # noqa: NPY002
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        os.chdir(folder)
        torch.set_num_threads(threads)
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                yield
        finally:
            os.chdir(here)
            torch.set_num_threads(before)
            np.random.set_state(state)  # noqa: NPY002


@functools.cache
def pairs(n: int = PAIRS) -> tuple[np.ndarray, np.ndarray]:
    """Return this course's realistic patches as AtomAI takes them: images and masks 0/1, (n, 1, 64, 64)."""
    images, labels = eh.training_set("realistic", n, rng=1)
    return images[:, None], (labels == 0).astype(np.float32)[:, None]


def as_ensemble(net: object) -> eh.Ensemble:
    """Return AtomAI's net as an ensemble of one, so that both are applied and located by the same code."""
    weights = {name: value.detach().cpu().numpy().copy() for name, value in net.state_dict().items()}
    options = {"members": 1, "filters": _FILTERS}
    if "layers" in inspect.signature(eh.TrainSettings).parameters:
        options["layers"] = _LAYERS
    return eh.Ensemble(("C",), [weights], eh.TrainSettings(**options), eh.NET_PIXEL)


@dataclasses.dataclass
class Steps:
    """Steps of one net: wall and CPU seconds of each, and what was looked at on the way."""

    wall: list[float] = dataclasses.field(default_factory=list)
    cpu: list[float] = dataclasses.field(default_factory=list)
    checks: list[dict] = dataclasses.field(default_factory=list)

    def watch(self, trainer: object, look: Callable[[int, object], bool], every: int) -> None:
        """Time every step of a trainer; every so many steps `look` at its net, and stop when that says so."""
        step = trainer.step

        def counted(e: int) -> None:
            wall, cpu = time.perf_counter(), time.process_time()
            step(e)
            self.wall.append(time.perf_counter() - wall)
            self.cpu.append(time.process_time() - cpu)
            if len(self.wall) % every == 0 and look(len(self.wall), trainer.net):
                raise _Enough

        trainer.step = counted


def ensemble_trainer(
    look: Callable[[int, object], bool],
    *,
    threads: int,
    every: int = 20,
    cycles: int = CYCLES,
    seed: int = 0,
    data: tuple[np.ndarray, ...] | None = None,
) -> Steps:
    """Train one member of `EnsembleTrainer("Unet")` with defaults until `look` says it is enough.

    `seed` is the member's number: what `train_ensemble_from_scratch` does for each, one after another.
    """
    imports()
    from atomai.trainers import EnsembleTrainer

    steps = Steps()
    images = pairs() if data is None else data
    with _aside(threads), contextlib.suppress(_Enough):
        trainer = EnsembleTrainer("Unet")
        options = {"training_cycles": cycles, "batch_seed": seed, "plot_training_history": False}
        trainer.compile_ensemble_trainer(**options)
        steps.watch(trainer, look, every)
        trainer.train_baseline(*images, seed=seed)
    return steps


@functools.cache
def segmentor(cycles: int = EXAMPLE) -> Timed:
    """Train one `Segmentor("Unet")`, all else by default, on the same patches with all threads."""
    imports()
    from atomai.models import Segmentor

    data = pairs()
    with _aside(eh.threads()):
        wall, cpu = time.perf_counter(), time.process_time()
        model = Segmentor("Unet")
        model.fit(*data, training_cycles=cycles, plot_training_history=False)
        spent = time.perf_counter() - wall, time.process_time() - cpu
        return Timed(as_ensemble(model.net), *spent)


def own_locator(ensemble: eh.Ensemble) -> Finder:
    """Return a finder that reads the net's map with AtomAI's `Locator` in place of `locate_atoms`."""

    def find(frame: np.ndarray, pixel_size: float) -> pd.DataFrame:
        from atomai.predictors import Locator

        maps = eh.predict(ensemble, frame[None], pixel_size=pixel_size)
        with _aside(eh.threads()):
            found = Locator().run(maps.mean)[0]
        row_col = eh.resample_positions(found[:, :2].astype(float), maps.scale)
        return pd.DataFrame(row_col, columns=["row_px", "col_px"]).assign(element="C")

    return find
