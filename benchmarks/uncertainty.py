"""Does the uncertainty find the errors? On the movie's scoring half, with more and more members.

usage: python benchmarks/uncertainty.py [--quick]

For candidates: the area under the ROC curve of telling wrong ones from right ones, flagged ones included,
true atoms without any candidate counted apart. For pixels: the expected calibration error where the ensemble
is in doubt, before and after a temperature that is fitted on simulated pairs. Two minutes on two cores.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterator

import _frames
import _report
import _runs
import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

import elit_helpers as eh

MEASURES = ("probability", "position_std_A", "member_share", "combined")
DOUBT = (0.05, 0.95)  # probabilities between which calibration is judged
HELD_OUT, HELD_OUT_SEED = 200, 2021  # simulated pairs for the temperature
HIDDEN_A = 3.0  # pixels closer than this to an atom under contamination have no truth


def ensembles(quick: bool) -> dict[str, eh.Ensemble]:
    """Return the ensembles that are judged: as it ships, and after Algorithm 1 in this run."""
    final = _runs.algorithm("realistic", _runs.SEEDS[0], quick).result.final
    return {"shipped": eh.default_ensemble(), "after Algorithm 1": final}


# --------------------------------------------------------------------------- candidates
def candidates(ensemble: eh.Ensemble, frames: int | None) -> pd.DataFrame:
    """Return for each number of members how well each measure tells wrong candidates from right ones."""
    from elit_helpers.analysis import uncertainty_auroc

    stack, truth, size = _frames.movie("scoring")
    stack = stack[:frames]
    truth, rows = truth[truth["frame"] < len(stack)], {}
    prediction = eh.predict(ensemble, stack, pixel_size=size)
    for n in range(2, len(ensemble) + 1):
        found = eh.locate_atoms(_first_members(prediction, n))
        said = {by: uncertainty_auroc(found, truth, pixel_size=size, by=by) for by in MEASURES}
        counts = {key: value for key, value in said["combined"].items() if key != "auroc"}
        rows[n] = counts | {f"by {by}": said[by]["auroc"] for by in MEASURES}
    table = pd.DataFrame(rows).T
    table.index.name = "members"
    return table


def _first_members(prediction: eh.Prediction, n: int) -> eh.Prediction:
    """Return what the first members alone say: the maps are there already, and need no second run."""
    members = prediction.members[:n].astype(np.float32)
    return dataclasses.replace(prediction, members=members, mean=members.mean(0), std=members.std(0))


# --------------------------------------------------------------------------- pixels
def labelled_pixels(prediction: eh.Prediction, truth: pd.DataFrame) -> Iterator[tuple]:
    """Yield for each frame the true channel of each pixel of the maps, and which pixels have a truth."""
    shape = prediction.mean.shape[1:3]
    for i in range(len(prediction)):
        here = truth[truth["frame"] == i]
        row_col = here[["row_px", "col_px"]].to_numpy() * prediction.scale
        xy = eh.to_angstrom(row_col, pixel_size=prediction.pixel_size, height=shape[0])
        mask = eh.element_mask(
            xy, here["element"].tolist(), classes=prediction.classes, shape=shape,
            pixel_size=prediction.pixel_size,
        )  # fmt: skip
        hidden = row_col[here["under_contamination"].to_numpy(bool)]
        known = np.ones(shape, bool)
        if len(hidden):
            pixels = np.stack(np.indices(shape), -1).reshape(-1, 2)
            away = cKDTree(hidden).query(pixels, distance_upper_bound=HIDDEN_A / prediction.pixel_size)[0]
            known = np.isinf(away).reshape(shape)
        yield mask, known


def calibration(ensemble: eh.Ensemble, frames: int | None) -> dict[str, float]:
    """Return the expected calibration error of each channel over the pixels in doubt, and their number."""
    from elit_helpers.analysis import calibration_error, reliability

    stack, truth, size = _frames.movie("scoring")
    prediction = eh.predict(ensemble, stack[:frames], pixel_size=size, members=False)
    labels = list(labelled_pixels(prediction, truth))
    known = np.stack([k for _, k in labels])
    channel, scores = np.stack([m for m, _ in labels]), {}
    for k, name in enumerate(prediction.classes):
        p, true = prediction.mean[..., k][known], channel[known] == k
        doubt = (p > DOUBT[0]) & (p < DOUBT[1])
        table = reliability(p[doubt], true[doubt], bins=10, lowest=DOUBT[0], highest=DOUBT[1])
        scores |= {f"{name}: error": calibration_error(table), f"{name}: pixels": int(doubt.sum())}
    return scores


def temperatures(ensemble: eh.Ensemble, quick: bool) -> dict[str, eh.Ensemble]:
    """Return the ensemble without a temperature, and with one fitted on simulated pairs."""
    try:
        from elit_helpers.ensemble import fit_temperature
    except ImportError:
        from elit_helpers.analysis import fit_temperature

    classes = ensemble.classes if len(ensemble.classes) > 1 else None
    pairs = eh.training_set("realistic", 20 if quick else HELD_OUT, rng=HELD_OUT_SEED, classes=classes)
    plain = dataclasses.replace(ensemble, temperature=1.0)
    fitted = fit_temperature(plain, *pairs)
    found = {"no temperature": plain, f"fitted on simulation: {fitted.temperature:.2f}": fitted}
    if ensemble.temperature != 1.0:
        found[f"as it ships: {ensemble.temperature:.2f}"] = ensemble
    return found


# --------------------------------------------------------------------------- together
def main(quick: bool = False) -> dict[str, pd.DataFrame]:
    """Return the tables by title."""
    if not hasattr(__import__("elit_helpers.analysis", fromlist=["x"]), "uncertainty_auroc"):
        print("This version has no `uncertainty_auroc`: nothing to measure.")
        return {}
    frames = 1 if quick else None
    by_members, pixels = {}, {}
    for name, ensemble in ensembles(quick).items():
        by_members[name] = candidates(ensemble, frames)
        for what, tempered in temperatures(ensemble, quick).items():
            pixels[name, what] = calibration(tempered, frames)
    members, errors = pd.concat(by_members, names=["ensemble", "members"]), pd.DataFrame(pixels).T
    errors.index.names = ["ensemble", "temperature"]
    all_members = members.groupby("ensemble").tail(1)
    after = errors[~errors.index.get_level_values("temperature").str.startswith("no ")]
    worst = after[[name for name in after if name.endswith("error")]]
    rows = [
        ("AUROC of wrong candidates, by the combined measure, the worse ensemble", "≥ 0.85",
         all_members["by combined"].min()),
        ("expected calibration error in doubt after the temperature, the worst channel", "≤ 0.05",
         worst.groupby("ensemble").min().to_numpy().max()),
    ]  # fmt: skip
    return {
        "Wrong candidates told from right ones (AUROC, movie's scoring half)": members.round(3),
        "Expected calibration error, pixels from 0.05 to 0.95 (movie's scoring half)": errors.round(4),
        "Wanted and measured": _report.wanted_and_measured(rows),
    }


if __name__ == "__main__":
    _report.show(main("--quick" in sys.argv))
