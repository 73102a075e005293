"""Draws notebooks/figures/quantum_simulations.png: a bond pulled apart, a patch, its charges, its height.

usage: python docs/figures_src/quantum_simulations.py
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from ase.build import molecule
from ase.io import read
from tblite.ase import TBLite

import elit_helpers as eh

TARGET = Path(__file__).resolve().parents[2] / "notebooks" / "figures" / "quantum_simulations.png"


def pull(engine: str, lengths: np.ndarray) -> np.ndarray:
    """Force [eV/Å] that holds the two halves of ethane at each C-C distance."""
    ethane = molecule("C2H6")
    lower, rest = ethane.positions[:, 2] < 0, ethane.get_distance(0, 1)
    energies = []
    for length in lengths:
        pulled = ethane.copy()
        pulled.positions[lower, 2] -= length - rest
        energies.append(eh.single_point(pulled, engine=engine).get_potential_energy())
    return np.gradient(energies, lengths)


def main() -> None:
    figure, axes = plt.subplots(1, 3, figsize=(14, 3.8), layout="constrained")
    lengths = np.linspace(1.3, 3.2, 39)
    for engine in ("lammps:airebo", "tblite:gfn1"):
        axes[0].plot(lengths, pull(engine, lengths), label=engine)
    axes[0].set(xlabel="C–C distance [Å]", ylabel="force needed [eV/Å]", title="pulling ethane apart")
    axes[0].legend()
    patch = read(eh.take("patch_1.extxyz").path)
    patch.positions[patch.symbols == "Si", 2] += 0.5
    relaxed = eh.relax(patch, engine="tblite:gfn1", fmax=0.05, steps=80).atoms
    relaxed.calc = TBLite(method="GFN1-xTB", verbosity=0)
    charges = relaxed.get_charges()
    eh.plots.bonds(relaxed, ax=axes[1])
    eh.plots.structure(relaxed, values=charges, label="charge [e]", ax=axes[1], size=45, title="from above")
    relaxed.rotate(-90, "x")
    eh.plots.structure(relaxed, ax=eh.plots.bonds(relaxed, ax=axes[2]), size=45, title="from the side")
    axes[2].set_ylabel("z [Å]")
    axes[2].get_legend().remove()
    TARGET.parent.mkdir(exist_ok=True)
    figure.savefig(TARGET, dpi=75)


if __name__ == "__main__":
    main()
