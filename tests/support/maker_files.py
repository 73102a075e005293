"""Writes the smallest files of other makers: Velox (.emd), TIA (.ser, .emi) and MRC."""

import json

import h5py
import numpy as np


def write_velox(path, signals, *, pixel_m, voltage=60000.0, dwell_s=8e-6):
    """A Velox file; `signals` is a detector's name to its frames (N, H, W) each."""
    with h5py.File(path, "w") as file:
        version = np.array([json.dumps({"format": "Velox", "version": "11"})], h5py.string_dtype())
        file.create_dataset("Version", data=version)
        for i, (name, frames) in enumerate(signals.items()):
            group = file.create_group(f"Data/Image/{i:032x}")
            group.create_dataset("Data", data=np.moveaxis(frames, 0, 2), chunks=(*frames.shape[1:], 1))
            known = {
                "BinaryResult": {
                    "Detector": name, "DetectorIndex": str(i), "PixelUnitX": "m", "PixelUnitY": "m",
                    "PixelSize": {"width": str(pixel_m), "height": str(pixel_m)},
                    "Offset": {"x": "0", "y": "0"},
                },
                "Detectors": {f"Detector-{i}": {"DetectorName": name, "DetectorIndex": str(i)}},
                "Scan": {"DwellTime": str(dwell_s), "FrameTime": "0.5"},
                "Optics": {"AccelerationVoltage": str(voltage)},
                "Acquisition": {"AcquisitionStartDatetime": {"DateTime": "1500000000"}},
                "Instrument": {"InstrumentClass": "Titan"}, "CustomProperties": {}, "Stage": {},
            }  # fmt: skip
            text = np.zeros((40000, len(frames)), np.uint8)
            raw = np.frombuffer(json.dumps(known).encode(), np.uint8)
            text[: len(raw)] = raw[:, None]
            group.create_dataset("Metadata", data=text)


def write_ser(path, image, *, pixel_m):
    """One image of TIA; with the suffix .emi its settings, which name no data of their own."""
    height, width = image.shape
    head = np.array([0x4949, 0x0197, 0x0210], "<u2").tobytes()
    head += np.array([0x4122, 0x4152, 1, 1], "<u4").tobytes()
    dimension = np.array([1], "<u4").tobytes() + np.array([0.0, 1.0], "<f8").tobytes()
    dimension += np.array([0, 0, 0], "<u4").tobytes()  # element, no description, no unit
    offsets_at = 30 + len(dimension)
    data_at = offsets_at + 8
    head += np.array([offsets_at, 1], "<u4").tobytes() + dimension
    head += np.array([data_at, 0], "<u4").tobytes()
    axis = np.array([0.0, pixel_m], "<f8").tobytes() + np.array([0], "<u4").tobytes()
    data = axis + axis + np.array([2], "<u2").tobytes() + np.array([width, height], "<u4").tobytes()
    data += image[::-1].astype("<u2").tobytes()  # from the bottom up
    path.write_bytes(head + data + np.array([0x4152, 0], "<u2").tobytes() + np.array([0], "<u4").tobytes())


def write_emi(path, voltage_kV=80.0, detector="HAADF"):
    """The settings of the .ser file that is called the same with ``_1`` behind it."""
    rows = {"High tension": (voltage_kV, "kV"), "Dwell time path": (4e-6, "s"), "Detector": (detector, "")}
    data = "".join(
        f"<Data><Label>{k}</Label><Value>{v}</Value><Unit>{u}</Unit></Data>" for k, (v, u) in rows.items()
    )
    text = f"<ObjectInfo><ExperimentalDescription><Root>{data}</Root></ExperimentalDescription>"
    text += "<AcquireDate>Mon Nov 23 06:00:00 2020</AcquireDate></ObjectInfo>"
    path.write_bytes(b"\x00\x01" + text.encode() + b"\x00")


def write_mrc(path, frames, *, pixel_A):
    """A stack (N, H, W) with its cell in Å, in the type and byte order of the array."""
    n, height, width = frames.shape
    order = ">" if frames.dtype.str[0] == ">" else "<"
    header = np.zeros(256, f"{order}i4")
    header[:4] = width, height, n, {"i1": 0, "i2": 1, "f4": 2, "u2": 6, "f2": 12}[frames.dtype.str[1:]]
    header[7:10] = width, height, n
    header[16:19] = 1, 2, 3
    header[27] = 20141
    floats = header.view(f"{order}f4")
    floats[10:13] = width * pixel_A, height * pixel_A, n
    floats[19:21] = frames.min(), frames.max()
    raw = bytearray(header.tobytes())
    raw[208:212] = b"MAP "
    raw[212:216] = b"\x44\x44\x00\x00" if order == "<" else b"\x11\x11\x00\x00"
    path.write_bytes(bytes(raw) + frames.tobytes())
