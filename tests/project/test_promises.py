"""What the docs promise names tests that there are."""

import ast
import re

import pytest
from places import ROOT

PAGE = ROOT / "docs" / "what_you_can_rely_on.md"
ROWS = [line.split(" | ") for line in PAGE.read_text().splitlines() if re.match(r"\| (?!promise|---)", line)]


def named():
    """Return the tests that the page names: the file, and the name of a test or class in it, or nothing."""
    for _, tests in ROWS:
        path = None
        for file, name in re.findall(r"`([\w/.]*?)(?:::(\w+))?`", tests):
            path = file or path
            yield path, name


def test_every_promise_has_a_test():
    assert len(ROWS) > 10
    assert all("`tests/" in tests for _, tests in ROWS)


@pytest.mark.parametrize(("path", "name"), sorted(set(named())))
def test_a_test_that_is_named_is_there(path, name):
    names = {getattr(node, "name", "") for node in ast.walk(ast.parse((ROOT / path).read_text()))}
    assert name in names or not name
    assert any(found.startswith("test_") for found in names)
