"""A trajectory to play: atoms, temperature, energy and bonds, on one time axis under one slider."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from elit_helpers import plots
from elit_helpers.core.atoms_table import require_columns
from elit_helpers.core.checks import require
from elit_helpers.geometry.bonds import find_edges
from elit_helpers.plots.moving import Moving, MovingStructure, check_trajectory, frame_rows, frame_values
from elit_helpers.simulate.result import unscaled
from elit_helpers.widgets.shown import Shown, in_space

_COLUMNS = ("time_fs", "temperature_K", "potential_eV", "kinetic_eV", "total_eV")
_BIN_A = 0.02
_INTERVAL_MS = 150  # a picture takes about 40 ms: the kernel keeps up with the play button
_ENOUGH_FRAMES = 200  # more columns than these in the map of bonds are narrower than a pixel


class Player(Shown):
    """A trajectory with a slider; ``slider.value`` is the frame that is shown."""

    def __init__(self, widget: Any, png: bytes, alt: str, slider: Any, picture: Any, viewer: Any):
        super().__init__(widget, png, alt)
        self.slider, self.picture, self.viewer = slider, picture, viewer


def player(
    frames: Sequence[Any], log: Any, *, alt: str, values: Any = None, label: str = "", in_3d: bool = True
) -> Player:
    """Show a simulation with a slider and a play button: the structure, and its log on one time axis.

    Left the structure from above; right temperature, energies and the lengths of the bonds over time, with a
    cursor at the frame shown, and the histogram of its bonds. Lengths are the picture's: the scale that
    `relax` gave a structure is taken out.

    Parameters
    ----------
    frames : sequence of ase.Atoms
        ``run.trajectory``.
    log : DataFrame
        ``run.log`` of a simulation: ``time_fs, temperature_K, potential_eV, kinetic_eV, total_eV``.
    alt : str
        What is to be seen, for those who cannot see it and for pages without a kernel.
    values : str or array of shape (N,) or (F, N), optional
        Colours the atoms by these, or by the array of that name, instead of by element.
    label : str
        What the values are, with their unit.
    in_3d : bool
        Put a view in three dimensions, on the same slider, below; where nglview is there.

    Returns
    -------
    Player
        On a page without a kernel it is a picture of the last frame.

    Raises
    ------
    TypeError, ValueError
        The frames are not a trajectory of the same atoms, or the log is none of theirs.
    """
    frames = [unscaled(frame) for frame in check_trajectory(frames)]
    require_columns(log, _COLUMNS, "log", source="`run_md`")
    screen = _Screen(frames, log, frame_values(frames, values), label or _name(values))
    widgets = require("ipywidgets", "A player")
    last = len(frames) - 1
    play = widgets.Play(min=0, max=last, interval=_INTERVAL_MS, description="play")
    slider = widgets.IntSlider(min=0, max=last, description="frame")
    slider.layout.width = "60%"
    widgets.jslink((play, "value"), (slider, "value"))
    picture = widgets.Image(value=screen.png(0), format="png")
    picture.layout.max_width = "100%"
    viewer = in_space(frames, size=(560, 420)) if in_3d else None

    def turn(_change: Any = None) -> None:
        picture.value = screen.png(slider.value)
        if viewer is not None:
            viewer.frame = slider.value

    slider.observe(turn, names="value")
    parts = [widgets.HBox([play, slider]), picture, *([] if viewer is None else [viewer])]
    return Player(widgets.VBox(parts), screen.png(last), alt, slider, picture, viewer)


def _name(values: Any) -> str:
    return values if isinstance(values, str) else ""


def _bond_lengths(frames: Sequence[Any]) -> tuple[str, list[np.ndarray]]:
    """Return the pair of elements that most bonds are of, and these bonds' lengths in each frame [Å]."""
    symbols = np.array(frames[0].get_chemical_symbols())
    edges = find_edges(frames[0])
    pairs = Counter(tuple(sorted(pair)) for pair in zip(symbols[edges.i], symbols[edges.j], strict=True))
    pair = pairs.most_common(1)[0][0] if pairs else ("C", "C")
    lengths = []
    for frame in frames:
        edges = find_edges(frame)
        forth = (symbols[edges.i] == pair[0]) & (symbols[edges.j] == pair[1]) & (edges.i < edges.j)
        lengths.append(np.linalg.norm(edges.vector[forth], axis=1))
    return "–".join(pair), lengths


