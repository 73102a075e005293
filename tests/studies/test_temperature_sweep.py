"""A sweep of temperatures: seeds, workers, what each row says, and what is refused."""

import os
import signal
import subprocess
import sys

import numpy as np
import pandas as pd
import psutil
import pytest
from signals import interrupt_at

import elit_helpers as eh
from elit_helpers.simulate import dynamics
from elit_helpers.studies import temperature_sweep

SHORT = {"temperatures_K": (300, 3000), "replicas": 2, "time_ps": 0.05, "engine": "lammps:lcbop", "rng": 1}


def turned():
    return eh.add_stone_wales(eh.graphene_sheet((7, 4)), 40)[0]


@pytest.fixture(scope="module")
def sweep():
    return eh.temperature_sweep(turned(), workers=1, **SHORT)


def test_there_is_a_row_a_structure_and_a_seed_for_each_run(sweep):
    table = sweep.table
    assert table["temperature_K"].to_list() == [300, 300, 3000, 3000]
    assert table["replica"].to_list() == [0, 1, 0, 1]
    assert table["seed"].to_list() == sweep.info["seeds"]
    assert table["seed"].is_unique
    assert len(sweep.structures) == 4
    assert table.attrs["cutoffs"]["C", "C"] == 1.85


def test_the_fate_and_the_rings_are_those_of_the_cooled_structures(sweep):
    for row, cooled in zip(sweep.table.itertuples(), sweep.structures, strict=True):
        census = eh.ring_census(cooled, cutoffs=sweep.table.attrs["cutoffs"])["count"]
        assert {n: getattr(row, f"rings_{n}") for n in census.index} == census.to_dict()
        assert row.fate == eh.fate(sweep.start, cooled)


def test_hot_bonds_are_longer_and_scatter_more(sweep):
    cold, hot = (sweep.bonds.query("temperature_K == @kelvin") for kelvin in (300, 3000))
    assert cold["name"].to_list() == hot["name"].to_list() == eh.defect_bonds(sweep.start)["name"].to_list()
    assert hot["std_A"].mean() > 2 * cold["std_A"].mean()
    assert (hot["longest_A"] >= hot["mean_A"]).all()
    assert sweep.table["longest_bond_A"].max() == hot["longest_A"].max()


def test_the_same_seed_gives_the_same_table_and_another_does_not(sweep):
    again = eh.temperature_sweep(turned(), workers=1, **SHORT)
    other = eh.temperature_sweep(turned(), workers=1, **SHORT | {"rng": 2})
    pd.testing.assert_frame_equal(again.table, sweep.table, check_exact=True)
    assert not other.table["mean_temperature_K"].equals(sweep.table["mean_temperature_K"])


@pytest.mark.slow
def test_two_workers_give_the_table_that_one_gives(sweep):
    side_by_side = eh.temperature_sweep(turned(), workers=2, **SHORT)
    pd.testing.assert_frame_equal(side_by_side.table, sweep.table, check_exact=True)
    pd.testing.assert_frame_equal(side_by_side.bonds, sweep.bonds, check_exact=True)
    for one, two in zip(sweep.structures, side_by_side.structures, strict=True):
        assert np.array_equal(one.positions, two.positions)


def test_one_row_can_be_had_again_from_its_seed(sweep):
    row = sweep.table.iloc[2]
    steps = {"steps": 100, "every": 50, "timestep_fs": 0.5, "ensemble": "nvt", "temperature_K": 3000}
    run = eh.run_md(sweep.start, engine="lammps:lcbop", rng=int(row["seed"]), **steps)
    assert run.log["temperature_K"].iloc[1:].mean() == pytest.approx(row["mean_temperature_K"])


def test_a_perfect_sheet_has_no_bonds_of_a_defect():
    calm = eh.temperature_sweep(eh.graphene_sheet((5, 3)), workers=1, **SHORT | {"replicas": 1})
    assert calm.table["fate"].to_list() == ["unchanged", "unchanged"]
    assert not len(calm.bonds)
    assert calm.table["longest_bond_A"].isna().all()


def test_the_engine_with_its_own_lattice_is_compared_in_that_of_the_picture():
    settings = SHORT | {"engine": "auto", "temperatures_K": (300,), "replicas": 1}
    sheet = turned()
    sheet.symbols[0] = "Si"
    sweep = eh.temperature_sweep(sheet, workers=1, **settings)
    assert sweep.info["engine"] == "lammps:erhart-albe"
    assert sweep.start.cell.lengths()[:2] == pytest.approx(sheet.cell.lengths()[:2])
    assert sweep.structures[0].cell.lengths()[:2] == pytest.approx(sheet.cell.lengths()[:2])


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"temperatures_K": ()}, "`temperatures_K` is empty; give one"),
        ({"temperatures_K": (300, -5)}, "`temperatures_K` is -5"),
        ({"replicas": 0}, "`replicas` is 0"),
        ({"workers": 1.5}, "`workers` is 1.5"),
        ({"time_ps": 0}, "`time_ps` is 0"),
    ],
)
def test_settings_out_of_range_are_refused(setting, message):
    with pytest.raises(ValueError, match=message):
        eh.temperature_sweep(turned(), **SHORT | setting)


