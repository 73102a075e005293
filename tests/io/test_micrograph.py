"""Each reader against a file that it, or the format's own library, wrote; and stacks that stay on disk."""

import importlib
import json
import subprocess
import sys
import textwrap

import h5py
import numpy as np
import pandas as pd
import pytest
from any_files import signal_of
from dm_files import write_dm
from hypothesis import given, settings
from hypothesis import strategies as st
from maker_files import write_emi, write_mrc, write_ser, write_velox

import elit_helpers as eh
from elit_helpers import EngineMissing
from elit_helpers.io import axes
from elit_helpers.io import rosettasciio as rosetta
from elit_helpers.io.frames import Frames, Signal


@pytest.fixture
def stack(frame):
    return np.stack([frame, frame + 1, 2 * frame])


def write(module, path, signal, **options):
    importlib.import_module(f"rsciio.{module}").file_writer(str(path), signal, **options)


ROUND_TRIPS = {
    "hspy.hspy": True, "hspy.hdf5": True, "emd.emd": True, "nexus.nxs": True, "ripple.rpl": True,
    "tiff.tif": True, "numpy.npy": False, "pantarhei.prz": False,
}  # fmt: skip


# --------------------------------------------------------------------------- RosettaSciIO's own writers
@pytest.mark.parametrize(("name", "scaled"), ROUND_TRIPS.items())
@pytest.mark.parametrize("large", [False, True], ids=["whole", "on disk"])
def test_a_stack_that_rosettasciio_wrote_is_read_back(tmp_path, monkeypatch, stack, name, scaled, large):
    if large:
        monkeypatch.setattr(rosetta, "_LAZY_MB", 0)
    module, _, suffix = name.partition(".")
    write(module, tmp_path / f"a.{suffix}", signal_of(stack))
    read = eh.load_image(tmp_path / f"a.{suffix}", lazy=large)
    assert read.on_disk is large
    np.testing.assert_array_equal(np.asarray(read.frames), stack)
    np.testing.assert_array_equal(read[2], stack[2])
    assert read.pixel_size == (pytest.approx(0.2) if scaled else None)


def test_settings_of_the_microscope_come_through(tmp_path, stack):
    write("hspy", tmp_path / "a.hspy", signal_of(stack))
    read = eh.load_image(tmp_path / "a.hspy")
    wanted = {"voltage_kV": 60, "magnification": 1e7, "convergence_mrad": 31, "frame_time_s": 0.5}
    assert {key: read.metadata[key] for key in wanted} == wanted
    assert "60 kV" in repr(read)


@pytest.mark.parametrize("suffix", ["unf", "sur"])
def test_single_frames_that_rosettasciio_wrote_are_read_back(tmp_path, frame, suffix):
    counts = frame.astype(np.int16)
    module = {"unf": "semper", "sur": "digitalsurf"}[suffix]
    write(module, tmp_path / f"a.{suffix}", signal_of(counts))
    read = eh.load_image(tmp_path / f"a.{suffix}")
    np.testing.assert_allclose(read[0], counts)
    assert read.pixel_size == pytest.approx(0.2)


def test_a_blockfile_of_a_line_is_a_stack_of_patterns_without_a_pixel_size(tmp_path, stack):
    counts = stack[:, :48, :48].astype(np.uint8)
    signal = signal_of(counts, scale=1.0, unit="cm")
    signal["axes"][0]["units"] = "nm"
    write("blockfile", tmp_path / "a.blo", signal)
    read = eh.load_image(tmp_path / "a.blo")
    np.testing.assert_array_equal(read.frames, counts)
    assert read.pixel_size is None


def test_a_tvips_movie_is_read_back(tmp_path, stack):
    pytest.importorskip("rsciio.tvips")
    try:
        write("tvips", tmp_path / "a.tvips", signal_of(stack.astype(np.uint16)))
    except (KeyError, ValueError) as error:
        pytest.skip(f"this RosettaSciIO does not write the signal as TVIPS: {error!r}")
    (path,) = tmp_path.glob("*.tvips")
    read = eh.load_image(path)
    np.testing.assert_array_equal(read.frames, stack)


