"""What a relaxation or a simulation gives."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from ase import Atoms

from elit_helpers.engines.catalogue import EngineChoice


@dataclass
class Run:
    """What a relaxation or a simulation gives.

    Attributes
    ----------
    atoms
        The last frame, with momenta, energy and forces; cell and periodicity as the caller had them.
    trajectory
        Frames, the first one being the start and the last one the end; ``info["time_fs"]`` in those of MD.
    log
        MD: a row every `every` steps with step, time_fs, temperature_K, potential_eV, kinetic_eV, total_eV,
        bonds (their number; cut-offs as in `bonds`, for lengths of the picture) and mean_bond_A (the
        engine's own length). Relaxation: a row a frame with step, potential_eV, fmax_eV_A.
    engine
        The engine's name.
    info
        Settings, the engine's choice and its reason, `scale` and what was reached.
    census
        MD that was watched: step, time_fs and the number of rings of each size, at the times of a count.
    """

    atoms: Atoms
    trajectory: list[Atoms]
    log: pd.DataFrame
    engine: str
    info: dict[str, Any] = field(default_factory=dict)
    census: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=["step", "time_fs"]))

    def __repr__(self) -> str:
        last, stopped = self.log.iloc[-1], self.info.get("stopped")
        return (
            f"Run({self.engine}, {self.atoms.get_chemical_formula()}, {len(self.trajectory)} frames, "
            f"{int(last['step'])} steps, {last['potential_eV'] / len(self.atoms):.3f} eV/atom"
            f"{f', stopped: {stopped}' if stopped else ''})"
        )


def common_info(choice: EngineChoice, scale: float, start: float) -> dict[str, Any]:
    """What every run says about itself; `start` is when it began."""
    return {
        "engine": choice.name,
        "reason": choice.reason,
        "lattice_mismatch": choice.lattice_mismatch,
        "scale": scale,
        "seconds": time.perf_counter() - start,
    }


def relaxation(frames: list[Atoms], steps: list[int], fmax: float, info: dict[str, Any]) -> Run:
    """The `Run` of a relaxation from its frames, which carry energies and forces."""
    largest = [float(np.linalg.norm(f.get_forces(apply_constraint=False), axis=1).max()) for f in frames]
    energies = [f.get_potential_energy() for f in frames]
    log = pd.DataFrame({"step": steps, "potential_eV": energies, "fmax_eV_A": largest})
    info |= {
        "converged": largest[-1] <= fmax * 1.001, "fmax": largest[-1],
        "steps": int(steps[-1]), "energy_eV": float(energies[-1]),
    }  # fmt: skip
    return Run(frames[-1], frames, log, info["engine"], info)
