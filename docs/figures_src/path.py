"""Draws notebooks/figures/path.png, the path from image to simulation, from results computed on the spot.

usage: python docs/figures_src/path.py
"""

from pathlib import Path

import matplotlib.pyplot as plt

import elit_helpers as eh

TARGET = Path(__file__).resolve().parents[2] / "notebooks" / "figures" / "path.png"
VIEW = slice(60, 316)  # px, a part of the frame in which spots can be seen


def main() -> None:
    movie = eh.load_movie("development")
    frame = movie.frames[0][VIEW, VIEW]
    size = eh.calibrate(movie.frames[0], nominal=movie.pixel_size).pixel_size
    prediction = eh.predict(eh.default_ensemble(), frame, pixel_size=size)
    found = eh.locate_atoms(prediction)
    structure = eh.to_atoms(found)
    relaxed = eh.relax(structure)
    run = eh.run_md(relaxed.atoms, engine=relaxed.engine, steps=200, temperature_K=600, every=2, rng=1)

    figure, axes = plt.subplots(1, 5, figsize=(17, 3.5), layout="constrained")
    eh.plots.image(frame, pixel_size=size, ax=axes[0], title="a frame")
    axes[1].imshow(1 - prediction.mean[0, ..., -1], cmap="viridis")
    axes[1].set(xticks=[], yticks=[], title="probability of an atom")
    eh.plots.image(frame, ax=axes[2])
    eh.plots.atoms(found, ax=axes[2], size=8, title="atoms and elements")
    spread = structure.arrays["position_std_A"]
    eh.plots.structure(structure, values=spread, label="spread [Å]", ax=axes[3], size=7, title="structure")
    eh.plots.temperature(run.log, ax=axes[4], title="molecular dynamics")
    TARGET.parent.mkdir(exist_ok=True)
    figure.savefig(TARGET, dpi=75)


if __name__ == "__main__":
    main()
