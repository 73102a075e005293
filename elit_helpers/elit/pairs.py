"""Training pairs out of the experiment: lines 5 and 9 of Algorithm 1.

What is believed of a picture is in `labels`, where it is cut in `patches`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from elit_helpers.core.atoms_table import one_frame
from elit_helpers.core.checks import (
    NoAtomsFound,
    RandomState,
    resolve_rng,
)
from elit_helpers.elit import patches
from elit_helpers.elit.elements import assign_in_place, check_classes
from elit_helpers.elit.honeycomb import Honeycomb
from elit_helpers.elit.labels import FrameLabels, label_frame
from elit_helpers.elit.select import check_match
from elit_helpers.ensemble.predict import Prediction
from elit_helpers.finding.locate import locate_atoms
from elit_helpers.images.resample import resample
from elit_helpers.samples.materials import Material

LISTED_FROM = 0.1
"""Fainter candidates than usual are listed: they become unsure rather than background."""
_DEFECTS = 1 / 3  # of the patches: about under-coordinated atoms
_IMPURITIES = 1 / 2  # of the patches for the elements: about an impurity
_CLEAR = 0.9  # chance from which an impurity is one


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
    tables = [one_frame(atoms, i) for i in range(len(fine))]
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
    atoms = assign_in_place(atoms.copy(), frames, prediction.pixel_size_original, sheet, classes)
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
    anchors = []
    for i, known in enumerate(labels):
        impurities = one_frame(atoms[rare], i)[["row_px", "col_px"]].to_numpy() * prediction.scale
        share = _IMPURITIES if len(impurities) else 0.0
        anchors.append([(share, impurities), ((1 - share) * _DEFECTS, known.defects)])
    masks = [known.mask for known in labels]
    return patches.cut_patches(fine, masks, len(classes), n=n, rng=rng, noise=noise, anchors=anchors)
