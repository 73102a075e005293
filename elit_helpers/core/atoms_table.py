"""The table of atoms: its columns, the rows that count, those of one frame, and what is asked of it.

Rows are counted by their position. The index belongs to who made the table: put together of several, filtered
or sorted it has gaps and twins, so that no label says which row is meant.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from elit_helpers.core.coordinates import to_angstrom

COLUMNS = (
    "frame", "row_px", "col_px", "x_A", "y_A", "element", "probability", "position_std_A", "member_share",
    "kept", "reason",
)  # fmt: skip
PER_ATOM = ("probability", "position_std_A", "member_share")
"""Columns that a structure carries on, one value for each of its atoms."""


def kept(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows that count; all of them where the table has no column ``kept``."""
    return table[counted(table)]


def flagged(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows that :func:`kept` leaves out."""
    return table[~counted(table)]


def counted(table: pd.DataFrame) -> np.ndarray:
    """Mark the rows that count, (M,) bool."""
    return table["kept"].to_numpy(bool) if "kept" in table else np.ones(len(table), bool)


def of_frame(table: pd.DataFrame, frame: int) -> np.ndarray:
    """Mark the rows of one frame, (M,) bool; all of them where the table does not count frames."""
    return (table["frame"] == frame).to_numpy(bool) if "frame" in table else np.ones(len(table), bool)


def positions(table: pd.DataFrame, pixel_size: float | None = None) -> np.ndarray:
    """Return x, y (M, 2) [Å]: the table's own or, with a pixel size, those of its pixels, for distances."""
    if pixel_size is None:
        return table[["x_A", "y_A"]].to_numpy(float)
    return to_angstrom(table[["row_px", "col_px"]], pixel_size=pixel_size, height=1)  # no matter where y = 0


def one_frame(table: pd.DataFrame, frame: int | None = None, *, name: str = "table") -> pd.DataFrame:
    """Return the rows of one frame; without its number the table (the argument `name`) must hold only one."""
    if "frame" not in table:
        return table
    if frame is not None:
        return table[of_frame(table, frame)]
    if table["frame"].nunique() > 1:
        raise ValueError(f"`{name}` holds several frames; pass one, `{name}[{name}.frame == 0]`.")
    return table


def require_columns(
    table: pd.DataFrame, columns: Sequence[str], name: str, *, source: str = "`locate_atoms`"
) -> None:
    """Refuse a table (the argument `name`) without one of the columns; `source` is what gives such tables."""
    if missing := [column for column in columns if column not in table]:
        raise ValueError(
            f"`{name}` has no column {', '.join(missing)}; it has {', '.join(map(str, table.columns))}. "
            f"Pass a table as {source} gives it."
        )
