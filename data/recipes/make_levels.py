"""Compute the table of levels that ships: the same patch with the same defects at every level at hand.

usage: python data/recipes/make_levels.py [DATA_FOLDER] [MINUTES] [NAME]

Each structure is relaxed in a process of its own, the cheap ones first; a file that is there already is not
computed again, so that the recipe can be stopped at any time (it stops by itself after MINUTES). NAME
computes those alone that have it in the name of their file, such as gpaw or pbe_SiC; rows and structures that
ship and were not computed again stay. Some ten minutes of one core without PBE, which takes two hours. GPAW
and DFTB+ are left out by name where they are absent; DFTB's defects are then those of data/dftb_plus.

PBE starts from what GFN1-xTB has found, stretched to PBE's lattice, and stops at PBE_FMAX or after PBE_STEPS
steps of half a minute each.
"""

import json
import multiprocessing
import resource
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
from ase import Atoms
from ase.build import bulk, graphene
from ase.data import covalent_radii
from ase.io import read, write

import elit_helpers as eh
from elit_helpers.core.files import atomic_write

VACUUM_A, FMAX, STEPS = 8.0, 0.03, 300
PBE_FMAX, PBE_STEPS = 0.05, 60
CLASSICAL = ("lammps:lcbop", "lammps:airebo", "lammps:erhart-albe", "lammps:tersoff")
CARBON = ("perfect", "vacancy", "Stone-Wales", "5-8-5")
SPIN = "vacancy, 2 unpaired"  # the state that density-functional theory finds lowest, and planar
SILICON = ("SiC3", "SiC4", "bulk Si")
SHOWN = ("lammps:lcbop", "lammps:erhart-albe", "tblite:gfn1", "gpaw:pbe")  # the levels whose structures ship
ADATOMS = ("Si on top", "Cr on top", *(f"Cr on top, {n} unpaired" for n in (2, 4, 6)))
CELLS = "5x3"  # rectangles of four atoms: 60 atoms, 12.3 × 12.8 Å
SIZES = (2, 3, 4, 5, 6, 7, 8)  # n×n hexagonal cells, to see what a single k-point does
SILICON_A, SILICON_PBE_A = 5.43, 5.47


# What density-functional theory in the literature has; ranges are over functionals and sizes of the sheet.
SKOWRON = "range of published DFT; overview: Skowron et al., Chem. Soc. Rev. 44, 3143 (2015)"
REVIEW = (SKOWRON, "10.1039/c4cs00499j")
CASARTELLI = "DFT: flat with two electrons unpaired, below the buckled state in which they pair; "
CASARTELLI += "Casartelli et al., arXiv:1303.1924"
TRIPLET = (CASARTELLI, "10.48550/arXiv.1303.1924")
NIEMAN = "DFT: its neighbours up to 0.2 Å above and below; Nieman et al., J. Chem. Phys. 147, 194702 (2017)"
WAVES = (NIEMAN, "10.1063/1.4999779")
LITERATURE = (
    ("vacancy", "formation_eV", 7.3, 7.9, *REVIEW),
    ("Stone-Wales", "formation_eV", 4.5, 5.3, *REVIEW),
    (SPIN, "below_paired_eV", 0.2, 0.2, *TRIPLET),
    ("SiC4", "neighbours_height_A", 0.0, 0.2, *WAVES),
)


def build(defect, a, cells):
    """The starting structure, at a lattice constant of graphene [Å]."""
    if defect == "bulk Si":
        return bulk("Si", cubic=True, a=SILICON_A).repeat(2)
    if cells == CELLS:
        sheet = eh.graphene_sheet((5, 3), a=a, vacuum=2 * VACUUM_A)
    else:
        sheet = graphene(size=(cells, cells, 1), a=a, vacuum=VACUUM_A)
    sheet.pbc = (True, True, False)
    middle = int(np.argmin(np.linalg.norm(sheet.positions - sheet.positions.mean(axis=0), axis=1)))
    if defect == "vacancy":
        return eh.add_vacancy(sheet, middle)[0]
    if defect == SPIN:
        around = np.argsort(sheet.get_distances(middle, range(len(sheet)), mic=True))[1:4]
        moments = np.zeros(len(sheet))
        moments[around] = 2 / 3
        sheet.set_initial_magnetic_moments(moments)
        return eh.add_vacancy(sheet, middle)[0]
    if defect == "Stone-Wales":
        return eh.add_stone_wales(sheet, middle)[0]
    if defect == "5-8-5":
        return eh.add_divacancy(sheet, middle)[0]
    if defect == "SiC3":
        sheet.symbols[middle] = "Si"
        sheet.positions[middle, 2] += 0.8
    elif defect == "SiC4":
        beside = int(np.argsort(sheet.get_distances(middle, range(len(sheet)), mic=True))[1])
        sheet.positions[middle] += sheet.get_distance(middle, beside, mic=True, vector=True) / 2
        sheet.symbols[middle] = "Si"
        del sheet[beside]
    elif defect != "perfect":
        element = defect[:2]
        sheet = eh.add_adatom(sheet, element, point=tuple(sheet.positions[middle, :2]), site="hollow")[0]
        unpaired = float(defect.split()[-2]) if defect.endswith("unpaired") else 0.0
        sheet.set_initial_magnetic_moments([0.0] * (len(sheet) - 1) + [unpaired])
    return sheet


