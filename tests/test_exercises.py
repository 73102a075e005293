"""Answers are right, wrong with a reason, or still missing; never an exception."""

import pytest

from elit_helpers import exercises


@pytest.fixture
def doubled(monkeypatch):
    monkeypatch.setattr(exercises, "_CHECKS", {})

    @exercises.exercise("99.1")
    def judge(answer):
        if exercises.near(answer, 4, 0.1):
            return True, "Yes."
        return False, "That is not twice two."

    return "99.1"


def test_right_wrong_and_missing(doubled):
    assert exercises.check(doubled, 4.05).status == "right"
    assert "not twice two" in str(exercises.check(doubled, 5))
    assert exercises.check(doubled).status == "missing"
    assert exercises.check(doubled, None).status == "missing"


@pytest.mark.parametrize("strange", ["four", [1, 2], {}])
def test_an_answer_of_another_type_is_wrong_and_says_so(doubled, strange):
    verdict = exercises.check(doubled, strange)
    assert verdict.status == "wrong"
    assert type(strange).__name__ in verdict.message


def test_an_unknown_exercise_is_refused(doubled):
    with pytest.raises(ValueError, match="`number` is '00.0'; choose one of '99.1'"):
        exercises.check("00.0", 1)
