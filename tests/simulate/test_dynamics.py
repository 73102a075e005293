"""One simulation: what is watched and kept, how it stops and goes on, in parallel, and what a bath does."""

import os
import signal
import subprocess
import sys
import textwrap
import time
import tracemalloc
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from ase.constraints import FixAtoms
from signals import interrupt_at, interrupted_after

import elit_helpers as eh
from elit_helpers.engines import lammps, lammps_mpi
from elit_helpers.simulate import record
from elit_helpers.simulate.record import Share

ENGINE = "lammps:erhart-albe"  # the fastest


def sheet(cells=(4, 2), engine=ENGINE):
    return eh.graphene_sheet(cells, a=eh.ENGINES[engine].lattice_A)


def run(atoms=None, **settings):
    settings = {"engine": ENGINE, "steps": 60, "rng": 1, "every": 10} | settings
    return eh.run_md(sheet() if atoms is None else atoms, **settings)


class TestWhatIsWatched:
    @pytest.mark.parametrize("scale", [1.0, 1.04])
    def test_the_log_has_the_bonds_of_each_frame(self, scale):
        atoms = sheet((4, 3))
        atoms.symbols[3] = "Si"
        atoms.info["lattice_scale"] = scale
        done = run(atoms, temperature_K=2000)
        for row, frame in zip(done.log.itertuples(), done.trajectory, strict=True):
            listed = eh.bonds(eh.unscaled(frame))
            assert row.bonds == len(listed)
            assert row.mean_bond_A == pytest.approx(scale * listed["length_A"].mean())
        assert eh.unscaled(done).log["mean_bond_A"][0] == pytest.approx(done.log["mean_bond_A"][0] / scale)

    def test_atoms_without_bonds_have_no_mean(self):
        apart = sheet()[[0]]
        done = run(apart, steps=10)
        assert done.log["bonds"].max() == 0
        assert done.log["mean_bond_A"].isna().all()

    def test_a_callback_sees_the_log_grow(self):
        seen = []
        done = run(watch=eh.Watch(on_progress=seen.append))
        assert [len(log) for log in seen] == [1, 2, 3, 4, 5, 6, 7]
        pd.testing.assert_frame_equal(seen[-1], done.log)

    def test_what_a_callback_does_to_its_log_is_its_own_business(self):
        def spoil(log):
            log.loc[:, "potential_eV"] = 0.0

        assert (run(watch=eh.Watch(on_progress=spoil)).log["potential_eV"] < -100).all()

    def test_frames_know_their_time(self):
        done = run(timestep_fs=0.5)
        assert [frame.info["time_fs"] for frame in done.trajectory] == list(done.log["time_fs"])

    def test_the_rings_are_counted(self):
        atoms, _ = eh.add_stone_wales(sheet((6, 4)), 40)
        done = run(atoms, watch=eh.Watch(share=1.0))
        assert done.census.iloc[0][[5, 7]].tolist() == [2, 2]
        assert len(done.census) > 1
        assert set(done.census["step"]) <= set(done.log["step"])

    def test_counted_every_so_many_steps_they_do_not_depend_on_the_machine(self, monkeypatch):
        monkeypatch.setattr(Share, "allows", lambda self: False)  # a machine too slow for any
        atoms, _ = eh.add_stone_wales(sheet((6, 4)), 40)
        done = run(atoms, watch=eh.Watch(census_every=20))
        assert done.census["step"].tolist() == [0, 20, 40, 60]
        assert run(atoms, watch=eh.Watch(census=False, census_every=20)).census.empty

    def test_in_a_large_system_they_are_counted_round_a_place(self):
        atoms, _ = eh.add_stone_wales(sheet((10, 6)), 120)
        place = atoms.positions[120, :2]
        close = run(atoms, steps=0, watch=eh.Watch(around=place)).census
        wall = run(atoms, steps=0, watch=eh.Watch(around=place + np.diag(atoms.cell)[:2])).census
        far = run(atoms, steps=0, watch=eh.Watch(around=(0, 0), radius_A=6)).census
        assert close.loc[0, [5, 7]].tolist() == [2, 2]
        assert 10 < close.loc[0, 6] < 60
        pd.testing.assert_frame_equal(wall, close)  # the same place, across the walls of the cell
        assert 5 not in far

    def test_without_a_watch_nothing_is_counted(self):
        assert list(run().census.columns) == ["step", "time_fs"]

    def test_what_is_done_on_the_way_keeps_to_its_share(self, monkeypatch):
        now = [0.0]
        monkeypatch.setattr(record, "time", SimpleNamespace(perf_counter=lambda: now[0]))
        share, spent = Share(0.05), 0.0
        for _ in range(1000):
            if share.allows():
                with share.spend():
                    now[0] += 0.3
                spent += 0.3
            now[0] += 0.1
        assert 0.03 < spent / now[0] <= 0.051

    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"share": 0}, "`share` is 0"),
            ({"radius_A": -1}, "`radius_A` is -1"),
            ({"around": 3.0}, r"`around` is 3.0; pass x, y"),
            ({"keep_every": 15}, "`keep_every` is 15; it must be a multiple of `every`, which is 10"),
            ({"census_every": 15}, "`census_every` is 15; it must be a multiple of `every`, which is 10"),
            ({"around": (500, 500), "radius_A": 2}, r"no atom is within 2 Å"),
        ],
    )
    def test_a_watch_that_cannot_be_is_refused(self, settings, message):
        flake = sheet()
        flake.pbc = False
        with pytest.raises(ValueError, match=message):
            run(flake, watch=eh.Watch(**settings))

    def test_a_bare_function_is_no_watch(self):
        with pytest.raises(TypeError, match="`watch` is builtin_function_or_method; pass Watch"):
            run(watch=print)

    def test_the_bar_counts_steps(self, capfd):
        run(progress=True)
        assert "/60 [" in capfd.readouterr().err


