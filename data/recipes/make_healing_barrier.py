"""Find the barrier of the last step of healing: CH has closed the vacancy and gives its hydrogen away.

usage: python data/recipes/make_healing_barrier.py [DATA_FOLDER]

Two frames of a shipped run (recipe make_healing.py), one before and one after the hydrogen has moved, are
cooled with GFN1-xTB; a climbing-image nudged elastic band between them is DATA_FOLDER/healing/barrier.extxyz,
its settings and energies barrier.json. About a minute of one processor.
"""

import json
import os
import sys
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from ase import Atoms
from ase.constraints import FixAtoms
from ase.io import write
from ase.mep import NEB
from ase.optimize import FIRE
from tblite.ase import TBLite

import elit_helpers as eh
from elit_helpers.core.files import atomic_write
from elit_helpers.studies.healing import _bonded

RUN, BEFORE_FS, AFTER_FS = "xtb_CH_2.5_0_0_300_0", 170.0, 190.0
IMAGES, FMAX_BAND, FMAX, STEPS = 9, 0.3, 0.05, 200


def cooled(frame, rim):
    """The minimum below a frame, the rim held, the odd electron with the molecule."""
    atoms = Atoms(frame.symbols, frame.positions)
    atoms.arrays["molecule"] = frame.arrays["molecule"]
    moments = np.zeros(len(atoms))
    moments[np.flatnonzero(atoms.arrays["molecule"])[0]] = atoms.numbers.sum() % 2
    atoms.set_initial_magnetic_moments(moments)
    atoms.set_constraint(FixAtoms(rim))
    return eh.relax(atoms, engine="tblite:gfn1", fmax=0.02, steps=500).atoms


def band(first, last):
    """Climbing-image nudged elastic band: first without the climb, then with it."""
    images = [first.copy() for _ in range(IMAGES - 1)] + [last.copy()]
    for image in images:
        image.calc = TBLite(method="GFN1-xTB", verbosity=0)
    chain = NEB(images, method="improvedtangent", climb=False)
    chain.interpolate(method="idpp")
    steps = 0
    for climb, fmax in ((False, FMAX_BAND), (True, FMAX)):
        chain.climb = climb
        with FIRE(chain, logfile=None) as optimizer:
            reached = optimizer.run(fmax=fmax, steps=STEPS)
            steps += optimizer.nsteps
    return images, {"converged": bool(reached), "steps": steps, "fmax_eV_A": float(chain.get_residual())}


def main(folder):
    frames = eh.healing_frames(RUN)
    rim = np.flatnonzero((frames[0].numbers == 1) & ~frames[0].arrays["molecule"])
    ends = [
        cooled(next(f for f in frames if f.info["time_fs"] == time), rim) for time in (BEFORE_FS, AFTER_FS)
    ]
    held = [_bonded(end) for end in ends]
    if held[0]["hydrogens"] == held[1]["hydrogens"]:
        raise SystemExit(
            f"Both ends have the same hydrogens at the carbon ({held}); there is no step to find."
        )
    images, reached = band(*ends)
    if not reached["converged"]:
        raise SystemExit(f"The band did not settle ({reached}); nothing is written.")
    energies = np.array([image.get_potential_energy() for image in images])
    energies -= energies[0]
    kept = [
        Atoms(i.symbols, i.positions.round(4), info={"image": n, "energy_eV": round(float(e), 4)})
        for n, (i, e) in enumerate(zip(images, energies, strict=True))
    ]
    for atoms in kept:
        atoms.arrays["molecule"] = frames[0].arrays["molecule"]
    card = {
        "recipe": "data/recipes/make_healing_barrier.py", "run": RUN, "frames_fs": [BEFORE_FS, AFTER_FS],
        "engine": "tblite:gfn1", "method": "climbing image, improved tangent, IDPP start, FIRE", **reached,
        "images": IMAGES, "spring_eV_A2": 0.1, "ends": held, "energies_eV": energies.round(4).tolist(),
        "barrier_eV": round(float(energies.max()), 4),
        "reaction_eV": round(float(energies[-1]), 4), "versions": eh.versions(),
    }  # fmt: skip
    with atomic_write(folder / "healing" / "barrier.extxyz") as path:
        write(path, kept, format="extxyz")
    with atomic_write(folder / "healing" / "barrier.json") as path:
        path.write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent.parent)
