"""Let CH3, CH2, CH and C fly at a vacancy of the movie, by tight binding and by AIREBO, and count what heals.

usage: python data/recipes/make_healing.py [DATA_FOLDER] [--work FOLDER] [--replicas N] [--only X] [--collect]

Each run leaves two files in the work folder, its frames and then its row, each whole or not at all; a run
whose row is there is not computed again. At the end (or at once with --collect) they are put together in
DATA_FOLDER/healing. A run by tight binding takes about 45 s of one processor, one by AIREBO half a second.
"""

import argparse
import datetime as dt
import gzip
import io
import itertools
import json
import os
import zlib
from collections import Counter
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pandas as pd
from ase import Atoms
from ase.constraints import FixAtoms
from ase.io import read, write

import elit_helpers as eh
from elit_helpers.core.files import atomic_write

SEED = 20261125
FRAME, EMPTY_A, RADIUS_A = 0, (30.71, 30.10), 4.5  # the movie's frame, its vacancy, the cut round it
MOLECULES = ("CH3", "CH2", "CH", "C")
WAYS = ((2.5, 0.0, 0.0), (4.0, 0.0, 90.0), (3.5, 50.0, 0.0))  # distance [Å], angle [°], turned [°]
TEMPERATURES_K = (300.0, 2000.0)
COLLISION_EV, TIME_FS, KEEP_FS = 3.0, 400.0, 10.0
ENGINES = {"xtb": "tblite:gfn1", "airebo": "lammps:airebo"}
REPLICAS, AIREBO_REPLICAS = 2, 5


def flake(folder, engine):
    """Cut the vacancy out of the movie's atoms, close its edge, relax it flat, then hold the hydrogens.

    The ensemble puts a carbon atom of probability 0.80 into this vacancy; the movie's truth has none there.
    It is taken out. The rim is held where the flat flake has it, as the sheet round it would hold it.
    """
    found = pd.read_csv(folder / "handover" / "atoms_found.csv")
    atoms = eh.to_atoms(found, frame=FRAME, keep_loose=False)
    truth = eh.load_movie_truth("development").query("frame == @FRAME")
    away = np.linalg.norm(atoms.positions[:, :2] - EMPTY_A, axis=1)
    nearest = np.linalg.norm(truth[["x_A", "y_A"]] - np.array(EMPTY_A), axis=1).min()
    if nearest < 1.0:
        raise SystemExit(f"The movie has an atom {nearest:.2f} Å from {EMPTY_A}: no vacancy there.")
    del atoms[np.flatnonzero(away < 0.7)]
    cut = eh.patch(atoms, EMPTY_A, radius_A=RADIUS_A)
    for name in set(cut.arrays) - {"numbers", "positions"}:
        del cut.arrays[name]
    empty = np.array(EMPTY_A) + cut.info["offset_A"][:2]
    cut.info = {"frame": FRAME, "hole_x_A": float(empty[0]), "hole_y_A": float(empty[1])}
    flat = eh.relax(cut, engine=engine, fmax=0.03, nudge_A=0.0).atoms
    flat.info |= cut.info
    flat.set_constraint(FixAtoms(np.flatnonzero(flat.numbers == 1)))
    held = eh.relax(flat, engine=engine, fmax=0.03).atoms
    held.info |= cut.info
    return held


def tasks(replicas, airebo_replicas):
    """Name and settings of every run; all starts once by tight binding first, then again, then AIREBO."""
    for kind, number in (("xtb", replicas), ("airebo", max(replicas, airebo_replicas))):
        for replica in range(number):
            for way, kelvin, molecule in itertools.product(WAYS, TEMPERATURES_K, MOLECULES):
                where = "_".join(f"{value:g}" for value in way)
                yield f"{kind}_{molecule}_{where}_{kelvin:g}_{replica}", kind, molecule, way, kelvin, replica


def compute(sheet, name, kind, molecule, way, kelvin, replica):
    """One run: its frames and its row."""
    # The same start has the same seed in both engines, and no seed depends on which runs are there already.
    start_of = zlib.crc32(name.partition("_")[2].encode())
    place, motion = np.random.SeedSequence([SEED, start_of]).generate_state(2).tolist()
    distance, angle, turned = way
    hole = (sheet.info["hole_x_A"], sheet.info["hole_y_A"])
    start = eh.approach(
        sheet, molecule, hole=hole, distance_A=distance, angle=angle, turned=turned, rng=place
    )
    settings = {"temperature_K": kelvin, "collision_eV": COLLISION_EV, "time_fs": TIME_FS}
    result = eh.heal(start, engine=ENGINES[kind], rng=motion, **settings)
    every = max(round(KEEP_FS / float(np.diff(result.way["time_fs"])[0])), 1)
    frames = [
        bare(atoms, name, **{key: float(value) for key, value in way_row.items()})
        for atoms, way_row in zip(result.run.trajectory, result.way.to_dict("records"), strict=True)
    ][::every]
    frames.append(bare(result.cooled, name, time_fs=-1.0, potential_eV=result.cooled.get_potential_energy()))
    made = {"created": dt.datetime.now(dt.UTC).isoformat(timespec="seconds")}
    row = {"name": name, "replica": replica, "start_seed": place, **result.row}
    return frames, {"row": row, "way": result.way.round(4).to_dict("list"), "versions": eh.versions(), **made}