# --------------------------------------------------------------------------- other makers
@pytest.mark.parametrize("suffix", [".dm3", ".dm4"])
def test_digital_micrograph_thumbnails_are_passed_over_and_other_images_named(tmp_path, frame, suffix):
    path = tmp_path / f"a{suffix}"
    others = [("BF", frame + 3)]
    write_dm(path, frame, scale=0.0085, unit="nm", title="HAADF", thumbnail=True, others=others, voltage=6e4)
    read = eh.load_image(path)
    np.testing.assert_array_equal(read[0], frame)
    assert read.metadata["signals"] == ["0: HAADF (48×64, 0.085 Å/px)", "1: BF (48×64, 0.085 Å/px)"]
    assert (read.metadata["voltage_kV"], read.metadata["dwell_us"]) == (60, 8)
    for wanted in ("bf", 1):
        np.testing.assert_array_equal(eh.load_image(path, signal=wanted)[0], frame + 3)
    with pytest.raises(ValueError, match=r"`signal` is 'ABF'.*0: HAADF.*1: BF.*number or a title"):
        eh.load_image(path, signal="ABF")


@pytest.mark.parametrize("unit", ["nm", "µm", "Å"])
def test_digital_micrograph_units_are_lengths(tmp_path, frame, unit):
    scale = 0.12 / {"nm": 10, "µm": 1e4, "Å": 1}[unit]
    write_dm(tmp_path / "a.dm4", frame, scale=scale, unit=unit)
    assert eh.load_image(tmp_path / "a.dm4").pixel_size == pytest.approx(0.12)


@pytest.mark.parametrize("kind", ["uint8", "uint16", "int16", "uint32", "float32"])
def test_digital_micrograph_stacks_of_any_type_and_large_ones_stay_on_disk(
    tmp_path, monkeypatch, stack, kind
):
    write_dm(tmp_path / "a.dm4", stack.astype(kind), scale=(0.5, 0.0085, 0.0085), unit="nm")
    np.testing.assert_array_equal(eh.load_image(tmp_path / "a.dm4").frames, stack)
    monkeypatch.setattr(rosetta, "_LAZY_MB", 0)
    read = eh.load_image(tmp_path / "a.dm4", lazy=True)
    for got, wanted in zip(read, stack, strict=True):
        np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize("large", [False, True], ids=["whole", "on disk"])
def test_velox_takes_the_dark_field_detector_and_says_what_else_there_is(tmp_path, monkeypatch, stack, large):
    if large:
        monkeypatch.setattr(rosetta, "_LAZY_MB", 0)
    counts = stack.astype(np.uint16)
    write_velox(tmp_path / "a.emd", {"BF": counts, "HAADF": counts + 7}, pixel_m=8e-12)
    read = eh.load_image(tmp_path / "a.emd", lazy=large)
    np.testing.assert_array_equal(np.asarray(read.frames), counts + 7)
    assert read.pixel_size == pytest.approx(0.08)
    wanted = {"voltage_kV": 60, "dwell_us": 8, "frame_time_s": 0.5, "detector": "HAADF"}
    assert {key: read.metadata[key] for key in wanted} == wanted
    assert any("2 signals" in note for note in read.metadata["notes"])
    np.testing.assert_array_equal(eh.load_image(tmp_path / "a.emd", signal="BF")[1], counts[1])


def test_tia_files_bring_scale_and_with_emi_the_settings(tmp_path, frame):
    write_ser(tmp_path / "a_1.ser", frame, pixel_m=9e-12)
    write_emi(tmp_path / "a.emi")
    for name in ("a_1.ser", "a.emi"):
        read = eh.load_image(tmp_path / name)
        np.testing.assert_array_equal(read[0], frame)
        assert read.pixel_size == pytest.approx(0.09)
    assert {key: read.metadata[key] for key in ("voltage_kV", "dwell_us", "detector")} == {
        "voltage_kV": 80,
        "dwell_us": pytest.approx(4),
        "detector": "HAADF",
    }


