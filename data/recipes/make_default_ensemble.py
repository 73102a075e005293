"""Make the ensemble that ships with the package: elit_helpers/ensembles/graphene.

usage: python data/recipes/make_default_ensemble.py [FOLDER]

Trained on simulated pairs of the "realistic" recipe only; no pixel of a microscope is in it. About a
quarter of an hour on two cores. The scores are not made here: `benchmarks/accuracy.py` measures them.
"""

from __future__ import annotations

import sys
from pathlib import Path

import elit_helpers as eh

CLASSES, PAIRS, SEED = ("C", "Si"), 6000, 20260
SETTINGS = eh.TrainSettings(members=5, steps=1500, member_steps=300, strategy="baseline")
HOME = Path(__file__).resolve().parents[2] / "elit_helpers" / "ensembles" / "graphene"


def main(folder: Path = HOME) -> None:
    """Simulate, train, save."""
    images, labels = eh.training_set("realistic", PAIRS, rng=SEED, classes=CLASSES)
    ensemble = eh.train_ensemble(images, labels, classes=CLASSES, settings=SETTINGS, rng=SEED, progress=True)
    ensemble.card |= {
        "material": "graphene",
        "trained_on": f"{PAIRS} simulated pairs, recipe 'realistic', seed {SEED}; no real image",
        "made_by": "data/recipes/make_default_ensemble.py",
        "licence": "CC-BY-4.0",
    }
    eh.save_ensemble(ensemble, folder)
    print(f"{len(ensemble)} members in {folder}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HOME)
