"""The engines that ASE steps: tight binding (tblite) and the Lennard-Jones of the lesson.

Only `elit_helpers.simulate` uses this file; the two generators have the signature of those in `_lammps`.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from ase import Atoms, units

from elit_helpers._common import require
from elit_helpers._lammps import DAMPING_FS, SimulationError, Snapshot

CHUNK = 5
METHODS = {"gfn1": "GFN1-xTB", "gfn2": "GFN2-xTB"}


def calculator(method: str):
    """The ASE calculator of an engine: ``"gfn1"``, ``"gfn2"`` (Γ point only) or ``"lj"`` (ASE's defaults)."""
    if method == "lj":
        from ase.calculators.lj import LennardJones

        return LennardJones()
    return require("tblite.ase", METHODS[method]).TBLite(method=METHODS[method], verbosity=0)


def minimise(atoms: Atoms, method: str, *, fmax: float, steps: int, cell: str | None) -> Iterator[Snapshot]:
    """Minimise with BFGS, which needs the fewest forces; a snapshot at the start and every few steps."""
    from ase.filters import FrechetCellFilter
    from ase.optimize import BFGS

    moving = _prepared(atoms, method)
    # The mask frees xx, yy and xy of the strain; the vacuum keeps its height.
    target = moving if cell is None else FrechetCellFilter(moving, mask=[1, 1, 0, 0, 0, 1])
    with BFGS(target, logfile=None) as optimizer:
        yield _snapshot(moving, 0, method)
        settled = False
        while optimizer.nsteps < steps and not settled:
            settled = _called(method, optimizer.run, fmax=fmax, steps=min(CHUNK, steps - optimizer.nsteps))
            yield _snapshot(moving, optimizer.nsteps, method)


def dynamics(
    atoms: Atoms, method: str, *, steps: int, timestep_fs: float, bath_K: float | None, seed: int, every: int
) -> Iterator[Snapshot]:
    """Run MD and give a snapshot at the start and every `every` steps; `bath_K` None conserves the energy."""
    from ase.md.langevin import Langevin
    from ase.md.verlet import VelocityVerlet

    moving = _prepared(atoms, method)
    step = timestep_fs * units.fs
    if bath_K is None:
        driver = VelocityVerlet(moving, timestep=step)
    else:
        friction, rng = 1.0 / (DAMPING_FS * units.fs), np.random.default_rng(seed)
        driver = Langevin(moving, timestep=step, temperature_K=bath_K, friction=friction, rng=rng)
    yield _snapshot(moving, 0, method)
    done = 0
    while done < steps:
        chunk = min(every, steps - done)
        _called(method, driver.run, chunk)
        done += chunk
        yield _snapshot(moving, done, method)


def _prepared(atoms: Atoms, method: str) -> Atoms:
    moving = atoms.copy()
    moving.calc = calculator(method)
    return moving


def _called(method: str, function, *args, **settings):
    try:
        return function(*args, **settings)
    except (RuntimeError, ValueError, ArithmeticError) as error:
        name, text = METHODS.get(method, "Lennard-Jones"), " ".join(str(error).split())
        raise SimulationError(
            f"{name} stopped: {text}. Relax the structure with a classical engine first; a self-consistent "
            "cycle that does not settle often means broken bonds or an odd number of electrons "
            "(passivate the edge with H)."
        ) from error


def _snapshot(moving: Atoms, step: int, method: str) -> Snapshot:
    energy = _called(method, moving.get_potential_energy)
    forces = _called(method, moving.get_forces)
    if not (np.isfinite(moving.positions).all() and np.isfinite(forces).all() and np.isfinite(energy)):
        raise SimulationError(
            "a position or a force is not a number any more: the structure has blown up. Relax it first, "
            "or take a shorter time step."
        )
    return Snapshot(
        positions=moving.get_positions(),
        velocities=moving.get_velocities(),
        forces=forces,
        energy=float(energy),
        cell=np.array(moving.cell),
        step=step,
    )
