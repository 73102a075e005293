"""Draws structures: atoms, bonds, rings and regions, seen from above."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from elit_helpers.plots.style import COLORS, MARKERS, OTHER, RING_COLORS, current_axis


def structure(
    atoms_: Any,
    *,
    ax: Any = None,
    values: Any = None,
    label: str = "",
    colors: Sequence[str] | None = None,
    title: str = "",
    size: float = 14,
) -> Any:
    """Draw ASE `Atoms` from above (x right, y up [Å]): by element, by `values` (N,), or by given colours."""
    from matplotlib import colormaps
    from matplotlib.colors import Normalize

    ax = current_axis(ax)
    x, y = atoms_.positions[:, 0], atoms_.positions[:, 1]
    if values is not None or colors is None:
        symbols = np.array(atoms_.get_chemical_symbols())
        # NaN is a value too, the spread of an atom that only one member saw: it is drawn in grey.
        known = np.ravel(values)[np.isfinite(np.ravel(values))] if values is not None else ()
        shades = Normalize(np.min(known), np.max(known)) if len(known) else None
        for element in dict.fromkeys(symbols):
            own = symbols == element
            style = {"marker": MARKERS.get(element, "v"), "s": size * (1 if element in {"C", "H"} else 2.5)}
            shade = COLORS.get(element, OTHER) if values is None else np.asarray(values)[own]
            if values is not None:
                style |= {"norm": shades, "plotnonfinite": True}
                style["cmap"] = colormaps["viridis"].with_extremes(bad=OTHER)
            ax.scatter(x[own], y[own], c=shade, label=f"{element} ({own.sum()})", **style)
        ax.legend(loc="lower right", fontsize="x-small", framealpha=0.8)
        if values is not None:
            ax.figure.colorbar(ax.collections[-1], ax=ax, shrink=0.7, label=label)
    else:
        ax.scatter(x, y, c=list(colors), s=size)
    ax.set_aspect("equal")
    ax.set(xlabel="x [Å]", ylabel="y [Å]", title=title)
    return ax


def bonds(atoms_: Any, *, ax: Any = None) -> Any:
    """Draw the bonds of a structure from above as lines [Å], those across a periodic wall as half a line."""
    from matplotlib.collections import LineCollection

    from elit_helpers.geometry.bonds import find_edges

    ax, edges = current_axis(ax), find_edges(atoms_)
    start = atoms_.positions[edges.i, :2]
    halves = np.stack([start, start + edges.vector[:, :2] / 2], axis=1)
    ax.add_collection(LineCollection(halves, colors="#888888", lw=1.2, zorder=0))
    return ax


def rings(atoms_: Any, table: Any, *, ax: Any = None, title: str = "") -> Any:
    """Draw the rings of a sheet (from `rings`) as filled polygons: a colour for each size."""
    from matplotlib.collections import PolyCollection

    ax = structure(atoms_, ax=ax, size=4, title=title)
    for size, group in table.groupby("size"):
        color, label = RING_COLORS.get(size, "#bbbbbb"), f"{size} ({len(group)})"
        corners = [atoms_.positions[list(members), :2] for members in group["atoms"]]
        # A ring that crosses a periodic wall has corners on both sides and cannot be drawn as one polygon.
        corners = [c for c in corners if np.linalg.norm(c - np.roll(c, 1, axis=0), axis=1).max() < 4.0]
        ax.add_collection(
            PolyCollection(corners, facecolors=color, edgecolors="#777777", lw=0.4, alpha=0.8, zorder=0)
        )
        ax.scatter([], [], marker="h", c=color, label=label)
    ax.legend(loc="lower right", fontsize="x-small", framealpha=0.8)
    return ax


def regions(table: Any, *, ax: Any = None) -> Any:
    """Draw regions of interest (from `regions_of_interest`) as numbered circles [Å] over a structure."""
    from matplotlib.patches import Circle

    ax = current_axis(ax)
    for number, row_ in enumerate(table.itertuples()):
        ax.add_patch(Circle((row_.x_A, row_.y_A), row_.radius_A + 1.2, fill=False, ec="#d55e00", lw=1.4))
        ax.annotate(
            str(number),
            (row_.x_A + row_.radius_A + 1.2, row_.y_A),
            color="#d55e00",
            weight="bold",
            annotation_clip=True,
        )
    return ax