def test_mrc_brings_its_cell(tmp_path, stack):
    write_mrc(tmp_path / "a.mrc", stack, pixel_A=0.12)
    read = eh.load_image(tmp_path / "a.mrc")
    np.testing.assert_array_equal(read.frames, stack)
    assert read.pixel_size == pytest.approx(0.12)


@pytest.mark.parametrize(("suffix", "package"), [(".zspy", "zspy"), (".mrcz", "mrcz")])
def test_a_reader_that_needs_another_package_says_which(tmp_path, monkeypatch, suffix, package):
    (tmp_path / f"a{suffix}").write_bytes(b"x" * 99)
    plugin = rosetta.plugins(suffix)[-1]
    monkeypatch.setitem(sys.modules, plugin["api"], None)  # as if its import had failed
    with pytest.raises(EngineMissing, match=rf"Reading {suffix}.*rosettasciio\[{package}\]"):
        rosetta.read(tmp_path / f"a{suffix}", plugin)


# --------------------------------------------------------------------------- TIFF, HDF5, NumPy, pictures
@pytest.mark.parametrize(
    ("unit", "factor"),
    [
        ("nm", 10),
        ("micron", 1e4),
        ("\\u00B5m", 1e4),
        ("um", 1e4),
        ("\\u00C5", 1),
        ("Angstrom", 1),
        ("pixel", 0),
    ],
)
def test_units_that_imagej_writes(tmp_path, frame, unit, factor):
    tifffile = pytest.importorskip("tifffile")
    scale = 0.1 / factor if factor else 1.0
    where = {"resolution": (1 / scale, 1 / scale), "metadata": {"unit": unit}}
    tifffile.imwrite(tmp_path / "a.tif", frame, imagej=True, **where)
    assert eh.load_image(tmp_path / "a.tif").pixel_size == (pytest.approx(0.1) if factor else None)


@pytest.mark.parametrize("options", [{"imagej": True}, {"compression": "zlib"}, {"rowsperstrip": 7}, {}])
def test_tiff_stacks_are_read_frame_by_frame(tmp_path, stack, options):
    tifffile = pytest.importorskip("tifffile")
    tifffile.imwrite(tmp_path / "a.tif", stack, photometric="minisblack", **options)
    np.testing.assert_array_equal(eh.load_image(tmp_path / "a.tif").frames, stack)
    read = eh.load_image(tmp_path / "a.tif", lazy=True)
    assert read.on_disk
    np.testing.assert_array_equal(read[1], stack[1])
    np.testing.assert_array_equal(read.frames[[2, 0]], stack[[2, 0]])


def test_a_tiff_of_several_pictures_gives_the_first_and_names_the_others(tmp_path, frame):
    tifffile = pytest.importorskip("tifffile")
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        for one in (frame, frame[:32, :32]):
            file.write(one, photometric="minisblack", contiguous=False)
    read = eh.load_image(tmp_path / "a.tif")
    np.testing.assert_array_equal(read[0], frame)
    assert len(read.metadata["signals"]) == 2
    assert eh.load_image(tmp_path / "a.tif", signal=1).height == 32


def test_a_tiff_of_another_maker_lends_its_scale_from_rosettasciio(tmp_path, frame):
    tifffile = pytest.importorskip("tifffile")
    tags = [(65003 + i, "s", 0, "nm", True) for i in range(2)] + [
        (65009 + i, "d", 1, 0.01, True) for i in range(2)
    ]
    tags += [(65006 + i, "d", 1, 0.0, True) for i in range(2)]  # DigitalMicrograph's way of writing TIFF
    tifffile.imwrite(tmp_path / "a.tif", frame, extratags=tags, metadata=None)
    assert eh.load_image(tmp_path / "a.tif").pixel_size == pytest.approx(0.1)


