"""What the benchmarks are scored on: the movie's scoring half, the classical finders' cases, real frames."""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd

import elit_helpers as eh

SHARED = Path(__file__).resolve().parents[2] / "shared"
REAL = SHARED / "real_frames"
REAL_FRAMES = {
    "G-Si-2nm.hdf5": 0.0765,
    "G-dimSi.hdf5": 0.0384,
    "test-1.hdf5": 0.089,
}  # Å/px, from the lattice
NUMBERS = ("f1", "precision", "recall", "rmse_A")
CASES = ("clean", "noisy", "hard")

Finder = Callable[[np.ndarray, float], pd.DataFrame]
"""(frame (H, W), pixel size [Å/px]) → one row an atom: row_px, col_px [px] and element."""


# --------------------------------------------------------------------------- finders
def by_ensemble(ensemble: eh.Ensemble) -> Finder:
    """Return the finder that an ensemble is; only what it keeps counts."""

    def find(frame: np.ndarray, pixel_size: float) -> pd.DataFrame:
        found = eh.locate_atoms(eh.predict(ensemble, frame[None], pixel_size=pixel_size))
        return found.loc[found["kept"], ["row_px", "col_px", "element"]]

    return find


# --------------------------------------------------------------------------- the movie
@functools.cache
def movie(half: str) -> tuple[np.ndarray, pd.DataFrame, float]:
    """Return frames, truth and the pixel size [Å/px] that the lattice of the first frame gives."""
    shown = eh.load_movie(half)
    size = eh.calibrate(shown.frames[0], nominal=shown.pixel_size).pixel_size
    return shown.frames, eh.load_movie_truth(half), size


def on_movie(
    find: Finder, half: str = "scoring", *, frames: int | None = None, elements: bool = False
) -> dict[str, float]:
    """Return the scores of a finder on one half of the movie; atoms under contamination are don't-care.

    `elements` says whether it tells Si from C; without them it has no F1 of Si.
    """
    stack, truth, size = movie(half)
    stack = stack[:frames]
    found = pd.concat([find(f, size).assign(frame=i) for i, f in enumerate(stack)], ignore_index=True)
    score = eh.score_atoms(found, truth[truth["frame"] < len(stack)], pixel_size=size)
    confusion = score["element_confusion"].reindex(index=["C", "Si"], columns=["C", "Si"], fill_value=0)
    right, wrong = confusion.loc["Si", "Si"], confusion.loc["C", "Si"] + confusion.loc["Si", "C"]
    return {
        **{name: score[name] for name in NUMBERS},
        "false a frame": score["false"] / len(stack),
        "on contamination a frame": score["false_on_contamination"] / len(stack),
        "Si F1": 2 * right / max(2 * right + wrong, 1) if elements else float("nan"),
    }


# --------------------------------------------------------------------------- the classical finders' cases
@contextlib.contextmanager
def _as_before() -> Iterator[None]:
    """Undo what the cases' script does at import: log level, warning filters, environment, arguments."""
    argv, level, environment = sys.argv, logging.root.manager.disable, dict(os.environ)
    try:
        with warnings.catch_warnings():
            sys.argv = [argv[0]]
            yield
    finally:
        sys.argv = argv
        logging.disable(level)
        for name in set(os.environ) - set(environment):
            del os.environ[name]


@functools.cache
def peers_script() -> ModuleType | None:
    """Return the script with the classical finders' cases, or None where it is not beside the checkout."""
    path = SHARED / "tools" / "peer_atomfinders.py"
    if not path.is_file():
        return None
    spec = importlib.util.spec_from_file_location("peer_atomfinders", path)
    module = importlib.util.module_from_spec(spec)
    with _as_before():
        spec.loader.exec_module(module)
    return module


@functools.cache
def case(level: str, seed: int) -> dict:
    """Return one case of the script: image, truth, pixel size."""
    return peers_script().make_case(seed, level)


def on_case(find: Finder, level: str, seeds: range) -> dict[str, float]:
    """Return F1, RMSE [Å], precision and recall, each the mean over the seeds of a case."""
    rows = []
    for seed in seeds:
        here = case(level, seed)
        found = find(here["image"], float(here["pixel_size"]))
        rows.append(peers_script().score(found[["col_px", "row_px"]].to_numpy(), here))
    mean = pd.DataFrame(rows).mean()
    return {"F1": mean["F1"], "RMSE [Å]": mean["rmse"], "precision": mean["P"], "recall": mean["R"]}


# --------------------------------------------------------------------------- real frames
def real_frames() -> dict[str, tuple[np.ndarray, float]]:
    """Return frame and pixel size [Å/px] of each real graphene frame that is there, by name."""
    return {
        name.split(".")[0]: (eh.load_image(REAL / name).frames[0], size)
        for name, size in REAL_FRAMES.items()
        if (REAL / name).is_file()
    }


def share_and_density(find: Finder, frame: np.ndarray, pixel_size: float) -> tuple[float, float]:
    """Return the share of nearest-neighbour distances within 1.42 ± 0.25 Å, and the relative density."""
    found = find(frame, pixel_size)
    return eh.nearest_neighbour_share(
        found[["row_px", "col_px"]].to_numpy(), pixel_size=pixel_size, shape=frame.shape
    )[1:]


def on_real_frames(find: Finder) -> dict[str, float]:
    """Return share and relative density on each real frame that is there."""
    scores = {}
    for name, (frame, size) in real_frames().items():
        scores[f"{name} share"], scores[f"{name} density"] = share_and_density(find, frame, size)
    return scores
