"""How well atoms are found: the shipped ensemble and each stage of Algorithm 1.

usage: python benchmarks/accuracy.py [--quick]

Algorithm 1 runs on the movie's development half, from an *ideal* simulation, in the size of a class; every
stage is then scored on the half it has never seen. With ../shared/real_frames beside the checkout, the share
of nearest-neighbour distances on real frames is measured, too; no pixel of them is trained on. About five
minutes on two cores; `--quick` scores only the ensembles that ship.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pandas as pd

import elit_helpers as eh

ROOT = Path(__file__).resolve().parents[1]
REAL = ROOT.parent / "shared" / "real_frames"
REAL_FRAMES = {
    "G-Si-2nm.hdf5": 0.0765,
    "G-dimSi.hdf5": 0.0384,
    "test-1.hdf5": 0.089,
}  # Å/px, from the lattice
NUMBERS = ("f1", "precision", "recall", "rmse_A", "false", "false_on_contamination", "element_accuracy")
SEED = 2


def on_movie(ensemble: eh.Ensemble, half: str = "scoring") -> dict[str, float]:
    """Return the scores of an ensemble on one half of the movie, pixel size from the lattice."""
    movie, truth = eh.load_movie(half), eh.load_movie_truth(half)
    size = eh.calibrate(movie.frames[0], nominal=movie.pixel_size).pixel_size
    found = eh.locate_atoms(eh.predict(ensemble, movie.frames, pixel_size=size))
    score = eh.score_atoms(found, truth, pixel_size=size)
    silicon = score["element_confusion"].reindex(index=["C", "Si"], columns=["C", "Si"], fill_value=0)
    right, wrong = silicon.loc["Si", "Si"], silicon.loc["C", "Si"] + silicon.loc["Si", "C"]
    return {name: score[name] for name in NUMBERS} | {"si_f1": 2 * right / max(2 * right + wrong, 1)}


def on_real_frames(ensemble: eh.Ensemble) -> dict[str, float]:
    """Return share and relative density on each real frame that is there."""
    scores = {}
    for name, size in REAL_FRAMES.items():
        if (REAL / name).is_file():
            frames = eh.load_image(REAL / name).frames[:1]
            found = eh.locate_atoms(eh.predict(ensemble, frames, pixel_size=size))
            _, share, density = eh.nearest_neighbour_share(found, pixel_size=size, shape=frames.shape[1:])
            scores |= {f"{name.split('.')[0]} share": share, f"{name.split('.')[0]} density": density}
    return scores


def ensembles(quick: bool) -> dict[str, eh.Ensemble]:
    """Return the ensembles to score, by name."""
    found = {"shipped default": eh.default_ensemble()}
    handed = eh.data_dir() / "handover" / "ensemble"
    if handed.is_dir():
        found["notebook 02, shipped copy"] = eh.load_ensemble(handed)
    if not quick:
        movie = eh.load_movie("development")
        size = eh.calibrate(movie.frames[0], nominal=movie.pixel_size).pixel_size
        wall, cpu = time.perf_counter(), time.process_time()
        result = eh.run_elit(movie.frames, pixel_size=size, data="ideal", rng=SEED)
        print(f"Algorithm 1: {time.perf_counter() - wall:.0f} s, {time.process_time() - cpu:.0f} CPU-s")
        found |= result.ensembles
    return found


def main(quick: bool = False) -> dict[str, pd.DataFrame]:
    """Return the tables by title."""
    nets = ensembles(quick)
    tables = {
        "The movie's scoring half (F1 of pairs within 0.5 Å; atoms under contamination are don't-care)":
            pd.DataFrame({name: on_movie(net) for name, net in nets.items()}).T.round(4),
    }  # fmt: skip
    if REAL.is_dir():
        rows = {name: on_real_frames(net) for name, net in nets.items()}
        tables["Real frames (nearest-neighbour share, density relative to graphene)"] = pd.DataFrame(
            rows
        ).T.round(3)
    else:
        print(f"No real frames at {REAL.name}: that table is left out.")
    return tables


if __name__ == "__main__":
    pd.set_option("display.width", 200, "display.max_columns", 30)
    for title, table in main("--quick" in sys.argv).items():
        print(title, table.to_string(), "", sep="\n")