def jobs():
    """Level, defect and cells of every structure, the cheap ones first."""
    for level in CLASSICAL:
        silicon = SILICON if level in ("lammps:erhart-albe", "lammps:tersoff") else ()
        yield from ((level, defect, CELLS) for defect in CARBON + silicon)
    yield from (("tblite:gfn1", defect, CELLS) for defect in CARBON + SILICON)
    yield from (("tblite:gfn1", "perfect", n) for n in SIZES)
    yield from (("tblite:gfn2", defect, CELLS) for defect in CARBON)
    yield from (("tblite:gfn1", defect, CELLS) for defect in (*ADATOMS, SPIN))
    yield from (("tblite:gfn1", defect, n) for n in SIZES[2:6] for defect in ("vacancy", "Stone-Wales"))
    yield from (("tblite:gfn2", defect, CELLS) for defect in SILICON)
    yield from (("dftb+:mio", defect, CELLS) for defect in CARBON)
    yield from (("gpaw:pbe", defect, CELLS) for defect in CARBON + SILICON + ADATOMS[1:] + (SPIN,))


def start_of(level, defect, cells, folder):
    """Where a relaxation starts: the ideal structure, for PBE the one of GFN1-xTB in PBE's lattice."""
    lattice = eh.ENGINES[level].lattice_A
    if (level, defect) == ("gpaw:pbe", "bulk Si"):
        return bulk("Si", cubic=True, a=SILICON_PBE_A)  # with k-points
    if level != "gpaw:pbe" or defect == "perfect":
        return build(defect, lattice, cells)
    found = read(folder / f"{name_of('tblite:gfn1', defect, cells)}.extxyz")
    atoms = Atoms(found.symbols, found.positions, cell=found.cell, pbc=found.pbc)
    atoms.set_initial_magnetic_moments(found.get_initial_magnetic_moments())
    stretch = lattice / eh.ENGINES["tblite:gfn1"].lattice_A
    atoms.set_cell(atoms.cell @ np.diag([stretch, stretch, 1.0]), scale_atoms=True)
    return atoms


def name_of(level, defect, cells):
    return f"{level}_{defect}_{cells}".replace(":", "-").replace(" ", "-").replace(",", "")


def compute(level, defect, cells, folder):
    """Relax one structure and write it with what it took."""
    atoms = start_of(level, defect, cells, folder)
    fmax, steps = (PBE_FMAX, PBE_STEPS) if level == "gpaw:pbe" else (FMAX, STEPS)
    steps = 0 if defect in ("perfect", "bulk Si") else steps
    began, cpu = time.perf_counter(), time.process_time()
    nudge = 0.0 if defect == "perfect" or level == "gpaw:pbe" else 0.05
    run = eh.relax(atoms, engine=level, fmax=fmax, steps=steps, nudge_A=nudge)
    calls, end = run.info["steps"] + 1, run.atoms
    row = {
        "level": level, "defect": defect, "cells": cells, "atoms": len(end),
        "lattice_A": eh.ENGINES[level].lattice_A,
        "energy_eV": run.info["energy_eV"], "fmax_eV_A": run.info["fmax"], "steps": run.info["steps"],
        "seconds_per_force": (time.process_time() - cpu) / calls, "wall_s": time.perf_counter() - began,
        "peak_MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        **geometry(end),
    }  # fmt: skip
    end.info |= {"level": level, "defect": defect}
    with atomic_write(folder / f"{name_of(level, defect, cells)}.extxyz") as target:
        write(target, end, format="extxyz")
    with atomic_write(folder / f"{name_of(level, defect, cells)}.json") as target:
        target.write_text(json.dumps(row) + "\n")
    return row