def bare(atoms, name, **info):
    """Elements and positions of a frame, with what is worth knowing in its header."""
    return Atoms(atoms.symbols, atoms.positions.round(4), info={"run": name, **info})


def save(path, text):
    with atomic_write(path) as target:
        target.write_text(text, encoding="utf-8")


def run_all(folder, work, replicas, kinds):
    """Compute what is not there yet."""
    sheets = {}
    for kind, engine in ENGINES.items():
        path = work / f"flake_{kind}.extxyz"
        if not path.exists():
            with atomic_write(path) as target:
                write(target, flake(folder, engine))
        sheets[kind] = read(path)
        sheets[kind].calc = None
        sheets[kind].set_constraint(FixAtoms(np.flatnonzero(sheets[kind].numbers == 1)))
    for name, kind, *settings in tasks(replicas, AIREBO_REPLICAS):
        if kind not in kinds or (work / f"{name}.json").exists():
            continue
        try:
            frames, entry = compute(sheets[kind], name, kind, *settings)
        except (eh.SimulationError, ValueError) as error:
            save(work / f"{name}.failed", f"{type(error).__name__}: {error}\n")
            continue
        with atomic_write(work / f"{name}.extxyz") as target:
            write(target, frames)
        save(work / f"{name}.json", json.dumps(entry, default=float))


def collect(folder, work, replicas):
    """Put what is in the work folder together: the table, the frames by tight binding, the flakes."""
    rows, frames, failed, missing = [], [], {}, []
    for name, kind, *_ in tasks(replicas, AIREBO_REPLICAS):
        if not (work / f"{name}.json").exists():
            reason = work / f"{name}.failed"
            failed |= {name: reason.read_text(encoding="utf-8").strip()} if reason.exists() else {}
            missing += [] if reason.exists() else [name]
            continue
        entry = json.loads((work / f"{name}.json").read_text(encoding="utf-8"))
        versions = ", ".join(f"{key} {entry['versions'][key]}" for key in ("ase", "lammps", "tblite"))
        rows.append(entry["row"] | {"created": entry["created"], "versions": versions})
        if kind == "xtb":
            frames += [
                marked(frame, entry["row"]["molecule"]) for frame in read(work / f"{name}.extxyz", ":")
            ]
    text = io.StringIO()
    write(text, frames, format="extxyz")
    target = folder / "healing"
    save(target / "runs.csv", pd.DataFrame(rows).round(5).to_csv(index=False))
    with atomic_write(target / "runs.extxyz.gz") as path:
        path.write_bytes(gzip.compress(text.getvalue().encode(), 9, mtime=0))
    for kind in ENGINES:
        sheet = read(work / f"flake_{kind}.extxyz")
        with atomic_write(target / f"flake_{kind}.extxyz") as path:
            write(path, sheet, columns=["symbols", "positions", "move_mask"])
    card = {
        "recipe": "data/recipes/make_healing.py", "licence": "CC BY 4.0", "seed": SEED,
        "seeds": "numpy SeedSequence([seed, crc32 of the start]): its place, its velocities",
        "hole": {"movie": "development", "frame": FRAME, "x_A": EMPTY_A[0], "y_A": EMPTY_A[1]},
        "radius_A": RADIUS_A, "ways (distance_A, angle, turned)": WAYS, "temperatures_K": TEMPERATURES_K,
        "collision_eV": COLLISION_EV, "time_fs": TIME_FS, "engines": ENGINES,
        "runs": dict(Counter(row["engine"] for row in rows)), "failed": failed, "not_computed": missing,
    }  # fmt: skip
    save(target / "card.json", json.dumps(card, indent=1) + "\n")


def marked(frame, molecule):
    """A frame with its molecule, the last atoms, marked as `eh.approach` does."""
    count = len(Atoms(molecule))
    frame.arrays["molecule"] = np.arange(len(frame)) >= len(frame) - count
    return frame


def main():
    home = Path(__file__).resolve().parent.parent
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", nargs="?", type=Path, default=home)
    parser.add_argument("--work", type=Path, default=home.parent / "build" / "healing")
    parser.add_argument("--replicas", type=int, default=REPLICAS)
    parser.add_argument("--only", choices=list(ENGINES))
    parser.add_argument("--collect", action="store_true")
    asked = parser.parse_args()
    asked.work.mkdir(parents=True, exist_ok=True)
    if not asked.collect:
        run_all(asked.folder, asked.work, asked.replicas, [asked.only] if asked.only else list(ENGINES))
    collect(asked.folder, asked.work, asked.replicas)


if __name__ == "__main__":
    main()
