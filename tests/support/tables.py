"""Tables of atoms, from places (x, y) [Å]."""

import numpy as np
import pandas as pd

PIXEL = 0.1


def atoms_table(xy, *, height=512, frame=0, element="C", **more):
    """Where atoms are in a picture of `height` rows of PIXEL [Å], and what else is said of them."""
    xy = np.asarray(xy, float).reshape(-1, 2)
    columns = {
        "frame": frame,
        "row_px": height - 1 - xy[:, 1] / PIXEL,
        "col_px": xy[:, 0] / PIXEL,
        "x_A": xy[:, 0],
        "y_A": xy[:, 1],
        "element": element,
    }
    return pd.DataFrame({**columns, **more}, index=range(len(xy)))


def found_table(xy, **more):
    """A table as `locate_atoms` makes it, of atoms that it is sure of unless told otherwise."""
    sure = {"probability": 0.9, "position_std_A": 0.03, "member_share": 1.0, "kept": True, "reason": ""}
    return atoms_table(xy, **{**sure, **more})
