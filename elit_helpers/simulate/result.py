"""What a relaxation or a simulation gives, and the scale between a picture's lattice and an engine's."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.data import covalent_radii
from ase.neighborlist import neighbor_list

from elit_helpers.core.checks import logger
from elit_helpers.engines.catalogue import PICTURE_LATTICE_A, Engine, EngineChoice
from elit_helpers.samples.materials import LONGEST_CC_A


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
        unsettled = "" if self.info.get("converged", True) else f", {self.info['fmax']:.2g} eV/Å left"
        return (
            f"Run({self.engine}, {self.atoms.get_chemical_formula()}, {len(self.trajectory)} frames, "
            f"{int(last['step'])} steps, {last['potential_eV'] / len(self.atoms):.3f} eV/atom"
            f"{unsettled}{f', stopped: {stopped}' if stopped else ''})"
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
        "converged": largest[-1] <= fmax * 1.001, "fmax": largest[-1], "fmax_asked": fmax,
        "steps": int(steps[-1]), "energy_eV": float(energies[-1]),
    }  # fmt: skip
    return Run(frames[-1], frames, log, info["engine"], info)


def unsettled(run: Run) -> str | None:
    """Say how far a relaxation is from a minimum; None if it is at one, or was to take no step."""
    info = run.info
    if info["converged"] or not info["steps"]:
        return None
    return (
        f"the relaxation by {run.engine} stopped after {info['steps']} steps with {info['fmax']:.2g} eV/Å "
        f"left on an atom, where {info['fmax_asked']:g} were asked for: the structure is at no minimum"
    )


def warn_unsettled(run: Run) -> Run:
    """Warn of a relaxation that has not come to rest, and hand it on."""
    if said := unsettled(run):
        logger.warning("%s. Go on with relax(run.atoms, ...), or allow more `steps`.", said)
    return run


def scale_of(atoms: Atoms) -> float:
    """By which factor a structure's lengths are those of an engine and not those of the picture."""
    return float(atoms.info.get("lattice_scale", 1.0))


def to_own_lattice(atoms: Atoms, engine: Engine) -> tuple[Atoms, float]:
    """Bring a structure from the picture's lattice to the engine's, and say by which factor it now differs.

    Engines within 1 % of graphene leave the picture's lattice as it is (factor 1.0), and take out the factor
    that another engine has put in.
    """
    lattice, present = engine.lattice_A, scale_of(atoms)
    if lattice is None or not np.any(atoms.symbols == "C"):
        return atoms.copy(), present
    wanted = 1.0
    if abs(lattice / PICTURE_LATTICE_A - 1) > 0.01:
        wanted = lattice / (_lattice_of(atoms) / present)
    if abs(wanted / present - 1) < 0.01:
        return atoms.copy(), present
    return stretched(atoms, wanted / present), wanted


def _lattice_of(atoms: Atoms) -> float:
    """Median distance of second neighbours across carbon atoms with three bonds [Å].

    Noise in the positions lengthens it by a third of what it adds to a bond; the median ignores defects.
    Where there are too few such atoms for a median it is graphene's.
    """
    carbon = atoms[atoms.symbols == "C"]
    first, bond = neighbor_list("iD", carbon, LONGEST_CC_A)
    threefold = np.bincount(first, minlength=len(carbon)) == 3
    if threefold.sum() < 30:
        return PICTURE_LATTICE_A * scale_of(atoms)
    arms = bond[threefold[first]].reshape(-1, 3, 3)
    return float(np.median(np.linalg.norm(arms - np.roll(arms, 1, axis=1), axis=2)))


def stretched(atoms: Atoms, factor: float) -> Atoms:
    """All distances times `factor`: about the origin of a periodic cell, about its centre for a flake."""
    new = atoms.copy()
    periodic = np.asarray(atoms.pbc, bool)
    fixed = np.where(periodic, 0.0, atoms.positions.mean(axis=0))
    new.positions = fixed + (atoms.positions - fixed) * factor
    if periodic[:2].any():
        cell = np.array(atoms.cell)
        cell[:2] *= factor
        new.cell = cell
    return new


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


def check_structure(atoms: Atoms) -> None:
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