@pytest.mark.parametrize("chunks", [None, (2, 16, 16), (1, 48, 64)])
def test_hdf5_stacks_in_any_packing(tmp_path, stack, chunks):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("group/movie", data=stack[:, None], chunks=chunks and (chunks[0], 1, *chunks[1:]))
        file["group/numbers"] = np.arange(5)
    read = eh.load_image(tmp_path / "a.h5", lazy=True)
    assert read.metadata["dataset"] == "group/movie"
    np.testing.assert_array_equal(np.stack(list(read)), stack)
    np.testing.assert_array_equal(read.frames[-1], stack[-1])


def test_hdf5_settings_in_json_get_their_names(tmp_path, frame):
    with h5py.File(tmp_path / "a.hdf5", "w") as file:
        file["image_data"] = frame
        file["other"] = frame
        file["metadata"] = json.dumps({"scan size": "NA", "acc voltage": 60.0, "type of data": "HAADF"})
    known = eh.load_image(tmp_path / "a.hdf5").metadata
    assert (known["voltage_kV"], known["detector"], known["dataset"]) == (60, "HAADF", "image_data")


def test_settings_that_were_copied_from_another_scan_are_not_taken(tmp_path, frame):
    tags = {"root.SuperScan.PixelTime(us)": "8.0", "root.SuperScan.ChannelName": "MADF"}
    for field, expected in (("2.0", ("MADF", 8)), ("6.0", ("HAADF", None))):
        tags["root.SuperScan.ScanSize(nm)"] = field
        with h5py.File(tmp_path / "a.hdf5", "w") as file:
            file["image_data"] = frame
            known = {"scan size": "2", "type of data": "HAADF", "all microscope parameters": tags}
            file["metadata"] = json.dumps(known)
        read = eh.load_image(tmp_path / "a.hdf5").metadata
        assert (read["detector"], read.get("dwell_us")) == expected
        assert len(read["notes"]) == (field == "6.0")


@pytest.mark.parametrize("pages", [1, 3])
def test_a_tiff_in_lzw_is_read_with_no_further_package(tmp_path, frame, pages):
    from PIL import Image

    counts = [Image.fromarray((frame + i).astype(np.uint16)) for i in range(pages)]
    counts[0].save(tmp_path / "a.tif", compression="tiff_lzw", save_all=True, append_images=counts[1:])
    read = eh.load_image(tmp_path / "a.tif")
    assert len(read) == pages
    np.testing.assert_array_equal(read[-1], frame + pages - 1)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz_is_read_forwards_and_backwards(tmp_path, stack, save):
    save(tmp_path / "a.npz", other=np.arange(4), frames=stack)
    read = eh.load_image(tmp_path / "a.npz", lazy=True)
    for i in (0, 2, 1, 2, 0):
        np.testing.assert_array_equal(read[i], stack[i])


@settings(max_examples=25, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 4), st.integers(16, 40), st.integers(16, 40)),
    kind=st.sampled_from(["<u2", ">u2", "i1", "<f8", ">f4", "?", "<f2", "u8"]),
    fortran=st.booleans(),
)
def test_any_npy_comes_back_whole_and_from_disk(tmp_path_factory, shape, kind, fortran):
    path = tmp_path_factory.mktemp("npy") / "a.npy"
    array = np.random.default_rng(1).integers(0, 100, shape).astype(kind)
    array[:, 0, :2] = 0, 1
    np.save(path, np.asfortranarray(array) if fortran else array)
    whole, lazy = eh.load_image(path, lazy=False), eh.load_image(path, lazy=True)
    assert whole.frames.dtype == lazy.frames.dtype == np.float32
    np.testing.assert_array_equal(whole.frames, array.astype(np.float32))
    np.testing.assert_array_equal(np.asarray(lazy.frames), whole.frames)


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".jpg", ".gif"])
def test_pictures_of_programs(tmp_path, frame, suffix):
    from PIL import Image

    if suffix == ".jpg":
        frame = np.add.outer(np.arange(48), np.arange(64)) + 20.0
    Image.fromarray(frame.astype(np.uint8)).save(tmp_path / f"a{suffix}")
    read = eh.load_image(tmp_path / f"a{suffix}")
    np.testing.assert_allclose(read[0], frame, atol=4 if suffix == ".jpg" else 0)
    assert any("lossy" in note for note in read.metadata["notes"]) is (suffix == ".jpg")


