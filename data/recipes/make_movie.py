"""Rebuild data/movie: two samples of graphene in a simulated microscope, eight frames each, and the truth.

usage: python data/recipes/make_movie.py [FOLDER]

A frame takes a second, an atom vibrates in femtoseconds: each frame shows mean positions, from a relaxation,
and the vibration is part of the spot's width. Between frames the beam does what beams do: atoms leave at
edges, Si hops, bonds turn; then the sheet is relaxed again. With Si the relaxation is by the Erhart-Albe
potential in its own lattice, scaled back to graphene's. Contrast, noise and spot width follow published
single frames of graphene with Si at 60 kV. About a minute on one core; prints the hash of each file.
"""

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from ase import Atoms
from scipy.ndimage import gaussian_filter, map_coordinates
from scipy.spatial import cKDTree

import elit_helpers as eh
from elit_helpers.images import contamination_map, scan_positions
from elit_helpers.samples import decorate_edge, nearest, neighbours
from elit_helpers.simulate import unscaled
from elit_helpers.workspace import sha256

SEED = 20210729
FRAMES = 8
SHAPE = (512, 512)
PIXEL, NOMINAL = 0.0960, 0.1000  # Å/px: what it is, and what the file says, 4 % off as files are
FIELD, MARGIN = SHAPE[0] * PIXEL, 8.0
SIDE = FIELD + 2 * MARGIN
DROWNED = 1.5  # carbon peaks of contamination, averaged over 0.75 Å, under which no atom can be told

HALVES = {
    "development": {
        "angle": 11.0, "drift": (0.35, -0.22), "spot": 0.45, "dose": 430.0, "pedestal": 3.6,
        "holes": [((21.0, 42.0), 5.5), ((45.0, 22.0), 3.2)], "lattice_si": 4, "edge_si": 5,
        "dirt": [((58.0, 55.0), 13.0, 11.0), ((10.0, 12.0), 5.0, 5.0)],
    },
    "scoring": {
        "angle": 37.0, "drift": (-0.28, 0.30), "spot": 0.47, "dose": 400.0, "pedestal": 3.8,
        "holes": [((40.0, 40.0), 6.5), ((20.0, 47.0), 2.8), ((48.0, 17.0), 2.2)], "lattice_si": 5,
        "edge_si": 6,
        "dirt": [((12.0, 14.0), 12.0, 12.0), ((56.0, 58.0), 4.5, 4.0)],
    },
}  # fmt: skip


# --------------------------------------------------------------------------- the sample
def first_sample(half, rng):
    """Sheet with holes, Si at their edges and in the lattice, relaxed. x, y in Å from the sheet's corner."""
    sheet = eh.graphene_sheet((SIDE, SIDE), angle=half["angle"])
    for center, radius in half["holes"]:
        sheet, _ = eh.add_hole(sheet, center=center, radius_A=radius)
        n = half["edge_si"] if radius == max(r for _, r in half["holes"]) else 1
        sheet, _ = decorate_edge(sheet, center=center, radius_A=radius + 2.5, n=n, rng=rng)
    for _ in range(half["lattice_si"]):
        sheet, _ = eh.substitute(sheet, nearest(sheet, rng.uniform(MARGIN + 5, SIDE - MARGIN - 5, 2)))
    for _ in range(2):
        sheet, _ = eh.add_vacancy(sheet, nearest(sheet, rng.uniform(MARGIN + 5, SIDE - MARGIN - 5, 2)))
    return settle(sheet)


def settle(sheet):
    """Relax; Si is lifted a little first, so that it may find its place above the sheet."""
    lifted = sheet.copy()
    lifted.positions[sheet.numbers == 14, 2] += 0.3
    run = eh.relax(lifted, engine="lammps:erhart-albe", fmax=0.05, steps=1500)
    relaxed = unscaled(run).atoms
    out = sheet.copy()
    # the flake as a whole may have turned or wandered while it relaxed: bring its outer part back
    far = np.abs(sheet.positions[:, :2] - SIDE / 2).max(1) > SIDE / 2 - 6
    shift = (sheet.positions[far] - relaxed.positions[far]).mean(0)
    out.positions = relaxed.positions + shift
    return out


