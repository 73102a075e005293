"""How the atoms of an ensemble, and of each of its members, look without knowing the truth.

Private half of `elit`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from elit_helpers import _candidates
from elit_helpers.analysis import nearest_neighbour_share, score_atoms
from elit_helpers.ensemble import Prediction
from elit_helpers.locate import locate_atoms


def member_scores(prediction: Prediction, frames: np.ndarray, member: int) -> dict[str, Any]:
    """Return what speaks for one member: `lattice`, `agreement` and `contrast`, each 0 to 1."""
    px, n = prediction.pixel_size_original, len(prediction.members)
    own = locate_atoms(_mean_of(prediction, [member]))
    rest = locate_atoms(_mean_of(prediction, [i for i in range(n) if i != member] or [member]))
    own, rest = own[own["kept"]], rest[rest["kept"]]
    lattice, contrast, weight = [], [], []
    for frame, atoms in own.groupby("frame"):
        count, share, _ = nearest_neighbour_share(atoms, pixel_size=px, shape=prediction.shape_original)
        bright = _candidates.brightness(frames[frame], atoms[["row_px", "col_px"]].to_numpy(), pixel_size=px)
        lattice.append(share)
        contrast.append(float(np.mean(bright > 0.25 * np.median(bright))))
        weight.append(max(count, 1))
    return {
        "member": member,
        "atoms": len(own),
        "lattice": float(np.average(lattice, weights=weight)) if weight else 0.0,
        "agreement": _agreement(own, rest, px),
        "contrast": float(np.average(contrast, weights=weight)) if weight else 0.0,
    }


def _agreement(own: pd.DataFrame, rest: pd.DataFrame, pixel_size: float) -> float:
    if not len(own) or not len(rest):
        return 0.0
    rest = rest.assign(under_contamination=False)
    both = own["frame"].isin(rest["frame"].unique())
    score = score_atoms(own[both], rest, pixel_size=pixel_size)
    return 2 * score["matched"] / (len(own) + len(rest))


def _mean_of(prediction: Prediction, members: Sequence[int]) -> Prediction:
    mean = np.zeros(prediction.mean.shape, np.float32)
    for i in members:  # one at a time, because the stack of all members is large
        mean += prediction.members[i].astype(np.float32) / len(members)
    return dataclasses.replace(prediction, mean=mean, members=None)


def lattice_summary(atoms: pd.DataFrame, prediction: Prediction) -> dict[str, float]:
    """Return the number of kept atoms a frame, their nearest-neighbour share and relative density."""
    kept = atoms[atoms["kept"]]
    shape, px = prediction.shape_original, prediction.pixel_size_original
    parts = [nearest_neighbour_share(t, pixel_size=px, shape=shape) for _, t in kept.groupby("frame")]
    count, share, density = np.array(parts, float).reshape(-1, 3).T
    return {
        "atoms_per_frame": len(kept) / len(prediction),
        "lattice_share": float(np.average(share, weights=np.maximum(count, 1))) if len(count) else 0.0,
        "density": float(density.sum() / len(prediction)),
    }
