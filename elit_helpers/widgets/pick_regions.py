"""Regions of interest to tick or to draw by hand, each as a piece of the picture with its reason."""

from __future__ import annotations

import html
import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from elit_helpers import plots
from elit_helpers.core.checks import require
from elit_helpers.core.coordinates import inside, to_pixels
from elit_helpers.plots.style import CURSOR
from elit_helpers.structure.regions import cut_region
from elit_helpers.widgets.beside_image import picture_of
from elit_helpers.widgets.shown import Shown

_COLUMNS = ["x_A", "y_A", "radius_A", "atoms", "reason"]
_BY_HAND = "by hand"
_AROUND_A = 6.0  # shown around a region: two rings of the lattice, to compare with
_NOT_TICKED = "#56b4e9"
_ON_PAGE = 12  # cards on the picture for pages without a kernel


def choose_regions(
    atoms: Any,
    regions: pd.DataFrame,
    *,
    keep: Sequence[int] = (),
    by_hand: Sequence[tuple[float, float, float]] = (),
) -> pd.DataFrame:
    """Return some rows of a table of regions, and regions of one's own in the same columns.

    Parameters
    ----------
    atoms : ase.Atoms
        The structure that the regions are of.
    regions : DataFrame
        From `regions_of_interest`.
    keep : sequence of int
        Which rows to keep.
    by_hand : sequence of (x, y, radius)
        Regions of one's own [Å].

    Raises
    ------
    ValueError
        A row is not there, or a region of one's own holds no atom.
    """
    strangers = [number for number in keep if number not in range(len(regions))]
    if strangers:
        raise ValueError(f"`keep` has {strangers}, but `regions` has the rows 0 to {len(regions) - 1}.")
    own = [_by_hand(atoms, *circle) for circle in by_hand]
    kept = regions[_COLUMNS].iloc[list(keep)].to_dict("records")
    return pd.DataFrame([*kept, *own], columns=_COLUMNS)


def _by_hand(atoms: Any, x: float, y: float, radius: float) -> dict[str, Any]:
    cut_region(atoms, (x, y), radius_A=radius)  # refuses an empty region
    inside = np.flatnonzero(np.linalg.norm(atoms.positions[:, :2] - (x, y), axis=1) <= radius)
    row = (float(x), float(y), float(radius), tuple(int(k) for k in inside), _BY_HAND)
    return dict(zip(_COLUMNS, row, strict=True))


def _ring(row: Any) -> tuple[float, float, float]:
    """Where to draw a region: one by hand as it is, others outside the atoms that gave the reason."""
    return row.x_A, row.y_A, row.radius_A + (0.0 if row.reason == _BY_HAND else 1.2)


