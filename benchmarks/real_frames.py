"""Real frames from ../shared/real_frames: three training seeds, labelled silicon defects, MoS2.

usage: python benchmarks/real_frames.py [--quick]

No pixel of them is trained on. Without that folder there is nothing to do, and it says so. Five minutes on
two cores, unless the trainings are there already from another benchmark of the same run.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import _frames
import _report
import _runs
import numpy as np
import pandas as pd
from finders import WANTED_ON_REAL
from scipy.spatial import cKDTree

import elit_helpers as eh

LABELLED = "si_defects.npz"
MOS2, MOS2_NOMINAL = "MoS2_stem_Exp-000-2.npy", 0.176  # Å/px
BENDS = "lattice that bends, over the length that predicts columns left out best"
LATTICE_FIGURES = ("columns", "bend_A", "share_within", "rms_A", "separated", "sites_found")
REACH_A = 0.5  # as far as a found atom may be from a labelled one


def three_seeds(quick: bool) -> pd.DataFrame:
    """Return share and density of class-preset ensembles of three training seeds, and of the shipped one."""
    seeds = _runs.SEEDS[:1] if quick else _runs.SEEDS
    rows = {f"class preset, seed {seed}": _runs.initial("realistic", seed, quick) for seed in seeds}
    rows["shipped ensemble"] = eh.default_ensemble()
    table = pd.DataFrame({name: _frames.on_real_frames(_frames.by_ensemble(e)) for name, e in rows.items()}).T
    return table.round(4)


# --------------------------------------------------------------------------- silicon defects with labels
def labelled_frames() -> Iterator[tuple[str, np.ndarray, float, np.ndarray, np.ndarray]]:
    """Yield name, frame, nominal pixel size [Å/px], labelled positions [px] and their elements."""
    with np.load(_frames.REAL / LABELLED) as stored:
        for key in sorted({name.split("/")[0] for name in stored.files}):
            frame = stored[f"{key}/image"].astype(float)
            nominal = float(stored[f"{key}/scan_angstrom"]) / frame.shape[1]
            yield key, frame, nominal, stored[f"{key}/row_col"], stored[f"{key}/element"].astype(str)


def pixel_size_of(frame: np.ndarray, nominal: float) -> tuple[float, str]:
    """Return the pixel size [Å/px] that the lattice gives, or the nominal one, and which it is."""
    for hint in (nominal, None):
        try:
            return eh.calibrate(frame, nominal=hint).pixel_size, "lattice"
        except eh.CalibrationFailed:
            continue
    return nominal, "nominal"


def silicon_defects(ensemble: eh.Ensemble, *, frames: int | None = None) -> pd.DataFrame:
    """Return for each labelled frame how many labelled atoms were found, and found with the right element."""
    find, rows = _frames.by_ensemble(ensemble), {}
    for key, frame, nominal, row_col, element in list(labelled_frames())[:frames]:
        size, source = pixel_size_of(frame, nominal)
        found = find(frame, size)
        distance, partner = cKDTree(found[["row_px", "col_px"]].to_numpy()).query(row_col)
        near = distance * size < REACH_A
        right = near & (found["element"].to_numpy(object)[np.minimum(partner, len(found) - 1)] == element)
        silicon = element == "Si"
        share, density = _frames.share_and_density(lambda *_, f=found: f, frame, size)
        rows[key] = {
            "Å/px": round(size, 4), "from": source, "labelled": len(row_col), "found": int(near.sum()),
            "element right": int(right.sum()), "Si labelled": int(silicon.sum()),
            "Si right": int((right & silicon).sum()),
            "Si found in all": int((found["element"] == "Si").sum()),
            "share": round(share, 3), "density": round(density, 3),
        }  # fmt: skip
    return pd.DataFrame(rows).T


def totals(table: pd.DataFrame) -> dict[str, float]:
    """Return the share of labelled atoms found, of elements right among those, and frames not calibrated."""
    labelled, found, right = (int(table[name].sum()) for name in ("labelled", "found", "element right"))
    return {
        "frames": len(table), "with nominal pixel": int((table["from"] == "nominal").sum()),
        "labelled atoms": labelled, "found": found / labelled, "element right of those": right / found,
        "Si right of those labelled": table["Si right"].sum() / table["Si labelled"].sum(),
    }  # fmt: skip


# --------------------------------------------------------------------------- molybdenum disulphide
def mos2() -> pd.DataFrame:
    """Return how well the columns that the MoS2 ensemble finds sit on a lattice."""
    frame = eh.load_image(_frames.REAL / MOS2, pixel_size=MOS2_NOMINAL).frames[0]
    size = eh.calibrate(frame, nominal=MOS2_NOMINAL, lattice="MoS2").pixel_size
    found, rows = _frames.by_ensemble(eh.default_ensemble("MoS2"))(frame, size), {}
    for name, options in {"one affine lattice": {}, BENDS: {"bend_A": "auto"}}.items():
        said = eh.sublattice_fit(found, pixel_size=size, shape=frame.shape, **options)
        rows[name] = {key: said[key] for key in LATTICE_FIGURES}
    return pd.DataFrame(rows).T.round(4)


# --------------------------------------------------------------------------- together
def main(quick: bool = False) -> dict[str, pd.DataFrame]:
    """Return the tables by title."""
    if not _frames.real_frames() or not (_frames.REAL / LABELLED).is_file():
        print("There are no real frames beside the checkout (../shared/real_frames): nothing to measure.")
        return {}
    seeds = three_seeds(quick)
    ours = seeds[seeds.index.str.startswith("class")]
    rows = []
    for name, limit in WANTED_ON_REAL.items():
        worst = ours[name].sub(0.975 if "density" in name else 1).abs().idxmax()
        rows.append((f"{name}, the worst of {len(ours)} training seeds", limit, ours.loc[worst, name]))
    defects = silicon_defects(eh.default_ensemble(), frames=3 if quick else None)
    final = _runs.algorithm("realistic", _runs.SEEDS[0], quick).result.final
    both = {"shipped ensemble": totals(defects)}
    both["after Algorithm 1 on the movie"] = totals(silicon_defects(final, frames=3 if quick else None))
    found = both["shipped ensemble"]
    rows += [
        ("labelled atoms found, shipped ensemble", "≥ 0.97", found["found"]),
        ("element right of those, shipped ensemble", "≥ 0.95", found["element right of those"]),
    ]
    tables = {
        "Real graphene frames: share of nearest-neighbour distances within 1.42 ± 0.25 Å, density": seeds,
        "Labelled silicon defects: all frames together": pd.DataFrame(both).T.round(4),
        "Labelled silicon defects, frame by frame, shipped ensemble (pixel size from the lattice, nominal "
        "where that is refused)": defects,
    }
    sheet = mos2()
    if sheet is not None:
        tables["MoS2: columns of the shipped ensemble and the lattice through them"] = sheet
        rows += [
            (f"MoS2, {name}: columns within 0.25 Å of it", "≥ 0.95", sheet.loc[name, "share_within"])
            for name in sheet.index
        ]
        rows.append(
            ("MoS2: sublattices separated, the worse of the two", "≥ 0.95", sheet["separated"].iloc[0])
        )
    return tables | {"Wanted and measured": _report.wanted_and_measured(rows)}


if __name__ == "__main__":
    _report.show(main("--quick" in sys.argv))
