"""Draws files of every format, type, byte order, packing and layout that a library at hand can write.

Each is a `Written`: what was drawn, the frames that must come back, and how to write it.
"""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import h5py
import numpy as np
import tifffile
from dm_files import write_dm
from hypothesis import strategies as st
from maker_files import write_mrc
from PIL import Image

WHOLE = ("u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8")
ANY = (*WHOLE, "f2", "f4", "f8")
LENGTHS = {"nm": 10.0, "µm": 1e4, "pm": 0.01, "Å": 1.0, "mm": 1e7}


@dataclass
class Written:
    """A file that can be written: `wanted` (N, H, W) is what a reader must give, as float32."""

    suffix: str
    options: dict[str, Any]
    wanted: np.ndarray
    write: Callable
    pixel_size: float | None = None


def frames(draw, kind, most=4, whole_range=None):
    """Random frames (N, H, W): of the type's whole range, or of counts that float32 keeps."""
    shape = (draw(st.integers(1, most)), draw(st.integers(16, 40)), draw(st.integers(16, 40)))
    rng, dtype = np.random.default_rng(draw(st.integers(0, 2**32 - 1))), np.dtype(kind)
    if dtype.kind == "b":
        return rng.random(shape) < 0.5
    if dtype.kind == "f":
        return (rng.normal(size=shape) * 100).astype(dtype)
    low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
    if not (draw(st.booleans()) if whole_range is None else whole_range):
        low, high = max(low, -100), min(high, 100)
    return rng.integers(low, high, shape, dtype.newbyteorder("="), endpoint=True).astype(dtype)


def stored_white(array):
    """What a file holds in which white is zero."""
    if array.dtype.kind == "u":
        return np.iinfo(array.dtype).max - array
    return {"b": np.logical_not, "i": lambda a: -1 - a, "f": np.negative}[array.dtype.kind](array)


STORED_TURNED = {
    1: lambda a: a,
    2: lambda a: a[:, :, ::-1],
    3: lambda a: a[:, ::-1, ::-1],
    4: lambda a: a[:, ::-1],
    5: lambda a: np.swapaxes(a, 1, 2),
    6: lambda a: np.rot90(a, 1, (1, 2)),
    7: lambda a: np.swapaxes(a[:, ::-1, ::-1], 1, 2),
    8: lambda a: np.rot90(a, -1, (1, 2)),
}
"""What a file holds whose frames must be turned before they are looked at, by its tag for the orientation."""


# --------------------------------------------------------------------------- TIFF by tifffile
def _packings(kind):
    """Compressions that tifffile writes here for a type, and whether with a predictor."""
    found = [(None, False), ("zlib", False), ("lzma", False)]
    found += [("zlib", True)] if kind in WHOLE and kind[1] != "8" else []
    if find_spec("imagecodecs"):
        found += [("lzw", found[-1][1]), ("zstd", False), ("packbits", False), ("zlib", kind[0] == "f")]
    return found


@st.composite
def tiffs(draw):
    """TIFF of every type and layout by tifffile."""
    form = draw(
        st.sampled_from(["plain", "shaped", "pages", "imagej", "ome", "one header", "imagej, one header"])
    )
    imagej, ome = ("u1", "u2", "i2", "f4"), ("u1", "u2", "u4", "i1", "i2", "i4", "f4", "f8", "b1")
    kinds = {"imagej": imagej, "imagej, one header": imagej, "ome": ome, "one header": ANY}.get(
        form, (*ANY, "b1")
    )
    kind = draw(st.sampled_from(kinds))
    wanted, options = (
        frames(draw, kind),
        {"byteorder": draw(st.sampled_from("<>")), "bigtiff": draw(st.booleans())},
    )
    if form.startswith("imagej"):
        options |= {"imagej": True, "bigtiff": False}
    stored, size = wanted, None
    if form in ("imagej", "ome", "imagej, one header") and draw(st.booleans()):
        size = draw(st.floats(0.02, 0.9))
        options |= _scaled(draw, form, size)
    elif form == "plain":
        options["metadata"] = None
    options |= {"ome": True} if form == "ome" else {}
    tones = draw(st.sampled_from(_tones(form, kind)))
    if form in ("plain", "pages") and kind != "b1":
        turn = draw(st.integers(1, 8))
        stored = STORED_TURNED[turn](stored)
        options["extratags"] = [(274, 3, 1, turn, True)]
    if not form.endswith("one header"):
        options |= _layout(draw, kind, form)
    stored, more = _in_tones(draw, stored, tones)
    options |= more
    if "header" in form:
        options["truncate"] = True

    def write(path):
        if form != "pages":
            tifffile.imwrite(path, stored, **options)
            return
        with tifffile.TiffWriter(path, **{k: options[k] for k in ("byteorder", "bigtiff")}) as file:
            for one in stored:
                rest = {k: v for k, v in options.items() if k not in ("byteorder", "bigtiff")}
                file.write(one, contiguous=False, metadata=None, **rest)

    return Written(".tif", {"form": form, "kind": kind, "tones": tones} | options, wanted, write, size)


