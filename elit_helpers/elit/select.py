"""Members without artifacts (line 3 of Algorithm 1): how the atoms of each look without knowing the truth."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from elit_helpers.core.atoms_table import kept
from elit_helpers.core.checks import (
    check_frames,
    check_positive,
)
from elit_helpers.elit import candidates
from elit_helpers.elit.honeycomb import GRAPHENE, Honeycomb
from elit_helpers.ensemble.predict import Prediction, members_of
from elit_helpers.ensemble.settings import Ensemble
from elit_helpers.finding.locate import locate_atoms
from elit_helpers.finding.scores import nearest_neighbour_share, score_atoms
from elit_helpers.samples.materials import Material

_JUDGED = 2  # frames, evenly spread: a member with artifacts has them in each


def member_scores(prediction: Prediction, frames: np.ndarray, sheet: Honeycomb) -> pd.DataFrame:
    """Return what speaks for each member: number, atoms, and lattice, agreement, contrast from 0 to 1."""
    judged = np.unique(np.linspace(0, len(frames) - 1, _JUDGED).round().astype(int))
    prediction, frames = prediction[judged], frames[judged]
    return pd.DataFrame([_one(prediction, frames, i, sheet) for i in range(len(prediction.members))])


def _one(prediction: Prediction, frames: np.ndarray, member: int, sheet: Honeycomb) -> dict[str, Any]:
    px, n = prediction.pixel_size_original, len(prediction.members)
    others = [i for i in range(n) if i != member] or [member]
    own, rest = (kept(locate_atoms(_mean_of(prediction, some))) for some in ([member], others))
    lattice, contrast, weight = [], [], []
    for frame, atoms in own.groupby("frame"):
        count, share, _ = _share(atoms, prediction, sheet)
        row_col = atoms[["row_px", "col_px"]].to_numpy()
        bright = candidates.brightness(frames[frame], row_col, pixel_size=px, sheet=sheet)
        lattice.append(share)
        contrast.append(float(np.mean(bright > 0.25 * sheet.usual(bright))))
        weight.append(max(count, 1))
    return {
        "member": member,
        "atoms": len(own),
        "lattice": float(np.average(lattice, weights=weight)) if weight else 0.0,
        "agreement": agreement(own, rest, px, sheet),
        "contrast": float(np.average(contrast, weights=weight)) if weight else 0.0,
    }


def agreement(some: pd.DataFrame, others: pd.DataFrame, pixel_size: float, sheet: Honeycomb) -> float:
    """Return the F1 of one table of kept atoms against another, paired within a third of a bond."""
    if not len(some) or not len(others):
        return 0.0
    both = some["frame"].isin(others["frame"].unique())
    score = score_atoms(
        some[both],
        others.assign(under_contamination=False),
        pixel_size=pixel_size,
        tolerance_A=0.5 * sheet.scale,
    )
    return 2 * score["matched"] / (len(some) + len(others))


def _mean_of(prediction: Prediction, members: Sequence[int]) -> Prediction:
    mean = np.zeros(prediction.mean.shape, np.float32)
    for i in members:  # one at a time, because the stack of all members is large
        mean += prediction.members[i].astype(np.float32) / len(members)
    return dataclasses.replace(prediction, mean=mean, members=None)


def _share(atoms: pd.DataFrame, prediction: Prediction, sheet: Honeycomb) -> tuple[int, float, float]:
    """Return atoms judged, share of their nearest-neighbour distances that are a bond, relative density."""
    count, share, density = nearest_neighbour_share(
        atoms,
        pixel_size=prediction.pixel_size_original,
        shape=prediction.shape_original,
        bond_A=sheet.material.bond,
        tolerance_A=0.25 * sheet.scale,
        border_A=2.0 * sheet.scale,
    )
    return count, share, density * GRAPHENE.material.density / sheet.material.density


def lattice_summary(
    atoms: pd.DataFrame, prediction: Prediction, sheet: Honeycomb = GRAPHENE
) -> dict[str, float]:
    """Return the number of kept atoms a frame, their nearest-neighbour share and density, and both together.

    The lattice score is to share and density what F½ is to precision and recall: atoms that sit wrong lower
    the one, atoms that were not found the other. The share counts more, because how dense a sheet with holes
    and contamination should be is not known, and atoms invented on contamination raise the density.
    """
    counted = kept(atoms)
    parts = [_share(table, prediction, sheet) for _, table in counted.groupby("frame")]
    count, share, density = np.array(parts, float).reshape(-1, 3).T
    share = float(np.average(share, weights=np.maximum(count, 1))) if len(count) else 0.0
    density = float(density.sum() / len(prediction))
    return {
        "atoms_per_frame": len(counted) / len(prediction),
        "lattice_share": share,
        "density": density,
        "lattice_score": 1.25 * share * density / max(0.25 * share + density, 1e-9),
    }


def select_artifact_free(
    ensemble: Ensemble,
    prediction: Prediction,
    frames: np.ndarray,
    *,
    material: str | Material = "graphene",
    keep: Sequence[int] | None = None,
    keep_from: float = 0.9,
    min_members: int = 2,
) -> tuple[Ensemble, pd.DataFrame]:
    """Keep the members whose predictions look like a sheet of atoms (line 3 of Algorithm 1).

    Three things that physics and the others say of each member's atoms in two of the frames, each between
    0 and 1:

    - `lattice`: share of the three nearest-neighbour distances that are a bond of the material,
    - `agreement`: F1 of its atoms against those of the other members' mean,
    - `contrast`: share of its atoms where the picture is brighter than around, by a quarter of what is usual.

    The score is their product. Kept are the members that reach `keep_from` of the best score.

    Parameters
    ----------
    ensemble, prediction
        The members, and what they say of `frames` (from `predict`, with the members' maps).
    frames
        The experiment (N, H, W).
    material
        What the sheet is made of: three neighbours at one distance, seen from above.
    keep
        Numbers of the members to keep, where a person has looked; the scores are computed all the same.
    keep_from
        Share of the best score that is enough.
    min_members
        At least so many stay, the best ones: one member has no spread.

    Returns
    -------
    Ensemble, DataFrame
        What is kept; columns ``member, atoms, lattice, agreement, contrast, score, kept``.

    Raises
    ------
    ValueError
        If the prediction lacks the members' maps, or was made from other frames or another ensemble; if the
        material is not threefold, or `keep` names a member that is not there.
    """
    sheet, frames = Honeycomb.of(material), check_match(prediction, frames)
    if (n := len(members_of(prediction))) != len(ensemble):
        raise ValueError(
            f"`prediction` is of {n} members, but `ensemble` has {len(ensemble)}. "
            "Use predict(ensemble, ..., members=True)."
        )
    check_positive("keep_from", keep_from)
    return select_among(
        ensemble, prediction, frames, sheet, keep, keep_from=keep_from, min_members=min_members
    )


def select_among(
    ensemble: Ensemble,
    prediction: Prediction,
    frames: np.ndarray,
    sheet: Honeycomb,
    keep: Sequence[int] | None,
    *,
    keep_from: float = 0.9,
    min_members: int = 2,
) -> tuple[Ensemble, pd.DataFrame]:
    """Do what `select_artifact_free` does, with arguments that were checked."""
    scores = member_scores(prediction, frames, sheet)
    scores["score"] = scores["lattice"] * scores["agreement"] * scores["contrast"]
    order = scores["score"].to_numpy().argsort()[::-1]
    good = scores["score"] >= keep_from * scores["score"].max()
    good.iloc[order[: min(min_members, len(ensemble))]] = True
    chosen = sorted({int(i) for i in (np.flatnonzero(good) if keep is None else keep)})
    selected = ensemble.subset(chosen)
    scores["kept"] = scores["member"].isin(chosen)
    return selected, scores


def check_match(prediction: Prediction, frames: np.ndarray) -> np.ndarray:
    """Return the frames as float32 (N, H, W) if the prediction is of them."""
    frames = check_frames(frames, "frames")
    if len(frames) != len(prediction) or frames.shape[1:] != tuple(prediction.shape_original):
        raise ValueError(
            f"`frames` has shape {frames.shape}, but the prediction is of {len(prediction)} frames of "
            f"{tuple(prediction.shape_original)}. Pass the frames that went into predict."
        )
    return frames
