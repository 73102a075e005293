"""Draws the healing of a hole: how often which outcome, and the energy and the carbon on their way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from elit_helpers.plots.style import CYCLE, current_axis, row

# From good to bad; hatched where colours alone could be mistaken.
_OUTCOMES = {"healed": ("#009e73", ""), "partly": ("#009e73", "///"), "not": ("#dddddd", "")}
_STYLES = ("-", "--", "-.", ":")
_WORDS = {"molecule": "", "temperature_K": " K", "distance_A": " Å", "angle": "°", "collision_eV": " eV"}


def outcomes(shares: Any, *, ax: Any = None, title: str = "") -> Any:
    """Draw shares of healed, partly healed and not healed holes as stacked bars.

    Parameters
    ----------
    shares : DataFrame
        From `healing_shares`. The error bar is that of the share that healed; over each bar stands the
        number of runs.
    """
    ax = current_axis(ax)
    names = list(shares.columns[: shares.columns.get_loc("outcome")])
    groups = shares.groupby(names, sort=False)
    labels = [_label(names, key) for key, _ in groups]
    below = np.zeros(len(labels))
    for word, (color, hatch) in _OUTCOMES.items():
        own = shares[shares["outcome"] == word]
        bars = {"color": color, "hatch": hatch, "edgecolor": "#444444", "linewidth": 0.6}
        ax.bar(range(len(labels)), own["share"], 0.7, below, label=word, **bars)
        below += own["share"].to_numpy(float)
    healed = shares[shares["outcome"] == "healed"]
    error = [healed["share"] - healed["low"], healed["high"] - healed["share"]]
    ax.errorbar(range(len(labels)), healed["share"], np.abs(error), fmt="none", color="black", capsize=4)
    for place, runs in enumerate(healed["runs"]):
        ax.annotate(f"{runs}", (place, 1), (0, 1), textcoords="offset points", ha="center", fontsize="small")
    ax.set_xticks(range(len(labels)), labels)
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, fontsize="small", frameon=False)
    ax.set_yticks(np.linspace(0, 1, 6))
    ax.set(ylim=(0, 1.1), ylabel="share of the runs")
    ax.set_title(title, pad=24)  # above the legend
    return ax


def healing_way(ways: Mapping[str, Any], *, axes: Any = None) -> Any:
    """Draw the potential energy, and how far the molecule's carbon is from the hole, over time.

    Parameters
    ----------
    ways : mapping
        Label → ``Healing.way``, or the frames of `healing_frames`.
    axes : sequence of two axes, optional
        Where to draw; new ones if None.

    Returns
    -------
    sequence of two axes
        Left, the energy above that of the start [eV]; right, the distance [Å].

    Raises
    ------
    ValueError
        No way is given.
    """
    if not len(ways):
        raise ValueError("`ways` is empty; pass a label and the `way` of a run: {'CH2': result.way}.")
    axes = row(2, width=5, height=3.6) if axes is None else axes
    for n, (label, way) in enumerate(ways.items()):
        way = way if isinstance(way, pd.DataFrame) else pd.DataFrame([frame.info for frame in way])
        way = way[way["time_fs"] >= 0]
        style = {"color": CYCLE[n % len(CYCLE)], "ls": _STYLES[n % len(_STYLES)], "label": label}
        axes[0].plot(way["time_fs"], way["potential_eV"] - way["potential_eV"].iloc[0], **style)
        axes[1].plot(way["time_fs"], way["distance_A"], **style)
    axes[0].set(xlabel="time [fs]", ylabel="energy above the start [eV]")
    axes[1].set(xlabel="time [fs]", ylabel="carbon from the middle of the hole [Å]")
    axes[1].set_ylim(bottom=0)
    axes[1].legend(fontsize="small")
    return axes


def _label(names: list[str], key: tuple) -> str:
    parts = [
        f"{value:g}{_WORDS.get(name, '')}" if isinstance(value, int | float) else str(value)
        for name, value in zip(names, key, strict=True)
    ]
    return "\n".join(parts)
