"""Files of microscopes and scripts to frames with a pixel size, and what is said of files that are no use."""

import json

import h5py
import numpy as np
import pytest
from dm_files import write_dm
from places import SHARED

import elit_helpers as eh

REAL = SHARED / "real_frames"
needs_real_frames = pytest.mark.skipif(not REAL.is_dir(), reason=f"real frames are not at {REAL}")


def test_npy_keeps_every_value_and_has_no_pixel_size(tmp_path, frame):
    np.save(tmp_path / "a.npy", frame)
    read = eh.load_image(tmp_path / "a.npy")
    np.testing.assert_array_equal(read.frames, frame[None])
    assert (read.pixel_size, read.pixel_size_source, len(read), read.height, read.width) == (
        None,
        "unknown",
        1,
        48,
        64,
    )


def test_the_users_pixel_size_counts_before_the_files(tmp_path, frame):
    np.savez(tmp_path / "a.npz", frames=np.stack([frame, frame]), pixel_size=0.1)
    assert eh.load_image(tmp_path / "a.npz").pixel_size_source == "file"
    read = eh.load_image(tmp_path / "a.npz", pixel_size=0.2)
    assert (read.pixel_size, read.pixel_size_source, read.metadata["pixel_size_file_A"]) == (0.2, "user", 0.1)


def test_tiff_scale_is_read_where_the_unit_is_said(tmp_path, frame):
    tifffile = pytest.importorskip("tifffile")
    tifffile.imwrite(tmp_path / "a.tif", frame, imagej=True, resolution=(100, 100), metadata={"unit": "nm"})
    assert eh.load_image(tmp_path / "a.tif").pixel_size == pytest.approx(0.1)
    tifffile.imwrite(tmp_path / "b.tif", frame, resolution=(72, 72))
    assert eh.load_image(tmp_path / "b.tif").pixel_size is None


@pytest.mark.parametrize(("field", "expected"), [("2", 20 / 64), ("NA", None)])
def test_hdf5_gives_the_field_of_view_in_nm(tmp_path, frame, field, expected):
    with h5py.File(tmp_path / "a.hdf5", "w") as file:
        file["image_data"] = frame
        file["metadata"] = json.dumps({"scan size": field})
    assert eh.load_image(tmp_path / "a.hdf5").pixel_size == expected


@pytest.mark.parametrize("suffix", [".dm3", ".dm4"])
def test_digital_micrograph_files_bring_their_scale(tmp_path, frame, suffix):
    write_dm(tmp_path / f"a{suffix}", frame, scale=0.0085, unit="nm")
    read = eh.load_image(tmp_path / f"a{suffix}")
    assert read.pixel_size == pytest.approx(0.085)
    np.testing.assert_array_equal(read.frames[0], frame)


def test_emd_brings_its_scale(tmp_path, frame):
    emd = pytest.importorskip("rsciio.emd")
    common = {"scale": 0.02, "offset": 0.0, "units": "nm", "navigate": False}
    axes = [
        {"name": name, "size": size, "index_in_array": i} | common
        for i, (name, size) in enumerate(zip("yx", frame.shape, strict=True))
    ]
    metadata = {"General": {"title": "t"}, "Signal": {"signal_type": ""}}
    signal = {"data": frame, "axes": axes, "metadata": metadata, "original_metadata": {}}
    emd.file_writer(str(tmp_path / "a.emd"), signal)
    assert eh.load_image(tmp_path / "a.emd").pixel_size == pytest.approx(0.2)


def test_grey_png_is_read_and_colour_refused(tmp_path, frame):
    from PIL import Image

    grey = frame.astype(np.uint8)
    Image.fromarray(grey).save(tmp_path / "grey.png")
    np.testing.assert_array_equal(eh.load_image(tmp_path / "grey.png").frames[0], grey)
    Image.fromarray(np.stack([grey, grey // 2, grey], -1)).save(tmp_path / "colour.png")
    with pytest.raises(ValueError, match="colour picture"):
        eh.load_image(tmp_path / "colour.png")


def test_bad_input_is_refused_with_the_next_step(tmp_path, frame):
    with pytest.raises(FileNotFoundError, match="there is no such file"):
        eh.load_image(tmp_path / "none.npy")
    (tmp_path / "a.xyz").write_bytes(b"x")
    with pytest.raises(ValueError, match="formats read are"):
        eh.load_image(tmp_path / "a.xyz")
    holed = frame.copy()
    holed[3, 4] = np.nan
    bad = {"NaN": holed, "constant": np.ones((32, 32)), "must be": np.zeros((2, 2, 32, 32))}
    for text, array in bad.items():
        np.save(tmp_path / "bad.npy", array)
        with pytest.raises(ValueError, match=text):
            eh.load_image(tmp_path / "bad.npy")
    np.save(tmp_path / "good.npy", frame)
    with pytest.raises(ValueError, match="nm or pm"):
        eh.load_image(tmp_path / "good.npy", pixel_size=78.0)


BROKEN = [
    ".npy",
    ".npz",
    ".tif",
    ".hdf5",
    ".dm3",
    ".dm4",
    ".emd",
    ".png",
    ".jpg",
    ".mrc",
    ".ser",
    ".hspy",
    ".nxs",
    ".rpl",
]


@pytest.mark.parametrize(
    "suffix", BROKEN + [".blo", ".prz", ".unf", ".sur", ".tvips", ".mib", ".emi", ".gif"]
)
def test_a_broken_file_is_named(tmp_path, suffix):
    (tmp_path / f"broken{suffix}").write_bytes(b"\x00not a picture" * 9)
    with pytest.raises(ValueError, match="broken"):
        eh.load_image(tmp_path / f"broken{suffix}")


@needs_real_frames
def test_a_real_frame_brings_its_nominal_pixel_size():
    read = eh.load_image(REAL / "G-Si-2nm.hdf5")
    assert read.pixel_size == pytest.approx(20 / 256)
    assert read.frames.shape == (1, 256, 256)
