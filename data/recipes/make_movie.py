"""Rebuild data/movie: two samples of graphene in a simulated microscope, eight frames each, and the truth.

usage: python data/recipes/make_movie.py [FOLDER]

This is the benchmark "graphene-si-movie". It is frozen: whoever changes a number here changes VERSION too,
and scores of different versions are not compared. `card.json` holds every parameter, seed, version and hash.

A frame takes a second, an atom vibrates in femtoseconds: each frame shows mean positions, from a relaxation,
and the vibration is part of the spot's width. Between frames the beam does what beams do: atoms leave at
edges, Si hops, bonds turn; then the sheet is relaxed again, in a rim that is held. With Si the relaxation is
by the Erhart-Albe potential in its own lattice, scaled back to graphene's. The spots are single atoms
computed with abTEM for 60 kV (make_kernels.py; compare_kernels.py tells how far they are from a full
simulation). Contrast, noise and spot width follow published single frames of graphene with Si at 60 kV, as
`eh.frame_statistics` measures them on both. Two minutes on one core; prints the hash of each file.
"""

import hashlib
import json
import platform
import sys
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
from ase import Atoms
from scipy.ndimage import gaussian_filter, map_coordinates
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

import elit_helpers as eh
from elit_helpers.core.files import sha256
from elit_helpers.engines.catalogue import ENGINES
from elit_helpers.engines.lammps import open_session
from elit_helpers.images.contamination import contamination_map
from elit_helpers.images.forward import scan_positions, to_counts
from elit_helpers.samples.edges import decorate_edge
from elit_helpers.samples.materials import MATERIALS
from elit_helpers.samples.sheets import neighbours

NAME, VERSION = "graphene-si-movie", "1.0"
SEED = 20210729
FRAMES = 8
SHAPE = (512, 512)
PIXEL, NOMINAL = 0.0960, 0.1000  # Å/px: what it is, and what the file says, 4 % off as files are
FIELD, MARGIN = SHAPE[0] * PIXEL, 8.0
SIDE = FIELD + 2 * MARGIN
RIM = 4.0  # Å of the sheet, at its own edge and outside the field, that never move
ENGINE, FMAX = "lammps:erhart-albe", 0.05  # eV/Å
DROWNED = 1.5  # carbon peaks of contamination, averaged over 0.75 Å, under which no atom can be told
EVENTS = {"ejected": 0.5, "hop": 0.35, "turned": 0.15}  # how often the beam does what
BONDS = {("C", "C"): 1.9, ("C", "Si"): 2.2, ("Si", "Si"): 2.6}  # Å, for naming defects: strained bonds count
PATCH = 8.5  # Å round a divacancy, relaxed on its own
WIDEST = 16  # atoms round a vacancy or two, not closed; what is wider is a hole

# Places and radii in Å from the sheet's corner; dirt is place, radius, height in carbon peaks.
HALVES = {
    "development": {
        "angle": 11.0, "drift": (0.35, -0.22), "source": 0.24, "dose": 430.0, "pedestal": 1.8,
        "holes": [((21.0, 42.0), 5.5), ((45.0, 22.0), 3.2)],
        "edge_si": 7, "threefold_si": 8, "fourfold_si": 2, "vacancies": 2, "divacancies": 1, "turned": 1,
        "dirt": [((58.0, 55.0), 13.0, 11.0), ((10.0, 12.0), 5.0, 5.0)],
    },
    "scoring": {
        "angle": 37.0, "drift": (-0.28, 0.30), "source": 0.27, "dose": 400.0, "pedestal": 1.7,
        "holes": [((40.0, 40.0), 6.5), ((20.0, 47.0), 2.8), ((48.0, 17.0), 2.2)],
        "edge_si": 8, "threefold_si": 9, "fourfold_si": 2, "vacancies": 2, "divacancies": 1, "turned": 1,
        "dirt": [((12.0, 14.0), 12.0, 12.0), ((56.0, 58.0), 4.5, 4.0)],
    },
}  # fmt: skip
MICROSCOPE = eh.Imaging(
    pixel_size=PIXEL, shape=SHAPE, probe="60kV", vibration_A=0.05, background=0.25, jitter_A=0.05,
    flyback_A=0.35, flyback_px=8.0, noise=0.12,
)  # fmt: skip


