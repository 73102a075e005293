"""A real frame or movie that was fetched → its frames, with what is known of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from elit_helpers.core.checks import check_choice, check_pixel_size
from elit_helpers.data.pickled import read_plain
from elit_helpers.data.registry import Entry, local_copy
from elit_helpers.io.frames import Signal, in_memory
from elit_helpers.io.micrograph import Micrograph, load_image, micrograph_of


def read_item(entry: Entry, path: Path, item: Any = None) -> Signal:
    """Return one picture or movie of a collection, the first if `item` is None; large ones are not read yet.

    Raises
    ------
    ValueError
        If there is no such item, or the collection is not built as it was.
    """
    content = read_plain(path)
    whole = isinstance(content, dict) and content and all(isinstance(v, dict) for v in content.values())
    if not whole or not all(isinstance(v.get(entry.image), np.ndarray) for v in content.values()):
        raise ValueError(f"{path.name} is not a dict of dicts with an array {entry.image!r} each.")
    item = check_choice("item", next(iter(content)) if item is None else item, tuple(content))
    part = dict(content[item])
    array = part.pop(entry.image)
    own = part.pop("metadata", None)
    metadata = own if isinstance(own, dict) else {} if own is None else {"metadata": own}
    array, n_filled = _fill_gaps(array)
    if n_filled:
        metadata["pixels_filled"] = n_filled
        metadata["notes"] = [f"{n_filled} pixels were NaN or infinite; they have the median of the rest now."]
    try:
        size = 10 * float(metadata["scan size"]) / array.shape[-1]  # nm, as in the files of the same authors
    except (KeyError, TypeError, ValueError):
        size = None
    metadata |= part | {"item": item, "items": list(content)}
    return in_memory(str(item), array, sizes=(size, size), metadata=metadata)


def _fill_gaps(array: np.ndarray) -> tuple[np.ndarray, int]:
    """Return an array with its median in the place of NaN and infinity, and their number."""
    bad = ~np.isfinite(array) if array.dtype.kind == "f" else np.zeros(1, bool)
    n = int(np.count_nonzero(bad))
    return (np.where(bad, np.median(array[~bad]), array), n) if 0 < n < array.size else (array, 0)


def load_real(name: str, item: Any = None, *, pixel_size: float | None = None) -> Micrograph:
    """Load a real frame or movie that is on this machine; nothing is downloaded.

    Parameters
    ----------
    name
        One of `real_frames()`. `fetch` brings it.
    item
        Which movie or composition of a collection, the first if None; ``metadata["items"]`` lists them.
    pixel_size
        [Å/px]. Counts before the file's own, which stays in ``metadata["pixel_size_file_A"]``.

    Returns
    -------
    Micrograph
        Its metadata hold ``shows``, ``licence``, ``citation`` and, where they are known,
        ``pixel_size_lattice_A`` and ``pixel_size_nominal_A``. What an item of a collection holds besides the
        picture is there too, and pixels without a value are filled and counted (``pixels_filled``).

    Raises
    ------
    FileNotFoundError
        If it is not on this machine; the text says how to get it.
    DownloadFailed
        If the copy is not what it should be.
    ValueError
        For an unknown name or item, or a name that stands for parameter files.
    """
    entry, path = local_copy(name)
    if entry.kind == "parameters":
        raise ValueError(f"{name!r} is parameters, not a picture: `eh.fetch({name!r})` gives its folder.")
    if entry.kind == "frame":
        if item is not None:
            raise ValueError(f"`item` is {item!r}; {name!r} is one frame. Leave `item` out.")
        real = load_image(path, pixel_size=pixel_size)
    else:
        given = None if pixel_size is None else check_pixel_size(pixel_size)
        chosen = read_item(entry, path, item)
        real = micrograph_of(chosen, [], path, given, "auto")
    return replace(real, name=name, metadata=real.metadata | entry.facts)
