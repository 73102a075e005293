"""Probability maps → one table of atoms with position, element, probability and spread; nothing dropped."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy.ndimage import gaussian_filter

from elit_helpers.core.atoms_table import COLUMNS
from elit_helpers.core.checks import check_positive, require
from elit_helpers.core.coordinates import inside, to_angstrom
from elit_helpers.ensemble.predict import Prediction, predict_stream
from elit_helpers.ensemble.settings import Ensemble
from elit_helpers.images.masks import DISC_A
from elit_helpers.images.resample import resample_positions

_CORE_A = 0.25  # the middle of a disc, where a good prediction is flat
_APART_A = 0.7  # half the bond of graphene: two maxima closer than this are one atom
_WINDOW_A = 0.6  # the centre of mass is taken in a disc of this radius, which holds the atom's own
_RIM_A = 0.06  # how soft the rim of a predicted disc is


def locate_atoms(
    prediction: Prediction,
    *,
    threshold: float = 0.5,
    listed_from: float = 0.2,
    min_member_share: float = 0.5,
) -> pd.DataFrame:
    """Find the atoms in the maps of an ensemble: one row for each candidate, the doubtful ones flagged.

    A candidate is a maximum of the smoothed probability of being any atom, so that atoms whose discs touch
    stay two. Its position is the centre of mass of that probability around it, to a fraction of a pixel;
    its element the class with most probability on its disc.

    Parameters
    ----------
    prediction
        What `predict` returned; with the members' maps, or spread and share of members are NaN.
    threshold
        Probability from which a candidate is kept.
    listed_from
        Probability from which a candidate is listed at all.
    min_member_share
        Share of the members that must see a kept atom.

    Returns
    -------
    DataFrame
        Columns ``frame, row_px, col_px`` (in the original frame), ``x_A, y_A, element, probability`` (of the
        element, over the middle of the disc), ``position_std_A`` (root mean square distance of the members'
        positions from their mean), ``member_share, kept, reason`` (``""``, ``"edge"``,
        ``"low probability"`` or ``"few members"``). Empty, with these columns, where there is no atom.
        An atom flagged ``"edge"`` shows a part of its disc only: its centre lies outside the picture, by up
        to a disc's radius, where its position says.

    Raises
    ------
    ValueError
        If a threshold is not between 0 and 1, or `listed_from` is above `threshold`.
    """
    _check_thresholds(threshold, listed_from)
    tables = [_locate_frame(prediction, i, threshold, listed_from) for i in range(len(prediction))]
    table = pd.concat(tables, ignore_index=True)
    table["reason"] = _reasons(table, threshold, min_member_share)
    table["kept"] = table["reason"] == ""
    return table[list(COLUMNS)]


def find_atoms(
    ensemble: Ensemble,
    frames: Any,
    *,
    pixel_size: float,
    batch: int = 2,
    progress: bool = False,
    **options: float,
) -> pd.DataFrame:
    """Find the atoms in a stack of frames of any length: `predict` and `locate_atoms`, a few frames a time.

    Of the maps only those of `batch` frames are in memory; of the frames, too, where `frames` lie on disk.

    Parameters
    ----------
    ensemble
        To predict with.
    frames
        Raw frames (N, H, W), or anything with that shape whose slices can be read, such as the ``frames`` of
        a `Micrograph` on disk; or one frame (H, W).
    pixel_size
        Of the frames [Å/px].
    batch
        Frames predicted together.
    progress
        True for a bar.
    **options
        ``threshold``, ``listed_from`` and ``min_member_share`` of `locate_atoms`.

    Returns
    -------
    DataFrame
        As `locate_atoms` has it; ``frame`` counts from the first of the stack.
    """
    defaults = locate_atoms.__kwdefaults__
    if unknown := sorted(set(options) - set(defaults)):
        raise TypeError(f"find_atoms does not know {', '.join(unknown)}; it takes {', '.join(defaults)}.")
    options = {**defaults, **options}
    _check_thresholds(options["threshold"], options["listed_from"])  # before the first frame, not after
    if len(getattr(frames, "shape", ())) == 2:
        frames = np.asarray(frames)[None]
    tables = []
    stream = predict_stream(ensemble, frames, pixel_size=pixel_size, batch=batch, progress=progress)
    for first, prediction in stream:
        table = locate_atoms(prediction, **options)
        table["frame"] += first
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def _check_thresholds(threshold: float, listed_from: float) -> None:
    for name, value in (("threshold", threshold), ("listed_from", listed_from)):
        if not 0 < check_positive(name, value) < 1:
            raise ValueError(f"`{name}` is {value}; it must lie between 0 and 1.")
    if listed_from > threshold:
        raise ValueError(f"`listed_from` is {listed_from}, above `threshold` {threshold}; lower it.")


def _locate_frame(prediction: Prediction, frame: int, threshold: float, listed_from: float) -> pd.DataFrame:
    """Return the candidates of one frame, with the column `edge` in place of kept and reason."""
    px = prediction.pixel_size
    mean = prediction.mean[frame]
    atom = 1 - mean[..., -1]
    row_col = refine(atom, find_maxima(atom, pixel_size=px, lowest=listed_from), pixel_size=px)
    share, spread = _members(prediction, frame, row_col, threshold)
    mass = _disc_mean(mean[..., :-1], row_col, DISC_A / px)
    channel = mass.argmax(1) if len(row_col) else np.zeros(0, int)
    core = _disc_mean(mean[..., :-1], row_col, _CORE_A / px)
    original = resample_positions(row_col, prediction.scale)
    height, size = prediction.shape_original[0], prediction.pixel_size_original
    xy = to_angstrom(original, pixel_size=size, height=height)
    return pd.DataFrame(
        {
            "frame": np.full(len(row_col), frame),
            "row_px": original[:, 0],
            "col_px": original[:, 1],
            "x_A": xy[:, 0],
            "y_A": xy[:, 1],
            "element": np.array(prediction.classes, dtype=object)[channel],
            "probability": np.take_along_axis(core, channel[:, None], 1)[:, 0].astype(float),
            "any_atom": core.sum(1),
            "position_std_A": spread * px,
            "member_share": share,
            "edge": ~inside(original, prediction.shape_original),
        }
    )


def _reasons(table: pd.DataFrame, threshold: float, min_member_share: float) -> np.ndarray:
    """Return why each candidate is not kept; the first that holds."""
    # An atom that is surely one, but of doubtful element, is kept: its probability tells.
    cases = [table["any_atom"] < threshold, table["member_share"] < min_member_share, table["edge"]]
    return np.select(cases, ["low probability", "few members", "edge"], "").astype(object)


def find_maxima(atom: np.ndarray, *, pixel_size: float, lowest: float) -> np.ndarray:
    """Return the maxima (M, 2) [px] of a map (H, W), of those closer than half a bond only the higher.

    The map is smoothed first by less than a disc's radius: inside a disc it is flat, and would have many.
    """
    feature = require("skimage.feature", "Finding the maxima of a map")
    smooth = gaussian_filter(np.asarray(atom, np.float32), 0.22 / pixel_size, mode="nearest")
    apart = max(1, round(_APART_A / pixel_size))
    return feature.peak_local_max(
        smooth, min_distance=apart, threshold_abs=0.7 * lowest, exclude_border=False, p_norm=2
    ).astype(float)


def refine(atom: np.ndarray, row_col: np.ndarray, *, pixel_size: float, steps: int = 6) -> np.ndarray:
    """Move positions (M, 2) [px] to the centre of mass of the map (H, W) in a disc around each.

    The disc follows its centre, so that it does not pull towards where it started. What the border cuts off
    has its centre of mass too far inside; there a position is sought from which a disc as nets draw them,
    cut by the same border, would have the same. It may lie outside the map, by up to a disc's radius.
    """
    at = np.array(row_col, float).reshape(-1, 2)
    limit, reach = np.array(atom.shape) - 1.0, DISC_A / pixel_size
    moving = np.arange(len(at))
    for _ in range(steps):
        now = at[moving]
        rows, cols, weight = _window(now, _WINDOW_A / pixel_size, atom.shape)
        seen = weight * atom[_inside(rows, atom.shape[0]), _inside(cols, atom.shape[1])]
        expected = now.copy()
        cut = np.minimum(now, limit - now).min(1) < _WINDOW_A / pixel_size + 0.5
        away = np.hypot(rows[cut] - now[cut, 0, None, None], cols[cut] - now[cut, 1, None, None])
        disc = weight[cut] / (1 + np.exp((away - reach) * (pixel_size / _RIM_A)))
        expected[cut] = _middle(rows[cut], cols[cut], disc)
        step = np.clip(_middle(rows, cols, seen) - expected, -reach / 2, reach / 2)
        step[seen.sum((1, 2)) < 1e-3] = 0  # nothing there: stay
        at[moving] = np.clip(now + step, -reach, limit + reach)
        moving = moving[np.abs(step).max(1) > 0.01]
        if not len(moving):
            break
    return at


def _middle(rows: np.ndarray, cols: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Return the centres of mass (M, 2) of windows (M, n, n)."""
    total = weight.sum((1, 2)) + 1e-9
    return np.column_stack([(weight * rows).sum((1, 2)), (weight * cols).sum((1, 2))]) / total[:, None]


