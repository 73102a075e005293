"""Compute the energy landscape that ships: silicon in a small flake, moved sideways and up, all else still.

usage: python data/recipes/make_landscape.py [DATA_FOLDER]

GFN1-xTB; some minutes of one core. The flake is coronene with a carbon of its inner ring replaced.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
from ase import Atoms
from ase.io import write

import elit_helpers as eh
from elit_helpers.core.files import atomic_write
from elit_helpers.engines import quantum

ENGINE, RADIUS_A = "tblite:gfn1", 4.0
SIDEWAYS_A = np.arange(-0.6, 0.61, 0.1)
UP_A = np.arange(0.0, 2.41, 0.15)


def flake():
    """A flat flake with silicon in the origin, its other atoms where graphene has them."""
    sheet = eh.graphene_sheet((10, 6), a=2.458)
    middle = sheet.positions.mean(axis=0)[:2]
    chosen = int(np.argmin(np.linalg.norm(sheet.positions[:, :2] - middle, axis=1)))
    beside = int(np.argsort(sheet.get_distances(chosen, range(len(sheet)), mic=True))[1])
    ring = sheet.positions[chosen] - sheet.get_distance(chosen, beside, mic=True, vector=True)
    sheet.symbols[chosen] = "Si"
    atoms = eh.patch(sheet, ring[:2], radius_A=RADIUS_A)
    atoms.positions -= atoms.positions[atoms.symbols == "Si"][0]
    return atoms


def main(folder):
    atoms = flake()
    silicon = int(np.flatnonzero(atoms.symbols == "Si")[0])
    rows = []
    for x in SIDEWAYS_A:
        for z in UP_A:
            moved = atoms.copy()
            moved.positions[silicon] += (x, 0.0, z)
            moved.calc = quantum.calculator(
                ENGINE, moved
            )  # closer to its neighbours than `single_point` allows
            rows.append((x, z, moved.get_potential_energy()))
    table = pd.DataFrame(rows, columns=["x_A", "z_A", "energy_eV"])
    table["energy_eV"] -= eh.single_point(atoms, engine=ENGINE).get_potential_energy()
    (folder / "quantum").mkdir(exist_ok=True)
    with atomic_write(folder / "quantum" / "landscape.csv") as path:
        table.round(4).to_csv(path, index=False)
    with atomic_write(folder / "quantum" / "flake.extxyz") as path:
        write(path, Atoms(atoms.symbols, atoms.positions, cell=atoms.cell), format="extxyz")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent.parent)
