"""Relaxation and molecular dynamics with an engine chosen by name.

`relax` and `run_md` take ASE `Atoms` and give a `Run`: the final structure, the frames on the way, a log and
what is worth knowing about the run. LAMMPS does its own steps (chunks of its `run` and `minimize`); tight
binding and the Lennard-Jones lesson go through ASE. Which engine knows which elements is in `ENGINES`.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from ase import Atoms, units
from ase.calculators.singlepoint import SinglePointCalculator
from ase.data import covalent_radii
from ase.md.velocitydistribution import Stationary, ZeroRotation
from ase.neighborlist import neighbor_list

from elit_helpers import _ase_engines, _lammps
from elit_helpers._common import EngineMissing, check_choice, check_positive, resolve_rng, spawn_seeds
from elit_helpers._common import progress as progress_bar
from elit_helpers._engines import (
    ENGINES,
    PICTURE_LATTICE_A,
    Engine,
    EngineChoice,
    choose_engine,
    engine_table,
    stretched,
    to_own_lattice,
)
from elit_helpers._lammps import SimulationError, potential_file
from elit_helpers.samples import add_stone_wales, add_vacancy, graphene_sheet, nearest

__all__ = [
    "ENGINES", "Engine", "EngineChoice", "EngineMissing", "Run", "SimulationError", "choose_engine",
    "compare_potentials", "engine_table", "potential_file", "relax", "run_md", "single_point", "unscaled",
]  # fmt: skip

LOG_COLUMNS = ["step", "time_fs", "temperature_K", "potential_eV", "kinetic_eV", "total_eV"]


@dataclass
class Run:
    """What a relaxation or a simulation gives.

    Attributes
    ----------
    atoms
        The last frame, with momenta, energy and forces; cell and periodicity as the caller had them.
    trajectory
        Frames, the first one being the start.
    log
        One row a frame. MD: step, time_fs, temperature_K, potential_eV, kinetic_eV, total_eV.
        Relaxation: step, potential_eV, fmax_eV_A.
    engine
        The engine's name.
    info
        Settings, the engine's choice and its reason, `scale` and what was reached.
    """

    atoms: Atoms
    trajectory: list[Atoms]
    log: pd.DataFrame
    engine: str
    info: dict[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        last = self.log.iloc[-1]
        return (
            f"Run({self.engine}, {self.atoms.get_chemical_formula()}, {len(self.trajectory)} frames, "
            f"{int(last['step'])} steps, {last['potential_eV'] / len(self.atoms):.3f} eV/atom)"
        )


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
        For an unknown engine or element, atoms too close, or ``cell="xy"`` on a flake.
    SimulationError
        If the engine stops or gives what is not a number.
    """
    choice = choose_engine(atoms, engine)
    _check_structure(atoms)
    check_positive("fmax", fmax, unit="eV/Å")
    _check_steps(steps)
    check_choice("cell", cell, [None, "xy"])
    if cell == "xy" and not atoms.pbc[:2].all():
        raise ValueError("cell='xy' needs a sheet that is periodic in x and y; pass cell=None for a flake.")
    start = time.perf_counter()
    free = engine == "auto" or cell == "xy" or not atoms.pbc[:2].any()
    scaled, scale = to_own_lattice(atoms, choice.name) if free else (atoms.copy(), 1.0)
    flat = len(scaled) > 3 and np.ptp(scaled.positions[:, 2]) < 1e-6
    if flat and nudge_A:
        nudge = nudge_A * np.random.default_rng(0).standard_normal(len(scaled))
        scaled.positions[:, 2] += np.where(_lammps.held_atoms(scaled), 0.0, nudge)
    kind, _, method = choice.name.partition(":")
    relaxer = _lammps.minimise if kind == "lammps" else _ase_engines.minimise
    moments = list(relaxer(scaled, method, fmax=fmax, steps=steps, cell=cell))
    frames = [_frame(scaled, moment, scale) for moment in moments]
    log = pd.DataFrame(
        {
            "step": [m.step for m in moments],
            "potential_eV": [m.energy for m in moments],
            "fmax_eV_A": [float(np.linalg.norm(m.forces, axis=1).max()) for m in moments],
        }
    )
    last = log.iloc[-1]
    info = _common_info(choice, scale, start) | {
        "converged": bool(last["fmax_eV_A"] <= fmax * 1.001),
        "fmax": float(last["fmax_eV_A"]),
        "steps": int(last["step"]),
        "energy_eV": float(last["potential_eV"]),
        "nudged_A": nudge_A if flat else 0.0,
    }
    return Run(_frame(scaled, moments[-1], scale), frames, log, choice.name, info)


