"""Algorithm 1 (Ensemble Learning–Iterative Training): its lines as functions, and the loop around them.

A. Ghosh, B. G. Sumpter, O. Dyck, S. V. Kalinin, M. Ziatdinov, npj Comput. Mater. 7, 100 (2021),
doi 10.1038/s41524-021-00569-7. Lines 1 and 6 are `train_ensemble`, lines 2 and 7 `predict`; lines 3, 5 and 9
are written down in `_lines`; the loop is here.
"""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from elit_helpers import _lines, _members
from elit_helpers._common import (
    NoAtomsFound,
    PathLike,
    RandomState,
    check_choice,
    check_frames,
    check_pixel_size,
)
from elit_helpers._honeycomb import Honeycomb
from elit_helpers._lines import (
    LISTED_FROM,
    assign_elements,
    multi_class_data,
    select_artifact_free,
    training_data_from,
)
from elit_helpers._materials import Material
from elit_helpers._stages import Checkpoint, Stage, describe
from elit_helpers.ensemble import PRESETS, Ensemble, Prediction, TrainSettings, predict, train_ensemble
from elit_helpers.images import RECIPES, training_set
from elit_helpers.locate import locate_atoms
from elit_helpers.samples import material_of

__all__ = [
    "ElitResult", "assign_elements", "multi_class_data", "run_elit", "select_artifact_free",
    "training_data_from",
]  # fmt: skip

SETTLED = 0.005
"""A round that changes a smaller share of the kept atoms than this is the last one."""
WORSE = 0.005
"""A round that lowers the lattice score by more than this is not built upon, and the last one."""
_SIMULATED, _CUT = 1000, 800  # pairs of line 1; pairs cut out of the experiment in a round
_MIXED = 200  # simulated pairs beside those of a round: one in five keeps what simulation taught
Pairs = tuple[np.ndarray, np.ndarray]
Source = Callable[[int | None, np.random.Generator], Pairs]
logger = logging.getLogger("elit_helpers")


@dataclass
class ElitResult:
    """What Algorithm 1 left behind.

    Attributes
    ----------
    history
        A row a stage (``E_initial``, ``E_0``, ``E_1`` …, ``E_final``): members, atoms a frame, lattice share
        and density, `lattice_score`, `changed` (share of the kept atoms that the stage before did not have,
        or this one lost), `seconds` (training and prediction), and what `score` returned.
    ensembles
        The ensemble of each stage by its name.
    atoms
        Table of atoms of the last stage that is built upon.
    member_scores
        What `select_artifact_free` found of the members of ``E_initial``.
    stopped
        Why the rounds ended, as a sentence.
    last
        Name of the stage that `final` and `atoms` are of.
    """

    history: pd.DataFrame
    ensembles: dict[str, Ensemble]
    atoms: pd.DataFrame
    member_scores: pd.DataFrame = field(default_factory=pd.DataFrame)
    stopped: str = ""
    last: str = ""

    @property
    def final(self) -> Ensemble:
        """The ensemble of the last stage that is built upon."""
        return self.ensembles[self.last] if self.last else list(self.ensembles.values())[-1]


