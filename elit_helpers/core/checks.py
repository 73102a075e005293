"""Checks at the door, errors of our own, random generators, late imports, progress."""

from __future__ import annotations

import importlib
import logging
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

HOME = "https://github.com/elit-course/elit-course"
"""Where the project is published; `tools/set_home.py` changes it everywhere at once."""

RandomState = int | np.random.Generator | None
PathLike = str | os.PathLike

logger = logging.getLogger("elit_helpers")


class ElitError(RuntimeError):
    """Base of the errors that are not a wrong argument: what could not be done, and what to do next."""


class NoAtomsFound(ElitError):
    """No atom was found, or none was kept."""


class CorruptEnsemble(ElitError):
    """A saved ensemble or checkpoint is incomplete or was changed; nothing of it is used."""


class EngineMissing(ElitError, ImportError):
    """The engine that was asked for is not installed."""


def resolve_rng(rng: RandomState = None) -> np.random.Generator:
    """Return the generator that `rng` stands for: itself, a seed, or fresh entropy.

    Parameters
    ----------
    rng
        A `numpy.random.Generator`, a non-negative integer seed, or None.

    Raises
    ------
    TypeError
        If `rng` is none of these.
    ValueError
        If the seed is negative.
    """
    if isinstance(rng, np.random.Generator):
        return rng
    if rng is None:
        return np.random.default_rng()
    if isinstance(rng, bool) or not isinstance(rng, (int, np.integer)):
        raise TypeError(
            f"`rng` is {rng!r}; it must be an integer seed, a numpy.random.Generator or None. "
            "Pass rng=1 for a run that can be repeated."
        )
    if rng < 0:
        raise ValueError(f"`rng` is {rng}; a seed must not be negative. Pass rng=1, for example.")
    return np.random.default_rng(int(rng))


def spawn_seeds(rng: RandomState, n: int) -> list[int]:
    """Draw `n` seeds to hand out and to write down: one for each member, frame or replica."""
    return [int(seed) for seed in resolve_rng(rng).integers(0, 2**31 - 1, n)]


def require(package: str, reason: str, extra: str | None = None) -> ModuleType:
    """Import a heavy or optional package where it is needed.

    Parameters
    ----------
    package
        Name to import, such as ``"tblite.ase"``.
    reason
        What needs it, as the start of a sentence: ``"GFN1-xTB"``.
    extra
        The extra of elit-helpers that installs it, if there is one.

    Raises
    ------
    EngineMissing
        If it cannot be imported (also an `ImportError`). The text says how to install it.
    """
    try:
        return importlib.import_module(package)
    except ImportError as error:
        root = package.split(".", 1)[0]
        if error.name is not None and error.name.split(".", 1)[0] != root:
            raise EngineMissing(
                f"{reason} requires {root}, which is installed but cannot be loaded: {error}. "
                "Run `python -m elit_helpers check` to see what is missing."
            ) from error
        wanted = f"pip install 'elit-helpers[{extra}]'" if extra else f"pip install {root}"
        raise EngineMissing(
            f"{reason} requires {root}, which cannot be imported ({error}). "
            f"Install it with `{wanted}` or `conda install -c conda-forge {root}`."
        ) from error


def progress(
    iterable: Iterable[Any] | None = None, *, total: int | None = None, desc: str = "", enabled: bool = False
) -> Any:
    """Return a tqdm bar over `iterable`; silent unless `enabled`.

    It stays where it ended, so that a notebook that was run shows what took how long. With no iterable
    the bar is moved by hand through its `update` method.
    """
    from tqdm.auto import tqdm

    return tqdm(iterable, total=total, desc=desc, disable=not enabled)


def check_choice(name: str, value: Any, allowed: Sequence[Any]) -> Any:
    """Return `value` if it is one of `allowed`, else raise a ValueError that lists them."""
    if value not in allowed:
        raise ValueError(f"`{name}` is {value!r}; choose one of {', '.join(map(repr, allowed))}.")
    return value


