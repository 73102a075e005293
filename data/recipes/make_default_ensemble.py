"""Make the ensemble that ships with the package: elit_helpers/ensemble/shipped/graphene.

usage: python data/recipes/make_default_ensemble.py [FOLDER]

Trained on simulated pairs of the "realistic" recipe only; no pixel of a microscope is in it. Ten minutes of
one processor, half of that on two. An interrupted run goes on where it was (FOLDER.partial). Scores on the
card are measured here: on the movie's scoring half, and on frames of another simulation than the training's,
with computed kernels in place of Gaussians, counts in place of Gaussian noise, structures built atom by atom.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.ndimage import gaussian_filter

import elit_helpers as eh
from elit_helpers.images.forward import scan_positions

CLASSES, PAIRS, SEED, FRAMES = ("C", "Si"), 6000, 20260, 4
SETTINGS = eh.TrainSettings(members=5, steps=900, member_steps=350, strategy="baseline")
KINDS = ("clean", "noisy", "edge", "hill", "cloud")
FIELD_A, MARGIN_A, BORDER_A = 24.0, 6.0, 0.7
DROWNED = 1.5  # carbon peaks of contamination, averaged over 0.75 Å, as the movie has it
NUMBERS = ("f1", "rmse_A", "element_accuracy", "false_on_contamination")
HOME = Path(__file__).resolve().parents[2] / "elit_helpers" / "ensemble" / "shipped" / "graphene"


def structure(kind: str, rng: np.random.Generator):
    """Build a sheet somewhat larger than the field: Si, vacancies, for "edge" a hole with Si at it."""
    side = FIELD_A + 2 * MARGIN_A
    sheet = eh.sheet("graphene", (side, side), angle=float(rng.uniform(0, 60)))
    if kind == "edge":
        hole = {"center": (side / 2, side / 2), "radius_A": float(rng.uniform(4, 6))}
        sheet, _ = eh.add_hole(sheet, **hole)
        hole["radius_A"] += 2.5
        sheet, _ = eh.decorate_edge(sheet, **hole, n=4, rng=rng)
    for _ in range(6):
        sheet, _ = eh.add_vacancy(sheet, rng=rng)
    for _ in range(8):
        sheet, _ = eh.substitute(sheet, element="Si", rng=rng)
    return sheet


def held_out_frame(kind: str, rng: np.random.Generator) -> tuple[np.ndarray, pd.DataFrame, float]:
    """Record one frame of graphene.

    "clean" has 20,000 counts/Å² at a peak of carbon, "noisy" and others 300, "edge" 60 on pixels of 0.157 Å.
    "hill" lies half under contamination so smooth that its atoms can be told, and must be; "cloud" under
    contamination in which they drown: don't-care, and whatever is found beside them is false.

    Returns
    -------
    frame, truth, pixel_size
        `truth` as `score_atoms` wants it; Å/px.
    """
    sheet, px = structure(kind, rng), 0.157 if kind == "edge" else float(rng.uniform(0.08, 0.12))
    sheet.positions[:, :2] += rng.normal(0, 0.03, (len(sheet), 2)) - MARGIN_A
    n = int(FIELD_A / px)
    imaging = eh.Imaging(
        pixel_size=px, shape=(n, n), probe="60kV", vibration_A=0.05, pedestal=1.5, background=0.25,
        source_sigma_A=float(rng.uniform(0.2, 0.35)), jitter_A=0.02 if kind == "clean" else 0.05,
        dose={"clean": 20000.0, "edge": 60.0}.get(kind, 300.0),
    )  # fmt: skip
    hill = np.zeros((n, n))
    if kind in ("hill", "cloud"):
        height, texture = (4.0, 0.25) if kind == "hill" else (float(rng.uniform(6, 12)), 1.0)
        where = {"center": (0, 0), "radius_A": 0.6 * FIELD_A, "height": height, "texture": texture}
        hill = eh.contamination_map((n, n), pixel_size=px, rng=rng, **where)
    frame = eh.simulate_frame(sheet, imaging, rng, overlay=hill)
    return frame, _truth(sheet, imaging, hill if kind == "cloud" else 0 * hill), px


def _truth(sheet, imaging, cloud):
    row_col = scan_positions(sheet.positions, imaging=imaging)
    inside = ((row_col > -0.5) & (row_col < np.array(imaging.shape) - 0.5)).all(1)
    row_col, at = row_col[inside], np.round(row_col[inside]).astype(int)
    truth = pd.DataFrame(row_col, columns=["row_px", "col_px"])
    drowned = gaussian_filter(cloud, 0.75 / imaging.pixel_size)[at[:, 0], at[:, 1]] > DROWNED
    element = np.array(sheet.get_chemical_symbols(), object)[inside]
    return truth.assign(frame=0, element=element, under_contamination=drowned)


def score(
    ensemble: eh.Ensemble, kind: str, *, frames: int = FRAMES, seed: int = SEED + 1
) -> dict[str, float]:
    """Score an ensemble on held-out frames of one kind; the mean over the frames."""
    rng, rows = np.random.default_rng([seed, KINDS.index(kind)]), []
    for _ in range(frames):
        frame, truth, px = held_out_frame(kind, rng)
        found = eh.locate_atoms(eh.predict(ensemble, frame, pixel_size=px))
        cloudy = {} if kind == "cloud" else {"contamination": np.zeros((1, *frame.shape), bool)}
        rows.append(
            eh.score_atoms(found, truth, pixel_size=px, shape=frame.shape, border_A=BORDER_A, **cloudy)
        )
    return {name: round(float(np.mean([row[name] for row in rows])), 4) for name in NUMBERS}


def score_on_movie(ensemble: eh.Ensemble, *, half: str = "scoring", frames: int = 8) -> dict[str, float]:
    """Score an ensemble on the first frames of one half of the movie, calibrated from its lattice."""
    movie, truth = eh.load_movie(half), eh.load_movie_truth(half)
    size = eh.calibrate(movie.frames[0], nominal=movie.pixel_size).pixel_size
    found = eh.locate_atoms(eh.predict(ensemble, movie.frames[:frames], pixel_size=size))
    result = eh.score_atoms(found, truth[truth["frame"] < frames], pixel_size=size)
    return {name: round(float(result[name]), 4) for name in NUMBERS}


def hash_of(labels: np.ndarray) -> str:
    """Return a hash by which a changed recipe is noticed: whole numbers, the same on every processor."""
    return hashlib.sha256(np.ascontiguousarray(labels)).hexdigest()


def main(folder: Path = HOME) -> None:
    """Simulate, train, measure, save."""
    pairs, labels = eh.training_set("realistic", PAIRS, rng=SEED, classes=CLASSES)
    partial = folder.with_name(folder.name + ".partial")
    ensemble = eh.train_ensemble(
        pairs, labels, classes=CLASSES, settings=SETTINGS, rng=SEED, progress=True, checkpoint=partial
    )
    ensemble.card |= {
        "material": "graphene",
        "trained_on": f"{PAIRS} simulated pairs, recipe 'realistic', seed {SEED}; no real image",
        "made_by": "data/recipes/make_default_ensemble.py",
        "licence": "CC-BY-4.0",
        "first_labels_sha256": hash_of(labels[:4]),
        "scores": {"movie": score_on_movie(ensemble)} | {kind: score(ensemble, kind) for kind in KINDS},
        "scored_on": f"the movie's scoring half, and {FRAMES} frames of each kind from another simulation "
        f"(computed kernels, counts), border of {BORDER_A:g} Å left out; false_on_contamination is a mean a "
        "frame, for the movie the sum of eight",
    }
    eh.save_ensemble(ensemble, folder, overwrite=True)
    shutil.rmtree(partial)
    print(pd.DataFrame(ensemble.card["scores"]).T)
    print(f"{len(ensemble)} members in {folder}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HOME)