class RegionChoice(Shown):
    """Regions to tick; `selected` is the table of those that are ticked now.

    Attributes
    ----------
    boxes
        Tick boxes: those of the table, then those by hand.
    place
        The fields x, y and radius [Å] of the next region by hand.
    """

    def __init__(self, frame: Any, atoms: Any, regions: pd.DataFrame, keep: Sequence[int], alt: str):
        self._widgets = widgets = require("ipywidgets", "Choosing regions by hand")
        self._atoms, self._regions, self._own = atoms, regions, []
        self._picture = picture_of(frame, atoms)
        self.boxes: list[Any] = []
        self._cards, self._whole = widgets.HBox([]), widgets.Image(format="png")
        self._cards.layout.flex_flow = "row wrap"
        self._line, self._says = widgets.HTML(), widgets.HTML()
        span = atoms.positions[:, :2]
        self.place = [
            widgets.BoundedFloatText(
                value=round(float(start), 1), min=low, max=high, step=0.5, description=name
            )
            for name, low, high, start in (
                ("x [Å]", *np.round((span[:, 0].min(), span[:, 0].max(), span[:, 0].mean()), 1)),
                ("y [Å]", *np.round((span[:, 1].min(), span[:, 1].max(), span[:, 1].mean()), 1)),
                ("radius [Å]", 1.0, 30.0, 5.0),
            )
        ]
        for field in self.place:
            field.layout.width = "170px"
        self._button = widgets.Button(description="add this region")
        self._button.on_click(self._add_here)
        for number in range(len(regions)):
            self._new_card(regions.iloc[number], ticked=number in keep)
        png = self._for_pages()
        for field in self.place:
            field.observe(self._redraw, names="value")
        by_hand = widgets.VBox([widgets.HTML("<b>By hand</b>: the dashed circle"), *self.place, self._button,
                                self._says])  # fmt: skip
        self._redraw()
        below = widgets.HBox([self._whole, by_hand])
        below.layout.flex_flow = "row wrap"
        super().__init__(widgets.VBox([self._cards, below, self._line]), png, alt)

    @property
    def selected(self) -> pd.DataFrame:
        """The ticked regions, with the columns of `regions_of_interest`; those by hand come last."""
        return choose_regions(self._atoms, self._regions, **self._ticked())

    def add(self, x_A: float, y_A: float, radius_A: float) -> None:
        """Add a region by hand [Å], ticked.

        Raises
        ------
        ValueError
            If it holds no atom.
        """
        row = _by_hand(self._atoms, x_A, y_A, radius_A)
        self._own.append((float(x_A), float(y_A), float(radius_A)))
        self._new_card(pd.Series(row), ticked=True)
        self._redraw()

    def _ticked(self) -> dict[str, list]:
        on = [number for number, box in enumerate(self.boxes) if box.value]
        found = len(self._regions)
        return {
            "keep": [number for number in on if number < found],
            "by_hand": [self._own[number - found] for number in on if number >= found],
        }

    def _add_here(self, _button: Any = None) -> None:
        try:
            self.add(*(field.value for field in self.place))
            self._says.value = ""
        except ValueError as error:  # shown where the learner looks, not in the log of the kernel
            self._says.value = html.escape(str(error))

    def _new_card(self, row: Any, *, ticked: bool) -> None:
        widgets, number = self._widgets, len(self.boxes)
        image = widgets.Image(value=self._crop_png(row), format="png")
        box = widgets.Checkbox(value=ticked, description=f"region {number}", indent=False)
        box.observe(self._redraw, names="value")
        atoms = f"{len(row.atoms)} atom{'s' if len(row.atoms) > 1 else ''}"
        words = f"{html.escape(row.reason)}<br>{atoms} at ({row.x_A:.1f}, {row.y_A:.1f}) Å"
        card = widgets.VBox([image, box, widgets.HTML(words)])
        card.layout.width = "230px"
        self.boxes.append(box)
        self._cards.children = (*self._cards.children, card)

    def _redraw(self, _change: Any = None) -> None:
        self._whole.value = plots.to_png(self._draw_whole(plots.row(width=6)[0], preview=True).figure)
        ticked = self._ticked()
        circles = ", ".join(f"({x:g}, {y:g}, {r:g})" for x, y, r in ticked["by_hand"])
        call = f"eh.widgets.choose_regions(atoms, regions, keep={ticked['keep']}, by_hand=[{circles}])"
        some = ticked["keep"] or ticked["by_hand"]
        self._line.value = f"<code>{call}</code>" if some else "Tick one region at least, or add one."

    # ------------------------------------------------------------------ drawing
    def _pixels(self, xy: Any) -> np.ndarray:
        """Where places of the structure [Å] are on the picture: row, column [px]."""
        _, pixel_size, height, offset = self._picture
        return to_pixels(np.asarray(xy, float) - offset, pixel_size=pixel_size, height=height)

    def _circle(self, ax: Any, place: Sequence[float], corner: Any = (0, 0), **style: Any) -> None:
        from matplotlib.patches import Circle

        (middle,) = self._pixels([place[:2]]) - corner
        ax.add_patch(Circle(middle[::-1], place[2] / self._picture[1], fill=False, **style))

    def _crop(self, ax: Any, row: Any, title: str = "") -> Any:
        """Draw the piece of the picture about a region, with the atoms found and a ring about the region."""
        picture, pixel_size, _, _ = self._picture
        place, (middle,) = _ring(row), self._pixels([[row.x_A, row.y_A]])
        reach = (row.radius_A + _AROUND_A) / pixel_size
        low = np.clip(np.floor(middle - reach), 0, None).astype(int)
        high = np.minimum(np.ceil(middle + reach), picture.shape).astype(int)
        piece = picture[low[0] : high[0], low[1] : high[1]]
        plots.image(piece, pixel_size=pixel_size, percentile=1, ax=ax, title=title)
        spots = self._pixels(self._atoms.positions[:, :2]) - low
        symbols = np.array(self._atoms.get_chemical_symbols())
        shown = inside(spots, piece.shape)
        for element in dict.fromkeys(symbols[shown]):
            own, color = spots[shown & (symbols == element)], plots.COLORS.get(element, plots.OTHER)
            marker = plots.MARKERS.get(element, "v")
            ax.scatter(own[:, 1], own[:, 0], s=10, marker=marker, fc="none", ec=color, lw=0.9)
        self._circle(ax, place, low, ec=CURSOR, lw=1.4)
        # A circle may reach beyond the picture, whose limits it must not move.
        ax.set(xlim=(-0.5, piece.shape[1] - 0.5), ylim=(piece.shape[0] - 0.5, -0.5))
        return ax

    def _crop_png(self, row: Any) -> bytes:
        return plots.to_png(self._crop(plots.row(width=2.2)[0], row).figure)

    def _draw_whole(self, ax: Any, *, preview: bool = False) -> Any:
        """Draw the whole picture with all regions: ticked ones bold, others thin, the next by hand dashed."""
        picture, pixel_size, _, _ = self._picture
        plots.image(picture, pixel_size=pixel_size, percentile=3, ax=ax)
        places = [*map(_ring, self._regions.itertuples()), *self._own]
        for number, (place, box) in enumerate(zip(places, self.boxes, strict=True)):
            color, wide = (CURSOR, 2.0) if box.value else (_NOT_TICKED, 1.2)
            self._circle(ax, place, ec=color, lw=wide)
            (beside,) = self._pixels([[place[0] + place[2], place[1]]])
            behind = {"facecolor": "white", "alpha": 0.8, "pad": 0.6, "edgecolor": "none"}
            words = {"weight": "bold", "fontsize": "small", "color": CURSOR if box.value else "black"}
            ax.annotate(str(number), beside[::-1], annotation_clip=True, bbox=behind, **words)
        if preview:
            self._circle(ax, [field.value for field in self.place], ec="#f0e442", lw=1.8, ls="--")
        ax.set(xlim=(-0.5, picture.shape[1] - 0.5), ylim=(picture.shape[0] - 0.5, -0.5))
        return ax

    def _for_pages(self) -> bytes:
        """The whole picture and the first crops on one picture, for pages without a kernel."""
        from matplotlib.pyplot import figure

        shown = min(len(self._regions), _ON_PAGE)
        columns = max(1, -(-shown // 3))
        page = figure(figsize=(6 + 2.1 * columns, 6.6), layout="constrained")
        grid = page.add_gridspec(3, 3 + columns)
        self._draw_whole(page.add_subplot(grid[:, :3]))
        for number in range(shown):
            row = self._regions.iloc[number]
            ax = page.add_subplot(grid[number % 3, 3 + number // 3])
            title = textwrap.wrap(f"{number}: {row.reason}", 27, max_lines=2, placeholder=" …")
            self._crop(ax, row, "\n".join(title))
            ax.title.set_fontsize("x-small")
        return plots.to_png(page, dpi=80)


def pick_regions(
    frame: Any,
    atoms: Any,
    regions: pd.DataFrame,
    *,
    keep: Sequence[int] = (0,),
    by_hand: Sequence[tuple[float, float, float]] = (),
    alt: str,
) -> RegionChoice:
    """Show regions of interest as pieces of the picture, with their reasons, to tick; or draw one by hand.

    Parameters
    ----------
    frame : array of shape (H, W)
        The picture that the atoms were found in.
    atoms : ase.Atoms
        From `to_atoms`.
    regions : DataFrame
        From `regions_of_interest`; it may be empty.
    keep : sequence of int
        Rows that are ticked at first.
    by_hand : sequence of (x, y, radius)
        Regions of one's own to begin with [Å].
    alt : str
        What is to be seen, for those who cannot see it and for pages without a kernel.

    Returns
    -------
    RegionChoice
        Its ``selected`` is a table as `regions_of_interest` gives it. The line below says how a script makes
        the same choice, with `choose_regions`.

    Raises
    ------
    ValueError
        The structure notes no picture, or another one; a row of `keep` is not there; a region by hand holds
        no atom.
    """
    wanted = [number for number in keep if len(regions)]
    choose_regions(atoms, regions, keep=wanted, by_hand=by_hand)  # refuses what is not there
    choice = RegionChoice(frame, atoms, regions, wanted, alt)
    for circle in by_hand:
        choice.add(*circle)
    return choice
