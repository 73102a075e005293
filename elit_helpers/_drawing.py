"""What every drawing begins and ends with: an axis, no ticks on a picture, a scale bar."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from elit_helpers._common import check_pixel_size


def current_axis(ax: Any) -> Any:
    """Return `ax`, or the current axis where none is given."""
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    return plt.gca()


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
