"""TIFF: which pages belong together, and the scale they say, by tifffile.

It is not left to RosettaSciIO, which reads a series whole and carries out no tag on the numbers; what it
knows of the makers' private tags is borrowed.
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

from elit_helpers.core.checks import EngineMissing, require
from elit_helpers.io import rosettasciio
from elit_helpers.io.axes import plain_unit, settings, to_angstrom, to_seconds
from elit_helpers.io.frames import Signal, in_memory
from elit_helpers.io.tiff_pages import (
    BROKEN,
    Pages,
    frames_per_page,
    is_colour,
    is_one_block,
    is_white_zero,
    no_intensities,
    notes_on_tags,
    orientation,
)
from elit_helpers.io.tones import Coloured, turned_round

_CUT_SHORT = re.compile(r"failed to reshape|corrupted|truncated|invalid page offset|is missing")

_PRIVATE, _FREE_TEXT = 32768, (270, 271)  # codes of tags; those of description and maker


def read_tiff(path: Path) -> list[Signal]:
    """Return a signal for each series of pages that belong together; of their numbers none is read yet."""
    tifffile = require("tifffile", "Reading TIFF")
    try:
        with rosettasciio.heard("tifffile") as said, tifffile.TiffFile(path) as file:
            signals = [_signal(path, file, number) for number in range(len(file.series))]
            maker = _is_a_makers(file)
    except EngineMissing:
        raise
    except (tifffile.TiffFileError, *BROKEN) as error:
        raise ValueError(f"{path.name} could not be read as TIFF: {error}. Is the file whole?") from error
    if cut := next((line for line in said if _CUT_SHORT.search(line)), None):
        raise ValueError(f"{path.name} could not be read as TIFF: {cut}. Is the file whole?")
    if maker and not any(any(signal.sizes) for signal in signals):
        _borrow_axes(path, signals)
    return signals


def _signal(path, file, number):
    """One series: pages of one shape."""
    series, pages = file.series[number], Pages(path, number)
    page, shape = series.keyframe, _shape(series)
    described: dict[str, Any] = _scale(file, number)
    described["metadata"]["notes"] = notes_on_tags(file, page)
    described["why_not"] = _smaller_copy(file, page) or no_intensities(file, page)
    if orientation(page) > 4:
        described["sizes"] = described["sizes"][::-1]
    title = series.name or f"series {number}"
    if shape is None:  # of a maker whose pages tifffile puts together in a way of its own
        array = series.asarray()
        return in_memory(title, turned_round(array) if is_white_zero(page) else array, **described)
    if is_colour(page) and not described["why_not"]:
        try:
            pages(0, 1)
        except Coloured as error:  # of a stack, later frames are looked at when they are read
            described["why_not"] = str(error)
    return Signal(title, shape, series.dtype, pages, block=frames_per_page(page), **described)


def _shape(series):
    """Frames, rows and columns of a series, or None where its pages are no frames one behind the other."""
    page, shape = series.keyframe, tuple(series.shape)
    many, one = shape[: len(shape) - len(page.shape)], shape[len(shape) - len(page.shape) :]
    if series.transform is not None or one != tuple(page.shape):
        return None
    if not is_one_block(series) and math.prod(many) != len(series):
        return None
    size = (page.imagelength, page.imagewidth)
    within = (page.imagedepth, frames_per_page(page) // page.imagedepth)
    return *(n for n in (*many, *within) if n > 1), *(size[::-1] if orientation(page) > 4 else size)


def _smaller_copy(file, page):
    """Why a page is no picture of its own: the file says that it is a thumbnail of another."""
    others = page.subifds or any(not one.keyframe.is_reduced for one in file.series)
    return "a smaller copy of another picture" if page.is_reduced and others else ""


def _scale(file, number):
    """Sizes and settings that ImageJ or OME wrote, or the tags for the resolution."""
    page, imagej = file.series[number].keyframe, file.imagej_metadata or {}
    if file.is_ome and (pixels := _ome_pixels(file, number)):
        return _ome_scale(pixels)
    unit = plain_unit(imagej.get("unit"))
    code = page.tags.get("ResolutionUnit")
    if not unit and code is not None and int(code.value) == 3:
        unit = "cm"  # programs write inches when they know nothing; those mean nothing here
    units = plain_unit(imagej.get("yunit")) or unit, unit
    tags = page.tags.get("YResolution"), page.tags.get("XResolution")
    sizes = tuple(
        to_angstrom(tag.value[1] / tag.value[0], one) if tag is not None and tag.value[0] else None
        for tag, one in zip(tags, units)
    )
    metadata = {"unit": unit} | settings(imagej)
    if interval := imagej.get("finterval"):
        metadata.setdefault("frame_time_s", float(interval))
    return {"sizes": sizes, "metadata": metadata}


def _ome_pixels(file, number):
    """What OME's XML says of the pixels of a series; each image there is one."""
    tree = require("tifffile", "Reading TIFF").xml2dict(file.ome_metadata)
    images = tree.get("OME", {}).get("Image", [])
    images = [images] if isinstance(images, dict) else images
    if len(images) != len(file.series):
        images = [image for image in images if image.get("Name") == file.series[number].name]
        number = 0
    return images[number].get("Pixels") if number < len(images) else None


def _ome_scale(pixels):
    units = [pixels.get(f"PhysicalSize{axis}Unit", "µm") for axis in "YX"]  # µm is what the schema says
    sizes = tuple(to_angstrom(pixels.get(f"PhysicalSize{a}"), unit) for a, unit in zip("YX", units))
    metadata: dict[str, Any] = {"unit": units[1] if any(sizes) else ""}
    if seconds := to_seconds(pixels.get("TimeIncrement"), pixels.get("TimeIncrementUnit", "s")):
        metadata["frame_time_s"] = seconds
    return {"sizes": sizes, "metadata": metadata}


def _is_a_makers(file):
    """True if there are tags in which a maker may have written something that is not told otherwise."""
    tags = file.pages.first.tags
    told = file.is_shaped or file.is_imagej or file.is_ome
    return any(tag.code >= _PRIVATE or (tag.code in _FREE_TEXT and not told) for tag in tags)


def _borrow_axes(path, signals):
    """Take scale and settings from RosettaSciIO, which knows the private tags of several makers."""
    for plugin in rosettasciio.plugins(".tif"):
        try:
            others = rosettasciio.read_axes(path, plugin)
        except (ValueError, EngineMissing):
            continue  # the picture itself is read already; nothing is known of its scale
        for signal, (sizes, metadata) in zip(signals, others):
            if not signal.metadata.get("unit"):
                said = {"notes": signal.metadata["notes"] + metadata.get("notes", [])}
                signal.sizes, signal.metadata = sizes, metadata | signal.metadata | said
                signal.metadata["unit"] = metadata.get("unit", "")
