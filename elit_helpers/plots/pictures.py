"""Draws what the other files return, onto a given axis, with scale bar and units.

Every function takes the data first and ``ax=None`` (the current axis), and returns the axis. Colours are
safe for the colour-blind, and elements differ in marker as well as in colour.
"""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from elit_helpers.core.checks import check_pixel_size
from elit_helpers.plots.style import (
    COLORS,
    MARKERS,
    OTHER,
    RING_COLORS,
    current_axis,
    finish_picture,
)


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
    return Described(to_png(figure), alt)


def to_png(figure: Any, *, dpi: int = 100) -> bytes:
    """Return a figure as PNG and close it, so that a notebook does not show it twice."""
    import matplotlib.pyplot as plt

    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi, bbox_inches="tight")
    plt.close(figure)
    return buffer.getvalue()


# --------------------------------------------------------------------------- pictures
def image(
    frame: Any, *, pixel_size: float | None = None, ax: Any = None, title: str = "", percentile: float = 0.5
) -> Any:
    """Draw a frame (H, W) in grey with a scale bar, the extreme `percentile` per cent of it clipped."""
    ax, frame = current_axis(ax), np.squeeze(np.asarray(frame))
    low, high = np.percentile(frame, [percentile, 100 - percentile])
    ax.imshow(frame, cmap="gray", vmin=low, vmax=high)
    return finish_picture(ax, frame.shape, pixel_size, title)


def probability(
    channel: Any,
    *,
    pixel_size: float | None = None,
    ax: Any = None,
    title: str = "",
    label: str = "probability",
    vmax: float = 1.0,
) -> Any:
    """Draw a map (H, W) of a probability, or of its standard deviation, with a colour bar."""
    ax, channel = current_axis(ax), np.squeeze(np.asarray(channel))
    drawn = ax.imshow(channel, cmap="viridis", vmin=0, vmax=vmax)
    ax.figure.colorbar(drawn, ax=ax, shrink=0.7, label=label)
    return finish_picture(ax, channel.shape, pixel_size, title)


def labels(mask: Any, *, classes: Sequence[str], ax: Any = None, title: str = "") -> Any:
    """Draw an integer mask (H, W), background last: a colour for each element, brown for unsure (-1)."""
    from matplotlib.colors import ListedColormap

    ax, colors = current_axis(ax), [*(COLORS.get(c, OTHER) for c in classes), "#f4f4f4"]
    ax.imshow(
        np.ma.masked_less(mask, 0),
        cmap=ListedColormap(colors).with_extremes(bad="#c9a26b"),
        vmin=0,
        vmax=len(classes),
    )
    return finish_picture(ax, np.shape(mask), None, title)


def atoms(table: Any, *, ax: Any = None, size: float = 12, flagged: bool = False, title: str = "") -> Any:
    """Draw a table of atoms over their picture: one marker an element, crosses for flagged ones."""
    ax = current_axis(ax)
    kept = table[table["kept"].astype(bool)] if "kept" in table else table
    for element, group in kept.groupby("element"):
        ax.scatter(
            group["col_px"],
            group["row_px"],
            s=size * (2.5 if element != "C" else 1),
            marker=MARKERS.get(element, "v"),
            facecolors="none" if element == "C" else COLORS.get(element, OTHER),
            edgecolors=COLORS.get(element, OTHER),
            linewidths=0.9,
            label=f"{element} ({len(group)})",
        )
    if flagged and "kept" in table and not table["kept"].all():
        left = table[~table["kept"].astype(bool)]
        ax.scatter(
            left["col_px"],
            left["row_px"],
            s=size,
            marker="x",
            c="#d55e00",
            linewidths=0.9,
            label=f"flagged ({len(left)})",
        )
    ax.legend(loc="lower right", fontsize="x-small", framealpha=0.8)
    if title:
        ax.set_title(title)
    return ax


