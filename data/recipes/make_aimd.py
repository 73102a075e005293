"""Compute the ab initio dynamics that ships: graphene, eight atoms, PBE.

usage: python data/recipes/make_aimd.py [DATA_FOLDER] [STEPS]

Needs GPAW (the extra `quantum`). About 10 s of one core a step. It can be stopped at any time and goes on
from the last step that it wrote; a smaller number of STEPS than is there already leaves it as it is.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
from ase import units
from ase.build import graphene
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import read, write
from ase.md.verlet import VelocityVerlet

from elit_helpers import _quantum
from elit_helpers._common import atomic_write

LATTICE_A, CELLS, VACUUM_A = 2.475, 2, 5.0
START_K, STEPS, TIMESTEP_FS, SAVE_EVERY = 1200, 200, 1.0, 5


def start():
    """Graphene with Maxwell-Boltzmann velocities, without drift."""
    atoms = graphene(size=(CELLS, CELLS, 1), a=LATTICE_A, vacuum=VACUUM_A)
    atoms.pbc = (True, True, False)
    spread = np.sqrt(units.kB * START_K * atoms.get_masses())[:, None]
    momenta = spread * np.random.default_rng(6).standard_normal((len(atoms), 3))
    atoms.set_momenta(momenta - momenta.mean(axis=0))
    return atoms


def snapshot(atoms, step):
    """A copy that keeps energy and forces."""
    kept = atoms.copy()
    kept.calc = SinglePointCalculator(kept, energy=atoms.get_potential_energy(), forces=atoms.get_forces())
    kept.info["time_fs"] = step * TIMESTEP_FS
    return kept


def move(path, steps):
    """Dynamics at constant energy; every step goes to `path`, in chunks."""
    frames = read(path, index=":") if path.exists() else []
    atoms = frames[-1].copy() if frames else start()
    if len(frames) > steps:
        return frames
    log = path.with_suffix(".json")
    seconds = json.loads(log.read_text())["cpu_seconds"] if log.exists() else 0.0
    atoms.calc = _quantum.calculator("gpaw:pbe", atoms)
    driver = VelocityVerlet(atoms, timestep=TIMESTEP_FS * units.fs)
    while len(frames) <= steps:
        began = time.process_time()
        for _ in range(SAVE_EVERY):
            if frames:
                driver.run(1)
            frames.append(snapshot(atoms, len(frames)))
        seconds += time.process_time() - began
        with atomic_write(path) as target:
            write(target, frames, format="extxyz")
        with atomic_write(log) as target:
            target.write_text(json.dumps({"frames": len(frames), "cpu_seconds": round(seconds, 1)}) + "\n")
    return frames


def main(folder, steps):
    (folder / "quantum").mkdir(exist_ok=True)
    move(folder / "quantum" / "aimd_pbe.extxyz", steps)


if __name__ == "__main__":
    here = Path(__file__).resolve().parent.parent
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else here, int(sys.argv[2]) if len(sys.argv) > 2 else STEPS)
