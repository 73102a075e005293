"""Rebuild data/trajectories: graphene at 300 K from which atoms are removed one after another.

usage: python data/recipes/make_trajectories.py [FOLDER]

Each run starts from the relaxed structure of the run before it with one more carbon taken out beside the
vacancy, so that the four files tell one story: 200, 199, 198 and 197 atoms. LAMMPS with LCBOP, constant
temperature, 1 fs steps; a frame every 10 fs after 500 fs of settling. About a minute on one core.
"""

import sys
from pathlib import Path

import numpy as np
from ase.io.vasp import write_vasp_xdatcar

import elit_helpers as eh
from elit_helpers.core.files import sha256
from elit_helpers.samples.sheets import nearest

SEED = 300
FRAMES, EVERY, SETTLE = 120, 10, 500
DIGITS = 5  # of the fractional coordinates: 0.0002 Å, and half the file


def write(path, frames):
    """Write with ASE, then cut the digits that no vibration of 0.05 Å needs."""
    with open(path, "w") as stream:
        write_vasp_xdatcar(stream, frames, label="graphene LCBOP 300 K 10 fs")
    lines = []
    for line in path.read_text().splitlines():
        words = line.split()
        try:
            numbers = [float(w) for w in words]
        except ValueError:
            numbers = []
        is_position = (
            len(numbers) == 3 and all(len(w.split(".")[-1]) > DIGITS + 1 for w in words) and len(lines) > 6
        )
        lines.append(" ".join(f"{x:.{DIGITS}f}" for x in numbers) if is_position else line.rstrip())
    path.write_text("\n".join(lines) + "\n")


def main(folder):
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(SEED)
    sheet = eh.relax(eh.graphene_sheet((10, 5), a=2.4593), engine="lammps:lcbop", cell="xy", fmax=0.01).atoms
    hole = sheet.cell.lengths()[:2] / 2
    for removed in range(4):
        if removed:
            sheet, info = eh.add_vacancy(sheet, nearest(sheet, hole))
            hole = 0.5 * (hole + info["position"][:2])
            sheet = eh.relax(sheet, engine="lammps:lcbop", fmax=0.02, steps=2000).atoms
        run = eh.run_md(sheet, engine="lammps:lcbop", steps=SETTLE + (FRAMES - 1) * EVERY, ensemble="nvt",
                        temperature_K=300.0, rng=rng, every=EVERY)  # fmt: skip
        frames = run.trajectory[SETTLE // EVERY :]
        for frame in frames:
            frame.set_pbc(True)  # VASP knows nothing else, and the file says nothing about it
            frame.wrap()
        path = folder / f"graphene_{removed}_removed.XDATCAR"
        write(path, frames)
        late = run.log["temperature_K"].iloc[SETTLE // EVERY :]
        sys.stdout.write(f"{path.name}: {len(frames)} frames of {len(sheet)} atoms, {late.mean():.0f} K, "
                         f"{path.stat().st_size / 1e6:.2f} MB, {sha256(path)}\n")  # fmt: skip


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent.parent / "trajectories")
