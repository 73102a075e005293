"""TIFF: which page is the picture, what its tags say of the numbers and of the scale."""

import pickle
from importlib.util import find_spec

import any_files
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageOps

import elit_helpers as eh
from elit_helpers.io import rosettasciio
from elit_helpers.io.tones import upright


@pytest.fixture
def counts():
    return np.random.default_rng(0).integers(0, 4000, (5, 48, 64)).astype(np.uint16)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.tif"


def notes(read):
    return " ".join(read.metadata["notes"])


# --------------------------------------------------------------------------- tones
def test_white_as_zero_is_turned_round_and_said(path, counts):
    tifffile.imwrite(path, 65535 - counts, photometric="miniswhite")
    read = eh.load_image(path)
    np.testing.assert_array_equal(read.frames, counts)
    assert "white is zero" in notes(read)


def test_a_file_that_does_not_say_what_white_is_is_left_as_it_stands(path, counts):
    tifffile.imwrite(path, counts[0], photometric="minisblack", metadata=None)
    with tifffile.TiffFile(path, mode="r+") as file:
        entry = file.pages.first.tags[262]
        file.filehandle.seek(entry.offset)
        file.filehandle.write(
            (258).to_bytes(2, "little")
        )  # the tag is gone: BitsPerSample stands there twice
    read = eh.load_image(path)
    np.testing.assert_array_equal(read.frames, counts[:1])
    assert not read.metadata["notes"]