def check_path(name: str, value: Any) -> Path:
    """Return a path of a file or folder; ``~`` is the home.

    Raises
    ------
    TypeError
        If it is neither text nor a path.
    ValueError
        If it is empty, as a variable of the shell is that was never set: it would stand for the working
        directory.
    """
    text = os.fspath(value) if isinstance(value, os.PathLike) else value
    if not isinstance(text, str):
        raise TypeError(f"`{name}` is {value!r}; it must be the path of a file or folder, as text or a Path.")
    if not text.strip() or "\0" in text:
        raise ValueError(
            f"`{name}` is {text!r}, which names no file or folder. Is a variable not set? "
            "Write '.' where the working directory is meant."
        )
    return Path(text).expanduser()


def check_count(name: str, value: Any, at_least: int = 1, *, otherwise: str = "") -> int:
    """Return `value` as an int if it is a whole number from `at_least` up, else raise a ValueError.

    True and 2.0 are no counts. `otherwise` says what else would be allowed, as the end of a sentence.
    """
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < at_least:
        allowed = f"a whole number from {at_least} up{otherwise and f', or {otherwise}'}"
        raise ValueError(f"`{name}` is {value!r}; it must be {allowed}.")
    return int(value)


def check_positive(name: str, value: Any, *, unit: str = "") -> float:
    """Return `value` as a float if it is a finite number above zero, else raise a ValueError."""
    number = _finite(value)
    if not number > 0:
        raise ValueError(
            f"`{name}` is {value!r}; it must be a finite number above zero{unit and f' [{unit}]'}."
        )
    return number


def check_at_least(name: str, value: Any, least: float, *, unit: str = "") -> float:
    """Return `value` as a float if it is a finite number of at least `least`, else raise a ValueError."""
    number = _finite(value)
    if not number >= least:
        raise ValueError(
            f"`{name}` is {value!r}; it must be a finite number of at least {least:g}{unit and f' [{unit}]'}."
        )
    return number


def _finite(value: Any) -> float:
    """Return `value` as a float, or NaN if it is no finite number."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return np.nan
    return number if np.isfinite(number) else np.nan


def check_pixel_size(value: Any, name: str = "pixel_size") -> float:
    """Return a pixel size [Å/px], refusing what no STEM frame of atoms can have.

    Raises
    ------
    ValueError
        If it is missing, not positive, or outside 0.005–1 Å/px, which mostly means another unit.
    """
    if value is None:
        raise ValueError(
            f"`{name}` is None: the image carries no pixel size. Pass it in Å/px (field of view divided by "
            "pixels), or measure it from the lattice with `calibrate(image)`."
        )
    number = check_positive(name, value, unit="Å/px")
    if not 0.005 <= number <= 1.0:
        raise ValueError(
            f"`{name}` is {number:g} Å/px; frames that resolve atoms have 0.005 to 1 Å/px. "
            "Is the value in nm or pm? Multiply nm by 10, divide pm by 100."
        )
    return number


def check_frames(images: Any, name: str = "image") -> np.ndarray:
    """Return images as float32 of shape (N, H, W); a single (H, W) image becomes N = 1.

    Raises
    ------
    TypeError
        If the array is not numeric.
    ValueError
        If it has another number of dimensions, is smaller than 16×16, is constant, or holds NaN or infinity.
    """
    array = np.asarray(images)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"`{name}` has dtype {array.dtype}; it must hold real numbers.")
    if array.ndim == 2:
        array = array[None]
    if array.ndim != 3:
        raise ValueError(
            f"`{name}` has shape {array.shape}; it must be (H, W) or (N, H, W). "
            "Take one channel of a colour picture, or one detector of a 4-D stack, first."
        )
    if min(array.shape[1:]) < 16 or not len(array):
        raise ValueError(
            f"`{name}` has shape {array.shape}; frames must be at least 16×16 px and there must be one."
        )
    frames = np.asarray(array, np.float32)
    for i, frame in enumerate(frames):
        if not np.isfinite(frame).all():
            raise ValueError(
                f"`{name}`: frame {i} holds {np.count_nonzero(~np.isfinite(frame))} pixels that are NaN or "
                "infinite. "
                "Replace them (for example by the median of their neighbours) or leave the frame out."
            )
        if frame.min() == frame.max():
            raise ValueError(f"`{name}`: frame {i} is constant ({frame.flat[0]:g} everywhere). Leave it out.")
    return frames
