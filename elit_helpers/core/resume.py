"""One way to go on: a job says what it computes, and only the same job goes on with what is kept of it."""

from __future__ import annotations

import hashlib
import json
import reprlib
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from elit_helpers.core.checks import CorruptEnsemble, PathLike, check_path
from elit_helpers.core.files import atomic_write


@dataclass(frozen=True)
class Job:
    """What is computed, and the folder that keeps what is finished of it.

    Attributes
    ----------
    folder
        Where; None keeps nothing.
    description
        All that the result depends on; where it is kept, as JSON gives it back.
    begun
        True where an earlier call had begun it.
    """

    folder: Path | None
    description: dict[str, Any]
    begun: bool = False

    @classmethod
    def open(
        cls,
        folder: PathLike | None,
        description: dict[str, Any],
        *,
        name: str = "job.json",
        free: Collection[str] = (),
    ) -> Job:
        """Begin a job in a folder that is new or empty, or go on with the same one.

        Parameters
        ----------
        folder
            Where what is finished is kept; None keeps nothing.
        description
            All that the result depends on: what JSON can say, and arrays, for which their fingerprints stand.
        name
            Of the file in the folder that holds the description.
        free
            What may differ from the call that began it; the job goes on with the values of that call.

        Raises
        ------
        ValueError
            If the folder holds another job, or something else; nothing in it is touched.
        CorruptEnsemble
            If the description in it cannot be read.
        """
        if folder is None:
            return cls(None, description)
        folder, given = check_path("checkpoint", folder), plain(description)
        path = folder / name
        if path.is_file():
            return cls(folder, go_on(folder, read_json(path), given, free), begun=True)
        _check_empty(folder, name)
        with atomic_write(path) as target:
            target.write_text(json.dumps(given, indent=1) + "\n", encoding="utf-8")
        return cls(folder, given)


def go_on(
    where: PathLike, stored: dict[str, Any], given: dict[str, Any], free: Collection[str] = ()
) -> dict[str, Any]:
    """Return the description of the job that is kept in a file or folder, if this call asks for the same.

    Raises
    ------
    ValueError
        If it is another; all that differs is named, with both values.
    """
    old, new = _leaves(stored), _leaves(plain(given))
    names = [
        name
        for name in sorted({*old, *new})
        if old.get(name) != new.get(name) and (name not in free or old.get(name) is None)
    ]
    if names:
        values = "; ".join(
            f"{name} = {reprlib.repr(old.get(name))}, and this call has {reprlib.repr(new.get(name))}"
            for name in names
        )
        kind = "folder" if Path(where).is_dir() else "file"
        raise ValueError(
            f"{where} holds a run with other {', '.join(names)}: {values}. Give the same arguments to go on "
            f"with it, delete the {kind} to begin anew, or name another."
        )
    return stored


def fingerprint(value: Any) -> str:
    """Return the SHA-256 of an array's dtype, shape and values, or of nested lists and dicts of such.

    Bits decide: -0.0 is not 0.0, and NaN is itself. The order in memory and that of the keys do not matter.
    """
    if not isinstance(value, np.ndarray):
        return hashlib.sha256(_text(value).encode()).hexdigest()
    if value.dtype.hasobject:
        raise TypeError(f"An array of {value.dtype} has no values to compare; pass numbers or fixed strings.")
    digest = hashlib.sha256(f"{value.dtype!r} {value.shape}".encode())
    digest.update(np.asarray(value, order="C").reshape(-1).view(np.uint8))
    return digest.hexdigest()


def plain(value: Any) -> Any:
    """Return a value as it comes back from a file: tuples are lists, for an array stands its fingerprint."""
    return json.loads(_text(value))


def read_json(path: Path) -> dict[str, Any]:
    """Return what a record of finished work says.

    Raises
    ------
    CorruptEnsemble
        If it was cut off, or is missing.
    """
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise CorruptEnsemble(
            f"{path} cannot be read ({error}). Delete the folder {path.parent} to begin it anew."
        ) from error


def _text(value: Any) -> str:
    return json.dumps(value, default=_stand_in, sort_keys=True, allow_nan=False)


def _stand_in(value: Any) -> Any:
    """What is written in place of what JSON does not know."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return fingerprint(value)
    raise TypeError(f"{value!r} cannot be part of a job's description; use numbers, text and arrays.")


def _leaves(value: Any, name: str = "") -> dict[str, Any]:
    """Return the values of nested dicts by dotted names, such as ``settings.steps``."""
    if not isinstance(value, dict):
        return {name: value}
    leaves: dict[str, Any] = {}
    for key, part in value.items():
        leaves |= _leaves(part, f"{name}.{key}" if name else key)
    return leaves


def _check_empty(folder: Path, name: str) -> None:
    """Refuse a folder with anything in it but what a killed `atomic_write` of the description left."""
    held = "is a file" if folder.is_file() else ""
    if folder.is_dir():
        others = sorted(p.name for p in folder.iterdir() if not p.name.startswith(f".{name}-"))
        held = f"holds {', '.join(others[:3])} but no {name}" if others else ""
    if held:
        raise ValueError(
            f"{folder} is in the way: it {held}, so it is no run to go on with. Move it away, or name a "
            "folder that is new or empty."
        )
