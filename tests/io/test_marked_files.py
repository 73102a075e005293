"""What MRC and HDF5 files say of their numbers, where the libraries that read them pass it over."""

import h5py
import numpy as np
import pytest
from maker_files import write_mrc

import elit_helpers as eh


@pytest.fixture
def bytes_of(frame):
    return (frame[None] * 4).astype(np.uint8)


def marked(path, at, kind, *values):
    """Write numbers into the header of an MRC file."""
    raw = bytearray(path.read_bytes())
    new = np.array(values, kind).tobytes()
    raw[at : at + len(new)] = new
    path.write_bytes(bytes(raw))


@pytest.mark.parametrize(("flags", "signed"), [(0, False), (1, True)])
def test_imod_says_by_a_flag_whether_bytes_are_signed(tmp_path, bytes_of, flags, signed):
    path = tmp_path / "a.mrc"
    write_mrc(path, bytes_of.view(np.int8), pixel_A=0.1)
    marked(path, 152, "<i4", 1146047817, flags)
    wanted = bytes_of.view(np.int8) if signed else bytes_of
    np.testing.assert_array_equal(eh.load_image(path).frames, wanted)


@pytest.mark.parametrize(
    ("version", "smallest", "largest", "signed"),
    [
        (20141, -124, 124, True),
        (20141, 0, 0, True),
        (20141, 20, 236, False),
        (0, 0, 0, False),
        (0, -3, 9, True),
    ],
)
def test_bytes_are_signed_as_the_header_lets_expect(tmp_path, bytes_of, version, smallest, largest, signed):
    path = tmp_path / "a.mrc"
    write_mrc(path, bytes_of.view(np.int8), pixel_A=0.1)
    marked(path, 76, "<f4", smallest, largest)
    marked(path, 108, "<i4", version)
    wanted = bytes_of.view(np.int8) if signed else bytes_of
    np.testing.assert_array_equal(eh.load_image(path).frames, wanted)


def write_image(path, array, **attributes):
    with h5py.File(path, "w") as file:
        item = file.create_dataset("picture", data=array)
        for name, value in ({"CLASS": "IMAGE"} | attributes).items():
            item.attrs[name] = np.bytes_(value) if isinstance(value, str) else value


def test_an_hdf5_image_is_turned_upright_from_its_origin(tmp_path, frame):
    for origin, turned in (
        ("UL", frame),
        ("LL", frame[::-1]),
        ("UR", frame[:, ::-1]),
        ("LR", frame[::-1, ::-1]),
    ):
        write_image(tmp_path / "a.h5", frame, DISPLAY_ORIGIN=origin)
        read = eh.load_image(tmp_path / "a.h5")
        np.testing.assert_array_equal(read[0], turned)
        assert bool(read.metadata["notes"]) is (origin != "UL")


@pytest.mark.parametrize("subclass", ["IMAGE_TRUECOLOR", "IMAGE_INDEXED"])
def test_an_hdf5_image_in_colour_is_no_stack(tmp_path, frame, subclass):
    planes = np.stack([frame, frame / 2, frame])
    write_image(tmp_path / "a.h5", planes, IMAGE_SUBCLASS=subclass, INTERLACE_MODE="INTERLACE_PLANE")
    with pytest.raises(ValueError, match="colour picture"):
        eh.load_image(tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        del file["picture"].attrs["CLASS"]
    np.testing.assert_array_equal(eh.load_image(tmp_path / "a.h5").frames, planes)
