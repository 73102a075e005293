"""Compute the DFTB results that ship: a vacancy and a Stone-Wales defect relaxed, and dynamics of the latter.

usage: DFTB_PREFIX=FOLDER_OF_MIO-1-1/ python data/recipes/make_dftb_plus.py [DATA_FOLDER]

Needs `dftb+` on the path (conda-forge: dftbplus) and the Slater-Koster set mio-1-1 (dftb.org).
Some minutes on two cores. What ships was made with these settings, its random numbers drawn in another order.
"""

import json
import os
import sys
import tempfile
from pathlib import Path

import numpy as np
from ase import units
from ase.build import graphene
from ase.calculators.dftb import Dftb
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write
from ase.md.langevin import Langevin
from ase.optimize import FIRE

import elit_helpers as eh

LATTICE_A = 2.472  # DFTB2 with mio-1-1
CELLS, VACUUM_A, FMAX, EVERY = 6, 8.0, 0.05, 5
START_K, BATH_K, FRICTION_PER_FS, STEPS = 600, 300, 0.01, 300


def calculator():
    """Self-consistent charges at one k-point, electrons at about 1000 K so that they settle."""
    return Dftb(
        kpts=(1, 1, 1),
        Hamiltonian_SCC="Yes",
        Hamiltonian_SCCTolerance=1e-6,
        Hamiltonian_MaxSCCIterations=300,
        Hamiltonian_Filling_="Fermi",
        Hamiltonian_Filling_Temperature=0.00316,
        Hamiltonian_MaxAngularMomentum_="",
        Hamiltonian_MaxAngularMomentum_C="p",
    )


def snapshot(atoms):
    """A copy that keeps energy and forces."""
    kept = atoms.copy()
    kept.calc = SinglePointCalculator(kept, energy=atoms.get_potential_energy(), forces=atoms.get_forces())
    return kept


def relax(atoms, path):
    """Relax in place; every fifth step and the last go to `path`."""
    frames = []
    atoms.calc = calculator()
    with FIRE(atoms, logfile=None) as optimizer:
        optimizer.attach(lambda: frames.append(snapshot(atoms)), interval=EVERY)
        optimizer.run(fmax=FMAX, steps=120)
    write(path, [*frames, snapshot(atoms)], format="extxyz")
    return {"e": atoms.get_potential_energy(), "steps": optimizer.nsteps}


def move(atoms, path):
    """Langevin dynamics; every fifth femtosecond goes to `path`."""
    frames = []
    spread = np.sqrt(units.kB * START_K * atoms.get_masses())[:, None]
    atoms.set_momenta(spread * np.random.default_rng(3).standard_normal((len(atoms), 3)))
    bath = {"temperature_K": BATH_K, "friction": FRICTION_PER_FS / units.fs, "rng": np.random.default_rng(4)}
    dynamics = Langevin(atoms, units.fs, **bath)
    dynamics.attach(lambda: frames.append(snapshot(atoms)), interval=EVERY)
    dynamics.run(STEPS)
    write(path, frames, format="extxyz")
    return {"steps": STEPS, "T": atoms.get_temperature()}


def main(folder):
    if "DFTB_PREFIX" not in os.environ:
        sys.exit("Set DFTB_PREFIX to the folder of the Slater-Koster set mio-1-1, with a final slash.")
    target = (folder / "dftb_plus").resolve()
    target.mkdir(exist_ok=True)
    perfect = graphene(size=(CELLS, CELLS, 1), a=LATTICE_A, vacuum=VACUUM_A)
    perfect.pbc = (True, True, False)
    vacancy, _ = eh.add_vacancy(perfect, len(perfect) // 2)
    vacancy.rattle(0.01, seed=1)
    wales, _ = eh.add_stone_wales(perfect, len(perfect) // 2)
    wales.rattle(0.02, seed=2)
    with tempfile.TemporaryDirectory() as scratch:
        os.chdir(scratch)  # the program reads and writes in the current folder only
        perfect.calc = calculator()
        log = {"pristine": {"n": len(perfect), "e": perfect.get_potential_energy()}}
        log["vacancy"] = relax(vacancy, target / "vacancy_relaxation.extxyz")
        log["stone_wales"] = relax(wales, target / "stone_wales_relaxation.extxyz")
        log["md"] = move(wales, target / "stone_wales_md_300K.extxyz")
        os.chdir(target)
    for name, atoms in (("vacancy", vacancy), ("stone_wales", wales)):
        log[name]["formation"] = log[name]["e"] - len(atoms) / len(perfect) * log["pristine"]["e"]
    (target / "log.json").write_text(json.dumps(log, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent.parent)
