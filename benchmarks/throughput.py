"""How fast frames, masks and training pairs are made, beside AtomAI's own tools on the same lattice.

usage: python benchmarks/throughput.py

Everything on one thread; a rate is one over the median CPU time of a call, so that a busy machine does not
change what is compared. AtomAI stamps windows at whole pixels, one atom at a time, and has no noise: its
rates are for spots and masks alone. About half a minute.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

import elit_helpers as eh

FIELDS = {"64 × 64": ((64, 64), 0.15), "512 × 512": ((512, 512), 0.1)}  # shape [px], pixel size [Å/px]
WANTED = {("frame", "64 × 64"): 200, ("frame", "512 × 512"): 5, ("pairs", "realistic"): 200}
PAIRS, ROUNDS = 50, 7


def rates(jobs: dict[str, Callable[[], object]], *, calls: int = 1) -> dict[str, float]:
    """Return calls a second of CPU time for each job; they take turns, so that all meet the same machine."""
    spent: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(ROUNDS):
        for name, job in jobs.items():
            start = time.process_time()
            for _ in range(calls):
                job()
            spent[name].append((time.process_time() - start) / calls)
    return {name: 1 / float(np.median(times)) for name, times in spent.items()}


def lattice(shape: tuple[int, int], pixel_size: float):
    """Return graphene with 1 % of silicon, and the same as AtomAI wants it: row, column, class."""
    sheet = eh.graphene_sheet((shape[1] * pixel_size, shape[0] * pixel_size), angle=10)
    symbols = np.array(sheet.get_chemical_symbols(), dtype="U2")
    symbols[np.random.default_rng(0).random(len(sheet)) < 0.01] = "Si"
    symbols[0] = "Si"  # two classes also where there are few atoms
    sheet.set_chemical_symbols(symbols.tolist())
    row_col = eh.to_pixels(sheet.positions, pixel_size=pixel_size, height=shape[0])
    # its windows must lie inside the picture, so it gets a few atoms fewer than we do
    inside = ((row_col > 12) & (row_col < np.array(shape) - 12)).all(1)
    return sheet, np.column_stack([row_col, 1.0 + (symbols == "Si")])[inside]


def stamped(shape: tuple[int, int], atoms: np.ndarray, scale: int) -> np.ndarray:
    """Draw spots the way AtomAI's users do: one `MakeAtom` window for each atom, at whole pixels."""
    from atomai.utils import MakeAtom

    image = np.zeros(shape)
    for row, col, kind in atoms:
        spot = MakeAtom(scale, 5, intensity=kind).atom2dgaussian()
        top, left = int(round(row)) - len(spot) // 2, int(round(col)) - len(spot) // 2
        image[top : top + len(spot), left : left + len(spot)] += spot
    return image


def frames() -> pd.DataFrame:
    """Return pictures a second: the whole microscope, spots only, and AtomAI's spots."""
    rows = []
    for name, (shape, pixel_size) in FIELDS.items():
        sheet, atoms = lattice(shape, pixel_size)
        microscope = eh.Imaging(
            pixel_size=pixel_size, shape=shape, probe="60kV", source_sigma_A=0.3, dose=300.0, jitter_A=0.05,
            flyback_A=0.3, background=0.2, contamination=3.0,
        )  # fmt: skip
        rng, symbols = np.random.default_rng(0), sheet.get_chemical_symbols()
        scale = int(1.6 / pixel_size) | 1  # spots 0.4 Å wide: MakeAtom's σ is a quarter of its window
        speed = rates(
            {
                "whole frame": lambda s=sheet, m=microscope, g=rng: eh.simulate_frame(s, m, g),
                "spots only": lambda s=sheet, m=microscope, e=symbols: eh.render(s.positions, e, imaging=m),
                "AtomAI spots": lambda s=shape, a=atoms, w=scale: stamped(s, a, w),
            },
            calls=20 if shape[0] == 64 else 1,
        )
        rows.append({
            "field": name, "atoms": len(sheet), "AtomAI's atoms": len(atoms), **speed,
            "spots, times AtomAI": speed["spots only"] / speed["AtomAI spots"],
            "wanted frames": WANTED["frame", name],
        })  # fmt: skip
    return pd.DataFrame(rows).set_index("field").round(1)


def masks() -> pd.DataFrame:
    """Return two-class masks a second: ours, sub-pixel discs, and AtomAI's, stamped at whole pixels."""
    from atomai.utils import create_multiclass_lattice_mask

    rows = []
    for name, (shape, pixel_size) in FIELDS.items():
        sheet, atoms = lattice(shape, pixel_size)
        options = {"classes": ("C", "Si"), "shape": shape, "pixel_size": pixel_size}
        blank, symbols = np.zeros((1, *shape)), sheet.get_chemical_symbols()
        scale, disc = int(1.6 / pixel_size) | 1, round(2 * 0.42 / pixel_size)
        speed = rates(
            {
                "masks": lambda s=sheet, e=symbols, o=options: eh.element_mask(s.positions, e, **o),
                "AtomAI masks": lambda b=blank, a=atoms, w=scale, d=disc: create_multiclass_lattice_mask(
                    b, a.copy(), scale=w, rmask=d
                ),
            },
            calls=20 if shape[0] == 64 else 1,
        )
        rows.append({"field": name, **speed, "times AtomAI": speed["masks"] / speed["AtomAI masks"]})
    return pd.DataFrame(rows).set_index("field").round(1)


def pairs() -> pd.DataFrame:
    """Return training pairs of 64 × 64 a second for each recipe: image, mask and normalisation."""
    jobs = {name: lambda r=name: eh.training_set(r, PAIRS, rng=1) for name in eh.RECIPES}
    speed = {name: PAIRS * rate for name, rate in rates(jobs).items()}
    table = pd.DataFrame({"pairs a second": speed}).round(0)
    table["wanted"] = [WANTED.get(("pairs", name), "") for name in table.index]
    return table


def main() -> dict[str, pd.DataFrame]:
    """Return the tables by title."""
    with threadpool_limits(1):
        return {
            "Frames a second (dose, jitter, flyback, background, contamination; 60 kV probe)": frames(),
            "Masks a second (two classes and the background)": masks(),
            "Training pairs": pairs(),
        }


if __name__ == "__main__":
    pd.set_option("display.width", 200, "display.max_columns", 30)
    for title, table in main().items():
        print(title, table.to_string(), "", sep="\n")