class _Screen:
    """The figure of a player."""

    def __init__(self, frames: Sequence[Any], log: Any, values: Any, label: str):
        from matplotlib.figure import Figure

        self.rows = frame_rows(frames, log)
        self.times = np.asarray(log["time_fs"], float)[self.rows]
        self.log = log
        figure = Figure(figsize=(10.4, 5.2), dpi=90)
        self.moving = Moving(figure)
        ax = figure.add_axes((0.055, 0.1, 0.45, 0.83))
        self.structure = MovingStructure(self.moving, ax, frames, values, label)
        self.words = self.moving.add(ax.text(1, 1.01, "", transform=ax.transAxes, ha="right", va="bottom"))
        panels = [figure.add_axes((0.585, bottom, 0.29, 0.25)) for bottom in (0.68, 0.39, 0.1)]
        plots.temperature(log, ax=panels[0])
        plots.energy(log, n_atoms=len(frames[0]), ax=panels[1])
        panels[1].set_ylabel("energy, change\n[meV/atom]")
        panels[1].legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize="small", frameon=False)
        self._bonds(frames, panels[2], figure.add_axes((0.9, 0.1, 0.09, 0.25)))
        margin = 0.01 * max(self.times[-1] - self.times[0], 1e-6)  # the cursor shows at both ends
        for panel in panels:
            panel.set_xlim(self.times[0] - margin, self.times[-1] + margin)
            panel.set_xlabel("time [fs]" if panel is panels[2] else "")
            panel.tick_params(labelbottom=panel is panels[2])
        figure.align_ylabels(panels)
        self.cursors = [self.moving.cursor(panel) for panel in panels]

    def _bonds(self, frames: Sequence[Any], over_time: Any, now: Any) -> None:
        """Draw the bonds' lengths as a map over time, and beside it, on the same axis, those of one frame."""
        from matplotlib.ticker import MaxNLocator

        pair, self.lengths = _bond_lengths(frames)
        every = -(-len(frames) // _ENOUGH_FRAMES)
        some, times = self.lengths[::every], self.times[::every]
        joined = np.concatenate(some)
        low, high = (joined.min(), joined.max()) if len(joined) else (1.0, 2.0)
        self.bins = np.arange(low - _BIN_A, high + 2 * _BIN_A, _BIN_A)
        counts = np.array([np.histogram(own, self.bins)[0] for own in some], float)
        middle = (times[1:] + times[:-1]) / 2
        edges = np.r_[times[0], middle, max(times[-1], times[0] + 1e-9)]
        # Logarithmic: the few bonds that are long are the ones to look for.
        over_time.pcolormesh(edges, self.bins, np.log1p(counts.T), cmap="Blues")
        over_time.set(ylabel=f"{pair} bond\n[Å]", ylim=(self.bins[0], self.bins[-1]))
        self.steps = self.moving.add(
            now.stairs(np.zeros(len(self.bins) - 1), self.bins, orientation="horizontal", fill=True,
                       color=plots.CYCLE[0])
        )  # fmt: skip
        now.set(xlim=(0, 1.05 * max(counts.max(initial=1), 1)), ylim=over_time.get_ylim(), xlabel="bonds")
        now.tick_params(labelleft=False)
        now.xaxis.set_major_locator(MaxNLocator(2, integer=True, prune="lower"))
        now.set_title("this frame", fontsize="small")

    def png(self, number: int) -> bytes:
        """The figure with frame `number` on it."""
        self.structure.show(number)
        kelvin = float(self.log["temperature_K"].iloc[self.rows[number]])
        self.words.set_text(f"{self.times[number]:.0f} fs, {kelvin:.0f} K")
        for cursor in self.cursors:
            cursor.set_xdata([self.times[number]] * 2)
        self.steps.set_data(np.histogram(self.lengths[number], self.bins)[0])
        return self.moving.png()
