"""Pixels and Å, both ways; where a picture ends, and how much of a sheet it shows."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import elit_helpers as eh
from elit_helpers.core.coordinates import extent, inside
from elit_helpers.finding.sublattices import sublattice_fit

SIZES = st.floats(0.005, 1.0)
SHAPES = st.tuples(st.integers(16, 300), st.integers(16, 300))
CENTRES = st.lists(st.tuples(st.floats(-5, 305), st.floats(-5, 305)), min_size=1, max_size=8)


@settings(max_examples=50, deadline=None)
@given(CENTRES, SIZES, st.integers(16, 300))
def test_pixels_to_angstrom_and_back_are_the_same(row_col, pixel_size, height):
    xy = eh.to_angstrom(row_col, pixel_size=pixel_size, height=height)
    np.testing.assert_allclose(eh.to_pixels(xy, pixel_size=pixel_size, height=height), row_col, atol=1e-9)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.floats(-50, 500), st.floats(-50, 500)), max_size=5),
    st.floats(0.01, 0.5),
    st.integers(1, 2000),
)
def test_pixels_and_angstrom_are_inverse(points, pixel_size, height):
    there = eh.to_pixels(points, pixel_size=pixel_size, height=height)
    back = eh.to_angstrom(there, pixel_size=pixel_size, height=height)
    np.testing.assert_allclose(back, np.reshape(points, (-1, 2)), atol=1e-6)


@pytest.mark.parametrize("pixel_size", [-0.1, 0, None, np.nan, "wide"])
def test_no_length_without_a_pixel_size(pixel_size):
    for call in (eh.to_pixels, eh.to_angstrom):
        with pytest.raises(ValueError, match="pixel_size"):
            call([[1.0, 2.0]], pixel_size=pixel_size, height=10)
    with pytest.raises(ValueError, match="pixel_size"):
        eh.Imaging(pixel_size=pixel_size)


@settings(max_examples=50, deadline=None)
@given(SHAPES, SIZES)
def test_the_centres_at_two_corners_are_one_pixel_less_apart_than_the_picture_is_large(shape, pixel_size):
    corners = eh.to_angstrom([(0, 0), np.subtract(shape, 1)], pixel_size=pixel_size, height=shape[0])
    width, height = np.abs(corners[1] - corners[0]) + pixel_size
    np.testing.assert_allclose(extent(shape, pixel_size), (height, width))


@settings(max_examples=50, deadline=None)
@given(SHAPES)
def test_every_pixel_is_inside_up_to_half_a_pixel_beyond_its_centre(shape):
    last = np.subtract(shape, 1)
    assert inside([(0, 0), last, (-0.5, -0.5), last + 0.5], shape).all()
    assert not inside([(-0.51, 3), (3, -0.51), (last[0] + 0.51, 3), (3, last[1] + 0.51)], shape).any()


@settings(max_examples=50, deadline=None)
@given(SHAPES, CENTRES, st.floats(0, 8))
def test_a_border_is_as_wide_on_every_side(shape, row_col, border):
    row_col, turned = np.array(row_col), np.subtract(shape, 1) - np.array(row_col)
    sure = np.abs(np.r_[row_col, turned] + 0.5 - border).reshape(2, -1, 2).min((0, 2)) > 1e-6
    assert (inside(row_col, shape, border) == inside(turned, shape, border))[sure].all()


@settings(max_examples=50, deadline=None)
@given(SHAPES, st.integers(0, 7))
def test_pixels_inside_a_border_are_as_many_as_their_area(shape, border):
    pixels = np.argwhere(np.ones(shape, bool))
    assert inside(pixels, shape, border).sum() == np.prod(extent(shape, 1.0) - 2 * border)


def square_lattice(shape, pixels_apart):
    """A perfect lattice through the middles of squares that tile the picture."""
    rows, cols = (np.arange(n // pixels_apart) * pixels_apart + (pixels_apart - 1) / 2 for n in shape)
    return np.stack(np.meshgrid(rows, cols, indexing="ij"), -1).reshape(-1, 2)


@settings(max_examples=50, deadline=None)
@given(st.integers(2, 20), st.tuples(st.integers(2, 15), st.integers(2, 15)), SIZES)
def test_area_times_density_is_the_number_of_atoms_of_a_perfect_lattice(apart, cells, pixel_size):
    shape = np.multiply(cells, apart)
    atoms, density = square_lattice(shape, apart), 1 / (apart * pixel_size) ** 2
    assert inside(atoms, shape).all()
    assert np.prod(extent(shape, pixel_size)) * density == pytest.approx(len(atoms))


@pytest.mark.parametrize("turn", [1, 2, 3])
def test_what_is_judged_of_a_frame_does_not_depend_on_how_it_is_turned(turn):
    row_col, shape = np.random.default_rng(0).uniform(-0.5, [79.5, 99.5], (400, 2)), (80, 100)
    before = eh.nearest_neighbour_share(row_col, pixel_size=0.12, shape=shape)
    for _ in range(turn):
        row_col, shape = np.c_[shape[1] - 1 - row_col[:, 1], row_col[:, 0]], shape[::-1]
    assert eh.nearest_neighbour_share(row_col, pixel_size=0.12, shape=shape) == pytest.approx(before)


@settings(max_examples=50, deadline=None)
@given(st.floats(-0.5, 9), st.floats(0.1, 0.6))
def test_found_and_true_atoms_have_the_same_border(row, border_A):
    atom = pd.DataFrame({"frame": 0, "row_px": [row], "col_px": 30.0, "element": "C"})
    truth, how = atom.assign(under_contamination=False), {"pixel_size": 0.1, "shape": (60, 60)}
    apart = atom.assign(col_px=40.0)  # found where nothing is
    score = eh.score_atoms(apart, truth, border_A=border_A, **how)
    assert score["false"] == score["missing"] == int((row + 0.5) >= border_A / 0.1)


def test_the_sites_of_a_lattice_are_those_that_the_picture_covers():
    sheet = eh.sheet("MoS2", (32.0, 32.0))
    seen = sheet[(sheet.symbols == "Mo") | (sheet.positions[:, 2] > sheet.positions[:, 2].mean())]
    row_col = eh.to_pixels(seen.positions, pixel_size=0.1, height=300) + [10, -10]
    atoms = pd.DataFrame({"row_px": row_col[:, 0], "col_px": row_col[:, 1], "element": list(seen.symbols)})
    atoms = atoms[inside(row_col, (300, 300))]
    fit = sublattice_fit(atoms, pixel_size=0.1, shape=(300, 300), border_A=0.0)
    assert fit["per_element"]["sites"].sum() == len(atoms)