def _scaled(draw, form, size):
    unit = draw(st.sampled_from(list(LENGTHS)))
    length = size / LENGTHS[unit]
    if form == "ome":
        said = {f"PhysicalSize{axis}": length for axis in "XY"}
        return {"metadata": said | {f"PhysicalSize{axis}Unit": unit for axis in "XY"}}
    spelled = {"µm": "\\u00B5m", "Å": "\\u00C5"}.get(unit, unit)
    return {"resolution": (1 / length, 1 / length), "metadata": {"unit": spelled}}


def _tones(form, kind):
    """Ways to keep grey that a form and a type allow."""
    if kind == "b1":
        return ["minisblack", "miniswhite"]
    if form.startswith("imagej") or "header" in form or form == "ome":
        return ["minisblack"] if form != "one header" else ["minisblack", "miniswhite"]
    return ["minisblack", "miniswhite", "rgb", "rgba", "planes", "grey and alpha"] + ["table"] * (
        kind == "u1"
    )


def _in_tones(draw, stored, tones):
    """Frames as they are kept, and the options that say so."""
    if tones == "minisblack":
        return stored, {"photometric": tones}
    if tones == "miniswhite":
        return stored_white(stored), {"photometric": tones}
    if tones == "table":
        order = np.random.default_rng(draw(st.integers(0, 9))).permutation(256)
        return np.argsort(order)[stored].astype("u1"), {
            "photometric": "palette",
            "colormap": np.stack([order * 257] * 3).astype("u2"),
        }
    if tones == "planes":
        return np.stack([stored] * 3, 1), {"photometric": "rgb", "planarconfig": "separate"}
    channels = {"rgb": 3, "rgba": 4, "grey and alpha": 2}[tones]
    more = {"extrasamples": ["unassalpha"]} if channels != 3 else {}
    photometric = "minisblack" if channels == 2 else "rgb"
    kept = np.stack([stored] * channels, -1)
    if more:
        kept[..., -1] = 1
    return kept, {"photometric": photometric, "planarconfig": "contig"} | more


def _layout(draw, kind, form):
    if kind == "b1":
        return {}
    packing, predictor = draw(st.sampled_from(_packings(kind) if form != "imagej" else [(None, False)]))
    options = {} if packing is None else {"compression": packing}
    if predictor:
        options["predictor"] = True
    pieces = draw(st.sampled_from(["whole", "strips", "tiles"]))
    if pieces == "strips":
        options["rowsperstrip"] = draw(st.integers(1, 16))
    elif pieces == "tiles" and form != "imagej":
        options["tile"] = draw(st.sampled_from([(16, 16), (32, 16), (16, 48)]))
    return options


# --------------------------------------------------------------------------- Pillow
def picture(array, mode):
    """An image of Pillow in a mode, of one frame of bytes, or of what the mode takes."""
    if mode in ("LA", "RGB", "RGBA"):
        channels = np.stack([array] * len(mode), -1)
        if mode.endswith("A"):
            channels[..., -1] = 255
        return Image.fromarray(channels)
    if mode == "P":
        image = Image.fromarray(255 - array).convert("L")
        image.putpalette(np.repeat(np.arange(255, -1, -1), 3).astype("u1").tobytes())
        return image
    return Image.fromarray(array)


