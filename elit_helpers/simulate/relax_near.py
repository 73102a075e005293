"""A relaxation that hears the picture too: the most likely structure, given a potential and what was seen.

In the plane an atom is where it was seen, give or take the finder's error; out of it nothing was seen. A
potential alone does not know which of many buckled shapes a sheet has, and from a flat start falls into any.
"""

from __future__ import annotations

import time

import numpy as np
from ase import Atoms, units

from elit_helpers.core.checks import check_positive
from elit_helpers.engines.catalogue import Engine, EngineLike, choose_engine
from elit_helpers.engines.lammps import open_session
from elit_helpers.engines.plan import held_atoms
from elit_helpers.simulate.energies import single_point
from elit_helpers.simulate.result import Run, common_info, relaxation, to_own_lattice, warn_unsettled
from elit_helpers.structure.proposals import ERROR_A

NUDGE_A = 0.05  # out of the plane, so that a flat sheet can buckle
STYLES = ("cg", "fire", "cg")  # FIRE gets past the kinks where bonds switch on and off


def relax_near(
    atoms: Atoms,
    *,
    error_A: float = ERROR_A,
    temperature_K: float = 300.0,
    engine: EngineLike = "auto",
    fmax: float = 0.02,
    steps: int = 3000,
) -> Run:
    """Move the atoms downhill, each on a spring in the plane to where the picture has it.

    With a position known to `error_A` along x and y, and structures as likely as exp(-E / k_B T), the most
    likely structure has the least E + k_B T / (2 error²) · Σ (distance in the plane)². The springs replace a
    held rim: nothing is held, and nothing can drift or buckle away from the picture. How far the atoms went
    (``info["moved_A"]``) should not exceed the error by much; if it does, potential and picture disagree.

    Parameters
    ----------
    atoms
        A structure from a picture, N atoms, Å. What a `FixAtoms` holds stays where it is.
    error_A
        Error of a position along x or y [Å]. The spread of an ensemble is a lower bound of it; the default
        was measured with the shipped ensemble on the movie.
    temperature_K
        How sharply the potential tells good structures from bad ones [K]; the sample's.
    engine
        A key of `ENGINES` that starts with ``lammps:``, ``"auto"``, an `Engine` of that kind, or a choice of
        `choose_engine`.
    fmax
        Largest force left on any atom, springs included [eV/Å].
    steps
        Iterations at most.

    Returns
    -------
    Run
        As `relax` gives it, in the engine's own lattice (`unscaled` takes that out), with two frames. Energy
        and forces are those of the engine without the springs; `info` has ``spring_eV_A2`` and ``moved_A``
        (root mean square in the plane) besides.

    Raises
    ------
    ValueError
        For an unknown engine or element, or one that LAMMPS does not run.
    SimulationError
        If the engine stops or gives what is not a number.
    """
    choice, start = choose_engine(atoms, engine), time.perf_counter()
    if choice.engine.kind != "lammps":
        raise ValueError(
            f"`engine` is {choice.name!r}; the springs are LAMMPS's, take one of its potentials."
        )
    error, heat = check_positive("error_A", error_A, unit="Å"), check_positive("temperature_K", temperature_K)
    check_positive("fmax", fmax, unit="eV/Å")
    scaled, scale = to_own_lattice(atoms, choice.engine)
    scaled.info["lattice_scale"] = scale
    nudged = scaled.copy()
    if np.ptp(scaled.positions[:, 2]) < 1e-6:
        nudge = NUDGE_A * np.random.default_rng(0).standard_normal(len(scaled))
        nudged.positions[:, 2] += np.where(held_atoms(scaled), 0.0, nudge)
    spring = units.kB * heat / error**2
    end = _downhill(nudged, choice.engine, spring=spring, fmax=fmax, steps=int(steps))
    relaxed = scaled.copy()
    relaxed.positions = end.positions
    frames = [single_point(frame, engine=choice) for frame in (nudged, relaxed)]
    run = relaxation(frames, [0, end.step], fmax, common_info(choice, scale, start))
    away = relaxed.positions[:, :2] - scaled.positions[:, :2]
    largest = float(np.linalg.norm(end.forces[~held_atoms(scaled)], axis=1).max(initial=0.0))
    run.info |= {  # at rest are the springs and the potential together
        "converged": largest <= fmax * 1.001, "fmax": largest, "spring_eV_A2": float(spring),
        "moved_A": float(np.sqrt((away**2).sum(axis=1).mean()) / scale),
    }  # fmt: skip
    return warn_unsettled(run)


def _downhill(atoms: Atoms, engine: Engine, *, spring: float, fmax: float, steps: int):
    with open_session(atoms, engine.potential) as session:
        free = session.hold(atoms)
        session.command(f"fix picture {free} spring/self {spring:.10g} xy", "fix_modify picture energy yes")
        session.command("min_modify norm max", "run 0 post no")
        for style in STYLES:
            left = max(steps // len(STYLES), 1)
            session.command(f"min_style {style}")
            session.minimise(fmax, left)
        return session.snapshot()
