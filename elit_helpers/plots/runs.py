"""Draws what happens over a run, over its training, and over temperature."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from elit_helpers.plots.style import OTHER, RING_COLORS, current_axis, row

_RING_MARKERS = {5: "p", 6: "h", 7: "^", 8: "s", 9: "D"}
# What `fate` can say, from good to bad; a colour and a hatching each.
_FATES = {
    "unchanged": ("#dddddd", ""),
    "healed": ("#009e73", ""),
    "partly healed": ("#009e73", "///"),
    "moved": ("#56b4e9", "..."),
    "rearranged": ("#e69f00", "\\\\\\"),
    "grown": ("#d55e00", "xxx"),
}


def census(table: Any, *, ax: Any = None, title: str = "") -> Any:
    """Draw how many rings of each size there are over time [fs]; the many hexagons on their own scale.

    Parameters
    ----------
    table : DataFrame
        ``Run.census``: ``time_fs`` and a column of counts for each ring size, named by the number.

    Raises
    ------
    ValueError
        If there is no column of a ring size.
    """
    ax = current_axis(ax)
    sizes = {int(name): name for name in table.columns if str(name).isdigit()}
    if not sizes:
        raise ValueError(
            f"`table` has no column named by a ring size, such as 5; it has {list(table.columns)}."
        )
    for size in sorted(sizes.keys() - {6}):
        style = {"color": RING_COLORS.get(size, OTHER), "marker": _RING_MARKERS.get(size, "x"), "ms": 5}
        ax.step(table["time_fs"], table[sizes[size]], where="post", label=f"{size}-rings", **style)
    if 6 in sizes:
        hexagons = ax.twinx()
        hexagons.step(table["time_fs"], table[sizes[6]], "--", where="post", color="#555555", lw=1)
        hexagons.set_ylabel("hexagons (dashed)", color="#555555")
        hexagons.yaxis.get_major_locator().set_params(integer=True)
        ax.set_zorder(hexagons.get_zorder() + 1)
        ax.patch.set_visible(False)
    if sizes.keys() - {6}:
        ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=4, fontsize="small", frameon=False)
    ax.yaxis.get_major_locator().set_params(integer=True)
    ax.margins(y=0.08)  # markers at none and at the most are whole
    ax.set(xlabel="time [fs]", ylabel="rings", title=title)
    return ax


def sweep(table: Any, *, axes: Any = None) -> Any:
    """Draw a temperature sweep: what became of the defect, and the mean bond of its rings while hot.

    Parameters
    ----------
    table : DataFrame
        ``Sweep.table``: ``temperature_K``, ``fate``, ``mean_bond_5_A``, ``mean_bond_7_A``, one row a run.
    axes : sequence of two axes, optional
        Where to draw; new ones if None.

    Returns
    -------
    sequence of two axes
        Left, the share of the runs at each temperature by fate; right, the mean bond [Å] of each run's
        five- and seven-membered rings, with a line through the means at each temperature.
    """
    axes = row(2, width=5, height=3.6) if axes is None else axes
    _fates(axes[0], table)
    _ring_means(axes[1], table)
    return axes


def _fates(ax: Any, table: Any) -> None:
    words = table["fate"].str.partition(":")[0]
    kelvins = sorted(table["temperature_K"].unique())
    counts = table.groupby(["temperature_K", words]).size().unstack(fill_value=0).loc[kelvins]
    below = np.zeros(len(kelvins))
    for word in [*(w for w in _FATES if w in counts), *(w for w in counts if w not in _FATES)]:
        color, hatch = _FATES.get(word, (OTHER, "++"))
        ax.bar(range(len(kelvins)), counts[word], 0.7, below, color=color, hatch=hatch, edgecolor="#444444",
               linewidth=0.6, label=word)  # fmt: skip
        below += counts[word].to_numpy()
    ax.set_xticks(range(len(kelvins)), [f"{kelvin:.0f}" for kelvin in kelvins])
    ax.yaxis.get_major_locator().set_params(integer=True)
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, fontsize="small", frameon=False)
    ax.set(xlabel="temperature of the bath [K]", ylabel="runs")


def _ring_means(ax: Any, table: Any) -> None:
    for size, shift in ((5, -1), (7, 1)):
        column, color = f"mean_bond_{size}_A", RING_COLORS[size]
        known = table.dropna(subset=[column])
        aside = 0.004 * shift * np.ptp(table["temperature_K"].to_numpy(float))  # else one hides the other
        dots = {"s": 28, "marker": _RING_MARKERS[size], "edgecolors": "#444444", "linewidths": 0.5}
        ax.scatter(known["temperature_K"] + aside, known[column], color=color, label=f"{size}-rings", **dots)
        means = known.groupby("temperature_K")[column].mean()
        ax.plot(means.index + aside, means, "-" if size == 5 else "--", color=color, lw=1.4, zorder=1)
    ax.legend(fontsize="small")
    ax.set(xlabel="temperature of the bath [K]", ylabel="mean bond [Å]")


def temperature(log: Any, *, ax: Any = None, label: str | None = None, title: str = "") -> Any:
    """Draw the temperature [K] of a run's log over time [fs]."""
    return _over_time(log, "temperature_K", "temperature [K]", ax, label, title)


def energy(log: Any, *, n_atoms: int, ax: Any = None, title: str = "") -> Any:
    """Draw a run's potential, kinetic and total energy [meV/atom] over time [fs], from their first values."""
    ax = current_axis(ax)
    for column, style in (("potential_eV", "-"), ("kinetic_eV", "--"), ("total_eV", "-.")):
        change = 1e3 * (log[column] - log[column].iloc[0]) / n_atoms
        ax.plot(log["time_fs"], change, style, label=column.removesuffix("_eV"))
    ax.legend(fontsize="small")
    ax.set(xlabel="time [fs]", ylabel="change [meV/atom]", title=title)
    return ax


def _over_time(log: Any, column: str, ylabel: str, ax: Any, label: str | None, title: str) -> Any:
    ax = current_axis(ax)
    ax.plot(log["time_fs"], log[column], label=label)
    if label:
        ax.legend(fontsize="small")
    ax.set(xlabel="time [fs]", ylabel=ylabel, title=title)
    return ax


def histogram(
    values: Any,
    *,
    ax: Any = None,
    bins: Any = 30,
    label: str | None = None,
    xlabel: str = "",
    title: str = "",
) -> Any:
    """Draw a histogram as steps, normalised to a density, so that several can be laid over one another.

    The unit in brackets at the end of `xlabel` becomes that of the density.
    """
    ax = current_axis(ax)
    ax.hist(np.asarray(values), bins=bins, histtype="step", density=True, lw=1.8, label=label)
    if label:
        ax.legend(fontsize="small")
    unit = re.search(r"\[(.+)\]", xlabel)
    ax.set(xlabel=xlabel, ylabel=f"density [1/{unit[1]}]" if unit else "density", title=title)
    return ax


def losses(history: Any, *, ax: Any = None, title: str = "", smooth: int = 10) -> Any:
    """Draw the loss of each member over its steps, as a running mean of `smooth` steps."""
    ax = current_axis(ax)
    for member, part in history.groupby("member"):
        name = "baseline" if member < 0 else f"member {member}"
        ax.plot(part["step"], part["loss"].rolling(smooth, min_periods=1).mean(), label=name)
    ax.legend(fontsize="small")
    ax.set(xlabel="step (one mini-batch)", ylabel="loss", title=title, ylim=(0, None))
    return ax
