"""Checks of the learners' answers: right, wrong (and why), still missing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from elit_helpers._common import check_choice

_CHECKS: dict[str, Callable[[Any], tuple[bool, str]]] = {}
_MARKS = {"right": "✅", "wrong": "❌", "missing": "✏️"}


@dataclass(frozen=True)
class Verdict:
    """What is said of an answer: a status (``"right"``, ``"wrong"``, ``"missing"``) and a sentence."""

    status: str
    message: str

    def __str__(self) -> str:
        return f"{_MARKS[self.status]} {self.message}"

    __repr__ = __str__

    def _repr_markdown_(self) -> str:
        return str(self)


def exercise(number: str) -> Callable:
    """Register the check of an exercise: a function from the answer to (is it right, why)."""

    def register(judge: Callable[[Any], tuple[bool, str]]) -> Callable:
        _CHECKS[number] = judge
        return judge

    return register


def check(number: str, answer: Any = ...) -> Verdict:
    """Judge the answer to an exercise.

    Parameters
    ----------
    number
        Of the exercise, such as ``"04.3"``.
    answer
        The learner's; ``...`` or None counts as not given yet.

    Returns
    -------
    Verdict
        Never an exception for a wrong answer; a wrong type is a wrong answer and is told so.

    Raises
    ------
    ValueError
        If there is no exercise of that number.
    """
    check_choice("number", number, sorted(_CHECKS))
    if answer is ... or answer is None:
        return Verdict("missing", f"Exercise {number} waits for your answer: put it in place of the dots.")
    try:
        right, why = _CHECKS[number](answer)
    except (TypeError, ValueError, KeyError, AttributeError, IndexError) as error:
        return Verdict(
            "wrong", f"That is a {type(answer).__name__}, which this exercise cannot judge ({error})."
        )
    return Verdict("right" if right else "wrong", why)


def near(answer: Any, expected: float, tolerance: float) -> bool:
    """Return whether a number lies within `tolerance` of the expected one."""
    return bool(abs(float(np.asarray(answer).item()) - expected) <= tolerance)


# --------------------------------------------------------------------------- 00 start here
@exercise("00.1")
def _pixel_size_in_per_cent(answer: Any) -> tuple[bool, str]:
    from elit_helpers import data, images

    movie = data.load_movie("development")
    off = 100 * (
        movie.pixel_size / images.calibrate(movie.frames[0], nominal=movie.pixel_size).pixel_size - 1
    )
    if near(answer, off, 0.3):
        return True, f"Yes: {off:+.1f} %, and with it every distance you would have measured."
    if near(answer, off / 100, 0.003):
        return False, "That is the fraction; per cent are a hundred times that."
    if near(answer, -off, 0.3):
        return (
            False,
            "The size is right, the sign is not: is the file's pixel larger or smaller than the lattice's?",
        )
    return False, "Divide the file's pixel size by the lattice's, subtract one, and take per cent."