class TestWhatIsKept:
    def test_frames_are_kept_more_rarely_than_rows(self):
        done = run(steps=70, watch=eh.Watch(census=False, keep_every=30))
        assert [frame.info["time_fs"] for frame in done.trajectory] == [0, 30, 60, 70]
        assert len(done.log) == 8
        assert np.array_equal(done.atoms.positions, done.trajectory[-1].positions)

    def test_memory_grows_by_the_frames_alone(self):
        atoms = sheet((12, 7))

        def peak(steps):
            tracemalloc.start()
            run(atoms, steps=steps, every=1, watch=eh.Watch(census=False, keep_every=steps))
            _, most = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            return most

        peak(20)
        a_frame = 9 * len(atoms) * 8
        assert peak(420) - peak(20) < 10 * a_frame  # 400 looks more; a row of the log is 64 bytes


class TestStopAndGoOn:
    @pytest.mark.parametrize("kind", [bool, np.bool_])  # a comparison with a number of the log is NumPy's
    def test_a_callback_that_returns_true_stops_the_run(self, kind):
        done = run(watch=eh.Watch(on_progress=lambda log: kind(len(log) == 3)))
        assert done.info["stopped"] == "the callback said so"
        assert list(done.log["step"]) == [0, 10, 20]
        assert len(done.trajectory) == 3
        assert "stopped" in repr(done)

    def test_it_goes_on_from_where_it_stopped(self):
        part = run(watch=eh.Watch(on_progress=lambda log: len(log) == 4))
        rest = run(part.atoms, steps=30, temperature_K=None)
        assert np.allclose(rest.atoms.positions, run().atoms.positions, atol=1e-6)

    @pytest.mark.parametrize("engine", [ENGINE, "ase:lj"])
    def test_an_interrupt_is_raised_and_holds_what_there_is(self, engine):
        watch = eh.Watch(on_progress=interrupt_at(3, len))
        with pytest.raises(
            eh.Stopped, match=r"stopped by an interrupt after 20 of 60 steps.*steps=40.*goes on"
        ) as stop:
            run(watch=watch, engine=engine)
        part = stop.value.result
        assert len(part.log) == len(part.trajectory) == 3
        for says in (part.info["stopped"], part.log.attrs["stopped"], repr(part)):
            assert "an interrupt after 20 of 60 steps" in says

    def test_a_run_to_its_end_says_nothing_of_a_stop(self):
        done = run()
        assert done.info["stopped"] is None
        assert "stopped" not in done.log.attrs
        assert "stopped" not in repr(done)

    def test_what_was_stopped_goes_on_as_its_text_says(self):
        with pytest.raises(eh.Stopped) as stop:
            run(watch=eh.Watch(on_progress=interrupt_at(3, len)))
        rest = run(stop.value.result.atoms, steps=40, temperature_K=None)
        assert np.allclose(rest.atoms.positions, run().atoms.positions, atol=1e-6)

    def test_the_stop_button_is_heard_within_a_chunk_of_any_length(self):
        with interrupted_after(0.3), pytest.raises(eh.Stopped, match="after 0 of 10000000 steps"):
            run(steps=10_000_000, every=10_000_000)  # an hour
        with interrupted_after(0.3), pytest.raises(eh.Stopped) as stop:
            run(steps=10_000_000)
        assert len(stop.value.result.trajectory) == len(stop.value.result.log) > 1

    def test_an_interrupt_before_the_first_look_is_one(self, monkeypatch):
        monkeypatch.setattr(lammps.Session, "snapshot", interrupt_at(1))
        with pytest.raises(eh.Stopped, match="before its first step") as stop:
            run()
        assert stop.value.result is None

    @pytest.mark.parametrize("ensemble", ["nve", "nvt", "nvt-nose-hoover"])
    def test_pieces_between_which_an_interrupt_is_heard_change_no_bit(self, monkeypatch, ensemble):
        settings = {"steps": 40, "every": 20, "ensemble": ensemble, "temperature_K": 900}
        whole = run(**settings)
        monkeypatch.setattr(lammps, "PIECE_ATOM_STEPS", 3 * len(sheet()))
        pieces = run(**settings)
        pd.testing.assert_frame_equal(whole.log, pieces.log, check_exact=True)
        assert np.array_equal(whole.atoms.positions, pieces.atoms.positions)

    @pytest.mark.skipif(os.name != "posix", reason="processes of mpiexec")
    def test_an_interrupt_ends_the_processes_of_mpiexec(self, monkeypatch):
        processes, popen = [], subprocess.Popen
        monkeypatch.setattr(
            lammps_mpi.subprocess, "Popen", lambda *a, **k: processes.append(popen(*a, **k)) or processes[-1]
        )
        with pytest.raises(eh.Stopped, match="after 10 of 1000000 steps"):
            run(steps=1_000_000, ranks=2, watch=eh.Watch(on_progress=interrupt_at(2, len)))
        (process,) = processes
        assert process.returncode is not None
        with pytest.raises(ProcessLookupError):  # nor one that it had started
            os.killpg(process.pid, 0)

    def test_what_there_was_before_an_error_is_kept(self, monkeypatch):
        whole = lammps.Session._get

        def spoilt(session, name):
            values = whole(session, name)
            if name == "f" and session._lmp.extract_global("ntimestep") >= 30:
                values[2, 1] = np.nan
            return values

        monkeypatch.setattr(lammps.Session, "_get", spoilt)
        with pytest.raises(eh.SimulationError, match="after 30 steps 3 components of the forces") as error:
            run()
        assert list(error.value.run.log["step"]) == [0, 10, 20]


