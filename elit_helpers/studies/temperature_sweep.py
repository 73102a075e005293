"""A defect at several temperatures, several times each: what becomes of it, and its bonds on the way."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing import resource_tracker
from typing import Any

import numpy as np
import pandas as pd
from ase import Atoms

from elit_helpers.core.checks import RandomState, check_count, check_positive, spawn_seeds
from elit_helpers.core.checks import progress as progress_bar
from elit_helpers.core.interrupts import Hold, Stopped
from elit_helpers.core.settings import memory_limit, threads
from elit_helpers.engines.catalogue import Engine, EngineLike, choose_engine
from elit_helpers.engines.plan import SimulationError
from elit_helpers.geometry.bonds import COOLED
from elit_helpers.geometry.defects import defects
from elit_helpers.geometry.fate import defect_bonds, fate, ring_bonds
from elit_helpers.geometry.rings import ring_census
from elit_helpers.simulate.dynamics import run_md
from elit_helpers.simulate.relax import relax
from elit_helpers.simulate.result import unscaled

HOT_K = 2000.0  # above, a C–C bond is too lively for a step of 1 fs
EVERY_FS = 25.0  # a C–C bond swings once in about 20 fs: every frame is news
COOL_FMAX, COOL_STEPS = 0.1, 1000  # rings are settled long before the last soft bulge of the sheet is
_BYTES_A_WORKER = 4e8
_LITTLE_ATOM_FS = 1e6  # done in about the seconds that a worker takes to start


@dataclass
class Sweep:
    """What `temperature_sweep` gives.

    Attributes
    ----------
    table
        One row a run: ``temperature_K`` (of the bath), ``replica``, ``seed``, ``mean_temperature_K`` and
        what follows over the second half of the run while hot: ``mean_bond_5_A, mean_bond_7_A`` (of the
        rings that are whole at the cut-off; NaN where there is none) and ``longest_bond_A`` (of the bonds
        that the defect had at the start). Of the frame cooled to its minimum: ``fate`` (see `fate`),
        ``rings_5`` … (counts of rings up to size 9) and ``energy_eV`` above that of the start, and
        ``fmax_eV_A``, the largest force left: above 0.1 the frame is at no minimum yet.
        ``attrs["cutoffs"]`` has the cut-offs.
    structures
        The cooled structures, one a row of `table`; lengths are the picture's (see `unscaled`).
    bonds
        The bonds of the defect while hot, as `defect_bonds` numbers them: ``temperature_K, name, i, j,
        start_A, mean_A, std_A, longest_A, open_share``, over all replicas. Empty where there is no defect.
    start
        The relaxed structure that all runs start from.
    info
        Engine and its reason, time, seeds; ``stopped``, where an interrupt ended it.
    """

    table: pd.DataFrame
    structures: list[Atoms]
    bonds: pd.DataFrame
    start: Atoms
    info: dict[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        kelvin = self.table["temperature_K"]
        between = f"{kelvin.min():.0f} to {kelvin.max():.0f} K"
        stopped = f", stopped: {self.info['stopped']}" if "stopped" in self.info else ""
        return f"Sweep({len(self.table)} runs, {between}, {self.info['engine']}{stopped})"


@dataclass(frozen=True)
class _Task:
    """One run: what a worker needs to know."""

    start: Atoms
    engine: Engine
    temperature_K: float
    replica: int
    seed: int
    time_ps: float


def temperature_sweep(
    atoms: Atoms,
    *,
    temperatures_K: Sequence[float] = (300.0, 1000.0, 2000.0, 3000.0, 4000.0),
    replicas: int = 3,
    time_ps: float = 2.0,
    engine: EngineLike = "auto",
    rng: RandomState = None,
    workers: int | None = None,
    progress: bool = False,
) -> Sweep:
    """Hold a structure at several temperatures, several times each, and say what became of its defects.

    The structure is relaxed once. Each run has a Langevin bath, its own seed, and steps of 1 fs (0.5 fs
    above 2000 K or with hydrogen); its last frame is cooled to the nearest minimum before rings are counted,
    because a hot snapshot has bonds that are only stretched. The result depends on `rng` alone, not on how
    many runs go side by side.

    Parameters
    ----------
    atoms : ase.Atoms
        A sheet with a defect, or a flake (hold its rim with `ase.constraints.FixAtoms`).
    temperatures_K : sequence of float
        Of the bath [K].
    replicas : int
        Runs at each temperature.
    time_ps : float
        Length of a run [ps].
    engine : str, Engine or EngineChoice
        A key of `ENGINES`, ``"auto"``, an `Engine`, or a choice of `choose_engine`.
    rng : int, Generator or None
        Seed of the seeds.
    workers : int, optional
        Runs side by side, each in a process of its own (LAMMPS shares no process). If not given, as many as
        there are processors and memory for.
    progress : bool
        Show a bar.

    Returns
    -------
    Sweep

    Raises
    ------
    ValueError
        No temperature, or a setting out of range.
    SimulationError
        A run stopped; the text says which.
    Stopped
        At an interrupt; its `result` is a `Sweep` of the runs that were finished until then, which says so.
    """
    kelvins = [check_positive("temperatures_K", kelvin, unit="K") for kelvin in temperatures_K]
    if not kelvins:
        raise ValueError("`temperatures_K` is empty; give one temperature [K] or more.")
    check_count("replicas", replicas)
    if workers is not None:
        check_count("workers", workers, otherwise="None for as many as there is room for")
    check_positive("time_ps", time_ps, unit="ps")
    choice = choose_engine(atoms, engine)
    start = relax(atoms, engine=choice).atoms
    seeds = spawn_seeds(rng, len(kelvins) * replicas)
    runs = [(kelvin, replica) for kelvin in kelvins for replica in range(replicas)]
    tasks = [_Task(start, choice.engine, *run, seed, time_ps) for run, seed in zip(runs, seeds, strict=True)]
    info = {"engine": choice.name, "reason": choice.reason, "time_ps": time_ps, "seeds": seeds}
    results: list[tuple] = []
    try:
        with _mapped(tasks, _how_many(workers, tasks)) as done:
            for result in progress_bar(done, total=len(tasks), desc="sweep", enabled=progress):
                results.append(result)
    except KeyboardInterrupt as interrupt:
        where = f"an interrupt after {len(results)} of {len(tasks)} runs"
        what = "; those are the `result` of this exception" if results else ""
        part = _sweep(results, start, info | {"stopped": where}) if results else None
        raise Stopped(f"The sweep was stopped by {where}{what}.", part) from interrupt
    return _sweep(results, start, info)


def _sweep(results: Sequence[tuple], start: Atoms, info: dict[str, Any]) -> Sweep:
    """Put the results of `_run` together."""
    table = pd.DataFrame([row for row, _, _ in results])
    counts = [name for name in table if name.startswith("rings_")]
    table[counts] = table[counts].fillna(0).astype(int)
    table.attrs = {"cutoffs": dict(COOLED)} | {name: info[name] for name in ("stopped",) if name in info}
    structures = [cooled for _, cooled, _ in results]
    return Sweep(table, structures, _bonds_over_runs(results), unscaled(start), info)


def _how_many(workers: int | None, tasks: Sequence[_Task]) -> int:
    if workers is None:
        work = sum(len(task.start) * 1000 * task.time_ps for task in tasks)
        room = int(memory_limit()[0] / _BYTES_A_WORKER) or 1
        workers = 1 if work < _LITTLE_ATOM_FS else min(threads(), room)
    return min(workers, len(tasks))


@contextlib.contextmanager
def _mapped(tasks: Sequence[_Task], workers: int) -> Iterator[Iterator[tuple]]:
    """Give the results of `_run` in the order of the tasks, from this process or from several others."""
    if workers == 1:
        yield map(_run, tasks)
        return
    # Unlike the pool of the standard library, loky's does not run the caller's script again in each worker.
    from joblib.externals.loky import ProcessPoolExecutor

    pool = ProcessPoolExecutor(
        workers, env={"OMP_NUM_THREADS": "1"}, initializer=_live_with, initargs=(os.getpid(),)
    )
    whole = False
    try:
        with _deaf_children():
            results = pool.map(_run, tasks)
        yield results
        whole = True
    finally:
        with Hold():
            pool.shutdown(kill_workers=not whole)  # after an error or an interrupt some are still at work


@contextlib.contextmanager
def _deaf_children() -> Iterator[None]:
    """Processes that begin here hear no Ctrl-C, not even before their first line; it waits in this one."""
    resource_tracker.ensure_running()  # else it begins within, and then Python up to 3.11 hears everything
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _live_with(parent: int) -> None:
    """What a worker does first: leave Ctrl-C, which a terminal sends to all, to its parent; end with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1.0)
        os._exit(1)  # the parent was killed: nobody is left to take a result

    threading.Thread(target=watch, daemon=True).start()


