"""What is labelled in a frame of the experiment, and what is left open.

Positions are (M, 2) rows and columns in pixels of the resampled frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.ndimage import distance_transform_edt
from scipy.spatial import cKDTree

from elit_helpers.core.coordinates import inside, to_angstrom
from elit_helpers.elit.candidates import (
    at,
    bond_pairs,
    bonded,
    darkness,
    missing_sites,
    peak,
    texture,
    visibility,
)
from elit_helpers.elit.honeycomb import GRAPHENE, Honeycomb
from elit_helpers.ensemble.networks import UNSURE
from elit_helpers.images.masks import DISC_A, element_mask
from elit_helpers.samples.materials import GRAPHENE_BOND_A

_ROUGH = 3.2  # times as much as the lattice: so strongly only contamination varies
_SURE = 0.9  # an element less likely than this is left open


class FrameLabels(NamedTuple):
    """Labels (h, w) of a frame, its labelled atoms (M, 2), and of these the under-coordinated ones (S, 2)."""

    mask: np.ndarray
    atoms: np.ndarray
    defects: np.ndarray


def label_frame(
    frame: np.ndarray,
    row_col: np.ndarray,
    table: pd.DataFrame,
    *,
    classes: Sequence[str],
    pixel_size: float,
    sheet: Honeycomb = GRAPHENE,
) -> FrameLabels:
    """Label one resampled frame (h, w) from its candidates.

    Parameters
    ----------
    frame
        The picture.
    row_col, table
        Candidates (P, 2), and their rows of the table of atoms with ``element, reason`` and, where elements
        were told apart, ``element_chance``.
    classes
        Elements in channel order.
    """
    px = pixel_size
    sure, none = _sort_out(frame, row_col, table, px, sheet)
    atoms, doubt = _complete(frame, row_col[sure], row_col, px, sheet)
    names = np.append(table["element"].to_numpy(object)[sure], [classes[0]] * (len(atoms) - int(sure.sum())))
    if len(sheet.elements) > 1 and len(classes) > 1:
        judged = np.zeros(len(atoms), bool)
        known = table["element_chance"].notna().to_numpy() if "element_chance" in table else True
        judged[: int(sure.sum())] = np.broadcast_to(known, len(table))[sure]
        names = _named_by_neighbours(atoms, names, judged, classes, px, sheet)
    unsure = np.concatenate([row_col[~sure & ~none], doubt])
    mask = draw_labels(atoms, names, unsure, classes=classes, shape=frame.shape, pixel_size=px)
    mask = _open_overlooked(mask, frame, atoms, px, sheet) if len(atoms) else mask
    return FrameLabels(mask, atoms, _under_coordinated(atoms, frame.shape, px, sheet))


def _sort_out(
    frame: np.ndarray, row_col: np.ndarray, table: pd.DataFrame, px: float, sheet: Honeycomb
) -> tuple[np.ndarray, np.ndarray]:
    """Return which candidates are atoms for sure, and which surely none.

    These are alone, or on nothing to see, or where the picture varies as contamination does, with less than
    two others.
    """
    believed = table["reason"].isin(["", "edge"]).to_numpy(copy=True)
    partners = np.zeros(len(table), int)
    partners[believed] = bonded(row_col[believed], pixel_size=px, sheet=sheet)
    sure = believed & (partners >= 2)
    if not sure.any():
        return sure, believed
    seen = visibility(frame, row_col, pixel_size=px, sheet=sheet)
    none = believed & ((partners == 0) | (seen < np.where(partners > 1, -0.2, 0.2)))
    sure &= seen > np.where(partners == 3, 0.2, 0.4)
    varies = at(texture(frame, pixel_size=px, sheet=sheet), row_col)
    rough = varies > _ROUGH * np.median(varies[partners >= 2])
    sure &= ~rough | (partners == 3)
    none |= rough & (partners < 2)
    faint = np.flatnonzero(~believed & (seen > 0.4))
    sure[faint[_amid_three(row_col[faint], row_col[sure], px, sheet)]] = True
    if "element_chance" in table:
        sure &= ~(table["element_chance"] < _SURE).to_numpy()
    return sure, none & ~sure


def _amid_three(faint: np.ndarray, atoms: np.ndarray, px: float, sheet: Honeycomb) -> np.ndarray:
    """Return which faint candidates (F,) have three sure atoms at a bond's distance, and none nearer."""
    if not len(faint) or len(atoms) < 4:
        return np.zeros(len(faint), bool)
    away = cKDTree(atoms).query(faint, 4)[0] * (px / sheet.scale)
    return (np.abs(away[:, :3] - GRAPHENE_BOND_A) < 0.3).all(1) & (away[:, 3] > 1.72)


