"""Training patches out of the experiment: what is labelled, what is left open, and where they are cut.

Private half of `elit`. Positions are (M, 2) rows and columns in pixels of the resampled frame.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.ndimage import distance_transform_edt, gaussian_filter

from elit_helpers import _candidates
from elit_helpers._common import NoAtomsFound
from elit_helpers.ensemble import UNSURE, Prediction
from elit_helpers.images import DISC_A, NET_PIXEL, contamination_map, element_mask, normalise, to_angstrom

_PATCH = 64
_KNOWN = 0.6  # share of a patch that must be labelled


def label_frame(
    frame: np.ndarray, row_col: np.ndarray, table: pd.DataFrame, prediction: Prediction
) -> np.ndarray:
    """Return the labels (h, w) of one resampled frame from its candidates."""
    px, classes = prediction.pixel_size, prediction.classes
    sure, none = _sort_out(frame, row_col, table, px)
    atoms, doubt = _complete(frame, row_col[sure], row_col, px)
    names = np.append(table["element"].to_numpy()[sure], [classes[0]] * (len(atoms) - int(sure.sum())))
    unsure = np.concatenate([row_col[~sure & ~none], doubt])
    mask = draw_labels(atoms, names, unsure, classes=classes, shape=frame.shape, pixel_size=px)
    return _open_overlooked(mask, frame, atoms, px) if len(atoms) else mask


def _sort_out(
    frame: np.ndarray, row_col: np.ndarray, table: pd.DataFrame, px: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return which candidates are atoms for sure, and which surely none: alone, or on nothing to see."""
    believed = table["reason"].isin(["", "edge"]).to_numpy(copy=True)
    partners = np.zeros(len(table), int)
    partners[believed] = _candidates.bonded(row_col[believed], pixel_size=px)
    sure = believed & (partners >= 2)
    if not sure.any():
        return sure, believed
    seen = _candidates.visibility(frame, row_col, pixel_size=px)
    none = believed & ((partners == 0) | (seen < 0.2))
    sure &= seen > 0.4
    for i in np.flatnonzero(~believed & (seen > 0.4)):  # a faint one amid three sure ones is an atom
        away = np.hypot(*((row_col[sure] - row_col[i]) * px).T)
        if (np.abs(away - _candidates.BOND_A) < 0.3).sum() == 3 and away.min() > 1.0:
            sure[i] = True
    if "impurity_chance" in table:
        sure &= ~table["impurity_chance"].between(0.1, 0.9).to_numpy()
    return sure, none & ~sure


def _complete(
    frame: np.ndarray, atoms: np.ndarray, candidates: np.ndarray, px: float, shells: int = 3
) -> tuple[np.ndarray, np.ndarray]:
    """Add atoms where the lattice wants one and the picture has one; also return the sites that stay open.

    Each pass adds a row of atoms, into what the net overlooked: the rim of contamination, mostly.
    """
    if len(atoms) < 4:
        return atoms, np.zeros((0, 2))
    usual = np.median(_candidates.peak(frame, atoms, pixel_size=px))
    varies = _candidates.texture(frame, pixel_size=px)
    calm = 2.5 * np.median(_candidates.at(varies, atoms))
    doubt = np.zeros((0, 2))
    for _ in range(shells):
        sites, votes = _candidates.missing_sites(atoms, np.concatenate([atoms, candidates]), pixel_size=px)
        if not len(sites):
            break
        seen = _candidates.peak(frame, sites, pixel_size=px) / usual
        dark = _candidates.darkness(frame, sites, atoms, pixel_size=px) / usual
        add = (seen > np.where(votes >= 2, 0.6, 0.8)) & (_candidates.at(varies, sites) < calm) & (dark < 0.8)
        doubt = sites[~add & (seen > 0.3) & (dark < 0.6)]
        if not add.any():
            break
        atoms = np.concatenate([atoms, sites[add]])
    return atoms, doubt


def _open_overlooked(mask: np.ndarray, frame: np.ndarray, atoms: np.ndarray, px: float) -> np.ndarray:
    """Mark as unsure what is far from every atom but varies as the lattice does: atoms may be overlooked.

    A hole is darker than the lattice and contamination varies more; both stay background.
    """
    varies = _candidates.texture(frame, pixel_size=px)
    ratio = varies / np.median(_candidates.at(varies, atoms))
    empty = np.ones(frame.shape, bool)
    empty[tuple(np.clip(np.round(atoms).astype(int), 0, np.array(frame.shape) - 1).T)] = False
    far = distance_transform_edt(empty) * px > 1.8
    open_ = np.argwhere(far & (ratio > 0.65) & (ratio < 3.2) & (mask == mask.max()))
    if len(open_):
        dark = _candidates.darkness(frame, open_, atoms, pixel_size=px)
        usual = np.median(_candidates.peak(frame, atoms, pixel_size=px))
        open_ = open_[dark < 0.6 * usual]
        mask[open_[:, 0], open_[:, 1]] = UNSURE
    return mask


