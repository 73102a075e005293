"""Draws pictures: frames, probabilities, labels, the atoms found, spectra."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from elit_helpers.core import atoms_table
from elit_helpers.core.checks import check_pixel_size
from elit_helpers.plots.style import (
    COLORS,
    CURSOR,
    MARKERS,
    ON_PICTURE,
    OTHER,
    OUTLINE,
    current_axis,
    finish_picture,
    rim,
)


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
    if ax.images:
        ax.autoscale(False)  # markers at the border leave the picture as large as it is
    for element, group in atoms_table.kept(table).groupby("element"):
        color = ON_PICTURE.get(element, COLORS.get(element, OTHER))
        ax.scatter(
            group["col_px"],
            group["row_px"],
            s=size * (2.5 if element != "C" else 1),
            marker=MARKERS.get(element, "v"),
            facecolors="none" if element == "C" else color,
            edgecolors=color,
            linewidths=0.9,
            path_effects=rim(0.9),
            label=f"{element} ({len(group)})",
        )
    left = atoms_table.flagged(table)
    if flagged and len(left):
        ax.scatter(
            left["col_px"],
            left["row_px"],
            s=size,
            marker="x",
            c=CURSOR,
            linewidths=0.9,
            path_effects=rim(0.9),
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
    ax.imshow(power, cmap="magma", vmin=low, vmax=top, extent=(-edge, edge, -edge, edge))
    ax.set(xlim=(-reach, reach), ylim=(-reach, reach), xlabel="frequency [1/Å]", ylabel="frequency [1/Å]")
    ax.locator_params(nbins=5)
    ax.set_title(title)
    return ax


def pair(image_: Any, mask: Any, *, ax: Any = None, title: str = "") -> Any:
    """Draw a training pair: the normalised image (H, W), with the outline of its mask's discs on top."""
    ax, background = current_axis(ax), np.max(mask)
    ax.imshow(image_, cmap="gray", vmin=-2.5, vmax=3.5)
    if np.min(mask) < background:
        outline = ax.contour(mask < background, [0.5], colors=OUTLINE, linewidths=0.8)
        outline.set_path_effects(rim(0.4))
    return finish_picture(ax, np.shape(image_), None, title)
