"""A figure whose frames follow one another fast: what stands still is drawn once, what moves each time."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from elit_helpers.geometry.bonds import find_edges
from elit_helpers.plots.style import COLORS, CURSOR, MARKERS, OTHER

ATOM_A = 0.8  # drawn diameter of an atom: bonds of 1.4 Å stay visible between two of them
BOND_A = 0.22


def check_trajectory(frames: Any, name: str = "frames") -> list[Any]:
    """Return the frames as a list, refusing none at all and frames of different atoms.

    Raises
    ------
    TypeError
        If it is one structure, or not of structures.
    ValueError
        If there is no frame, or two frames do not hold the same atoms in the same order.
    """
    if hasattr(frames, "positions"):
        raise TypeError(f"`{name}` is one structure; pass a list of ASE Atoms, such as run.trajectory.")
    frames = list(frames)
    if not frames:
        raise ValueError(f"`{name}` is empty; pass at least one ASE Atoms, such as those of run.trajectory.")
    if not all(hasattr(frame, "positions") for frame in frames):
        raise TypeError(f"`{name}` must hold ASE Atoms; pass run.trajectory.")
    for number, frame in enumerate(frames):
        if not np.array_equal(frame.numbers, frames[0].numbers):
            raise ValueError(
                f"`{name}` number {number} is {frame.get_chemical_formula()}, the first is "
                f"{frames[0].get_chemical_formula()}; the atoms must be the same, in the same order, in each."
            )
        if not np.isfinite(frame.positions).all():
            raise ValueError(f"`{name}` number {number} has positions that are not finite; leave it out.")
    return frames


def frame_values(frames: Sequence[Any], values: Any) -> np.ndarray | None:
    """Return a value for each atom of each frame (F, N), from an array or the name of one of `atoms.arrays`.

    Raises
    ------
    ValueError
        If a frame lacks the named array, or the shape is neither (N,) nor (F, N).
    """
    if values is None:
        return None
    if isinstance(values, str):
        if any(values not in frame.arrays for frame in frames):
            raise ValueError(
                f"`values` is {values!r}; these frames have {', '.join(sorted(frames[0].arrays))}."
            )
        values = [frame.arrays[values] for frame in frames]
    values, wanted = np.asarray(values, float), (len(frames), len(frames[0]))
    if values.shape not in (wanted, wanted[1:]):
        raise ValueError(f"`values` has shape {values.shape}; it must be {wanted[1:]} or {wanted}.")
    return np.broadcast_to(values, wanted)


def frame_rows(frames: Sequence[Any], log: Any) -> np.ndarray:
    """Return which row of a log belongs to each frame (F,).

    Frames that note their ``info["time_fs"]`` get the nearest row; else a log of as many rows goes with them
    one by one, and over a longer one they are spread evenly, from its first row to its last.
    """
    times = [frame.info.get("time_fs") for frame in frames]
    if None not in times:
        return np.abs(np.subtract.outer(times, np.asarray(log["time_fs"]))).argmin(axis=1)
    if len(log) < len(frames):
        raise ValueError(f"`log` has {len(log)} rows for {len(frames)} frames; pass both from the same run.")
    return np.linspace(0, len(log) - 1, len(frames)).round().astype(int)


class Moving:
    """Draws frame after frame on a figure, from the same few artists.

    Parameters
    ----------
    figure
        A figure without pyplot; what is on it when the first frame is drawn, stays.
    """

    def __init__(self, figure: Any):
        from matplotlib.backends.backend_agg import FigureCanvasAgg

        self.figure, self.canvas = figure, FigureCanvasAgg(figure)
        self.artists: list[Any] = []
        self._still: Any = None

    def add(self, artist: Any) -> Any:
        """Say that an artist changes from frame to frame."""
        artist.set_animated(True)
        self.artists.append(artist)
        return artist

    def cursor(self, ax: Any) -> Any:
        """A line over time, moved by ``set_xdata([t, t])``."""
        return self.add(ax.axvline(0, color=CURSOR, lw=1.4))

    def picture(self) -> Any:
        """The figure as it is now, as a PIL image."""
        from PIL import Image

        if self._still is None:
            self.canvas.draw()
            self._still = self.canvas.copy_from_bbox(self.figure.bbox)
        self.canvas.restore_region(self._still)
        for artist in self.artists:
            artist.axes.draw_artist(artist)
        return Image.fromarray(np.asarray(self.canvas.buffer_rgba()).copy()).convert("RGB")

    def png(self) -> bytes:
        """The figure as it is now, as a PNG: packed fast rather than small."""
        buffer = io.BytesIO()
        self.picture().save(buffer, "PNG", compress_level=1)
        return buffer.getvalue()


class MovingStructure:
    """A structure from above whose atoms and bonds are moved, not drawn anew.

    Parameters
    ----------
    moving
        The figure that it belongs to.
    ax
        Its axis; the limits are those of all frames.
    frames
        The trajectory.
    values
        A value for each atom of each frame (F, N); coloured by element if None.
    label
        What the values are, with their unit.
    """

    def __init__(self, moving: Moving, ax: Any, frames: Sequence[Any], values: Any = None, label: str = ""):
        from matplotlib import colormaps
        from matplotlib.collections import LineCollection
        from matplotlib.colors import Normalize

        self.frames, self.values, self.ax = frames, values, ax
        points = _fit(ax, frames)
        self.bonds = moving.add(LineCollection([], colors="#777777", lw=BOND_A * points, zorder=1))
        ax.add_collection(self.bonds)
        symbols = np.array(frames[0].get_chemical_symbols())
        self.kinds = []
        shades = Normalize(np.nanmin(values), np.nanmax(values)) if values is not None else None
        cmap = colormaps["viridis"].with_extremes(bad=OTHER)
        for element in dict.fromkeys(symbols):
            own = np.flatnonzero(symbols == element)
            size = (ATOM_A * points * (1.0 if element in {"C", "H"} else 1.5)) ** 2
            style = {"marker": MARKERS.get(element, "v"), "s": size, "linewidths": 0.3, "edgecolors": "white"}
            xy = frames[0].positions[own, :2]
            if values is None:
                style["color"] = COLORS.get(element, OTHER)
            else:
                style |= {"c": values[0, own], "norm": shades, "cmap": cmap, "plotnonfinite": True}
            dots = ax.scatter(*xy.T, zorder=2, label=f"{element} ({len(own)})", **style)
            self.kinds.append((own, moving.add(dots)))
        if values is not None:
            ax.figure.colorbar(self.kinds[0][1], ax=ax, shrink=0.7, label=label)
        # The legend names elements; it stands beside the axis, where no atom can be under it.
        ax.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=4, fontsize="small", frameon=False,
                  borderaxespad=0.2, handletextpad=0.2)  # fmt: skip

    def show(self, number: int) -> None:
        """Move atoms and bonds to where frame `number` has them."""
        frame = self.frames[number]
        edges = find_edges(frame)
        start = frame.positions[edges.i, :2]
        self.bonds.set_segments(np.stack([start, start + edges.vector[:, :2] / 2], axis=1))
        for own, dots in self.kinds:
            dots.set_offsets(frame.positions[own, :2])
            if self.values is not None:
                dots.set_array(self.values[number, own])


def _fit(ax: Any, frames: Sequence[Any]) -> float:
    """Set the limits to what all frames take up; return how many points of paper an ångström is."""
    low = np.min([frame.positions[:, :2].min(axis=0) for frame in frames], axis=0) - 1.0
    high = np.max([frame.positions[:, :2].max(axis=0) for frame in frames], axis=0) + 1.0
    ax.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), aspect="equal", xlabel="x [Å]", ylabel="y [Å]")
    box = ax.get_position()
    wide, tall = ax.figure.get_size_inches() * (box.width, box.height)
    return 72 * min(np.array([wide, tall]) / (high - low))
