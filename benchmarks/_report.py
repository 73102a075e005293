"""Tables of a benchmark as text: wanted beside measured, and Markdown for the page in the docs."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

_BOUND = re.compile(r"(?P<sign>[≥≤])\s*(?P<bound>[\d.]+)")
_RANGE = re.compile(r"(?P<low>[\d.]+)\s*(?:–|to)\s*(?P<high>[\d.]+)")


def holds(wanted: str, measured: float) -> bool:
    """Say whether a number is within ``"≥ 0.98"``, ``"≤ 0.10 Å"`` or ``"0.9–1.05"``.

    Raises
    ------
    ValueError
        If `wanted` is written in another way.
    """
    if bound := _BOUND.match(wanted):
        limit = float(bound["bound"])
        return measured >= limit if bound["sign"] == "≥" else measured <= limit
    if limits := _RANGE.match(wanted):
        return float(limits["low"]) <= measured <= float(limits["high"])
    raise ValueError(f"`wanted` is {wanted!r}; write '≥ number', '≤ number' or 'number–number', then a unit.")


def wanted_and_measured(rows: list[tuple[str, str, float]]) -> pd.DataFrame:
    """Return a row for each (what, wanted, measured); a NaN was not measured, and counts as neither."""
    table = pd.DataFrame(rows, columns=["figure", "wanted", "measured"])
    table["met"] = [
        "not measured" if np.isnan(value) else "yes" if holds(limit, value) else "no"
        for limit, value in zip(table["wanted"], table["measured"])
    ]
    return table.set_index("figure")


def markdown(table: pd.DataFrame) -> str:
    """Return a table as Markdown: the index in front, four digits, a dash for nothing."""
    flat = table.reset_index()
    if flat.columns[0] == "index":
        flat = flat.rename(columns={"index": ""})
    names = [" ".join(map(str, c)).strip() if isinstance(c, tuple) else str(c) for c in flat.columns]
    numbers = [pd.api.types.is_numeric_dtype(kind) for kind in flat.dtypes]
    lines = [names, ["--:" if number else "---" for number in numbers]]
    lines += [[_cell(value) for value in row] for row in flat.itertuples(index=False)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cell(value: object) -> str:
    if isinstance(value, (float, np.floating)):
        if np.isnan(value):
            return "–"
        digits = 4 if abs(value) < 1000 else len(str(int(abs(value))))
        return f"{value:.{digits}g}" if value != int(value) else str(int(value))
    return str(value).replace("|", "\\|")


def show(tables: dict[str, pd.DataFrame]) -> None:
    """Print tables under their titles."""
    with pd.option_context("display.width", 220, "display.max_columns", 30, "display.max_colwidth", 120):
        for title, table in tables.items():
            print(title, table.to_string(), "", sep="\n")
