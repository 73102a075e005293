"""What is shown where: a widget with a kernel, a picture without; in three dimensions if nglview is there."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence
from typing import Any

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


def in_space(
    structures: Any, *, colors: Sequence[str] | None = None, size: tuple[int, int] = (560, 420)
) -> Any:
    """Return an nglview of a structure, or of a list of them; None, with a word in the log, without nglview.

    Parameters are those of `widgets.view`.
    """
    many = isinstance(structures, (list, tuple))
    try:
        nglview = require("nglview", "The view in three dimensions")
    except EngineMissing as error:  # Colab: nglview would replace the ipywidgets that Colab is built around
        logger.info("%s", error)
        return None
    widget = nglview.show_asetraj(list(structures)) if many else nglview.show_ase(structures)
    widget.layout.width, widget.layout.height = f"{size[0]}px", f"{size[1]}px"
    widget.clear_representations()
    if colors is None:
        widget.add_representation("ball+stick", aspect_ratio=2.0)
    else:
        scheme = nglview.color._ColorScheme([[c, f"@{i}"] for i, c in enumerate(colors)], "by_atom")
        widget.add_representation("ball+stick", aspect_ratio=2.0, color=scheme)
    widget.camera = "orthographic"
    widget.center()
    return widget
