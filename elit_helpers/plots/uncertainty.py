"""Draws uncertainty: reliability, scores over the number of members, and maps of doubt."""

from __future__ import annotations

from typing import Any

import numpy as np

from elit_helpers.plots.style import CYCLE, current_axis, finish_picture

_DISC_PIXELS = 25


def reliability(
    table: Any,
    *,
    ax: Any = None,
    label: str = "observed",
    color: str = CYCLE[0],
    counts: bool = True,
    together: float = _DISC_PIXELS,
    title: str = "",
) -> Any:
    """Draw a table of `reliability`: what came true over what was predicted, the diagonal, the counts.

    Parameters
    ----------
    table : DataFrame
        From `reliability`.
    label, color : str
        Of the points; a second call on the same axis lays another table over the first.
    counts : bool
        Whether the number in each bin is drawn, as grey bars with an axis of their own.
    together : float
        So many of what is counted are right or wrong together, and the error bars, one standard error of a
        share, are as much longer. The pixels of an atom's disc are about 25; for atoms it is 1.
    """
    ax, filled = current_axis(ax), table[table["count"] > 0]
    share, independent = filled["observed"], np.maximum(filled["count"] / together, 1)
    smooth = (share * independent + 1) / (independent + 2)  # a share of 0 or 1 still has an error
    error = np.sqrt(smooth * (1 - smooth) / independent)
    if counts:
        bars = ax.twinx()
        bars.bar(
            filled["low"], filled["count"], filled["high"] - filled["low"], align="edge", color="#dddddd",
            edgecolor="white",
        )  # fmt: skip
        bars.set_ylabel("count in the bin (grey)")
        ax.set_zorder(bars.get_zorder() + 1)
        ax.patch.set_visible(False)
    if not any(line.get_label() == "as predicted" for line in ax.lines):
        ax.plot([0, 1], [0, 1], "--", color="#555555", lw=1, label="as predicted")
    ax.errorbar(filled["predicted"], share, error, fmt="o-", color=color, ms=5, capsize=3, label=label)
    ax.legend(loc="upper left", fontsize="small")
    ax.set(
        xlim=(0, 1), ylim=(0, 1), xlabel="predicted probability", ylabel="share that came true", title=title
    )
    return ax


def over_members(
    table: Any,
    column: str = "auroc",
    *,
    ax: Any = None,
    label: str = "",
    color: str = CYCLE[0],
    goal: float | None = None,
    title: str = "",
) -> Any:
    """Draw a column of a `members_table` over the number of members, its spread over choices as bars.

    Parameters
    ----------
    table : DataFrame
        From `members_table`.
    column : str
        ``"auroc"``, ``"ece"``, ``"f1"``, …
    goal : float, optional
        Draws a dashed line there.
    """
    ax = current_axis(ax)
    spread = table.get(f"{column}_std")
    ax.errorbar(table.index, table[column], spread, fmt="o-", color=color, ms=5, capsize=3, label=label)
    if goal is not None:
        ax.axhline(goal, ls="--", color=CYCLE[1], lw=1.2, label=f"wanted: {goal:g}")
    if label or goal is not None:
        ax.legend(fontsize="small")
    name = {"auroc": "AUROC of wrong atoms", "ece": "calibration error", "f1": "F1"}.get(column, column)
    ax.set(xticks=list(table.index), xlabel="members", ylabel=name, title=title)
    return ax


def doubt(prediction: Any, *, frame: int = 0, axes: Any = None) -> Any:
    """Draw the doubt about one frame as three maps [nat], on one scale: the whole and its two parts.

    The scale ends at the most that there can be, ln k with k classes, background included.

    Parameters
    ----------
    prediction : Prediction
        Its entropy is the sum of what each member is unsure of by itself (noise) and of what they disagree
        about (mutual information: data they have not learned from).
    frame : int
        Which one.
    axes : three axes, optional
        New ones if not given.
    """
    if axes is None:
        import matplotlib.pyplot as plt

        _, axes = plt.subplots(1, 3, figsize=(12.5, 3.8), layout="constrained")
    whole, shared = prediction.entropy[frame], prediction.mutual_information[frame]
    top = float(np.log(prediction.mean.shape[-1]))
    parts = (("entropy", whole), ("of it, in each member", whole - shared), ("between members", shared))
    for ax, (title, chart) in zip(axes, parts, strict=True):
        # Disagreement is mostly a tenth of the whole: on a linear scale one would see nothing of it.
        drawn = ax.imshow(np.sqrt(np.clip(chart, 0, None) / top), cmap="magma", vmin=0, vmax=1)
        finish_picture(ax, chart.shape, prediction.pixel_size, f"{title} (mean {chart.mean():.3f} nat)")
    bar = axes[0].figure.colorbar(drawn, ax=list(axes), shrink=0.8, label="doubt [nat]")
    ticks = {f"{tick:g}": tick for tick in (0.0, 0.01, 0.05, 0.2, 0.5)}
    ticks[f"ln {prediction.mean.shape[-1]} = {top:.2f}"] = top
    bar.set_ticks(np.sqrt(np.array([*ticks.values()]) / top), labels=list(ticks))
    return axes