# --------------------------------------------------------------------------- folders
def test_a_folder_is_a_stack_in_the_order_of_its_numbers(tmp_path, frame):
    for i in (10, 2, 1):
        np.savez(tmp_path / f"frame_{i}.npz", image=frame + i, pixel_size=0.1)
    (tmp_path / "notes.txt").write_text("lunch")
    for where in (tmp_path, tmp_path / "frame_*.npz"):
        read = eh.load_image(where)
        assert [one.min() - frame.min() for one in read] == [1, 2, 10]
        assert (read.pixel_size, read.name, read.pixel_size_source) == (0.1, tmp_path.name, "file")
    assert read.metadata["files"] == ["frame_1.npz", "frame_2.npz", "frame_10.npz"]
    lazy = eh.load_image(tmp_path, lazy=True)
    assert lazy.on_disk
    np.testing.assert_array_equal(lazy[2], frame + 10)


def test_a_folder_that_is_no_stack_says_why(tmp_path, frame):
    with pytest.raises(ValueError, match=r"no file has one of the suffixes.*\.dm4"):
        eh.load_image(tmp_path)
    np.savez(tmp_path / "a1.npz", image=frame, pixel_size=0.1)
    np.savez(tmp_path / "a2.npz", image=frame, pixel_size=0.2)
    with pytest.raises(ValueError, match="a2.npz states 0.2000 Å/px.*two magnifications"):
        eh.load_image(tmp_path)
    assert eh.load_image(tmp_path, pixel_size=0.15).pixel_size == 0.15
    np.savez(tmp_path / "a2.npz", image=frame[:40])
    with pytest.raises(ValueError, match="a2.npz is 40×64 and a1.npz is 48×64"):
        eh.load_image(tmp_path)
    np.save(tmp_path / "a3.npy", frame)
    with pytest.raises(ValueError, match=r"holds 2 of \.npz, 1 of \.npy.*Say which"):
        eh.load_image(tmp_path)
    np.save(tmp_path / "a3.npy", np.stack([frame, frame]))
    with pytest.raises(ValueError, match="a3.npy holds 2 frames"):
        eh.load_image(tmp_path / "*.npy")
    with pytest.raises(FileNotFoundError, match="no such folder"):
        eh.load_image(tmp_path / "none" / "*.npy")


# --------------------------------------------------------------------------- stacks on disk
MEMORY = """
    import sys
    import numpy as np
    import elit_helpers as eh

    def anonymous():
        with open("/proc/self/status") as file:
            return next(int(line.split()[1]) / 1e3 for line in file if line.startswith("RssAnon"))

    before = anonymous()
    movie = eh.load_image(sys.argv[1])
    assert movie.on_disk
    peak, total = 0.0, 0.0
    for i, frame in enumerate(movie):
        total += float(frame[0, 0])
        if i % 100 == 0:
            peak = max(peak, anonymous())
    assert movie.frames[:4].shape == (4, 1024, 1024)
    print(peak, max(peak, anonymous()) - before, total)
"""


def write_long_npy(path, shape):
    with open(path, "wb") as file:  # a file with holes: long, and small on the disk
        np.lib.format.write_array_header_1_0(file, {"descr": "<u2", "fortran_order": False, "shape": shape})
        start = file.tell()
        for i in range(shape[0]):
            file.seek(start + i * shape[1] * shape[2] * 2)
            file.write(np.uint16(7).tobytes())
        file.truncate(start + 2 * int(np.prod(shape)))


