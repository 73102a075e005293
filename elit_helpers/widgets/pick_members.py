"""Chooses members of an ensemble by looking at what each of them says."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any

import numpy as np

from elit_helpers import plots
from elit_helpers.core.checks import check_choice, check_frames, require
from elit_helpers.ensemble.predict import members_of
from elit_helpers.widgets.shown import Shown


class MemberChoice(Shown):
    """Members to tick; `selected` are the numbers of those that are ticked now, as `keep` takes them."""

    def __init__(self, widget: Any, png: bytes, alt: str, boxes: Sequence[Any]):
        super().__init__(widget, png, alt)
        self.boxes = list(boxes)

    @property
    def selected(self) -> list[int]:
        """Numbers of the ticked members."""
        return [number for number, box in enumerate(self.boxes) if box.value]


def pick_members(prediction: Any, scores: Any, frames: Any, *, frame: int = 0, alt: str) -> MemberChoice:
    """Show what each member says of a frame, with its score and a tick box, to keep those without artifacts.

    Parameters
    ----------
    prediction
        What `predict` returned, with the members' maps.
    scores
        Of these members, from `select_artifact_free`; ticked at first are those it kept.
    frames
        The pictures (N, H, W) that were predicted.
    frame
        Which of them to show.
    alt
        What is to be seen, for those who cannot see it and for pages without a kernel.

    Returns
    -------
    MemberChoice
        Its ``selected`` goes into ``select_artifact_free(..., keep=choice.selected)``, or into a script as
        the line under the boxes has it.

    Raises
    ------
    ValueError
        If the prediction lacks the members' maps, or frames or scores are not of this prediction.
    """
    frames = check_frames(frames, "frames")
    maps = _atom_maps(prediction, scores, frames, frame)
    widgets = require("ipywidgets", "Choosing members by hand")
    kept = [bool(value) for value in scores["kept"]]
    words = [_in_words(row) for row in scores.drop(columns=["member", "kept"]).to_dict("records")]
    boxes, cards = [], []
    for number, (atom, word) in enumerate(zip(maps, words, strict=True)):
        picture = widgets.Image(value=plots.to_png(_map(atom, ax=plots.row(width=2.6)[0])), format="png")
        box = widgets.Checkbox(value=kept[number], description=f"keep member {number}", indent=False)
        boxes.append(box)
        cards.append(widgets.VBox([picture, box, widgets.HTML(html.escape(word))]))
        cards[-1].layout.width = "260px"
    line = widgets.HTML()

    def say(_change: Any = None) -> None:
        ticked = [number for number, box in enumerate(boxes) if box.value]
        line.value = f"<code>keep={ticked}</code>" if ticked else "Tick one at least."

    say()
    for box in boxes:
        box.observe(say, names="value")
    first = plots.image(frames[frame], ax=plots.row(width=2.6)[0]).figure
    picture = widgets.Image(value=plots.to_png(first), format="png")
    row = widgets.HBox([widgets.VBox([picture, widgets.Label("the frame")]), *cards])
    row.layout.flex_flow = "row wrap"
    png = _members_png(frames[frame], maps, words, kept)
    return MemberChoice(widgets.VBox([row, line]), png, alt, boxes)


def _atom_maps(prediction: Any, scores: Any, frames: np.ndarray, frame: int) -> list[np.ndarray]:
    """Each member's probability that there is an atom, whichever, in one frame."""
    members = members_of(prediction)
    if len(frames) != len(prediction) or frames.shape[1:] != tuple(prediction.shape_original):
        raise ValueError(
            f"`frames` has shape {frames.shape}, but the prediction is of {len(prediction)} frames of "
            f"{tuple(prediction.shape_original)}. Pass the frames that went into predict."
        )
    if len(scores) != len(members):
        raise ValueError(
            f"`scores` has {len(scores)} rows, but there are {len(members)} members. Pass the "
            "table that select_artifact_free returned for this prediction."
        )
    check_choice("frame", frame, range(len(frames)))
    return [1 - np.asarray(member[frame, ..., -1], np.float32) for member in members]


def _in_words(scores: dict[str, Any]) -> str:
    """The numbers of one member; its score first, because the others are its factors."""
    first = {"score": scores.pop("score")} if "score" in scores else {}
    parts = [
        f"{name} {value:.2f}" if isinstance(value, float) else f"{value} {name}"
        for name, value in (first | scores).items()
    ]
    return ", ".join(parts)


def _map(atom: np.ndarray, *, ax: Any, title: str = "") -> Any:
    ax.imshow(atom, cmap="viridis", vmin=0, vmax=1)
    ax.set_axis_off()
    ax.set_title(title, fontsize="small")
    return ax.figure


def _members_png(
    picture: np.ndarray, maps: Sequence[np.ndarray], words: Sequence[str], kept: Sequence[bool]
) -> bytes:
    """The frame and all members on one picture, for pages without a kernel."""
    axes = plots.row(len(maps) + 1, width=2.6, height=3.2)
    plots.image(picture, ax=axes[0], title="the frame")
    for number, (ax, atom, word, good) in enumerate(zip(axes[1:], maps, words, kept, strict=True)):
        text = f"member {number}: {'kept' if good else 'left out'}"
        _map(atom, ax=ax, title="\n".join([text, *word.split(", ")]))
    return plots.to_png(axes[0].figure, dpi=80)
