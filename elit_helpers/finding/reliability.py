"""Whether the probabilities of pixels mean what they say: reliability, and the labels to compare with."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

from elit_helpers.core.atoms_table import one_frame
from elit_helpers.core.checks import check_count
from elit_helpers.ensemble.networks import UNSURE
from elit_helpers.ensemble.predict import Prediction
from elit_helpers.finding.scores import CONTAMINATION_REACH_A
from elit_helpers.images.masks import DISC_A, discs

_ROUNDING = 1e-5  # by how much one minus a sum in single precision may miss


def reliability(
    probability: np.ndarray,
    truth: np.ndarray,
    *,
    bins: int = 10,
    lowest: float = 0.0,
    highest: float = 1.0,
) -> pd.DataFrame:
    """Compare predicted probabilities with how often they came true.

    Parameters
    ----------
    probability : float array of any shape
        What was predicted, such as ``1 - prediction.mean[..., -1]`` for "an atom".
    truth : array of the same shape
        What was the case: true or 1, false or 0; -1 where it is not known or don't-care, which is left out.
    bins : int
        Of equal width.
    lowest, highest : float
        Only probabilities between these two are looked at, both included.

    Returns
    -------
    DataFrame
        A row a bin: ``low, high`` (its ends), ``predicted`` (mean probability), ``observed`` (share that came
        true; both NaN in an empty bin) and ``count``. In ``attrs``: ``left_out``, the don't-care pixels.

    Raises
    ------
    ValueError
        If the shapes differ, a value is no probability or no truth, or the range is empty.
    """
    probability, truth = np.asarray(probability, float), np.asarray(truth)
    _check_reliability(probability, truth, bins, lowest, highest)
    probability = np.clip(probability, 0, 1)
    known = truth >= 0
    used = known & (probability >= lowest) & (probability <= highest)
    edges = np.linspace(lowest, highest, bins + 1)
    index = np.clip(np.searchsorted(edges, probability[used], side="right") - 1, 0, bins - 1)
    count = np.bincount(index, minlength=bins)
    filled = np.where(count > 0, count, np.nan)
    table = pd.DataFrame(
        {
            "low": edges[:-1],
            "high": edges[1:],
            "predicted": np.bincount(index, probability[used], bins) / filled,
            "observed": np.bincount(index, truth[used].astype(float), bins) / filled,
            "count": count,
        }
    )
    table.attrs["left_out"] = int((~known).sum())
    return table


def _check_reliability(probability, truth, bins, lowest, highest) -> None:
    if probability.shape != truth.shape:
        raise ValueError(f"`probability` is {probability.shape} and `truth` {truth.shape}; they must agree.")
    if not ((probability >= -_ROUNDING) & (probability <= 1 + _ROUNDING)).all():
        raise ValueError("`probability` holds values that are not between 0 and 1; pass probabilities.")
    if not np.isin(truth, (-1, 0, 1)).all():
        raise ValueError(
            "`truth` holds values other than 0, 1 and -1; pass a comparison, such as `labels == 0`, "
            "and -1 where nothing is known."
        )
    check_count("bins", bins)
    if not 0 <= lowest < highest <= 1:
        raise ValueError(
            f"`lowest` is {lowest} and `highest` {highest}; it must be 0 ≤ lowest < highest ≤ 1."
        )


def calibration_error(table_of_reliability: pd.DataFrame) -> float:
    """Return the expected calibration error: how far the bins are off on average, weighed by their counts.

    Parameters
    ----------
    table_of_reliability : DataFrame
        From `reliability`.

    Returns
    -------
    float
        Between 0 and 1; NaN if every bin is empty.
    """
    table = table_of_reliability[table_of_reliability["count"] > 0]
    if not len(table):
        return float("nan")
    return float(np.average((table["predicted"] - table["observed"]).abs(), weights=table["count"]))


def true_labels(prediction: Prediction, truth: pd.DataFrame) -> np.ndarray:
    """Draw the labels that a prediction should have given, to compare its pixels with.

    Parameters
    ----------
    prediction : Prediction
        Its frames are the frames 0 … N − 1 of `truth`.
    truth : DataFrame
        True atoms, as `load_movie_truth` has them.

    Returns
    -------
    (N, H, W) int8 array
        On the pixels of the prediction: the channel of each, background last, -1 where it is don't-care:
        within 1.5 Å of an atom under contamination, and a disc's radius from the border, where discs of
        atoms outside the picture are.

    Raises
    ------
    ValueError
        If an element of the truth is none of several classes.
    """
    classes, px = prediction.classes, prediction.pixel_size
    if missing := set(truth["element"]) - set(classes) if len(classes) > 1 else set():
        raise ValueError(
            f"`truth` holds {', '.join(sorted(missing))}, `prediction` only {', '.join(classes)}."
        )
    channel = {name: i for i, name in enumerate(classes)} if len(classes) > 1 else {}
    shape = prediction.mean.shape[1:3]
    labels = np.empty((len(prediction), *shape), np.int8)
    rim, pixels = int(np.ceil(DISC_A / px)), np.indices(shape).reshape(2, -1).T
    for frame, out in enumerate(labels):
        atoms = one_frame(truth, frame)
        row_col = atoms[["row_px", "col_px"]].to_numpy(float) * np.asarray(prediction.scale)
        numbers = atoms["element"].map(lambda e: channel.get(e, 0)).to_numpy(int)
        out[:] = discs(row_col, numbers, len(classes), shape, DISC_A / px)
        hidden = row_col[atoms["under_contamination"].to_numpy(bool)]
        if len(hidden):
            away = cKDTree(hidden).query(pixels, distance_upper_bound=CONTAMINATION_REACH_A / px)[0]
            out.ravel()[np.isfinite(away)] = UNSURE
        out[:rim], out[-rim:], out[:, :rim], out[:, -rim:] = (UNSURE,) * 4
    return labels
