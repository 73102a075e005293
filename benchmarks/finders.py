"""This course's ensembles beside AtomAI's single net and the classical finders, on the same frames.

usage: python benchmarks/finders.py [--quick]

On the movie's scoring half, on the classical finders' own cases (../shared/tools/peer_atomfinders.py) and on
real frames, the last two where ../shared is beside the checkout. A peer that is not installed is left out by
name: `pip install -e '.[bench]'`. About a quarter of an hour on two cores.
"""

from __future__ import annotations

import functools
import sys
import time

import _atomai
import _frames
import _peers
import _report
import _runs
import pandas as pd
from _frames import Finder

import elit_helpers as eh

TESTED = range(1, 6)  # seeds of the cases
TUNED_ON = 100  # the seed that the cases' script tunes on, too
PEERS_OF_CASES = {
    "trackpy": "trackpy.locate",
    "scikit-image blob_log": "skimage blob_log",
    "atomap + 2-D Gaussian": "  + 2-D Gaussian refine",
    "hyperspy template matching": "hyperspy template_matching",
}  # our name, the script's
SHIPPED, CLASS, FINAL = "shipped ensemble", "class preset, trained in this run", "the same after Algorithm 1"
WANTED_ON_CASES = {
    "clean": ("≥ 1.000", "≤ 0.02 Å"),
    "noisy": ("≥ 0.998", "≤ 0.08 Å"),
    "hard": ("≥ 0.985", "≤ 0.10 Å"),
}
WANTED_ON_REAL = {
    "G-Si-2nm share": "≥ 0.99",
    "G-Si-2nm density": "0.9–1.05",
    "test-1 share": "≥ 0.95",
    "test-1 density": "0.9–1.05",
}


@functools.cache
def networks(quick: bool) -> dict[str, Finder]:
    """Return the finders that are networks, by name."""
    segmentor = _atomai.segmentor(20 if quick else _atomai.EXAMPLE)
    run = _runs.algorithm("realistic", _runs.SEEDS[0], quick)
    return {
        SHIPPED: _frames.by_ensemble(eh.default_ensemble()),
        CLASS: _frames.by_ensemble(_runs.initial("realistic", _runs.SEEDS[0], quick)),
        FINAL: _frames.by_ensemble(run.result.final),
        "AtomAI Segmentor, 300 cycles, our locate_atoms": _frames.by_ensemble(segmentor.result),
        "AtomAI Segmentor, 300 cycles, its own Locator": _atomai.own_locator(segmentor.result),
    }


@functools.cache
def classical(quick: bool) -> tuple[dict[str, Finder], pd.DataFrame]:
    """Return the classical finders that are installed, tuned on one development frame, and how."""

    def judge(find: Finder) -> float:
        scores = _frames.on_movie(find, "development", frames=1)
        return scores["f1"] - 0.02 * scores["rmse_A"]

    finders, rows = {}, {}
    for name, peer in _peers.PEERS.items():
        if peer.missing():
            print(f"{name} is left out: {peer.package} is not installed (pip install -e '.[bench]').")
            continue
        if quick:
            peer = _peers.Peer(peer.package, peer.atoms, peer.grid[-2:], {})
        started = time.perf_counter()
        finders[name], options = _peers.tuned(peer, judge)
        said = ", ".join(f"{key} {value}" for key, value in options.items())
        rows[name] = {"options": said, "tried": len(peer.grid), "s": time.perf_counter() - started}
    return finders, pd.DataFrame(rows).T


def on_movie(quick: bool) -> pd.DataFrame:
    """Return each finder's scores on the scoring half of the movie, and its seconds a frame."""
    rows, frames = {}, 1 if quick else None
    for name, find in (networks(quick) | classical(quick)[0]).items():
        elements = name in (SHIPPED, FINAL)
        run = _runs.timed(functools.partial(_frames.on_movie, find, frames=frames, elements=elements))
        rows[name] = run.result | {"s a frame": run.wall / (frames or len(_frames.movie("scoring")[0]))}
    return pd.DataFrame(rows).T.round(4)


def script_finders(quick: bool) -> dict[str, dict[str, Finder]]:
    """Return the finders of the cases' script for each case, tuned on its seed 100."""
    script, found = _frames.peers_script(), {}
    for name, key in PEERS_OF_CASES.items():
        function, grid = script.METHODS[key]
        package = _peers.PEERS[name].package if name in _peers.PEERS else "hyperspy"
        peer = _peers.Peer(package, _swapped(function), grid[-2:] if quick else grid, {})
        if peer.missing():
            print(f"{name} is left out of the cases: {package} is not installed.")
            continue
        found[name] = {level: _tuned_on_case(peer, level) for level in ("clean", "noisy")}
        found[name]["hard"] = found[name]["noisy"]
    return found


