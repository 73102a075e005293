"""The benchmarks compare what they say they compare; what they measure is in docs/benchmarks.md."""

import functools
import importlib
import platform
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from places import ROOT
from scipy.spatial import cKDTree


@pytest.fixture
def benchmark(monkeypatch):
    """Import a module of benchmarks/ or tools/ by its name."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    return importlib.import_module


@pytest.mark.parametrize(
    ("wanted", "measured", "met"),
    [("≥ 0.98", 0.98, True), ("≥ 0.98", 0.979, False), ("≤ 0.10 Å", 0.1, True), ("≤ 0.10 Å", 0.11, False),
     ("0.9–1.05", 0.95, True), ("0.9–1.05", 1.06, False)],
)  # fmt: skip
def test_a_measured_figure_is_compared_with_the_one_that_is_wanted(benchmark, wanted, measured, met):
    assert benchmark("_report").holds(wanted, measured) is met


def test_a_wanted_figure_that_cannot_be_read_is_refused(benchmark):
    with pytest.raises(ValueError, match="write '≥ number'"):
        benchmark("_report").holds("about 3", 3.0)


def test_what_was_not_measured_counts_as_neither_met_nor_missed(benchmark):
    table = benchmark("_report").wanted_and_measured([("F1", "≥ 0.98", float("nan")), ("s", "≤ 6 s", 2.0)])
    assert table["met"].tolist() == ["not measured", "yes"]


def test_a_table_becomes_markdown_with_a_dash_for_nothing(benchmark):
    table = pd.DataFrame({"F1": [0.98765, float("nan")], "of": ["a|b", "c"]}, index=["x", "y"])
    lines = benchmark("_report").markdown(table).splitlines()
    assert lines == ["|  | F1 | of |", "| --- | --: | --- |", "| x | 0.9877 | a\\|b |", "| y | – | c |"]


def test_a_benchmark_that_ran_again_replaces_its_own_section_only(benchmark, monkeypatch):
    run_benchmarks = benchmark("run_benchmarks")
    monkeypatch.setattr(run_benchmarks, "known", lambda: ["accuracy", "training"])
    section = functools.partial(run_benchmarks.section, about="What.", tables={}, where="2 processors")
    first = {"training": section("training", seconds=7), "gone": section("gone", seconds=1)}
    page = run_benchmarks.renewed("", first)
    page = run_benchmarks.renewed(page, {"accuracy": section("accuracy", seconds=5)})
    page = run_benchmarks.renewed(page, {"training": section("training", seconds=9)})
    assert re.findall(r"## (\w+)", page) == ["accuracy", "training"]
    assert "in 9 s" in page
    assert "in 7 s" not in page
    assert page.count("# Benchmarks") == 1


def test_numbers_of_a_trial_run_are_not_written(benchmark, tmp_path, capsys):
    with pytest.raises(SystemExit):
        benchmark("run_benchmarks").main(["--quick", "--write", str(tmp_path / "page.md")])
    assert "mean nothing" in capsys.readouterr().err


def test_a_benchmark_that_is_not_there_is_refused_with_the_list(benchmark, capsys):
    with pytest.raises(SystemExit):
        benchmark("run_benchmarks").main(["speed"])
    assert "there are accuracy" in capsys.readouterr().err


def test_the_machine_is_described_without_its_name(benchmark):
    said = benchmark("run_benchmarks").machine()
    assert platform.node() not in said
    assert str(ROOT) not in said
    assert platform.python_version() in said


def frame_of_spots():
    """Return a frame with 16 bright spots and where they are [px]."""
    grid = np.stack(np.meshgrid([15, 30, 45, 60], [15, 30, 45, 60], indexing="ij"), -1).reshape(-1, 2)
    row_col = grid + np.random.default_rng(0).uniform(-0.5, 0.5, grid.shape)
    rows, cols = np.indices((76, 76))
    spots = [np.exp(-((rows - r) ** 2 + (cols - c) ** 2) / (2 * 4.0**2)) for r, c in row_col]
    return np.sum(spots, 0).astype(np.float32), row_col


def test_blob_log_is_called_so_that_it_finds_spots(benchmark):
    frame, row_col = frame_of_spots()
    peer = benchmark("_peers").PEERS["scikit-image blob_log"]
    found = peer.finder({"flat": False, "narrow_A": 0.3, "wide_A": 0.5, "threshold": 0.1})(frame, 0.1)
    assert len(found) == 16
    assert cKDTree(found[["row_px", "col_px"]]).query(row_col)[0].max() < 1.5


@pytest.mark.slow
@pytest.mark.parametrize("name", ["trackpy", "atomap + 2-D Gaussian"])
def test_a_classical_finder_is_called_so_that_it_finds_spots(benchmark, name):
    frame, row_col = frame_of_spots()
    peer = benchmark("_peers").PEERS[name]
    if peer.missing():
        pytest.skip(f"{peer.package} is not installed (pip install -e '.[bench]')")

    def judge(find):
        found = find(frame, 0.1)
        near = cKDTree(found[["row_px", "col_px"]]).query(row_col)[0].max() if len(found) else 99
        return -abs(len(found) - 16) - near

    find, _ = benchmark("_peers").tuned(peer, judge)
    assert judge(find) > -0.5


def test_a_finder_is_frozen_with_the_options_that_score_most_and_those_that_fail_are_passed_over(benchmark):
    peers = benchmark("_peers")

    def atoms(frame, pixel_size, *, n):
        if n == 3:
            raise RuntimeError("no such option")
        return np.zeros((n, 2))

    peer = peers.Peer("numpy", atoms, [{"n": n} for n in (1, 2, 3)], {})
    find, options = peers.tuned(peer, lambda find: len(find(np.ones((8, 8)), 0.1)))
    assert options == {"n": 2}
    assert len(find(np.ones((8, 8)), 0.1)) == 2
    with pytest.raises(RuntimeError, match="failed with all 1 options"):
        peers.tuned(peers.Peer("numpy", atoms, [{"n": 3}], {}), lambda find: len(find(None, 0.1)))


def test_a_finder_that_returns_the_truth_is_perfect_on_the_movie(benchmark):
    frames = benchmark("_frames")
    stack, truth, size = frames.movie("development")

    def find(frame, pixel_size):
        number = next(i for i, f in enumerate(stack) if f is frame or np.array_equal(f, frame))
        here = truth[(truth["frame"] == number) & ~truth["under_contamination"]]
        return here[["row_px", "col_px", "element"]]

    scores = frames.on_movie(find, "development", frames=2, elements=True)
    assert (scores["f1"], scores["Si F1"], scores["false a frame"]) == (1.0, 1.0, 0.0)
    assert scores["rmse_A"] < 1e-9
    assert np.isnan(frames.on_movie(find, "development", frames=1)["Si F1"])


def test_without_the_shared_folder_cases_and_real_frames_are_left_out(
    benchmark, monkeypatch, tmp_path, capsys
):
    frames = benchmark("_frames")
    monkeypatch.setattr(frames, "SHARED", tmp_path)
    monkeypatch.setattr(frames, "REAL", tmp_path)
    assert frames.peers_script.__wrapped__() is None
    assert frames.real_frames() == {}
    assert benchmark("real_frames").main(quick=True) == {}
    assert "no real frames beside the checkout" in capsys.readouterr().out


@pytest.mark.slow
def test_atomai_trains_with_its_defaults_and_leaves_no_trace(benchmark, tmp_path, monkeypatch):
    atomai = benchmark("_atomai")
    monkeypatch.chdir(tmp_path)
    seen = []
    images, masks = atomai.pairs(64)
    data = (images[:32], masks[:32], images[32:], masks[32:])
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    steps = atomai.ensemble_trainer(
        lambda step, net: seen.append(atomai.as_ensemble(net)) or step >= 2, threads=1, every=1, data=data
    )
    assert len(steps.wall) == 2
    assert seen[0].settings.filters == 16
    assert not list(tmp_path.iterdir())
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


def test_a_net_that_never_gets_there_counts_as_infinitely_slow(benchmark, monkeypatch):
    training = benchmark("training")
    monkeypatch.setattr(training, "judged_on", lambda: {"frame": None})
    first = pd.DataFrame(np.inf, index=range(3), columns=["frame"])
    training.note(first, 0, 80, {"frame": True})
    training.note(first, 0, 90, {"frame": True})
    training.note(first, 1, 120, {"frame": True})
    training.note(first, 2, 200, {"frame": False})
    row = training.row(first, 0.1, 0.2, 1)
    assert (row["steps, frame"], row["s a net"], row["CPU-s a net"]) == pytest.approx((120, 12.0, 24.0))
    assert np.isnan(row["slowest, frame"])


def test_the_frame_that_nets_are_judged_on_is_found_in_full(benchmark):
    training, frames = benchmark("training"), benchmark("_frames")
    import elit_helpers as eh

    frame, size = training.simulated_frame()
    share, density = frames.share_and_density(frames.by_ensemble(eh.default_ensemble()), frame, size)
    assert share >= training.GOOD_ENOUGH  # or no net could be good enough on it
    assert training.DENSITIES[0] <= density <= training.DENSITIES[1]


def test_a_log_of_lammps_is_read_for_its_steps_their_time_and_an_energy(benchmark):
    log = (
        "   Step   Temp   PotEng   KinEng   TotEng\n   0  600  -442.5  4.6  -437.9\n"
        "   50  310  -440.2  2.4  -437.8\nLoop time of 2.5 on 1 procs for 50 steps with 60 atoms\n\n"
        "80.0% CPU use with 1 MPI tasks x 1 OpenMP threads\n"
    )
    dynamics = benchmark("dynamics")
    assert dynamics.read_log(log, 50) == pytest.approx({"steps": 2.5, "cpu": 2.0, "energy": -440.2})
    with pytest.raises(ValueError, match="not that of 100 steps"):
        dynamics.read_log(log, 100)


@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="the system does not say RssAnon")
def test_the_memory_of_frames_is_that_of_their_arrays(benchmark):
    import elit_helpers as eh

    sheet = eh.graphene_sheet((80, 62))
    frames = [sheet.copy() for _ in range(20)]
    arrays = sum(values.nbytes for frame in frames for values in frame.arrays.values())
    assert benchmark("dynamics").copied_bytes(frames) == pytest.approx(arrays, rel=0.3)


def test_without_the_program_of_lammps_rates_are_left_out(benchmark, monkeypatch, capsys):
    dynamics = benchmark("dynamics")
    monkeypatch.setattr(dynamics, "program", lambda: None)
    assert dynamics.main(quick=True) == {}
    assert "lmp is not installed" in capsys.readouterr().out


def test_a_canonical_temperature_passes_and_one_that_hardly_varies_does_not(benchmark):
    freedom, kelvin, rng = 177, 300.0, np.random.default_rng(1)
    energies = rng.chisquare(freedom, 20_000) * kelvin / freedom
    told = benchmark("potentials").canonical(energies, kelvin, freedom)
    assert told["mean / T"] == pytest.approx(1, abs=5 * told["± mean"])
    assert told["variance / canonical"] == pytest.approx(1, abs=5 * told["± variance"])
    assert told["± variance"] < 0.02
    stiff = benchmark("potentials").canonical(kelvin + 0.5 * (energies - kelvin), kelvin, freedom)
    assert stiff["variance / canonical"] == pytest.approx(0.25, abs=0.02)


def test_the_error_of_a_mean_counts_only_what_is_independent(benchmark):
    steps = np.random.default_rng(2).normal(size=2000)
    canonical = benchmark("potentials").canonical
    alone, often = (canonical(300 + values, 300.0, 100) for values in (steps, np.repeat(steps, 10)))
    assert often["± mean"] == pytest.approx(alone["± mean"])


def test_a_wrong_force_shows_in_the_differences_of_the_energy(benchmark, monkeypatch):
    potentials = benchmark("potentials")
    atoms = potentials.shaken("lammps:tersoff")
    assert set(atoms.symbols) == {"C", "Si"}
    assert potentials.force_error("lammps:tersoff", atoms, 3)["largest error [eV/Å]"] < 1e-5
    right = potentials.eh.single_point

    def wrong(atoms, *, engine):
        done = right(atoms, engine=engine)
        done.calc.results["forces"] = done.calc.results["forces"] + 0.01
        return done

    monkeypatch.setattr(potentials.eh, "single_point", wrong)
    error = potentials.force_error("lammps:tersoff", atoms, 3)["largest error [eV/Å]"]
    assert error == pytest.approx(0.01, rel=0.01)


def test_lengths_are_compared_in_per_cent_and_energies_in_ev(benchmark):
    potentials = benchmark("potentials")
    reference = potentials.REFERENCE.loc[["lammps:lcbop"]]
    measured = reference.assign(
        lattice_A=reference["lattice_A"] * 1.02, vacancy_eV=reference["vacancy_eV"] + 0.3
    )
    both, difference = potentials.beside(measured)
    assert difference.loc["lammps:lcbop", ["lattice_A", "vacancy_eV"]].tolist() == pytest.approx([2.0, 0.3])
    assert both["vacancy_eV"].loc["lammps:lcbop", ["measured", "reference"]].tolist() == pytest.approx(
        [7.9, 7.6]
    )


def test_two_directions_of_a_turned_bond_have_the_same_atoms_and_neighbours(benchmark):
    import elit_helpers as eh

    turned = benchmark("potentials").turned_bonds(eh.graphene_sheet((8, 5)))
    assert len(turned) == 2
    for atoms in turned.values():
        count = eh.ring_census(eh.relax(atoms, engine="lammps:lcbop", nudge_A=0.0).atoms)["count"]
        assert (count[5], count[7]) == (2, 2)


def test_a_structure_that_is_the_truth_deviates_by_nothing(benchmark):
    structure = benchmark("structure")
    truth = structure.truth_of(0)
    assert {"C", "Si"} == set(truth.symbols)
    assert structure.eh.compare_structures(truth, truth)["rmse_A"] < 1e-9


def test_seams_of_a_defect_in_a_flake_are_measured_after_relaxation(benchmark):
    import elit_helpers as eh

    flake = eh.graphene_sheet((45.0, 45.0), a=2.5, angle=11)
    flake, info = eh.add_stone_wales(
        flake, int(np.linalg.norm(flake.positions - flake.positions.mean(0), axis=1).argmin())
    )
    patch = eh.embed(flake, info["position"][:2])
    told = benchmark("structure").seam(patch)
    assert told["seam bonds, relaxed"] == told["seam bonds"] > 0
    assert 1.3 < told["shortest, relaxed [Å]"] <= told["longest, relaxed [Å]"] < 1.6


@pytest.mark.slow
@pytest.mark.parametrize("name", ["potentials", "dynamics", "structure"])
def test_a_benchmark_of_simulations_runs_and_says_what_is_wanted(benchmark, name):
    tables = benchmark(name).main(quick=True)
    assert "Wanted and measured" in tables or not tables
    assert all(len(table) for table in tables.values())