def inside(sheet, margin=4.0):
    low, high = MARGIN + margin, SIDE - MARGIN - margin
    return ((sheet.positions[:, :2] > low) & (sheet.positions[:, :2] < high)).all(1)


def degrees(sheet):
    return np.array(
        [len(found) - 1 for found in cKDTree(sheet.positions).query_ball_point(sheet.positions, 1.9)]
    )


def beam_event(sheet, kind, rng):
    """One thing the beam does; the sheet is returned as it was where it cannot be done."""
    carbon, free = sheet.numbers == 6, inside(sheet)
    if kind == "ejected":
        edge = np.flatnonzero(carbon & free & (degrees(sheet) == 2))
        if len(edge) == 0:
            return sheet
        sheet, _ = eh.add_vacancy(sheet, int(rng.choice(edge)))
        loose = np.flatnonzero(inside(sheet) & (degrees(sheet) < 2))
        del sheet[loose.tolist()]
        return sheet
    if kind == "hop":
        silicon = np.flatnonzero(~carbon & free)
        chosen = int(rng.choice(silicon))
        others = [int(i) for i in neighbours(sheet, chosen, reach=2.2) if sheet.numbers[i] == 6]
        if others:
            other = int(rng.choice(others))
            numbers = sheet.numbers.copy()
            numbers[[chosen, other]] = numbers[[other, chosen]]
            sheet = sheet.copy()
            sheet.numbers = numbers
        return sheet
    whole = carbon & free & (degrees(sheet) == 3)
    whole &= [
        all(whole[i] for i in neighbours(sheet, int(j))) if whole[j] else False for j in range(len(sheet))
    ]
    sheet, _ = eh.add_stone_wales(sheet, int(rng.choice(np.flatnonzero(whole))))
    return sheet


# --------------------------------------------------------------------------- the microscope
def imaging_of(half, number):
    """The microscope's state in one frame: focus and dose are never quite the same."""
    rng = np.random.default_rng([SEED, 7, number])
    spot = float(np.hypot(half["spot"] + rng.uniform(-0.02, 0.02), 0.05))  # 0.05 Å: the atoms' vibration
    dose = half["dose"] * rng.uniform(0.9, 1.1)
    return eh.Imaging(
        pixel_size=PIXEL, shape=SHAPE, spot_sigma_A=spot, tail_weight=0.10, pedestal=half["pedestal"],
        background=0.25, dose=dose, jitter_A=0.05, drift_A=tuple(rng.normal(0, 0.15, 2)),
    )  # fmt: skip


def views(half, rng):
    """Corner of the field in the sheet's coordinates, frame by frame: slow drift and a random walk."""
    steps = np.array(half["drift"]) + rng.normal(0, 0.1, (FRAMES, 2))
    path = np.cumsum(steps, 0)
    return MARGIN + path - path.mean(0)


def dirt_of(name, view, number):
    """Contamination in the field of one frame; it belongs to the sample, and changes a little."""
    rng = np.random.default_rng([SEED, 5, list(HALVES).index(name)])
    canvas = int(SIDE / PIXEL) + 2
    whole = sum(
        contamination_map((canvas, canvas), pixel_size=PIXEL, rng=rng, height=height, radius_A=radius,
                          center=(canvas - 1 - y / PIXEL, x / PIXEL))
        for (x, y), radius, height in HALVES[name]["dirt"]
    )  # fmt: skip
    change = gaussian_filter(np.random.default_rng([SEED, 6, number]).standard_normal(whole.shape), 15)
    whole = whole * (1 + 0.1 * change / change.std())
    # row 0 is at the top: y of the sheet's corner counts from the canvas's last row
    rows = np.arange(SHAPE[0]) + canvas - SHAPE[0] - view[1] / PIXEL
    cols = np.arange(SHAPE[1]) + view[0] / PIXEL
    return map_coordinates(whole, np.meshgrid(rows, cols, indexing="ij"), order=1, mode="nearest")


