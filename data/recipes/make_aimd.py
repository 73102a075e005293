"""Compute the ab initio dynamics that ships: graphene, eight atoms, PBE.

usage: python data/recipes/make_aimd.py [DATA_FOLDER] [STEPS]

Needs GPAW (the extra `quantum`). Nine seconds of one core a step. It can be stopped at any time and goes on
from the last step that it wrote; a smaller number of STEPS than is there already leaves it as it is.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
from ase import Atoms, units
from ase.build import graphene
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import read, write
from ase.md.verlet import VelocityVerlet

import elit_helpers as eh
from elit_helpers.core.files import atomic_write
from elit_helpers.engines import quantum

LATTICE_A, CELLS, VACUUM_A = 2.475, 2, 5.0
START_K, STEPS, TIMESTEP_FS, SAVE_EVERY = 1200, 99, 1.0, 5
OTHERS, REPEAT, EVERY = ("tblite:gfn1", "tblite:gfn2", "lammps:lcbop", "lammps:airebo"), 3, 4
DFTB_FRAMES = (12, 24, 36, 48, 60)  # of the dynamics in data/dftb_plus; each costs a minute of PBE


def start():
    """Graphene at rest, set in motion."""
    atoms = graphene(size=(CELLS, CELLS, 1), a=LATTICE_A, vacuum=VACUUM_A)
    atoms.pbc = (True, True, False)
    return heated(atoms, START_K)


def heated(atoms, kelvin):
    """The atoms with Maxwell-Boltzmann velocities, without drift."""
    spread = np.sqrt(units.kB * kelvin * atoms.get_masses())[:, None]
    momenta = spread * np.random.default_rng(6).standard_normal((len(atoms), 3))
    atoms.set_momenta(momenta - momenta.mean(axis=0))
    return atoms


def snapshot(atoms, step):
    """A copy that keeps energy and forces."""
    kept = atoms.copy()
    kept.calc = SinglePointCalculator(kept, energy=atoms.get_potential_energy(), forces=atoms.get_forces())
    kept.info["time_fs"] = step * TIMESTEP_FS
    return kept


def move(path, steps, begin=start, save_every=SAVE_EVERY):
    """Dynamics at constant energy from `begin()`; every step goes to `path`, in chunks."""
    frames = read(path, index=":") if path.exists() else []
    atoms = frames[-1].copy() if frames else begin()
    if len(frames) > steps:
        return frames
    log = path.with_suffix(".json")
    seconds = json.loads(log.read_text())["cpu_seconds"] if log.exists() else 0.0
    atoms.calc = quantum.calculator("gpaw:pbe", begin())  # of the first frame: the box stays the same
    driver = VelocityVerlet(atoms, timestep=TIMESTEP_FS * units.fs)
    while len(frames) <= steps:
        began = time.process_time()
        for _ in range(save_every):
            if frames:
                driver.run(1)
            frames.append(snapshot(atoms, len(frames)))
        seconds += time.process_time() - began
        with atomic_write(path) as target:
            write(target, frames, format="extxyz")
        with atomic_write(log) as target:
            target.write_text(json.dumps({"frames": len(frames), "cpu_seconds": round(seconds, 1)}) + "\n")
    return frames


def other_forces(frames):
    """Forces of the other levels on the same frames: (level, frame, atom, 3) by name [eV/Å].

    Tight binding knows Γ only: 3×3 of the cells at Γ are one cell with the 3×3 k-points that PBE has.
    """
    found = {}
    for level in filter(eh.has_engine, (*OTHERS, "dftb+:mio")):
        own = []
        for frame in frames:
            large = frame.repeat((REPEAT, REPEAT, 1))
            forces = eh.single_point(large, engine=level).get_forces()
            own.append(forces[: len(frame)])
        found[level] = np.array(own)
    return found


def dftb_frames(folder):
    """A few frames of the DFTB dynamics that ships, with the forces of every level, as far as time allows."""
    frames = read(folder / "dftb_plus" / "stone_wales_md_300K.extxyz", index=":")
    frames = [frames[i] for i in DFTB_FRAMES]
    found = {"dftb+:mio": np.array([frame.get_forces() for frame in frames])}
    for level in (*OTHERS, "gpaw:pbe"):
        found[level] = np.array([eh.single_point(bare(f), engine=level).get_forces() for f in frames])
    return found


def bare(frame):
    """The atoms and their cell, nothing else."""
    return Atoms(frame.symbols, frame.positions, cell=frame.cell, pbc=frame.pbc)


def summary(name, forces, reference):
    """How far each level's forces are from the reference's: root mean square, median, largest; slope."""
    rows, right = [], forces[reference]
    size = np.linalg.norm(right, axis=-1)
    for level, own in forces.items():
        if level != reference:
            error = np.linalg.norm(own - right, axis=-1)
            rows.append({
                "frames_of": name, "level": level, "reference": reference, "frames": len(right),
                "rms_force": np.sqrt((size**2).mean()), "rms_error": np.sqrt((error**2).mean()),
                "median_force": np.median(size), "median_error": np.median(error),
                "largest_error": error.max(),
                "correlation": np.corrcoef(own.ravel(), right.ravel())[0, 1],
                "slope": (own * right).sum() / (right**2).sum(),
            })  # fmt: skip
    return pd.DataFrame(rows)


def main(folder, steps):
    target = folder / "quantum"
    target.mkdir(exist_ok=True)
    frames = move(target / "aimd_pbe.extxyz", steps)
    forces = {"gpaw:pbe": np.array([f.get_forces() for f in frames[::EVERY]])} | other_forces(frames[::EVERY])
    tables = [summary("PBE, 8 atoms", forces, "gpaw:pbe")]
    arrays = {f"aimd {level}": own.astype(np.float32) for level, own in forces.items()}
    if (folder / "dftb_plus").is_dir():
        forces = dftb_frames(folder)
        tables.append(summary("DFTB, Stone-Wales", forces, "gpaw:pbe"))
        arrays |= {f"dftb {level}": own.astype(np.float32) for level, own in forces.items()}
    with atomic_write(target / "forces.csv") as path:
        pd.concat(tables).round(4).to_csv(path, index=False)
    with atomic_write(target / "forces.npz") as path:
        np.savez_compressed(path, **arrays)


if __name__ == "__main__":
    here = Path(__file__).resolve().parent.parent
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else here, int(sys.argv[2]) if len(sys.argv) > 2 else STEPS)
