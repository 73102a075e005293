"""Which element an atom is (line 9 of Algorithm 1), by how bright it is and by what surrounds it.

Two mixture models: in graphene one element is common and the other a rare, brighter impurity; in a sheet of
two elements, such as MoS2, every atom has neighbours of the other kind.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.sparse import coo_array

from elit_helpers.core.atoms_table import counted
from elit_helpers.core.checks import (
    check_frames,
    check_pixel_size,
)
from elit_helpers.elit import candidates
from elit_helpers.elit.honeycomb import GRAPHENE, Honeycomb
from elit_helpers.samples.materials import Material

_FAR_A = 1.72  # Si to C in a sheet; the mean over three neighbours
_SWAPPED = 0.1  # chance that a neighbour is of the same kind: at a grain boundary, or a foreign atom


def impurity_chance(relative: np.ndarray, bond: np.ndarray, *, sheet: Honeycomb = GRAPHENE) -> np.ndarray:
    """Return the probability (M,) that an atom is the brighter element, by a mixture of two Gaussians.

    Parameters
    ----------
    relative
        Brightness relative to the neighbours (M,).
    bond
        Mean distance to the neighbours [Å] (M,); NaN where there are none. Si sits 0.3 Å further off than C.

    Notes
    -----
    The common element is measured by median and deviation, and stays; only the share and the brightness of
    the other are fitted (expectation maximisation). With a few impurities among hundreds of atoms a free
    mixture would rather split the noise.
    """
    bright = np.log(np.clip(relative, 0.2, 8))
    usual, spread = np.median(bright), max(1.4826 * np.median(np.abs(bright - np.median(bright))), 0.05)
    bright = np.maximum(bright, usual)  # dim atoms are the common element, however dim
    far_off = _FAR_A * sheet.scale
    middle = 0.5 * (sheet.material.bond + far_off)
    bond = np.clip(np.where(np.isfinite(bond), bond, middle), 1.2 * sheet.scale, 1.9 * sheet.scale)
    usual_bond, bond_spread = min(np.median(bond), middle), 0.15 * sheet.scale
    far = _log_normal(bond, far_off, bond_spread) - _log_normal(bond, usual_bond, bond_spread)
    centre, share = usual + np.log(2.5), 0.01
    for _ in range(50):
        odds = np.log(share / (1 - share)) + far
        odds += _log_normal(bright, centre, spread) - _log_normal(bright, usual, spread)
        chance = 1 / (1 + np.exp(-np.clip(odds, -50, 50)))
        share = float(np.clip(chance.mean(), 1e-4, 0.5))
        if chance.sum() > 0.5:
            lowest = usual + max(np.log(1.5), 3 * spread)  # nearer would be one element's noise
            centre = max(float((chance * bright).sum() / chance.sum()), lowest)
    return chance


def _log_normal(x: np.ndarray, centre: float, spread: float) -> np.ndarray:
    return -0.5 * np.clip((x - centre) / spread, -6, 6) ** 2 - np.log(spread)


def brighter_chance(
    relative: np.ndarray, frames: list[np.ndarray], *, pixel_size: float, sheet: Honeycomb
) -> np.ndarray:
    """Return the probability (M,) that an atom of a sheet of two elements is of the brighter one.

    Parameters
    ----------
    relative
        Brightness relative to the atoms around (M,), frame after frame.
    frames
        For each frame the positions (m, 2) [px]; together M.

    Notes
    -----
    A mixture of two Gaussians in brightness, in which neighbours attract opposite kinds (mean field): each
    neighbour that is surely of one kind multiplies the odds of the other kind by 9. It starts from how far
    an atom outshines its neighbours, and theirs theirs, so that noise on one atom does not decide.
    """
    coupling, degree = _neighbour_matrix(frames, pixel_size, sheet)
    value = np.clip(relative, -1.0, 4.0)
    stagger = value - np.median(value)
    for _ in range(4):
        stagger = np.where(degree > 0, 0.5 * (stagger - coupling @ stagger / np.maximum(degree, 1)), stagger)
    chance = 1 / (1 + np.exp(-np.clip(8 * stagger / max(stagger.std(), 1e-9), -20, 20)))
    for _ in range(40):
        high, low = (_moments(value, weight) for weight in (chance, 1 - chance))
        odds = np.clip(_log_normal(value, *high) - _log_normal(value, *low), -8, 8)
        odds += np.log((1 - _SWAPPED) / _SWAPPED) * (coupling @ (1 - 2 * chance))
        chance = 0.5 * chance + 0.5 / (1 + np.exp(-odds))  # damped, or two neighbours would swap for ever
    return chance


def _neighbour_matrix(
    frames: list[np.ndarray], pixel_size: float, sheet: Honeycomb
) -> tuple[coo_array, np.ndarray]:
    """Return who is bonded to whom over all frames, a sparse (M, M) of ones, and everyone's number (M,)."""
    ends, start = [np.zeros((2, 0), int)], 0
    for row_col in frames:
        ends.append(start + np.array(candidates.bond_pairs(row_col, pixel_size=pixel_size, sheet=sheet)))
        start += len(row_col)
    i, j = np.concatenate(ends, axis=1)
    return coo_array((np.ones(len(i)), (i, j)), shape=(start, start)).tocsr(), np.bincount(i, minlength=start)