def run_md(
    atoms: Atoms,
    *,
    engine: str = "auto",
    steps: int,
    timestep_fs: float = 1.0,
    temperature_K: float | None = 300.0,
    ensemble: str = "nve",
    rng: Any = None,
    every: int = 10,
    progress: bool = False,
) -> Run:
    """Molecular dynamics at constant energy (``"nve"``) or temperature (``"nvt"``, Langevin, 100 fs).

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
        without rotation). None goes on with those that `atoms` has; ``"nvt"`` holds this temperature.
    ensemble
        ``"nve"`` or ``"nvt"``.
    rng
        Seed or generator for velocities and thermostat.
    every
        Steps between frames and rows of the log.
    progress
        Show a bar.

    Returns
    -------
    Run
        `info` has ``drift_meV_per_atom`` (trend of the total energy over the run), ``atom_steps_per_s``
        and ``seed``.

    Raises
    ------
    ValueError
        For an unknown engine or element, atoms too close, or a setting out of range.
    SimulationError
        If the engine stops or the structure blows up.
    """
    choice = choose_engine(atoms, engine)
    _check_structure(atoms)
    _check_md(steps, timestep_fs, temperature_K, ensemble, every)
    seed = spawn_seeds(rng, 1)[0]
    start = time.perf_counter()
    moving = _with_velocities(atoms, temperature_K, resolve_rng(seed))
    kind, _, method = choice.name.partition(":")
    run = _lammps.dynamics if kind == "lammps" else _ase_engines.dynamics
    bath = temperature_K if ensemble == "nvt" else None
    steady = run(moving, method, steps=steps, timestep_fs=timestep_fs, bath_K=bath, seed=seed, every=every)
    moments = list(_bar(steady, steps, every, progress))
    scale = float(atoms.info.get("lattice_scale", 1.0))
    frames = [_frame(moving, moment, scale) for moment in moments]
    log = _md_log(moments, frames, timestep_fs, conserves_rotation=bath is None)
    seconds = time.perf_counter() - start
    info = _common_info(choice, scale, start) | {
        "ensemble": ensemble, "temperature_K": temperature_K, "timestep_fs": timestep_fs, "seed": seed,
        "drift_meV_per_atom": _drift(log, len(atoms)), "atom_steps_per_s": len(atoms) * steps / seconds,
    }  # fmt: skip
    return Run(_frame(moving, moments[-1], scale), frames, log, choice.name, info)


def single_point(atoms: Atoms, *, engine: str = "auto") -> Atoms:
    """A copy of a structure with its energy [eV] and forces [eV/Å] attached, nothing moved."""
    choice = choose_engine(atoms, engine)
    _check_structure(atoms)
    kind, _, method = choice.name.partition(":")
    run = _lammps.dynamics if kind == "lammps" else _ase_engines.dynamics
    (moment,) = run(atoms, method, steps=0, timestep_fs=1.0, bath_K=None, seed=1, every=1)
    return _frame(atoms, moment, float(atoms.info.get("lattice_scale", 1.0)))


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
        return Run(unscaled(run.atoms), frames, run.log, run.engine, run.info | {"scale": 1.0})
    atoms = stretched(run, 1.0 / float(run.info.get("lattice_scale", 1.0)))
    atoms.info["lattice_scale"] = 1.0
    if run.calc is not None and "energy" in run.calc.results:
        atoms.calc = SinglePointCalculator(atoms, energy=run.calc.results["energy"])
    return atoms


def compare_potentials(
    engines: Iterable[str] = ("lammps:tersoff", "lammps:erhart-albe", "lammps:airebo", "lammps:lcbop"),
    *,
    repeats: tuple[int, int] = (12, 7),
) -> pd.DataFrame:
    """Graphene as each potential has it, beside density-functional theory.

    Parameters
    ----------
    engines
        Keys of `ENGINES` that start with ``lammps:``.
    repeats
        Size of the sheet in rectangular cells of four atoms (336 atoms for 12×7).

    Returns
    -------
    DataFrame
        Index `engine`; columns ``lattice_A``, ``bond_A``, ``cohesive_eV`` (an atom), ``vacancy_eV``,
        ``stone_wales_flat_eV`` and ``stone_wales_eV`` (free to buckle); the last row is DFT-PBE from the
        literature.
    """
    rows = {name: _graphene_numbers(name, repeats) for name in engines}
    pbe = {"lattice_A": 2.467, "bond_A": 1.424, "vacancy_eV": 7.6, "stone_wales_eV": 4.9}
    return pd.DataFrame.from_dict(rows | {"DFT-PBE": pbe}, orient="index").rename_axis("engine")


def _graphene_numbers(name: str, repeats: tuple[int, int]) -> dict[str, float]:
    lattice = ENGINES[check_choice("engine", name, list(ENGINES))].lattice_A or PICTURE_LATTICE_A
    sheet = graphene_sheet(repeats, a=lattice)
    perfect = relax(sheet, engine=name, cell="xy", fmax=0.005, nudge_A=0.0)
    relaxed, an_atom = perfect.atoms, perfect.info["energy_eV"] / len(sheet)
    middle = nearest(relaxed, relaxed.positions.mean(axis=0)[:2])
    vacancy, _ = add_vacancy(relaxed, middle)
    turned, _ = add_stone_wales(relaxed, middle)
    flat, bent = ({"nudge_A": 0.0}, {"nudge_A": 0.1})
    energies = [
        relax(a, engine=name, steps=2000, **shape).info["energy_eV"]
        for a, shape in ((vacancy, flat), (turned, flat), (turned, bent))
    ]
    length = float(np.linalg.norm(relaxed.cell[0]) / repeats[0])
    return {
        "lattice_A": length,
        "bond_A": length / np.sqrt(3),
        "cohesive_eV": an_atom,
        "vacancy_eV": energies[0] - len(vacancy) * an_atom,
        "stone_wales_flat_eV": energies[1] - len(turned) * an_atom,
        "stone_wales_eV": energies[2] - len(turned) * an_atom,
    }