def test_a_run_that_stops_says_which_it_was(monkeypatch):
    def stops(*_, **__):
        raise eh.SimulationError("LAMMPS stopped at `run`")

    monkeypatch.setattr(temperature_sweep, "run_md", stops)
    with pytest.raises(eh.SimulationError, match=r"The run at 300 K, replica 0, seed \d+ stopped: LAMMPS"):
        eh.temperature_sweep(turned(), workers=1, **SHORT)


def test_workers_are_as_many_as_processors_memory_and_runs_allow(monkeypatch):
    long, short = (
        [temperature_sweep._Task(turned(), "lammps:lcbop", 300.0, k, k, time_ps) for k in range(15)]
        for time_ps in (2.0, 0.1)
    )
    monkeypatch.setenv("ELIT_THREADS", "8")
    monkeypatch.setattr(temperature_sweep, "memory_limit", lambda: (1.3e9, "a test"))
    assert temperature_sweep._how_many(None, long) == 3
    assert temperature_sweep._how_many(20, long) == 15
    assert temperature_sweep._how_many(None, short) == 1  # done before another process has started
    monkeypatch.setattr(temperature_sweep, "memory_limit", lambda: (1e8, "a test"))
    assert temperature_sweep._how_many(None, long) == 1


# ---------------------------------------------------------------- interrupted
def test_an_interrupt_leaves_the_runs_that_were_finished_and_says_so(sweep, monkeypatch):
    look = interrupt_at(
        2 * 3 + 2, then=dynamics.Simulation._look
    )  # in the third run: each is looked at 3 times
    monkeypatch.setattr(dynamics.Simulation, "_look", lambda *a: look(*a))
    with pytest.raises(
        eh.Stopped, match="The sweep was stopped by an interrupt after 2 of 4 runs; those"
    ) as stop:
        eh.temperature_sweep(turned(), workers=1, **SHORT)
    part = stop.value.result
    pd.testing.assert_frame_equal(part.table, sweep.table[:2])
    for says in (part.info["stopped"], part.table.attrs["stopped"], repr(part)):
        assert "an interrupt after 2 of 4 runs" in says
    assert "stopped" not in sweep.info
    assert "stopped" not in repr(sweep)


def test_an_interrupt_in_the_first_run_leaves_nothing(monkeypatch):
    look = interrupt_at(2, then=dynamics.Simulation._look)
    monkeypatch.setattr(dynamics.Simulation, "_look", lambda *a: look(*a))
    with pytest.raises(eh.Stopped, match=r"after 0 of 4 runs\.$") as stop:
        eh.temperature_sweep(turned(), workers=1, **SHORT)
    assert stop.value.result is None


IN_WORKERS = """
import sys, psutil
import elit_helpers as eh
from elit_helpers.studies import temperature_sweep

if __name__ == "__main__":
    atoms = eh.add_stone_wales(eh.graphene_sheet((7, 4)), 40)[0]
    def bar(iterable, **_):
        print("begun", *(p.pid for p in psutil.Process().children(recursive=True)), flush=True)
        yield from iterable
    temperature_sweep.progress_bar = bar
    try:
        eh.temperature_sweep(atoms, replicas=1, time_ps=1e6, engine="lammps:lcbop", rng=1, workers=2)
    except eh.Stopped as stop:
        print(stop, flush=True)
        sys.exit(130)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "whole", "status"),
    [
        (signal.SIGINT, True, 130),
        (signal.SIGINT, False, 130),
        (signal.SIGTERM, False, -15),
        (signal.SIGKILL, False, -9),
    ],
    ids=["Ctrl-C in a terminal", "SIGINT", "SIGTERM", "SIGKILL"],
)
def test_no_worker_outlives_the_sweep(tmp_path, number, whole, status):
    script = tmp_path / "sweep.py"
    script.write_text(IN_WORKERS)
    with subprocess.Popen(
        [sys.executable, script],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        word, *pids = process.stdout.readline().split()
        assert word == "begun"
        assert len(pids) >= 2
        workers = [psutil.Process(int(pid)) for pid in pids if psutil.pid_exists(int(pid))]
        (os.killpg if whole else os.kill)(process.pid, number)
        said, complaints = process.communicate(timeout=60)
    assert process.returncode == status
    assert not psutil.wait_procs(workers, timeout=30)[1]
    if status == 130:
        assert said.startswith("The sweep was stopped by an interrupt after 0 of 5 runs.")
        assert "Traceback" not in complaints