def write_long_tif(path, shape):
    tifffile = pytest.importorskip("tifffile")
    tifffile.memmap(path, shape=shape, dtype=">u2", byteorder=">", photometric="minisblack")[:, 0, 0] = 7


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize(("write_long", "frames"), [(write_long_npy, 2000), (write_long_tif, 400)])
def test_frames_of_1024_squared_are_gone_through_in_less_than_a_gigabyte(tmp_path, write_long, frames):
    path = tmp_path / f"long.{write_long.__name__[-3:]}"
    write_long(path, (frames, 1024, 1024))
    script = textwrap.dedent(MEMORY)
    said = subprocess.check_output([sys.executable, "-c", script, path], text=True)
    peak, risen, total = map(float, said.split())
    assert total == 7 * frames
    assert peak < 1000
    assert risen < 200


def test_a_stack_on_disk_is_used_like_an_array(tmp_path, stack):
    np.save(tmp_path / "a.npy", stack)
    read = eh.load_image(tmp_path / "a.npy", lazy=True)
    frames = read.frames
    assert (frames.shape, frames.dtype, frames.ndim, len(frames)) == (stack.shape, np.float32, 3, 3)
    assert "on disk" in repr(frames)
    np.testing.assert_array_equal(frames[1:, 4:9, ::2], stack[1:, 4:9, ::2])
    np.testing.assert_array_equal(frames[0, 3], stack[0, 3])
    np.testing.assert_array_equal(frames[np.array([True, False, True])], stack[[0, 2]])
    part = read[1:]
    assert part.on_disk
    assert len(part) == 2
    np.testing.assert_array_equal(part[0], stack[1])
    with pytest.raises(IndexError):
        frames[3]


def test_a_large_stack_is_not_taken_whole_by_accident(tmp_path):
    signal = Signal("t", (2000, 1024, 1024), "<u2", lambda start, stop: np.zeros((stop - start, 1024, 1024)))
    with pytest.raises(ValueError, match=r"8\.4 GB.*frames\[:8\].*lazy=False"):
        np.asarray(Frames(signal, "long.npy"))


def test_frames_in_memory_and_on_disk_are_asked_for_in_the_same_way(tmp_path, stack):
    np.save(tmp_path / "a.npy", stack)
    for lazy in (True, False):
        read = eh.load_image(tmp_path / "a.npy", lazy=lazy, pixel_size=0.1)
        assert [one.shape for one in read] == [(48, 64)] * 3
        assert isinstance(read[:2], eh.Micrograph)
        assert read[:2].pixel_size == 0.1
        with pytest.raises(IndexError, match="there are 3"):
            read[5:]
    with pytest.raises(ValueError, match="`lazy` is 'yes'"):
        eh.load_image(tmp_path / "a.npy", lazy="yes")


def test_a_bad_frame_far_inside_is_found_when_it_is_read(tmp_path, stack):
    stack[2, 3, 4] = np.inf
    np.save(tmp_path / "a.npy", stack)
    read = eh.load_image(tmp_path / "a.npy", lazy=True)
    assert read[1].shape == (48, 64)
    with pytest.raises(ValueError, match="frame 2 holds 1 pixels that are NaN or"):
        read[2]
    with pytest.raises(ValueError, match="frame 2 holds 1 pixels that are NaN or"):
        eh.load_image(tmp_path / "a.npy", lazy=False)


