"""Draws notebooks/figures/03_image_to_structure.png from the shipped atoms: frame, structure, two patches.

usage: python docs/figures_src/image_to_structure.py
"""

from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from scipy.spatial import cKDTree

import elit_helpers as eh

TARGET = Path(__file__).resolve().parents[2] / "notebooks" / "figures" / "03_image_to_structure.png"


def main() -> None:
    found = pd.read_csv(eh.take("atoms_found.csv")).fillna({"reason": ""})
    structure = eh.to_atoms(found, frame=0)
    regions = eh.regions_of_interest(structure)
    silicon = regions[regions.reason.str.contains("Si with 3 C")]
    single = silicon[silicon.radius_A < 1]
    rim = cKDTree(structure.positions[eh.edge_atoms(structure), :2])
    place = single.iloc[rim.query(single[["x_A", "y_A"]])[0].argmax()]
    patch = eh.patch(structure, (place.x_A, place.y_A), radius_A=6.0)
    embedded = eh.embed(structure, (place.x_A, place.y_A), size_A=26.0)
    own = embedded[embedded.arrays["from_picture"]]

    figure, (left, middle, right, last) = plt.subplots(1, 4, figsize=(15.5, 4), layout="constrained")
    eh.plots.image(eh.load_movie("development").frames[0], ax=left, percentile=6, title="picture and atoms")
    eh.plots.atoms(found[found.frame == 0], ax=left, size=4)
    left.get_legend().remove()
    spread = structure.arrays["position_std_A"]
    eh.plots.structure(structure, values=spread, label="spread [Å]", ax=middle, size=5, title="structure")
    eh.plots.regions(regions, ax=middle)
    eh.plots.structure(patch, ax=eh.plots.bonds(patch, ax=right), size=40, title="flake")
    grey = ["#aaaaaa"] * len(embedded)
    eh.plots.structure(embedded, ax=eh.plots.bonds(embedded, ax=last), colors=grey, size=7)
    eh.plots.structure(own, ax=last, size=10, title="embedded")
    figure.savefig(TARGET, dpi=75)


if __name__ == "__main__":
    main()