def _swapped(function):
    """Return a finder of the script, (x, y) of an image, as one that gives rows and columns."""
    return lambda frame, _, **options: function(frame, **options)[:, ::-1]


def _tuned_on_case(peer: _peers.Peer, level: str) -> Finder:
    def judge(find: Finder) -> float:
        scores = _frames.on_case(find, level, range(TUNED_ON, TUNED_ON + 1))
        return scores["F1"] - 0.02 * scores["RMSE [Å]"]

    return _peers.tuned(peer, judge)[0]


def on_cases(quick: bool) -> pd.DataFrame:
    """Return each finder's F1 and RMSE on the three cases, the mean of the seeds."""
    seeds = TESTED[:1] if quick else TESTED
    finders = {name: dict.fromkeys(_frames.CASES, find) for name, find in networks(quick).items()}
    rows = {}
    for name, of_case in (finders | script_finders(quick)).items():
        rows[name] = {}
        for level in _frames.CASES:
            scores = _frames.on_case(of_case[level], level, seeds)
            rows[name] |= {f"{level} {key}": scores[key] for key in ("F1", "RMSE [Å]")}
        rows[name] |= {f"hard {key}": scores[key] for key in ("precision", "recall")}
    return pd.DataFrame(rows).T.round(4)


def on_real(quick: bool) -> pd.DataFrame:
    """Return share and density on real frames; of the classical ones also the best on each frame."""
    finders = networks(quick) | classical(quick)[0]
    rows = {name: _frames.on_real_frames(find) for name, find in finders.items()}
    for name, peer in _peers.PEERS.items():
        if name in finders:
            grid = peer.grid[-2:] if quick else peer.grid
            rows[f"{name}, best of {len(grid)} on the very frame"] = _best_on_each(peer, grid)
    return pd.DataFrame(rows).T.round(3)


def _best_on_each(peer: _peers.Peer, grid: list[dict]) -> dict[str, float]:
    peer, scores = _peers.Peer(peer.package, peer.atoms, grid, peer.final), {}
    for name, (frame, size) in _frames.real_frames().items():

        def judge(find: Finder, frame=frame, size=size) -> float:
            share, density = _frames.share_and_density(find, frame, size)
            return share * min(density, 1 / max(density, 1e-9))  # neither too few atoms nor too many

        find, _ = _peers.tuned(peer, judge)
        scores[f"{name} share"], scores[f"{name} density"] = _frames.share_and_density(find, frame, size)
    return scores


def wanted(movie: pd.DataFrame, cases: pd.DataFrame | None, real: pd.DataFrame | None) -> pd.DataFrame:
    """Return what is wanted of the shipped ensemble beside what was measured."""
    rows = []
    for level, (f1, rmse) in WANTED_ON_CASES.items() if cases is not None else ():
        rows.append((f"{level}: F1, shipped ensemble", f1, cases.loc[SHIPPED, f"{level} F1"]))
        rows.append((f"{level}: RMSE, shipped ensemble", rmse, cases.loc[SHIPPED, f"{level} RMSE [Å]"]))
    for name, limit in WANTED_ON_REAL.items() if real is not None else ():
        if name in real:
            rows.append((f"{name}, shipped ensemble", limit, real.loc[SHIPPED, name]))
    rows.append(("movie: F1, shipped ensemble", "≥ 0.98", movie.loc[SHIPPED, "f1"]))
    rows.append(("movie: RMSE, shipped ensemble", "≤ 0.10 Å", movie.loc[SHIPPED, "rmse_A"]))
    return _report.wanted_and_measured(rows)


def main(quick: bool = False) -> dict[str, pd.DataFrame]:
    """Return the tables by title."""
    movie, cases, real = on_movie(quick), None, None
    tables = {
        "The movie's scoring half (classical finders tuned on one development frame, then frozen; atoms "
        "under contamination are don't-care; a finder without elements has no Si F1)": movie,
        "Options of the classical finders": classical(quick)[1],
    }
    if _frames.peers_script() is None:
        print("The classical finders' cases are left out: ../shared/tools/peer_atomfinders.py is not there.")
    else:
        cases = on_cases(quick)
        tables[
            "The classical finders' cases, mean of seeds 1–5 (classical finders as their script has them, "
            "tuned on its seed 100, then frozen; the hard case with the options of the noisy one)"
        ] = cases
    if not _frames.real_frames():
        print("Real frames are left out: ../shared/real_frames is not there.")
    else:
        real = on_real(quick)
        tables[
            "Real frames: share of nearest-neighbour distances within 1.42 ± 0.25 Å, density relative to "
            "graphene (no pixel of them was trained on; classical finders frozen as above, and then, in "
            "their favour, with the options that look best on the very frame)"
        ] = real
    return tables | {"Wanted and measured": wanted(movie, cases, real)}


if __name__ == "__main__":
    _report.show(main("--quick" in sys.argv))
