"""Whether doubt is where the errors are: wrong and missing atoms, and how many members it takes."""

from __future__ import annotations

import dataclasses
from itertools import combinations

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

from elit_helpers.core.atoms_table import positions
from elit_helpers.core.checks import (
    RandomState,
    check_choice,
    check_pixel_size,
    check_positive,
    require,
    resolve_rng,
)
from elit_helpers.ensemble.networks import UNSURE
from elit_helpers.ensemble.predict import Prediction, members_of
from elit_helpers.finding.locate import locate_atoms
from elit_helpers.finding.reliability import calibration_error, reliability, true_labels
from elit_helpers.finding.scores import CONTAMINATION_REACH_A, check_frames_known, score_atoms
from elit_helpers.geometry.matching import match_positions

UNCERTAINTIES = ("probability", "position_std_A", "member_share", "combined")
CALIBRATED = (
    0.05,
    0.95,
)  # outside, a pixel is as good as decided, and there are too many of them to see the rest


# ---------------------------------------------------------------- atoms


def label_candidates(
    found: pd.DataFrame, truth: pd.DataFrame, *, pixel_size: float, tolerance_A: float = 0.5
) -> pd.Series:
    """Say of each candidate whether there is an atom, flagged ones included.

    Parameters
    ----------
    found : DataFrame
        From `locate_atoms`; every row is judged, whether kept or not.
    truth : DataFrame
        True atoms with ``frame, row_px, col_px, under_contamination``. Its frames are those that are judged.
    pixel_size : float
        [Å/px].
    tolerance_A : float
        Largest distance of a candidate and its atom [Å].

    Returns
    -------
    Series of str
        With the index of `found`: ``"right"`` (one to one with a true atom; its element may be another),
        ``"wrong"``, or ``"don't-care"``: its atom lies under contamination, or it has none and lies within
        1.5 Å of such a one.

    Raises
    ------
    ValueError
        If a found frame has no truth.
    """
    labels, _ = _compare(found, truth, pixel_size, tolerance_A)
    return labels


def missed_atoms(
    found: pd.DataFrame,
    truth: pd.DataFrame,
    *,
    pixel_size: float,
    tolerance_A: float = 0.5,
    prediction: Prediction | None = None,
) -> pd.DataFrame:
    """List the true atoms without any candidate: the errors that no uncertainty in a table can show.

    Parameters
    ----------
    found, truth, pixel_size, tolerance_A
        As for `label_candidates`.
    prediction : Prediction, optional
        With the members' maps: what the ensemble says at those places is added.

    Returns
    -------
    DataFrame
        Rows of `truth`. With `prediction` also ``highest`` (probability of an atom of that member that gives
        most), ``entropy`` and ``mutual_information`` [nat], at the pixel of the atom. Where all three are
        near 0 every member agrees that there is nothing: a blind spot they share.
    """
    _, missed = _compare(found, truth, pixel_size, tolerance_A)
    table = truth[missed].reset_index(drop=True)
    if prediction is None:
        return table
    members, shape = members_of(prediction), np.array(prediction.mean.shape[1:3])
    row_col = table[["row_px", "col_px"]].to_numpy(float) * np.asarray(prediction.scale)
    row, col = np.clip(np.round(row_col).astype(int), 0, shape - 1).T
    frame = table["frame"].to_numpy(int)
    background = members[:, frame, row, col, -1].astype(np.float32)
    return table.assign(
        highest=1 - background.min(0, initial=1.0),
        entropy=prediction.entropy[frame, row, col],
        mutual_information=prediction.mutual_information[frame, row, col],
    )


def _compare(found, truth, pixel_size, tolerance_A) -> tuple[pd.Series, np.ndarray]:
    """Return the label of each candidate, and which true atoms have none."""
    check_pixel_size(pixel_size)
    check_positive("tolerance_A", tolerance_A, unit="Å")
    check_frames_known(found, truth)
    labels, missed = np.full(len(found), "wrong", object), np.ones(len(truth), bool)
    here, there = (positions(t, pixel_size) for t in (found, truth))
    hidden = truth["under_contamination"].to_numpy(bool)
    for frame in truth["frame"].unique():
        a, b = (np.flatnonzero((t["frame"] == frame).to_numpy()) for t in (found, truth))
        i, j = match_positions(here[a], there[b], tolerance_A=tolerance_A)
        missed[b[j]] = False
        covered = b[hidden[b]]
        if len(covered) and len(a):
            near = cKDTree(there[covered]).query(here[a])[0] <= CONTAMINATION_REACH_A
            labels[a[near]] = "don't-care"
        labels[a[i]] = np.where(hidden[b[j]], "don't-care", "right")
    return pd.Series(labels, index=found.index, name="label", dtype=object), missed


