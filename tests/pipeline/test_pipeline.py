"""From a picture to a simulation in one call and one command, and what bad input gets."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
from ase.io import read
from places import SHARED
from signals import interrupt_at

import elit_helpers as eh
from elit_helpers.__main__ import main
from elit_helpers.core.checks import NoAtomsFound, logger
from elit_helpers.core.files import remove_own
from elit_helpers.elit.algorithm import ElitResult
from elit_helpers.engines.catalogue import ENGINES
from elit_helpers.ensemble import storage
from elit_helpers.pipeline import adapt as adapting
from elit_helpers.pipeline import inputs
from elit_helpers.pipeline import report as reports
from elit_helpers.pipeline.adapt import partial_of
from elit_helpers.pipeline.inputs import open_frames, resolve_pixel_size

OWN = dataclasses.replace(ENGINES["lammps:erhart-albe"], name="lammps:own")
REAL = SHARED / "real_frames" / "G-Si-2nm.hdf5"
REAL_MOS2 = REAL.with_name("MoS2_stem_Exp-000-2.npy")
FILES = {
    "atoms_found.csv",
    "structure.extxyz",
    "POSCAR",
    "structure.lmp",
    "md_log.csv",
    "overview.png",
    "provenance.json",
}
COLUMNS = [
    *("frame", "row_px", "col_px", "x_A", "y_A", "element", "probability", "position_std_A"),
    *("member_share", "kept", "reason"),
]


@pytest.fixture(scope="module")
def picture(tmp_path_factory):
    """A quarter of one frame of the shipped movie, as a file."""
    path = tmp_path_factory.mktemp("picture") / "frame.npy"
    np.save(path, eh.load_movie("development").frames[0][128:384, 128:384])
    return path


@pytest.fixture(scope="module")
def result(picture, tmp_path_factory):
    out = tmp_path_factory.mktemp("result")
    assert main(["run", str(picture), "--out", str(out), "--seed", "1"]) == 0
    return out


def run_and_say(capsys, out, *arguments, command="run"):
    """Run a command, which must fail, and return its one line; nothing may stay behind."""
    status = main([command, *map(str, arguments), "--out", str(out)])
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert status == 1
    assert not out.exists()
    assert not partial_of(out).exists()
    return line


class TestRun:
    def test_every_file_is_written(self, result):
        assert {path.name for path in result.iterdir()} == FILES

    def test_the_table_has_the_columns_of_the_course(self, result):
        assert list(pd.read_csv(result / "atoms_found.csv").columns) == COLUMNS

    def test_the_structure_is_the_atoms_that_were_kept(self, result):
        table = pd.read_csv(result / "atoms_found.csv", keep_default_na=False)
        structure = read(result / "structure.extxyz")
        assert len(structure) == table["kept"].sum()
        assert {"probability", "position_std_A"} <= set(structure.arrays)
        for name, kind in (("POSCAR", "vasp"), ("structure.lmp", "lammps-data")):
            assert len(read(result / name, format=kind)) == len(structure)

    def test_the_report_says_what_became_of_every_atom_and_of_the_relaxation(self, result):
        told = json.loads((result / "provenance.json").read_text())
        table = pd.read_csv(result / "atoms_found.csv", keep_default_na=False)
        atoms = told["atoms"]
        assert atoms["found"] == len(table)
        assert atoms["kept"] + sum(atoms["left_out"].values()) == atoms["found"]
        assert atoms["in_structure"] == len(read(result / "structure.extxyz"))
        assert atoms["held"] == told["rim_held"]
        assert {"converged", "fmax", "fmax_asked", "steps"} <= set(told["relaxation"])
        assert any("no minimum" in text for text in told["warnings"]) != told["relaxation"]["converged"]

    def test_energy_is_conserved_after_relaxation(self, result):
        provenance = json.loads((result / "provenance.json").read_text())
        log = pd.read_csv(result / "md_log.csv")
        assert abs(provenance["md_energy_drift_meV_per_atom"]) < 1
        assert log["time_fs"].iloc[-1] == 200

    def test_the_rim_of_the_picture_is_held(self, result):
        provenance = json.loads((result / "provenance.json").read_text())
        assert 0 < provenance["rim_held"] < provenance["atoms_kept"]

    def test_silicon_decides_the_engine_and_nothing_is_silent(self, result):
        provenance = json.loads((result / "provenance.json").read_text())
        elements = set(read(result / "structure.extxyz").get_chemical_symbols())
        expected = "lammps:erhart-albe" if "Si" in elements else "lammps:lcbop"
        assert provenance["engine"]["name"] == expected
        assert provenance["engine"]["reason"]
        assert "lattice_mismatch" in provenance["engine"]

    @pytest.mark.parametrize("engine", ["auto", OWN], ids=["auto", "own"])
    def test_the_engine_is_chosen_once_and_relaxation_and_dynamics_say_why(self, picture, engine):
        report = eh.run_image(picture, engine=engine)
        infos = [report.relaxation.info, report.dynamics.info]
        assert [info["reason"] for info in infos] == [report.choice.reason] * 2
        assert [info["engine"] for info in infos] == [report.choice.name] * 2
        assert (report.choice.name == OWN.name) == (engine == OWN)

    def test_the_same_seed_gives_the_same_run(self, picture):
        logs = [eh.run_image(picture, rng=4).dynamics.log for _ in range(2)]
        pd.testing.assert_frame_equal(*logs)

    def test_older_files_in_the_folder_stay(self, picture, tmp_path):
        (tmp_path / "notes.txt").write_text("mine")
        assert main(["run", str(picture), "--out", str(tmp_path)]) == 0
        assert (tmp_path / "notes.txt").read_text() == "mine"


class TestManyFrames:
    def test_a_folder_taken_two_frames_at_a_time_gives_what_one_go_gives(self, tmp_path, monkeypatch):
        frames = eh.load_movie("development").frames[:3, 128:320, 128:320]
        for number, frame in enumerate(frames):
            np.save(tmp_path / f"frame_{number}.npy", frame)
        found = []
        for batch in (2, 8):
            monkeypatch.setattr(reports, "BATCH", batch)
            found.append(eh.run_image(tmp_path, pixel_size=0.096, frame=2).atoms_found)
        assert set(found[0]["frame"]) == {0, 1, 2}
        pd.testing.assert_frame_equal(*found)

    def test_a_name_that_is_not_fetched_says_how_to_fetch_it(self, capsys, tmp_path, monkeypatch):
        monkeypatch.setenv("ELIT_CACHE", str(tmp_path / "cache"))
        monkeypatch.delenv("ELIT_FETCH_BASE", raising=False)
        assert "fetch" in run_and_say(capsys, tmp_path / "out", "G-Si-2nm")

    @pytest.mark.skipif(not REAL.is_file(), reason=f"real frame {REAL.name} is not in ../shared/real_frames")
    def test_a_name_stands_for_its_frame(self, monkeypatch):
        monkeypatch.setenv("ELIT_FETCH_BASE", str(REAL.parent))
        assert open_frames("G-Si-2nm").frames.shape == (1, 256, 256)


class TestPixelSize:
    def test_the_lattice_is_asked_before_the_file(self):
        movie, warnings = eh.load_movie("development"), []
        size, source = resolve_pixel_size(movie, None, material="graphene", frame=0, warnings=warnings)
        assert source == "lattice"
        if abs(size / movie.pixel_size - 1) > inputs.DISAGREEMENT:
            assert "differ by" in warnings[0]

    def test_the_user_has_the_last_word_and_is_told(self):
        movie, warnings = eh.load_movie("development"), []
        given = 1.1 * movie.pixel_size
        assert resolve_pixel_size(movie, given, material="graphene", frame=0, warnings=warnings) == (
            given,
            "user",
        )
        assert "The pixel size you gave" in warnings[0]


class TestBadInput:
    def test_missing_file(self, capsys, tmp_path):
        assert "nothere.tif" in run_and_say(capsys, tmp_path / "out", tmp_path / "nothere.tif")

    @pytest.mark.parametrize(("value", "why"), [(np.nan, "NaN"), (7.0, "constant")])
    def test_an_image_without_information(self, capsys, tmp_path, value, why):
        np.save(tmp_path / "bad.npy", np.full((64, 64), value))
        line = run_and_say(capsys, tmp_path / "out", tmp_path / "bad.npy", "--pixel-size", 0.1)
        assert why in line

    def test_no_pixel_size_from_anywhere(self, capsys, tmp_path):
        np.save(tmp_path / "noise.npy", np.random.default_rng(1).normal(size=(128, 128)))
        line = run_and_say(capsys, tmp_path / "out", tmp_path / "noise.npy")
        assert "Pass --pixel-size" in line

    def test_no_atoms(self, capsys, tmp_path):
        gradient = np.add.outer(np.arange(256.0), np.arange(256.0))
        np.save(tmp_path / "ramp.npy", gradient)
        line = run_and_say(capsys, tmp_path / "out", tmp_path / "ramp.npy", "--pixel-size", 0.1)
        assert "atom" in line

    def test_a_missing_engine_names_how_to_get_it(self, capsys, picture, tmp_path, monkeypatch):
        monkeypatch.setitem(sys.modules, "tblite", None)
        monkeypatch.setitem(sys.modules, "tblite.ase", None)
        line = run_and_say(capsys, tmp_path / "out", picture, "--engine", "tblite:gfn1")
        assert "pip install" in line
        assert "conda" in line

    def test_an_unknown_engine_lists_those_there_are(self, capsys, picture, tmp_path):
        assert "lammps:lcbop" in run_and_say(capsys, tmp_path / "out", picture, "--engine", "magic")

    def test_an_unknown_material_lists_those_there_are(self, capsys, picture, tmp_path):
        line = run_and_say(capsys, tmp_path / "out", picture, "--material", "hBN")
        assert "`material` is 'hBN'; choose one of" in line
        assert all(repr(name) in line for name in eh.shipped_materials())

    def test_a_frame_that_is_not_there(self, capsys, picture, tmp_path):
        assert "`frame` is 3" in run_and_say(capsys, tmp_path / "out", picture, "--frame", 3)

    def test_a_file_where_the_folder_should_be(self, capsys, picture, tmp_path):
        (tmp_path / "out").write_text("")
        assert main(["run", str(picture), "--out", str(tmp_path / "out")]) == 1
        assert "which is a file" in capsys.readouterr().err


@pytest.mark.skipif(not REAL.is_file(), reason=f"real frame {REAL.name} is not in ../shared/real_frames")
def test_a_real_frame_goes_all_the_way(tmp_path, capsys):
    assert main(["run", str(REAL), "--out", str(tmp_path)]) == 0
    provenance = json.loads((tmp_path / "provenance.json").read_text())
    table = pd.read_csv(tmp_path / "atoms_found.csv", keep_default_na=False)
    _, share, density = eh.nearest_neighbour_share(
        table, pixel_size=provenance["pixel_size_A"], shape=(256, 256)
    )
    assert provenance["pixel_size_A"] == pytest.approx(0.0765, rel=0.02)
    assert share >= 0.97
    assert 0.9 <= density <= 1.1
    assert abs(provenance["md_energy_drift_meV_per_atom"]) < 1
    assert {path.name for path in tmp_path.iterdir()} == FILES


# --------------------------------------------------------------------------- the ensemble that is given
@pytest.fixture(scope="module")
def of_mos2(tmp_path_factory):
    """An ensemble that tells Mo from S, by name at least."""
    folder = tmp_path_factory.mktemp("ensembles") / "of_mos2"
    return eh.save_ensemble(dataclasses.replace(eh.default_ensemble(), classes=("Mo", "S")), folder)


@pytest.fixture
def corrupted(tmp_path):
    folder = eh.save_ensemble(eh.default_ensemble(), tmp_path / "corrupted")
    member = folder / "member_01.safetensors"
    member.write_bytes(member.read_bytes()[:-100])
    return folder


@pytest.mark.parametrize(("command", "option"), [("run", "--ensemble"), ("adapt", "--start")])
class TestEnsembleGiven:
    def test_one_of_another_material_is_refused(self, capsys, picture, tmp_path, of_mos2, command, option):
        line = run_and_say(capsys, tmp_path / "out", picture, option, of_mos2, command=command)
        assert "tells Mo and S apart, but graphene shows C" in line

    def test_a_changed_member_is_named(self, capsys, picture, tmp_path, corrupted, command, option):
        line = run_and_say(capsys, tmp_path / "out", picture, option, corrupted, command=command)
        assert "member_01.safetensors" in line

    def test_a_folder_that_is_none_is_named(self, capsys, picture, tmp_path, command, option):
        (tmp_path / "empty").mkdir()
        for folder in ("empty", "nothere"):
            line = run_and_say(capsys, tmp_path / "out", picture, option, tmp_path / folder, command=command)
            assert folder in line


# --------------------------------------------------------------------------- adapt
class Rounds:
    """Stands for `run_elit`: notes what it is called with, and finishes, fails or is stopped."""

    def __init__(self):
        self.calls, self.raises, self.scores = [], None, (0.5, 0.9)

    def __call__(self, frames, *, checkpoint, progress, **arguments):
        began = sorted(path.name for path in checkpoint.iterdir()) if checkpoint.is_dir() else []
        self.calls.append({"frames": frames, "began": began, **arguments})
        checkpoint.mkdir(exist_ok=True)
        (checkpoint / "E_initial").touch()
        if self.raises is not None:
            raise self.raises
        stages = {"E_initial": eh.default_ensemble(), "E_final": eh.default_ensemble().subset([0, 1])}
        history = pd.DataFrame(
            {"stage": list(stages), "lattice_score": self.scores, "changed": [np.nan, 0.1]}
        )
        atoms, members = pd.DataFrame({"frame": [0]}), pd.DataFrame({"member": [0]})
        return ElitResult(history, stages, atoms, members, "All rounds were done.", "E_final")


@pytest.fixture
def rounds(monkeypatch):
    stand_in = Rounds()
    monkeypatch.setattr(adapting, "run_elit", stand_in)
    return stand_in


def adapt(picture, out, *arguments):
    return main(["adapt", str(picture), "--out", str(out), *map(str, arguments)])


class TestAdapt:
    def test_the_last_ensemble_is_saved_with_its_history_and_card(self, rounds, picture, tmp_path, capsys):
        assert adapt(picture, tmp_path / "own") == 0
        said = capsys.readouterr().out
        ensemble = eh.load_ensemble(tmp_path / "own")
        assert len(ensemble) == 2
        assert [row["stage"] for row in ensemble.card["stages"]] == ["E_initial", "E_final"]
        assert ensemble.card["adapted_to"] == "frame"
        assert pd.read_csv(tmp_path / "own" / "stages.csv")["stage"].tolist() == ["E_initial", "E_final"]
        assert "run IMAGE --ensemble" in said
        assert [path.name for path in tmp_path.iterdir()] == ["own"]

    def test_it_starts_from_the_ensemble_that_ships(self, rounds, picture, tmp_path):
        assert (
            adapt(picture, tmp_path / "own", "--members", 3, "--rounds", 1, "--keep", "2,0", "--seed", 7) == 0
        )
        (call,) = rounds.calls
        shipped = eh.default_ensemble()
        assert call["data"].classes == shipped.classes
        assert call["data"].card == shipped.card
        assert call["settings"].filters == shipped.settings.filters
        assert call["settings"].members == 3
        assert (call["rounds"], call["keep"], call["rng"]) == (1, [0, 2], 7)
        assert call["pixel_size"] == pytest.approx(0.1, rel=0.1)

    def test_or_from_a_recipe_from_random_weights(self, rounds, picture, tmp_path):
        assert adapt(picture, tmp_path / "own", "--start", "ideal", "--preset", "demo") == 0
        assert rounds.calls[0]["data"] == "ideal"
        assert rounds.calls[0]["settings"] == dataclasses.replace(eh.PRESETS["demo"], members=5)

    def test_a_long_stack_is_thinned_and_that_is_said(self, rounds, tmp_path, capsys, monkeypatch):
        frames = eh.load_movie("development").frames[:5, :256, :256]
        np.save(tmp_path / "stack.npy", frames)
        monkeypatch.setattr(adapting, "MOST_PIXELS", 3.5 * 256**2 * (0.1 / eh.NET_PIXEL) ** 2)
        assert adapt(tmp_path / "stack.npy", tmp_path / "own", "--pixel-size", 0.1) == 0
        assert np.array_equal(rounds.calls[0]["frames"], frames[[0, 2, 4]])
        assert "3 of the 5 frames are used" in capsys.readouterr().err

    @pytest.mark.parametrize(("scores", "said"), [((0.95, 0.9), True), ((0.9, 0.95), False)])
    def test_nothing_gained_is_said(self, rounds, picture, tmp_path, capsys, scores, said):
        rounds.scores = scores
        assert adapt(picture, tmp_path / "own") == 0
        assert ("note: The lattice score fell from 0.950" in capsys.readouterr().err) == said
        assert bool(eh.load_ensemble(tmp_path / "own").card["warnings"]) == said

    def test_stopped_it_says_how_to_go_on_and_goes_on(self, rounds, picture, tmp_path, capsys):
        rounds.raises = KeyboardInterrupt()
        assert adapt(picture, tmp_path / "own") == 130
        said = capsys.readouterr().err
        assert "No stage is finished yet; the same command goes on in" in said
        assert "own.partial" in said
        assert not (tmp_path / "own").exists()
        rounds.raises = None
        assert adapt(picture, tmp_path / "own") == 0
        assert [call["began"] for call in rounds.calls] == [[], ["E_initial"]]
        assert [path.name for path in tmp_path.iterdir()] == ["own"]

    def test_a_full_disk_says_how_to_go_on(self, rounds, picture, tmp_path, capsys):
        rounds.raises = OSError(28, "No space left on device")
        assert adapt(picture, tmp_path / "own") == 1
        assert "No space left on device. No stage is finished yet" in capsys.readouterr().err
        assert (tmp_path / "own.partial").is_dir()

    def test_other_arguments_do_not_go_on(self, rounds, picture, tmp_path, capsys):
        rounds.raises = KeyboardInterrupt()
        adapt(picture, tmp_path / "own")
        for other in (["--seed", 1], ["--rounds", 3], ["--members", 2, "--keep", "0"], ["--start", "ideal"]):
            assert adapt(picture, tmp_path / "own", *other) == 1
            assert "own.partial holds a run with other" in capsys.readouterr().err
        assert (tmp_path / "own.partial" / "stages" / "E_initial").exists()
        assert len(rounds.calls) == 1

    def test_what_fails_again_each_time_leaves_nothing(self, rounds, picture, tmp_path, capsys):
        rounds.raises = NoAtomsFound("No candidate can be believed.")
        assert "No candidate" in run_and_say(capsys, tmp_path / "own", picture, command="adapt")

    def test_a_folder_that_holds_something_is_refused(self, rounds, picture, tmp_path, capsys):
        (tmp_path / "notes.txt").write_text("mine")
        for out, why in ((tmp_path, "is not empty"), (tmp_path / "notes.txt", "is a file")):
            assert adapt(picture, out) == 1
            assert why in capsys.readouterr().err
        assert (tmp_path / "notes.txt").read_text() == "mine"

    def test_something_else_of_that_name_is_in_the_way_and_stays(self, rounds, picture, tmp_path, capsys):
        (tmp_path / "own.partial").mkdir()
        (tmp_path / "own.partial" / "notes.txt").write_text("mine")
        assert adapt(picture, tmp_path / "own") == 1
        assert "own.partial is in the way" in capsys.readouterr().err
        assert (tmp_path / "own.partial" / "notes.txt").read_text() == "mine"


class TestBadInputToAdapt:
    @pytest.mark.parametrize(
        ("arguments", "why"),
        [
            (["--keep", "0,5"], r"`keep` is [0, 5]; choose one at least of the members 0 to 4"),
            (["--keep", "2", "--members", "2", "--start", "ideal"], "members 0 to 1"),
            (["--members", "0"], "`members` is 0; it must be a whole number from 1 up"),
            (["--rounds", "-1"], "`rounds` is -1"),
            (["--seed", "-1"], "`rng` is -1"),
            (["--preset", "magic"], "choose one of 'demo', 'class', 'paper'"),
            (["--material", "hBN"], "`material` is 'hBN'; choose one of"),
            (["--start", "realistic MoS2"], "does not simulate graphene. Use 'realistic'"),
            (["--start", "magic"], "neither a folder nor a recipe; the recipes are 'ideal'"),
            (["--pixel-size", "12"], "nm by 10"),
        ],
    )
    def test_an_argument_that_cannot_be(self, capsys, picture, tmp_path, arguments, why):
        assert why in run_and_say(capsys, tmp_path / "own", picture, *arguments, command="adapt")

    def test_members_to_keep_are_numbers(self, capsys, picture, tmp_path):
        with pytest.raises(SystemExit) as stopped:
            adapt(picture, tmp_path / "own", "--keep", "best")
        assert stopped.value.code == 2
        assert "--keep" in capsys.readouterr().err

    def test_missing_frames(self, capsys, tmp_path):
        line = run_and_say(capsys, tmp_path / "own", tmp_path / "nothere", command="adapt")
        assert "nothere" in line

    def test_constant_frames(self, capsys, tmp_path):
        np.save(tmp_path / "flat.npy", np.full((64, 64), 7.0))
        line = run_and_say(
            capsys, tmp_path / "own", tmp_path / "flat.npy", "--pixel-size", 0.1, command="adapt"
        )
        assert "constant" in line


# --------------------------------------------------------------------------- adapt, for real
STOPS = (  # where a signal comes, and what is finished since the one before
    ("calibrating", []),
    ("stage E_initial begins", []),
    ("stage E_0 begins", ["E_initial"]),
    ("stage E_1 begins", ["E_0"]),
    ("a member is kept", ["1 members of E_1"]),
    ("stage E_final begins", ["E_1"]),
    ("saving", ["E_final"]),
)


def stop_at(place, number, patch):
    """Have a signal come at a place of `adapt`: a line of its log, or a step that is no line."""
    steps = {
        "calibrating": (adapting, "resolve_pixel_size"),
        "a member is kept": (storage.Checkpoint, "save"),
        "saving": (adapting, "save_ensemble"),
    }
    if place in steps:
        where, name = steps[place]
        patch.setattr(where, name, interrupt_at(1, number=number, then=getattr(where, name)))
    else:
        same = interrupt_at(True, lambda text: text == place, number=number)
        patch.setattr(logger, "info", lambda text, *values: same(text % values))


DEMO = ("--preset", "demo", "--members", 2, "--rounds", 1, "--seed", 3)


@pytest.fixture(scope="module")
def two_frames(tmp_path_factory):
    """A part of two frames of the shipped movie, as a folder of files."""
    folder = tmp_path_factory.mktemp("two_frames")
    for number, frame in enumerate(eh.load_movie("development").frames[:2, 128:384, 128:384]):
        np.save(folder / f"frame_{number}.npy", frame)
    return folder


@pytest.fixture(scope="module")
def adapted(two_frames, tmp_path_factory):
    folder = tmp_path_factory.mktemp("adapted") / "own"
    assert adapt(two_frames, folder, *DEMO) == 0
    return folder


@pytest.mark.slow
class TestAdaptForReal:
    def test_every_line_of_the_algorithm_is_in_the_history(self, adapted):
        stages = pd.read_csv(adapted / "stages.csv")
        assert stages["stage"].tolist() == ["E_initial", "E_0", "E_1", "E_final"]
        assert stages["members"].tolist()[0] == len(eh.default_ensemble())
        card = eh.load_ensemble(adapted).card
        assert card["stopped"]
        assert card["continued"]

    def test_run_uses_it_and_loses_no_atoms(self, adapted, two_frames, picture, tmp_path):
        assert main(["run", str(picture), "--ensemble", str(adapted), "--out", str(tmp_path)]) == 0
        provenance = json.loads((tmp_path / "provenance.json").read_text())
        assert provenance["ensemble"]["adapted_to"] == two_frames.name
        table = pd.read_csv(tmp_path / "atoms_found.csv", keep_default_na=False)
        truth = eh.load_movie_truth("development").query("frame == 0")
        truth = truth[truth[["row_px", "col_px"]].sub(128).apply(lambda c: c.between(0, 255)).all(axis=1)]
        truth = truth.assign(row_px=truth["row_px"] - 128, col_px=truth["col_px"] - 128)
        score = eh.score_atoms(table, truth, pixel_size=0.1, shape=(256, 256), border_A=0.6)
        assert score["f1"] >= 0.97
        assert score["element_accuracy"] >= 0.95

    def test_stopped_at_every_stage_by_turns_it_says_what_is_finished_and_ends_with_the_same_weights(
        self, adapted, two_frames, tmp_path, capsys, caplog, monkeypatch
    ):
        out, stages = tmp_path / "own", partial_of(tmp_path / "own") / "stages"
        caplog.set_level("INFO", "elit_helpers")
        finished = []
        for place, there in STOPS:
            number = (signal.SIGINT, signal.SIGTERM)[len(finished) % 2]
            with monkeypatch.context() as patch:
                stop_at(place, number, patch)
                assert adapt(two_frames, out, *DEMO) == 128 + number
            said = capsys.readouterr().err.strip().splitlines()[-1]
            finished += there
            begun = place != "calibrating"
            what = "No stage is finished yet; the same" if begun else "Nothing was written; the same command"
            if finished:
                what = f"What is finished ({', '.join(finished)}) is in {partial_of(out)}; the same command"
            assert f"elit_helpers adapt: stopped. {what}" in said
            assert [path.name for path in tmp_path.iterdir()] == ["own.partial"] * begun
            assert not list(tmp_path.rglob(".*"))
            finished = [name for name in finished if (stages / name).is_dir()]
        with monkeypatch.context() as patch:
            last = interrupt_at(str(partial_of(out)), str, number=signal.SIGTERM, then=remove_own)
            patch.setattr(adapting, "remove_own", last)
            assert adapt(two_frames, out, *DEMO) == 143
        assert f"stopped. All was done: the ensemble is in {out}." in capsys.readouterr().err
        assert [path.name for path in tmp_path.iterdir()] == ["own"]
        for member in sorted(adapted.glob("*.safetensors")):
            assert (out / member.name).read_bytes() == member.read_bytes()

    def test_killed_it_goes_on_to_the_same_weights(self, adapted, two_frames, tmp_path, capsys):
        out = tmp_path / "own"
        command = [sys.executable, "-m", "elit_helpers", "adapt", str(two_frames), "--out", str(out), *DEMO]
        environment = os.environ | {"ELIT_THREADS": "1"}
        process = subprocess.Popen(
            list(map(str, command)), env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        stages = partial_of(out) / "stages"
        end = time.monotonic() + 240
        while process.poll() is None and not list(stages.rglob("*.safetensors")) and time.monotonic() < end:
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        assert not out.exists()
        assert adapt(two_frames, out, *DEMO) == 0
        for member in sorted(adapted.glob("*.safetensors")):
            assert (out / member.name).read_bytes() == member.read_bytes()
        assert [path.name for path in tmp_path.iterdir()] == ["own"]


# --------------------------------------------------------------------------- MoS2
@pytest.fixture(scope="module")
def taken():
    """A simulated picture of MoS2, which columns it shows, and what `run` makes of it."""
    sheet = eh.sheet("MoS2", (30.0, 30.0), angle=9)
    sheet.positions[:, :2] -= 3.0
    imaging = eh.Imaging(pixel_size=0.12, shape=(200, 200), probe="60kV", source_sigma_A=0.35, dose=30.0)
    frame = eh.simulate_frame(sheet, imaging, 1)
    truth = eh.columns(sheet).assign(frame=0, under_contamination=False)
    pixels = eh.to_pixels(truth[["x_A", "y_A"]].to_numpy(), pixel_size=0.12, height=200)
    truth[["row_px", "col_px"]] = pixels
    truth = truth[((pixels > 0) & (pixels < 199)).all(axis=1)]
    micrograph = eh.Micrograph(frame[None], name="simulated")
    return truth, eh.run_image(micrograph, pixel_size=0.12, material="MoS2")


class TestMoS2:
    def test_the_columns_and_their_elements_are_found(self, taken):
        truth, report = taken
        score = eh.score_atoms(report.atoms_found, truth, pixel_size=0.12, shape=(200, 200), border_A=0.6)
        assert score["f1"] >= 0.98
        assert score["element_accuracy"] >= 0.98

    def test_every_sulphur_column_is_two_atoms(self, taken):
        _, report = taken
        columns = report.atoms_found.query("kept")["element"].value_counts()
        assert report.structure.symbols.count("S") == 2 * columns["S"]
        assert report.structure.symbols.count("Mo") == columns["Mo"]
        assert report.structure.info["columns_of_several"] == {"S": 2}

    def test_both_atoms_of_a_column_at_the_rim_are_held(self, taken):
        _, report = taken
        relaxed, column = report.relaxation.atoms, report.structure.arrays["table_row"]
        held = np.isin(np.arange(len(relaxed)), relaxed.constraints[0].index)
        assert 0 < held.sum() < len(held)
        for row in np.unique(column):
            assert len(set(held[column == row])) == 1
        inner = np.abs(relaxed.positions[:, :2] - relaxed.positions[:, :2].mean(0)).max(1) < 7
        assert not held[inner].any()

    def test_its_own_engine_relaxes_it_and_keeps_the_energy(self, taken):
        _, report = taken
        assert report.choice.name == "lammps:rebo-mos"
        assert report.relaxation.info["converged"]
        assert abs(report.provenance["md_energy_drift_meV_per_atom"]) < 1
        bonds = eh.bonds(report.relaxation.atoms)
        assert set(bonds["pair"]) == {"Mo-S"}
        assert bonds["length_A"].median() == pytest.approx(2.41, abs=0.06)

    @pytest.mark.slow
    @pytest.mark.skipif(not REAL_MOS2.is_file(), reason=f"{REAL_MOS2.name} is not in ../shared/real_frames")
    def test_a_real_frame_goes_all_the_way(self, tmp_path):
        assert main(["run", str(REAL_MOS2), "--material", "MoS2", "--out", str(tmp_path)]) == 0
        provenance = json.loads((tmp_path / "provenance.json").read_text())
        counts = provenance["elements"]
        assert set(counts) == {"Mo", "S"}
        assert counts["S"] / counts["Mo"] == pytest.approx(2.0, abs=0.1)
        assert abs(provenance["md_energy_drift_meV_per_atom"]) < 1
        assert {path.name for path in tmp_path.iterdir()} == FILES


def test_graphene_found_in_a_picture_of_mos2_is_not_passed_off(capsys, tmp_path):
    sheet = eh.sheet("MoS2", (30.0, 30.0))
    frame = eh.simulate_frame(sheet, eh.Imaging(pixel_size=0.12, shape=(220, 220), dose=30.0), 1)
    np.save(tmp_path / "mos2.npy", frame)
    assert "Pass --pixel-size" in run_and_say(capsys, tmp_path / "out", tmp_path / "mos2.npy")
