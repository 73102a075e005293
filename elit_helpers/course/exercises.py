"""Checks of the learners' answers: right, wrong (and why), still missing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from elit_helpers.core.checks import check_choice

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
    from elit_helpers.calibration.pixel_size import calibrate
    from elit_helpers.data.shipped import load_movie

    movie = load_movie("development")
    off = 100 * (movie.pixel_size / calibrate(movie.frames[0], nominal=movie.pixel_size).pixel_size - 1)
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


# --------------------------------------------------------------------------- 01 data preparation
@exercise("01.1")
def _pixel_from_reflections(answer: Any) -> tuple[bool, str]:
    spacing, share = 2.46 * np.sqrt(0.75), 23.0 / 512
    expected = spacing * share
    if near(answer, expected, 0.0006):
        return True, f"Yes: {expected:.4f} Å/px. {spacing:.2f} Å between lattice rows, 23 rows in 512 pixels."
    if near(answer, 2.46 * share, 0.0006):
        return False, "That takes the lattice constant, 2.46 Å; the rows lie 2.46·√3/2 Å apart."
    if near(answer, 1.42 * share, 0.0006):
        return False, "That takes the bond, 1.42 Å. Which distance do the first reflections stand for?"
    if near(answer, 1 / expected, 0.05):
        return False, "Those are pixels for one ångström; the pixel size is ångström for one pixel."
    return False, "23 rows of lattice fit into 512 pixels: how many Å is that, and how many a pixel?"


@exercise("01.2")
def _dose_for_half_the_noise(answer: Any) -> tuple[bool, str]:
    if near(answer, 4, 0.05):
        return True, "Yes: four times. Counting noise falls with the square root of the dose."
    if near(answer, 2, 0.05):
        return False, "Twice the dose only divides the noise by √2. It is the square root that counts."
    if near(answer, 0.25, 0.01):
        return False, "That is the way to twice the noise; turn it over."
    return False, "Relative noise is √N/N for N counts. By what must N grow for that to halve?"


@exercise("01.3")
def _dose_on_the_sample(answer: Any) -> tuple[bool, str]:
    expected = 537_600
    if near(answer, expected, 0.05 * expected):
        return True, "Yes: about 540 000 per Å². Of a thousand electrons hardly one reaches the detector."
    if near(answer, 400, 1):
        return False, "That is what the detector saw. Most electrons miss it: look for `beam_dose`."
    if near(answer, expected / 100, 0.05 * expected / 100):
        return False, "That is for one pixel of 0.1 Å × 0.1 Å; a hundred of them make 1 Å²."
    return False, "What a carbon atom sends to the detector is a share of the beam; divide by it."


@exercise("01.4")
def _a_material(answer: Any) -> tuple[bool, str]:
    area, columns = 3.282**2 * np.sqrt(0.75), sorted(column[3] for column in answer.columns)
    if len(columns) != 2:
        return (
            False,
            f"Seen from above there are two columns, here {len(columns)}: do the two Se share u and v?",
        )
    if columns != [("Se", "Se"), ("W",)]:
        return False, f"One column is W, the other two Se; here they are {columns}."
    if not near(answer.area, area, 0.005 * area):
        return False, f"The cell should cover {area:.2f} Å², here {answer.area:.2f}. Are the vectors at 60°?"
    if not near(answer.bond, 3.282 / np.sqrt(3), 0.01):
        return (
            False,
            f"W and Se should lie {3.282 / np.sqrt(3):.2f} Å apart in the picture, here {answer.bond:.2f}.",
        )
    return True, f"Yes: columns {answer.bond:.2f} Å apart. Now `eh.sheet` and `eh.calibrate` know it."


# --------------------------------------------------------------------------- 02 ELIT training
@exercise("02.1")
def _spread_of_a_pixel(answer: Any) -> tuple[bool, str]:
    votes = np.array([0.9, 0.8, 0.2, 0.1])
    if near(answer, votes.std(), 0.003):
        return True, f"Yes: {votes.std():.3f}. At the second it is 0: all are sure it cannot be known."
    if near(answer, votes.std(ddof=1), 0.003):
        return False, "That divides by three. The formula divides by the number of members, four."
    if near(answer, votes.var(), 0.003):
        return False, "That is the variance; σ is its root."
    if near(answer, 0, 1e-9):
        return False, "That is the second pixel, where all say the same."
    return False, "Take each member's distance from 0.5, square, average, and take the root."


@exercise("02.2")
def _spread_of_a_position(answer: Any) -> tuple[bool, str]:
    columns = np.array([100.0, 100.4, 99.8, 100.2])
    expected = columns.std(ddof=1) * 0.096
    if near(answer, expected, 4e-4):
        return True, f"Yes: {expected:.3f} Å, a fiftieth of a bond."
    if near(answer, columns.std() * 0.096, 4e-4):
        return False, "Nearly: divide by three, one less than the members, for the mean was made from them."
    if near(answer, columns.std(ddof=1), 4e-3):
        return False, "That is in pixels; a pixel is 0.096 Å."
    return False, "How far is each column from their mean? Square, sum, divide by three, root; then into Å."


@exercise("02.3")
def _disagreement_in_nats(answer: Any) -> tuple[bool, str]:
    votes = np.array([[0.9, 0.8, 0.2, 0.1], [0.1, 0.2, 0.8, 0.9]])
    each = -(votes * np.log(votes)).sum(0).mean()
    whole = np.log(2)  # the mean vote is 0.5
    if near(answer, whole - each, 0.003):
        return True, f"Yes: {whole - each:.3f} nat of the {whole:.3f}; at the second pixel nothing of them."
    if near(answer, (whole - each) / np.log(2), 0.003):
        return False, "That is in bits; with the natural logarithm it is in nat."
    if near(answer, whole, 0.003):
        return False, "That is the entropy of the mean; what the members have on their own is still in it."
    if near(answer, each, 0.003):
        return False, "That is the members' own entropy; take it from the entropy of the mean."
    return False, "The entropy of the mean vote, 0.5, less the mean of the four members' own entropies."


# --------------------------------------------------------------------------- 03 image to structure
@exercise("03.1")
def _pixel_to_structure(answer: Any) -> tuple[bool, str]:
    given = np.asarray(answer, float).ravel()
    if given.shape != (2,):
        return False, f"Give two numbers, (x, y); that were {given.size}."
    x, y = 40 * 0.096, (512 - 1 - 100) * 0.096
    wrong = {
        (y, x): "Those are the right numbers in the wrong order: x runs with the columns.",
        (100 * 0.096, x): "That takes the row for x: the structure would be turned by a quarter.",
        (
            x,
            100 * 0.096,
        ): "x is right. But rows are counted downwards and y upwards: this structure is mirrored.",
        (x, (512 - 100) * 0.096): "Nearly: the last of 512 rows is number 511, and y = 0 lies there.",
        (40.0, 411.0): "Those are pixels; the structure is in Å.",
    }
    if np.allclose(given, (x, y), atol=2e-3):
        return True, f"Yes: x = {x:.2f} Å, y = {y:.2f} Å."
    for candidate, why in wrong.items():
        if np.allclose(given, candidate, atol=2e-3):
            return False, why
    return False, "Multiply the column by the pixel size for x, and count rows from the bottom for y."


@exercise("03.2")
def _small_patch(answer: Any) -> tuple[bool, str]:
    from elit_helpers.geometry.bonds import coordination

    symbols = np.array(answer.get_chemical_symbols())
    if "H" not in symbols:
        return False, "Its edge is open: there is no hydrogen in it. Leave `passivate` True."
    if "Si" not in symbols:
        return False, "The silicon atom is not in it; cut about `centre`."
    if len(answer) > 40:
        return (
            False,
            f"That are {len(answer)} atoms; the limit is 40, hydrogen included. Try a smaller radius.",
        )
    if len(answer) < 25:
        return False, f"With {len(answer)} atoms it fits, but more would too. Try a slightly larger radius."
    if (coordination(answer)[symbols == "H"] != 1).any():
        return False, "A hydrogen has more or less than one bond; build it with `eh.patch`."
    return (
        True,
        f"Yes: {answer.get_chemical_formula()}, {len(answer)} atoms, {np.sum(symbols == 'H')} of them H.",
    )


# --------------------------------------------------------------------------- 04 molecular dynamics
@exercise("04.1")
def _temperature_after_relaxation(answer: Any) -> tuple[bool, str]:
    if near(answer, 150, 20):
        return (
            True,
            "Yes: about 150 K. Half of the motion went into stretching the bonds: equipartition.",
        )
    if near(answer, 300, 25):
        return False, "That would need twice the energy at the start. How do motion and springs share it?"
    if float(answer) > 325:
        return False, "That is the strained sheet. Pass the relaxed one: `relaxed.atoms`."
    return False, "Take the mean of the last rows of `log.temperature_K`, when it has settled."


@exercise("04.2")
def _where_lennard_jones_is_at_rest(answer: Any) -> tuple[bool, str]:
    if near(answer, 2 ** (1 / 6), 0.01):
        return True, "Yes: the sixth root of 2, 1.12 Å. Every bond of graphene is 27 % too long for it."
    if near(answer, 1.0, 0.01):
        return False, "That is σ, where the energy passes zero; its minimum lies a little farther out."
    if near(answer, 1.42, 0.03):
        return False, "That is graphene's bond. The question is where this formula has its minimum."
    return False, "Set the derivative of the energy to zero and solve for r, with σ = 1 Å."


# --------------------------------------------------------------------------- 05 quantum simulations
@exercise("05.1")
def _cost_of_a_vacancy(answer: Any) -> tuple[bool, str]:
    if near(answer, 7.46, 0.1):
        return True, "Yes: about 7.5 eV, as much as density-functional theory says (7.3 to 7.9 eV)."
    if near(answer, -7.46, 0.1):
        return False, "The size is right. Making a defect costs energy: defect minus perfect."
    if 50 < abs(float(answer)) < 60:
        return False, "That is a whole atom with its electrons. Compare with 71 atoms of the perfect sheet."
    return False, "Take the energy of the sheet with the vacancy minus 71/72 of the perfect sheet's."


@exercise("05.2")
def _femtoseconds_in_an_hour(answer: Any) -> tuple[bool, str]:
    if near(answer, 1500, 15):
        return True, "Yes: eight times as long a call, 2.4 s, and 1500 of them in an hour."
    reasons = {
        12000: "That is for 44 atoms.",
        6000: "Not the first power of the number of atoms: the third.",
    }
    if int(float(answer)) in reasons:
        return False, reasons[int(float(answer))]
    return False, "How long is one call for twice as many atoms? Then divide 3600 s by it."


@exercise("05.3")
def _unpaired_electrons(answer: Any) -> tuple[bool, str]:
    if near(answer, 1, 0.01):
        return True, "Yes: 155 electrons, an odd number, so one is left without a partner."
    if near(answer, 0, 0.01):
        return False, "Then all would be paired. Can an odd number be?"
    if near(answer, 155, 0.01):
        return False, "That is how many electrons there are. How many of them have no partner?"
    return False, "24 carbons with six electrons, 11 hydrogens with one: odd or even?"


# --------------------------------------------------------------------------- 06 theory meets experiment
@exercise("06.1")
def _mean_of_a_published_ring(answer: Any) -> tuple[bool, str]:
    if near(answer, 1.544, 0.0015):
        return True, "Yes: 1.544 Å. In this table both heptagons have longer bonds than the short pentagon."
    if near(answer, 1.606, 0.0015):
        return False, "That is the other seven-membered ring, the one with the bond of 2.336 Å."
    if near(answer, 1.430, 0.0015) or near(answer, 1.587, 0.0015):
        return False, "That is a pentagon; count the atoms of the ring."
    if near(answer, 1.544 * 7, 0.02):
        return False, "That is the sum of the seven bonds; the mean is a seventh of it."
    return False, "Take the seven bonds 3–4, 4–13, 13–14, 14–17, 17–18, 18–19 and 19–3 from the table."


@exercise("06.2")
def _noise_lengthens_bonds(answer: Any) -> tuple[bool, str]:
    if near(answer, 0.02 / 2.84, 0.0004):
        return True, "Yes: 0.007 Å, half a per cent, and no number of bonds averages it out."
    if near(answer, 0.0, 1e-9):
        return False, "The moves along the bond average out. But an end that moves sideways, which way?"
    if near(answer, 0.01 / 2.84, 0.0004):
        return False, "That is what one end does; the other end moves too."
    if near(answer, 0.1 * 2**0.5, 0.003) or near(answer, 0.1, 1e-6):
        return False, "That is how much single bonds scatter. The question is about their mean."
    return False, "Put s = 0.1 Å at both ends into the second formula: (s² + s²) / 2d."


@exercise("06.3")
def _euler_of_a_vacancy(answer: Any) -> tuple[bool, str]:
    if near(answer, -6, 1e-6):
        return True, "Yes: −6. All rings but one are hexagons, and that one has twelve atoms."
    if near(answer, 6, 1e-6):
        return False, "The size is right. A ring larger than six takes away: 6 − n is negative there."
    if near(answer, 0, 1e-6):
        return False, "That holds where every atom has three bonds. Three of these have only two."
    if near(answer, -3, 1e-6):
        return False, "Three ends of bonds are missing, and each bond lies in two rings: they count twice."
    return (
        False,
        "Atoms − bonds + rings = 0. Count the bonds twice: by their ends, and by their sides.",
    )


@exercise("06.4")
def _energy_of_twice_the_noise(answer: Any) -> tuple[bool, str]:
    if near(answer, 0.8, 0.02):
        return True, "Yes: 0.8 eV. Energy grows with the square; half the error costs a quarter."
    if near(answer, 0.4, 0.01):
        return False, "Twice the noise is not twice the energy: how does a spring's energy grow?"
    if near(answer, 0.2 * 2**0.5, 0.01):
        return (
            False,
            "Two noises would add so. Here one is doubled, and its energy goes with the square.",
        )
    if near(answer, 0.87, 0.04):
        return (
            False,
            "That is what LCBOP says, whose bonds are harder to squeeze. What would springs say?",
        )
    return False, "Take 0.2 eV times the square of how many times larger the noise is."