KILLED = """
import time
import elit_helpers as eh

def hang(log):
    if len(log) == 5:
        print("hanging", flush=True)
        time.sleep(600)

sheet = eh.graphene_sheet((4, 2), a=eh.ENGINES["lammps:erhart-albe"].lattice_A)
watch = eh.Watch(on_progress=hang, share=1.0)
eh.run_md(sheet, engine="lammps:erhart-albe", steps=60, rng=1, every=10, watch=watch, checkpoint={path!r})
"""


class TestCheckpoint:
    def test_a_killed_run_goes_on_as_if_nothing_had_been(self, tmp_path):
        path = tmp_path / "md.npz"
        script = textwrap.dedent(KILLED).format(path=str(path))
        with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout.readline().strip() == "hanging"
            process.send_signal(signal.SIGKILL)
        assert [found.name for found in tmp_path.iterdir()] == ["md.npz"]
        resumed, whole = run(checkpoint=path, watch=eh.Watch()), run()
        assert resumed.info["resumed_at"] > 0
        assert resumed.info["seed"] == whole.info["seed"]
        pd.testing.assert_frame_equal(resumed.log, whole.log, rtol=1e-6, atol=1e-6)
        assert np.allclose(resumed.atoms.positions, whole.atoms.positions, atol=1e-6)
        for a, b in zip(resumed.trajectory, whole.trajectory, strict=True):
            assert np.allclose(a.positions, b.positions, atol=1e-6)
        assert resumed.census["step"].iloc[0] == 0

    def test_a_finished_run_comes_back_and_can_be_prolonged(self, tmp_path):
        path = tmp_path / "md.npz"
        first, again = run(checkpoint=path), run(checkpoint=path)
        pd.testing.assert_frame_equal(first.log, again.log)
        longer = run(checkpoint=path, steps=90)
        assert list(longer.log["step"]) == list(range(0, 100, 10))
        assert np.allclose(longer.atoms.positions, run(steps=90).atoms.positions, atol=1e-6)

    def test_one_without_a_seed_goes_on_with_its_own(self, tmp_path):
        path = tmp_path / "md.npz"
        seeds = [run(checkpoint=path, rng=None, steps=n).info["seed"] for n in (20, 40)]
        assert seeds[0] == seeds[1]

    def test_a_bath_goes_on_with_fresh_noise(self, tmp_path):
        path = tmp_path / "md.npz"
        half = run(checkpoint=path, ensemble="nvt", steps=30)
        whole = run(checkpoint=path, ensemble="nvt", steps=60)
        pd.testing.assert_frame_equal(whole.log.iloc[:4], half.log)
        assert whole.log["total_eV"].nunique() == 7

    def test_an_interrupted_run_goes_on_from_its_file_to_the_same_end(self, tmp_path):
        path = tmp_path / "md.npz"
        watch = eh.Watch(on_progress=interrupt_at(3, len))
        with pytest.raises(eh.Stopped, match=r"the same call goes on from .*md\.npz"):
            run(checkpoint=path, watch=watch)
        with pytest.raises(eh.Stopped, match="after 40 of 60 steps"):
            run(checkpoint=path, watch=eh.Watch(on_progress=interrupt_at(5, len)))
        assert [found.name for found in tmp_path.iterdir()] == ["md.npz"]
        resumed = run(checkpoint=path)
        assert resumed.info["resumed_at"] == 40
        assert resumed.info["stopped"] is None
        assert np.allclose(resumed.atoms.positions, run().atoms.positions, atol=1e-6)

    def test_a_stopped_run_goes_on_from_its_file(self, tmp_path):
        path = tmp_path / "md.npz"
        run(checkpoint=path, watch=eh.Watch(on_progress=lambda log: len(log) == 3))
        assert run(checkpoint=path).info["resumed_at"] == 20

    @pytest.mark.parametrize("change", ["moved", "fewer"])
    def test_that_of_another_structure_is_refused(self, tmp_path, change):
        run(checkpoint=tmp_path / "md.npz")
        other = sheet()
        other.positions[0, 2] += 0.1
        other = other if change == "moved" else other[:-1]
        with pytest.raises(ValueError, match=r"md.npz holds a run with other structure: .*delete the file"):
            run(other, checkpoint=tmp_path / "md.npz")

    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"timestep_fs": 0.5}, "timestep_fs = 1.0, and this call has 0.5"),
            (
                {"engine": "lammps:tersoff"},
                "engine = 'lammps:erhart-albe', and this call has 'lammps:tersoff'",
            ),
            (
                {"engine": replace(eh.ENGINES[ENGINE], potential=("tersoff", "SiC.tersoff"))},
                "other potential: ",
            ),
            ({"rng": 2}, "seed"),
            ({"ensemble": "nvt"}, "ensemble = 'nve'"),
        ],
    )
    def test_that_of_other_settings_is_refused(self, tmp_path, settings, message):
        run(checkpoint=tmp_path / "md.npz")
        with pytest.raises(ValueError, match=message):
            run(checkpoint=tmp_path / "md.npz", **settings)

    @pytest.mark.parametrize("damage", ["cut", "text"])
    def test_a_damaged_one_is_said(self, tmp_path, damage):
        path = tmp_path / "md.npz"
        run(checkpoint=path)
        path.write_bytes(path.read_bytes()[:5000] if damage == "cut" else b"not a checkpoint")
        with pytest.raises(ValueError, match=r"md.npz cannot be read .*Delete it to start anew"):
            run(checkpoint=path)