def draw_labels(
    atoms: np.ndarray,
    elements: Sequence[str],
    unsure: np.ndarray,
    *,
    classes: Sequence[str],
    shape: tuple[int, int],
    pixel_size: float,
) -> np.ndarray:
    """Return a mask (H, W): discs of atoms (M, 2) [px] by element, `UNSURE` around `unsure` (P, 2)."""
    height = shape[0]
    xy = to_angstrom(atoms, pixel_size=pixel_size, height=height)
    mask = element_mask(xy, elements, classes=classes, shape=shape, pixel_size=pixel_size)
    if len(unsure):
        xy = to_angstrom(unsure, pixel_size=pixel_size, height=height)
        names = [classes[0]] * len(xy)
        doubt = element_mask(
            xy, names, classes=classes, shape=shape, pixel_size=pixel_size, radius_A=1.3 * DISC_A
        )
        mask[(doubt < len(classes)) & (mask == len(classes))] = UNSURE
    return mask


def cut_patches(
    fine: np.ndarray,
    labels: list[np.ndarray],
    background: int,
    *,
    n: int,
    rng: np.random.Generator,
    noise: float,
    anchors: list[np.ndarray] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Cut `n` patches from frames with noise added, where enough is known; half of them near an anchor."""
    anchors = anchors or [np.zeros((0, 2))] * len(fine)
    if not any(((mask >= 0) & (mask < background)).any() for mask in labels):
        raise NoAtomsFound(
            "No candidate has two neighbours at a bond's distance, so there is nothing to learn from. "
            "Check the pixel size, or start from an ensemble trained with recipe='realistic'."
        )
    images, masks = np.empty((n, _PATCH, _PATCH), np.float32), np.empty((n, _PATCH, _PATCH), np.int8)
    per_frame = np.bincount(rng.integers(0, len(fine), n), minlength=len(fine))
    done = 0
    for i, count in enumerate(per_frame):
        for part in np.array_split(np.arange(count), 4):  # each frame is disturbed in four ways
            if len(part):
                flat, mask = _disturb(fine[i], labels[i], background, noise, rng)
                at = mask[tuple(np.round(anchors[i]).astype(int).clip(0, np.array(mask.shape) - 1).T)]
                visible = anchors[i][(at >= 0) & (at < background)]  # a hill may have drowned some
            for _ in part:
                rows, cols = _place(mask, visible, rng)
                images[done], masks[done] = flat[rows, cols], mask[rows, cols]
                done += 1
    order = rng.permutation(n)
    return images[order], masks[order]


def _disturb(
    frame: np.ndarray, labels: np.ndarray, background: int, noise: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return a frame, normalised, with noise and hills of contamination added, and its labels.

    Atoms that were easy to see are made hard to see, with their labels kept: otherwise an ensemble would
    only be told again what it knows. What a hill drowns becomes background.
    """
    flat = frame - gaussian_filter(frame, 12)
    atom = (labels >= 0) & (labels < background)
    carbon = max(float(np.median(flat[atom]) - np.median(flat[labels == background])), 1e-6)
    hills = np.zeros(frame.shape)
    most = max(4, round(frame.size * NET_PIXEL**2 / 240))  # hills: one for 240 Å², so that atoms are left
    for _ in range(rng.integers(0, most)):
        height, radius = np.exp(rng.uniform(0, 2.3)), rng.uniform(2.0, 8.0)
        hills += contamination_map(frame.shape, pixel_size=NET_PIXEL, rng=rng, height=height, radius_A=radius)
    added = noise * rng.uniform() * flat[atom].std() * rng.standard_normal(frame.shape, np.float32)
    drowned = gaussian_filter(hills, 0.75 / NET_PIXEL)
    mask = np.where((drowned > 1.0) & (labels != background), UNSURE, labels)
    mask = np.where(drowned > 1.5, background, mask)
    return normalise(frame + carbon * hills + added, pixel_size=NET_PIXEL)[0], mask


def _place(labels: np.ndarray, anchors: np.ndarray, rng: np.random.Generator) -> tuple[slice, slice]:
    """Return a patch of a frame in which most pixels are known; the best of twenty tries."""
    best, known = None, -1.0
    room = np.array(labels.shape) - _PATCH
    if room.min() < 0:
        raise ValueError(
            f"`frames` are {labels.shape} px at the ensemble's pixel size; at least {_PATCH} are needed "
            "each way. Pass larger frames."
        )
    for _ in range(20):
        corner = rng.integers(0, room + 1)
        if len(anchors) and rng.random() < 0.5:
            near = anchors[rng.integers(len(anchors))] - rng.uniform(0.2, 0.8, 2) * _PATCH
            corner = np.clip(near.round().astype(int), 0, room)
        part = (slice(corner[0], corner[0] + _PATCH), slice(corner[1], corner[1] + _PATCH))
        share = float(np.mean(labels[part] != UNSURE))
        if share > known:
            best, known = part, share
        if share >= _KNOWN:
            break
    return best
