"""From a picture to a simulation in one call and one command, and what bad input gets."""

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ase.io import read

import elit_helpers as eh
from elit_helpers import pipeline
from elit_helpers.__main__ import main

REAL = Path(__file__).resolve().parents[2] / "shared" / "real_frames" / "G-Si-2nm.hdf5"
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


def run_and_say(capsys, out, *arguments):
    """Run the command, which must fail, and return its one line; nothing may stay behind."""
    status = main(["run", *map(str, arguments), "--out", str(out)])
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert status == 1
    assert not out.exists()
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

    def test_the_same_seed_gives_the_same_run(self, picture):
        logs = [pipeline.run_image(picture, rng=4).dynamics.log for _ in range(2)]
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
            monkeypatch.setattr(pipeline, "BATCH", batch)
            found.append(pipeline.run_image(tmp_path, pixel_size=0.096, frame=2).atoms_found)
        assert set(found[0]["frame"]) == {0, 1, 2}
        pd.testing.assert_frame_equal(*found)

    def test_a_name_that_is_not_fetched_says_how_to_fetch_it(self, capsys, tmp_path, monkeypatch):
        monkeypatch.setenv("ELIT_CACHE", str(tmp_path / "cache"))
        monkeypatch.delenv("ELIT_FETCH_BASE", raising=False)
        assert "fetch" in run_and_say(capsys, tmp_path / "out", "G-Si-2nm")

    @pytest.mark.skipif(not REAL.is_file(), reason=f"real frame {REAL.name} is not in ../shared/real_frames")
    def test_a_name_stands_for_its_frame(self, monkeypatch):
        monkeypatch.setenv("ELIT_FETCH_BASE", str(REAL.parent))
        assert pipeline._open("G-Si-2nm").frames.shape == (1, 256, 256)


class TestPixelSize:
    def test_the_lattice_is_asked_before_the_file(self):
        movie, warnings = eh.load_movie("development"), []
        size, source = pipeline.resolve_pixel_size(
            movie, None, material="graphene", frame=0, warnings=warnings
        )
        assert source == "lattice"
        if abs(size / movie.pixel_size - 1) > pipeline.DISAGREEMENT:
            assert "differ by" in warnings[0]

    def test_the_user_has_the_last_word_and_is_told(self):
        movie, warnings = eh.load_movie("development"), []
        given = 1.1 * movie.pixel_size
        assert pipeline.resolve_pixel_size(movie, given, material="graphene", frame=0, warnings=warnings) == (
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
        line = run_and_say(capsys, tmp_path / "out", picture, "--material", "MoS2")
        assert "choose one of 'graphene'" in line

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
