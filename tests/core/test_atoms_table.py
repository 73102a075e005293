"""The table of atoms: which rows count, which are of one frame, where the atoms are, what a column is."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import pdist

import elit_helpers as eh
from elit_helpers.core.atoms_table import (
    COLUMNS,
    PER_ATOM,
    flagged,
    kept,
    one_frame,
    positions,
    require_columns,
)

ROWS = st.lists(st.tuples(st.integers(0, 3), st.booleans()), max_size=20)


def table(rows):
    frames, counts = zip(*rows, strict=True) if rows else ((), ())
    return pd.DataFrame({"frame": frames, "kept": counts, "x_A": np.arange(len(rows), dtype=float)})


def test_what_is_known_of_each_atom_are_columns():
    assert set(PER_ATOM) < set(COLUMNS)
    assert len(set(COLUMNS)) == len(COLUMNS)


@settings(max_examples=50, deadline=None)
@given(ROWS)
def test_a_table_split_by_frames_and_joined_again_is_the_same(rows):
    whole = table(rows)
    parts = [one_frame(whole, frame) for frame in range(4)]
    pd.testing.assert_frame_equal(pd.concat(parts).sort_index(), whole)
    assert all(one_frame(part) is part for part in parts)


@settings(max_examples=50, deadline=None)
@given(ROWS)
def test_each_row_is_either_kept_or_flagged(rows):
    whole = table(rows)
    assert kept(whole)["kept"].all()
    assert not flagged(whole)["kept"].any()
    pd.testing.assert_frame_equal(pd.concat([kept(whole), flagged(whole)]).sort_index(), whole)


def test_a_table_that_does_not_say_what_is_kept_keeps_all():
    whole = table([(0, True), (0, False)]).drop(columns="kept")
    pd.testing.assert_frame_equal(kept(whole), whole)
    assert flagged(whole).empty


def test_kept_read_from_a_file_as_numbers_counts_the_same():
    whole = table([(0, True), (0, False), (1, True)])
    assert kept(whole.astype({"kept": int})).index.tolist() == kept(whole).index.tolist() == [0, 2]


def test_a_table_that_does_not_count_frames_is_one():
    whole = table([(0, True), (1, True)]).drop(columns="frame")
    assert one_frame(whole) is one_frame(whole, 3) is whole


def test_several_frames_are_refused_where_one_is_meant():
    with pytest.raises(
        ValueError, match=r"`found` holds several frames; pass one, `found\[found.frame == 0\]`"
    ):
        one_frame(table([(0, True), (2, True)]), name="found")


@settings(max_examples=50, deadline=None)
@given(st.floats(0.005, 1.0), st.integers(0, 2**31))
def test_distances_are_the_same_from_pixels_and_from_the_table(pixel_size, seed):
    pixels = np.random.default_rng(seed).uniform(-1, 60, (5, 2))
    x, y = eh.to_angstrom(pixels, pixel_size=pixel_size, height=60).T
    atoms = pd.DataFrame({"row_px": pixels[:, 0], "col_px": pixels[:, 1], "x_A": x, "y_A": y})
    np.testing.assert_allclose(pdist(positions(atoms, pixel_size)), pdist(positions(atoms)), atol=1e-9)


def test_a_missing_column_is_named_with_those_there_are_and_where_to_get_it():
    require_columns(table([]), ("frame", "x_A"), "found")
    with pytest.raises(ValueError, match="`found` has no column y_A, element; it has frame, kept, x_A. Pass"):
        require_columns(table([]), ("x_A", "y_A", "element"), "found")
    with pytest.raises(ValueError, match="as `run_md` gives it"):
        require_columns(table([]), ("time_fs",), "log", source="`run_md`")
