"""Writes the smallest DigitalMicrograph files (.dm3, .dm4) that hold a picture with a scale."""

import struct
from dataclasses import dataclass

import numpy as np


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


def write_dm(path, image, *, scale, unit):
    """One float32 image; `scale` in `unit` per pixel."""
    w = _Writer(int(path.suffix[-1]))
    axis = [
        w.number("Origin", 6, "<f", 0.0),
        w.number("Scale", 6, "<f", scale),
        w.array("Units", 4, np.frombuffer(unit.encode("utf-16-le"), "<u2")),
    ]
    data = w.group("ImageData", [
        w.group("Calibrations", [w.group("Dimension", [w.group("", axis), w.group("", axis)])]),
        w.array("Data", 6, image.astype("<f4")),
        w.number("DataType", 5, "<I", 2),
        w.group("Dimensions", [w.number("", 5, "<I", n) for n in image.shape[::-1]]),
        w.number("PixelDepth", 5, "<I", 4),
    ])  # fmt: skip
    name = w.array("Name", 4, np.frombuffer("test".encode("utf-16-le"), "<u2"))
    tags = w.group("ImageTags", [w.number("nothing", 5, "<I", 0)])
    root = [w.group("ImageList", [w.group("", [data, tags, name])])]
    body = struct.pack(">BB", 1, 0) + w.long(len(root)) + b"".join(root)
    path.write_bytes(
        struct.pack(">i", w.version) + w.long(len(body)) + struct.pack(">i", 1) + body + bytes(8)
    )
