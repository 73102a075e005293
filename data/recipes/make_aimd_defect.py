"""Compute the ab initio dynamics of a defect: a turned bond at some 4000 K, 60 atoms, PBE.

usage: python data/recipes/make_aimd_defect.py [DATA_FOLDER] [STEPS]

Needs GPAW (the extra `quantum`) and the relaxed defect of make_levels.py. Half a minute to a minute of one
core a step. It can be stopped at any time and goes on from the last step that it wrote; a smaller number of
STEPS than is there already leaves it as it is.

It starts at rest with velocities of 8000 K, half of which goes to the springs. No spin: every atom of the
defect has its three neighbours, and all electrons are paired. A bond that stands open for long would need it.
"""

import sys
from pathlib import Path

from ase import Atoms
from ase.io import read
from make_aimd import heated, move

LEVEL, DEFECT = "gpaw:pbe", "Stone-Wales"
START_K, STEPS = 8000, 100
HEIGHT_A = 12.8  # hot atoms leave the plane: a cell periodic in z has no wall that they could come near


def start(shelf):
    """The relaxed defect in a tall cell, set in motion."""
    found = next(a for a in shelf if (a.info["level"], a.info["defect"]) == (LEVEL, DEFECT))
    atoms = Atoms(found.symbols, found.positions, cell=found.cell, pbc=True)
    atoms.set_cell([*found.cell[:2], [0, 0, HEIGHT_A]])
    atoms.positions[:, 2] += HEIGHT_A / 2 - atoms.positions[:, 2].mean()
    return heated(atoms, START_K)


def main(folder, steps):
    target = folder / "quantum"
    shelf = read(target / "levels.extxyz", index=":")
    move(target / "aimd_defect.extxyz", steps, begin=lambda: start(shelf), save_every=1)


if __name__ == "__main__":
    here = Path(__file__).resolve().parent.parent
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else here, int(sys.argv[2]) if len(sys.argv) > 2 else STEPS)
