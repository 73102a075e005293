"""Pictures of programs (PNG, BMP, PGM …) by Pillow: every way to keep grey becomes one array."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from elit_helpers.core.checks import require
from elit_helpers.io.frames import Signal, in_memory
from elit_helpers.io.tones import LOSSY, NO_ALPHA, without_colour

SUFFIXES = (
    ".png", ".jpg", ".jpeg", ".jpe", ".bmp", ".dib", ".gif", ".pgm", ".pbm", ".ppm", ".pcx", ".msp", ".xbm",
    ".spi",
)  # fmt: skip
_CUT = "Pillow reads 16-bit colours with 8 bits: the lower half of every number is lost. Save it as grey."


def read_picture(path: Path) -> list[Signal]:
    """Return the frames of a picture, upright; colour is named, not read as intensities."""
    image, turn = require("PIL.Image", "Reading pictures"), require("PIL.ImageOps", "Reading pictures")
    sequence = require("PIL.ImageSequence", "Reading pictures")
    try:
        with image.open(path) as picture:
            mode, kind, tile = picture.mode, picture.format, next(iter(picture.tile), None)
            notes = _notes(picture, tile)
            many = getattr(picture, "n_frames", 1) > 1
            ones = sequence.Iterator(picture) if many else [picture]
            frames = [tones(turn.exif_transpose(one)) for one in ones]
    except image.DecompressionBombError as error:
        raise ValueError(f"{path.name} is larger than Pillow reads: {error} Save it as TIFF.") from error
    grey = [without_colour(frame) for frame in frames]
    coloured = next((frame for frame, colour in grey if colour), None)
    stack = coloured if coloured is not None else np.stack([_as_stored(frame, tile) for frame, _ in grey])
    return [in_memory(path.stem, stack, metadata={"mode": mode, "format": kind, "notes": notes})]


def tones(frame: Any) -> np.ndarray:
    """Return a Pillow image as grey (H, W), or as red, green and blue (H, W, 3) where it has colours."""
    if frame.mode in ("1", "L", "I", "F") or frame.mode.startswith("I;"):
        return np.array(frame)
    if frame.mode in ("LA", "La"):
        return np.array(frame.convert("LA"))[..., 0]
    return np.array(frame.convert("RGBA"))[..., :3]


def _notes(picture, tile):
    notes = [LOSSY] if picture.format == "JPEG" else []
    if picture.mode in ("LA", "La", "PA", "RGBA", "RGBa"):
        notes.append(NO_ALPHA)
    if tile is not None and ";16" in str(tile[3]) and not picture.mode.startswith(("I", "F")):
        notes.append(_CUT)
    return notes


def _as_stored(frame, tile):
    """Counts of a PGM file as they stand in it: Pillow stretches them from the file's range to its own."""
    if tile is None or not tile[0].startswith("ppm") or frame.dtype.kind not in "iu":
        return frame
    largest = tile[3][-1]
    return np.rint(frame * (largest / (65535 if largest > 255 else 255))).astype(frame.dtype)
