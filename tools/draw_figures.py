"""Draw the pictures at the heads of the notebooks from what ships.

    python tools/draw_figures.py [NAME ...]

`make handover` draws them anew after it has renewed the copies. Each picture keeps in its PNG which hand-over
files it shows, with their hashes and, for structures, their formulas; the same files give the same picture.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from ase import Atoms
from ase.build import molecule
from ase.io import read

import elit_helpers as eh

FOLDER = Path(__file__).resolve().parent.parent / "notebooks" / "figures"
NOTE = "Description"  # the text chunk of the PNG
PART = {"xlim": (60, 316), "ylim": (316, 60)}  # px of a frame, few enough that spots can be seen
STRUCTURES = (".extxyz", ".cif")


def note_of(name: str) -> dict[str, str]:
    """Say of a hand-over file that ships what tells it from another: its hash, a structure's formula."""
    taken = eh.take(name, shipped=True)
    note = {"sha256": taken.provenance["sha256"]}
    if name.endswith(STRUCTURES):
        note["formula"] = read(taken.path, index=0).get_chemical_formula()
    return note


class Shipped:
    """The hand-over files that ship, with a note of each that was taken."""

    def __init__(self) -> None:
        self.notes: dict[str, dict[str, str]] = {}

    def __call__(self, name: str) -> Path:
        """Where the copy of a hand-over file lies."""
        self.notes[name] = note_of(name)
        return eh.take(name, shipped=True).path

    def structure(self, name: str) -> tuple[Atoms, str]:
        """The first structure of a hand-over file, and its formula with the figures below the line."""
        atoms = read(self(name), index=0)
        return atoms, re.sub(r"(\d+)", r"$_{\1}$", atoms.get_chemical_formula())

    def atoms_of(self, frame: int) -> pd.DataFrame:
        """The atoms found in a frame."""
        found = pd.read_csv(self("atoms_found.csv")).fillna({"reason": ""})
        return found[found.frame == frame]


def plain(axis) -> None:
    """Take the legend and the ticks away."""
    if axis.get_legend() is not None:
        axis.get_legend().remove()
    axis.set(xticks=[], yticks=[])


def path(shipped: Shipped) -> plt.Figure:
    """The path from a picture to a simulation."""
    found, formula = shipped.structure("structure.extxyz")
    frame = int(found.info["frame"])
    movie, log = eh.load_movie("development"), pd.read_csv(shipped("md_log.csv"))
    ensemble = eh.load_ensemble(shipped("ensemble"))
    prediction = eh.predict(ensemble, movie.frames[[frame]], pixel_size=found.info["pixel_size"])
    figure, axes = plt.subplots(1, 5, figsize=(17, 3.5), layout="constrained")
    eh.plots.image(movie.frames[frame], ax=axes[0], percentile=12, title="a frame")
    sure = 1 - prediction.mean[0, ..., -1]
    axes[1].imshow(sure, cmap="viridis", extent=(-0.5, 511.5, 511.5, -0.5))
    axes[1].set_title("probability of an atom")
    eh.plots.image(movie.frames[frame], ax=axes[2], percentile=12)
    eh.plots.atoms(shipped.atoms_of(frame), ax=axes[2], size=8, title="atoms and elements")
    for axis in axes[:3]:
        plain(axis)
        axis.set(**PART)
    spread = found.arrays["position_std_A"]
    eh.plots.structure(found, values=spread, label="spread [Å]", ax=axes[3], size=3, title=formula)
    eh.plots.temperature(log, ax=axes[4], title="molecular dynamics")
    return figure


def data_preparation(shipped: Shipped) -> plt.Figure:
    """Atoms of a simulation, spots, a frame, its mask."""
    step = eh.load_trajectory("graphene_3_removed")[0]
    field = {"pixel_size": 0.1, "shape": (213, 246)}
    sharp = eh.Imaging(**field, spot_sigma_A=0.40, tail_weight=0.1)
    noisy = eh.Imaging(**field, spot_sigma_A=0.42, tail_weight=0.1, pedestal=3.0, dose=900, jitter_A=0.05)
    mask = eh.element_mask(step.positions, ["C"] * len(step), classes=("C",), **field)
    figure, axes = plt.subplots(1, 4, figsize=(15, 3.6), layout="constrained")
    eh.plots.structure(step, ax=axes[0], size=10, title="atoms of a simulation")
    eh.plots.image(eh.simulate_frame(step, sharp, 1), pixel_size=0.1, ax=axes[1], title="blurred spots")
    eh.plots.image(eh.simulate_frame(step, noisy, 1), pixel_size=0.1, ax=axes[2], title="a noisy frame")
    eh.plots.labels(mask, classes=("C",), ax=axes[3], title="the mask")
    return figure


