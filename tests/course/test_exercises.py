"""Answers are right, wrong with a reason, or still missing; never an exception."""

import pytest
from notebook_files import judges

import elit_helpers as eh

OFF = 4.34  # per cent by which the file's pixel is larger than the lattice's


@pytest.fixture
def doubled(monkeypatch):
    monkeypatch.setattr(eh.exercises, "_CHECKS", {})

    @eh.exercises.exercise("99.1")
    def judge(answer):
        if eh.exercises.near(answer, 4, 0.1):
            return True, "Yes."
        return False, "That is not twice two."

    return "99.1"


def test_right_wrong_and_missing(doubled):
    assert eh.exercises.check(doubled, 4.05).status == "right"
    assert "not twice two" in str(eh.exercises.check(doubled, 5))
    assert eh.exercises.check(doubled).status == "missing"
    assert eh.exercises.check(doubled, None).status == "missing"


@pytest.mark.parametrize("strange", ["four", [1, 2], {}])
def test_an_answer_of_another_type_is_wrong_and_says_so(doubled, strange):
    verdict = eh.exercises.check(doubled, strange)
    assert verdict.status == "wrong"
    assert type(strange).__name__ in verdict.message


def test_an_unknown_exercise_is_refused(doubled):
    with pytest.raises(ValueError, match="`number` is '00.0'; choose one of '99.1'"):
        eh.exercises.check("00.0", 1)


@pytest.mark.parametrize("number", judges())
def test_a_stub_waits_for_an_answer(number):
    verdict = eh.exercises.check(number, ...)
    assert verdict.status == "missing"
    assert f"Exercise {number} waits for your answer" in verdict.message


@pytest.mark.parametrize(
    ("number", "right", "wrong", "why"),
    [
        ("00.1", OFF, OFF / 100, "per cent are a hundred times that"),
        ("00.1", OFF, -OFF, "the sign is not"),
        ("01.1", 0.0957, 0.1105, "takes the lattice constant"),
        ("01.1", 0.0957, 0.0638, "takes the bond"),
        ("01.2", 4, 2, "the square root that counts"),
        ("01.2", 4, 0.25, "turn it over"),
        ("01.3", 537_562, 400, "beam_dose"),
        ("01.3", 537_562, 5376, "one pixel"),
        ("02.1", 0.3536, 0.4082, "divides by three"),
        ("02.1", 0.3536, 0.125, "the variance"),
        ("02.2", 0.0248, 0.0215, "one less than the members"),
        ("02.2", 0.0248, 0.2582, "in pixels"),
        ("02.3", 0.2804, 0.4046, "in bits"),
        ("02.3", 0.2804, 0.6931, "entropy of the mean"),
        ("02.3", 0.2804, 0.4127, "own entropy"),
        ("03.1", (3.84, 39.456), (39.456, 3.84), "wrong order"),
        ("03.1", (3.84, 39.456), (3.84, 9.6), "mirrored"),
        ("03.1", (3.84, 39.456), (3.84, 39.552), "number 511"),
        ("04.1", 150, 300, "twice the energy"),
        ("04.1", 150, 420, "the strained sheet"),
        ("04.2", 1.1225, 1.0, "passes zero"),
        ("04.2", 1.1225, 1.42, "graphene's bond"),
        ("05.1", 7.46, -7.46, "defect minus perfect"),
        ("05.1", 7.46, 54.9, "71 atoms of the perfect sheet"),
        ("05.2", 1500, 12000, "for 44 atoms"),
        ("05.2", 1500, 6000, "Not the first power"),
        ("05.3", 1, 0, "an odd number"),
        ("05.3", 1, 155, "no partner"),
        ("06.1", 1.544, 1.606, "other seven-membered ring"),
        ("06.1", 1.544, 1.430, "pentagon"),
        ("06.2", 0.00704, 0.0, "sideways"),
        ("06.2", 0.00704, 0.1, "single bonds"),
        ("06.3", -6, 6, "negative there"),
        ("06.3", -6, 0, "every atom has three bonds"),
        ("06.3", -6, -3, "count twice"),
        ("06.4", 0.8, 0.4, "spring's energy"),
        ("06.4", 0.8, 0.87, "what LCBOP says"),
    ],
)
def test_typical_mistakes_are_answered_with_a_reason(number, right, wrong, why):
    assert eh.exercises.check(number, right).status == "right"
    verdict = eh.exercises.check(number, wrong)
    assert verdict.status == "wrong"
    assert why in verdict.message


def test_small_patch_is_judged_by_its_atoms():
    sheet = eh.graphene_sheet((24.0, 24.0))
    middle = sheet.positions.mean(axis=0)[:2]
    at = int(((sheet.positions[:, :2] - middle) ** 2).sum(axis=1).argmin())
    carbon = eh.patch(sheet, middle, radius_A=4.4)
    sheet.symbols[at] = "Si"
    sizes = {radius: eh.patch(sheet, middle, radius_A=radius) for radius in (4.4, 8.0)}
    assert eh.exercises.check("03.2", sizes[4.4]).status == "right"
    assert "limit is 40" in eh.exercises.check("03.2", sizes[8.0]).message
    assert "silicon" in eh.exercises.check("03.2", carbon).message
    assert "no hydrogen" in eh.exercises.check("03.2", sheet).message


def test_a_dose_is_judged_by_what_the_microscope_says():
    imaging = eh.Imaging(probe="60kV", source_sigma_A=0.30, vibration_A=0.05, dose=400)
    assert eh.exercises.check("01.3", imaging.beam_dose).status == "right"


@pytest.mark.parametrize(
    ("cell", "second", "why"),
    [
        (((3.282, 0), (1.641, 2.8423)), 2 / 3, "Yes"),
        (((3.282, 0), (1.641, 2.8423)), 1 / 2, "two columns, here 3"),
        (((3.282, 0), (0, 3.282)), 2 / 3, "vectors at 60°"),
    ],
)
def test_a_material_is_judged_by_its_columns_and_its_cell(cell, second, why):
    basis = (("W", 1 / 3, 1 / 3, 0), ("Se", 2 / 3, 2 / 3, 1.67), ("Se", second, 2 / 3, -1.67))
    verdict = eh.exercises.check("01.4", eh.Material("WSe2", "mine", cell, basis))
    assert why in verdict.message
