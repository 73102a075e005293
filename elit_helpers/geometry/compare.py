"""How different two structures are in the plane, and what a trajectory looks like in the mean."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from elit_helpers.core.checks import check_choice
from elit_helpers.geometry.matching import align, fit_similarity, match_positions
from elit_helpers.samples.materials import GRAPHENE_BOND_A


def compare_structures(
    a: Any, b: Any, *, remove: Sequence[str] = ("drift", "rotation", "scale"), tolerance_A: float = 0.7
) -> dict[str, Any]:
    """Measure how far the atoms of `a` are from those of `b`, in the plane.

    `a` is first moved onto `b` by what `remove` names. Partners are found outwards from the middle, so
    that a wrong scale, which shifts the rim most, does not pair wrong atoms there.

    Parameters
    ----------
    a, b : ase.Atoms
        Structures of the same region; elements need not agree, periodic ones must be unwrapped alike.
    remove : sequence of {"drift", "rotation", "scale"}
        What is no difference; an empty one compares positions as they stand. Drift goes with the others,
        because there is no point in the picture that is known to have stayed in place.
    tolerance_A : float
        Largest distance of a pair after moving [Å]; half a bond is 0.71.

    Returns
    -------
    dict
        ``matched, only_a, only_b, element_changes``; ``drift_A`` (2,), ``rotation_deg``, ``scale`` (what
        took `a` to `b`); ``rmse_A, max_A``, the mean absolute ``mean_dx_A, mean_dy_A`` and the largest
        ``max_dx_A, max_dy_A``; the mean ones as ``percent_x, percent_y`` (of the mean coordinate, measured
        from the corner of `b`) and ``percent_of_bond_x, …_y`` (of 1.42 Å), the largest ones likewise as
        ``max_percent_x, …_y`` and ``max_percent_of_bond_x, …_y``; ``pairs`` (DataFrame ``a, b, dx_A, dy_A,
        distance_A``).

    Raises
    ------
    ValueError
        `remove` names something else or leaves the drift in, or fewer than three atoms have partners.
    """
    for name in remove:
        check_choice("remove", name, ("drift", "rotation", "scale"))
    if remove and "drift" not in remove:
        raise ValueError(f"`remove` is {remove!r}; rotation and scale can only go together with the drift.")
    here, there = a.positions[:, :2], b.positions[:, :2]
    moved, fit = align(here, there, remove=remove, tolerance_A=tolerance_A)
    i, j = match_positions(moved, there, tolerance_A=tolerance_A)
    if len(i) < 3:
        raise ValueError(f"Only {len(i)} atoms of `a` have a partner in `b`; are they the same region?")
    delta = moved[i] - there[j]
    distance = np.linalg.norm(delta, axis=1)
    symbols_a, symbols_b = (np.array(s.get_chemical_symbols())[k] for s, k in ((a, i), (b, j)))
    return {
        "matched": len(i), "only_a": len(a) - len(i), "only_b": len(b) - len(j),
        "element_changes": int((symbols_a != symbols_b).sum()), **fit,
        "rmse_A": rms(distance), "max_A": float(distance.max()),
        **_deviations(delta, there[j] - there[j].min(axis=0)),
        "pairs": pd.DataFrame({"a": i, "b": j, "dx_A": delta[:, 0], "dy_A": delta[:, 1],
                               "distance_A": distance}),
    }  # fmt: skip


def _deviations(delta: np.ndarray, coordinate: np.ndarray) -> dict[str, float]:
    """Mean and largest deviation along x and y [Å], and in per cent of the mean coordinate and of a bond."""
    found = {}
    for axis, name in enumerate("xy"):
        size, whole = np.abs(delta[:, axis]), coordinate[:, axis].mean()
        for prefix, value in (("", size.mean()), ("max_", size.max())):
            found[f"{prefix or 'mean_'}d{name}_A"] = float(value)
            found[f"{prefix}percent_{name}"] = float(100 * value / whole) if whole else float("nan")
            found[f"{prefix}percent_of_bond_{name}"] = float(100 * value / GRAPHENE_BOND_A)
    return found


def mean_structure(frames: Sequence[Any], *, skip: int = 0) -> Any:
    """Average a trajectory to what a microscope sees: every atom where it is in the mean.

    Drift is taken out of each frame, and for a flake the rotation in the plane; of atoms that an
    `ase.constraints.FixAtoms` holds nothing is taken out, for they say where the frame is.

    Parameters
    ----------
    frames : sequence of ase.Atoms
        The same atoms in the same order, positions going on through periodic walls, as `run_md` gives them.
    skip : int
        Frames to leave out at the start, while the heat spreads.

    Returns
    -------
    ase.Atoms
        The first frame used, with mean positions and the array ``thermal_rms_A``: the root mean square
        distance of an atom from its mean place in the plane [Å], as ``position_std_A`` is one.

    Raises
    ------
    ValueError
        Fewer than two frames are left, or they hold different atoms.
    """
    used = list(frames)[skip:]
    if len(used) < 2:
        raise ValueError(
            f"`frames` has {len(used)} left after `skip`={skip}; a mean needs two. Run for longer, or "
            "store frames more often."
        )
    first = used[0]
    if any(frame.get_chemical_symbols() != first.get_chemical_symbols() for frame in used):
        raise ValueError("`frames` must hold the same atoms in the same order; these do not.")
    places = np.array([frame.positions for frame in used])
    if not first.constraints:
        for _ in range(2):  # the second time onto the mean itself
            target = places.mean(axis=0)
            for place in places:
                _, turn, shift = fit_similarity(
                    place[:, :2], target[:, :2], rotation=not first.pbc.any(), scale=False
                )
                place[:, :2] = place[:, :2] @ turn + shift
                place[:, 2] -= (place[:, 2] - target[:, 2]).mean()
    mean = first.copy()
    mean.positions = places.mean(axis=0)
    mean.arrays.pop("momenta", None)
    away = (places - mean.positions)[:, :, :2]
    mean.arrays["thermal_rms_A"] = np.sqrt((away**2).sum(axis=2).mean(axis=0))
    return mean


def rms(values) -> float:
    values = np.asarray(values, float)
    return float(np.sqrt(np.mean(values**2))) if len(values) else float("nan")