def _run(task: _Task) -> tuple[dict[str, Any], Atoms, pd.DataFrame | None]:
    """One run: its row of the table, the cooled structure, and the bonds of the defect while hot."""
    lively = task.temperature_K > HOT_K or "H" in task.start.symbols
    step = 0.5 if lively else 1.0
    steps = max(round(1000 * task.time_ps / step), 2)
    every = min(round(EVERY_FS / step), steps // 2)
    try:
        run = run_md(
            task.start, engine=task.engine, steps=steps, every=every, timestep_fs=step,
            temperature_K=task.temperature_K, ensemble="nvt", rng=task.seed,
        )  # fmt: skip
        settled = relax(run.atoms, engine=task.engine, fmax=COOL_FMAX, steps=COOL_STEPS)
    except SimulationError as error:
        where = f"{task.temperature_K:g} K, replica {task.replica}, seed {task.seed}"
        raise SimulationError(f"The run at {where} stopped: {error}") from error
    half = len(run.trajectory) // 2
    hot = [unscaled(frame) for frame in run.trajectory[half:]]
    cooled = settled.atoms
    start, end = unscaled(task.start), unscaled(cooled)
    has_defect = len(defects(start, cutoffs=COOLED)) > 0
    bonds = defect_bonds(start, frames=hot, cutoffs=COOLED) if has_defect else None
    ring_means = ring_bonds(hot, sizes=(5, 7), cutoffs=COOLED)["mean_bond_A"]
    census = ring_census(end, cutoffs=COOLED, max_size=9)["count"]
    row = {
        "temperature_K": task.temperature_K, "replica": task.replica, "seed": task.seed,
        "mean_temperature_K": run.log["temperature_K"].iloc[half:].mean(),
        "fate": fate(start, end, cutoffs=COOLED),
        **{f"rings_{size}": 0 for size in (5, 6, 7, 8, 9)},
        **{f"rings_{size}": int(count) for size, count in census.items()},
        "mean_bond_5_A": ring_means[5], "mean_bond_7_A": ring_means[7],
        "longest_bond_A": np.nan if bonds is None else bonds["longest_A"].max(),
        "energy_eV": cooled.get_potential_energy() - task.start.get_potential_energy(),
        "fmax_eV_A": settled.info["fmax"],
    }  # fmt: skip
    return row, end, bonds


def _bonds_over_runs(results: Sequence[tuple]) -> pd.DataFrame:
    """Put the bonds of all replicas at a temperature together; every run has as many frames."""
    columns = ["temperature_K", "name", "i", "j", "start_A", "mean_A", "std_A", "longest_A", "open_share"]
    own = [bonds.assign(temperature_K=row["temperature_K"]) for row, _, bonds in results if bonds is not None]
    if not own:
        return pd.DataFrame(columns=columns)
    every = pd.concat(own).rename(columns={"length_A": "start_A"})
    every["square"] = every["std_A"] ** 2 + every["mean_A"] ** 2
    how = {"start_A": "first", "mean_A": "mean", "square": "mean", "longest_A": "max", "open_share": "mean"}
    table = every.groupby(["temperature_K", "name", "i", "j"], sort=False).agg(how).reset_index()
    table["std_A"] = np.sqrt(np.maximum(table["square"] - table["mean_A"] ** 2, 0.0))
    table.attrs = own[0].attrs
    return table[columns]
