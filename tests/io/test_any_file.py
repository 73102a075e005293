"""What a library writes comes back equal, whole and frame by frame from disk, whatever its layout."""

import warnings

import any_files
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import elit_helpers as eh
from elit_helpers.io import rosettasciio
from elit_helpers.io.frames import EXACT


def comes_back(folder, file, order=None):
    """Write a file, read it whole and frame by frame, and compare every number."""
    path = folder / f"a{file.suffix}"
    for old in folder.iterdir():
        old.unlink()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what a library warns of while it writes
        file.write(path)
    wanted = file.wanted.astype(np.float32)
    whole, lazy = eh.load_image(path, lazy=False), eh.load_image(path, lazy=True)
    np.testing.assert_array_equal(whole.frames, wanted)
    for number in reversed(range(len(wanted))):
        np.testing.assert_array_equal(lazy[number], wanted[number])
    np.testing.assert_array_equal(np.asarray(lazy.frames), wanted)
    rounded = any("rounded to float32" in note for note in whole.metadata["notes"])
    counts = file.wanted.dtype.kind in "iu" and np.abs(file.wanted.astype(float)).max() > EXACT
    assert rounded == counts
    assert whole.pixel_size == (file.pixel_size and pytest.approx(file.pixel_size, rel=1e-3))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("any")


@settings(max_examples=250)
@given(any_files.tiffs())
def test_a_tiff_of_any_type_order_packing_and_tones(folder, file):
    comes_back(folder, file)


@settings(max_examples=150)
@given(any_files.tiffs_of_pillow())
def test_a_tiff_of_pillow(folder, file):
    comes_back(folder, file)


@settings(max_examples=80)
@given(any_files.pictures() | any_files.greymaps())
def test_a_picture_of_a_program(folder, file):
    comes_back(folder, file)


@settings(max_examples=100)
@given(any_files.arrays())
def test_an_array_of_numpy(folder, file):
    comes_back(folder, file)


@settings(max_examples=120)
@given(any_files.datasets())
def test_a_dataset_of_hdf5(folder, file):
    comes_back(folder, file)


@settings(max_examples=80)
@given(any_files.movies(), st.booleans())
def test_a_movie_of_a_microscope(folder, file, large):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rosettasciio, "_LAZY_MB", 0 if large else 32)
        comes_back(folder, file)
