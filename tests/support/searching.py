"""How property tests draw their examples: the same in every run, new ones for as long as `make search` runs.

`pytest --hypothesis-profile search` goes through the property tests round by round, each round with another
seed and each test with its own number of examples, until the time is up. No file remembers what was found
before: what a search finds becomes an `@example` of its test.
"""

import functools
import importlib
import itertools
import random
import time

import pytest
from hypothesis import HealthCheck, Phase, seed, settings

# How long an example takes says more about the machine than about the code: a loaded one would fail others.
# A test in a class has another instance in each round of a search, which is no mistake of its own.
SHARED = {
    "deadline": None,
    "database": None,
    "print_blob": True,
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.differing_executors],
}
settings.register_profile("same", derandomize=True, **SHARED)
settings.register_profile("search", phases=[Phase.generate, Phase.target, Phase.shrink], **SHARED)
settings.load_profile("same")  # before any test module is imported: their own settings start from it


def pytest_addoption(parser):
    told = "stop a search (--hypothesis-profile search) after so many minutes"
    parser.addoption("--search-minutes", type=float, default=10.0, help=told)


def pytest_configure(config):
    if config.getoption("--hypothesis-profile") == "search":
        config.pluginmanager.register(Search(config))
    else:
        _forget_constants()


def _forget_constants():
    """Draw no numbers that stand in the code: Hypothesis reads them in whatever has been imported so far.

    With them a test would draw others after other tests than alone, and others after any change of any file.
    """
    providers = importlib.import_module("hypothesis.internal.conjecture.providers")
    if hasattr(providers, "_get_local_constants"):  # since 6.131; there is no setting for it
        none = providers._local_constants
        providers._get_local_constants = lambda: none


class Search:
    """Runs property tests over and over with new seeds, and counts."""

    def __init__(self, config):
        given = config.getoption("--hypothesis-seed")
        self.first = random.randrange(10**6) if given is None else int(given)
        self.minutes = config.getoption("--search-minutes")
        self.rounds, self.examples, self.tests, self.found = 0, 0, set(), {}

    def pytest_report_header(self):
        return (
            f"search: seed {self.first}, {self.minutes:g} minutes (make SEED={self.first} search repeats it)"
        )

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session):
        if session.testsfailed or session.config.option.collectonly:
            return None  # pytest's own loop says what is the matter
        items = [item for item in session.items if item.get_closest_marker("hypothesis")]
        for function in {item.function for item in items}:
            function.hypothesis.inner_test = self._counted(function.hypothesis.inner_test)
        end = time.monotonic() + 60 * self.minutes
        for number in itertools.count(self.first):
            left = [item for item in items if item.nodeid not in self.found]
            if not left or not self._round(session, left, number, end):
                break
            self.rounds += 1
        return True

    def _round(self, session, items, number, end):
        """Run each test once; whether there was time for all of them."""
        for item, following in zip(items, [*items[1:], None], strict=True):
            if time.monotonic() > end:
                return False
            self._run(session, item, following, number)
        return True

    def _run(self, session, item, following, number):
        before = session.testsfailed
        seed(number)(item.function)
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        self.tests.add(item.nodeid)
        if session.testsfailed > before:  # it would be found in each round again
            self.found[item.nodeid] = number
        if session.shouldfail:
            raise session.Failed(session.shouldfail)

    def _counted(self, test):
        @functools.wraps(test)
        def run(*args, **options):
            self.examples += 1
            return test(*args, **options)

        return run

    def pytest_terminal_summary(self, terminalreporter):
        terminalreporter.section("search")
        terminalreporter.line(
            f"{len(self.tests)} property tests, {self.rounds} whole rounds, {self.examples} examples; "
            f"{len(self.found)} tests failed"
        )
        for name, number in self.found.items():
            terminalreporter.line(f"{name}: again with  make SEED={number} search")
        if self.found:
            terminalreporter.line("Add the falsifying example to its test as an @example, and mend the code.")
