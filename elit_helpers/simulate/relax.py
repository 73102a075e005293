"""Relaxation and molecular dynamics with an engine chosen by name.

`relax` and `run_md` take ASE `Atoms` and give a `Run`: the final structure, the frames on the way, a log and
what is worth knowing about the run. LAMMPS does its own steps (chunks of its `run` and `minimize`); the
quantum engines and the Lennard-Jones lesson go through ASE. Which engine knows which elements is in
`ENGINES`; charge and spin are those that the `Atoms` carry.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.data import covalent_radii
from ase.neighborlist import neighbor_list

from elit_helpers.core.checks import (
    PathLike,
    RandomState,
    check_choice,
    check_positive,
    resolve_rng,
)
from elit_helpers.engines import ase_driven, lammps_runs
from elit_helpers.engines.catalogue import (
    choose_engine,
    scale_of,
    stretched,
    to_own_lattice,
)
from elit_helpers.engines.plan import Plan, SimulationError, Snapshot, held_atoms
from elit_helpers.simulate.dynamics import Simulation, check_count, check_plan, dynamics_of
from elit_helpers.simulate.record import Watch, frame
from elit_helpers.simulate.result import Run, common_info, relaxation


def relax(
    atoms: Atoms,
    *,
    engine: str = "auto",
    fmax: float = 0.02,
    steps: int = 1000,
    cell: str | None = None,
    nudge_A: float = 0.02,
) -> Run:
    """Move the atoms downhill until no force is larger than `fmax`.

    A structure from a picture has the picture's lattice. Where it is free to take the engine's own (a flake,
    ``cell="xy"``, or an engine chosen by ``"auto"``) it is first scaled by the ratio of the two, if the
    engine's graphene is off by more than 1 %; `Run.info["scale"]` and `Run.atoms.info["lattice_scale"]` keep
    the factor, and `unscaled` removes it before anything is compared with the picture.

    Parameters
    ----------
    atoms
        The structure, N atoms, Å. Atoms under an `ase.constraints.FixAtoms` are held where they are (after
        the scaling): the rim of a flake, for one, which in the sample is no rim.
    engine
        A key of `ENGINES` or ``"auto"``.
    fmax
        Largest force left on any atom [eV/Å].
    steps
        Iterations at most.
    cell
        None keeps the cell; ``"xy"`` relaxes the in-plane cell of a sheet that is periodic in x and y.
    nudge_A
        A perfectly flat sheet feels no force out of its plane, even where it would gain by buckling. Its
        atoms are first displaced along z by this much [Å, standard deviation, fixed seed]; 0 keeps it flat.

    Returns
    -------
    Run
        `info` has ``converged``, ``fmax`` [eV/Å], ``steps``, ``energy_eV``, ``scale``, the engine and why.

    Raises
    ------
    ValueError
        For an unknown engine or element, atoms too close, ``cell="xy"`` on a flake, or, for a quantum engine,
        an odd number of electrons without a spin (set it with ``atoms.set_initial_magnetic_moments``).
    SimulationError
        If the engine stops or gives what is not a number; its `run` has what there was until then.
    EngineMissing
        If the engine is not installed.
    """
    choice = choose_engine(atoms, engine)
    _check_structure(atoms)
    check_positive("fmax", fmax, unit="eV/Å")
    check_count("steps", steps, at_least=0)
    check_choice("cell", cell, [None, "xy"])
    if cell == "xy" and not atoms.pbc[:2].all():
        raise ValueError("cell='xy' needs a sheet that is periodic in x and y; pass cell=None for a flake.")
    start = time.perf_counter()
    free = engine == "auto" or cell == "xy" or not atoms.pbc[:2].any()
    scaled, scale = to_own_lattice(atoms, choice.name) if free else (atoms.copy(), scale_of(atoms))
    flat = len(scaled) > 3 and np.ptp(scaled.positions[:, 2]) < 1e-6
    if flat and nudge_A:
        nudge = nudge_A * np.random.default_rng(0).standard_normal(len(scaled))
        scaled.positions[:, 2] += np.where(held_atoms(scaled), 0.0, nudge)
    kind, _, potential = choice.name.partition(":")
    part, name = (lammps_runs, potential) if kind == "lammps" else (ase_driven, choice.name)
    moments: list[Snapshot] = []

    def result() -> Run:
        info = common_info(choice, scale, start) | {"nudged_A": nudge_A if flat else 0.0}
        return relaxation([frame(scaled, m, scale) for m in moments], [m.step for m in moments], fmax, info)

    try:
        for moment in part.minimise(scaled, name, fmax=fmax, steps=steps, cell=cell):
            moments.append(moment)
    except SimulationError as error:
        error.run = result() if moments else None
        raise
    return result()


def run_md(
    atoms: Atoms,
    *,
    engine: str = "auto",
    steps: int,
    timestep_fs: float = 1.0,
    temperature_K: float | None = 300.0,
    ensemble: str = "nve",
    bath_K: float | None = None,
    rng: Any = None,
    every: int = 10,
    watch: Watch | None = None,
    checkpoint: PathLike | None = None,
    threads: int | None = None,
    ranks: int = 1,
    progress: bool = False,
) -> Run:
    """Molecular dynamics at constant energy or in a bath, looked at on the way, stopped and gone on with.

    An interrupt (the stop button of a notebook) or a `Watch` that says so ends the run where it is: what
    there is comes back, ``info["stopped"]`` says why, and ``run_md(run.atoms, temperature_K=None, ...)`` goes
    on. After a kill the same call with the same `checkpoint` does.

    Parameters
    ----------
    atoms
        The structure, N atoms, best relaxed with the same engine. Nothing is scaled here; what a `FixAtoms`
        holds stays held, and is not counted in the temperature.
    engine
        A key of `ENGINES` or ``"auto"``.
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
        A file that the run is written to on the way and at the end. If it is there already the run goes on
        from it: at constant energy as if nothing had been, in a Langevin bath with fresh noise. A finished
        one comes back as it is, or is prolonged by a larger `steps`.
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
    EngineMissing
        If the engine, or mpiexec for `ranks`, is not installed.
    """
    choice = choose_engine(atoms, engine)
    _check_structure(atoms)
    plan = Plan(
        steps, timestep_fs, ensemble, every=every, threads=threads or 1, ranks=ranks,
        bath_K=None if ensemble == "nve" else temperature_K if bath_K is None else bath_K,
    )  # fmt: skip
    check_plan(plan, choice.name, temperature_K, watch)
    start = {"temperature_K": temperature_K, "rng": rng, "watch": watch, "checkpoint": checkpoint}
    return Simulation(atoms, choice, plan, **start).run(progress=progress)


_relax = relax  # for functions with an argument of that name


def estimate_seconds(atoms: Atoms, *, engine: str = "auto", steps: int = 100) -> float:
    """How long `steps` steps of dynamics would take here [s], from the second of two real ones.

    The first force call of a quantum engine starts from nothing and takes longer than those that follow.
    """
    check_count("steps", steps, at_least=1)
    run = run_md(atoms, engine=engine, steps=2, every=1, timestep_fs=0.5, rng=0)
    return run.info["estimate_s"] / 2 * steps


def single_point(atoms: Atoms, *, engine: str = "auto") -> Atoms:
    """A copy of a structure with its energy [eV] and forces [eV/Å] attached, nothing moved."""
    choice = choose_engine(atoms, engine)
    _check_structure(atoms)
    call, name = dynamics_of(choice.name, Plan())
    (moment,) = call(atoms, name, Plan())
    return frame(atoms, moment, scale_of(atoms))


def energy_spread(
    atoms: Atoms, *, engine: str = "auto", samples: int = 20, relax: bool = False, rng: RandomState = None
) -> np.ndarray:
    """What the error bars of the positions do to the energy: energies of structures drawn within them.

    Every atom is moved in the plane by a Gaussian of its ``position_std_A``, which is the root mean square
    distance in the plane: 1/√2 of it along each axis.

    Parameters
    ----------
    atoms
        A structure with the array ``position_std_A``; 0 for an atom that stays.
    engine
        A key of `ENGINES` or ``"auto"``.
    samples
        How many structures to draw.
    relax
        Relax each one first (as `relax` does by itself): what is left of the spread is then that of the
        minima it falls into.
    rng
        Seed or generator.

    Returns
    -------
    ndarray
        Energies [eV], (samples,), in the order of the draws.

    Raises
    ------
    ValueError
        There is no ``position_std_A``, or it is not a number, or negative, for an atom.
    """
    name = choose_engine(atoms, engine).name
    check_count("samples", samples, at_least=1)
    spread = atoms.arrays.get("position_std_A")
    if spread is None:
        raise ValueError(
            "`atoms` has no array 'position_std_A'. A structure of `to_atoms` has it; or set it [Å, root "
            "mean square distance in the plane], for example np.full(len(atoms), 0.05)."
        )
    known = np.isfinite(spread) & (spread >= 0)
    if not known.all():
        raise ValueError(
            f"`position_std_A` is negative or not a number for {np.count_nonzero(~known)} atoms, the first "
            f"being atom {int(np.argmin(known))}. Give them a value; 0 keeps an atom where it is."
        )
    energies, rng = [], resolve_rng(rng)
    for _ in range(samples):
        drawn = atoms.copy()
        along_each_axis = rng.standard_normal((len(atoms), 2)) * spread[:, None] / np.sqrt(2)
        drawn.positions[:, :2] += along_each_axis
        end = _relax(drawn, engine=name).atoms if relax else single_point(drawn, engine=name)
        energies.append(end.get_potential_energy())
    return np.array(energies)


def unscaled(run: Run | Atoms) -> Run | Atoms:
    """Take an engine's own length scale out again, so that lengths compare with the picture.

    Parameters
    ----------
    run
        A `Run` or one `Atoms` of it. Positions shrink about their centre (and the in-plane cell with them) by
        the ``lattice_scale`` that `relax` noted; energies stay what they were.
    """
    if isinstance(run, Run):
        frames = [unscaled(frame) for frame in run.trajectory]
        log, scale = run.log.copy(), scale_of(run.atoms)
        if "mean_bond_A" in log:
            log["mean_bond_A"] /= scale
        return replace(run, atoms=frames[-1], trajectory=frames, log=log, info=run.info | {"scale": 1.0})
    atoms = stretched(run, 1.0 / scale_of(run))
    atoms.info["lattice_scale"] = 1.0
    if run.calc is not None and "energy" in run.calc.results:
        atoms.calc = SinglePointCalculator(atoms, energy=run.calc.results["energy"])
    return atoms


def _check_structure(atoms: Atoms) -> None:
    """Refuse positions that are not numbers and pairs closer than 60 % of a bond."""
    if not np.isfinite(atoms.positions).all():
        raise ValueError("`atoms` has positions that are not numbers. Remove those atoms before simulating.")
    if not np.linalg.norm(atoms.cell[atoms.pbc], axis=1).all():
        raise ValueError(
            f"`atoms` has pbc {atoms.pbc.tolist()} but its cell has no length in a periodic direction. "
            "Set the cell, or pbc to False where the structure ends."
        )
    radii = covalent_radii[atoms.numbers]
    first, second, distance = neighbor_list("ijd", atoms, 1.2 * float(radii.max()))
    ratio = distance / (radii[first] + radii[second])
    if ratio.size and ratio.min() < 0.6:
        k = int(np.argmin(ratio))
        i, j = int(first[k]), int(second[k])
        raise ValueError(
            f"atoms {i} ({atoms.symbols[i]}) and {j} ({atoms.symbols[j]}) are {distance[k]:.2f} Å apart; no "
            f"engine can start from that. Remove one of them, or ask `to_atoms` to resolve contacts."
        )
