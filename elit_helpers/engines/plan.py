"""What every engine is asked for and what it answers, whoever makes the steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms
from ase.constraints import FixAtoms

from elit_helpers.core.checks import ElitError

DAMPING_FS = 100.0  # the bath forgets within this time: short for a classroom run, long for a C–C bond
ENSEMBLES = ("nve", "nvt", "nvt-nose-hoover")


class SimulationError(ElitError):
    """An engine stopped, or its result is not a number; the engine's own message is part of the text.

    Attributes
    ----------
    run
        What the simulation had given until then, as a `Run`; None if there was nothing yet.
    """

    run: Any = None


@dataclass(frozen=True)
class Plan:
    """What a simulation is to do. The defaults look once and move nothing."""

    steps: int = 0
    timestep_fs: float = 1.0
    ensemble: str = "nve"
    bath_K: float | None = None
    seed: int = 1
    every: int = 1
    threads: int = 1
    ranks: int = 1

    def chunks(self):
        """Give the lengths of the runs between two looks."""
        for done in range(0, self.steps, self.every):
            yield min(self.every, self.steps - done)


@dataclass
class Snapshot:
    """What an engine holds at one moment, in the caller's frame and order: Å, eV, ASE's velocities."""

    positions: np.ndarray  # (N, 3)
    velocities: np.ndarray  # (N, 3), ASE units
    forces: np.ndarray  # (N, 3)
    energy: float
    cell: np.ndarray  # (3, 3) of the box the engine used
    step: int  # time steps or iterations done

    def __post_init__(self) -> None:
        """Refuse what is not a number, so that nobody computes with it."""
        for name in ("positions", "velocities", "forces", "energy"):
            value = getattr(self, name)
            if np.isfinite(np.sum(value)):  # one number that is none makes the sum none
                continue
            bad = np.count_nonzero(~np.isfinite(value))
            what = "the energy is" if name == "energy" else f"{bad} components of the {name} are"
            raise SimulationError(
                f"after {self.step} steps {what} not a number any more: the structure has blown up. "
                "Relax it first, or take a shorter time step (0.5 fs, or 0.2 fs when it starts very hot)."
            )


def held_atoms(atoms: Atoms) -> np.ndarray:
    """Mask (N,) of the atoms that an `ase.constraints.FixAtoms` holds."""
    held = np.zeros(len(atoms), bool)
    for constraint in atoms.constraints:
        if isinstance(constraint, FixAtoms):
            held[constraint.index] = True
    return held
