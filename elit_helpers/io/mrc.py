"""What the header of an MRC file says of its bytes: their order, and whether the smallest numbers are signed.

RosettaSciIO reads each file as little-endian and each byte as unsigned.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import numpy as np

_IMOD = 1146047817
_MRC2014 = 20140


def read_mrc(reader: Callable, path: str, **options: Any) -> list[dict[str, Any]]:
    """Call RosettaSciIO's reader of MRC and give its arrays the type that the header says."""
    with open(path, "rb") as file:
        header = file.read(1024)
    if len(header) < 1024:
        raise ValueError(f"it ends after {len(header)} of 1,024 bytes of its header")
    order = ">" if struct.unpack_from("<I", header)[0] >= 2**16 else "<"  # no picture is as wide as that
    found = reader(path, endianness=order, **options)
    for one in found:
        kind = one["data"].dtype.newbyteorder(order)
        one["data"] = one["data"].view(np.dtype(np.int8) if _signed_bytes(header, order) else kind)
    return found


def _signed_bytes(header, order):
    """MRC2014 has signed bytes; IMOD says which with a flag of its own; before, most were unsigned."""
    (mode,) = struct.unpack_from(f"{order}i", header, 12)
    if mode != 0:
        return False
    smallest, largest = struct.unpack_from(f"{order}2f", header, 76)
    (version,) = struct.unpack_from(f"{order}i", header, 108)
    stamp, flags = struct.unpack_from(f"{order}2i", header, 152)
    if stamp == _IMOD:
        return bool(flags & 1)
    return largest <= 127 and (smallest < 0 or version >= _MRC2014)
