"""A figure with controls that redraw it, and a structure in three dimensions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from elit_helpers import plots
from elit_helpers.core.checks import require
from elit_helpers.widgets.shown import Shown, in_space

# The unit that a name of the package ends with, as in `temperature_K`.
_UNITS = {"A": "Å", "K": "K", "fs": "fs", "eV": "eV", "px": "px", "deg": "°"}


def explore(
    draw: Callable[..., Any], *, alt: str, units: Mapping[str, str] | None = None, **controls: Any
) -> Shown:
    """Show a figure with controls that redraw it.

    Parameters
    ----------
    draw
        Called with one keyword a control; returns a matplotlib figure.
    alt
        What the figure shows, for those who cannot see it and for pages without a kernel.
    units : mapping of str to str, optional
        Units of controls whose name does not end with one: ``{"dose": "e/Å²"}``.
    **controls
        As `ipywidgets.interact` takes them: ``(low, high, step)``, a list of choices, a bool, or a widget;
        ``(low, high, step, start)`` begins at `start` instead of half-way. A control is labelled by its
        name, with underscores as spaces and the unit in brackets: ``temperature_K`` by "temperature [K]".

    Raises
    ------
    ValueError
        If there is no control, or a unit belongs to none.
    """
    units = dict(units or {})
    if not controls:
        raise ValueError("`controls` is empty; give at least one, such as dose=(1, 20).")
    if unknown := sorted(units.keys() - controls.keys()):
        raise ValueError(
            f"`units` names {', '.join(unknown)}, which is no control; there are {', '.join(controls)}."
        )
    widgets = require("ipywidgets", "A figure with controls")
    handles = _handles(widgets, controls, units)
    picture = widgets.Image(format="png")
    picture.layout.max_width = "100%"

    def redraw(_change: Any = None) -> None:
        picture.value = plots.to_png(draw(**{name: handle.value for name, handle in handles.items()}))

    redraw()
    for handle in handles.values():
        handle.observe(redraw, names="value")
    return Shown(widgets.VBox([*handles.values(), picture]), picture.value, alt)


def _handles(widgets: Any, controls: dict[str, Any], units: Mapping[str, str]) -> dict[str, Any]:
    """Turn short forms into widgets as `interact` does, redrawing on release rather than while dragging."""
    handles = {}
    starts = {name: c[3] for name, c in controls.items() if isinstance(c, tuple) and len(c) == 4}
    controls = {name: c[:3] if name in starts else c for name, c in controls.items()}
    for widget in widgets.interactive(lambda **_: None, **controls).kwargs_widgets:
        name = widget._kwarg
        widget.value = starts.get(name, widget.value)
        widget.description = _label(name, units)
        if hasattr(widget, "continuous_update"):
            widget.continuous_update = False
        widget.style.description_width = "initial"
        handles[name] = widget
    return handles


def _label(name: str, units: Mapping[str, str]) -> str:
    """What stands beside a control: its name in words, and its unit."""
    stem, _, ending = name.rpartition("_")
    if stem and ending in _UNITS and name not in units:
        name, units = stem, {stem: _UNITS[ending]}
    return name.replace("_", " ") + (f" [{units[name]}]" if name in units else "")


def view(
    structures: Any, *, alt: str, colors: Sequence[str] | None = None, size: tuple[int, int] = (560, 420)
) -> Shown:
    """Show a structure, or a trajectory, in three dimensions with nglview; where it is missing, a picture.

    Parameters
    ----------
    structures
        ASE `Atoms`, or a list of them for a trajectory with a player.
    alt
        What is to be seen, for those who cannot see it and for pages without a kernel.
    colors
        A colour for each atom, as ``"#rrggbb"``; by element if None.
    size
        Width and height [px].
    """
    many = isinstance(structures, (list, tuple))
    widget = in_space(structures, colors=colors, size=size)
    return Shown(widget, _structure_png(structures[0] if many else structures, colors), alt)


def _structure_png(atoms: Any, colors: Sequence[str] | None) -> bytes:
    """The same structure from above, drawn by ASE: needs neither a kernel nor WebGL."""
    plt = require("matplotlib.pyplot", "A picture of the structure")
    figure, ax = plt.subplots(figsize=(5.6, 4.2))
    if len(atoms) <= 300:  # beyond, the lines only hide the atoms
        plots.bonds(atoms, ax=ax)
    plots.structure(atoms, ax=ax, colors=colors)
    return plots.to_png(figure)