def elit_training(shipped: Shipped) -> plt.Figure:
    """The first frame before and after ELIT, and where the networks disagree."""
    corner = {"xlim": (60, 480), "ylim": (300, 20)}
    movie = eh.load_movie("development")
    size = eh.calibrate(movie.frames[0], nominal=movie.pixel_size).pixel_size
    stages = {
        "$E_\\mathrm{initial}$, from simulation": shipped("elit_stages") / "E_initial",
        "$E_\\mathrm{final}$, from the experiment": shipped("ensemble"),
    }
    figure, axes = plt.subplots(1, 3, figsize=(12, 3.4), layout="constrained")
    for ax, (name, folder) in zip(axes, stages.items(), strict=False):
        prediction = eh.predict(eh.load_ensemble(folder), movie.frames[:1], pixel_size=size)
        eh.plots.image(movie.frames[0], percentile=3, ax=ax)
        eh.plots.atoms(eh.locate_atoms(prediction), ax=ax, size=5, title=name)
        plain(ax)
        ax.set(**corner)
    eh.plots.probability(prediction.std[0, ..., -1], ax=axes[2], title="disagreement", label="σ", vmax=0.4)
    scale = prediction.scale
    axes[2].set(xlim=[v * scale[1] for v in corner["xlim"]], ylim=[v * scale[0] for v in corner["ylim"]])
    return figure


def image_to_structure(shipped: Shipped) -> plt.Figure:
    """A frame and its atoms, the structure, the flake and the embedded sheet that notebook 03 hands over."""
    found, formula = shipped.structure("structure.extxyz")
    patch, flake = shipped.structure("patch_1.extxyz")
    embedded, endless = shipped.structure("patch_2.extxyz")
    frame, seen = int(found.info["frame"]), embedded[embedded.arrays["from_picture"]]
    figure, axes = plt.subplots(1, 4, figsize=(15.5, 4), layout="constrained")
    eh.plots.image(eh.load_movie("development").frames[frame], ax=axes[0], percentile=12)
    eh.plots.atoms(shipped.atoms_of(frame), ax=axes[0], size=8, title="picture and atoms")
    plain(axes[0])
    axes[0].set(**PART)
    spread = found.arrays["position_std_A"]
    eh.plots.structure(found, values=spread, label="spread [Å]", ax=axes[1], size=5, title=formula)
    eh.plots.regions(eh.regions_of_interest(found), ax=axes[1])
    eh.plots.bonds(patch, ax=axes[2])
    eh.plots.structure(patch, ax=axes[2], size=40, title=f"flake, {flake}")
    eh.plots.bonds(embedded, ax=axes[3])
    eh.plots.structure(embedded, ax=axes[3], colors=["#aaaaaa"] * len(embedded), size=7)
    eh.plots.structure(seen, ax=axes[3], size=10, title=f"embedded, {endless}")
    return figure


def molecular_dynamics(shipped: Shipped) -> plt.Figure:
    """Strain as heat; the relaxed structure that notebook 04 hands over, and the same one hot."""
    figure, axes = plt.subplots(1, 3, figsize=(14, 3.8), layout="constrained")
    for label, relaxed in (("as in the picture", False), ("relaxed first", True)):
        sheet = eh.graphene_sheet((12, 7))
        if relaxed:
            sheet = eh.relax(sheet, engine="lammps:erhart-albe", cell="xy").atoms
        run = eh.run_md(sheet, engine="lammps:erhart-albe", steps=200, every=4, rng=1)
        eh.plots.temperature(run.log, ax=axes[0], label=label, title="a sheet started at 300 K")
    start, formula = shipped.structure("md.extxyz")
    hot = read(shipped("md_hot") / "4000K.extxyz.xz", index=-1)
    for ax, atoms, title in zip(axes[1:], (start, hot), ("relaxed", "at 4000 K"), strict=True):
        height = atoms.positions[:, 2] - start.positions[:, 2].mean()
        color = {"values": height, "label": "height [Å]"}
        eh.plots.structure(atoms, ax=ax, title=f"{formula}, {title}", size=8, **color)
    return figure


