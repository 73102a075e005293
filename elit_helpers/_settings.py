"""How an ensemble is trained: the settings, and the presets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from elit_helpers import _common


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
            if not _is_count(value := getattr(self, name)):
                raise ValueError(f"`{name}` is {value!r}; it must be a whole number from 1 up.")
        layers = tuple(self.layers)
        if len(layers) != 4 or not all(map(_is_count, layers)):
            raise ValueError(f"`layers` is {self.layers!r}; it must be four whole numbers from 1 up.")
        object.__setattr__(self, "layers", layers)  # a card holds it as a list
        _common.check_positive("learning_rate", self.learning_rate)
        _common.check_choice("strategy", self.strategy, ("baseline", "scratch"))


def _is_count(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool) and value >= 1


PRESETS = {
    "demo": TrainSettings(members=2, steps=60, member_steps=20),
    "class": TrainSettings(),
    "paper": TrainSettings(
        members=10, steps=1000, member_steps=200, batch=32, filters=16, strategy="scratch"
    ),
}
"""Settings by name: a taste, a classroom on two cores, and a size for a GPU.

With CUDA nets are trained one at a time with cuDNN's deterministic algorithms, and the card says so. That
path, and with it "paper" as a whole, was never run here: what was measured is a CPU.
"""