def run_elit(
    frames: np.ndarray,
    *,
    pixel_size: float,
    data: Pairs | str = "realistic",
    material: str | Material = "graphene",
    settings: TrainSettings | str = "class",
    rounds: int = 2,
    rng: RandomState = None,
    score: Callable[[pd.DataFrame], dict] | None = None,
    keep: Sequence[int] | None = None,
    simulated: Pairs | str | None = None,
    checkpoint: PathLike | None = None,
    progress: bool = False,
    on_progress: Callable[[pd.DataFrame], None] | None = None,
) -> ElitResult:
    """Run Algorithm 1 on the frames of one experiment.

    The rounds end after `rounds`; or earlier, when a round changes less than half a percent of the kept
    atoms; or when one lowers the lattice score by more than half a percent, and then the round before is
    built upon. The lattice score is the harmonic mean of the share of nearest-neighbour distances that are
    a bond and of the density relative to the perfect sheet: what can be known without any truth.

    Parameters
    ----------
    frames
        The experiment (N, H, W).
    pixel_size
        Of the frames [Å/px].
    data
        One-class training pairs (images, labels), or the name of the recipe to simulate a thousand with. One
        pair in five of each round is taken from these, too: the experiment teaches the looks, and the
        simulation knows exactly where its atoms are.
    material
        What the sheet is made of: three neighbours at one distance, seen from above. A recipe by name is
        simulated for it.
    settings
        `TrainSettings` or the name of one of `PRESETS`.
    rounds
        Most iterations on the experiment; 0 goes straight on to the elements. Each round fits this
        experiment better and others worse.
    rng
        Seed or generator. Every stage draws from a generator of its own.
    score
        Called with the table of atoms of each stage; the numbers it returns go into the history. Nothing
        else sees them, so a truth that only `score` reads stays held back.
    keep
        Numbers of the members of ``E_initial`` to keep, chosen by hand; else `select_artifact_free` chooses.
    simulated
        Two-class pairs (images, labels), or the name of a recipe, to mix into the last training set.
    checkpoint
        Folder with a sub-folder for each finished stage. Run again with the same arguments, it goes on where
        it was interrupted, and ends with the same weights as an uninterrupted run on as many threads.
    progress
        True for bars.
    on_progress
        Called now and then with the losses so far (columns stage, member, step, loss).

    Returns
    -------
    ElitResult

    Raises
    ------
    ValueError
        If an argument cannot be used, or `checkpoint` holds a run with other arguments.
    CorruptEnsemble
        If a file of the checkpoint was changed or cut off.
    """
    frames, pixel_size = check_frames(frames, "frames"), check_pixel_size(pixel_size)
    sheet = Honeycomb.of(material)
    if isinstance(settings, str):
        settings = PRESETS[check_choice("settings", settings, tuple(PRESETS))]
    if isinstance(rounds, bool) or not isinstance(rounds, (int, np.integer)) or rounds < 0:
        raise ValueError(f"`rounds` is {rounds!r}; it must be a whole number, 0 or more.")
    arguments = {
        "frames": describe(frames),
        "pixel_size": pixel_size,
        "data": describe(data),
        "material": sheet.name,
        "settings": dataclasses.asdict(settings),
        "rounds": int(rounds),
        "keep": None if keep is None else [int(i) for i in keep],
        "simulated": describe(simulated),
    }
    run = _Run(
        frames, pixel_size, sheet, settings, score, Checkpoint.open(checkpoint, arguments, rng),
        progress, on_progress,
    )  # fmt: skip
    source = _pairs_of(data, material, None)
    run.train("E_initial", lambda draw: source(None, draw), None)
    run.select(keep)
    run.stopped = f"All {rounds} rounds were done." if rounds else "No round was asked for."
    for i in range(1, rounds + 1):
        if not run.round(i, source):
            break
    run.elements(_pairs_of(simulated, material, sheet.default_classes) if simulated is not None else None)
    return run.result()


def _pairs_of(data: Pairs | str, material: str | Material, classes: Sequence[str] | None) -> Source:
    """Return what draws `n` pairs: simulated by a recipe's name, or out of those given; all if None."""
    if isinstance(data, str):
        recipe, material = RECIPES[check_choice("data", data, tuple(RECIPES))], material_of(material)
        if material_of(recipe.material) != material:
            known = f"{data} {material.name}"
            recipe = RECIPES.get(known) or dataclasses.replace(recipe, name=known, material=material)
        return lambda n, draw: training_set(recipe, n or _SIMULATED, rng=draw, classes=classes)
    images, labels = (np.asarray(part) for part in data)

    def choose(n: int | None, draw: np.random.Generator) -> Pairs:
        chosen = draw.permutation(len(images))[:n] if n else np.arange(len(images))
        return images[chosen], labels[chosen]

    return choose


