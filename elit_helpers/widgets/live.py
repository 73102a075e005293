"""Curves that are drawn anew while something runs: the losses of a training, the log of a simulation."""

from __future__ import annotations

import contextlib
import gc
import io
import time
from collections.abc import Iterator
from typing import Any

import pandas as pd

from elit_helpers import plots
from elit_helpers.core.checks import require
from elit_helpers.widgets.shown import Shown

_SHARE = 0.05  # of the time that a live picture may take from what it shows
_LOOK_S = 0.5


@contextlib.contextmanager
def _gone_afterwards() -> Iterator[None]:
    """Free what is made in this block and refers to itself, as figures do, at its end and at little cost.

    Left alone it waits until Python looks through everything there is, which takes longer than the drawing
    and is rare: hundreds of pictures of a training would lie about until then.
    """
    was_on = gc.isenabled()
    gc.disable()  # else the collector takes what is in use for old, and does not look at it again so soon
    try:
        yield
    finally:
        if was_on:
            gc.enable()
        gc.collect(0)


class _Live:
    """A picture of a table that grows; what draws it is `_draw`, on a figure of `SIZE` inches."""

    SIZE = (5.5, 3.0)
    COLUMNS: tuple[str, ...] = ()

    def __init__(self, alt: str):
        self.alt = alt
        self.history = pd.DataFrame(columns=list(self.COLUMNS))
        self.displays: list[Any] = []

    def __call__(self, history: pd.DataFrame) -> None:
        """Take the table so far and draw it."""
        self.history = history
        if self.displays:
            bundle = Shown(None, self.png(), self.alt)._repr_mimebundle_()
            for display in self.displays:
                display.update(bundle, raw=True)

    def png(self) -> bytes:
        """The curves as they are now."""
        # Without pyplot and its layouts: this runs beside the work that it shows, and must cost little.
        matplotlib, buffer = require("matplotlib.figure", "Drawing curves"), io.BytesIO()
        with _gone_afterwards():
            figure = matplotlib.Figure(figsize=self.SIZE, dpi=80)
            self._draw(figure)
            figure.savefig(buffer, format="png")
            del figure
        return buffer.getvalue()

    def show(self) -> Shown:
        """What to display: a picture that follows what it shows."""
        return _Followed(self)

    def _draw(self, figure: Any) -> None:
        raise NotImplementedError


class LiveLosses(_Live):
    """Loss curves that are drawn anew while an ensemble trains.

    Show it, then hand it to the training: ``live = LiveLosses("…"); display(live.show())`` and
    ``train_ensemble(..., on_progress=live)``. A page without a kernel shows the curves as they were last.
    The table it takes has the columns ``member, step, loss``; ``stage``, too, in Algorithm 1.

    Parameters
    ----------
    alt
        What is to be seen, for those who cannot see it.
    """

    COLUMNS = ("member", "step", "loss")

    def _draw(self, figure: Any) -> None:
        ax = figure.add_axes((0.11, 0.17, 0.86, 0.73))
        if not len(self.history):
            ax.set(xlabel="step (one mini-batch)", ylabel="loss", title="before the first step")
            return
        every = max(1, len(self.history) // 1000)
        some = self.history.groupby("member").cumcount() % every == 0
        stage = self.history["stage"].iloc[-1] if "stage" in self.history else ""
        plots.losses(self.history[some], ax=ax, smooth=max(1, 10 // every), title=stage)


class LiveRun(_Live):
    """Temperature, energy and number of bonds, drawn anew while a simulation runs.

    Show it, then hand it to the simulation: ``live = LiveRun("…"); display(live.show())`` and
    ``run_md(..., watch=Watch(on_progress=live))``. It may be called after every few steps: it draws at most
    twice a second and takes no more than a twentieth of the time. What came last is drawn when the cell
    ends, and is what a page without a kernel shows.

    Parameters
    ----------
    alt
        What is to be seen, for those who cannot see it.
    """

    SIZE = (5.5, 4.4)
    COLUMNS = ("time_fs", "temperature_K", "potential_eV", "total_eV", "bonds")

    def __init__(self, alt: str):
        super().__init__(alt)
        self._next, self._behind = 0.0, False

    def __call__(self, log: pd.DataFrame) -> None:
        """Take the log so far, and draw it if it is time to."""
        self.history, now = log, time.monotonic()
        self._behind = now < self._next
        if not self._behind:
            super().__call__(log)
            done = time.monotonic()
            self._next = done + max(_LOOK_S, (done - now) * (1 / _SHARE - 1))

    def catch_up(self, *_: Any) -> None:
        """Draw what came after the last drawing."""
        if self._behind:
            self._behind = False
            super().__call__(self.history)

    def show(self) -> Shown:
        """What to display: a picture that follows what it shows."""
        shell = require("IPython", "A picture that follows a run").get_ipython()
        if shell is not None and not self.displays:
            shell.events.register("post_run_cell", self.catch_up)
        return super().show()

    def _draw(self, figure: Any) -> None:
        every = max(1, len(self.history) // 1000)
        log = self.history[::-every][::-1]  # the newest row is always among them
        curves = (
            ("temperature_K", "temperature\n[K]", plots.CYCLE[0], log.get("temperature_K")),
            ("total_eV", "energy,\nchange [eV]", plots.CYCLE[1], None),
            ("bonds", "bonds", plots.CYCLE[2], log.get("bonds")),
        )
        axes = [figure.add_axes((0.16, 0.11 + 0.3 * k, 0.81, 0.25)) for k in (2, 1, 0)]
        for ax, (column, label, color, series) in zip(axes, curves, strict=True):
            ax.set_ylabel(label)
            ax.sharex(axes[-1])
            ax.tick_params(labelbottom=ax is axes[-1])
            if not len(log) or column not in log:
                continue
            if column == "total_eV":
                for name, style in (("potential_eV", "--"), ("total_eV", "-")):
                    ax.plot(log["time_fs"], log[name] - log[name].iloc[0], style, color=color, lw=1.3,
                            label=name.removesuffix("_eV"))  # fmt: skip
                ax.legend(fontsize="x-small", loc="lower right", ncols=2)
            else:
                ax.plot(log["time_fs"], series, color=color, lw=1.3)
        axes[-1].set_xlabel("time [fs]")
        title = f"{log['time_fs'].iloc[-1]:.0f} fs" if len(log) else "before the first step"
        axes[0].set_title(title, fontsize="medium", pad=3)


class _Followed(Shown):
    """A picture that tells its source where it is shown, so that it can be replaced there."""

    def __init__(self, live: _Live):
        super().__init__(None, live.png(), live.alt)
        self._live = live

    def _ipython_display_(self) -> None:
        display = require("IPython.display", "Showing a picture that changes").display
        self._live.displays.append(display(self._repr_mimebundle_(), raw=True, display_id=True))
