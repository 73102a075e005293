"""Draws notebooks/figures/molecular_dynamics.png: strain as heat, a relaxed structure, the same one hot.

usage: python docs/figures_src/molecular_dynamics.py
"""

from pathlib import Path

import matplotlib.pyplot as plt
from ase.constraints import FixAtoms
from ase.io import read

import elit_helpers as eh

TARGET = Path(__file__).resolve().parents[2] / "notebooks" / "figures" / "molecular_dynamics.png"
CASES = (
    ("Erhart–Albe, as in the picture", "lammps:erhart-albe", False),
    ("Erhart–Albe, relaxed", "lammps:erhart-albe", True),
    ("LCBOP, relaxed", "lammps:lcbop", True),
)


def main() -> None:
    figure, axes = plt.subplots(1, 3, figsize=(14, 3.8), layout="constrained")
    for label, engine, first_relaxed in CASES:
        sheet = eh.graphene_sheet((12, 7))
        if first_relaxed:
            sheet = eh.relax(sheet, engine=engine, cell="xy").atoms
        run = eh.run_md(sheet, engine=engine, steps=200, every=4, rng=1)
        eh.plots.temperature(run.log, ax=axes[0], label=label, title="started at 300 K")
    structure = read(eh.take("structure.extxyz").path)
    structure.set_constraint(FixAtoms(mask=eh.edge_atoms(structure)))
    relaxation = eh.relax(structure, fmax=0.05)
    hot = eh.run_md(
        relaxation.atoms,
        engine=relaxation.engine,
        steps=1000,
        temperature_K=4000,
        ensemble="nvt",
        rng=1,
        timestep_fs=0.5,
    )
    for ax, atoms, title in zip(axes[1:], (relaxation.atoms, hot.atoms), ("relaxed", "at 4000 K")):
        height = atoms.positions[:, 2] - atoms.positions[:, 2].mean()
        eh.plots.structure(atoms, values=height, label="height [Å]", ax=ax, title=title, size=8)
    TARGET.parent.mkdir(exist_ok=True)
    figure.savefig(TARGET, dpi=75)


if __name__ == "__main__":
    main()
