"""A structure in three dimensions, coloured by how sure each atom is, beside the picture it was read from."""

from __future__ import annotations

from typing import Any

import numpy as np

from elit_helpers import plots
from elit_helpers.core.checks import check_frames, check_pixel_size, require
from elit_helpers.plots.moving import frame_values
from elit_helpers.plots.style import OTHER
from elit_helpers.widgets.shown import Shown, in_space

_LABELS = {
    "probability": "probability",
    "position_std_A": "spread of the position [Å]",
    "member_share": "share of the members",
}


def picture_of(frame: Any, atoms: Any) -> tuple[np.ndarray, float, int, np.ndarray]:
    """Return the frame (H, W), its pixel size [Å] and height [px], and how the structure was moved (2,) [Å].

    Raises
    ------
    ValueError
        If the structure notes no picture, or one of another height.
    """
    frames = check_frames(frame, "frame")
    if len(frames) > 1:
        raise ValueError(f"`frame` holds {len(frames)} frames; pass the one that `atoms` were found in.")
    pixel_size, height = atoms.info.get("pixel_size"), atoms.info.get("height_px")
    if pixel_size is None or height is None:
        raise ValueError("`atoms.info` notes no `pixel_size` and `height_px`; use a structure of `to_atoms`.")
    # `to_atoms` reads the height from fitted positions; one pixel more or less is no other picture.
    if abs(int(height) - frames.shape[1]) > 1:
        raise ValueError(
            f"`frame` is {frames.shape[1]} px high, but `atoms` were found in a picture of {int(height)} px. "
            f"Pass that picture; `atoms.info['frame']` is {atoms.info.get('frame', 'not noted')}."
        )
    offset = np.asarray(atoms.info.get("offset_A", np.zeros(3)), float)[:2]
    return frames[0], check_pixel_size(pixel_size), int(height), offset


def beside_image(
    atoms: Any, frame: Any, *, values: Any = "probability", label: str | None = None, alt: str
) -> Shown:
    """Show a structure coloured by a value of each atom, to turn about, beside the picture it was read from.

    Parameters
    ----------
    atoms : ase.Atoms
        From `to_atoms`.
    frame : array of shape (H, W)
        The picture.
    values : str or array of shape (N,)
        Name of one of ``atoms.arrays``, such as ``"probability"`` or ``"position_std_A"``, or the values.
        Those that are not finite are grey.
    label : str, optional
        What the values are, with their unit; written at the colour bar.
    alt : str
        What is to be seen, for those who cannot see it and for pages without a kernel.

    Raises
    ------
    ValueError
        The structure lacks the values, or notes no picture, or another one.
    """
    picture, pixel_size, _, _ = picture_of(frame, atoms)
    numbers = frame_values([atoms], values)[0]
    label = label or (_LABELS.get(values, values) if isinstance(values, str) else "")
    left, right = plots.row(2, width=5.6, height=5)
    plots.image(picture, pixel_size=pixel_size, percentile=3, ax=left)
    plots.structure(atoms, values=numbers, label=label, size=9, ax=right)
    png = plots.to_png(left.figure)
    viewer = in_space(atoms, colors=_colors(numbers), size=(480, 440))
    if viewer is None:
        return Shown(None, png, alt)
    widgets = require("ipywidgets", "A structure beside its picture")
    ax = plots.image(picture, pixel_size=pixel_size, percentile=3, ax=plots.row(width=4.4)[0])
    image = widgets.Image(value=plots.to_png(ax.figure), format="png")
    bar = widgets.Image(value=_bar(numbers, label), format="png")
    for part in (image, bar):
        part.layout.align_self = "center"
    row = widgets.HBox([image, viewer, bar])
    row.layout.flex_flow = "row wrap"
    return Shown(row, png, alt)


def _scale(values: np.ndarray) -> Any:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    known = values[np.isfinite(values)]
    scale = ScalarMappable(Normalize(known.min(), known.max()) if len(known) else None, "viridis")
    scale.cmap = scale.cmap.with_extremes(bad=OTHER)
    return scale


def _colors(values: np.ndarray) -> list[str]:
    """A colour for each value, as the bar has them."""
    from matplotlib.colors import to_hex

    return [to_hex(color) for color in _scale(values).to_rgba(np.ma.masked_invalid(values))]


def _bar(values: np.ndarray, label: str) -> bytes:
    ax = plots.row(width=0.9, height=3.6)[0]
    ax.figure.colorbar(_scale(values), cax=ax, label=label)
    return plots.to_png(ax.figure)
