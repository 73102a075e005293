"""`run` stopped at each of its stages: exit status, one line that is true, and nothing that claims more."""

import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from signals import interrupt_at

import elit_helpers as eh
from elit_helpers.__main__ import main
from elit_helpers.engines import lammps
from elit_helpers.pipeline import report as reports
from elit_helpers.simulate import dynamics

NOTHING = "Nothing was written; the same command begins anew."
STAGES = {  # name: a step of it and the call at which the signal comes, what is said, and what was finished
    "opening": (reports, "check_material", 1, f"stopped. {NOTHING}"),
    "reading": (reports, "resolve_pixel_size", 1, f"stage 1 of 5, reading the image. {NOTHING}"),
    "finding": (reports, "to_atoms", 1, f"stage 2 of 5, finding atoms. {NOTHING}"),
    "relaxing": (lammps.Session, "minimise", 1, f"stage 3 of 5, relaxing. {NOTHING}"),
    "moving": (dynamics.Simulation, "_look", 3, f"stage 4 of 5, molecular dynamics. {NOTHING}"),
    "reporting": (reports, "_provenance", 1, f"stage 5 of 5, reporting. {NOTHING}"),
    "drawing": (reports.plots, "to_png", 1, "stopped; nothing was written to"),
}
READ = {"micrograph", "pixel_size", "pixel_size_source"}
FINISHED = {
    "reading": set(),
    "finding": READ | {"atoms_found"},
    "moving": READ | {"atoms_found", "structure", "choice", "relaxation"},
}
SIGNALS = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)


@pytest.fixture(scope="module")
def picture(tmp_path_factory):
    """A piece of a frame of the shipped movie with some sixty atoms, as a file."""
    path = tmp_path_factory.mktemp("picture") / "frame.npy"
    np.save(path, eh.load_movie("development").frames[0][128:256, 128:256])
    return path


def stopped(stage, monkeypatch, **how):
    where, name, call, _ = STAGES[stage]
    monkeypatch.setattr(where, name, interrupt_at(call, then=getattr(where, name), **how))


def run(picture, out, *more):
    return main(["run", str(picture), "--pixel-size", "0.1", "--out", str(out), *more])


@SIGNALS
@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_that_is_stopped_is_named_and_nothing_is_written(
    picture, tmp_path, monkeypatch, capsys, stage, number
):
    stopped(stage, monkeypatch, number=number, times=2)
    assert run(picture, tmp_path / "out") == 128 + number
    (line,) = [line for line in capsys.readouterr().err.split("\n") if "elit_helpers" in line]
    assert STAGES[stage][3] in line
    assert not list(tmp_path.iterdir())


@SIGNALS
def test_a_report_that_was_there_stays_as_it_was(picture, tmp_path, monkeypatch, number):
    (tmp_path / "provenance.json").write_text("an older one")
    stopped("drawing", monkeypatch, number=number)
    assert run(picture, tmp_path, "--overwrite") == 128 + number
    assert [path.name for path in tmp_path.iterdir()] == ["provenance.json"]
    assert (tmp_path / "provenance.json").read_text() == "an older one"


def test_a_signal_while_the_files_are_moved_finds_them_all_there(picture, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(os, "replace", interrupt_at(9, number=signal.SIGTERM, then=os.replace))
    assert run(picture, tmp_path / "out") == 143
    assert "stopped; everything was written to" in capsys.readouterr().err
    assert len(list((tmp_path / "out").iterdir())) == 7
    assert json.loads((tmp_path / "out" / "provenance.json").read_text())["md"]["steps"] == 200


@pytest.mark.parametrize("stage", FINISHED)
def test_in_a_script_it_is_an_exception_that_holds_what_was_finished(picture, monkeypatch, stage):
    stopped(stage, monkeypatch)
    with pytest.raises(eh.Stopped, match=STAGES[stage][3].partition(".")[0]) as stop:
        eh.run_image(picture, pixel_size=0.1)
    assert set(stop.value.result) == FINISHED[stage]


def test_a_download_that_is_stopped_is_named(monkeypatch, capsys):
    from elit_helpers.data import registry

    monkeypatch.setattr(registry, "fetch", interrupt_at(2, then=lambda name, progress: name))
    names = registry.real_frames()["name"][:3].tolist()
    assert main(["fetch", *names]) == 130
    said = capsys.readouterr()
    assert said.out.startswith(f"{names[0]}: ")
    assert f"stopped while fetching {names[1]}. What was fetched before is whole" in said.err


@pytest.mark.slow
@SIGNALS
def test_the_command_itself_is_stopped_at_a_line_of_its_log(picture, tmp_path, number):
    command = [sys.executable, "-m", "elit_helpers", "run", picture, "--out", tmp_path / "out", "-v"]
    command += ["--pixel-size", "0.1"]
    with subprocess.Popen(list(map(str, command)), stderr=subprocess.PIPE, text=True) as process:
        said = ""
        for line in process.stderr:
            said += line
            if line.endswith("finding atoms\n"):
                process.send_signal(number)
                process.send_signal(number)
    assert process.returncode == 128 + number
    assert said.strip().endswith(f"elit_helpers run: stopped by an interrupt at {STAGES['finding'][3]}")
    assert "Traceback" not in said
    assert not list(tmp_path.iterdir())