class TestParallel:
    def test_two_processes_have_the_physics_of_one(self):
        lammps_mpi.mpiexec()
        atoms = sheet((6, 4), "lammps:lcbop")
        atoms.positions += (300.0, -40.0, 7.0)
        atoms.rotate(20, "z", rotate_cell=True)
        settings = {"engine": "lammps:lcbop", "steps": 40, "temperature_K": 600}
        one, two = run(atoms, **settings), run(atoms, **settings, ranks=2)
        assert np.allclose(two.atoms.positions, one.atoms.positions, atol=1e-6)
        assert np.allclose(two.log["total_eV"], one.log["total_eV"], atol=1e-6)
        assert two.info["parallel"] == "2 ranks (MPI), 1 thread"

    def test_held_atoms_stay_there_too(self):
        atoms = sheet((6, 4))
        atoms.set_constraint(FixAtoms(range(40)))
        done = run(atoms, ranks=2, steps=20, ensemble="nvt")
        moved = np.linalg.norm(done.atoms.positions - atoms.positions, axis=1)
        assert moved[:40].max() < 1e-9 < moved[40:].min()

    def test_what_stops_a_process_reaches_the_caller(self):
        with pytest.raises(eh.SimulationError, match=r"LAMMPS stopped|not a number|ended before"):
            run(steps=400, timestep_fs=3.0, temperature_K=3e6, ranks=2)

    def test_stopping_ends_the_processes(self):
        begun = time.perf_counter()
        done = run(steps=10_000_000, ranks=2, watch=eh.Watch(on_progress=lambda log: len(log) == 2))
        assert done.info["stopped"]
        assert time.perf_counter() - begun < 60

    def test_two_threads_have_the_physics_of_one(self):
        one, two = run(), run(threads=2)
        assert np.allclose(two.atoms.positions, one.atoms.positions, atol=1e-6)
        assert two.info["parallel"] == "2 threads (OpenMP)"

    def test_a_potential_without_threads_says_so(self):
        done = run(engine="lammps:lcbop", steps=1, threads=2)
        assert done.info["parallel"] == "1 thread: lcbop has no variant with OpenMP; take ranks=2"

    def test_a_missing_mpiexec_is_named(self, monkeypatch, tmp_path):
        monkeypatch.setattr(lammps_mpi.sys, "prefix", str(tmp_path))
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(eh.EngineMissing, match=r"`ranks` above 1 needs .*mpiexec.*lammps\[mpi\]"):
            run(ranks=2)

    def test_an_mpiexec_of_another_mpi_is_said(self, monkeypatch, tmp_path):
        program = tmp_path / "mpiexec"
        program.write_text('#!/bin/sh\nshift 2\nexec "$@"\n')  # one process, whatever was asked for
        program.chmod(0o755)
        monkeypatch.setattr(lammps_mpi, "mpiexec", lambda: str(program))
        with pytest.raises(eh.SimulationError, match="LAMMPS sees 1: it belongs to another MPI"):
            run(ranks=2)

    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            (
                {"ranks": 2, "engine": "ase:lj"},
                "`ranks` 2 is for engines of LAMMPS; 'ase:lj' has one",
            ),
            ({"ranks": 0}, "`ranks` is 0"),
            ({"threads": -1}, "`threads` is -1"),
        ],
    )
    def test_what_cannot_be_is_refused(self, settings, message):
        with pytest.raises(ValueError, match=message):
            run(**settings)


