"""The engines that ASE steps: the quantum ones, and the Lennard-Jones of the lesson.

The two generators give what those in `lammps_runs` give. `calculator` makes the calculator for a structure;
None takes the quantum one of this name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from ase import Atoms, units
from ase.calculators.calculator import Calculator

from elit_helpers.core.checks import EngineMissing
from elit_helpers.engines import quantum
from elit_helpers.engines.boxed import Boxed
from elit_helpers.engines.plan import DAMPING_FS, Plan, SimulationError, Snapshot

CHUNK = 5
VACUUM_A = 8.0  # on each side where the structure ends, for a calculator of the caller's
Maker = Callable[[Atoms], Calculator]


def minimise(
    atoms: Atoms, engine: str, calculator: Maker | None, *, fmax: float, steps: int, cell: str | None
) -> Iterator[Snapshot]:
    """Minimise with BFGS, which needs the fewest forces; a snapshot at the start and every few steps."""
    from ase.filters import FrechetCellFilter
    from ase.optimize import BFGS

    moving = _prepared(atoms, engine, calculator, cell)
    # The mask frees xx, yy and xy of the strain; the vacuum keeps its height.
    target = moving if cell is None else FrechetCellFilter(moving, mask=[1, 1, 0, 0, 0, 1])
    with BFGS(target, logfile=None) as optimizer:
        yield _snapshot(moving, 0, engine)
        settled = False
        while optimizer.nsteps < steps and not settled:
            settled = _called(engine, optimizer.run, fmax=fmax, steps=min(CHUNK, steps - optimizer.nsteps))
            yield _snapshot(moving, optimizer.nsteps, engine)


def dynamics(atoms: Atoms, engine: str, calculator: Maker | None, plan: Plan) -> Iterator[Snapshot]:
    """Run MD and give a snapshot at the start and after every chunk."""
    moving = _prepared(atoms, engine, calculator)
    driver = _driver(moving, plan)
    yield _snapshot(moving, 0, engine)
    done = 0
    for chunk in plan.chunks():
        _called(engine, driver.run, chunk)
        done += chunk
        yield _snapshot(moving, done, engine)


def _driver(moving: Atoms, plan: Plan) -> Any:
    from ase.md.langevin import Langevin
    from ase.md.verlet import VelocityVerlet

    step = plan.timestep_fs * units.fs
    if plan.ensemble == "nve":
        return VelocityVerlet(moving, timestep=step)
    if plan.ensemble != "nvt":  # ASE's chain counts what is held and the drift as heat
        raise ValueError(f"`ensemble` {plan.ensemble!r} is LAMMPS's; take 'nvt' (Langevin) here.")
    friction, rng = 1.0 / (DAMPING_FS * units.fs), np.random.default_rng(plan.seed)
    return Langevin(moving, timestep=step, temperature_K=plan.bath_K, friction=friction, rng=rng)


def lennard_jones(atoms: Atoms) -> Calculator:
    """ASE's Lennard-Jones as it comes, for any structure."""
    from ase.calculators.lj import LennardJones

    return LennardJones()


def _prepared(atoms: Atoms, engine: str, calculator: Maker | None, cell: str | None = None) -> Atoms:
    moving = atoms.copy()
    if calculator is None:
        quantum.check(engine, moving, cell=cell)
        moving.calc = quantum.calculator(engine, moving)
    elif (~moving.pbc & moving.cell.any(1)).any():
        # Whether it repeats a cell where `pbc` is False, nobody can know.
        moving.calc = Boxed(calculator, moving, VACUUM_A, keep=True)
    else:
        moving.calc = calculator(moving)
    return moving


def _called(engine: str, function, *args, **settings):
    try:
        return function(*args, **settings)
    except EngineMissing:  # a program that turns out to be built without what it needs
        raise
    except (RuntimeError, ValueError, ArithmeticError) as error:
        raise SimulationError(quantum.explain(engine, error)) from error


def _snapshot(moving: Atoms, step: int, engine: str) -> Snapshot:
    return Snapshot(
        positions=moving.get_positions(),
        velocities=moving.get_velocities(),
        forces=_called(engine, moving.get_forces),
        energy=float(_called(engine, moving.get_potential_energy)),
        cell=np.array(moving.cell),
        step=step,
    )
