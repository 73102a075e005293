"""Make the ensemble for MoS2 that ships with the package: elit_helpers/ensemble/shipped/MoS2.

usage: python data/recipes/make_mos2_ensemble.py [FOLDER]

Trained on simulated pairs of the "realistic MoS2" recipe, with vanadium on 2 % of the molybdenum's places; no
pixel of a microscope is in it. V counts as Mo: the ensemble names sublattices, not dopants. Less than ten
minutes of one processor. The scores on the card are measured here, on frames of another simulation: computed
kernels in place of Gaussians, counts in place of Gaussian noise, structures built atom by atom.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.ndimage import gaussian_filter

import elit_helpers as eh
from elit_helpers.images.disturbances import smooth_noise
from elit_helpers.images.forward import scan_positions

CLASSES, PAIRS, SEED, FRAMES = ("Mo", "S"), 6000, 20261, 4
EVERY = 12  # of so many pairs one has no sheet
SETTINGS = eh.TrainSettings(members=4, steps=1500, member_steps=350, layers=(1, 1, 1, 1), strategy="baseline")
KINDS = ("plain", "defects", "edge", "grain boundary", "contamination")
FIELD_A, MARGIN_A, BORDER_A = 32.0, 7.0, 1.0
MEAN_COLUMN = 17.7  # carbon peaks; more contamination than this hides a column
HOME = Path(__file__).resolve().parents[2] / "elit_helpers" / "ensemble" / "shipped" / "MoS2"


def training_pairs(n: int, rng: int) -> tuple[np.ndarray, np.ndarray]:
    """Simulate pairs, some without a sheet; vanadium on a place of molybdenum is labelled as molybdenum."""
    recipe, empty = replace(eh.RECIPES["realistic MoS2"], foreign=(("Mo", "V", 0.02),)), n // EVERY
    pairs, labels = eh.training_set(recipe, n - empty, rng=rng, classes=("Mo", "S", "V"))
    labels = np.array([0, 1, 0, 2], np.int8)[labels]
    nothing = without_a_sheet(empty, np.random.default_rng([rng, 1]), size=pairs.shape[1])
    background = np.full(nothing.shape, len(CLASSES), np.int8)
    return np.concatenate([pairs, nothing]), np.concatenate([labels, background])


def without_a_sheet(n: int, rng: np.random.Generator, *, size: int) -> np.ndarray:
    """Simulate patches of vacuum and of amorphous carbon, from single counts up: there are no columns there.

    The local normalisation makes the few counts of a hole as high as columns elsewhere.
    """
    margin, px = 10, eh.NET_PIXEL
    wide, patches = size + 2 * margin, np.empty((n, size, size), np.float32)
    for patch in patches:
        field = np.maximum(1 + rng.uniform(0, 0.8) * smooth_noise((wide, wide), 20.0, rng), 0.05)
        if rng.random() < 0.5:
            hill = {"height": rng.uniform(0.5, 8), "radius_A": rng.uniform(2, 12)}
            field = field + eh.contamination_map((wide, wide), pixel_size=px, rng=rng, **hill)
        counts = rng.poisson(field * np.exp(rng.uniform(np.log(0.02), np.log(20)))).astype(float)
        counts = gaussian_filter(counts, rng.uniform(0, 1.5))  # what a coarse frame looks like, resampled
        patch[:] = eh.normalise(counts[None], pixel_size=px)[0, margin:-margin, margin:-margin]
    return patches


def structure(kind: str, rng: np.random.Generator):
    """Build a sheet somewhat larger than the field, with what `kind` says in it."""
    side, turn = FIELD_A + 2 * MARGIN_A, float(rng.uniform(0, 60))
    if kind == "grain boundary":
        sheet = eh.sheet("MoS2", (side, side))
        return eh.add_grain_boundary(sheet, angle=float(rng.uniform(5, 40)), material="MoS2")[0]
    sheet = eh.sheet("MoS2", (side, side), angle=turn)
    if kind == "edge":
        return eh.cut_edge(sheet, float(rng.uniform(0, 180)), point=(side / 2, side / 2))[0]
    for _ in range(8 if kind == "defects" else 0):
        sheet, _ = eh.add_vacancy(sheet, element="S", rng=rng)
        sheet, _ = eh.substitute(sheet, element="V", where="Mo", rng=rng)
    for element in ("S", "S", "S", "S", "Mo", "Mo") if kind == "defects" else ():
        sheet, _ = eh.add_vacancy(sheet, element=element, column=True, rng=rng)
    return sheet


def held_out_frame(
    kind: str,
    rng: np.random.Generator,
    *,
    dose: tuple[float, float] = (5.0, 50.0),
    pixel_size: tuple[float, float] = (0.09, 0.19),
    stretch: float = 1.09,
) -> tuple[np.ndarray, pd.DataFrame, float]:
    """Record one frame of MoS2.

    Returns
    -------
    frame, truth, pixel_size
        `truth` as `score_atoms` wants it, vanadium named Mo; the pixel size is the mean of two axes that
        differ by up to the square of `stretch` [Å/px].
    """
    sheet, px = structure(kind, rng), float(rng.uniform(*pixel_size))
    factor = stretch ** rng.uniform(-1, 1)
    sheet.positions[:, :2] = (sheet.positions[:, :2] - MARGIN_A) * [factor, 1 / factor]
    n = int(FIELD_A / px)
    imaging = eh.Imaging(
        pixel_size=px, shape=(n, n), probe=str(rng.choice(["60kV", "80kV"])), vibration_A=0.08,
        source_sigma_A=float(rng.uniform(0.25, 0.5)), dose=float(np.exp(rng.uniform(*np.log(dose)))),
        jitter_A=float(rng.uniform(0, 0.1)), background=1.5,
    )  # fmt: skip
    hill = np.zeros((n, n))
    if kind == "contamination":
        height, radius = rng.uniform(5, 40), rng.uniform(4, 8)
        hill = eh.contamination_map((n, n), pixel_size=px, rng=rng, height=height, radius_A=radius)
    frame = eh.simulate_frame(sheet, imaging, rng, overlay=hill)
    return frame, _truth(sheet, imaging, gaussian_filter(hill, 0.75 / px)), px


def _truth(sheet, imaging, hill):
    table = eh.columns(sheet)
    row_col = scan_positions(table[["x_A", "y_A"]].to_numpy(), imaging=imaging)
    inside = ((row_col > -0.5) & (row_col < np.array(imaging.shape) - 0.5)).all(1)
    table, row_col = table[inside], row_col[inside]
    at = np.round(row_col).astype(int)
    return table.assign(
        frame=0,
        row_px=row_col[:, 0],
        col_px=row_col[:, 1],
        element=table["element"].replace({"V": "Mo"}),
        under_contamination=hill[at[:, 0], at[:, 1]] > MEAN_COLUMN,
    )


def scores(ensemble: eh.Ensemble, *, frames: int = FRAMES, seed: int = SEED + 1) -> dict[str, dict]:
    """Score an ensemble on held-out frames, kind by kind."""
    result = {}
    for kind in KINDS:
        rng = np.random.default_rng([seed, KINDS.index(kind)])
        rows = []
        for _ in range(frames):
            frame, truth, px = held_out_frame(kind, rng)
            found = eh.locate_atoms(eh.predict(ensemble, frame, pixel_size=px))
            one = eh.score_atoms(found, truth, pixel_size=px, shape=frame.shape, border_A=BORDER_A)
            rows.append({k: one[k] for k in ("f1", "rmse_A", "element_accuracy", "false_on_contamination")})
        mean = pd.DataFrame(rows).mean()
        result[kind] = {name: round(float(value), 4) for name, value in mean.items()}
    return result


def main(folder: Path = HOME) -> None:
    """Simulate, train, measure, save."""
    pairs, labels = training_pairs(PAIRS, SEED)
    ensemble = eh.train_ensemble(pairs, labels, classes=CLASSES, settings=SETTINGS, rng=SEED, progress=True)
    ensemble.card |= {
        "material": "MoS2",
        "trained_on": f"{PAIRS} simulated pairs, recipe 'realistic MoS2' with V on 2 % of the places of Mo "
        f"(labelled Mo), one in {EVERY} without a sheet, seed {SEED}; no real image",
        "made_by": "data/recipes/make_mos2_ensemble.py",
        "licence": "CC-BY-4.0",
        "scores": scores(ensemble),
        "scored_on": f"{FRAMES} simulated frames of each kind: computed kernels, 5 to 50 counts/Å² at a peak "
        f"of carbon, 0.09 to 0.19 Å/px, axes up to 19 % apart, border of {BORDER_A:g} Å left out",
    }
    eh.save_ensemble(ensemble, folder, overwrite=True)
    print(pd.DataFrame(ensemble.card["scores"]).T)
    print(f"{len(ensemble)} members in {folder}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HOME)