# --------------------------------------------------------------------------- the sample
def first_sample(half, rng):
    """Sheet with holes, Si and point defects, relaxed. x, y in Å from the sheet's corner."""
    sheet = eh.sheet("graphene", (SIDE, SIDE), angle=half["angle"])
    for center, radius in half["holes"]:
        sheet, _ = eh.add_hole(sheet, center=center, radius_A=radius)
        n = half["edge_si"] if radius == max(r for _, r in half["holes"]) else 1
        sheet, _ = decorate_edge(sheet, center=center, radius_A=radius + 2.5, n=n, rng=rng)
    # the widest first: a divacancy needs carbon all round, see close_divacancies
    changes = [
        (eh.add_divacancy, half["divacancies"], PATCH + 1.5), (substitute_one, half["threefold_si"], 6.0),
        (bridge_two, half["fourfold_si"], 6.0), (eh.add_vacancy, half["vacancies"], 6.0),
        (eh.add_stone_wales, half["turned"], 6.0),
    ]  # fmt: skip
    # silicon may hide under the contamination; of the rest there is too little to lose any
    dirt, taken = [(np.array([*place, 0.0]), radius + 4) for place, radius, _ in half["dirt"]], []
    for change, n, room in changes:
        for _ in range(n):
            avoided = taken if change is substitute_one else taken + dirt
            index = free_place(sheet, avoided, room, rng)
            taken.append((sheet.positions[index].copy(), room))
            sheet, _ = change(sheet, index)
    return settle(sheet)


def free_place(sheet, taken, room, rng):
    """A carbon atom inside the field, that far from edges and from the defects there are."""
    free = inside(sheet, 5.0) & (sheet.numbers == 6)
    rim = sheet.positions[(degrees(sheet) < 3) | (sheet.numbers == 14)]
    for place, needed in [*((p, room) for p in rim), *taken]:
        free &= np.hypot(*(sheet.positions - place)[:, :2].T) > max(room, needed)
    return int(rng.choice(np.flatnonzero(free)))


def substitute_one(sheet, index):
    """Si in the place of one C: three bonds."""
    return eh.substitute(sheet, index, "Si")


def bridge_two(sheet, index):
    """Si in the place of two C: four bonds."""
    out, info = eh.add_divacancy(sheet, index)
    # add_divacancy closes two rings; Si in the middle opens them again when it is relaxed
    return out + Atoms("Si", [info["position"]]), info


def settle(sheet):
    """Relax inside a rim that is held: beyond the cut-out the sheet goes on, and keeps it flat and in place.

    Free to move, a flake warps by several Å, and every frame would show a shorter lattice than the last.
    """
    scale = ENGINES[ENGINE].lattice_A / MATERIALS["graphene"].cell[0][0]
    scaled = sheet.copy()
    scaled.positions *= scale
    scaled.positions[sheet.numbers == 14, 2] += 0.3  # so that Si may find its place above the sheet
    x, y, _ = sheet.positions.T
    held = np.flatnonzero(np.minimum.reduce([x, y, SIDE - x, SIDE - y]) < RIM) + 1
    with open_session(scaled, ENGINES[ENGINE].potential) as session:
        for first in range(0, len(held), 100):
            session.command("group rim id " + " ".join(map(str, held[first : first + 100])))
        session.command("fix hold rim setforce 0 0 0", "min_modify norm max")
        # conjugate gradients stop where bonds switch on and off; FIRE gets past that
        for style, steps in (("cg", 1000), ("fire", 1500), ("cg", 500)):
            session.command(f"min_style {style}", f"minimize 0 {FMAX:g} {steps} {40 * steps}")
        relaxed = session.snapshot().positions
    out = sheet.copy()
    out.positions = relaxed / scale
    return close_divacancies(out)


