"""Masks of atoms, one pixel size to another and back, the eight symmetries."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import center_of_mass, label
from scipy.stats import chisquare

import elit_helpers as eh


def test_a_mask_has_one_disc_an_atom_and_the_background_last():
    sheet, _ = eh.substitute(eh.graphene_sheet((12.0, 12.0)), 20)
    symbols = sheet.get_chemical_symbols()
    mask = eh.element_mask(sheet.positions, symbols, classes=("C", "Si"), shape=(81, 81), pixel_size=0.15)
    assert set(np.unique(mask)) == {0, 1, 2}
    assert label(mask < 2)[1] == len(sheet)
    assert (mask == 1).sum() * 0.15**2 == pytest.approx(np.pi * 0.42**2, rel=0.15)
    one = eh.element_mask(sheet.positions, symbols, classes=("C",), shape=(81, 81), pixel_size=0.15)
    np.testing.assert_array_equal(one == 0, mask < 2)
    with pytest.raises(ValueError, match="lacks Si"):
        eh.element_mask(sheet.positions, symbols, classes=("C", "N"), shape=(81, 81), pixel_size=0.15)


@pytest.mark.parametrize(
    ("pixel_size", "shape"),
    [(0.0384, (500, 411)), (0.0765, (256, 256)), (0.15, (64, 64)), (0.171, (90, 97)), (0.3, (50, 61))],
)
def test_positions_come_back_from_a_resampled_image(pixel_size, shape):
    imaging = eh.Imaging(pixel_size=pixel_size, shape=shape, spot_sigma_A=0.5, tail_weight=0.0)
    truth = np.array([[0.41 * shape[0], 0.62 * shape[1]]])
    picture = eh.render(eh.to_angstrom(truth, pixel_size=pixel_size, height=shape[0]), [1.0], imaging=imaging)
    small, scale = eh.resample(picture, pixel_size=pixel_size)
    found = eh.resample_positions([center_of_mass(small[0])], scale)
    np.testing.assert_allclose(found, truth, atol=0.01)
    assert np.array(scale) == pytest.approx(pixel_size / 0.15, rel=0.01)


@settings(max_examples=30, deadline=None)
@given(
    st.floats(0.03, 0.5),
    st.integers(16, 200),
    st.integers(16, 200),
    st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
def test_the_scale_of_resampling_takes_corners_to_corners(pixel_size, height, width, place):
    frame = np.random.default_rng(0).normal(size=(height, width))
    out, scale = eh.resample(frame, pixel_size=pixel_size)
    new = np.array(out.shape[1:]) - 1
    np.testing.assert_allclose(eh.resample_positions([new], scale), [[height - 1, width - 1]], atol=1e-9)
    there = np.array([place]) * new
    np.testing.assert_allclose(eh.resample_positions(there, scale) * scale, there, atol=1e-9)


@pytest.mark.parametrize("pixel_size", [0.0384, 0.0765, 0.0959, 0.1, 0.157])
def test_no_row_or_column_is_lost_to_rounding(pixel_size):
    for length in (*range(230, 270), 512):
        frame = 10 + np.random.default_rng(0).random((length, length))
        out, _ = eh.resample(frame, pixel_size=pixel_size)
        assert out.min() > 9, length


def test_augmentation_turns_image_and_labels_together_through_eight_symmetries():
    square = np.arange(16.0).reshape(1, 4, 4)
    many, labels = np.repeat(square, 200, 0), np.repeat(square, 200, 0).astype(int)
    out, out_labels = eh.augment(many, labels, rng=0)
    np.testing.assert_array_equal(out, out_labels)
    assert len({o.tobytes() for o in out}) == 8
    np.testing.assert_array_equal(many[0], square[0])
    with pytest.raises(ValueError, match="square"):
        eh.augment(np.zeros((2, 4, 5)), np.zeros((2, 4, 5)), rng=0)


def test_all_eight_symmetries_are_equally_likely():
    many = np.repeat(np.arange(16.0).reshape(1, 4, 4), 8000, 0)
    out, _ = eh.augment(many, many, rng=1)
    _, times = np.unique(out.reshape(len(out), -1), axis=0, return_counts=True)
    assert len(times) == 8
    assert chisquare(times).pvalue > 0.001


def test_atoms_above_each_other_are_one_column_of_the_heaviest():
    places, elements = [[2.0, 2.0], [2.1, 2.0], [4.0, 4.0], [4.0, 4.0]], ["O", "Ti", "S", "S"]
    options = {"classes": ("O", "S", "Ti"), "shape": (41, 41), "pixel_size": 0.15}
    mask = eh.element_mask(places, elements, **options)
    np.testing.assert_array_equal(np.unique(mask), [1, 2, 3])
    assert label(mask < 3)[1] == 2
    turned = eh.element_mask(places[::-1], elements[::-1], **options)
    np.testing.assert_array_equal(turned, mask)


def test_masks_refuse_what_has_no_place_or_no_class():
    options = {"classes": ("C",), "shape": (32, 32), "pixel_size": 0.15}
    with pytest.raises(ValueError, match="finite position"):
        eh.element_mask([[np.nan, 1.0]], ["C"], **options)
    with pytest.raises(ValueError, match="for 2 `elements`"):
        eh.element_mask([[1.0, 1.0]], ["C", "C"], **options)
    with pytest.raises(ValueError, match="`classes` is empty"):
        eh.element_mask([[1.0, 1.0]], ["C"], **(options | {"classes": ()}))
    with pytest.raises(ValueError, match="pixel_size"):
        eh.element_mask([[1.0, 1.0]], ["C"], **(options | {"pixel_size": 0.0}))
    assert (eh.element_mask(np.zeros((0, 2)), [], **options) == 1).all()