def atom_uncertainty(found: pd.DataFrame, by: str = "combined") -> pd.Series:
    """Return for each candidate how doubtful it is, by one of its columns or by a combination of them.

    Parameters
    ----------
    found : DataFrame
        From `locate_atoms`.
    by : {"probability", "position_std_A", "member_share", "combined"}
        ``1 - probability``; the spread of the position [Å], infinite where fewer than two members see the
        atom; ``1 - member_share``; or ``1 - probability × member_share × inside``, where `inside` is ½ for
        atoms flagged "edge", of which the picture shows less than half, and 1 for all others. Without
        members their share counts as 1.

    Returns
    -------
    Series of float
        With the index of `found`; more is more doubtful.

    Raises
    ------
    ValueError
        If `by` is unknown, or needs members and the prediction came without.
    """
    check_choice("by", by, UNCERTAINTIES)
    if by in ("position_std_A", "member_share") and len(found) and found["member_share"].isna().all():
        raise ValueError(f"`by` is {by!r}, but `found` knows no members; use predict(..., members=True).")
    if by == "probability":
        return 1 - found["probability"]
    if by == "position_std_A":
        return found["position_std_A"].fillna(np.inf)
    if by == "member_share":
        return 1 - found["member_share"]
    inside = np.where(found["reason"] == "edge", 0.5, 1.0)
    return 1 - found["probability"] * found["member_share"].fillna(1.0) * inside


def uncertainty_auroc(
    found: pd.DataFrame,
    truth: pd.DataFrame,
    *,
    pixel_size: float,
    by: str = "probability",
    tolerance_A: float = 0.5,
    samples: int = 200,
) -> dict[str, float]:
    """Ask whether the doubtful candidates are the wrong ones.

    The AUROC is the chance that of a wrong and a right candidate, drawn at random, the wrong one is the more
    doubtful: 1 finds every error first, 0.5 is as good as drawing lots. It does not depend on any threshold.

    Parameters
    ----------
    found, truth, pixel_size, tolerance_A
        As for `label_candidates`. Every candidate counts, flagged ones included; don't-care ones do not.
    by : {"probability", "position_std_A", "member_share", "combined"}
        As for `atom_uncertainty`.
    samples : int
        Bootstrap samples for the interval; 0 for none.

    Returns
    -------
    dict
        ``auroc`` with the 95 % interval ``auroc_low, auroc_high``; ``auroc_inside``, the same without the
        candidates flagged "edge", whose atoms a table of what lies in the picture cannot list; the counts
        ``candidates`` (right and wrong ones), ``wrong``, ``wrong_edge`` (of these flagged "edge"),
        ``dont_care`` (candidates left out) and, apart, ``missing``: true atoms without any candidate, less
        those under contamination. NaN where there is no wrong or no right candidate.
    """
    labels, missed = _compare(found, truth, pixel_size, tolerance_A)
    judged = (labels != "don't-care").to_numpy()
    doubt = atom_uncertainty(found, by).to_numpy(float)[judged]
    doubt = np.minimum(doubt, 1e9)  # the metric takes no infinities, and only the order counts
    wrong = (labels == "wrong").to_numpy()[judged]
    edge = (found["reason"] == "edge").to_numpy()[judged]
    draws = _bootstrap(wrong, doubt, samples)
    return {
        "auroc": _auroc(wrong, doubt),
        "auroc_low": float(np.quantile(draws, 0.025)) if len(draws) else float("nan"),
        "auroc_high": float(np.quantile(draws, 0.975)) if len(draws) else float("nan"),
        "auroc_inside": _auroc(wrong[~edge], doubt[~edge]),
        "candidates": len(wrong),
        "wrong": int(wrong.sum()),
        "wrong_edge": int((wrong & edge).sum()),
        "dont_care": int((~judged).sum()),
        "missing": int((missed & ~truth["under_contamination"].to_numpy(bool)).sum()),
    }


