"""What files say of a picture, in one language: lengths in Å, settings under fixed names."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

_TO_ANGSTROM = {
    "å": 1.0, "angstrom": 1.0, "angström": 1.0, "a": 1.0, "ang": 1.0, "nm": 10.0, "nanometer": 10.0,
    "nanometre": 10.0, "pm": 0.01, "picometer": 0.01, "picometre": 0.01, "um": 1e4, "µm": 1e4, "μm": 1e4,
    "micron": 1e4, "micrometer": 1e4, "micrometre": 1e4, "mm": 1e7, "cm": 1e8, "m": 1e10, "meter": 1e10,
    "metre": 1e10,
}  # fmt: skip
_SECONDS = {"s": 1.0, "sec": 1.0, "second": 1.0, "ms": 1e-3, "µs": 1e-6, "μs": 1e-6, "us": 1e-6}
_SLASH_OR_POWER = re.compile(r"^1\s*/|\^?\s*-\s*1$|⁻¹$|^m?rad|^deg")

# Where makers write a setting: the end of its dotted path in lower case, and the factor to our unit.
# HyperSpy's own tree stands first, because RosettaSciIO has already brought many makers into it.
_PLACES: dict[str, tuple[tuple[str, float], ...]] = {
    "voltage_kV": (
        (r"acquisition_instrument\.\w+\.beam_energy", 1.0),
        (r"voltage_kv", 1.0),
        (r"acc voltage", 1.0),
        (r"high tension_kv", 1.0),
        (r"optics\.accelerationvoltage", 1e-3),
        (r"microscope info\.voltage", 1e-3),
        (r"imagescanned\.eht", 1e-3),
        (r"instrument\.high_tension", 1e-3),
    ),
    "dwell_us": (
        (r"dwell_us", 1.0),
        (r"scan\.dwelltime", 1e6),
        (r"digiscan\.sample time", 1.0),
        (r"pixeltime\(us\)", 1.0),
        (r"pixel_time_us", 1.0),
        (r"dwell time( path)?_s", 1e6),
    ),
    "frame_time_s": ((r"frame_time_s", 1.0), (r"scan\.frametime", 1.0), (r"frame time_s", 1.0)),
    "magnification": (
        (r"acquisition_instrument\.\w+\.magnification", 1.0),
        (r"indicated magnification", 1.0),
        (r"magnification", 1.0),
        (r"magnification_x", 1.0),
    ),
    "camera_length_mm": ((r"acquisition_instrument\.\w+\.camera_length", 1.0),),
    "convergence_mrad": (
        (r"acquisition_instrument\.\w+\.convergence_angle", 1.0),
        (r"convergence_mrad", 1.0),
        (r"optics\.beamconvergence", 1e3),
    ),
    "current_pA": (
        (r"acquisition_instrument\.\w+\.beam_current", 1e3),
        (r"current_pa", 1.0),
    ),
}
_WORDS: dict[str, tuple[str, ...]] = {
    "detector": (
        r"binaryresult\.detector", r"detectormetadata\.detectorname", r"superscan\.channelname",
        r"acquisition_instrument\.\w+\.detector", r"detector", r"signal name", r"type of data",
    ),
    "microscope": (r"acquisition_instrument\.\w+\.microscope", r"microscope info\.microscope", r"microscope"),
    "date": (r"general\.date", r"date"),
    "time": (r"general\.time", r"time"),
    "title": (r"general\.title",),
    "sample": (r"sample\.description", r"sample name", r"sample"),
}  # fmt: skip
SETTINGS = (*_PLACES, *_WORDS)
"""Names under which `metadata` holds what a file says of the microscope, where it does."""


def plain_unit(unit: Any) -> str:
    """Return a unit as it is meant: without escapes (ImageJ writes ``\\u00B5m``), case or plural."""
    text = "" if unit is None else str(unit).strip()
    if "\\u" in text:
        text = re.sub(r"\\u([0-9A-Fa-f]{4})", lambda found: chr(int(found[1], 16)), text)
    text = text.lower()
    return text if text in _TO_ANGSTROM or text in _SECONDS else text.removesuffix("s")


def to_angstrom(scale: Any, unit: Any) -> float | None:
    """Return a length [Å] if the unit is one of length and the number says something."""
    factor, number = _TO_ANGSTROM.get(plain_unit(unit)), _number(scale)
    return None if factor is None or number is None else number * factor


def to_seconds(scale: Any, unit: Any) -> float | None:
    """Return a time [s] if the unit is one of time."""
    factor, number = _SECONDS.get(plain_unit(unit)), _number(scale)
    return None if factor is None or number is None else number * factor


def is_reciprocal(unit: Any) -> bool:
    """Return True for 1/nm, mrad and the like: a diffraction pattern, not a picture of atoms."""
    return bool(_SLASH_OR_POWER.search(str(unit or "").strip().lower()))


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def mapped(signal: Mapping[str, Any]) -> dict[str, Any]:
    """Return a RosettaSciIO signal's metadata with what its `mapping` takes over from the original ones."""
    tree = _copy(signal.get("metadata") or {})
    for source, (target, function) in (signal.get("mapping") or {}).items():
        value: Any = signal.get("original_metadata") or {}
        try:
            for key in source.split("."):
                value = value[key]
            value = function(value) if callable(function) else value
        except (KeyError, IndexError, TypeError, ValueError, AttributeError):
            continue  # not in this file, or not as that maker usually writes it
        *folders, last = target.split(".")
        place = tree
        for folder in folders:
            place = place.setdefault(folder, {})
            if not isinstance(place, dict):
                break
        else:
            if value is not None:
                place[last] = value
    return tree


def _copy(tree: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _copy(value) if isinstance(value, Mapping) else value for key, value in tree.items()}


def settings(*trees: Mapping[str, Any]) -> dict[str, Any]:
    """Find the microscope's settings in nested metadata, earlier trees first.

    Returns
    -------
    dict
        Those of `SETTINGS` that are there: ``voltage_kV``, ``dwell_us`` (time at a pixel), ``frame_time_s``,
        ``magnification``, ``camera_length_mm``, ``convergence_mrad`` (half angle), ``current_pA``,
        ``detector``, ``microscope``, ``date``, ``time``, ``title``, ``sample``.
    """
    leaves = [(path.lower(), value) for tree in trees for path, value in _leaves(tree)]
    found = {}
    for name, places in _PLACES.items():
        for pattern, factor in places:
            value = _first(leaves, pattern, _number)
            if value is not None and value > 0:
                found[name] = value * factor
                break
    for name, patterns in _WORDS.items():
        value = next(filter(None, (_first(leaves, pattern, _word) for pattern in patterns)), None)
        if value:
            found[name] = value
    return found


def _first(leaves, pattern: str, read: Callable) -> Any:
    ends = re.compile(rf"(?:^|\.){pattern}$")
    return next((v for path, leaf in leaves if ends.search(path) and (v := read(leaf)) is not None), None)


def _word(value: Any) -> str | None:
    text = value.strip() if isinstance(value, str) else ""
    return text if text and text.lower() not in ("na", "n/a", "none", "unknown") else None


def _leaves(tree: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        path = f"{above}.{key}" if above else str(key)
        if isinstance(value, Mapping):
            yield from _leaves(value, path)
        else:
            yield path, value
