"""Draws notebooks/figures/01_data_preparation.png: atoms, spots, a frame, its mask.

usage: python docs/figures_src/data_preparation.py
"""

from pathlib import Path

import matplotlib.pyplot as plt

import elit_helpers as eh

TARGET = Path(__file__).resolve().parents[2] / "notebooks" / "figures" / "01_data_preparation.png"


def main() -> None:
    step = eh.load_trajectory("graphene_3_removed")[0]
    field = {"pixel_size": 0.1, "shape": (213, 246)}
    sharp = eh.Imaging(**field, spot_sigma_A=0.40, tail_weight=0.1)
    noisy = eh.Imaging(**field, spot_sigma_A=0.42, tail_weight=0.1, pedestal=3.0, dose=900, jitter_A=0.05)
    mask = eh.element_mask(
        step.positions,
        ["C"] * len(step),
        classes=("C",),
        shape=field["shape"],
        pixel_size=field["pixel_size"],
    )
    figure, axes = plt.subplots(1, 4, figsize=(15, 3.6), layout="constrained")
    eh.plots.structure(step, ax=axes[0], size=10, title="atoms of a simulation")
    eh.plots.image(eh.simulate_frame(step, sharp, 1), pixel_size=0.1, ax=axes[1], title="blurred spots")
    eh.plots.image(eh.simulate_frame(step, noisy, 1), pixel_size=0.1, ax=axes[2], title="a noisy frame")
    eh.plots.labels(mask, classes=("C",), ax=axes[3], title="the mask")
    TARGET.parent.mkdir(exist_ok=True)
    figure.savefig(TARGET, dpi=70, bbox_inches="tight")


if __name__ == "__main__":
    main()