def geometry(atoms):
    """Bonds, and of what is not carbon its angles, its height over its neighbours and over the sheet."""
    carbon = eh.bonds(atoms).query("pair == 'C-C'").length_A
    found = {
        "shortest_A": carbon.min(), "longest_A": carbon.max(), "mean_A": carbon.mean(),
        "buckling_A": float(np.ptp(atoms.positions[:, 2])),
    }  # fmt: skip
    other = np.flatnonzero(atoms.numbers != 6)
    if len(other) == 1:
        i = int(other[0])
        away = atoms.get_distances(i, range(len(atoms)), mic=True)
        reach = 1.25 * (covalent_radii[atoms.numbers[i]] + covalent_radii[6])
        own = np.flatnonzero((away > 0.1) & (away < reach))
        pairs = [(int(a), int(b)) for k, a in enumerate(own) for b in own[k + 1 :]]
        found |= {
            "neighbours": len(own), "to_neighbours_A": float(away[own].mean()),
            "height_A": float(atoms.positions[i, 2] - atoms.positions[own, 2].mean()),
            "over_sheet_A": float(atoms.positions[i, 2] - np.median(atoms.positions[:, 2])),
            "angle_deg": float(np.mean([atoms.get_angle(a, i, b, mic=True) for a, b in pairs])),
        }  # fmt: skip
    return found


def collect(folder, target):
    """One table of all that is there or ships, with formation energies, and some of the structures."""
    table = pd.DataFrame([json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))])
    shipped, frames = target / "levels.csv", {}
    if shipped.exists():
        old = pd.read_csv(shipped)
        old["cells"] = [n if n == CELLS else int(n.partition("x")[0]) for n in old.cells]
        key = ["level", "defect", "cells"]
        table = pd.concat([table, old]).drop_duplicates(key)  # the first of two, which is the new one
        frames = {(f.info["level"], f.info["defect"]): f for f in read(target / "levels.extxyz", index=":")}
    perfect = table[table.defect == "perfect"].set_index(["level", "cells"])
    an_atom = (perfect.energy_eV / perfect.atoms).to_dict()
    silicon = table[table.defect == "bulk Si"].set_index("level")
    silicon = (silicon.energy_eV / silicon.atoms).to_dict()

    def formation(row):
        carbon = an_atom.get((row.level, row.cells), np.nan)
        has_si = row.defect in ("SiC3", "SiC4")
        if row.defect in ("bulk Si", *ADATOMS):
            return np.nan
        return (
            row.energy_eV
            - (row.atoms - has_si) * carbon
            - (silicon.get(row.level, np.nan) if has_si else 0.0)
        )

    table["formation_eV"] = table.apply(formation, axis=1)
    order = [name_of(*job) for job in jobs()]
    table["order"] = [order.index(name_of(r.level, r.defect, r.cells)) for r in table.itertuples()]
    table = table.sort_values("order").drop(columns="order")
    table["cells"] = [f"{n}x{n}" if isinstance(n, int) else n for n in table.cells]
    names = ["defect", "quantity", "low", "high", "source", "doi"]
    with atomic_write(target / "literature.csv") as path:
        pd.DataFrame(LITERATURE, columns=names).to_csv(path, index=False)
    with atomic_write(target / "levels.csv") as path:
        table.round(5).to_csv(path, index=False)
    kept = table[table.level.isin(SHOWN) & ~table.defect.isin(["perfect", "bulk Si"])]
    kept = kept[kept.cells == CELLS]
    for row in kept.itertuples():
        if (new := folder / f"{name_of(row.level, row.defect, CELLS)}.extxyz").exists():
            frames[row.level, row.defect] = read(new)
    with atomic_write(target / "levels.extxyz") as path:
        write(path, [frames[row.level, row.defect] for row in kept.itertuples()], format="extxyz")


def main(data, minutes, only):
    folder, ends = data.parent / "build" / "levels", time.monotonic() + 60 * minutes
    folder.mkdir(parents=True, exist_ok=True)
    (data / "quantum").mkdir(exist_ok=True)
    context = multiprocessing.get_context("spawn")
    for job in jobs():
        name = name_of(*job)
        absent = not eh.has_engine(job[0])
        if time.monotonic() > ends or only not in name or absent or (folder / f"{name}.json").exists():
            continue
        with ProcessPoolExecutor(1, mp_context=context) as pool:
            row = pool.submit(compute, *job, folder).result()
        print(f"{name}: {row['steps']} steps, {row['wall_s']:.0f} s", flush=True)
    collect(folder, data / "quantum")


if __name__ == "__main__":
    here = Path(__file__).resolve().parent.parent
    main(
        Path(sys.argv[1]) if len(sys.argv) > 1 else here,
        float(sys.argv[2]) if len(sys.argv) > 2 else 600.0,
        sys.argv[3] if len(sys.argv) > 3 else "",
    )