# --------------------------------------------------------------------------- bad input
def test_a_file_cut_short_is_refused_whatever_its_format(tmp_path, stack):
    tifffile = pytest.importorskip("tifffile")
    np.save(tmp_path / "a.npy", stack)
    np.savez_compressed(tmp_path / "a.npz", frames=stack)
    tifffile.imwrite(tmp_path / "a.tif", stack, photometric="minisblack")
    tifffile.imwrite(tmp_path / "b.tif", stack, photometric="minisblack", compression="zlib")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["movie"] = stack
    write_dm(tmp_path / "a.dm4", stack, scale=0.0085, unit="nm")
    write_mrc(tmp_path / "a.mrc", stack, pixel_A=0.1)
    write_velox(tmp_path / "a.emd", {"HAADF": stack.astype(np.uint16)}, pixel_m=8e-12)
    write_ser(tmp_path / "a.ser", stack[0], pixel_m=9e-12)
    write("ripple", tmp_path / "a.rpl", signal_of(stack))
    cut = {p: p for p in tmp_path.iterdir() if p.suffix != ".rpl"}
    assert len(cut) == 10
    for path in sorted(cut):
        whole = path.read_bytes()
        path.write_bytes(whole[: int(0.6 * len(whole))])
        wanted = path.with_suffix(".rpl") if path.suffix == ".raw" else path
        with pytest.raises(ValueError, match=rf"{wanted.stem}\{wanted.suffix}.*(whole|broken)"):
            eh.load_image(wanted, lazy=False)


def test_colour_and_four_axes_are_refused_in_every_format(tmp_path, frame):
    tifffile = pytest.importorskip("tifffile")
    rgb = np.stack([frame, frame / 2, frame], -1).astype(np.uint8)
    four = np.random.default_rng(1).integers(0, 9, (3, 3, 32, 32)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "rgb.tif", rgb, photometric="rgb")
    np.save(tmp_path / "rgb.npy", rgb)
    tifffile.imwrite(tmp_path / "four.tif", four, imagej=True)
    np.save(tmp_path / "four.npy", four)
    np.savez(tmp_path / "four.npz", frames=four)
    with h5py.File(tmp_path / "four.h5", "w") as file:
        file["movie"] = four
    for path in sorted(tmp_path.iterdir()):
        wanted = "colour picture" if path.stem == "rgb" else r"more than three axes; it must be \(H, W\)"
        with pytest.raises(ValueError, match=wanted):
            eh.load_image(path)
    np.save(tmp_path / "grey.npy", np.stack([frame] * 3, -1))
    np.testing.assert_array_equal(eh.load_image(tmp_path / "grey.npy")[0], frame)


def test_spectra_are_no_images(tmp_path, stack):
    signal = signal_of(stack)
    signal["axes"][-1] |= {"units": "eV", "name": "Energy loss"}
    signal["metadata"]["Signal"]["signal_type"] = "EELS"
    write("hspy", tmp_path / "a.hspy", signal)
    with pytest.raises(ValueError, match="spectra, no images"):
        eh.load_image(tmp_path / "a.hspy")


def test_complex_waves_and_objects_are_refused(tmp_path, frame):
    np.save(tmp_path / "wave.npy", frame * 1j)
    with pytest.raises(ValueError, match="complex numbers.*amplitude"):
        eh.load_image(tmp_path / "wave.npy")
    np.save(tmp_path / "pickle.npy", np.array([{"a": 1}], object), allow_pickle=True)
    np.savez(tmp_path / "pickle.npz", frames=np.array([{"a": 1}], object), allow_pickle=True)
    for name in ("pickle.npy", "pickle.npz"):
        with pytest.raises(ValueError, match="Python objects, which can run code"):
            eh.load_image(tmp_path / name)


def test_counts_beyond_float32_are_rounded_and_said_or_refused(tmp_path, frame):
    counts = frame.astype(np.uint32) * 10_000_000
    np.save(tmp_path / "a.npy", counts)
    for lazy in (True, False):
        read = eh.load_image(tmp_path / "a.npy", lazy=lazy)
        np.testing.assert_allclose(read[0], counts, rtol=1e-7)
        assert any("rounded to float32" in note for note in read.metadata["notes"])
    np.save(tmp_path / "b.npy", frame.astype(float) * 1e300)
    with pytest.raises(ValueError, match="beyond float32"):
        eh.load_image(tmp_path / "b.npy")


