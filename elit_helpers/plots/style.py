"""What every drawing begins and ends with: colours, an axis, no ticks on a picture, a scale bar, alt text."""

from __future__ import annotations

import base64
import gc
import html
import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from elit_helpers.core.checks import check_pixel_size
from elit_helpers.core.coordinates import extent

# Okabe and Ito's palette (Wong, Nat. Methods 8, 441, 2011): told apart by the colour-blind, too. Lines and
# bars take its colours in this order; yellow is left to pictures, because white paper swallows it.
CYCLE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
# Elements differ in marker as well.
COLORS = {"C": "#0072b2", "Si": "#e69f00", "H": "#bbbbbb", "N": "#cc79a7", "Mo": "#009e73", "S": "#f0e442"}
MARKERS = {"C": "o", "Si": "D", "H": ".", "N": "s", "Mo": "s", "S": "^"}
OTHER = "#999999"
RING_COLORS = {5: "#56b4e9", 6: "#f2f2f2", 7: "#e69f00", 8: "#cc79a7"}
CURSOR = "#d55e00"
# On a grey picture a mark has to stand out from black and from white: a bright colour on a dark rim.
ON_PICTURE = {"C": "#56b4e9"}
OUTLINE = "#f0e442"


def current_axis(ax: Any) -> Any:
    """Return `ax`, or the current axis where none is given; an empty one gets the colours of `CYCLE`."""
    if ax is None:
        import matplotlib.pyplot as plt

        ax = plt.gca()
    if not ax.has_data():
        ax.set_prop_cycle(color=CYCLE)
    return ax


def rim(width: float) -> list[Any]:
    """Return path effects that put a dark rim round a line of `width` points, to be seen on any grey."""
    from matplotlib.patheffects import withStroke

    return [withStroke(linewidth=width + 1.4, foreground="black")]


def row(n: int = 1, *, width: float = 4.0, height: float | None = None) -> np.ndarray:
    """Return `n` axes side by side, each `width` by `height` inches (square by default)."""
    import matplotlib.pyplot as plt

    _, axes = plt.subplots(1, n, figsize=(n * width, height or width), squeeze=False, layout="constrained")
    return np.array([current_axis(ax) for ax in axes[0]])


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
    wide = extent(shape, pixel_size)[1] / 5
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


class Described:
    """A figure as a PNG with its alt text; what `describe` returns and a notebook shows."""

    def __init__(self, png: bytes, alt: str):
        self.png, self.alt = png, alt

    def _repr_mimebundle_(self, **_) -> dict:
        encoded = base64.b64encode(self.png).decode()
        return {
            "text/html": f'<img alt="{html.escape(self.alt)}" src="data:image/png;base64,{encoded}">',
            "text/plain": self.alt,
        }


def describe(drawn: Any, alt: str) -> Described:
    """Close a figure and return it as a picture that carries `alt` for those who cannot see it.

    Parameters
    ----------
    drawn
        A figure, an axis, or an array of axes.
    alt
        What is to be seen, in a sentence.
    """
    first = np.ravel(np.asarray(drawn, dtype=object))[0]
    figure = first if hasattr(first, "savefig") else first.get_figure()
    described = Described(to_png(figure), alt)
    del drawn, first, figure
    gc.collect()  # a closed figure is a ring of references with its pictures in it; the next ones need room
    return described


def to_png(figure: Any, *, dpi: int = 100) -> bytes:
    """Return a figure as PNG and close it, so that a notebook does not show it twice."""
    import matplotlib.pyplot as plt

    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi, bbox_inches="tight")
    plt.close(figure)
    return buffer.getvalue()
