"""What every drawing begins and ends with: colours, an axis, no ticks on a picture, a scale bar."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from elit_helpers.core.checks import check_pixel_size

# Wong's palette: told apart by the colour-blind, too; elements differ in marker as well.
COLORS = {"C": "#0072b2", "Si": "#e69f00", "H": "#bbbbbb", "N": "#cc79a7", "Mo": "#009e73", "S": "#f0e442"}
MARKERS = {"C": "o", "Si": "D", "H": ".", "N": "s", "Mo": "s", "S": "^"}
OTHER = "#999999"
RING_COLORS = {5: "#56b4e9", 6: "#f2f2f2", 7: "#e69f00", 8: "#cc79a7"}
CURSOR = "#d55e00"


def current_axis(ax: Any) -> Any:
    """Return `ax`, or the current axis where none is given."""
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    return plt.gca()


def row(n: int = 1, *, width: float = 4.0, height: float | None = None) -> np.ndarray:
    """Return `n` axes side by side, each `width` by `height` inches (square by default)."""
    import matplotlib.pyplot as plt

    _, axes = plt.subplots(1, n, figsize=(n * width, height or width), squeeze=False, layout="constrained")
    return axes[0]


def finish_picture(ax: Any, shape: Sequence[int], pixel_size: float | None, title: str) -> Any:
    """Take the ticks off a picture, and give it a title and, with a pixel size, a scale bar."""
    ax.set_xticks([])
    ax.set_yticks([])
    ax.set_title(title)
    if pixel_size is not None:
        scale_bar(ax, shape, check_pixel_size(pixel_size))
    return ax


def scale_bar(ax: Any, shape: Sequence[int], pixel_size: float) -> Any:
    """Draw a scale bar of a round length, about a fifth of the picture wide, with its length in ångström."""
    wide = shape[1] * pixel_size / 5
    length = min((1, 2, 5, 10, 20, 50, 100, 200), key=lambda step: abs(np.log(step / wide)))
    y, x = 0.95 * shape[0], 0.05 * shape[1]
    ax.plot([x, x + length / pixel_size], [y, y], color="white", lw=5, solid_capstyle="butt")
    ax.plot([x, x + length / pixel_size], [y, y], color="black", lw=2.5, solid_capstyle="butt")
    ax.annotate(
        f"{length} Å",
        (x, y),
        xytext=(0, 5),
        textcoords="offset points",
        fontsize="small",
        color="black",
        bbox={"facecolor": "white", "alpha": 0.7, "pad": 1, "edgecolor": "none"},
    )
    return ax
