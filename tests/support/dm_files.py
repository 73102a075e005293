"""Writes the smallest DigitalMicrograph files (.dm3, .dm4) that hold pictures with a scale."""

import struct
from dataclasses import dataclass

import numpy as np

DATA_TYPES = {"float32": 2, "uint16": 10, "int16": 1, "uint32": 11, "uint8": 6}
COLOUR = 23


@dataclass
class _Writer:
    version: int

    def long(self, *values):
        return struct.pack(f">{len(values)}{'q' if self.version == 4 else 'i'}", *values)

    def tag(self, kind, name, content):
        head = struct.pack(">Bh", kind, len(name)) + name.encode()
        return head + (self.long(len(content)) if self.version == 4 else b"") + content

    def group(self, name, tags):
        return self.tag(20, name, struct.pack(">BB", 1, 0) + self.long(len(tags)) + b"".join(tags))

    def number(self, name, code, form, value):
        return self.tag(21, name, b"%%%%" + self.long(1, code) + struct.pack(form, value))

    def array(self, name, code, values):
        return self.tag(21, name, b"%%%%" + self.long(3, 20, code, values.size) + values.tobytes())

    def text(self, name, text):
        return self.array(name, 4, np.frombuffer(text.encode("utf-16-le"), "<u2"))


ARRAY_CODES = {"float32": 6, "uint16": 4, "int16": 2, "uint32": 5, "uint8": 10}


def _image(w, image, scales, unit, title, tags):
    """One entry of the image list; `scales` along the array's axes, last one first in the file."""
    colour = image.dtype == np.uint32 and title == "thumbnail"
    units = [unit] * 2 + ["s"] * (image.ndim - 2)
    axes = [
        w.group(
            "",
            [w.number("Origin", 6, "<f", 0.0), w.number("Scale", 6, "<f", one), w.text("Units", unit_of_one)],
        )
        for one, unit_of_one in zip(scales[::-1], units, strict=True)
    ]
    kind = image.dtype.name
    data = w.group("ImageData", [
        w.group("Calibrations", [w.group("Dimension", axes)]),
        w.array("Data", ARRAY_CODES[kind], image),
        w.number("DataType", 5, "<I", COLOUR if colour else DATA_TYPES[kind]),
        w.group("Dimensions", [w.number("", 5, "<I", n) for n in image.shape[::-1]]),
        w.number("PixelDepth", 5, "<I", image.dtype.itemsize),
    ])  # fmt: skip
    return w.group("", [data, w.group("ImageTags", tags), w.text("Name", title)])


def write_dm(path, image, *, scale, unit, title="test", thumbnail=False, others=None, voltage=None):
    """Images, the first with `scale` in `unit` per pixel (a number, or one for each axis).

    `thumbnail` puts a small colour picture before it, as DigitalMicrograph does; `others` are a title and an
    array each, behind it; `voltage` is in V.
    """
    w = _Writer(int(path.suffix[-1]))
    if image.dtype.kind == "f":
        image = image.astype("<f4")
    scales = (scale,) * image.ndim if np.isscalar(scale) else scale
    tags = [w.number("nothing", 5, "<I", 0)]
    if voltage is not None:
        tags = [
            w.group("Microscope Info", [
                w.number("Voltage", 6, "<f", voltage),
                w.number("Indicated Magnification", 6, "<f", 1e7),
                w.text("Illumination Mode", "STEM"),
            ]),
            w.group("DigiScan", [w.number("Sample Time", 6, "<f", 8.0)]),
        ]  # fmt: skip
    images = [_image(w, image, scales, unit, title, tags)]
    images += [_image(w, other, (0.0085,) * other.ndim, unit, name, tags) for name, other in others or ()]
    root = []
    if thumbnail:
        small = np.arange(32 * 32, dtype=np.uint32).reshape(32, 32)
        images.insert(0, _image(w, small, (1.0, 1.0), "", "thumbnail", tags))
        root = [w.group("Thumbnails", [w.group("", [w.number("ImageIndex", 5, "<I", 0)])])]
    root.insert(0, w.group("ImageList", images))
    body = struct.pack(">BB", 1, 0) + w.long(len(root)) + b"".join(root)
    path.write_bytes(
        struct.pack(">i", w.version) + w.long(len(body)) + struct.pack(">i", 1) + body + bytes(8)
    )
