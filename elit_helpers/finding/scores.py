"""How well atoms were found: against the truth, or against what a lattice must be."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

from elit_helpers.core.atoms_table import kept, one_frame, positions, require_columns
from elit_helpers.core.checks import check_positive
from elit_helpers.core.coordinates import extent, inside, to_angstrom
from elit_helpers.geometry.compare import rms
from elit_helpers.geometry.matching import match_positions
from elit_helpers.samples.materials import GRAPHENE_BOND_A, GRAPHENE_DENSITY

CONTAMINATION_REACH_A = 1.5  # a false atom this close to a hidden one lies on the contamination


def score_atoms(
    found: pd.DataFrame,
    truth: pd.DataFrame,
    *,
    tolerance_A: float = 0.5,
    pixel_size: float | None = None,
    shape: tuple[int, int] | None = None,
    border_A: float = 0.0,
    contamination: np.ndarray | None = None,
) -> dict[str, Any]:
    """Compare found atoms with true ones, one to one, frame by frame.

    A true atom under contamination, or closer than `border_A` to the edge of the picture, is don't-care:
    it is neither missing when it was not found nor counted when it was. A found atom without a partner is
    false, except in the border (ignored) and on contamination (counted apart).

    Parameters
    ----------
    found : DataFrame
        Table of atoms; only rows with ``kept`` true count, all of them when that column is missing.
    truth : DataFrame
        True atoms with ``frame, row_px, col_px, x_A, y_A, element, under_contamination``. Its frames are
        the frames that are scored.
    tolerance_A : float
        Largest distance of a pair [Å].
    pixel_size : float, optional
        Å/px. Given, positions are compared in pixels times this size; not given, as ``x_A, y_A``, where
        a calibration that differs from the truth's counts as an error of position.
    shape : (int, int), optional
        Height and width of a frame [px], needed with `border_A`.
    border_A : float
        Width of the don't-care border [Å].
    contamination : (N, H, W) bool array, optional
        Where the contamination lies, frames in the order of the sorted frame numbers. Without it a false
        atom within 1.5 Å of a hidden true atom counts as one on contamination.

    Returns
    -------
    dict
        ``precision, recall, f1, rmse_A`` (in-plane distance of the pairs, NaN without any), the counts
        ``frames, truth, found, matched, missing, false, false_on_contamination, dont_care``,
        ``element_accuracy``, ``element_confusion`` (DataFrame, true element by found element) and
        ``per_frame`` (DataFrame, one row a frame).

    Raises
    ------
    ValueError
        A column is missing, a position is not finite, a found frame has no truth, or `border_A` comes
        without `shape` and `pixel_size`.
    """
    check_positive("tolerance_A", tolerance_A, unit="Å")
    if (border_A or contamination is not None) and (shape is None or pixel_size is None):
        raise ValueError("`border_A` and `contamination` need `shape` (height, width [px]) and `pixel_size`.")
    _check_scoring_tables(found, truth, pixel_size)
    found = kept(found)
    frames = sorted(truth["frame"].unique())
    if contamination is not None and len(contamination) != len(frames):
        raise ValueError(f"`contamination` has {len(contamination)} masks for {len(frames)} frames of truth.")
    rows, pairs = [], []
    for index, frame in enumerate(frames):
        mask = None if contamination is None else np.asarray(contamination[index], bool)
        counts, matched = _score_frame(
            one_frame(found, frame),
            one_frame(truth, frame),
            tolerance_A,
            pixel_size,
            shape,
            border_A,
            mask,
        )
        rows.append({"frame": frame, **counts})
        pairs.append(matched)
    return _summarise_scores(pd.DataFrame(rows), pd.concat(pairs, ignore_index=True))


def nearest_neighbour_share(
    atoms: pd.DataFrame | np.ndarray,
    *,
    pixel_size: float,
    shape: tuple[int, int],
    bond_A: float = GRAPHENE_BOND_A,
    tolerance_A: float = 0.25,
    border_A: float = 2.0,
) -> tuple[int, float, float]:
    """Judge atoms of a graphene frame without knowing the truth.

    Every atom of graphene has three neighbours at 1.42 Å. The share of the three nearest distances that
    are, says how well the atoms sit; the density beside it says that they were not merely few.

    Parameters
    ----------
    atoms : DataFrame or (M, 2) float array
        Table of one frame (kept rows count) or row and column [px].
    pixel_size : float
        Å/px.
    shape : (int, int)
        Height and width of the frame [px].
    bond_A, tolerance_A : float
        The distance expected and how far off it may be [Å].
    border_A : float
        Atoms closer to the edge are neighbours only, and not judged [Å].

    Returns
    -------
    int, float, float
        Atoms judged, share of their nearest-neighbour distances in range, density relative to graphene.

    Raises
    ------
    ValueError
        The table holds more than one frame.
    """
    if isinstance(atoms, pd.DataFrame):
        atoms = kept(one_frame(atoms, name="atoms"))[["row_px", "col_px"]]
    points = to_angstrom(atoms, pixel_size=pixel_size, height=shape[0])
    judged = inside(atoms, shape, border_A / pixel_size)
    if len(points) < 4 or not judged.any():
        return 0, 0.0, 0.0
    distance = cKDTree(points).query(points[judged], k=4)[0][:, 1:]
    share = float(np.mean(np.abs(distance - bond_A) < tolerance_A))
    density = judged.sum() / np.prod(extent(shape, pixel_size) - 2 * border_A)
    return int(judged.sum()), share, float(density / GRAPHENE_DENSITY)


def _check_scoring_tables(found: pd.DataFrame, truth: pd.DataFrame, pixel_size: float | None) -> None:
    columns = ["frame", "element"] + (["x_A", "y_A"] if pixel_size is None else ["row_px", "col_px"])
    require_columns(found, columns, "found")
    require_columns(truth, [*columns, "under_contamination"], "truth", source="`load_movie_truth`")
    for name, table in (("found", found), ("truth", truth)):
        if not np.isfinite(table[columns[2:]].to_numpy(float)).all():
            raise ValueError(f"`{name}` holds positions that are not finite; drop those rows before scoring.")
    check_frames_known(found, truth)


def check_frames_known(found: pd.DataFrame, truth: pd.DataFrame) -> None:
    """Refuse found atoms of frames whose truth is not there."""
    if strangers := sorted(set(found["frame"]) - set(truth["frame"])):
        raise ValueError(f"`found` has frames {strangers} without truth; pass the frames that have one.")


def _score_frame(found, truth, tolerance, pixel_size, shape, border, mask) -> tuple[dict, pd.DataFrame]:
    here, there = positions(found, pixel_size), positions(truth, pixel_size)
    hidden = truth["under_contamination"].to_numpy(bool)
    edge_found, edge_truth = (_in_border(table, shape, pixel_size, border) for table in (found, truth))
    dont_care = hidden | edge_truth
    i, j = match_positions(here, there, tolerance_A=tolerance)
    counted = ~dont_care[j]
    lonely = np.ones(len(here), bool)
    lonely[i] = False
    lonely &= ~edge_found
    on_dirt = lonely & _on_contamination(here, there[hidden], found, mask)
    matched = int(counted.sum())
    counts = {
        "truth": int((~dont_care).sum()),
        "matched": matched,
        "missing": int((~dont_care).sum()) - matched,
        "false": int((lonely & ~on_dirt).sum()),
        "false_on_contamination": int(on_dirt.sum()),
        "dont_care": int(dont_care.sum()),
        "found": len(here),
    }
    pairs = pd.DataFrame(
        {
            "distance": np.linalg.norm(here[i] - there[j], axis=1)[counted],
            "found": found["element"].to_numpy(object)[i][counted],
            "truth": truth["element"].to_numpy(object)[j][counted],
        }
    )
    counts["rmse_A"] = rms(pairs["distance"])
    return counts, pairs


def _in_border(table, shape, pixel_size, border) -> np.ndarray:
    if not border:
        return np.zeros(len(table), bool)
    return ~inside(table[["row_px", "col_px"]], shape, border / pixel_size)


def _on_contamination(points, hidden, found, mask) -> np.ndarray:
    if mask is not None:
        rows, cols = (
            np.clip(np.rint(found[name].to_numpy(float)).astype(int), 0, size - 1)
            for name, size in zip(("row_px", "col_px"), mask.shape, strict=True)
        )
        return mask[rows, cols]
    if not len(hidden) or not len(points):
        return np.zeros(len(points), bool)
    return cKDTree(hidden).query(points)[0] <= CONTAMINATION_REACH_A


def _summarise_scores(per_frame: pd.DataFrame, pairs: pd.DataFrame) -> dict[str, Any]:
    total = {name: int(per_frame[name].sum()) for name in per_frame.columns.drop(["frame", "rmse_A"])}
    matched, false, truth = total["matched"], total["false"], total["truth"]
    precision = matched / (matched + false) if matched + false else 0.0
    recall = matched / truth if truth else 0.0
    return {
        "precision": precision,
        "recall": recall,
        "f1": 2 * precision * recall / (precision + recall) if matched else 0.0,
        "rmse_A": rms(pairs["distance"]),
        "frames": len(per_frame),
        **total,
        "element_accuracy": float((pairs["found"] == pairs["truth"]).mean()) if matched else float("nan"),
        "element_confusion": pd.crosstab(pairs["truth"], pairs["found"]),
        "per_frame": per_frame,
    }
