"""Molecular dynamics from a plan to its `Run`: begun or gone on with, watched, saved, stopped."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, replace

import numpy as np
from ase import Atoms

from elit_helpers.core.checks import (
    PathLike,
    RandomState,
    check_choice,
    check_count,
    check_positive,
    logger,
    resolve_rng,
    spawn_seeds,
)
from elit_helpers.core.checks import progress as progress_bar
from elit_helpers.core.interrupts import Stopped
from elit_helpers.engines.catalogue import Engine, EngineChoice, EngineLike, choose_engine
from elit_helpers.engines.lammps import NO_THREADS
from elit_helpers.engines.plan import ENSEMBLES, Plan, SimulationError, Snapshot
from elit_helpers.simulate import checkpoint as checkpoints
from elit_helpers.simulate.record import Record, Share, Watch, check_watch, drift, with_velocities
from elit_helpers.simulate.result import (
    Run,
    check_structure,
    common_info,
)

WORTH_SAYING_S = 10.0


class Simulation:
    """A simulation that is about to run, or to go on from a checkpoint.

    Parameters
    ----------
    atoms, choice, plan
        What to move, with which engine, and how.
    temperature_K
        Of the velocities at the start [K]; None keeps those of `atoms`.
    rng, watch, checkpoint
        As in `run_md`.
    """

    def __init__(
        self, atoms: Atoms, choice: EngineChoice, plan: Plan, *, temperature_K: float | None,
        rng: RandomState, watch: Watch | None, checkpoint: PathLike | None,
    ):  # fmt: skip
        self.choice, self.checkpoint, self.temperature_K = choice, checkpoint, temperature_K
        self._start_time = time.perf_counter()
        seed, saved = spawn_seeds(rng, 1)[0], None
        rotates_freely = plan.ensemble == "nve"
        moving = with_velocities(atoms, temperature_K, resolve_rng(seed))
        self.record = Record(moving, plan.timestep_fs, conserves_rotation=rotates_freely, watch=watch)
        job = {
            "engine": choice.name, "potential": choice.engine.potential,
            "temperature_K": temperature_K, **asdict(plan), "seed": seed,
            "structure": checkpoints.fingerprint_of(atoms, velocities=temperature_K is None),
            "format": checkpoints.FORMAT,
        }  # fmt: skip
        if checkpoint is not None:
            free = (*_FREE, "seed") if rng is None else _FREE
            saved = checkpoints.load(checkpoint, self.record, job, free)
        self._job = saved or job
        self.seed = self._job["seed"]
        self._saving = Share(self.record.watch.share)
        self.resumed_at = self.record.steps if saved else None
        done = self.resumed_at or 0
        # Noise that has been used is not used again.
        self.plan = replace(plan, steps=max(plan.steps - done, 0), seed=self.seed + done)
        self._looks: list[tuple[int, float, float]] = []  # step, wall and processor time
        self.estimate_s: float | None = None

    def run(self, *, progress: bool) -> Run:
        """Run it to its end, or to where its callback ends it.

        Raises
        ------
        Stopped
            At an interrupt; its `result` is the run until then, and so is the checkpoint, if there is one.
        SimulationError
            If the engine stops; its `run` is the run until then.
        """
        try:
            stopped = "the callback said so" if self._looked_at(progress) else None
            if self.checkpoint is not None:
                checkpoints.save(self.checkpoint, self.record, self._job)
            return self._result(stopped)
        except KeyboardInterrupt as interrupt:
            raise self._stopped() from interrupt
        except SimulationError as error:
            if self.record.rows:
                error.run = self._result(f"an error: {error}")
            raise

    def _looked_at(self, progress: bool) -> bool:
        """Run it, look at each moment, and say whether the callback ended it."""
        with (
            closing(self._moments()) as moments,
            progress_bar(total=self.plan.steps, desc="MD", enabled=progress) as bar,
        ):
            for moment in moments:
                self._look(moment)
                bar.update(moment.step - (self.resumed_at or 0) - bar.n)
                if self._told_to_stop():
                    return True
        return False

    def _stopped(self) -> Stopped:
        """What an interrupt is turned into: where it came, what there is, how to go on."""
        if not self.record.rows:
            return Stopped("Molecular dynamics was stopped by an interrupt before its first step.")
        steps, total = self.record.steps, (self.resumed_at or 0) + self.plan.steps
        where = f"an interrupt after {steps} of {total} steps"
        go_on = f"run_md(result.atoms, temperature_K=None, steps={total - steps}, ...) goes on"
        if self.checkpoint is not None:
            checkpoints.save(self.checkpoint, self.record, self._job)
            go_on = f"the same call goes on from {self.checkpoint}"
        return Stopped(
            f"Molecular dynamics was stopped by {where}. What there is until then is the `result` of this "
            f"exception (in a notebook: import sys; result = sys.last_value.result); {go_on}.",
            self._result(where),
        )

    def _moments(self) -> Iterator[Snapshot]:
        """What the engine gives, with the steps of an earlier run before it."""
        done = self.resumed_at
        if done is not None and not self.plan.steps:
            return
        start = self.record.start if done is None else self.record.last
        for moment in self.choice.engine.dynamics(start, self.plan):
            if done is None:
                yield moment
            elif moment.step:  # the first one is the last of the earlier run
                moment.step += done
                yield moment

    def _look(self, moment: Snapshot) -> None:
        self.record.take(moment)
        if self.checkpoint is not None and self._saving.allows():
            with self._saving.spend():
                checkpoints.save(self.checkpoint, self.record, self._job)
        self._looks = [*self._looks[:1], (moment.step, time.perf_counter(), time.process_time())]
        if self.estimate_s is None and len(self._looks) == 2:
            self._estimate()

    def _estimate(self) -> None:
        """What the whole will take, from the first steps."""
        (first, begun, _), (last, now, _) = self._looks
        steps = self.plan.steps
        self.estimate_s = (now - begun) / max(last - first, 1) * steps
        if self.estimate_s > WORTH_SAYING_S:
            logger.info("%s: about %.0f s for %d steps", self.choice.name, self.estimate_s, steps)

    def _told_to_stop(self) -> bool:
        call = self.record.watch.on_progress
        if call is None:
            return False
        answer = call(self.record.log())
        return isinstance(answer, (bool, np.bool_)) and bool(answer)

    def _result(self, stopped: str | None) -> Run:
        record, log = self.record, self.record.log()
        (first, begun, cpu), (last, ended, cpu_end) = (
            (self._looks[0], self._looks[-1]) if self._looks else ((0, 0.0, 0.0),) * 2
        )
        rate = len(record.start) * (last - first) / (ended - begun) if last > first else np.nan
        plan = self.plan
        info = common_info(self.choice, record.scale, self._start_time) | {
            "ensemble": plan.ensemble, "temperature_K": self.temperature_K, "bath_K": plan.bath_K,
            "timestep_fs": plan.timestep_fs, "seed": self.seed,
            "parallel": _in_words(self.choice.engine, plan),
            "drift_meV_per_atom": drift(log, len(record.start)), "atom_steps_per_s": rate,
            "estimate_s": self.estimate_s, "cpu_s": cpu_end - cpu, "stopped": stopped,
            "resumed_at": self.resumed_at,
        }  # fmt: skip
        frames = record.trajectory()
        log.attrs |= {"stopped": stopped} if stopped else {}
        return Run(frames[-1], frames, log, self.choice.name, info, record.census())


_FREE = ("steps", "threads", "ranks")  # a run may go on with others


def check_plan(plan: Plan, engine: Engine, temperature_K: float | None, watch: Watch | None) -> None:
    """Refuse settings that are out of range or that the engine has not."""
    check_count("steps", plan.steps, 0)
    check_positive("timestep_fs", plan.timestep_fs, unit="fs")
    if plan.timestep_fs > 3:
        raise ValueError(
            f"`timestep_fs` is {plan.timestep_fs:g} fs; a C–C bond swings in about 20 fs. Use 1 fs or less."
        )
    check_choice("ensemble", plan.ensemble, ENSEMBLES)
    if temperature_K is not None:
        check_positive("temperature_K", temperature_K, unit="K")
    if plan.ensemble != "nve":
        check_positive("bath_K", plan.bath_K, unit="K")
    for name in ("every", "threads", "ranks"):
        check_count(name, getattr(plan, name))
    if engine.kind != "lammps" and (plan.ranks > 1 or plan.ensemble == "nvt-nose-hoover"):
        what = f"`ranks` {plan.ranks}" if plan.ranks > 1 else f"`ensemble` {plan.ensemble!r}"
        raise ValueError(
            f"{what} is for engines of LAMMPS; {engine.name!r} has one process, and 'nve' or 'nvt'."
        )
    check_watch(watch, plan.every)


def _in_words(engine: Engine, plan: Plan) -> str:
    """How many processors a run used, and why not more."""
    if engine.kind != "lammps":
        return "one process; its threads are those of OMP_NUM_THREADS"
    used = "" if plan.ranks == 1 else f"{plan.ranks} ranks (MPI), "
    if plan.threads > 1 and engine.potential[0] in NO_THREADS:
        return f"{used}1 thread: {engine.method} has no variant with OpenMP; take ranks={plan.threads}"
    return f"{used}{plan.threads} thread{'s (OpenMP)' if plan.threads > 1 else ''}"


def run_md(
    atoms: Atoms,
    *,
    engine: EngineLike = "auto",
    steps: int,
    timestep_fs: float = 1.0,
    temperature_K: float | None = 300.0,
    ensemble: str = "nve",
    bath_K: float | None = None,
    rng: RandomState = None,
    every: int = 10,
    watch: Watch | None = None,
    checkpoint: PathLike | None = None,
    threads: int | None = None,
    ranks: int = 1,
    progress: bool = False,
) -> Run:
    """Molecular dynamics at constant energy or in a bath, looked at on the way, stopped and gone on with.

    A `Watch` that says so ends the run where it is: what there is comes back, ``info["stopped"]`` says why,
    and ``run_md(run.atoms, temperature_K=None, ...)`` goes on. An interrupt (Ctrl-C, the stop button of a
    notebook) is an exception, `Stopped`, which holds what there is. After it, and after a kill, the same call
    with the same `checkpoint` goes on.

    Parameters
    ----------
    atoms
        The structure, N atoms, best relaxed with the same engine. Nothing is scaled here; what a `FixAtoms`
        holds stays held, and is not counted in the temperature.
    engine
        A key of `ENGINES`, ``"auto"``, an `Engine`, or a choice of `choose_engine`.
    steps
        Number of time steps.
    timestep_fs
        Length of a step [fs]; 1 for carbon, 0.5 where there is hydrogen or above 2000 K.
    temperature_K
        Velocities at the start are drawn and scaled to this temperature [K], without drift (for a flake,
        without rotation). None goes on with those that `atoms` has.
    ensemble
        ``"nve"`` conserves the energy; ``"nvt"`` is a Langevin bath, ``"nvt-nose-hoover"`` a chain of
        thermostats without noise (LAMMPS only); both of 100 fs.
    bath_K
        Temperature of the bath [K]; None takes `temperature_K`.
    rng
        Seed or generator for velocities and bath; `info` keeps the seed.
    every
        Steps between rows of the log, and between frames unless `watch` says otherwise.
    watch
        Callback, ring census and what is kept; see `Watch`.
    checkpoint
        A file that the run is written to on the way, at the end and at an interrupt. If it is there already
        the run goes on from it: at constant energy as if nothing had been, in a Langevin bath with fresh
        noise. A finished one comes back as it is, or is prolonged by a larger `steps`.
    threads
        OpenMP threads, for engines of LAMMPS that have them (LCBOP has not); None is one.
    ranks
        Processes under mpiexec, for engines of LAMMPS. Worth it from some thousand atoms.
    progress
        Show a bar with the time left.

    Returns
    -------
    Run
        `info` has ``drift_meV_per_atom`` (trend of the total energy over the run), ``atom_steps_per_s``,
        ``estimate_s`` (what the first steps promised for the whole, said to the log as well), ``seed``,
        ``stopped`` (None, or why), ``resumed_at`` (the step, or None) and ``parallel``.

    Raises
    ------
    ValueError
        For an unknown engine or element, atoms too close, a setting out of range, or a checkpoint that is
        damaged or of another run.
    SimulationError
        If the engine stops or the structure blows up; its `run` has what there was until then.
    Stopped
        At an interrupt, as the `KeyboardInterrupt` it is; its `result` is the `Run` until then, which says so
        in its text, in ``info["stopped"]`` and in ``log.attrs["stopped"]``.
    EngineMissing
        If the engine, or mpiexec for `ranks`, is not installed.
    """
    choice = choose_engine(atoms, engine)
    check_structure(atoms)
    plan = Plan(
        steps, timestep_fs, ensemble, every=every, threads=threads or 1, ranks=ranks,
        bath_K=None if ensemble == "nve" else temperature_K if bath_K is None else bath_K,
    )  # fmt: skip
    check_plan(plan, choice.engine, temperature_K, watch)
    simulation = Simulation(
        atoms, choice, plan, temperature_K=temperature_K, rng=rng, watch=watch, checkpoint=checkpoint
    )
    return simulation.run(progress=progress)


def estimate_seconds(atoms: Atoms, *, engine: EngineLike = "auto", steps: int = 100) -> float:
    """How long `steps` steps of dynamics would take here [s], from the second of two real ones.

    The first force call of a quantum engine starts from nothing and takes longer than those that follow.
    """
    check_count("steps", steps)
    run = run_md(atoms, engine=engine, steps=2, every=1, timestep_fs=0.5, rng=0)
    return run.info["estimate_s"] / 2 * steps