def quantum_simulations(shipped: Shipped) -> plt.Figure:
    """A bond pulled apart; the patch of notebook 03 relaxed by tight binding: its charges and its height."""
    from tblite.ase import TBLite

    figure, axes = plt.subplots(1, 3, figsize=(14, 3.8), layout="constrained")
    lengths = np.linspace(1.3, 3.2, 39)
    for engine in ("lammps:airebo", "tblite:gfn1"):
        axes[0].plot(lengths, pull(engine, lengths), label=engine)
    axes[0].set(xlabel="C–C distance [Å]", ylabel="force needed [eV/Å]", title="pulling ethane apart")
    axes[0].legend()
    patch, formula = shipped.structure("patch_1.extxyz")
    patch.positions[patch.symbols == "Si", 2] += 0.5
    relaxed = eh.relax(patch, engine="tblite:gfn1", fmax=0.05, steps=80).atoms
    relaxed.calc = TBLite(method="GFN1-xTB", verbosity=0)
    charges = {"values": relaxed.get_charges(), "label": "charge [e]"}
    eh.plots.bonds(relaxed, ax=axes[1])
    eh.plots.structure(relaxed, ax=axes[1], size=45, title=f"{formula} from above", **charges)
    relaxed.rotate(-90, "x")
    eh.plots.structure(relaxed, ax=eh.plots.bonds(relaxed, ax=axes[2]), size=45, title="from the side")
    axes[2].set_ylabel("z [Å]")
    axes[2].get_legend().remove()
    return figure


def pull(engine: str, lengths: np.ndarray) -> np.ndarray:
    """Force [eV/Å] that holds the two halves of ethane at each C–C distance [Å]."""
    ethane = molecule("C2H6")
    lower, rest = ethane.positions[:, 2] < 0, ethane.get_distance(0, 1)
    energies = []
    for length in lengths:
        pulled = ethane.copy()
        pulled.positions[lower, 2] -= length - rest
        energies.append(eh.single_point(pulled, engine=engine).get_potential_energy())
    return np.gradient(energies, lengths)


def theory_meets_experiment(shipped: Shipped) -> plt.Figure:
    """Bonds on three levels, errors of positions, the rings of a defect."""
    found, formula = shipped.structure("structure.extxyz")
    moving = [eh.unscaled(frame) for frame in read(shipped("md.extxyz"), index=":")]
    dftb = read(eh.data_dir() / "dftb_plus" / "stone_wales_relaxation.extxyz", index=-1)
    true = eh.to_atoms(eh.load_movie_truth("development"), frame=int(found.info["frame"]))
    pairs = eh.compare_structures(found, true)["pairs"]
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(13, 4), layout="constrained")
    bins = np.linspace(1.25, 1.6, 46)
    for name, atoms in {"network": found, "relaxed": moving[0], "at 300 K": moving[-1]}.items():
        lengths = eh.bonds(atoms).query("pair == 'C-C'").length_A
        eh.plots.histogram(lengths, ax=left, bins=bins, label=name, xlabel="C–C bond [Å]")
    eh.plots.structure(found, ax=middle, size=2, title=f"{formula}: errors, 20 times enlarged")
    at, errors = found.positions[pairs.a, :2], pairs[["dx_A", "dy_A"]].to_numpy()
    middle.quiver(*at.T, *errors.T, angles="xy", scale_units="xy", scale=0.05, color="#d55e00", width=0.003)
    middle.get_legend().remove()
    eh.plots.rings(dftb, eh.rings(dftb), ax=right, title="rings")
    return figure


FIGURES: dict[str, Callable[[Shipped], plt.Figure]] = {
    "path.png": path,
    "01_data_preparation.png": data_preparation,
    "02_elit_training.png": elit_training,
    "03_image_to_structure.png": image_to_structure,
    "molecular_dynamics.png": molecular_dynamics,
    "quantum_simulations.png": quantum_simulations,
    "06_theory_meets_experiment.png": theory_meets_experiment,
}


def draw(name: str, folder: Path = FOLDER) -> Path:
    """Draw one picture, with the note of what it shows."""
    shipped = Shipped()
    figure = FIGURES[name](shipped)
    note = json.dumps(shipped.notes)
    figure.savefig(folder / name, dpi=75, bbox_inches="tight", metadata={"Software": None, NOTE: note})
    plt.close(figure)
    return folder / name


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("only", nargs="*", help="names of the pictures; all of them by default")
    for name in parser.parse_args().only or FIGURES:
        print(f"Drawn: {draw(name).relative_to(FOLDER.parent.parent)}", flush=True)


if __name__ == "__main__":
    main()
