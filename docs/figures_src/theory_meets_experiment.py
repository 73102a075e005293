"""Draws notebooks/figures/06_theory_meets_experiment.png: bonds on three levels, errors of positions, rings.

usage: python docs/figures_src/theory_meets_experiment.py
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from ase.io import read

import elit_helpers as eh

TARGET = Path(__file__).resolve().parents[2] / "notebooks" / "figures" / "06_theory_meets_experiment.png"


def main() -> None:
    structure = read(eh.take("structure.extxyz").path)
    moving = [eh.unscaled(frame) for frame in read(eh.take("md.extxyz").path, index=":")]
    dftb = read(eh.data_dir() / "dftb_plus" / "stone_wales_relaxation.extxyz", index=-1)
    true = eh.to_atoms(eh.load_movie_truth("development"), frame=int(structure.info["frame"]))
    pairs = eh.compare_structures(structure, true)["pairs"]

    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(13, 4), layout="constrained")
    for name, atoms in {"network": structure, "relaxed": moving[0], "at 300 K": moving[-1]}.items():
        lengths = eh.bonds(atoms).query("pair == 'C-C'").length_A
        eh.plots.histogram(
            lengths, ax=left, bins=np.linspace(1.25, 1.6, 46), label=name, xlabel="C–C bond [Å]"
        )
    eh.plots.structure(structure, ax=middle, size=2, title="errors, 20 times enlarged")
    at, errors = structure.positions[pairs.a, :2], pairs[["dx_A", "dy_A"]].to_numpy()
    middle.quiver(*at.T, *errors.T, angles="xy", scale_units="xy", scale=0.05, color="#d55e00", width=0.003)
    middle.get_legend().remove()
    eh.plots.rings(dftb, eh.rings(dftb), ax=right, title="rings")
    figure.savefig(TARGET, dpi=75)
    plt.close(figure)


if __name__ == "__main__":
    main()
