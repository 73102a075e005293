"""Draws notebooks/figures/02_elit_training.png from the shipped ensembles: before, after, disagreement.

usage: python docs/figures_src/elit_training.py
"""

from pathlib import Path

import matplotlib.pyplot as plt

import elit_helpers as eh

TARGET = Path(__file__).resolve().parents[2] / "notebooks" / "figures" / "02_elit_training.png"
CORNER = {"xlim": (60, 480), "ylim": (300, 20)}


def main() -> None:
    movie = eh.load_movie("development")
    size = eh.calibrate(movie.frames[0], nominal=movie.pixel_size).pixel_size
    stages = {
        "E_initial, from simulation": eh.load_ensemble(eh.take("elit_stages").path / "E_initial"),
        "E_final, from the experiment": eh.load_ensemble(eh.take("ensemble").path),
    }
    figure, axes = plt.subplots(1, 3, figsize=(12, 3.4), layout="constrained")
    for ax, (name, ensemble) in zip(axes, stages.items()):
        prediction = eh.predict(ensemble, movie.frames[:1], pixel_size=size)
        eh.plots.image(movie.frames[0], percentile=3, ax=ax)
        eh.plots.atoms(eh.locate_atoms(prediction), ax=ax, size=5, title=name)
        ax.set(**CORNER)
        ax.get_legend().remove()
    eh.plots.probability(prediction.std[0, ..., -1], ax=axes[2], title="disagreement", label="σ", vmax=0.4)
    scale = prediction.scale
    axes[2].set(xlim=[v * scale[1] for v in CORNER["xlim"]], ylim=[v * scale[0] for v in CORNER["ylim"]])
    figure.savefig(TARGET, dpi=75)


if __name__ == "__main__":
    main()
