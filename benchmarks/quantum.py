"""The quantum engines at hand: graphene's numbers, forces against the energy, energy kept, seconds of a call.

usage: python benchmarks/quantum.py [--quick]

An engine that is not installed has no row, and what is wanted of it counts as not measured. PBE's motion is
the one that ships (data/recipes/make_aimd.py computes it). Ten minutes with GPAW, six without.
"""

from __future__ import annotations

import sys
import time

import _report
import numpy as np
import pandas as pd
import potentials
from ase.io import read

import elit_helpers as eh

ENGINES = ("tblite:gfn1", "tblite:gfn2", "dftb+:mio", "dftb+:gfn1", "gpaw:pbe")
DRIFT_PS = 0.3
CELLS = {"tblite": (6, 4), "dftb+": (1, 1), "gpaw": (1, 1)}  # rectangles; the last two take k-points


def silicon(engine: str) -> dict[str, float]:
    """Return how silicon sits in the place of one carbon: bond and height over the sheet's middle [Å]."""
    sheet = potentials.sheet_of(engine, (5, 3))
    place = len(sheet) // 2
    sheet.symbols[place] = "Si"
    sheet.positions[place, 2] += 0.5
    end = eh.relax(sheet, engine=engine, fmax=0.03).atoms
    lengths = eh.bonds(end).query("pair == 'C-Si'").length_A
    height = end.positions[place, 2] - np.median(end.positions[:, 2])
    return {"SiC3_A": lengths.mean(), "SiC3_height_A": abs(height)}


def graphene(engine: str, *, defects: bool) -> dict[str, float]:
    """Return lattice and bond [Å], for GFN1-xTB the defects [eV], and the seconds of a force call."""
    if engine == "tblite:gfn1" and defects:
        found = potentials.by_xtb(engine, defects=True) | silicon(engine)
    else:
        lattice = potentials.lattice_by_energy(engine, CELLS[eh.ENGINES[engine].kind])
        found = {"lattice_A": lattice, "bond_A": lattice / np.sqrt(3)}
    sheet, began = potentials.sheet_of(engine, (5, 3)), time.process_time()
    eh.single_point(sheet, engine=engine)
    return found | {"seconds, 60 atoms": time.process_time() - began}


def forces(engine: str, quick: bool) -> dict[str, float]:
    """Compare forces with the slope of the energy; PBE in four atoms, because a call takes seconds."""
    sheet = potentials.shaken(engine)
    if eh.ENGINES[engine].kind == "gpaw" or quick:
        sheet = potentials.sheet_of(engine, (1, 1))
        sheet.positions += 0.05 * np.random.default_rng(3).standard_normal(sheet.positions.shape)
    return potentials.force_error(engine, sheet, 3 if eh.ENGINES[engine].kind == "gpaw" or quick else 10)


def drift(engine: str, quick: bool) -> dict[str, float]:
    """Return the trend of the total energy, of a run of its own or, for PBE, of the one that ships."""
    if eh.ENGINES[engine].kind != "gpaw":
        return potentials.drift(engine, (2, 1) if quick else (3, 2), 0.01 if quick else DRIFT_PS)
    frames = read(eh.data_dir() / "quantum" / "aimd_pbe.extxyz", index=":")
    times = np.array([frame.info["time_fs"] for frame in frames])
    total = 1000 * np.array([frame.get_total_energy() for frame in frames]) / len(frames[0])
    half = len(frames) // 2
    return {
        "atoms": len(frames[0]), "T [K]": np.mean([frame.get_temperature() for frame in frames[half:]]),
        "drift [meV/atom/ps]": 1000 * np.polyfit(times, total, 1)[0], "wobble [meV/atom]": total.std(),
    }  # fmt: skip


def wanted(found: pd.DataFrame, errors: pd.DataFrame, drifts: pd.DataFrame) -> list[tuple[str, str, float]]:
    """Return the course's reference values beside what was found; NaN for an engine that is absent."""

    def value(engine: str, name: str) -> float:
        return float(found[name].get(engine, np.nan)) if name in found else np.nan

    error, away = errors["largest error [eV/Å]"], drifts["drift [meV/atom/ps]"].abs()
    pbe = float(drifts["wobble [meV/atom]"].get("gpaw:pbe", np.nan))
    xtb = error.index.str.startswith("tblite")
    return [
        ("GFN1-xTB, C–C of 96 atoms [Å]", "1.416–1.422", value("tblite:gfn1", "bond_A")),
        ("GFN1-xTB, vacancy [eV]", "7.5–8.1", value("tblite:gfn1", "vacancy_eV")),
        ("GFN1-xTB, Stone–Wales [eV]", "5.3–5.9", value("tblite:gfn1", "stone_wales_eV")),
        ("GFN1-xTB, Si–C of SiC3 [Å]", "1.75–1.82", value("tblite:gfn1", "SiC3_A")),
        ("GFN1-xTB, Si above the sheet [Å]", "≥ 0.65", value("tblite:gfn1", "SiC3_height_A")),
        ("DFTB+ mio, C–C [Å]", "1.424–1.430", value("dftb+:mio", "bond_A")),
        ("PBE, lattice [Å]", "2.46–2.48", value("gpaw:pbe", "lattice_A")),
        ("forces of xTB, largest error", "≤ 0.001 eV/Å", float(error[xtb].max())),
        ("forces of DFTB+, largest error", "≤ 0.01 eV/Å", float(error.get("dftb+:mio", np.nan))),
        ("forces of PBE, largest error", "≤ 0.1 eV/Å", float(error.get("gpaw:pbe", np.nan))),
        ("drift, xTB and DFTB+", "≤ 0.1 meV/atom/ps", float(away.drop("gpaw:pbe", errors="ignore").max())),
        ("PBE, standard deviation of the total energy", "≤ 5 meV/atom", pbe),
    ]


def main(quick: bool = False) -> dict[str, pd.DataFrame]:
    """Return the tables by title."""
    engines = ENGINES[:1] if quick else [name for name in ENGINES if eh.has_engine(name)]
    found = {name: graphene(name, defects=not quick) for name in engines}
    errors = {name: forces(name, quick) for name in engines}
    drifts = {name: drift(name, quick) for name in engines}
    found, errors, drifts = (pd.DataFrame.from_dict(t, orient="index") for t in (found, errors, drifts))
    return {
        "Graphene and its defects (xTB: 96 atoms, defects in 60; DFTB+ and PBE: 4 with k-points)": found,
        "Forces against central differences of the energy": errors,
        f"Constant energy at 1 fs over {DRIFT_PS:g} ps from 600 K, 24 atoms; PBE as it ships": drifts,
        "Wanted and measured": _report.wanted_and_measured(wanted(found, errors, drifts)),
    }


if __name__ == "__main__":
    _report.show(main("--quick" in sys.argv))
