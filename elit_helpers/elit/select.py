"""How the atoms of an ensemble, and of each of its members, look without knowing the truth.

Private half of `elit`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from elit_helpers.elit import candidates
from elit_helpers.elit.honeycomb import GRAPHENE, Honeycomb
from elit_helpers.ensemble.predict import Prediction
from elit_helpers.finding.locate import locate_atoms
from elit_helpers.finding.scores import nearest_neighbour_share, score_atoms

_JUDGED = 2  # frames, evenly spread: a member with artifacts has them in each


def member_scores(prediction: Prediction, frames: np.ndarray, sheet: Honeycomb) -> pd.DataFrame:
    """Return what speaks for each member: number, atoms, and lattice, agreement, contrast from 0 to 1."""
    judged = np.unique(np.linspace(0, len(frames) - 1, _JUDGED).round().astype(int))
    prediction, frames = _frames_of(prediction, judged), frames[judged]
    return pd.DataFrame([_one(prediction, frames, i, sheet) for i in range(len(prediction.members))])


def _one(prediction: Prediction, frames: np.ndarray, member: int, sheet: Honeycomb) -> dict[str, Any]:
    px, n = prediction.pixel_size_original, len(prediction.members)
    own = locate_atoms(_mean_of(prediction, [member]))
    rest = locate_atoms(_mean_of(prediction, [i for i in range(n) if i != member] or [member]))
    own, rest = own[own["kept"]], rest[rest["kept"]]
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


def _frames_of(prediction: Prediction, chosen: np.ndarray) -> Prediction:
    """Return the prediction of some of its frames only."""
    fields = {
        name: getattr(prediction, name)
        for name in ("mean", "std", "expected_entropy")
        if hasattr(prediction, name)
    }
    some = {name: value[chosen] for name, value in fields.items() if value is not None}
    return dataclasses.replace(prediction, members=prediction.members[:, chosen], **some)


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
        bond_A=sheet.bond,
        tolerance_A=0.25 * sheet.scale,
        border_A=2.0 * sheet.scale,
    )
    return count, share, density * GRAPHENE.density / sheet.density


def lattice_summary(
    atoms: pd.DataFrame, prediction: Prediction, sheet: Honeycomb = GRAPHENE
) -> dict[str, float]:
    """Return the number of kept atoms a frame, their nearest-neighbour share and density, and both together.

    The lattice score is to share and density what F½ is to precision and recall: atoms that sit wrong lower
    the one, atoms that were not found the other. The share counts more, because how dense a sheet with holes
    and contamination should be is not known, and atoms invented on contamination raise the density.
    """
    kept = atoms[atoms["kept"]]
    parts = [_share(table, prediction, sheet) for _, table in kept.groupby("frame")]
    count, share, density = np.array(parts, float).reshape(-1, 3).T
    share = float(np.average(share, weights=np.maximum(count, 1))) if len(count) else 0.0
    density = float(density.sum() / len(prediction))
    return {
        "atoms_per_frame": len(kept) / len(prediction),
        "lattice_share": share,
        "density": density,
        "lattice_score": 1.25 * share * density / max(0.25 * share + density, 1e-9),
    }
