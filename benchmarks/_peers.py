"""Classical finders, a few lines each, with lengths in Å: trackpy, blob_log, atomap with a 2-D Gaussian."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import itertools
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from _frames import Finder
from scipy.ndimage import gaussian_filter

import elit_helpers as eh


def _stretched(frame: np.ndarray, pixel_size: float, flat: bool) -> np.ndarray:
    """Return the frame from 0 to 1; `flat` takes out the background first, as the networks have it."""
    image = eh.normalise(frame[None], pixel_size=pixel_size)[0] if flat else np.asarray(frame, float)
    image = np.asarray(image, float)
    return (image - image.min()) / (np.ptp(image) or 1)


def trackpy_atoms(frame, pixel_size, *, flat, diameter_A, separation_A, percentile, noise_A):
    """Return (M, 2) row, column [px]."""
    import trackpy

    found = trackpy.locate(
        255 * _stretched(frame, pixel_size, flat), int(round(diameter_A / pixel_size)) | 1, minmass=0,
        separation=separation_A / pixel_size, noise_size=max(1, noise_A / pixel_size), percentile=percentile,
    )  # fmt: skip
    bright = found["mass"] > 0.35 * found["mass"].median()
    return found.loc[bright, ["y", "x"]].to_numpy()


def blob_atoms(frame, pixel_size, *, flat, narrow_A, wide_A, threshold):
    """Return (M, 2) row, column [px]."""
    from skimage.feature import blob_log

    limits = {"min_sigma": narrow_A / pixel_size, "max_sigma": wide_A / pixel_size, "num_sigma": 3}
    return blob_log(_stretched(frame, pixel_size, flat), threshold=threshold, overlap=0.3, **limits)[:, :2]


def atomap_atoms(frame, pixel_size, *, flat, blur_A, separation_A, threshold, fit=True):
    """Return (M, 2) row, column [px]; `fit` moves them to the middle of fitted Gaussians."""
    import atomap.api as atomap
    import hyperspy.api as hyperspy

    image = gaussian_filter(_stretched(frame, pixel_size, flat), blur_A / pixel_size)
    found = np.asarray(
        atomap.get_atom_positions(
            hyperspy.signals.Signal2D(image), separation=max(1, round(separation_A / pixel_size)),
            threshold_rel=threshold, pca=False, subtract_background=True,
        )
    )  # fmt: skip
    if fit and len(found) > 7:
        atoms = atomap.Sublattice(found, image=image)
        atoms.find_nearest_neighbors()
        atoms.refine_atom_positions_using_center_of_mass(show_progressbar=False)
        atoms.refine_atom_positions_using_2d_gaussian(show_progressbar=False)
        found = np.column_stack([atoms.x_position, atoms.y_position])
    return found.reshape(-1, 2)[:, ::-1]


def _grid(**values) -> list[dict]:
    return [dict(zip(values, chosen)) for chosen in itertools.product(*values.values())]


@dataclass(frozen=True)
class Peer:
    """A classical finder: what it needs installed, what it does, and what is tried when it is tuned."""

    package: str
    atoms: Callable[..., np.ndarray]
    grid: list[dict]
    final: dict  # what only the tuned finder does, because it takes too long for the grid

    def missing(self) -> bool:
        """Say whether its package is not installed."""
        return importlib.util.find_spec(self.package) is None

    def finder(self, options: dict) -> Finder:
        """Return the finder with these options."""
        return partial(_find, self.atoms, options)


PEERS = {
    "trackpy": Peer(
        "trackpy",
        trackpy_atoms,
        _grid(flat=[False, True], diameter_A=[0.9, 1.1, 1.3, 1.5], separation_A=[0.9],
              percentile=[0, 10, 40], noise_A=[0.1, 0.2, 0.3]),
        {},
    ),
    "scikit-image blob_log": Peer(
        "skimage",
        blob_atoms,
        _grid(flat=[False, True], narrow_A=[0.2, 0.3, 0.4], wide_A=[0.4, 0.5, 0.6],
              threshold=[0.005, 0.01, 0.02, 0.04, 0.08]),
        {},
    ),
    "atomap + 2-D Gaussian": Peer(
        "atomap",
        atomap_atoms,
        _grid(flat=[False, True], blur_A=[0.0, 0.2, 0.3], separation_A=[0.4, 0.6, 0.8],
              threshold=[0.02, 0.1, 0.2], fit=[False]),
        {"fit": True},
    ),
}  # fmt: skip


def _find(atoms: Callable[..., np.ndarray], options: dict, frame, pixel_size) -> pd.DataFrame:
    with quiet():
        row_col = np.asarray(atoms(frame, pixel_size, **options), float).reshape(-1, 2)
    row_col = row_col[np.isfinite(row_col).all(1)]
    return pd.DataFrame(row_col, columns=["row_px", "col_px"]).assign(element="C")


def tuned(peer: Peer, judge: Callable[[Finder], float]) -> tuple[Finder, dict]:
    """Return the finder with the options of its grid that `judge` gives most for, and these options.

    Options with which the finder fails on the frame are passed over.

    Raises
    ------
    RuntimeError
        If it fails with all of them.
    """
    best, reason = (-np.inf, None), None
    for options in peer.grid:
        try:
            score = judge(peer.finder(options))
        except Exception as error:  # of any kind: it is another's code, on options it may not like
            reason = error
            continue
        best = max(best, (score, options), key=lambda pair: pair[0])
    if best[1] is None:
        raise RuntimeError(f"{peer.package} failed with all {len(peer.grid)} options.") from reason
    options = best[1] | peer.final
    return peer.finder(options), options


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silence the warnings, prints and progress bars of other packages."""
    import logging

    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