def _complete(
    frame: np.ndarray,
    atoms: np.ndarray,
    candidates: np.ndarray,
    px: float,
    sheet: Honeycomb,
    shells: int = 3,
) -> tuple[np.ndarray, np.ndarray]:
    """Add atoms where the lattice wants one and the picture has one; also return the sites that stay open.

    Each pass adds a row of atoms, into what the net overlooked: the rim of contamination, mostly.
    """
    doubt = np.zeros((0, 2))
    if len(atoms) < 4:
        return atoms, doubt
    look = {"pixel_size": px, "sheet": sheet}
    usual = float(sheet.usual(peak(frame, atoms, **look)))
    varies = texture(frame, **look)
    calm = 2.5 * np.median(at(varies, atoms))
    for _ in range(shells):
        sites, votes = missing_sites(atoms, np.concatenate([atoms, candidates]), **look)
        if not len(sites):
            break
        seen = peak(frame, sites, **look) / usual
        dark = darkness(frame, sites, atoms, **look) / usual
        add = (seen > np.where(votes >= 2, 0.6, 0.8)) & (at(varies, sites) < calm) & (dark < 0.8)
        doubt = sites[~add & ((seen > 0.3) | (votes < 3)) & (dark < 0.6)]  # three ask for a vacancy, too
        if not add.any():
            break
        atoms = np.concatenate([atoms, sites[add]])
    return atoms, doubt


def _named_by_neighbours(
    atoms: np.ndarray,
    names: np.ndarray,
    judged: np.ndarray,
    classes: Sequence[str],
    px: float,
    sheet: Honeycomb,
) -> np.ndarray:
    """Give atoms of a sheet of two elements that were not judged the element their neighbours are not."""
    i, j = bond_pairs(atoms, pixel_size=px, sheet=sheet)
    first = np.where(judged, np.where(names == classes[0], 1.0, -1.0), 0.0)
    for _ in range(3):  # a row of added atoms a pass
        votes = np.bincount(i, first[j], minlength=len(atoms))
        first = np.where(judged, first, -np.sign(votes))
    return np.where(first > 0, classes[0], classes[1]).astype(object)


def _open_overlooked(
    mask: np.ndarray, frame: np.ndarray, atoms: np.ndarray, px: float, sheet: Honeycomb
) -> np.ndarray:
    """Mark as unsure what is far from every atom but varies as the lattice does: atoms may be overlooked.

    A hole is darker than the lattice and contamination varies more; both stay background.
    """
    look = {"pixel_size": px, "sheet": sheet}
    varies = texture(frame, **look)
    ratio = varies / np.median(at(varies, atoms))
    empty = np.ones(frame.shape, bool)
    empty[tuple(np.clip(np.round(atoms).astype(int), 0, np.array(frame.shape) - 1).T)] = False
    far = distance_transform_edt(empty) * px > 1.8 * sheet.scale
    open_ = np.argwhere(far & (ratio > 0.65) & (ratio < _ROUGH) & (mask == mask.max()))
    if len(open_):
        dark = darkness(frame, open_, atoms, **look)
        usual = float(sheet.usual(peak(frame, atoms, **look)))
        open_ = open_[dark < 0.6 * usual]
        mask[open_[:, 0], open_[:, 1]] = UNSURE
    return mask


def _under_coordinated(atoms: np.ndarray, shape: tuple[int, ...], px: float, sheet: Honeycomb) -> np.ndarray:
    """Return the atoms with other than three neighbours, but for those at the border of the picture."""
    if not len(atoms):
        return np.zeros((0, 2))
    border = (
        1.3 * sheet.material.bond / px + 0.5
    )  # its neighbours lie within the outermost centres: all are found
    return atoms[inside(atoms, shape, border) & (bonded(atoms, pixel_size=px, sheet=sheet) != 3)]


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
