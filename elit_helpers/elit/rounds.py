"""The loop of Algorithm 1, stage by stage: what each starts from, what it leaves, when to stop."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from elit_helpers.core.atoms_table import kept
from elit_helpers.core.checks import NoAtomsFound, check_choice, logger
from elit_helpers.elit.honeycomb import Honeycomb
from elit_helpers.elit.pairs import LISTED_FROM, multi_class_pairs, one_class_pairs
from elit_helpers.elit.select import agreement, lattice_summary, select_among
from elit_helpers.elit.stages import Checkpoint, Stage
from elit_helpers.ensemble.networks import UNSURE
from elit_helpers.ensemble.predict import Prediction, predict
from elit_helpers.ensemble.settings import Ensemble, TrainSettings
from elit_helpers.ensemble.train import train_ensemble
from elit_helpers.finding.locate import locate_atoms
from elit_helpers.images.recipes import RECIPES
from elit_helpers.images.training_pairs import training_set
from elit_helpers.samples.materials import Material, material_of

SETTLED = 0.005
"""A round that changes a smaller share of the kept atoms than this is the last one."""
WORSE = 0.005
"""A round that lowers the lattice score by more than this is not built upon, and the last one."""
_SIMULATED, _CUT = 1000, 800  # pairs of line 1; pairs cut out of the experiment in a round
_MIXED = 200  # simulated pairs beside those of a round: one in five keeps what simulation taught
Pairs = tuple[np.ndarray, np.ndarray]
Source = Callable[[int | None, np.random.Generator], Pairs]


def pairs_of(data: Pairs | str, material: Material, classes: Sequence[str] | None) -> Source:
    """Return what draws `n` pairs: simulated by a recipe's name, or out of those given; all if None."""
    if isinstance(data, str):
        recipe = RECIPES[check_choice("data", data, tuple(RECIPES))]
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
class Rounds:
    """The state of `run_elit`: inputs, and what each stage gave."""

    frames: np.ndarray
    pixel_size: float
    sheet: Honeycomb
    settings: TrainSettings
    score: Callable[[pd.DataFrame], dict] | None
    checkpoint: Checkpoint
    progress: bool
    on_progress: Callable[[pd.DataFrame], None] | None
    classes: tuple[str, ...]
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
        logger.info("stage %s begins", stage)
        began, draw = time.perf_counter(), self.checkpoint.rng(stage)
        self.last = before  # if there are no pairs, the stage before stays the last
        images, labels = pairs(draw)
        self._seen = None  # its maps have given what they had; training needs the memory
        ensemble = train_ensemble(
            images,
            labels,
            classes=classes or self.classes,
            settings=self.settings,
            rng=draw,
            start=None if start is None else self.stages[start].ensemble,
            progress=self.progress,
            checkpoint=self.checkpoint.members(stage),
            on_progress=self.on_progress and (lambda losses: self.on_progress(losses.assign(stage=stage))),
        )
        self.last = stage
        self._note(stage, ensemble, began, before)

    def first(self, ensemble: Ensemble | None, source: Source | None) -> None:
        """Line 1: from simulation, unless somebody trained before."""
        if ensemble is None:
            self.train("E_initial", lambda draw: source(None, draw), None)
            return
        self.last = "E_initial"
        if not self._loaded("E_initial"):
            logger.info("stage E_initial begins")
            self._note("E_initial", ensemble, time.perf_counter(), "")

    def select(self, keep: Sequence[int] | None) -> None:
        """Line 3: from ``E_initial`` to ``E_0``."""
        if self._loaded("E_0"):
            self.last = "E_0"
            return
        logger.info("stage E_0 begins")
        began, whole = time.perf_counter(), self.stages["E_initial"].ensemble
        ensemble, scores = select_among(whole, self.prediction("E_initial"), self.frames, self.sheet, keep)
        if len(ensemble) == len(whole) and self._seen is not None:
            self._seen = ("E_0", self._seen[1])  # nothing changed, so what was predicted holds
        self.last = "E_0"
        self._note("E_0", ensemble, began, "E_initial", {"member_scores": scores.to_dict("list")})

    def iterate(self, rounds: int, source: Source | None) -> None:
        """Lines 4 to 8, until it is enough."""
        self.stopped = f"All {rounds} rounds were done." if rounds else "No round was asked for."
        for i in range(1, rounds + 1):
            if not self._round(i, source):
                break

    def _round(self, i: int, source: Source | None) -> bool:
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

    def _mixed(self, before: str, source: Source | None, draw: np.random.Generator) -> Pairs:
        """Line 5: pairs out of the experiment, and a few simulated ones."""
        own = one_class_pairs(
            self.prediction(before), self.frames, self.stages[before].atoms, self.sheet,
            classes=self.classes, n=_CUT, rng=draw, noise=0.5,
        )  # fmt: skip
        return own if source is None else _joined(own, source(_MIXED, draw))

    def elements(self, source: Source | None) -> None:
        """Lines 9 and 10, where there are two elements to be told apart."""
        before = self.last

        def pairs(draw: np.random.Generator) -> Pairs:
            own = multi_class_pairs(
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
        row |= lattice_summary(atoms, prediction, self.sheet)
        row["changed"] = np.nan
        if before in self.stages:
            old = self.stages[before].atoms
            row["changed"] = 1 - agreement(kept(old), kept(atoms), self.pixel_size, self.sheet)
        row["seconds"] = time.perf_counter() - began
        if self.score is not None:
            row |= {k: np.asarray(v).item() for k, v in self.score(atoms).items() if np.isscalar(v)}
        self.stages[stage] = Stage(ensemble, row, atoms, notes or {})
        self.checkpoint.save(stage, self.stages[stage])


def one_class(source: Source, background: int) -> Source:
    """Return what draws the same pairs with every atom of class 0, whatever its element."""

    def draw_one(n: int | None, draw: np.random.Generator) -> Pairs:
        images, labels = source(n, draw)
        one = np.where(labels == background, 1, np.where(labels == UNSURE, UNSURE, 0))
        return images, one.astype(np.int8)

    return draw_one


def _joined(first: Pairs, second: Pairs) -> Pairs:
    return tuple(np.concatenate([a, np.asarray(b, a.dtype)]) for a, b in zip(first, second, strict=True))
