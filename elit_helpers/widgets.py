"""Thin ipywidgets and nglview around the plots, each with a picture for pages without a kernel."""

from __future__ import annotations

import base64
import html
from collections.abc import Callable, Sequence
from typing import Any

from elit_helpers import plots
from elit_helpers._common import EngineMissing, logger, require

WIDGET = "application/vnd.jupyter.widget-view+json"


class Shown:
    """A widget that carries a PNG: front ends with a kernel show the first, static pages the second.

    Without a widget (None) it is the picture everywhere.
    """

    def __init__(self, widget: Any, png: bytes, alt: str):
        self.widget, self.png, self.alt = widget, png, alt

    def _repr_mimebundle_(self, **_) -> dict:
        encoded = base64.b64encode(self.png).decode()
        picture = {
            "text/html": f'<img alt="{html.escape(self.alt)}" src="data:image/png;base64,{encoded}">',
            "text/plain": self.alt,
        }
        if self.widget is None:
            return picture
        bundle = self.widget._repr_mimebundle_() if hasattr(self.widget, "_repr_mimebundle_") else None
        if bundle is None:  # ipywidgets 7, as on Colab, knows only how to display itself
            bundle = {WIDGET: {"version_major": 2, "version_minor": 0, "model_id": self.widget.model_id}}
        return {WIDGET: bundle[WIDGET], **picture}


def explore(draw: Callable[..., Any], *, alt: str, **controls: Any) -> Shown:
    """Show a figure with controls that redraw it.

    Parameters
    ----------
    draw
        Called with one keyword a control; returns a matplotlib figure.
    alt
        What the figure shows, for those who cannot see it and for pages without a kernel.
    **controls
        As `ipywidgets.interact` takes them: ``(low, high, step)``, a list of choices, a bool, or a widget;
        ``(low, high, step, start)`` begins at `start` instead of half-way. A control is labelled by its
        name, with underscores as spaces.

    Raises
    ------
    ValueError
        If there is no control.
    """
    if not controls:
        raise ValueError("`controls` is empty; give at least one, such as dose=(1, 20).")
    widgets = require("ipywidgets", "A figure with controls")
    handles = _handles(widgets, controls)
    picture = widgets.Image(format="png")
    picture.layout.max_width = "100%"

    def redraw(_change: Any = None) -> None:
        picture.value = plots.to_png(draw(**{name: handle.value for name, handle in handles.items()}))

    redraw()
    for handle in handles.values():
        handle.observe(redraw, names="value")
    return Shown(widgets.VBox([*handles.values(), picture]), picture.value, alt)


def _handles(widgets: Any, controls: dict[str, Any]) -> dict[str, Any]:
    """Turn short forms into widgets as `interact` does, redrawing on release rather than while dragging."""
    handles = {}
    starts = {name: c[3] for name, c in controls.items() if isinstance(c, tuple) and len(c) == 4}
    controls = {name: c[:3] if name in starts else c for name, c in controls.items()}
    for widget in widgets.interactive(lambda **_: None, **controls).kwargs_widgets:
        name = widget._kwarg
        widget.value = starts.get(name, widget.value)
        widget.description = name.replace("_", " ")
        if hasattr(widget, "continuous_update"):
            widget.continuous_update = False
        widget.style.description_width = "initial"
        handles[name] = widget
    return handles


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
    first = structures[0] if many else structures
    try:
        nglview = require("nglview", "The view in three dimensions")
    except EngineMissing as error:  # Colab: nglview would replace the ipywidgets that Colab is built around
        logger.info("%s", error)
        return Shown(None, _structure_png(first, colors), alt)
    widget = nglview.show_asetraj(list(structures)) if many else nglview.show_ase(first)
    widget.layout.width, widget.layout.height = f"{size[0]}px", f"{size[1]}px"
    widget.clear_representations()
    if colors is None:
        widget.add_representation("ball+stick", aspect_ratio=2.0)
    else:
        scheme = nglview.color._ColorScheme([[c, f"@{i}"] for i, c in enumerate(colors)], "by_atom")
        widget.add_representation("ball+stick", aspect_ratio=2.0, color=scheme)
    widget.camera = "orthographic"
    widget.center()
    return Shown(widget, _structure_png(first, colors), alt)


def _structure_png(atoms: Any, colors: Sequence[str] | None) -> bytes:
    """The same structure from above, drawn by ASE: needs neither a kernel nor WebGL."""
    plt = require("matplotlib.pyplot", "A picture of the structure")
    figure, ax = plt.subplots(figsize=(5.6, 4.2))
    if len(atoms) <= 300:  # beyond, the lines only hide the atoms
        plots.bonds(atoms, ax=ax)
    plots.structure(atoms, ax=ax, colors=colors)
    return plots.to_png(figure)
