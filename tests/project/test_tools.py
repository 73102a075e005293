"""The scripts behind the commands: moving the project, renewing what ships, running the series."""

import importlib
import json
import subprocess
import sys

import nbformat
import pytest
import yaml
from places import ROOT

OLD, NEW = "https://github.com/elit-course/elit-course", "https://github.com/someone/graphene"


@pytest.fixture
def tool():
    """Import a script of tools/ by its name."""
    return importlib.import_module


def test_moving_the_project_changes_links_badges_and_the_folder_it_is_cloned_to(tool):
    set_home = tool("set_home")
    text = f'git clone {OLD}\npip ./elit-course\nPath("elit-course/data")\ngh/elit-course/elit-course/main'
    moved = set_home.move(text, OLD, NEW)
    assert "elit-course" not in moved
    assert 'Path("graphene/data")' in moved
    assert "gh/someone/graphene/main" in moved


def test_the_address_is_the_same_everywhere(tool):
    home = tool("set_home").home()
    owner_and_name = home.removeprefix("https://github.com/")
    for place in ("pyproject.toml", "CITATION.cff", "CONTRIBUTING.md", "notebooks/_setup_cell.txt"):
        assert home in (ROOT / place).read_text(), place
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        assert f"gh/{owner_and_name}/" in path.read_text(), path.name


def hand_over(folder, name, *, note=True):
    """Write a file as a notebook leaves it."""
    (folder / name).write_text("1")
    if note:
        (folder / f"{name}.provenance.json").write_text("{}")


def test_results_and_their_notes_replace_the_shipped_copies(tool, tmp_path):
    results, shipped = tmp_path / "results", tmp_path / "handover"
    results.mkdir()
    hand_over(results, "md.extxyz")
    (results / "ensemble").mkdir()
    hand_over(results / "ensemble", "card.json", note=False)
    (results / "ensemble.provenance.json").write_text("{}")
    (shipped / "ensemble").mkdir(parents=True)
    (shipped / "ensemble" / "old.safetensors").touch()
    assert tool("refresh_handover").copy_results(results, shipped) == ["ensemble", "md.extxyz"]
    assert not (shipped / "ensemble" / "old.safetensors").exists()
    assert (shipped / "md.extxyz.provenance.json").is_file()


def test_a_copy_that_is_not_made_any_more_goes(tool, tmp_path):
    results, shipped = tmp_path / "results", tmp_path / "handover"
    results.mkdir()
    shipped.mkdir()
    hand_over(results, "md.extxyz")
    hand_over(shipped, "older.csv")
    tool("refresh_handover").copy_results(results, shipped)
    assert sorted(path.name for path in shipped.iterdir()) == ["md.extxyz", "md.extxyz.provenance.json"]


def test_after_the_copies_the_list_and_the_pictures_of_what_ships_are_renewed(tool, tmp_path, monkeypatch):
    refresh_handover, ran = tool("refresh_handover"), []
    monkeypatch.setattr(refresh_handover, "SHIPPED", tmp_path / "handover")
    monkeypatch.setattr(refresh_handover.subprocess, "run", lambda command, check: ran.append(command[1]))
    hand_over(tmp_path, "md.extxyz")
    refresh_handover.refresh(tmp_path)
    assert [script.name for script in ran] == ["manifest.py", "draw_figures.py"]
    assert all(script.is_file() for script in ran)


def test_without_results_what_ships_stays(tool, tmp_path):
    hand_over(tmp_path, "older.csv")
    with pytest.raises(ValueError, match="Nothing was handed over"):
        tool("refresh_handover").copy_results(tmp_path / "results", tmp_path)
    assert (tmp_path / "older.csv").is_file()


def test_a_file_that_is_too_large_does_not_ship(tool, tmp_path, monkeypatch):
    refresh_handover = tool("refresh_handover")
    monkeypatch.setattr(refresh_handover, "MAX_FILE_MB", 1e-7)
    hand_over(tmp_path, "md.extxyz")
    with pytest.raises(ValueError, match="MB may ship"):
        refresh_handover.copy_results(tmp_path, tmp_path / "handover")


