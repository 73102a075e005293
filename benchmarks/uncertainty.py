"""Does the uncertainty find the errors? On the movie's scoring half, with more and more members.

usage: python benchmarks/uncertainty.py [--quick]

For candidates: the area under the ROC curve of telling wrong ones from right ones, flagged ones included,
true atoms without any candidate counted apart. For pixels: the expected calibration error where the ensemble
is in doubt, before and after a temperature that is fitted on simulated pairs. Two minutes on two cores.
"""

from __future__ import annotations

import dataclasses
import sys

import _frames
import _report
import _runs
import pandas as pd

import elit_helpers as eh

MEASURES = ("probability", "position_std_A", "member_share", "combined")
DOUBT = (0.05, 0.95)  # probabilities between which calibration is judged
OWN, FITTED = "as it comes,", "fitted here on simulated pairs,"
HELD_OUT, HELD_OUT_SEED = 200, 2021  # simulated pairs for the temperature


def ensembles(quick: bool) -> dict[str, eh.Ensemble]:
    """Return the ensembles that are judged: as it ships, and after Algorithm 1 in this run."""
    final = _runs.algorithm("realistic", _runs.SEEDS[0], quick).result.final
    return {"shipped": eh.default_ensemble(), "after Algorithm 1": final}


def candidates(prediction: eh.Prediction, truth: pd.DataFrame, pixel_size: float) -> pd.DataFrame:
    """Return how well each measure tells wrong candidates from right ones, with a 95 % interval."""
    found = eh.locate_atoms(prediction)
    rows = {by: eh.uncertainty_auroc(found, truth, pixel_size=pixel_size, by=by) for by in MEASURES}
    return pd.DataFrame(rows).T.rename_axis("measure")


def calibration(prediction: eh.Prediction, truth: pd.DataFrame) -> dict[str, float]:
    """Return the calibration error of each channel over the pixels in doubt, and their number."""
    labels, scores = eh.true_labels(prediction, truth), {}
    channels = dict(enumerate(prediction.classes)) if len(prediction.classes) > 1 else {}
    chances = {name: (prediction.mean[..., k], labels == k) for k, name in channels.items()}
    chances["any atom"] = (1 - prediction.mean[..., -1], labels < len(prediction.classes))
    for name, (chance, true) in chances.items():
        known = (labels >= 0) & (chance > DOUBT[0]) & (chance < DOUBT[1])
        table = eh.reliability(chance[known], true[known], bins=10, lowest=DOUBT[0], highest=DOUBT[1])
        scores |= {f"{name}: error": eh.calibration_error(table), f"{name}: pixels": int(known.sum())}
    return scores


def temperatures(ensemble: eh.Ensemble, quick: bool) -> dict[str, eh.Ensemble]:
    """Return the ensemble without a temperature, as it is, and with one fitted on simulated pairs."""
    classes = ensemble.classes if len(ensemble.classes) > 1 else None
    pairs = eh.training_set("realistic", 20 if quick else HELD_OUT, rng=HELD_OUT_SEED, classes=classes)
    found = {"none": dataclasses.replace(ensemble, temperature=1.0)}
    if ensemble.temperature != 1.0:
        found[f"{OWN} {ensemble.temperature:.2f}"] = ensemble
    fitted = eh.fit_temperature(ensemble, *pairs)
    return found | {f"{FITTED} {fitted.temperature:.2f}": fitted}


def judge(ensemble: eh.Ensemble, quick: bool) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Return the tables of one ensemble: measures, numbers of members, temperatures."""
    frames, truth, size = _frames.movie("scoring")
    frames = frames[: 1 if quick else None]
    truth, errors = truth[truth["frame"] < len(frames)], {}
    prediction = eh.predict(ensemble, frames, pixel_size=size)
    measures = candidates(prediction, truth, size)
    members = eh.members_table(prediction, truth, repeats=1 if quick else 3)
    for name, tempered in temperatures(ensemble, quick).items():
        maps = eh.predict(tempered, frames, pixel_size=size, members=False)
        errors[name] = calibration(maps, truth)
    return measures, members, pd.DataFrame(errors).T.rename_axis("temperature")


def wanted(measures: pd.DataFrame, errors: pd.DataFrame) -> pd.DataFrame:
    """Return what is wanted beside what was measured, for each ensemble."""
    rows = []
    for name in measures.index.get_level_values("ensemble").unique():
        rows.append(
            (f"AUROC over all candidates, {name}", "≥ 0.85", measures.loc[(name, "combined"), "auroc"])
        )
        for temperature, found in errors.loc[name].filter(like=": error").max(axis=1).items():
            what = f"calibration error, worst channel, {name}, temperature {temperature}"
            rows.append((what, "≤ 0.05", found))
    return _report.wanted_and_measured(rows)


def main(quick: bool = False) -> dict[str, pd.DataFrame]:
    """Return the tables by title."""
    said = {name: judge(ensemble, quick) for name, ensemble in ensembles(quick).items()}
    measures, members, errors = (
        pd.concat({name: tables[i] for name, tables in said.items()}, names=["ensemble"]) for i in range(3)
    )
    return {
        "Wrong candidates told from right ones (movie's scoring half)": measures.round(3),
        "The same, combined, with more and more members; ece is of pixels in doubt": members.round(3),
        "Expected calibration error over pixels from 0.05 to 0.95 (movie's scoring half)": errors.round(4),
        "Wanted and measured": wanted(measures, errors),
    }


if __name__ == "__main__":
    _report.show(main("--quick" in sys.argv))
