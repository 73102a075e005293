"""Relaxation with an engine, chosen or named.

LAMMPS minimises by itself; the quantum engines and the Lennard-Jones lesson go through ASE. Which engine
knows which elements is in `ENGINES`; charge and spin are those that the `Atoms` carry.
"""

from __future__ import annotations

import time

import numpy as np
from ase import Atoms

from elit_helpers.core.checks import check_choice, check_count, check_positive
from elit_helpers.core.interrupts import Stopped
from elit_helpers.engines.catalogue import NAMED, EngineLike, choose_engine
from elit_helpers.engines.plan import SimulationError, Snapshot, held_atoms
from elit_helpers.simulate.record import frame
from elit_helpers.simulate.result import (
    Run,
    check_structure,
    common_info,
    relaxation,
    scale_of,
    to_own_lattice,
    warn_unsettled,
)


def relax(
    atoms: Atoms,
    *,
    engine: EngineLike = "auto",
    fmax: float = 0.02,
    steps: int = 3000,
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
        A key of `ENGINES`, ``"auto"``, an `Engine`, or a choice of `choose_engine`.
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
        `info` has ``converged``, ``fmax`` and ``fmax_asked`` [eV/Å], ``steps``, ``energy_eV``, ``scale``, the
        engine and why.
        A warning tells when the forces have not come down to `fmax`.

    Raises
    ------
    ValueError
        For an unknown engine or element, atoms too close, ``cell="xy"`` on a flake, or, for a quantum engine,
        an odd number of electrons without a spin (set it with ``atoms.set_initial_magnetic_moments``).
    SimulationError
        If the engine stops or gives what is not a number; its `run` has what there was until then.
    Stopped
        At an interrupt; its `result` is the `Run` until then, which says so.
    EngineMissing
        If the engine is not installed.
    """
    choice = choose_engine(atoms, engine)
    check_structure(atoms)
    check_positive("fmax", fmax, unit="eV/Å")
    check_count("steps", steps, 0)
    check_choice("cell", cell, [None, "xy"])
    if cell == "xy" and not atoms.pbc[:2].all():
        raise ValueError("cell='xy' needs a sheet that is periodic in x and y; pass cell=None for a flake.")
    start = time.perf_counter()
    free = choice.reason != NAMED or cell == "xy" or not atoms.pbc[:2].any()
    scaled, scale = to_own_lattice(atoms, choice.engine) if free else (atoms.copy(), scale_of(atoms))
    flat = len(scaled) > 3 and np.ptp(scaled.positions[:, 2]) < 1e-6
    if flat and nudge_A:
        nudge = nudge_A * np.random.default_rng(0).standard_normal(len(scaled))
        scaled.positions[:, 2] += np.where(held_atoms(scaled), 0.0, nudge)
    moments: list[Snapshot] = []

    def result() -> Run:
        info = common_info(choice, scale, start) | {"nudged_A": nudge_A if flat else 0.0}
        return relaxation([frame(scaled, m, scale) for m in moments], [m.step for m in moments], fmax, info)

    try:
        for moment in choice.engine.minimise(scaled, fmax=fmax, steps=steps, cell=cell):
            moments.append(moment)
    except SimulationError as error:
        error.run = result() if moments else None
        raise
    except KeyboardInterrupt as interrupt:
        raise _stopped(result() if moments else None, steps) from interrupt
    return warn_unsettled(result())


def _stopped(run: Run | None, steps: int) -> Stopped:
    """What an interrupt is turned into: where it came, and what there is."""
    if run is None:
        return Stopped("The relaxation was stopped by an interrupt before its first step.")
    run.info |= {
        "converged": False,
        "stopped": f"an interrupt after {run.info['steps']} of {steps} iterations",
    }
    return Stopped(
        f"The relaxation was stopped by {run.info['stopped']} at most, with forces of up to "
        f"{run.info['fmax']:.2g} eV/Å left. What there is until then is the `result` of this exception.",
        run,
    )
