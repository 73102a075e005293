"""Property tests draw the same examples in every run, and new ones in a search, which its seed repeats."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

SUPPORT = Path(__file__).resolve().parent / "support"
PROPERTY = """
from hypothesis import given, settings, strategies as st

@settings(max_examples=20)
@given(st.integers(), st.floats())
def test_numbers(number, other):
    print("drawn", number, other)

def test_plain():
    print("plain")
"""
RARE = """
from hypothesis import given, settings, strategies as st

@settings(max_examples=5)
@given(st.integers(0, 100))
def test_rare(number):
    assert number != 77
"""


@pytest.fixture
def tests(tmp_path):
    """Run pytest on a small file of tests, with what this project sets up; text and exit status."""

    def run(content, *options, name="test_one.py"):
        (tmp_path / name).write_text(content)
        few = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": str(SUPPORT)}
        command = [sys.executable, "-m", "pytest", "-s", "-p", "_hypothesis_pytestplugin", "-p", "searching"]
        done = subprocess.run(
            [*command, *options], cwd=tmp_path, env=os.environ | few, capture_output=True, text=True
        )
        assert not (tmp_path / ".hypothesis" / "examples").exists()
        return done.stdout, done.returncode

    return run


def drawn(text):
    return re.findall(r"drawn .*", text)


def search(seed, minutes="0.001"):
    return ("--hypothesis-profile", "search", "--hypothesis-seed", str(seed), "--search-minutes", minutes)


def test_every_run_draws_the_same_examples(tests):
    first, _ = tests(PROPERTY)
    assert len(drawn(first)) == 20
    assert drawn(tests(PROPERTY)[0]) == drawn(first)


def test_other_tests_beside_it_do_not_change_what_a_test_draws(tests):
    alone = drawn(tests(PROPERTY)[0])
    beside = "".join(f"NUMBER_{n} = {n}\n" for n in range(100_000, 104_000))
    assert drawn(tests(beside + "def test_other(): pass", name="test_a.py")[0]) == alone


def test_a_search_draws_others_which_its_seed_repeats(tests):
    usual, (first, status) = drawn(tests(PROPERTY)[0]), tests(PROPERTY, *search(7))
    assert "search: seed 7, 0.001 minutes (make SEED=7 search repeats it)" in first
    assert (len(drawn(first)) >= 20, status) == (True, 0)
    assert drawn(tests(PROPERTY, *search(7))[0])[:20] == drawn(first)[:20] != usual
    assert drawn(tests(PROPERTY, *search(8))[0])[:20] != drawn(first)[:20]


def test_a_search_runs_property_tests_alone_and_says_what_it_ran(tests):
    text, status = tests(PROPERTY, *search(7, "0.02"))
    rounds, examples = map(int, re.search(r"1 property tests, (\d+) whole rounds, (\d+) exam", text).groups())
    assert rounds > 1
    assert examples == len(drawn(text)) >= 20 * rounds
    assert "plain" not in text
    assert status == 0


def test_what_a_search_finds_is_shown_with_the_seed_that_finds_it_again(tests):
    assert tests(RARE)[1] == 0
    text, status = tests(RARE, *search(0, "1"))
    again = re.search(r"test_rare: again with  make SEED=(\d+) search", text)[1]
    assert status == 1
    assert "number=77" in text
    assert "as an @example" in text
    assert "number=77" in tests(RARE, *search(again))[0]
