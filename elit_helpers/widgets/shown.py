"""What is shown where: a widget with a kernel, a picture without; in three dimensions if nglview is there."""

from __future__ import annotations

import base64
import html
import io
import uuid
from collections.abc import Sequence
from typing import Any

from ase import Atoms
from ase.io import write

from elit_helpers.core.checks import EngineMissing, logger, require
from elit_helpers.geometry.bonds import find_edges
from elit_helpers.plots.style import COLORS, OTHER

WIDGET = "application/vnd.jupyter.widget-view+json"
_FINDS_BONDS = 500  # atoms in which nglview looks for bonds itself


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

    x is to the right and y upwards at first, as in the picture. Parameters are those of `widgets.view`.
    """
    try:
        nglview = require("nglview", "The view in three dimensions")
    except EngineMissing as error:  # Colab: nglview would replace the ipywidgets that Colab is built around
        logger.info("%s", error)
        return None
    many = isinstance(structures, (list, tuple))
    frames = structures if many else [structures]
    turned = [_turned(atoms, frames[0].positions.mean(axis=0)) for atoms in frames]
    text = _pdb(turned[0])
    if many:
        shown = nglview.ASETrajectory(turned)
        shown.get_structure_string = lambda: text  # its own has no bonds
    else:
        shown = nglview.TextStructure(text, ext="pdb")
    widget = nglview.NGLWidget(shown)
    widget.layout.width, widget.layout.height = f"{size[0]}px", f"{size[1]}px"
    widget.clear_representations()
    # Each scheme has a name of its own: the browser keeps one of a name for all views.
    scheme = nglview.color._ColorScheme(_painted(turned[0], colors), uuid.uuid4().hex)
    widget.add_representation("ball+stick", aspect_ratio=2.0, color=scheme)
    widget.camera = "orthographic"
    widget.center()
    return widget


def _turned(atoms: Any, middle: Any) -> Any:
    """Turn a structure half round y: nglview looks at it along +z, which would mirror the picture.

    It stands about `middle` (3,), because a PDB file has narrow columns for positions.
    """
    return Atoms(atoms.symbols, (atoms.positions - middle) * (-1.0, 1.0, -1.0))


def _pdb(atoms: Any) -> str:
    """Write a structure with its bonds, which nglview does not look for in large ones."""
    text, edges = io.StringIO(), find_edges(atoms)
    write(text, atoms, format="proteindatabank")
    lines = [line for line in text.getvalue().splitlines() if not line.startswith(("END", "MODEL"))]
    if len(atoms) > _FINDS_BONDS:
        forth = edges.i < edges.j
        pairs = zip(edges.i[forth] + 1, edges.j[forth] + 1, strict=True)
        lines += [f"CONECT{i:5d}{j:5d}" for i, j in pairs if j < 100_000]
    return "\n".join([*lines, "END", ""])


def _painted(atoms: Any, colors: Sequence[str] | None) -> list[list[str]]:
    """Colours, and which atoms have them, in nglview's words."""
    if colors is not None:
        of = {color: [] for color in colors}
        for number, color in enumerate(colors):
            of[color].append(str(number))
        return [[color, "@" + ",".join(own)] for color, own in of.items()]
    return [[COLORS.get(element, OTHER), f"_{element.upper()}"] for element in dict.fromkeys(atoms.symbols)]
