"""The lines of Algorithm 1 that look at the experiment: 3, 5 and 9.

Public through `elit`. What each believes of a picture is in `_members` (line 3), `_labels` and `_patches`
(line 5), and `_elements` (line 9).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from elit_helpers.core.checks import (
    NoAtomsFound,
    RandomState,
    check_frames,
    check_pixel_size,
    check_positive,
    resolve_rng,
)
from elit_helpers.elit import candidates, elements, patches, select
from elit_helpers.elit.honeycomb import Honeycomb
from elit_helpers.elit.labels import FrameLabels, label_frame
from elit_helpers.ensemble.predict import Prediction
from elit_helpers.ensemble.settings import Ensemble
from elit_helpers.finding.locate import locate_atoms
from elit_helpers.images.resample import resample
from elit_helpers.samples.materials import Material

LISTED_FROM = 0.1
"""Fainter candidates than usual are listed: they become unsure rather than background."""
_DEFECTS = 1 / 3  # of the patches: about under-coordinated atoms
_IMPURITIES = 1 / 2  # of the patches for the elements: about an impurity
_CLEAR = 0.9  # chance from which an impurity is one


# --------------------------------------------------------------------------- line 3
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
    if prediction.members is None or len(prediction.members) != len(ensemble):
        raise ValueError(
            "`prediction` must hold the maps of each member. Use predict(ensemble, ..., members=True)."
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
    scores = select.member_scores(prediction, frames, sheet)
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


# --------------------------------------------------------------------------- line 5
def training_data_from(
    prediction: Prediction,
    frames: np.ndarray,
    *,
    material: str | Material = "graphene",
    n: int = 800,
    rng: RandomState = None,
    noise: float = 0.5,
) -> tuple[np.ndarray, np.ndarray]:
    """Cut training pairs out of the experiment, labelled by what the ensemble is sure of (line 5).

    - *Atom*: a kept candidate with at least two others at a bond's distance; and a site where two such
      atoms want a third neighbour and the picture shows a spot.
    - *Background*: everything without a candidate, and candidates with no neighbour at all, which is
      what contamination looks like to a net that has never seen any.
    - *Unsure* (left out of the loss): all between, faint candidates, and empty sites of the lattice.

    A third of the patches are cut about atoms with other than three neighbours (edges, vacancies, rims of
    contamination), which would else be outvoted by perfect lattice.

    Parameters
    ----------
    prediction
        Of the ensemble of the round before, on `frames`.
    frames
        The experiment (N, H, W).
    material
        What the sheet is made of: three neighbours at one distance, seen from above.
    n
        Number of pairs.
    rng
        Chooses frames, places and noise.
    noise
        Up to so much noise, in units of the frame's own contrast, is added to the patches: an ensemble
        that only sees its own certainties again learns nothing.

    Returns
    -------
    images, labels
        Float32 (n, 64, 64), normalised; integers, background last, `UNSURE` where nothing is known.

    Raises
    ------
    NoAtomsFound
        If no candidate can be believed.
    ValueError
        If the material is not threefold, or the frames are not those of the prediction.
    """
    sheet, frames = Honeycomb.of(material), check_match(prediction, frames)
    patches.check_room(frames.shape[1:], prediction.pixel_size_original)
    atoms = locate_atoms(prediction, listed_from=LISTED_FROM)
    rng = resolve_rng(rng)
    return one_class_pairs(
        prediction, frames, atoms, sheet, classes=prediction.classes, n=n, rng=rng, noise=noise
    )


def one_class_pairs(
    prediction: Prediction,
    frames: np.ndarray,
    atoms: pd.DataFrame,
    sheet: Honeycomb,
    *,
    classes: Sequence[str],
    n: int,
    rng: np.random.Generator,
    noise: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Do what `training_data_from` does, with the atoms located already."""
    fine, labels = _label(prediction, frames, atoms, classes, sheet)
    anchors = [[(_DEFECTS, known.defects)] for known in labels]
    masks = [known.mask for known in labels]
    return patches.cut_patches(fine, masks, len(classes), n=n, rng=rng, noise=noise, anchors=anchors)


def _label(
    prediction: Prediction,
    frames: np.ndarray,
    atoms: pd.DataFrame,
    classes: Sequence[str],
    sheet: Honeycomb,
) -> tuple[np.ndarray, list[FrameLabels]]:
    """Return the frames at the ensemble's pixel size and the labels of each."""
    fine, scale = resample(frames, pixel_size=prediction.pixel_size_original, target=prediction.pixel_size)
    tables = [atoms[atoms["frame"] == i] for i in range(len(fine))]
    return fine, [
        label_frame(
            frame,
            table[["row_px", "col_px"]].to_numpy() * scale,
            table,
            classes=classes,
            pixel_size=prediction.pixel_size,
            sheet=sheet,
        )
        for frame, table in zip(fine, tables, strict=True)
    ]


# --------------------------------------------------------------------------- line 9
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
    return _name(atoms.copy(), frames, pixel_size, sheet, check_classes(classes, sheet))