def close_divacancies(sheet):
    """Two vacancies side by side close to 5-8-5; Erhart-Albe leaves them open, LCBOP does not.

    A patch of carbon round each is relaxed by LCBOP, whose lattice is the picture's, and blended in.
    """
    rings, sheet = eh.rings(sheet, cutoffs=BONDS), sheet.copy()
    for ring in rings[rings["size"] == 14].itertuples():
        loose = [i for i in ring.atoms if len(neighbours(sheet, i, reach=1.9)) == 2]
        away = np.hypot(*(sheet.positions[:, :2] - [ring.x_A, ring.y_A]).T)
        near = np.flatnonzero(away < PATCH)
        if len(loose) != 4 or (sheet.numbers[near] != 6).any():
            continue
        patch, place = sheet[near], {int(i): n for n, i in enumerate(near)}
        for i in loose:
            j = min(set(loose) - {i}, key=lambda k: sheet.get_distance(i, k))
            patch.positions[place[i]] += 0.15 * sheet.get_distance(i, j, vector=True)
        relaxed = eh.relax(patch, engine="lammps:lcbop", fmax=0.05, steps=1500).atoms.positions
        rim = (away[near] > 5.5) & (away[near] < 8.0)
        middle, old = relaxed[rim].mean(0), sheet.positions[near]
        turn, _ = Rotation.align_vectors(old[rim] - old[rim].mean(0), relaxed[rim] - middle)
        new = turn.apply(relaxed - middle) + old[rim].mean(0)
        share = np.clip((7.5 - away[near]) / 2.5, 0, 1)[:, None]
        sheet.positions[near, :2] += (share * (new - old))[:, :2]
    return sheet


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
        loose = np.flatnonzero(inside(sheet) & (degrees(sheet) < 2) & (sheet.numbers == 6))
        del sheet[loose.tolist()]
        return sheet
    if kind == "hop":
        silicon = np.flatnonzero(~carbon & free)
        chosen = int(rng.choice(silicon))
        others = [int(i) for i in neighbours(sheet, chosen, reach=2.2) if sheet.numbers[i] == 6]
        if others:
            other = int(rng.choice(others))
            sheet = sheet.copy()
            sheet.numbers[[chosen, other]] = sheet.numbers[[other, chosen]]
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
    return replace(
        MICROSCOPE, source_sigma_A=half["source"] + rng.uniform(-0.02, 0.02), pedestal=half["pedestal"],
        dose=half["dose"] * rng.uniform(0.9, 1.1), drift_A=tuple(rng.normal(0, 0.15, 2).tolist()),
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
    return to_counts(np.clip(frame, 0, None), imaging)


# --------------------------------------------------------------------------- the truth
def labels_of(atoms):
    """What each atom belongs to: "" is the perfect lattice, or too far outside the field to matter."""
    carbon, rings = atoms.numbers == 6, eh.rings(atoms, cutoffs=BONDS)
    out, rim = np.full(len(atoms), "", object), np.zeros(len(atoms), bool)
    odd = [set(ring) for ring in rings["atoms"][(rings["size"] != 6) & (rings["size"] <= WIDEST)]]
    # rings that share a bond belong together; one atom in common is only a touch
    shared = np.array([[len(p & q) > 1 for q in odd] for p in odd]).reshape(len(odd), len(odd))
    _, group = connected_components(shared, directed=False)
    for ring, number in sorted(zip(odd, group, strict=True), key=lambda pair: len(pair[0])):
        together = [other for other, n in zip(odd, group, strict=True) if n == number]
        silicon = not carbon[list(set().union(*together))].all()
        out[list(ring)] = _ring_label(len(ring), sorted(map(len, together)), silicon)
    for ring in rings["atoms"][rings["size"] > WIDEST]:
        rim[list(ring)] = True
    out[rim] = "hole edge"
    kinds, apart = np.array(atoms.get_chemical_symbols()), atoms.get_all_distances()
    for i in np.flatnonzero(~carbon):
        reach = np.where(kinds == "C", BONDS["C", "Si"], BONDS["Si", "Si"])
        bonds = np.count_nonzero(apart[i] < reach) - 1
        out[i] = "Si at an edge" if rim[i] or bonds < 3 else f"Si in the lattice, {min(bonds, 4)} bonds"
    return out


def _ring_label(size, together, silicon):
    """Name of a ring that is no hexagon, from its size and those of the rings it touches."""
    known = {(5, 5, 7, 7): "Stone-Wales", (5, 5, 8): "5-8-5", (5, 9): "vacancy"}
    if tuple(together) in known:
        return known[tuple(together)]
    if size > 8:
        return "vacancy" if size < 14 else "divacancy"
    if silicon:
        return ""  # the pentagons round a Si with four bonds: the Si says it
    return "5-7" if size in (5, 7) else "other rings"


def truth_of(name, number, atoms):
    """The table of what can be seen, or could be but for the contamination."""
    imaging = imaging_of(HALVES[name], number)
    row_col = scan_positions(atoms.positions, imaging=imaging)
    xy = eh.to_angstrom(row_col, pixel_size=PIXEL, height=SHAPE[0])
    seen = ((row_col > -0.5) & (row_col < np.array(SHAPE) - 0.5)).all(1)
    dirt = gaussian_filter(dirt_of(name, atoms.info["view"], number), 0.75 / PIXEL)
    at = scan_positions(atoms.positions, imaging=replace(imaging, flyback_A=0.0, drift_A=(0.0, 0.0)))
    at = np.clip(np.round(at).astype(int), 0, SHAPE[0] - 1)
    table = pd.DataFrame({
        "frame": number, "row_px": row_col[:, 0].round(3), "col_px": row_col[:, 1].round(3),
        "x_A": xy[:, 0].round(4), "y_A": xy[:, 1].round(4), "element": atoms.get_chemical_symbols(),
        "under_contamination": dirt[at[:, 0], at[:, 1]] > DROWNED, "defect": labels_of(atoms),
    })  # fmt: skip
    return table[seen]


# --------------------------------------------------------------------------- all of it
def structures(name):
    """The sample of one half in each of its frames, in the field's coordinates; `info` has what happened."""
    half = HALVES[name]
    rng = np.random.default_rng([SEED, list(HALVES).index(name)])
    sheet, corners, out = first_sample(half, rng), views(half, rng), []
    for k in range(FRAMES):
        events = []
        if k:
            events = rng.choice(list(EVENTS), rng.integers(2, 5), p=list(EVENTS.values())).tolist()
            for kind in events:
                sheet = beam_event(sheet, kind, rng)
            sheet = settle(sheet)
        atoms = sheet.copy()
        atoms.positions[:, :2] -= corners[k]
        atoms.positions = atoms.positions.astype(np.float32)  # as stored, so that a rebuilt frame is the same
        atoms.info |= {"view": corners[k], "events": events}
        out.append(atoms)
    return out


def load_structure(folder, number):
    """One stored structure, ready for :func:`expose`."""
    with np.load(Path(folder) / "truth_structures.npz") as store:
        atoms = Atoms(
            store[f"numbers_{number}"], store[f"positions_{number}"], info={"view": store["views"][number]}
        )
    return atoms


def frame_hash(frame):
    """SHA-256 of a frame's counts, little-endian, row by row."""
    return hashlib.sha256(np.ascontiguousarray(frame, "<u2").tobytes()).hexdigest()


def card_of(folder, frames, atoms, truth):
    """Everything that makes this benchmark what it is."""
    varied = ("source_sigma_A", "dose", "pedestal", "drift_A")
    common = {k: v for k, v in asdict(MICROSCOPE).items() if k not in varied}
    entries = []
    for number, (frame, sample) in enumerate(zip(frames, atoms, strict=True)):
        name = list(HALVES)[number // FRAMES]
        imaging = asdict(imaging_of(HALVES[name], number))
        rows = truth[truth["frame"] == number]
        clear = rows[~rows["under_contamination"]]
        entries.append({
            "frame": number, "half": name, "sha256": frame_hash(frame),
            "events_before": sample.info["events"], "view_A": np.round(sample.info["view"], 6).tolist(),
            **{k: imaging[k] for k in varied},
            "atoms": len(rows), "atoms_clear": len(clear), "si_clear": int((clear["element"] == "Si").sum()),
        })  # fmt: skip
    files = ("development.npz", "scoring.npz", "truth.csv", "truth.json", "truth_structures.npz")
    return {
        "name": NAME, "version": VERSION, "licence": "CC BY 4.0", "recipe": "data/recipes/make_movie.py",
        "use": "train and look at the development half; the scoring half and the truth are for scores only",
        "seed": SEED, "seeds": "numpy default_rng([seed, half]) sample, [seed, 5, half] contamination, "
        "[seed, 6, frame] its change, [seed, 7, frame] microscope, [seed, 8, frame] noise",
        "pixel_size_A": PIXEL, "nominal_pixel_size_A": NOMINAL, "shape": SHAPE, "drowned_above": DROWNED,
        "events": EVENTS, "bond_cutoffs_A": {"-".join(k): v for k, v in BONDS.items()}, "halves": HALVES,
        "imaging": common, "kernel": eh.kernel_card(MICROSCOPE.probe)["parameters"],
        "kernels_sha256": sha256(Path(eh.__file__).parent / "images" / "kernels.json"),
        "relaxation": {"engine": ENGINE, "fmax_eV_A": FMAX, "rim_held_A": RIM},
        "generators": {"python": platform.python_version(), "elit-helpers": eh.__version__}
        | {p: version(p) for p in ("numpy", "scipy", "ase", "lammps", "pandas")},
        "frames": entries, "files": {f: {"sha256": sha256(folder / f)} for f in files},
        "counts": {
            name: {key: int(sum(e[key] for e in entries if e["half"] == name))
                   for key in ("atoms", "atoms_clear", "si_clear")}
            for name in HALVES
        },
    }  # fmt: skip


def main(folder):
    folder.mkdir(parents=True, exist_ok=True)
    samples = {name: structures(name) for name in HALVES}
    atoms = [a for half in samples.values() for a in half]
    frames, tables, store = [], [], {}
    for number, sample in enumerate(atoms):
        name = list(HALVES)[number // FRAMES]
        frames.append(expose(name, number, sample))
        tables.append(truth_of(name, number, sample))
        store[f"numbers_{number}"] = sample.numbers.astype(np.uint8)
        store[f"positions_{number}"] = sample.positions.astype(np.float32)
    for h, name in enumerate(HALVES):
        note = {"sample": "graphene, simulated", "half": name, "pixel size": "nominal", "unit": "counts",
                "benchmark": f"{NAME} {VERSION}"}  # fmt: skip
        np.savez_compressed(folder / f"{name}.npz", frames=np.array(frames[h * FRAMES : (h + 1) * FRAMES]),
                            pixel_size=NOMINAL, metadata=json.dumps(note))  # fmt: skip
    truth = pd.concat(tables)
    truth.to_csv(folder / "truth.csv", index=False, lineterminator="\n")
    corners = np.array([a.info["view"] for a in atoms])
    np.savez_compressed(folder / "truth_structures.npz", views=corners, **store)
    note = {"pixel_size": PIXEL, "nominal": NOMINAL, "shape": SHAPE, "seed": SEED, "drowned_above": DROWNED,
            "name": NAME, "version": VERSION}  # fmt: skip
    (folder / "truth.json").write_text(json.dumps(note, indent=1) + "\n", encoding="utf-8")
    card = json.dumps(card_of(folder, frames, atoms, truth), indent=1, ensure_ascii=False)
    (folder / "card.json").write_text(card + "\n", encoding="utf-8")
    for path in sorted(folder.glob("*.*")):
        sys.stdout.write(f"{path.name}: {path.stat().st_size / 1e6:.2f} MB, {sha256(path)}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent.parent / "movie")
