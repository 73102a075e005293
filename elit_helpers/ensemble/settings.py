"""What an ensemble is, and how it is trained: the settings, and the presets."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from elit_helpers.core import checks
from elit_helpers.ensemble.networks import Weights


@dataclass(frozen=True)
class TrainSettings:
    """How an ensemble is trained.

    Parameters
    ----------
    members
        Number of networks.
    steps
        Mini-batches from random weights: of the common baseline, or of each member with ``"scratch"``.
    member_steps
        Mini-batches each member takes on from the baseline, or from the member it continues.
    batch
        Patches in a mini-batch.
    filters
        Filters in the first block of AtomAI's U-Net.
    layers
        Convolutions in its three blocks and in the bottleneck.
    learning_rate
        Peak of the one-cycle schedule; continued members rise to half of it.
    weight_decay
        Of AdamW.
    strategy
        ``"baseline"`` (members branch off one trained net) or ``"scratch"`` (each starts anew).
    """

    members: int = 4
    steps: int = 200
    member_steps: int = 140
    batch: int = 16
    filters: int = 8
    layers: tuple[int, int, int, int] = (1, 2, 2, 3)
    learning_rate: float = 6e-3
    weight_decay: float = 1e-4
    strategy: str = "scratch"

    def __post_init__(self) -> None:
        for name in ("members", "steps", "member_steps", "batch", "filters"):
            checks.check_count(name, getattr(self, name))
        layers = tuple(checks.check_count("layers", count) for count in self.layers)
        if len(layers) != 4:
            raise ValueError(f"`layers` is {self.layers!r}; it must be four whole numbers from 1 up.")
        object.__setattr__(self, "layers", layers)  # a card holds it as a list
        checks.check_positive("learning_rate", self.learning_rate)
        checks.check_choice("strategy", self.strategy, ("baseline", "scratch"))


PRESETS = {
    "demo": TrainSettings(members=2, steps=60, member_steps=20, learning_rate=1.2e-2),
    "class": TrainSettings(members=5, steps=320, member_steps=120, batch=8, learning_rate=1e-2),
    "paper": TrainSettings(
        members=10, steps=1000, member_steps=200, batch=32, filters=16, strategy="scratch"
    ),
}
"""Settings by name: a taste, a classroom on two cores, and a size for a GPU.

With CUDA nets are trained one at a time, with cuDNN's deterministic algorithms. The gradients of the bilinear
doubling are summed in any order there all the same: a card from a GPU says ``"deterministic": false``. That
path, and with it "paper" as a whole, was never run here; what was measured is a CPU.
"""


def settings_of(settings: TrainSettings | str) -> TrainSettings:
    """Return settings by the name of a preset, or as they are."""
    if isinstance(settings, TrainSettings):
        return settings
    return PRESETS[checks.check_choice("settings", settings, tuple(PRESETS))]


@dataclass
class Ensemble:
    """Networks of one kind that were trained on different samples.

    Attributes
    ----------
    classes
        Element symbols in the order of the channels; the background is the channel after them.
    weights
        For each member its arrays by name.
    settings
        What it was trained with.
    pixel_size
        Of the images it knows [Å/px].
    card
        What made it: seeds, data hash, versions and whatever the caller adds. Plain JSON.
    history
        Columns member (-1 for the baseline), step, loss.
    temperature
        Divides the logits before they become probabilities: above 1 for an ensemble that is too sure.
    """

    classes: tuple[str, ...]
    weights: list[Weights]
    settings: TrainSettings
    pixel_size: float
    card: dict[str, Any] = field(default_factory=dict)
    history: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=["member", "step", "loss"]))
    temperature: float = 1.0

    def __post_init__(self) -> None:
        self.temperature = checks.check_positive("temperature", self.temperature)

    def __len__(self) -> int:
        return len(self.weights)

    def subset(self, indices: Sequence[int]) -> Ensemble:
        """Return the ensemble of the members with these numbers.

        Raises
        ------
        ValueError
            If none is chosen, or one that is not there.
        """
        chosen = [int(i) for i in indices]
        if not chosen or any(not 0 <= i < len(self) for i in chosen):
            raise ValueError(f"`indices` is {list(indices)}; choose at least one of 0 to {len(self) - 1}.")
        card = {**self.card, "chosen_members": chosen}
        if len(self.card.get("member_seeds", [])) == len(self):
            card["member_seeds"] = [self.card["member_seeds"][i] for i in chosen]
        return dataclasses.replace(self, weights=[self.weights[i] for i in chosen], card=card)


def with_elements(ensemble: Ensemble, classes: tuple[str, ...], draw: np.random.Generator) -> Ensemble:
    """Return an ensemble of one class as one of two, which says of atoms about the same.

    The last layer, one output z for "atom or not", becomes three: z for the first element, z - 1 for the
    second, 0 for the background. Begun at random, it would have to learn once more what an atom is. Random
    weights are added to the second, twice as large as those that a new layer has: were both elements alike,
    nothing below them would be asked to tell them apart.
    """
    if len(classes) != 2 or len(ensemble.classes) != 1:
        return ensemble
    weights = []
    for member in ensemble.weights:
        head, bias = member["px.weight"], member["px.bias"]
        apart = 2 * draw.uniform(-1, 1, head.shape).astype(head.dtype) / np.sqrt(head[0].size)
        new = {
            "px.weight": np.concatenate([head, head + apart, np.zeros_like(head)]),
            "px.bias": np.concatenate([bias, bias - 1, np.zeros_like(bias)]),
        }
        weights.append(member | new)
    return dataclasses.replace(ensemble, classes=classes, weights=weights)