PILLOW_KINDS = {"1": "b1", "I;16": "u2", "I": "i4", "F": "f4"}  # others: u1
_PACKED = (None, "tiff_lzw", "tiff_adobe_deflate", "packbits")
PILLOW_TIFF = {
    "1": (None, "group4", "group3", "tiff_lzw", "packbits"),
    **dict.fromkeys(("L", "I;16", "I", "F", "RGB", "RGBA", "LA", "P"), _PACKED),
}  # fmt: skip
PICTURES = {
    ".png": ("1", "L", "LA", "I;16", "P", "RGB", "RGBA"),
    ".bmp": ("1", "L", "P", "RGB", "RGBA"), ".dib": ("L", "RGB"),
    ".gif": ("1", "L", "P"), ".pgm": ("L", "I;16"), ".ppm": ("RGB",), ".pbm": ("1",),
    ".pcx": ("1", "L", "P", "RGB"), ".msp": ("1",), ".xbm": ("1",), ".spi": ("F",),
}  # fmt: skip


@st.composite
def tiffs_of_pillow(draw):
    """TIFF by Pillow, whose LZW and fax no other library here needs to unpack."""
    mode = draw(st.sampled_from(list(PILLOW_TIFF)))
    packing = draw(st.sampled_from(PILLOW_TIFF[mode]))
    wanted = frames(draw, PILLOW_KINDS.get(mode, "u1"), most=3)
    options = {"compression": packing} if packing else {}
    info = {}
    if packing in ("tiff_lzw", "tiff_adobe_deflate") and mode not in ("1", "P", "F") and draw(st.booleans()):
        info[317] = 2  # differences
    turn = draw(st.integers(1, 8))
    info[274] = turn
    pages = [picture(np.ascontiguousarray(one), mode) for one in STORED_TURNED[turn](wanted)]

    def write(path):
        pages[0].save(path, save_all=True, append_images=pages[1:], tiffinfo=info, **options)

    return Written(".tif", {"mode": mode, "info": info} | options, wanted, write)


@st.composite
def pictures(draw):
    """Pictures of programs, by Pillow."""
    suffix = draw(st.sampled_from(list(PICTURES)))
    mode = draw(st.sampled_from(PICTURES[suffix]))
    wanted = frames(draw, PILLOW_KINDS.get(mode, "u1"), most=3 if suffix == ".gif" else 1)
    pages = [picture(one, mode) for one in wanted]
    more = {"save_all": True, "append_images": pages[1:]} if len(pages) > 1 else {}
    if suffix == ".spi":
        more["format"] = "SPIDER"
    if suffix == ".gif" and mode == "1":
        wanted = 255 * wanted.astype("u1")  # it has no bits, only tables of colours
    return Written(suffix, {"mode": mode}, wanted, lambda path: pages[0].save(path, **more))


@st.composite
def greymaps(draw):
    """PGM of any range, as bytes or as text."""
    largest, plain = draw(st.integers(1, 65535)), draw(st.booleans())
    wanted = frames(draw, "u2", most=1, whole_range=True) % np.uint32(largest + 1)

    def write(path):
        height, width = wanted.shape[1:]
        head = f"P{2 if plain else 5}\n{width} {height}\n{largest}\n".encode()
        kind = ">u2" if largest > 255 else "u1"
        text = " ".join(map(str, wanted.ravel())).encode()
        path.write_bytes(head + (text if plain else wanted.astype(kind).tobytes()))

    return Written(".pgm", {"largest": largest, "plain": plain}, wanted, write)


# --------------------------------------------------------------------------- NumPy and HDF5
def ordered(draw, kinds=(*ANY, "b1")):
    return draw(st.sampled_from("<>")) + draw(st.sampled_from(kinds))


def with_ones(draw, array):
    """The same frames with axes of length one somewhere, as programs leave them."""
    where = draw(st.lists(st.integers(0, 2), max_size=2))
    for axis in where:
        array = np.expand_dims(array, axis)
    return array