def test_a_saturated_detector_is_said(tmp_path, frame):
    frame[:3] = 255
    np.save(tmp_path / "a.npy", frame.astype(np.uint8))
    (note,) = eh.load_image(tmp_path / "a.npy").metadata["notes"]
    assert "192 pixels of a frame are at 255" in note


@pytest.mark.parametrize("size", [0.0, -1.0, 250.0, np.nan])
def test_an_impossible_pixel_size_in_a_file_is_not_used(tmp_path, frame, size):
    np.savez(tmp_path / "a.npz", image=frame, pixel_size=size)
    read = eh.load_image(tmp_path / "a.npz")
    if size == -1.0:  # an axis that runs backwards; within what frames can have
        assert read.pixel_size == 1.0
        return
    assert (read.pixel_size, read.pixel_size_source) == (None, "unknown")
    assert "not used" in read.metadata["notes"][0]
    for given_size in (0, -0.1, "much"):
        with pytest.raises(ValueError, match="must be a finite number above zero"):
            eh.load_image(tmp_path / "a.npz", pixel_size=given_size)


def test_pixels_that_are_not_square_keep_both_sizes_and_say_so(tmp_path, frame):
    write("hspy", tmp_path / "a.hspy", signal_of(frame, scale=0.02, rows=0.0125))
    read = eh.load_image(tmp_path / "a.hspy")
    known = read.metadata
    assert (known["pixel_size_rows_A"], known["pixel_size_columns_A"]) == pytest.approx((0.125, 0.2))
    assert read.pixel_size == pytest.approx(np.sqrt(0.125 * 0.2))
    assert any("not square" in note for note in known["notes"])


def test_a_diffraction_pattern_is_read_and_named(tmp_path, frame):
    write("hspy", tmp_path / "a.hspy", signal_of(frame, unit="1/nm"))
    read = eh.load_image(tmp_path / "a.hspy")
    assert read.pixel_size is None
    assert any("diffraction pattern" in note for note in read.metadata["notes"])


def test_a_summary_tells_what_is_known(tmp_path, stack):
    write_velox(tmp_path / "a.emd", {"HAADF": stack.astype(np.uint16)}, pixel_m=8e-12)
    table = eh.load_image(tmp_path / "a.emd").summary()
    assert isinstance(table, pd.DataFrame)
    facts = dict(zip(table["what"], table["value"], strict=True))
    assert facts["voltage"] == "60 kV"
    assert facts["dwell"] == "8 µs"
    assert facts["pixel size"] == "0.0800 Å/px (file)"
    assert facts["field of view, rows × columns"] == "3.8 × 5.1 Å"


# --------------------------------------------------------------------------- units and settings
@given(
    size=st.floats(0.006, 0.9),
    unit=st.sampled_from(["nm", "Å", "pm", "µm", "μm", "\u212b", "m", "Angstroms"]),
)
def test_lengths_come_back_from_any_unit(size, unit):
    factor = {"nm": 10, "pm": 0.01, "µm": 1e4, "μm": 1e4, "m": 1e10}.get(unit, 1)
    assert axes.to_angstrom(size / factor, unit) == pytest.approx(size)


@pytest.mark.parametrize("unit", ["", None, "px", "s", "eV", "1/nm", "nm^-1"])
def test_what_is_no_length_gives_none(unit):
    assert axes.to_angstrom(0.1, unit) is None


def test_a_makers_settings_are_taken_over_by_its_mapping():
    signal = {
        "metadata": {"General": {"title": "a"}},
        "original_metadata": {"Optics": {"Voltage": "80000"}, "Broken": "x"},
        "mapping": {
            "Optics.Voltage": ("Acquisition_instrument.TEM.beam_energy", lambda v: float(v) / 1e3),
            "Broken": ("General.number", float),
            "Not.There": ("General.nothing", None),
        },
    }
    tree = axes.mapped(signal)
    assert axes.settings(tree)["voltage_kV"] == 80
    assert tree["General"] == {"title": "a"}
    assert signal["metadata"] == {"General": {"title": "a"}}