def _members(
    prediction: Prediction, frame: int, row_col: np.ndarray, threshold: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return for each atom the share of members that see it and the spread of their positions [px]."""
    if prediction.members is None:
        return np.full(len(row_col), np.nan), np.full(len(row_col), np.nan)
    px, places, seen = prediction.pixel_size, [], []
    for member in prediction.members[:, frame]:
        atom = 1 - member[..., -1].astype(np.float32)
        own = refine(atom, row_col, pixel_size=px)
        near = ((own - row_col) ** 2).sum(1) < (0.5 / px) ** 2
        places.append(own)
        seen.append(near & (_disc_mean(atom[..., None], own, _CORE_A / px)[:, 0] >= threshold))
    places, seen = np.array(places), np.array(seen)
    places = np.where(seen[..., None], places, np.nan)
    count = seen.sum(0)
    centre = np.nansum(places, 0) / np.maximum(count, 1)[:, None]
    squares = np.nansum((places - centre) ** 2, (0, 2)) / np.maximum(count - 1, 1)
    return seen.mean(0), np.where(count > 1, np.sqrt(squares), np.nan)


def _disc_mean(maps: np.ndarray, row_col: np.ndarray, radius: float) -> np.ndarray:
    """Return the mean of maps (H, W, K) over a disc around each position, shape (M, K)."""
    row_col = np.clip(row_col, 0, np.array(maps.shape[:2]) - 1.0)  # outside there is nothing to average
    rows, cols, weight = _window(row_col, radius, maps.shape[:2])
    values = maps[_inside(rows, maps.shape[0]), _inside(cols, maps.shape[1])].astype(np.float32)
    return (weight[..., None] * values).sum((1, 2)) / (weight.sum((1, 2)) + 1e-9)[:, None]


def _window(
    row_col: np.ndarray, radius: float, shape: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return rows, columns and weights (M, n, n) of the pixels in a disc; outside the map they are 0."""
    reach = int(np.ceil(radius)) + 1
    step = np.arange(-reach, reach + 1)
    base = np.round(row_col).astype(int)
    rows, cols = np.broadcast_arrays(base[:, :1, None] + step[:, None], base[:, 1:, None] + step[None, :])
    away = np.hypot(rows - row_col[:, 0, None, None], cols - row_col[:, 1, None, None])
    weight = np.clip(radius + 0.5 - away, 0, 1)  # a soft rim: whole pixels would make the position jump
    weight = weight * ((rows >= 0) & (rows < shape[0]) & (cols >= 0) & (cols < shape[1]))
    return rows, cols, weight


def _inside(index: np.ndarray, length: int) -> np.ndarray:
    return np.clip(index, 0, length - 1)