@st.composite
def arrays(draw):
    """Files of NumPy."""
    kind, suffix = ordered(draw), draw(st.sampled_from([".npy", ".npz"]))
    wanted = frames(draw, kind)
    stored = with_ones(draw, wanted)
    if fortran := draw(st.booleans()):
        stored = np.asfortranarray(stored)
    save = np.save
    if packed := suffix == ".npz":
        packed = draw(st.booleans())
        save = np.savez_compressed if packed else np.savez
    how = {"kind": kind, "shape": stored.shape, "fortran": fortran, "packed": packed}
    return Written(suffix, how, wanted, lambda path: save(path, stored))


@st.composite
def datasets(draw):
    """HDF5 with every filter that h5py brings."""
    kind = ordered(draw)
    wanted = frames(draw, kind)
    stored = with_ones(draw, wanted)
    options: dict[str, Any] = {}
    if draw(st.booleans()):
        options["chunks"] = tuple(draw(st.integers(1, n)) for n in stored.shape)
        options["compression"] = draw(st.sampled_from([None, "gzip", "lzf"]))
        options["shuffle"], options["fletcher32"] = draw(st.booleans()), draw(st.booleans())
        if kind[1] in "ui" and kind[2] != "8" and draw(st.booleans()):
            options |= {"scaleoffset": 0, "fletcher32": False}
    white = draw(st.booleans())

    def write(path):
        with h5py.File(path, "w") as file:
            item = file.create_dataset("a/b", data=stored_white(stored) if white else stored, **options)
            if white:
                item.attrs["CLASS"], item.attrs["IMAGE_WHITE_IS_ZERO"] = np.bytes_("IMAGE"), np.uint8(1)

    how = {"kind": kind, "shape": stored.shape, "white": white} | options
    return Written(draw(st.sampled_from([".h5", ".hdf5"])), how, wanted, write)


# --------------------------------------------------------------------------- microscopes
@st.composite
def movies(draw):
    """Files of microscopes' programs, as RosettaSciIO or the tests write them, with their scale."""
    form = draw(st.sampled_from(["hspy", "emd", "nexus", "ripple", "dm3", "dm4", "mrc"]))
    kinds = {
        "mrc": ("i1", "i2", "u2", "f2", "f4"), "dm3": ("u1", "u2", "i2", "u4", "f4"),
        "dm4": ("u1", "u2", "i2", "u4", "f4"), "ripple": ("u1", "u2", "i4", "i8", "f4", "f8"),
    }.get(form, ANY)  # fmt: skip
    kind = ordered(draw, kinds) if form in ("mrc", "hspy") else draw(st.sampled_from(kinds))
    wanted, size = frames(draw, kind), draw(st.floats(0.02, 0.9))
    suffix = {"nexus": ".nxs", "ripple": ".rpl"}.get(form, f".{form}")

    def write(path):
        if form == "mrc":
            write_mrc(path, wanted, pixel_A=size)
        elif form.startswith("dm"):
            write_dm(path, wanted, scale=(0.5, size / 10, size / 10), unit="nm")
        else:
            one = wanted[0] if len(wanted) == 1 else wanted
            importlib.import_module(f"rsciio.{form}").file_writer(str(path), signal_of(one, size / 10))

    return Written(suffix, {"kind": kind}, wanted, write, size)


def signal_of(array, scale=0.02, unit="nm", title="t", rows=None):
    """A signal as RosettaSciIO's writers want it; time comes first in a stack."""
    names = ("time", "y", "x")[-array.ndim :]
    scales = {"time": 0.5, "y": scale if rows is None else rows, "x": scale}
    described = [
        {
            "name": name, "size": size, "index_in_array": i, "scale": scales[name], "offset": 0.0,
            "units": "s" if name == "time" else unit, "navigate": name == "time",
            "_type": "UniformDataAxis", "is_binned": False,
        }
        for i, (name, size) in enumerate(zip(names, array.shape, strict=True))
    ]  # fmt: skip
    microscope = {"TEM": {"beam_energy": 60.0, "magnification": 1e7, "convergence_angle": 31.0}}
    return {
        "data": array, "axes": described, "original_metadata": {}, "tmp_parameters": {}, "models": {},
        "metadata": {
            "General": {"title": title}, "Signal": {"signal_type": ""}, "Acquisition_instrument": microscope,
        },
        "package_info": {"package": "hyperspy", "package_version": "2.0"}, "learning_results": {},
        "attributes": {"_lazy": False, "ragged": False},
    }  # fmt: skip