def _moments(value: np.ndarray, weight: np.ndarray) -> tuple[float, float]:
    total = max(float(weight.sum()), 1e-9)
    mean = float((weight * value).sum() / total)
    return mean, max(float(np.sqrt((weight * (value - mean) ** 2).sum() / total)), 0.05)


def assign_elements(
    atoms: pd.DataFrame,
    frames: np.ndarray,
    *,
    pixel_size: float,
    material: str | Material = "graphene",
    classes: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Tell two elements apart by intensity and neighbourhood.

    An atom's brightness is taken over its own surroundings and relative to the atoms around, because a
    hill of contamination lifts carbon above silicon elsewhere.

    - In a sheet of *one* element the other is a rare and brighter impurity, which keeps its neighbours
      further off. A mixture of two Gaussians in both decides.
    - In a sheet of *two* elements every atom has neighbours of the other kind. A mixture in brightness in
      which neighbours want opposite kinds decides; a foreign atom takes the name of its sublattice.

    Parameters
    ----------
    atoms
        Table of atoms; kept rows are judged, the others keep their element.
    frames
        The pictures (N, H, W) they were found in.
    pixel_size
        Of the frames [Å/px].
    material
        What the sheet is made of: three neighbours at one distance, seen from above.
    classes
        The common element and the impurity, by default carbon and silicon in graphene; for a sheet of two
        elements those two.

    Returns
    -------
    DataFrame
        The table with ``element`` set and new columns ``relative_brightness``, ``mean_bond_A``,
        ``impurity_chance`` (of the second class) and ``element_chance`` (of the element named); NaN where
        not judged.

    Raises
    ------
    ValueError
        If the material is not threefold, or the classes are not two elements that it can hold.
    """
    frames, pixel_size = check_frames(frames, "frames"), check_pixel_size(pixel_size)
    sheet = Honeycomb.of(material)
    return assign_in_place(atoms.copy(), frames, pixel_size, sheet, check_classes(classes, sheet))


def assign_in_place(
    table: pd.DataFrame, frames: np.ndarray, pixel_size: float, sheet: Honeycomb, classes: tuple[str, str]
) -> pd.DataFrame:
    """Do what `assign_elements` does, in place."""
    judged, look = np.flatnonzero(counted(table)), {"pixel_size": pixel_size, "sheet": sheet}
    rows = table.iloc[judged]
    of_frame, places = rows["frame"].to_numpy(), rows[["row_px", "col_px"]].to_numpy()
    groups = [np.flatnonzero(of_frame == frame) for frame in pd.unique(of_frame)]
    bright, bond, second = np.full((3, len(judged)), np.nan)
    for own in groups:
        frame = frames[of_frame[own[0]]]
        bright[own] = candidates.relative_brightness(frame, places[own], **look)
        bond[own] = candidates.mean_bond(places[own], **look)
    enough = len(judged) >= 10
    if enough and len(sheet.elements) == 1:
        second = impurity_chance(bright, bond, sheet=sheet)
    elif enough:
        order = np.concatenate(groups)
        chance = brighter_chance(bright[order], [places[own] for own in groups], **look)
        second[order] = chance if classes[1] == sheet.elements[0] else 1 - chance
    new = {"relative_brightness": bright, "mean_bond_A": bond, "impurity_chance": second}
    for name, values in (new | {"element_chance": np.maximum(second, 1 - second)}).items():
        table[name] = np.nan
        table.iloc[judged, table.columns.get_loc(name)] = values
    if enough:
        names = np.where(second > 0.5, classes[1], classes[0])
        table.iloc[judged, table.columns.get_loc("element")] = names
    return table


def check_classes(classes: Sequence[str] | None, sheet: Honeycomb) -> tuple[str, str]:
    """Return the two elements to tell apart in a sheet; its own where none are given."""
    if classes is None:
        return sheet.default_classes
    two = len(classes) == 2 and not isinstance(classes, str) and classes[0] != classes[1]
    if not two or (len(sheet.elements) == 2 and set(classes) != set(sheet.elements)):
        raise ValueError(
            f"`classes` is {classes!r}; for {sheet.material.name} give two elements, such as "
            f"{sheet.default_classes!r}."
        )
    return tuple(classes)