def expose(name, number, atoms):
    """Counts of one frame, from atoms in the field's coordinates and the recipe's seeds."""
    imaging = imaging_of(HALVES[name], number)
    dirt = dirt_of(name, atoms.info["view"], number)
    frame = eh.simulate_frame(atoms, imaging, np.random.default_rng([SEED, 8, number]), overlay=dirt)
    return np.round(frame * imaging.counts_per_peak).astype(np.uint16)


def truth_of(name, number, atoms):
    """The table of what can be seen, or could be but for the contamination."""
    imaging = imaging_of(HALVES[name], number)
    row_col = scan_positions(atoms.positions, imaging=imaging)
    xy = eh.to_angstrom(row_col, pixel_size=PIXEL, height=SHAPE[0])
    seen = ((row_col > -0.5) & (row_col < np.array(SHAPE) - 0.5)).all(1)
    dirt = gaussian_filter(dirt_of(name, atoms.info["view"], number), 0.75 / PIXEL)
    at = np.clip(np.round(row_col).astype(int), 0, SHAPE[0] - 1)
    silicon = atoms.numbers == 14
    edge = degrees(atoms) < 3
    defect = np.where(
        silicon, np.where(edge, "Si at an edge", "Si in the lattice"), np.where(edge, "edge", "")
    )
    table = pd.DataFrame({
        "frame": number, "row_px": row_col[:, 0].round(3), "col_px": row_col[:, 1].round(3),
        "x_A": xy[:, 0].round(4), "y_A": xy[:, 1].round(4), "element": np.where(silicon, "Si", "C"),
        "under_contamination": dirt[at[:, 0], at[:, 1]] > DROWNED, "defect": defect,
    })  # fmt: skip
    return table[seen]


# --------------------------------------------------------------------------- all of it
def structures(name):
    """The sample of one half in each of its frames, in the field's coordinates."""
    half = HALVES[name]
    rng = np.random.default_rng([SEED, list(HALVES).index(name)])
    sheet, corners, out = first_sample(half, rng), views(half, rng), []
    for k in range(FRAMES):
        if k:
            for kind in rng.choice(["ejected", "hop", "turned"], rng.integers(2, 5), p=[0.5, 0.35, 0.15]):
                sheet = beam_event(sheet, kind, rng)
            sheet = settle(sheet)
        atoms = sheet.copy()
        atoms.positions[:, :2] -= corners[k]
        atoms.positions = atoms.positions.astype(np.float32)  # as stored, so that a rebuilt frame is the same
        atoms.info["view"] = corners[k]
        out.append(atoms)
    return out


def load_structure(folder, number):
    """One stored structure, ready for :func:`expose`."""
    with np.load(Path(folder) / "truth_structures.npz") as store:
        atoms = Atoms(
            store[f"numbers_{number}"], store[f"positions_{number}"], info={"view": store["views"][number]}
        )
    return atoms


def main(folder):
    folder.mkdir(parents=True, exist_ok=True)
    tables, store, corners = [], {}, []
    for h, name in enumerate(HALVES):
        frames = []
        for k, atoms in enumerate(structures(name)):
            number = h * FRAMES + k
            frames.append(expose(name, number, atoms))
            tables.append(truth_of(name, number, atoms))
            store[f"numbers_{number}"] = atoms.numbers.astype(np.uint8)
            store[f"positions_{number}"] = atoms.positions.astype(np.float32)
            corners.append(atoms.info["view"])
        note = {"sample": "graphene, simulated", "half": name, "pixel size": "nominal", "unit": "counts"}
        np.savez_compressed(folder / f"{name}.npz", frames=np.array(frames), pixel_size=NOMINAL,
                            metadata=json.dumps(note))  # fmt: skip
    pd.concat(tables).to_csv(folder / "truth.csv", index=False, lineterminator="\n")
    np.savez_compressed(folder / "truth_structures.npz", views=np.array(corners), **store)
    note = {"pixel_size": PIXEL, "nominal": NOMINAL, "shape": SHAPE, "seed": SEED, "drowned_above": DROWNED}
    (folder / "truth.json").write_text(json.dumps(note, indent=1) + "\n", encoding="utf-8")
    for path in sorted(folder.glob("*.*")):
        sys.stdout.write(f"{path.name}: {path.stat().st_size / 1e6:.2f} MB, {sha256(path)}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent.parent / "movie")
