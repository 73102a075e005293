"""Truth, picture, structure, truth: how far the atoms of the movie are from where they are in the mean.

usage: python benchmarks/structure.py [--quick]

The shipped ensemble finds the atoms of the movie's scoring half, `to_atoms` makes structures of them, and two
relaxations move them: one that hears potential and picture (`relax_near`), and the potential alone with the
flake's edge held. Compared are positions in the plane with the mean ones that the movie was made from, except
under contamination. Then every region of interest is set into an endless sheet, in the widest patch that the
picture allows, and the seams are measured. About three minutes.
"""

from __future__ import annotations

import sys

import _frames
import _report
import numpy as np
import pandas as pd
from ase import Atoms
from ase.constraints import FixAtoms

import elit_helpers as eh

HALF = "scoring"


def truth_of(frame: int) -> Atoms:
    """Return the mean positions of a frame's atoms in the plane, without those under contamination."""
    _, truth, _ = _frames.movie(HALF)
    rows = truth[(truth["frame"] == frame) & ~truth["under_contamination"]]
    return Atoms(rows["element"].tolist(), np.c_[rows[["x_A", "y_A"]], np.zeros(len(rows))])


def structures(frames: int | None) -> list[Atoms]:
    """Return the structures that the shipped ensemble sees in the movie's scoring half."""
    stack, _, size = _frames.movie(HALF)
    found = eh.find_atoms(eh.default_ensemble(), stack[:frames], pixel_size=size)
    return [eh.to_atoms(found, frame=frame) for frame in range(len(stack[:frames]))]


def by_potential_alone(atoms: Atoms) -> Atoms:
    """Relax a flake with its outer edge held, which in the sample is no edge."""
    held = atoms.copy()
    held.set_constraint(FixAtoms(np.flatnonzero(eh.edge_atoms(atoms))))
    return eh.unscaled(eh.relax(held)).atoms


# --------------------------------------------------------------------------- truth to truth
def deviations(atoms: Atoms, truth: Atoms) -> dict[str, float]:
    """Return what one frame adds to the table, before and after the relaxations."""
    relaxed = eh.unscaled(eh.relax_near(atoms)).atoms
    ways = {"before": atoms, "relaxed": relaxed, "potential alone": by_potential_alone(atoms)}
    found = {name: eh.compare_structures(moved, truth) for name, moved in ways.items()}
    before, after = found["before"], found["relaxed"]
    return {
        "atoms": len(atoms), "in the truth": len(truth), "matched": before["matched"],
        "other element than the truth": before["element_changes"], "matched, relaxed": after["matched"],
        "changed element on the way": sum(a != b for a, b in zip(atoms.symbols, relaxed.symbols)),
        **{f"RMSE {name} [Å]": one["rmse_A"] for name, one in found.items()},
        **{f"{axis} [%], {name}": found[name][f"percent_{axis}"] for name in ("before", "relaxed")
           for axis in "xy"},
        **{f"largest {axis} [%], relaxed": after[f"max_percent_{axis}"] for axis in "xy"},
    }  # fmt: skip


# --------------------------------------------------------------------------- patches
def refusal(text: str) -> str:
    """Put a refusal of `embed` into three words."""
    kinds = {"touches the edge": "edge or contamination", "rim of the patch": "rim is not the lattice",
             "out of it": "rim is not the lattice", "seam does not close": "seam does not close"}  # fmt: skip
    return next((kind for part, kind in kinds.items() if part in text), "other")


def seam(patch: Atoms) -> dict[str, float]:
    """Relax a patch and return the bonds [Å] between picture and ideal sheet, before and after."""
    run = eh.relax(patch)
    relaxed = eh.unscaled(run).atoms
    bonds, from_picture = eh.bonds(relaxed), relaxed.arrays["from_picture"]
    across = bonds.loc[from_picture[bonds["i"]] != from_picture[bonds["j"]], "length_A"]
    return {
        "radius [Å]": patch.info["radius_A"], "cell": len(patch),
        "seam bonds": patch.info["seam_bonds"], "seam bonds, relaxed": len(across),
        "shortest [Å]": patch.info["seam_shortest_A"], "longest [Å]": patch.info["seam_longest_A"],
        "shortest, relaxed [Å]": across.min(), "longest, relaxed [Å]": across.max(), "engine": run.engine,
    }  # fmt: skip