@pytest.mark.parametrize("packing", [None, "tiff_lzw"])
@pytest.mark.parametrize("bits", [1, 8])
def test_white_as_zero_is_turned_round_once_whoever_unpacks(path, counts, bits, packing):
    grey = counts[0] % 2 == 0 if bits == 1 else (counts[0] // 16).astype(np.uint8)
    Image.fromarray(grey).save(path, compression=packing, tiffinfo={262: 0})
    with Image.open(path) as picture:
        shown = np.array(picture)
    np.testing.assert_array_equal(eh.load_image(path)[0], shown)


def test_colours_kept_in_planes_are_colours_and_no_frames(path, counts):
    tifffile.imwrite(path, counts[:3], photometric="rgb", planarconfig="separate")
    with pytest.raises(ValueError, match=r"colour picture of shape \(48, 64, 3\)"):
        eh.load_image(path)


def test_a_frame_in_colour_far_inside_is_named(path, counts):
    stack = np.stack([counts] * 3, -1)
    stack[3, ..., 0] //= 2
    tifffile.imwrite(path, stack, photometric="rgb")
    read = eh.load_image(path, lazy=True)
    np.testing.assert_array_equal(read[2], counts[2])
    with pytest.raises(ValueError, match=r"frame 3 is a colour picture of shape \(48, 64, 3\). Leave it out"):
        read[3]


def test_samples_that_are_no_colours_are_frames(path, counts):
    for samples, how in ((np.moveaxis(counts, 0, -1), "contig"), (counts, "separate")):
        tifffile.imwrite(path, samples, photometric="minisblack", planarconfig=how, metadata=None)
        np.testing.assert_array_equal(eh.load_image(path).frames, counts)


def test_a_table_of_colours_is_no_picture_unless_imagej_shows_it_so(path, counts):
    bright = (counts[0] // 16).astype(np.uint8)
    ramp = np.arange(256, dtype=np.uint16) * 256
    table = np.stack([ramp, ramp[::-1], ramp])
    tifffile.imwrite(path, bright, photometric="palette", colormap=table, metadata=None)
    with pytest.raises(ValueError, match="colour picture, by a table of colours"):
        eh.load_image(path)
    said = {"description": "ImageJ=1.54\nunit=nm\n", "resolution": (100, 100), "metadata": None}
    tifffile.imwrite(path, bright, photometric="palette", colormap=table, **said)
    read = eh.load_image(path)
    np.testing.assert_array_equal(read[0], bright)
    assert read.pixel_size == pytest.approx(0.1)
    assert "ImageJ shows it in colours" in notes(read)


def test_inks_are_no_intensities(path, counts):
    Image.fromarray((counts[0] // 16).astype(np.uint8)).convert("CMYK").save(path)
    with pytest.raises(ValueError, match="colour picture, kept as SEPARATED"):
        eh.load_image(path)


def test_signed_counts_of_imagej_get_their_sign_back(path, counts):
    known = {"cf": 0, "c0": -32768.0, "c1": 1.0}
    tifffile.imwrite(path, counts, imagej=True, metadata=known)
    read = eh.load_image(path)
    np.testing.assert_array_equal(read.frames, counts.astype(float) - 32768)
    assert "-32768 + 1 times" in notes(read)


def test_jpeg_inside_is_said_to_be_lossy(path):
    smooth = np.add.outer(np.arange(48), np.arange(64)).astype(np.uint8)
    Image.fromarray(smooth).save(path, compression="jpeg", quality=95)
    read = eh.load_image(path)
    np.testing.assert_allclose(read[0], smooth, atol=4)
    assert "lossy" in notes(read)


@pytest.mark.skipif(find_spec("imagecodecs") is not None, reason="what it unpacks is not missed")
def test_what_no_one_here_unpacks_says_what_is_missing(path, counts):
    tifffile.imwrite(path, counts.astype(float), photometric="minisblack", compression="zlib", metadata=None)
    with tifffile.TiffFile(path, mode="r+") as file:
        for page in file.pages:
            page.aspage().tags[259].overwrite(5)  # as if it were LZW
    with pytest.raises(eh.EngineMissing, match=r"a.tif is compressed.*LZW.*pip install imagecodecs"):
        eh.load_image(path)


@pytest.mark.parametrize("turn", range(1, 9))
def test_a_picture_on_its_side_is_turned_as_pillow_turns_it(path, counts, turn):
    scale = {"resolution": (2e8, 1e8), "resolutionunit": "CENTIMETER"}
    tifffile.imwrite(path, counts[0], extratags=[(274, 3, 1, turn, True)], **scale)
    picture = Image.fromarray(counts[0])
    picture.getexif()[274] = turn
    shown = np.array(ImageOps.exif_transpose(picture))
    read = eh.load_image(path)
    np.testing.assert_array_equal(read[0], shown)
    np.testing.assert_array_equal(upright(any_files.STORED_TURNED[turn](counts), turn), counts)
    sizes = read.metadata["pixel_size_rows_A"], read.metadata["pixel_size_columns_A"]
    assert sizes == pytest.approx((1.0, 0.5) if turn < 5 else (0.5, 1.0))
    assert ("turned" in notes(read)) is (turn > 1)


# --------------------------------------------------------------------------- which page
def test_smaller_copies_are_passed_over(path, counts):
    with tifffile.TiffWriter(path) as file:
        file.write(counts[0, ::2, ::2], subfiletype=1, photometric="minisblack", metadata=None)
        file.write(counts[0], photometric="minisblack", metadata=None)
    read = eh.load_image(path)
    np.testing.assert_array_equal(read[0], counts[0])
    assert "smaller copy of another picture" in read.metadata["signals"][0]


def test_of_a_pyramid_the_base_is_read(path, counts):
    with tifffile.TiffWriter(path) as file:
        file.write(counts, subifds=1, photometric="minisblack")
        file.write(counts[:, ::2, ::2], subfiletype=1, photometric="minisblack")
    np.testing.assert_array_equal(eh.load_image(path).frames, counts)


def test_a_volume_is_a_stack(path, counts):
    tifffile.imwrite(
        path, counts, volumetric=True, tile=(16, 16, 16), photometric="minisblack", metadata=None
    )
    np.testing.assert_array_equal(eh.load_image(path, lazy=True).frames, counts)


# --------------------------------------------------------------------------- scale
def test_ome_says_a_size_for_each_axis_and_the_time(path, counts):
    known = {"PhysicalSizeX": 0.01, "PhysicalSizeXUnit": "nm", "PhysicalSizeY": 1.2e-5, "TimeIncrement": 0.5}
    tifffile.imwrite(path, counts, ome=True, photometric="minisblack", metadata={"axes": "TYX"} | known)
    known = eh.load_image(path).metadata
    assert (known["pixel_size_rows_A"], known["pixel_size_columns_A"]) == pytest.approx((0.12, 0.1))
    assert known["frame_time_s"] == 0.5


def test_each_image_of_ome_has_its_own_scale(path, counts):
    with tifffile.TiffWriter(path, ome=True) as file:
        for name, frames, size in (("BF", counts[0], 0.01), ("HAADF", counts[:, :32], 0.02)):
            scale = {"PhysicalSizeX": size, "PhysicalSizeXUnit": "nm"}
            known = {"Name": name, "axes": "TYX"[-frames.ndim :]} | scale
            file.write(frames, photometric="minisblack", metadata=known)
    assert eh.load_image(path).pixel_size == pytest.approx(0.2)
    assert eh.load_image(path, signal="BF").pixel_size == pytest.approx(0.1)


def test_imagej_may_have_another_unit_for_rows(path, counts):
    known = {"unit": "nm", "yunit": "pm"}
    tifffile.imwrite(path, counts[0], imagej=True, resolution=(100, 0.1), metadata=known)
    assert eh.load_image(path).pixel_size == pytest.approx(0.1)


def test_a_makers_scale_is_read_of_a_large_file_too(path, counts, monkeypatch):
    monkeypatch.setattr(rosettasciio, "_LAZY_MB", 0)
    tags = [(65003 + i, "s", 0, "nm", True) for i in range(2)]  # as DigitalMicrograph does
    tags += [(code + i, "d", 1, value, True) for i in range(2) for code, value in ((65009, 0.01), (65006, 0))]
    tifffile.imwrite(path, counts, extratags=tags, metadata=None, photometric="minisblack")
    assert eh.load_image(path, lazy=True).pixel_size == pytest.approx(0.1)


# --------------------------------------------------------------------------- on disk
def test_a_stack_on_disk_goes_to_another_process(path, counts):
    tifffile.imwrite(path, counts, photometric="minisblack", compression="zlib")
    frames = eh.load_image(path, lazy=True).frames
    np.testing.assert_array_equal(frames[1], counts[1])
    again = pickle.loads(pickle.dumps(frames))
    np.testing.assert_array_equal(np.asarray(again), counts)


def test_a_tiff_on_disk_is_let_go_after_each_reading(path, counts):
    tifffile.imwrite(path, counts, photometric="minisblack")
    frames = eh.load_image(path, lazy=True).frames
    frames[0]
    assert frames._signal.read._file.filehandle.closed


def test_lzw_that_is_cut_short_is_not_taken_for_a_missing_package(path, counts):
    Image.fromarray(counts[0]).save(path, compression="tiff_lzw")
    with tifffile.TiffFile(path, mode="r+") as file:
        at = file.pages.first.dataoffsets[0]
        file.filehandle.seek(at)
        file.filehandle.write(b"\xff" * 64)
    with pytest.raises(ValueError, match=r"a.tif: frame 0 could not be read.*Is the file whole"):
        eh.load_image(path)


def test_a_page_that_is_cut_short_is_named(path, counts):
    tifffile.imwrite(path, counts, photometric="minisblack", compression="zlib")
    frames = eh.load_image(path, lazy=True).frames
    with open(path, "r+b") as file:
        file.truncate(path.stat().st_size // 2)
    with pytest.raises(ValueError, match=r"a.tif: frame 4 could not be read.*whole"):
        frames[4]