def _auroc(wrong: np.ndarray, doubt: np.ndarray) -> float:
    if not wrong.any() or wrong.all():
        return float("nan")
    metrics = require("sklearn.metrics", "The area under the ROC curve")
    return float(metrics.roc_auc_score(wrong, doubt))


def _bootstrap(wrong: np.ndarray, doubt: np.ndarray, samples: int) -> np.ndarray:
    """Return the AUROC of `samples` draws with as many wrong and as many right candidates each."""
    if not wrong.any() or wrong.all():
        return np.zeros(0)
    rng, bad, good = np.random.default_rng(0), np.flatnonzero(wrong), np.flatnonzero(~wrong)
    draws = (np.concatenate([rng.choice(part, len(part)) for part in (bad, good)]) for _ in range(samples))
    return np.array([_auroc(wrong[i], doubt[i]) for i in draws])


# ---------------------------------------------------------------- members


def members_table(
    prediction: Prediction,
    truth: pd.DataFrame,
    *,
    by: str = "combined",
    repeats: int = 3,
    rng: RandomState = 0,
    **options: float,
) -> pd.DataFrame:
    """Ask how scores and uncertainty change with the number of members.

    Parameters
    ----------
    prediction : Prediction
        With the members' maps; smaller ensembles are made of them, nothing is predicted anew.
    truth : DataFrame
        True atoms of its frames.
    by : str
        As for `atom_uncertainty`. With a single member its spread is unknown: ``position_std_A`` needs two.
    repeats : int
        So many choices of members are averaged over, where there are as many.
    rng : int, Generator or None
        Draws them.
    **options
        Of `locate_atoms`.

    Returns
    -------
    DataFrame
        Indexed by ``members``: the means of ``f1``, ``rmse_A``, ``auroc``, ``auroc_inside``, ``wrong``,
        ``missing`` (see `uncertainty_auroc`) and ``ece`` (calibration error of "an atom" over pixels with
        0.05 < p < 0.95); ``auroc_std`` and ``ece_std`` over the ``choices``.

    Raises
    ------
    ValueError
        If the prediction has no maps of its members.
    """
    total = len(members_of(prediction))
    check_choice("by", by, UNCERTAINTIES)
    rng, rows, labels = resolve_rng(rng), [], true_labels(prediction, truth)
    for count in range(1, total + 1):
        every = list(combinations(range(total), count))
        picked = rng.choice(len(every), min(repeats, len(every)), replace=False)
        for chosen in (every[i] for i in picked):
            scores = _scores_of(_mean_of(prediction, chosen), truth, labels, by, options)
            rows.append({"members": count, **scores})
    groups = pd.DataFrame(rows).groupby("members")
    spread = groups[["auroc", "ece"]].std(ddof=0).add_suffix("_std")
    return groups.mean().join(spread).assign(choices=groups.size())


def _mean_of(prediction: Prediction, chosen: tuple[int, ...]) -> Prediction:
    maps = prediction.members[list(chosen)]
    mean = sum(m.astype(np.float32) for m in maps) / np.float32(len(maps))  # float16 would overflow the sum
    return dataclasses.replace(prediction, mean=mean, members=maps, expected_entropy=None)


def _scores_of(prediction, truth, labels, by, options) -> dict[str, float]:
    found, px = locate_atoms(prediction, **options), prediction.pixel_size_original
    if len(prediction.members) == 1 and by == "position_std_A":
        by = "member_share"
    score = score_atoms(found, truth, pixel_size=px)
    doubt = uncertainty_auroc(found, truth, pixel_size=px, by=by, samples=0)
    chance = np.clip(1 - prediction.mean[..., -1], 0, 1)
    atom = np.where(labels == UNSURE, -1, labels < len(prediction.classes))
    table = reliability(chance, atom, lowest=CALIBRATED[0], highest=CALIBRATED[1])
    return {
        "f1": score["f1"],
        "rmse_A": score["rmse_A"],
        **{name: doubt[name] for name in ("auroc", "auroc_inside", "wrong", "missing")},
        "ece": calibration_error(table),
    }