def notebook(folder, *sources):
    """Write a small notebook and return its path."""
    path = folder / "07_small.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(s) for s in sources]), path)
    return path


@pytest.mark.slow
def test_the_first_cell_that_fails_ends_the_series_and_is_named(tool, tmp_path):
    run_course = tool("run_course")
    path = notebook(tmp_path, "a = 1", "a / 0", "a")
    with pytest.raises(
        run_course.CourseFailed, match=r"07_small\.ipynb, cell 2 of 3(?s:.*)ZeroDivisionError"
    ):
        run_course.execute(path)


def test_a_benchmark_is_a_script_with_a_main():
    for path in (ROOT / "benchmarks").glob("[a-z]*.py"):
        assert "def main(" in path.read_text(), path.name


def test_commits_are_checked_by_the_tools_of_the_environment_and_nothing_from_the_network():
    (repo,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert repo["repo"] == "local"
    assert {hook["id"] for hook in repo["hooks"]} == {"ruff-check", "ruff-format", "nbstripout"}


def test_what_ships_is_small_enough():
    sizes = {path: path.stat().st_size for path in (ROOT / "data").rglob("*") if path.is_file()}
    assert sum(sizes.values()) < 30e6
    assert max(sizes.values(), default=0) < 8e6


def test_the_citation_is_for_this_version():
    import elit_helpers

    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == elit_helpers.__version__
    assert len(citation["references"]) == 2


@pytest.mark.parametrize("target", ["course", "test", "lab", "bench", "handover", "check"])
def test_every_command_is_known_to_make(target):
    said = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stderr


def test_make_refuses_another_python_in_plain_words(tmp_path):
    """A stand-in for Python that fails the question about its version, in a copy with no environment."""
    fake = tmp_path / "python2"
    fake.write_text('#!/bin/sh\n[ "$1" = --version ] && echo "Python 2.7.18" && exit 0\nexit 1\n')
    fake.chmod(0o755)
    (tmp_path / "Makefile").write_text((ROOT / "Makefile").read_text())
    (tmp_path / "tools").mkdir()
    for name in ("pyproject.toml", "tools/setup_opencv.py"):
        (tmp_path / name).touch()
    command = ["make", "setup", f"PYTHON={fake}"]
    said = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert said.returncode != 0
    assert "needs Python 3.11, 3.12 or 3.13" in said.stdout
    assert "Python 2.7.18" in said.stdout


def test_the_costs_of_a_notebook_that_reported_none_are_empty(tool, tmp_path):
    run_course = tool("run_course")
    assert run_course.cost_of("03", tmp_path) == {}
    (tmp_path / "costs").mkdir()
    (tmp_path / "costs" / "03.json").write_text(json.dumps({"wall_s": 1}))
    assert run_course.cost_of("03", tmp_path) == {"wall_s": 1}


def test_opencv_is_left_alone_where_it_loads(tool, monkeypatch):
    setup_opencv = tool("setup_opencv")
    monkeypatch.setattr(setup_opencv, "cv2_error", lambda: "")
    assert setup_opencv.main() == 0


def test_opencv_is_replaced_by_the_same_version_without_windows(tool, monkeypatch):
    setup_opencv = tool("setup_opencv")
    errors = iter(["ImportError: libGL.so.1: cannot open shared object file", ""])
    calls = []
    monkeypatch.setattr(setup_opencv, "cv2_error", lambda: next(errors))
    monkeypatch.setattr(setup_opencv.importlib.metadata, "version", lambda _: "4.9")
    monkeypatch.setattr(setup_opencv.subprocess, "run", lambda command, check: calls.append(command))
    assert setup_opencv.main() == 0
    assert [call[-1] for call in calls] == ["opencv-python", "opencv-python-headless==4.9"]
    assert calls[0][0] == sys.executable