def _frame(like: Atoms, moment: Any, scale: float) -> Atoms:
    """The caller's `Atoms` at a moment of a run, with momenta, energy and forces."""
    atoms = like.copy()
    atoms.positions = moment.positions
    if moment.cell is not None:
        cell = np.array(like.cell)
        cell[atoms.pbc] = moment.cell[atoms.pbc]
        if not np.allclose(cell, like.cell, atol=1e-9):  # turning it there and back leaves a rounding error
            atoms.cell = cell
    if moment.velocities is not None:
        atoms.set_velocities(moment.velocities)
    atoms.info["lattice_scale"] = scale
    atoms.calc = SinglePointCalculator(atoms, energy=moment.energy, forces=moment.forces)
    return atoms


def _common_info(choice: EngineChoice, scale: float, start: float) -> dict[str, Any]:
    return {
        "engine": choice.name,
        "reason": choice.reason,
        "lattice_mismatch": choice.lattice_mismatch,
        "scale": scale,
        "seconds": time.perf_counter() - start,
    }


def _md_log(
    moments: list, frames: list[Atoms], timestep_fs: float, *, conserves_rotation: bool
) -> pd.DataFrame:
    freedom = _freedom(frames[0], conserves_rotation=conserves_rotation)
    kinetic = np.array([frame.get_kinetic_energy() for frame in frames])
    potential = np.array([moment.energy for moment in moments])
    steps = np.array([moment.step for moment in moments])
    columns = (
        steps,
        steps * timestep_fs,
        2 * kinetic / (freedom * units.kB),
        potential,
        kinetic,
        potential + kinetic,
    )
    return pd.DataFrame(dict(zip(LOG_COLUMNS, columns, strict=True)))


def _drift(log: pd.DataFrame, n_atoms: int) -> float:
    if len(log) < 3:
        return float("nan")
    slope = np.polyfit(log["time_fs"], log["total_eV"], 1)[0]
    return float(slope * log["time_fs"].iloc[-1] / n_atoms * 1000)


def _with_velocities(atoms: Atoms, temperature_K: float | None, rng: np.random.Generator) -> Atoms:
    moving = atoms.copy()
    if temperature_K is None:
        return moving
    spread = np.sqrt(units.kB * temperature_K * moving.get_masses())
    moving.set_momenta(rng.standard_normal((len(moving), 3)) * spread[:, None])
    if not _lammps.held_atoms(moving).any():  # what is held can neither drift nor turn
        Stationary(moving)
        if not moving.pbc.any() and len(moving) > 2:
            ZeroRotation(moving)
    # A draw for few atoms strays by several per cent: what is asked for is what the run starts with.
    drawn = 2 * moving.get_kinetic_energy() / (_freedom(moving, conserves_rotation=True) * units.kB)
    if drawn > 0:
        moving.set_momenta(moving.get_momenta() * np.sqrt(temperature_K / drawn))
    return moving


def _freedom(atoms: Atoms, *, conserves_rotation: bool) -> int:
    """What cannot move carries no heat: held atoms, or else drift and, for a flake, rotation as a whole."""
    held = _lammps.held_atoms(atoms).sum()
    frozen = 6 if conserves_rotation and not atoms.pbc.any() else 3
    return max(3 * (len(atoms) - held) - (0 if held else frozen), 1)


def _bar(moments: Iterable, steps: int, every: int, enabled: bool) -> Iterable:
    return progress_bar(moments, total=steps // every + 1, desc="MD", enabled=enabled)


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


def _check_steps(steps: int) -> None:
    if isinstance(steps, bool) or not isinstance(steps, (int, np.integer)) or steps < 0:
        raise ValueError(f"`steps` is {steps!r}; it must be a whole number, zero or more.")


def _check_md(steps: int, timestep_fs: float, temperature_K: float | None, ensemble: str, every: int) -> None:
    _check_steps(steps)
    check_positive("timestep_fs", timestep_fs, unit="fs")
    if timestep_fs > 3:
        raise ValueError(
            f"`timestep_fs` is {timestep_fs:g} fs; a C–C bond swings in about 20 fs. Use 1 fs or less."
        )
    check_choice("ensemble", ensemble, ["nve", "nvt"])
    if temperature_K is not None or ensemble == "nvt":
        check_positive("temperature_K", temperature_K, unit="K")
    if not isinstance(every, (int, np.integer)) or every < 1:
        raise ValueError(f"`every` is {every!r}; it must be a whole number of steps, at least 1.")
