"""Algorithm 1 (Ensemble Learning–Iterative Training): its lines as functions, and the loop around them.

A. Ghosh, B. G. Sumpter, O. Dyck, S. V. Kalinin, M. Ziatdinov, npj Comput. Mater. 7, 100 (2021),
doi 10.1038/s41524-021-00569-7. Lines 1 and 6 are `train_ensemble`, lines 2 and 7 `predict`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from elit_helpers import _candidates, _members, _patches
from elit_helpers._common import (
    NoAtomsFound,
    RandomState,
    check_choice,
    check_frames,
    check_pixel_size,
    logger,
    resolve_rng,
)  # fmt: skip
from elit_helpers.ensemble import (
    PRESETS,
    Ensemble,
    Prediction,
    TrainSettings,
    predict,
    train_ensemble,
)
from elit_helpers.images import (
    resample,
    training_set,
)
from elit_helpers.locate import locate_atoms

_LISTED_FROM = 0.1  # fainter candidates become unsure rather than background


# --------------------------------------------------------------------------- line 3
def select_artifact_free(
    ensemble: Ensemble,
    prediction: Prediction,
    frames: np.ndarray,
    *,
    keep: Sequence[int] | None = None,
    keep_from: float = 0.9,
    min_members: int = 2,
) -> tuple[Ensemble, pd.DataFrame]:
    """Keep the members whose predictions look like a sheet of atoms (line 3 of Algorithm 1).

    Three things that physics and the others say of each member's atoms, each between 0 and 1:

    - `lattice`: share of nearest-neighbour distances that are a bond of graphene,
    - `agreement`: F1 of its atoms against those of the other members' mean,
    - `contrast`: share of its atoms where the picture is brighter than around, by a quarter of what is usual.

    The score is their product. Kept are the members that reach `keep_from` of the best score.

    Parameters
    ----------
    ensemble, prediction
        The members, and what they say of `frames` (from `predict`, with the members' maps).
    frames
        The experiment (N, H, W).
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
        If the prediction lacks the members' maps, or was made from other frames or another ensemble.
    """
    frames = _check_match(prediction, frames)
    if prediction.members is None or len(prediction.members) != len(ensemble):
        raise ValueError(
            "`prediction` must hold the maps of each member. Use predict(ensemble, ..., members=True)."
        )
    rows = [_members.member_scores(prediction, frames, i) for i in range(len(ensemble))]
    scores = pd.DataFrame(rows)
    scores["score"] = scores["lattice"] * scores["agreement"] * scores["contrast"]
    order = scores["score"].to_numpy().argsort()[::-1]
    good = scores["score"] >= keep_from * scores["score"].max()
    good.iloc[order[: min(min_members, len(ensemble))]] = True
    chosen = [int(i) for i in (np.flatnonzero(good) if keep is None else keep)]
    selected = ensemble.subset(chosen)
    scores["kept"] = scores["member"].isin(chosen)
    return selected, scores


def _check_match(prediction: Prediction, frames: np.ndarray) -> np.ndarray:
    frames = check_frames(frames, "frames")
    if len(frames) != len(prediction) or frames.shape[1:] != tuple(prediction.shape_original):
        raise ValueError(
            f"`frames` has shape {frames.shape}, but the prediction is of {len(prediction)} frames of "
            f"{tuple(prediction.shape_original)}. Pass the frames that went into predict."
        )
    return frames


# --------------------------------------------------------------------------- lines 5 and 9
def training_data_from(
    prediction: Prediction,
    frames: np.ndarray,
    *,
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

    Parameters
    ----------
    prediction
        Of the ensemble of the round before, on `frames`.
    frames
        The experiment (N, H, W).
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
    """
    frames, rng = _check_match(prediction, frames), resolve_rng(rng)
    atoms = locate_atoms(prediction, listed_from=_LISTED_FROM)
    fine, scale = resample(frames, pixel_size=prediction.pixel_size_original, target=prediction.pixel_size)
    labels = []
    for i, frame in enumerate(fine):
        table = atoms[atoms["frame"] == i]
        labels.append(
            _patches.label_frame(frame, table[["row_px", "col_px"]].to_numpy() * scale, table, prediction)
        )
    return _patches.cut_patches(fine, labels, len(prediction.classes), n=n, rng=rng, noise=noise)


def assign_elements(
    atoms: pd.DataFrame,
    frames: np.ndarray,
    *,
    pixel_size: float,
    classes: Sequence[str] = ("C", "Si"),
) -> pd.DataFrame:
    """Tell the brighter of two elements from the common one, by intensity and neighbourhood.

    An atom's brightness is taken over its own surroundings and relative to the atoms around, because a
    hill of contamination lifts carbon above silicon elsewhere; Si also keeps its neighbours further off.
    A mixture of two Gaussians in both decides.

    Parameters
    ----------
    atoms
        Table of atoms; kept rows are judged, the others keep their element.
    frames
        The pictures (N, H, W) they were found in.
    pixel_size
        Of the frames [Å/px].
    classes
        The common element and the brighter one.

    Returns
    -------
    DataFrame
        The table with ``element`` set and new columns ``relative_brightness``, ``mean_bond_A`` and
        ``impurity_chance`` (NaN where not judged).
    """
    frames, pixel_size = check_frames(frames, "frames"), check_pixel_size(pixel_size)
    table = atoms.copy()
    for name in ("relative_brightness", "mean_bond_A", "impurity_chance"):
        table[name] = np.nan
    kept = table["kept"].astype(bool)
    for frame, group in table[kept].groupby("frame"):
        row_col = group[["row_px", "col_px"]].to_numpy()
        bright = _candidates.relative_brightness(frames[frame], row_col, pixel_size=pixel_size)
        table.loc[group.index, "relative_brightness"] = bright
        table.loc[group.index, "mean_bond_A"] = _candidates.mean_bond(row_col, pixel_size=pixel_size)
    if kept.sum() >= 10:
        judged = table.loc[kept, ["relative_brightness", "mean_bond_A"]].to_numpy().T
        table.loc[kept, "impurity_chance"] = _candidates.impurity_chance(*judged)
        table.loc[kept, "element"] = np.where(
            table.loc[kept, "impurity_chance"] > 0.5, classes[1], classes[0]
        )
    return table


def multi_class_data(
    prediction: Prediction,
    frames: np.ndarray,
    *,
    classes: Sequence[str] = ("C", "Si"),
    n: int = 800,
    rng: RandomState = None,
    noise: float = 0.5,
) -> tuple[np.ndarray, np.ndarray]:
    """Cut training pairs with elements out of the experiment (line 9): C against impurity.

    Elements come from `assign_elements`; an atom it is not nine tenths sure of, and a bright one with fewer
    than two neighbours, is `UNSURE`. Half of the patches
    are cut about an impurity, which would else be too rare.

    Parameters
    ----------
    prediction, frames, n, rng, noise
        As in `training_data_from`.
    classes
        The common element and the brighter one.

    Returns
    -------
    images, labels
        Float32 (n, 64, 64), normalised; integers: 0 and 1 for `classes`, 2 for the background, or `UNSURE`.

    Raises
    ------
    NoAtomsFound
        If no candidate can be believed, or none is of the brighter element.
    """
    frames, rng = _check_match(prediction, frames), resolve_rng(rng)
    atoms = locate_atoms(prediction, listed_from=_LISTED_FROM)
    atoms = assign_elements(atoms, frames, pixel_size=prediction.pixel_size_original, classes=classes)
    fine, scale = resample(frames, pixel_size=prediction.pixel_size_original, target=prediction.pixel_size)
    prediction = dataclasses.replace(prediction, classes=tuple(classes))
    atoms.loc[~atoms["element"].isin(classes), "element"] = classes[0]
    labels, anchors = [], []
    for i, frame in enumerate(fine):
        table = atoms[atoms["frame"] == i]
        row_col = table[["row_px", "col_px"]].to_numpy() * scale
        labels.append(_patches.label_frame(frame, row_col, table, prediction))
        anchors.append(row_col[(table["impurity_chance"] > 0.9).to_numpy()])
    if not sum(map(len, anchors)):
        raise NoAtomsFound(
            f"No atom is clearly brighter than the rest, so there is no {classes[1]} to learn from. "
            "Use the one-class ensemble, or add frames with the impurity."
        )
    return _patches.cut_patches(fine, labels, len(classes), n=n, rng=rng, noise=noise, anchors=anchors)


# --------------------------------------------------------------------------- the loop
@dataclass
class ElitResult:
    """What Algorithm 1 left behind.

    Attributes
    ----------
    history
        A row a stage (``E_initial``, ``E_0``, ``E_1`` …, ``E_final``): members, atoms, lattice share and
        density, and what `score` returned.
    ensembles
        The ensemble of each stage by its name.
    atoms
        Table of atoms of the last stage.
    member_scores
        What `select_artifact_free` found of the members of ``E_initial``.
    """

    history: pd.DataFrame
    ensembles: dict[str, Ensemble]
    atoms: pd.DataFrame
    member_scores: pd.DataFrame = field(default_factory=pd.DataFrame)

    @property
    def final(self) -> Ensemble:
        """The ensemble of the last stage."""
        return list(self.ensembles.values())[-1]


def run_elit(
    frames: np.ndarray,
    *,
    pixel_size: float,
    data: tuple[np.ndarray, np.ndarray] | str = "realistic",
    settings: TrainSettings | str = "class",
    rounds: int = 2,
    rng: RandomState = None,
    score: Callable[[pd.DataFrame], dict] | None = None,
) -> ElitResult:
    """Run Algorithm 1 on the frames of one experiment.

    Parameters
    ----------
    frames
        The experiment (N, H, W).
    pixel_size
        Of the frames [Å/px].
    data
        One-class training pairs (images, labels), or the name of the recipe to simulate them with.
    settings
        `TrainSettings` or the name of one of `PRESETS`.
    rounds
        Number of iterations on the experiment; 0 goes straight on to the elements. It stops there: each
        round fits this experiment better and others worse.
    rng
        Seed or generator.
    score
        Called with the table of atoms of each stage; the numbers it returns go into the history. Nothing
        else sees them, so a truth that only `score` reads stays held back.

    Returns
    -------
    ElitResult
    """
    run = _Run(check_frames(frames, "frames"), check_pixel_size(pixel_size), resolve_rng(rng), score)
    settings = (
        PRESETS[check_choice("settings", settings, tuple(PRESETS))] if isinstance(settings, str) else settings
    )
    images, labels = training_set(data, 1000, rng=run.rng) if isinstance(data, str) else data
    ensemble = train_ensemble(images, labels, classes=("C",), settings=settings, rng=run.rng)
    prediction = run.note("E_initial", ensemble)
    ensemble, scores = select_artifact_free(ensemble, prediction, run.frames)
    prediction = run.note("E_0", ensemble)
    for i in range(rounds):
        pairs = training_data_from(prediction, run.frames, rng=run.rng)
        ensemble = train_ensemble(*pairs, classes=("C",), settings=settings, rng=run.rng, start=ensemble)
        prediction = run.note(f"E_{i + 1}", ensemble)
    try:
        pairs = multi_class_data(prediction, run.frames, rng=run.rng)
        ensemble = train_ensemble(*pairs, classes=("C", "Si"), settings=settings, rng=run.rng, start=ensemble)
        run.note("E_final", ensemble)
    except NoAtomsFound as reason:
        logger.warning("stopped before the elements: %s", reason)
    return ElitResult(pd.DataFrame(run.rows), run.ensembles, run.atoms, scores)


@dataclass
class _Run:
    """The state of `run_elit`: inputs, and what each stage gave."""

    frames: np.ndarray
    pixel_size: float
    rng: np.random.Generator
    score: Callable[[pd.DataFrame], dict] | None
    rows: list[dict] = field(default_factory=list)
    ensembles: dict[str, Ensemble] = field(default_factory=dict)
    atoms: pd.DataFrame = field(default_factory=pd.DataFrame)

    def note(self, stage: str, ensemble: Ensemble) -> Prediction:
        """Predict with an ensemble, and write down how it does."""
        prediction = predict(ensemble, self.frames, pixel_size=self.pixel_size)
        self.atoms = locate_atoms(prediction)
        self.ensembles[stage] = ensemble
        self.rows.append(
            {"stage": stage, "members": len(ensemble), **_members.lattice_summary(self.atoms, prediction)}
        )
        if self.score is not None:
            self.rows[-1] |= {k: v for k, v in self.score(self.atoms).items() if np.isscalar(v)}
        return prediction
