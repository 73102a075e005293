"""Members trained side by side: threads that share one copy of torch and of the data.

Torch lets go of Python's lock while it computes, so that two threads train two nets in the time of one, and
without the memory and the seconds of import that another process costs. Whatever AtomAI does to global state
it does when a trainer is made, which happens here one after another in the calling thread.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from elit_helpers.core.checks import check_count
from elit_helpers.core.settings import memory_limit, threads
from elit_helpers.ensemble import networks
from elit_helpers.ensemble.networks import Weights
from elit_helpers.ensemble.storage import Checkpoint

_ENOUGH_BYTES = 4e9
_LOOK_S = 0.5  # how often the calling thread reports


class _Stopped(Exception):
    """Another member failed, or the learner interrupted: this one ends at its next step."""


@dataclass(frozen=True)
class Task:
    """One net to train: its number (-1 is the baseline), its seed, and the weights it starts from."""

    member: int
    seed: int
    origin: Weights | None

    @property
    def name(self) -> str:
        return "baseline" if self.member < 0 else f"member_{self.member:02d}"


@dataclass
class Watch:
    """What the calling thread tells of the losses.

    Attributes
    ----------
    bar
        Progress bar; its `update` is called with the number of new steps.
    on_progress
        Called with the table of losses so far, at most twice a second and once in the end; or None.
    losses
        For each net its losses, in the order of the steps.
    """

    bar: Any
    on_progress: Callable[[pd.DataFrame], None] | None
    losses: dict[int, list[float]] = field(default_factory=dict)
    _told: int = 0
    _when: float = 0.0

    def history(self) -> pd.DataFrame:
        """Return columns member, step, loss; members in order, the baseline (-1) first."""
        rows = [
            (member, step, loss)
            for member in sorted(self.losses)
            for step, loss in enumerate(list(self.losses[member]))
        ]
        return pd.DataFrame(rows, columns=["member", "step", "loss"])

    def look(self, *, last: bool = False) -> None:
        """Move the bar, and call `on_progress` if it is time to."""
        steps = sum(map(len, list(self.losses.values())))
        self.bar.update(steps - self._told)
        news, self._told = steps > self._told, steps
        due = news and time.monotonic() - self._when >= _LOOK_S
        if self.on_progress is not None and (last or due):
            self._when = time.monotonic()
            self.on_progress(self.history())


def how_many(workers: int | None, members: int) -> int:
    """Return how many members to train at once.

    Raises
    ------
    ValueError
        If `workers` is not a whole number from 1 up.
    """
    if workers is None:
        # One GPU is not shared: its nets are so small that starting the work is what takes the time.
        crowded = memory_limit()[0] < _ENOUGH_BYTES or networks.device() != "cpu"
        workers = 1 if crowded else threads()
    return min(check_count("workers", workers, otherwise="None for as many as there are processors"), members)


def train(
    job: networks.Job, tasks: list[Task], *, checkpoint: Checkpoint, workers: int, watch: Watch
) -> dict[int, Weights]:
    """Train the nets that the checkpoint does not hold yet, `workers` at a time; return all by number.

    The first exception in any of them ends the others at their next step and is raised here.
    """
    trained: dict[int, Weights] = {}
    waiting: deque[Task] = deque()
    for task in tasks:
        if (kept := checkpoint.load(task.name)) is None:
            waiting.append(task)
        else:
            trained[task.member], watch.losses[task.member] = kept
    watch.look()
    stop, running = threading.Event(), {}
    with ThreadPoolExecutor(workers, "elit-member", initializer=networks.use_one_thread) as pool:
        try:
            while waiting or running:
                while waiting and len(running) < workers:
                    _start(job, waiting.popleft(), pool, running, watch, stop)
                done, _ = wait(running, timeout=_LOOK_S, return_when=FIRST_COMPLETED)
                for future in done:
                    task = running.pop(future)
                    trained[task.member] = future.result()
                    checkpoint.save(task.name, trained[task.member], watch.losses[task.member])
                watch.look()
        finally:
            stop.set()  # after an error or an interrupt; otherwise nobody is left to hear it
    return trained


def _start(
    job: networks.Job,
    task: Task,
    pool: ThreadPoolExecutor,
    running: dict[Future, Task],
    watch: Watch,
    stop: threading.Event,
) -> None:
    losses = watch.losses[task.member] = []

    def on_step(loss: float) -> None:
        losses.append(loss)
        if stop.is_set():
            raise _Stopped

    trainer = job.prepare(task.member, task.seed, task.origin, on_step)
    running[pool.submit(trainer.trained)] = task