def spectrum(frame: Any, *, pixel_size: float, ax: Any = None, title: str = "", reach: float = 1.0) -> Any:
    """Draw the power spectrum of a frame (H, W) on a logarithmic scale, out to `reach` [1/Å]."""
    from scipy.ndimage import gaussian_filter

    ax, frame = current_axis(ax), np.squeeze(np.asarray(frame, float))
    # The window keeps the frame's borders, where it does not repeat, from drawing a cross.
    window = np.hanning(frame.shape[0])[:, None] * np.hanning(frame.shape[1])
    power = np.abs(np.fft.fftshift(np.fft.fft2((frame - frame.mean()) * window))) ** 2
    power = np.log10(gaussian_filter(power, 1) + 1e-30)
    edge = 0.5 / check_pixel_size(pixel_size)  # the highest frequency that pixels of this size can hold
    low, top = np.percentile(power, [30, 99.95])
    ax.imshow(power, cmap="magma", vmin=low, vmax=top, extent=(-edge, edge, edge, -edge))
    ax.set(xlim=(-reach, reach), ylim=(reach, -reach), xlabel="frequency [1/Å]", ylabel="frequency [1/Å]")
    ax.set_title(title)
    return ax


def pair(image_: Any, mask: Any, *, ax: Any = None, title: str = "") -> Any:
    """Draw a training pair: the normalised image (H, W), with the outline of its mask's discs on top."""
    ax, background = current_axis(ax), np.max(mask)
    ax.imshow(image_, cmap="gray", vmin=-2.5, vmax=3.5)
    if np.min(mask) < background:
        ax.contour(mask < background, [0.5], colors="#56b4e9", linewidths=0.7)
    return finish_picture(ax, np.shape(image_), None, title)


# --------------------------------------------------------------------------- structures
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


# --------------------------------------------------------------------------- runs
def temperature(log: Any, *, ax: Any = None, label: str | None = None, title: str = "") -> Any:
    """Draw the temperature [K] of a run's log over time [fs]."""
    return _over_time(log, "temperature_K", "temperature [K]", ax, label, title)


def energy(log: Any, *, n_atoms: int, ax: Any = None, title: str = "") -> Any:
    """Draw a run's potential, kinetic and total energy [meV/atom] over time [fs], from their first values."""
    ax = current_axis(ax)
    for column, style in (("potential_eV", "-"), ("kinetic_eV", "--"), ("total_eV", "-.")):
        change = 1e3 * (log[column] - log[column].iloc[0]) / n_atoms
        ax.plot(log["time_fs"], change, style, label=column.removesuffix("_eV"))
    ax.legend(fontsize="small")
    ax.set(xlabel="time [fs]", ylabel="change [meV/atom]", title=title)
    return ax


def _over_time(log: Any, column: str, ylabel: str, ax: Any, label: str | None, title: str) -> Any:
    ax = current_axis(ax)
    ax.plot(log["time_fs"], log[column], label=label)
    if label:
        ax.legend(fontsize="small")
    ax.set(xlabel="time [fs]", ylabel=ylabel, title=title)
    return ax


def histogram(
    values: Any,
    *,
    ax: Any = None,
    bins: Any = 30,
    label: str | None = None,
    xlabel: str = "",
    title: str = "",
) -> Any:
    """Draw a histogram as steps, normalised to a density, so that several can be laid over one another."""
    ax = current_axis(ax)
    ax.hist(np.asarray(values), bins=bins, histtype="step", density=True, lw=1.8, label=label)
    if label:
        ax.legend(fontsize="small")
    ax.set(xlabel=xlabel, ylabel="density", title=title)
    return ax


def losses(history: Any, *, ax: Any = None, title: str = "", smooth: int = 10) -> Any:
    """Draw the loss of each member over its steps, as a running mean of `smooth` steps."""
    ax = current_axis(ax)
    for member, part in history.groupby("member"):
        name = "baseline" if member < 0 else f"member {member}"
        ax.plot(part["step"], part["loss"].rolling(smooth, min_periods=1).mean(), label=name)
    ax.legend(fontsize="small")
    ax.set(xlabel="step (one mini-batch)", ylabel="loss", title=title, ylim=(0, None))
    return ax