def patches(frames: list[Atoms], most: int | None) -> tuple[pd.DataFrame, pd.Series]:
    """Return a row for each region of interest that could be embedded, and the refusals counted by reason."""
    rows, refused = [], []
    for number, atoms in enumerate(frames):
        for region in eh.regions_of_interest(atoms).itertuples():
            try:
                patch = eh.embed(atoms, (region.x_A, region.y_A))
            except ValueError as error:
                refused.append(refusal(str(error)))
                continue
            rows.append({"frame": number, "region": region.reason.split(";")[0], **seam(patch)})
            if len(rows) == most:
                return _counted(rows, refused)
    return _counted(rows, refused)


def _counted(rows: list[dict], refused: list[str]) -> tuple[pd.DataFrame, pd.Series]:
    return pd.DataFrame(rows).set_index("frame"), pd.Series(refused, dtype=object).value_counts()


def by_reason(table: pd.DataFrame) -> pd.DataFrame:
    """Return the patches grouped by what is in them: how many, and the extremes of their seams."""
    how = {"radius [Å]": "median", "seam bonds": "sum", "seam bonds, relaxed": "sum"}
    how |= {name: "min" for name in table if name.startswith("shortest")}
    how |= {name: "max" for name in table if name.startswith("longest")}
    groups = table.groupby("region")
    return groups.agg(how).assign(patches=groups.size()).round(3)


def main(quick: bool = False) -> dict[str, pd.DataFrame]:
    """Return the tables by title."""
    frames = structures(1 if quick else None)
    table = pd.DataFrame([deviations(atoms, truth_of(k)) for k, atoms in enumerate(frames)])
    table.index.name = "frame"
    seams, refused = patches(frames, 1 if quick else None)
    percent = [name for name in table if "[%]" in name and "largest" not in name]
    counted = refused.rename_axis("refused because").to_frame("regions")
    counted.loc["(embedded)"] = len(seams)
    wanted = [
        ("RMSE before relaxation, worst frame", "≤ 0.12 Å", table["RMSE before [Å]"].max()),
        ("RMSE after relaxation, worst frame", "≤ 0.08 Å", table["RMSE relaxed [Å]"].max()),
        ("mean deviation in x or y, worst frame", "≤ 1 %", table[percent].to_numpy().max()),
        ("atoms whose element changed from table to relaxed structure", "≤ 0",
         table["changed element on the way"].sum()),
        ("share of atoms with the truth's element", "≥ 0.999",
         1 - table["other element than the truth"].sum() / table["matched"].sum()),
        ("share of the truth that has a partner", "≥ 0.97", (table["matched"] / table["in the truth"]).min()),
        ("shortest bond of a seam, relaxed", "≥ 1.3 Å", seams["shortest, relaxed [Å]"].min()),
        ("longest bond of a seam, relaxed", "≤ 1.6 Å", seams["longest, relaxed [Å]"].max()),
        ("bonds of seams that relaxation opened or made", "≤ 0",
         float((seams["seam bonds, relaxed"] - seams["seam bonds"]).abs().sum())),
    ]  # fmt: skip
    return {
        "Scoring half of the movie against its mean positions, in the plane (drift, rotation and scale "
        "removed; per cent of the mean coordinate, as in the paper)": table.round(4),
        "Regions of interest embedded in an endless sheet": by_reason(seams),
        "Regions of interest in all frames": counted,
        "Wanted and measured": _report.wanted_and_measured(wanted),
    }


if __name__ == "__main__":
    _report.show(main("--quick" in sys.argv))
