"""Draws a network that halves its picture and doubles it again, from the table of its blocks."""

from __future__ import annotations

from typing import Any

import numpy as np

from elit_helpers.plots.style import current_axis

_DOWN, _UP, _LAST = "#56b4e9", "#e69f00", "#009e73"
_ARROW = {"arrowstyle": "-|>", "color": "#555555", "lw": 1.1, "shrinkA": 0, "shrinkB": 0}


def unet(layers: Any, *, ax: Any = None, title: str = "") -> Any:
    """Draw the blocks of a U-Net: as tall as their pictures, as wide as they have channels.

    From left to right in the order of the data. Dashed arrows are pictures that are laid beside those of a
    later block of the same size.

    Parameters
    ----------
    layers : DataFrame
        From `network_layers`.

    Raises
    ------
    ValueError
        If the table has no row.
    """
    if not len(layers):
        raise ValueError("`layers` has no row; pass the table of network_layers(net).")
    ax, rows = current_axis(ax), layers.to_dict("records")
    largest = max(row["side"] for row in rows)
    tall = np.array([1.1 * row["side"] / largest for row in rows])
    wide = np.array([0.22 + 0.05 * np.sqrt(row["channels"]) for row in rows])
    left = np.concatenate([[0], np.cumsum(wide[:-1] + 0.55)])
    low = np.array([-0.75 * np.log2(largest / row["side"]) for row in rows])
    narrowest = int(np.argmin([row["side"] for row in rows]))
    middle, top = left + wide / 2, low + tall / 2
    for i, row in enumerate(rows):
        color = _LAST if i == len(rows) - 1 else _UP if i > narrowest else _DOWN
        ax.add_patch(_box(left[i], low[i] - tall[i] / 2, wide[i], tall[i], color))
        size, kernel = f"{row['channels']} × {row['side']}²", f"{row['kernel']}×{row['kernel']}"
        about, below = f"{size}\n{row['convolutions']} of {kernel}", low[i] - tall[i] / 2 - 0.04
        ax.text(middle[i], below, about, ha="center", va="top", fontsize="small")
        if i:
            start = left[i - 1] + wide[i - 1], low[i - 1]
            ax.annotate("", (left[i], low[i]), start, arrowprops=_ARROW)
        if (k := _beside(rows, i)) is not None:  # over the heads of the blocks between them
            bar = f"bar,fraction={-0.12 / (middle[i] - middle[k])}"
            style = _ARROW | {"linestyle": "--", "connectionstyle": bar}
            ax.annotate("", (middle[i], top[i]), (middle[k], top[k]), arrowprops=style)
    ax.set(xlim=(-0.3, left[-1] + wide[-1] + 0.3), ylim=((low - tall / 2).min() - 0.5, 0.75), title=title)
    ax.set_axis_off()
    return ax


def _box(x: float, y: float, width: float, height: float, color: str) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle((x, y), width, height, facecolor=color, edgecolor="#333333", linewidth=0.8)


def _beside(rows: list[dict], i: int) -> int | None:
    """Return the earlier block whose pictures a block gets beside those of the one before it, or None."""
    if not i:
        return None
    more = rows[i]["channels_in"] - rows[i - 1]["channels"]
    same = [k for k in range(i - 1) if rows[k]["side"] == rows[i]["side"] and rows[k]["channels"] == more]
    return same[0] if more > 0 and same else None