class TestBath:
    @pytest.mark.slow
    @pytest.mark.parametrize("held", [False, True], ids=["free", "half held"])
    @pytest.mark.parametrize("ensemble", ["nvt", "nvt-nose-hoover"])
    def test_its_temperature_has_the_mean_and_the_variance_of_the_canonical_ensemble(self, ensemble, held):
        atoms, kelvin = sheet(), 300.0
        if held:
            atoms.set_constraint(FixAtoms(range(len(atoms) // 2)))
        settings = {"ensemble": ensemble, "temperature_K": 2 * kelvin, "bath_K": kelvin, "steps": 200_000}
        done = run(atoms, **settings, watch=eh.Watch(census=False, keep_every=200_000))
        seen = done.log["temperature_K"][1000:]
        freedom = 3 * len(atoms) / 2 if held else 3 * len(atoms) - 3
        assert seen.mean() == pytest.approx(kelvin, rel=0.02)
        assert seen.var() == pytest.approx(2 * kelvin**2 / freedom, rel=0.15)

    def test_it_may_be_colder_than_the_start(self):
        done = run(temperature_K=900, bath_K=100, ensemble="nvt", steps=800)
        assert done.log["temperature_K"][0] == pytest.approx(900)
        assert done.log["temperature_K"].tail(20).mean() < 250

    def test_one_goes_on_with_velocities_as_they_are(self):
        first = run(ensemble="nvt")
        rest = run(first.atoms, ensemble="nvt", temperature_K=None, bath_K=300)
        assert rest.log["kinetic_eV"][0] == pytest.approx(first.log["kinetic_eV"].iloc[-1])

    def test_one_without_a_temperature_is_refused(self):
        with pytest.raises(ValueError, match="`bath_K` is None"):
            run(ensemble="nvt", temperature_K=None)

    def test_a_chain_of_thermostats_is_lammps_own(self):
        with pytest.raises(ValueError, match="'nvt-nose-hoover' is for engines of LAMMPS"):
            run(engine="ase:lj", ensemble="nvt-nose-hoover")


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["lammps:lcbop", ENGINE])
def test_energy_drifts_by_less_than_a_hundredth_of_a_millielectronvolt_an_atom_and_picosecond(engine):
    atoms = eh.relax(sheet((6, 4), engine), engine=engine, cell="xy", fmax=0.005).atoms
    done = run(atoms, engine=engine, steps=5000, temperature_K=600, every=25)
    assert abs(done.info["drift_meV_per_atom"]) / 5 < 0.01


class TestEnergySpread:
    @pytest.fixture
    def uncertain(self):
        atoms = sheet()
        atoms.set_array("position_std_A", np.full(len(atoms), 0.05))
        return atoms

    def test_certain_atoms_have_one_energy(self, uncertain):
        uncertain.arrays["position_std_A"][:] = 0.0
        energies = eh.energy_spread(uncertain, engine=ENGINE, samples=3, rng=1)
        expected = eh.single_point(uncertain, engine=ENGINE).get_potential_energy()
        assert energies == pytest.approx([expected] * 3, abs=1e-6)

    def test_noise_costs_energy_and_twice_of_it_about_four_times(self, uncertain):
        rest = eh.single_point(uncertain, engine=ENGINE).get_potential_energy()
        once = eh.energy_spread(uncertain, engine=ENGINE, rng=1) - rest
        uncertain.arrays["position_std_A"] *= 2
        twice = eh.energy_spread(uncertain, engine=ENGINE, rng=1) - rest
        assert once.shape == (20,)
        assert once.min() > 0
        assert twice.mean() / once.mean() == pytest.approx(4, rel=0.2)

    def test_the_spread_is_a_distance_in_the_plane(self, uncertain, monkeypatch):
        drawn = []

        def note(atoms, **_):
            drawn.append(atoms.positions - uncertain.positions)
            return SimpleNamespace(get_potential_energy=lambda: 0.0)

        monkeypatch.setattr("elit_helpers.simulate.energies.single_point", note)
        eh.energy_spread(uncertain, engine=ENGINE, samples=200, rng=1)
        moved = np.array(drawn)
        assert np.sqrt((moved**2).sum(axis=2).mean()) == pytest.approx(0.05, rel=0.03)
        assert not moved[..., 2].any()

    def test_relaxed_it_is_small(self, uncertain):
        energies = eh.energy_spread(uncertain, engine=ENGINE, samples=3, relax=True, rng=1)
        assert np.ptp(energies) / len(uncertain) < 1e-3

    def test_the_same_seed_draws_the_same(self, uncertain):
        first, second = (eh.energy_spread(uncertain, engine=ENGINE, samples=2, rng=3) for _ in range(2))
        assert np.array_equal(first, second)

    def test_a_structure_without_error_bars_is_refused(self):
        with pytest.raises(ValueError, match=r"no array 'position_std_A'.*`to_atoms` has it"):
            eh.energy_spread(sheet())

    @pytest.mark.parametrize("value", [np.nan, -0.1])
    def test_error_bars_that_are_none_are_counted(self, uncertain, value):
        uncertain.arrays["position_std_A"][[3, 5]] = value
        with pytest.raises(ValueError, match="not a number for 2 atoms, the first being atom 3"):
            eh.energy_spread(uncertain)