@dataclass
class _Run:
    """The state of `run_elit`: inputs, and what each stage gave."""

    frames: np.ndarray
    pixel_size: float
    sheet: Honeycomb
    settings: TrainSettings
    score: Callable[[pd.DataFrame], dict] | None
    checkpoint: Checkpoint
    progress: bool
    on_progress: Callable[[pd.DataFrame], None] | None
    stages: dict[str, Stage] = field(default_factory=dict)
    last: str = ""
    stopped: str = ""
    _seen: tuple[str, Prediction] | None = None

    def train(
        self,
        stage: str,
        pairs: Callable[[np.random.Generator], Pairs],
        start: str | None,
        classes: tuple[str, ...] | None = None,
    ) -> None:
        """Train a stage on from another, unless it is in the checkpoint; `last` becomes this one."""
        before, self.last = self.last, stage
        if self._loaded(stage):
            return
        began, draw = time.perf_counter(), self.checkpoint.rng(stage)
        self.last = before  # if there are no pairs, the stage before stays the last
        images, labels = pairs(draw)
        ensemble = train_ensemble(
            images,
            labels,
            classes=classes or self.sheet.default_classes[:1],
            settings=self.settings,
            rng=draw,
            start=None if start is None else self.stages[start].ensemble,
            progress=self.progress,
            checkpoint=self.checkpoint.members(stage),
            on_progress=self.on_progress and (lambda losses: self.on_progress(losses.assign(stage=stage))),
        )
        self.last = stage
        self._note(stage, ensemble, began, before)

    def select(self, keep: Sequence[int] | None) -> None:
        """Line 3: from ``E_initial`` to ``E_0``."""
        if self._loaded("E_0"):
            self.last = "E_0"
            return
        began, whole = time.perf_counter(), self.stages["E_initial"].ensemble
        ensemble, scores = _lines.select_among(
            whole, self.prediction("E_initial"), self.frames, self.sheet, keep
        )
        if len(ensemble) == len(whole) and self._seen is not None:
            self._seen = ("E_0", self._seen[1])  # nothing changed, so what was predicted holds
        self.last = "E_0"
        self._note("E_0", ensemble, began, "E_initial", {"member_scores": scores.to_dict("list")})

    def round(self, i: int, source: Source) -> bool:
        """Lines 5 to 7; return whether another round is worth its while."""
        before, stage = self.last, f"E_{i}"
        self.train(stage, lambda draw: self._mixed(before, source, draw), before)
        row, old = self.stages[stage].row, self.stages[before].row
        if row["lattice_score"] < old["lattice_score"] - WORSE:
            self.last = before
            self.stopped = (
                f"{stage} lowered the lattice score from {old['lattice_score']:.3f} to "
                f"{row['lattice_score']:.3f}; {before} is built upon."
            )
            return False
        if row["changed"] < SETTLED:
            self.stopped = f"{stage} changed {row['changed']:.2%} of the atoms, less than {SETTLED:.1%}."
            return False
        return True

    def _mixed(self, before: str, source: Source, draw: np.random.Generator) -> Pairs:
        """Line 5: pairs out of the experiment, and a few simulated ones."""
        own = _lines.one_class_pairs(
            self.prediction(before), self.frames, self.stages[before].atoms, self.sheet,
            n=_CUT, rng=draw, noise=0.5,
        )  # fmt: skip
        return _joined(own, source(_MIXED, draw))

    def elements(self, source: Source | None) -> None:
        """Lines 9 and 10, where there are two elements to be told apart."""
        before = self.last

        def pairs(draw: np.random.Generator) -> Pairs:
            own = _lines.multi_class_pairs(
                self.prediction(before), self.frames, self.stages[before].atoms, self.sheet,
                classes=None, n=_CUT, rng=draw, noise=0.5,
            )  # fmt: skip
            return own if source is None else _joined(own, source(_MIXED, draw))

        try:
            self.train("E_final", pairs, before, self.sheet.default_classes)
        except NoAtomsFound as reason:
            self.stopped += f" No elements: {reason}"
            logger.warning("stopped before the elements: %s", reason)

    def prediction(self, stage: str) -> Prediction:
        """Return what a stage says of the frames; only the last one asked for is kept, it is large."""
        if self._seen is None or self._seen[0] != stage:
            self._seen = None
            ensemble = self.stages[stage].ensemble if stage in self.stages else None
            self._seen = (stage, self._predict(ensemble))
        return self._seen[1]

    def _predict(self, ensemble: Ensemble) -> Prediction:
        return predict(ensemble, self.frames, pixel_size=self.pixel_size, progress=self.progress)

    def _loaded(self, stage: str) -> bool:
        done = self.checkpoint.load(stage)
        if done is not None:
            self.stages[stage] = done
        return done is not None

    def _note(
        self, stage: str, ensemble: Ensemble, began: float, before: str, notes: dict[str, Any] | None = None
    ) -> None:
        """Predict with a new ensemble, and write down how it does."""
        if self._seen is None or self._seen[0] != stage:
            self._seen = None  # the old maps go before the new ones come
            self._seen = (stage, self._predict(ensemble))
        prediction = self._seen[1]
        atoms = locate_atoms(prediction, listed_from=LISTED_FROM)
        row = {"stage": stage, "members": len(ensemble)}
        row |= _members.lattice_summary(atoms, prediction, self.sheet)
        row["changed"] = np.nan
        if before in self.stages:
            old = self.stages[before].atoms
            row["changed"] = 1 - _members.agreement(
                old[old["kept"]], atoms[atoms["kept"]], self.pixel_size, self.sheet
            )
        row["seconds"] = time.perf_counter() - began
        if self.score is not None:
            row |= {k: np.asarray(v).item() for k, v in self.score(atoms).items() if np.isscalar(v)}
        self.stages[stage] = Stage(ensemble, row, atoms, notes or {})
        self.checkpoint.save(stage, self.stages[stage])

    def result(self) -> ElitResult:
        return ElitResult(
            pd.DataFrame([stage.row for stage in self.stages.values()]),
            {name: stage.ensemble for name, stage in self.stages.items()},
            self.stages[self.last].atoms,
            pd.DataFrame(self.stages["E_0"].notes["member_scores"]),
            self.stopped,
            self.last,
        )


def _joined(first: Pairs, second: Pairs) -> Pairs:
    return tuple(np.concatenate([a, np.asarray(b, a.dtype)]) for a, b in zip(first, second, strict=True))