def _name(
    table: pd.DataFrame, frames: np.ndarray, pixel_size: float, sheet: Honeycomb, classes: tuple[str, str]
) -> pd.DataFrame:
    """Do what `assign_elements` does, in place."""
    for name in ("relative_brightness", "mean_bond_A", "impurity_chance", "element_chance"):
        table[name] = np.nan
    kept, places, look = table["kept"].astype(bool), [], {"pixel_size": pixel_size, "sheet": sheet}
    for frame, group in table[kept].groupby("frame", sort=False):
        row_col = group[["row_px", "col_px"]].to_numpy()
        bright = candidates.relative_brightness(frames[frame], row_col, **look)
        table.loc[group.index, "relative_brightness"] = bright
        table.loc[group.index, "mean_bond_A"] = candidates.mean_bond(row_col, **look)
        places.append((group.index, row_col))
    if kept.sum() < 10:
        return table
    if len(sheet.elements) == 1:
        judged = table.loc[kept, ["relative_brightness", "mean_bond_A"]].to_numpy().T
        table.loc[kept, "impurity_chance"] = elements.impurity_chance(*judged, sheet=sheet)
    else:
        index = np.concatenate([index for index, _ in places])
        bright = table.loc[index, "relative_brightness"].to_numpy()
        chance = elements.brighter_chance(bright, [row_col for _, row_col in places], **look)
        table.loc[index, "impurity_chance"] = chance if classes[1] == sheet.elements[0] else 1 - chance
    second = table.loc[kept, "impurity_chance"]
    table.loc[kept, "element"] = np.where(second > 0.5, classes[1], classes[0])
    table.loc[kept, "element_chance"] = np.maximum(second, 1 - second)
    return table


def check_classes(classes: Sequence[str] | None, sheet: Honeycomb) -> tuple[str, str]:
    """Return the two elements to tell apart in a sheet; its own where none are given."""
    if classes is None:
        return sheet.default_classes
    two = len(classes) == 2 and not isinstance(classes, str) and classes[0] != classes[1]
    if not two or (len(sheet.elements) == 2 and set(classes) != set(sheet.elements)):
        raise ValueError(
            f"`classes` is {classes!r}; for {sheet.name} give two elements, such as "
            f"{sheet.default_classes!r}."
        )
    return tuple(classes)


def multi_class_data(
    prediction: Prediction,
    frames: np.ndarray,
    *,
    material: str | Material = "graphene",
    classes: Sequence[str] | None = None,
    n: int = 800,
    rng: RandomState = None,
    noise: float = 0.5,
) -> tuple[np.ndarray, np.ndarray]:
    """Cut training pairs with elements out of the experiment (line 9): C against impurity, or Mo against S.

    Elements come from `assign_elements`; an atom it is not nine tenths sure of, and one with fewer than two
    neighbours, is `UNSURE`. Half of the patches are cut about an impurity where there is one to look for,
    and a third of the others about under-coordinated atoms, which would else be too rare.

    Parameters
    ----------
    prediction, frames, material, n, rng, noise
        As in `training_data_from`.
    classes
        As in `assign_elements`.

    Returns
    -------
    images, labels
        Float32 (n, 64, 64), normalised; integers: 0 and 1 for the classes, 2 for the background, or `UNSURE`.

    Raises
    ------
    NoAtomsFound
        If no candidate can be believed, or none is clearly of one of the elements.
    ValueError
        If the material is not threefold, or the classes are not two elements that it can hold.
    """
    sheet, frames = Honeycomb.of(material), check_match(prediction, frames)
    patches.check_room(frames.shape[1:], prediction.pixel_size_original)
    atoms = locate_atoms(prediction, listed_from=LISTED_FROM)
    return multi_class_pairs(
        prediction, frames, atoms, sheet, classes=classes, n=n, rng=resolve_rng(rng), noise=noise
    )


def multi_class_pairs(
    prediction: Prediction,
    frames: np.ndarray,
    atoms: pd.DataFrame,
    sheet: Honeycomb,
    *,
    classes: Sequence[str] | None,
    n: int,
    rng: np.random.Generator,
    noise: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Do what `multi_class_data` does, with the atoms located already."""
    classes = check_classes(classes, sheet)
    atoms = _name(atoms.copy(), frames, prediction.pixel_size_original, sheet, classes)
    atoms.loc[~atoms["element"].isin(classes), "element"] = classes[0]
    clear = atoms["element_chance"] > _CLEAR
    for name in classes:
        if not (clear & (atoms["element"] == name)).any():
            raise NoAtomsFound(
                f"No atom is clearly {'brighter' if name == classes[1] else 'fainter'} than the rest, so "
                f"there is no {name} to learn from. Use the one-class ensemble, or add frames with {name}."
            )
    fine, labels = _label(prediction, frames, atoms, classes, sheet)
    rare = clear & (atoms["element"] == classes[1]) if len(sheet.elements) == 1 else clear & False
    scale = np.array(fine.shape[1:], float) - 1
    scale /= np.array(frames.shape[1:]) - 1
    anchors = []
    for i, known in enumerate(labels):
        impurities = atoms.loc[rare & (atoms["frame"] == i), ["row_px", "col_px"]].to_numpy() * scale
        share = _IMPURITIES if len(impurities) else 0.0
        anchors.append([(share, impurities), ((1 - share) * _DEFECTS, known.defects)])
    masks = [known.mask for known in labels]
    return patches.cut_patches(fine, masks, len(classes), n=n, rng=rng, noise=noise, anchors=anchors)
