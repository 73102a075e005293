"""Rows of a table are counted by their position: what its index is changes no result."""

import inspect

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from ase import Atoms
from matplotlib.axes import Axes
from tables import found_table

import elit_helpers as eh

PIXEL = 0.0958
INDEXES = {
    "twins": lambda n: np.arange(n) % max(n // 2, 1),  # as pandas.concat leaves it
    "shuffled": lambda n: np.random.default_rng(0).permutation(n),
    "gaps": lambda n: 7 + 3 * np.arange(n),  # as a filter leaves it
    "texts": lambda n: [f"atom {k % 5}" for k in range(n)],
    "all the same": lambda n: np.zeros(n, int),
}


@pytest.fixture(scope="module")
def world():
    """Two frames of the movie, and what is found in them; runs and tables of all kinds."""
    frames = eh.load_movie("development").frames[:2, :160, :160]
    prediction = eh.predict(eh.default_ensemble(), frames, pixel_size=PIXEL)
    found = eh.locate_atoms(prediction)
    truth = eh.load_movie_truth("development")
    inside = (truth[["row_px", "col_px"]] < 160).all(axis=1) & truth["frame"].isin([0, 1])
    sheet = eh.sheet("graphene", (16.0, 16.0))
    holed = eh.add_vacancy(sheet, len(sheet) // 2)[0]
    structure = eh.to_atoms(found, frame=1)
    mos2 = eh.columns(eh.sheet("MoS2", (30.0, 30.0)))
    labels = eh.true_labels(prediction, truth[inside])
    return {
        "frames": frames,
        "prediction": prediction,
        "found": found,
        "truth": truth[inside].reset_index(drop=True),
        "structure": structure,
        "holed": holed,
        "rings": eh.rings(holed),
        "regions": eh.regions_of_interest(structure),
        "mos2": found_table(mos2[["x_A", "y_A"]], element=mos2["element"].to_numpy(object)),
        "missing": eh.propose_missing(holed),
        "heights": eh.propose_heights(eh.substitute(sheet, 10, "Si")[0]),
        "run": eh.run_md(sheet, engine="lammps:tersoff", steps=4, every=1, rng=1),
        "runs": eh.healing_runs(),
        "scores": eh.select_artifact_free(eh.default_ensemble(), prediction, frames)[1],
        "reliability": eh.reliability(prediction.mean[..., 0], labels == 0),
    }


CALLS = {
    ("to_atoms", "table"): ("found", lambda w, t: eh.to_atoms(t, frame=1)),
    ("assign_elements", "atoms"): (
        "found",
        lambda w, t: eh.assign_elements(t, w["frames"], pixel_size=PIXEL),
    ),
    ("score_atoms", "found"): ("found", lambda w, t: eh.score_atoms(t, w["truth"], pixel_size=PIXEL)),
    ("score_atoms", "truth"): ("truth", lambda w, t: eh.score_atoms(w["found"], t, pixel_size=PIXEL)),
    ("label_candidates", "found"): (
        "found",
        lambda w, t: eh.label_candidates(t, w["truth"], pixel_size=PIXEL),
    ),
    ("label_candidates", "truth"): (
        "truth",
        lambda w, t: eh.label_candidates(w["found"], t, pixel_size=PIXEL),
    ),
    ("missed_atoms", "found"): ("found", lambda w, t: eh.missed_atoms(t, w["truth"], pixel_size=PIXEL)),
    ("missed_atoms", "truth"): (
        "truth",
        lambda w, t: eh.missed_atoms(w["found"], t, pixel_size=PIXEL, prediction=w["prediction"]),
    ),
    ("uncertainty_auroc", "found"): (
        "found",
        lambda w, t: eh.uncertainty_auroc(t, w["truth"], pixel_size=PIXEL, samples=0),
    ),
    ("uncertainty_auroc", "truth"): (
        "truth",
        lambda w, t: eh.uncertainty_auroc(w["found"], t, pixel_size=PIXEL, samples=0),
    ),
    ("atom_uncertainty", "found"): ("found", lambda w, t: eh.atom_uncertainty(t)),
    ("members_table", "truth"): ("truth", lambda w, t: eh.members_table(w["prediction"], t, repeats=1)),
    ("true_labels", "truth"): ("truth", lambda w, t: eh.true_labels(w["prediction"], t)),
    ("nearest_neighbour_share", "atoms"): (
        "found",
        lambda w, t: eh.nearest_neighbour_share(t[t["frame"] == 1], pixel_size=PIXEL, shape=(160, 160)),
    ),
    ("sublattice_fit", "found"): ("mos2", lambda w, t: eh.sublattice_fit(t, pixel_size=0.1)),
    ("calibration_error", "table_of_reliability"): ("reliability", lambda w, t: eh.calibration_error(t)),
    ("propose_missing", "table"): ("found", lambda w, t: eh.propose_missing(w["structure"], t)),
    ("accept", "proposals"): ("missing", lambda w, t: eh.accept(w["holed"], t)),
    ("accept", "heights"): ("heights", lambda w, t: eh.accept(w["holed"], t[t["height_A"] > 0])),
    ("healing_shares", "table"): ("runs", lambda w, t: eh.healing_shares(t)),
    ("widgets.choose_regions", "regions"): (
        "regions",
        lambda w, t: eh.widgets.choose_regions(w["structure"], t, keep=[0, len(t) - 1]),
    ),
    ("widgets.pick_regions", "regions"): (
        "regions",
        lambda w, t: eh.widgets.pick_regions(w["frames"][1], w["structure"], t, keep=[0], alt="").selected,
    ),
    ("widgets.pick_members", "scores"): (
        "scores",
        lambda w, t: eh.widgets.pick_members(w["prediction"], t, w["frames"], alt="").selected,
    ),
    ("plots.atoms", "table"): ("found", lambda w, t: eh.plots.atoms(t, flagged=True)),
    ("plots.rings", "table"): ("rings", lambda w, t: eh.plots.rings(w["holed"], t)),
    ("plots.regions", "table"): ("regions", lambda w, t: eh.plots.regions(t)),
    ("plots.reliability", "table"): ("reliability", lambda w, t: eh.plots.reliability(t)),
    ("plots.outcomes", "shares"): ("shares", lambda w, t: eh.plots.outcomes(t)),
    ("plots.census", "table"): ("census", lambda w, t: eh.plots.census(t)),
    ("plots.energy", "log"): ("log", lambda w, t: eh.plots.energy(t, n_atoms=4)),
    ("plots.temperature", "log"): ("log", lambda w, t: eh.plots.temperature(t)),
    ("plots.losses", "history"): ("history", lambda w, t: eh.plots.losses(t)),
    ("plots.sweep", "table"): ("sweep", lambda w, t: eh.plots.sweep(t)),
    ("plots.healing_way", "ways"): ("way", lambda w, t: eh.plots.healing_way({"one": t})),
}
NO_ROWS = {"run_elit", "train_ensemble", "reliability", "rings"}
"""Functions with such an argument that is no table of the user's: a callback, an array."""
MEANT = {"plots.over_members"}
"""Functions to whom the index says something, and is part of the table that another returns."""


def table_of(world, name):
    more = {
        "shares": lambda: eh.healing_shares(world["runs"]),
        "census": lambda: pd.DataFrame({"time_fs": [0.0, 10.0, 20.0], 5: [0, 1, 2], 6: [30, 29, 28]}),
        "log": lambda: world["run"].log,
        "history": lambda: eh.default_ensemble().history,
        "way": lambda: world["run"].log.assign(distance_A=1.0),
        "sweep": lambda: pd.DataFrame(
            {
                "temperature_K": [300.0, 300.0, 900.0],
                "fate": ["stayed", "healed", "stayed"],
                "mean_bond_5_A": [1.4, np.nan, 1.5],
                "mean_bond_7_A": [1.4, 1.42, 1.5],
            }
        ),
    }
    return world[name] if name in world else more[name]()


def plain(result):
    """What a result says, whatever its index is."""
    if isinstance(result, (pd.DataFrame, pd.Series)):
        return [plain(value) for value in np.asarray(result.to_numpy(object)).ravel()]
    if isinstance(result, Atoms):
        return [result.get_chemical_formula(mode="reduce"), plain(result.positions), plain(result.arrays)]
    if isinstance(result, Axes):
        drawn = [plain(np.ma.filled(c.get_offsets(), np.nan)) for c in result.collections]
        texts = [text.get_text() for text in result.texts]
        boxes = [patch.get_extents().get_points().round(6).tolist() for patch in result.patches]
        return [*drawn, *(plain(line.get_xydata()) for line in result.lines), texts, boxes]
    if isinstance(result, dict):
        return {key: plain(value) for key, value in result.items()}
    if isinstance(result, (list, tuple, np.ndarray)):
        return [plain(value) for value in result]
    return "nan" if isinstance(result, float) and np.isnan(result) else result


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


@pytest.mark.parametrize("call", CALLS, ids=".".join)
def test_the_index_of_a_table_changes_nothing(call, world):
    name, function = CALLS[call]
    clean = table_of(world, name).reset_index(drop=True)
    expected = plain(function(world, clean))
    for index in list(INDEXES)[: 1 if call[0].startswith("widgets.pick") else None]:
        plt.close("all")
        other = clean.set_axis(pd.Index(INDEXES[index](len(clean))), axis=0)
        before = other.copy()
        found = function(world, other)
        assert plain(found) == expected, index
        pd.testing.assert_frame_equal(other, before)
        if call[1] in ("found", "atoms") and isinstance(found, (pd.Series, pd.DataFrame)):
            assert found.index.equals(other.index) or call[0] == "missed_atoms"


def test_no_function_that_takes_a_table_is_forgotten():
    names = {"table", "found", "truth", "history", "shares", "log", "regions", "scores", "ways", "proposals"}
    taken = set()
    for prefix, module in (("", eh), ("plots.", eh.plots), ("widgets.", eh.widgets)):
        for name in dir(module):
            if inspect.isfunction(function := getattr(module, name)):
                for parameter, how in inspect.signature(function).parameters.items():
                    if parameter in names or "DataFrame" in str(how.annotation):
                        taken.add(f"{prefix}{name}")
    assert taken - NO_ROWS - MEANT - {"plots.animate", "widgets.player"} == {name for name, _ in CALLS}


def test_a_row_of_the_table_is_found_by_its_position(world):
    table = pd.concat([part for _, part in world["found"].groupby("frame")])
    table = pd.concat([table[table["frame"] == frame].reset_index(drop=True) for frame in (0, 1)])
    for frame in (0, 1):
        atoms = eh.to_atoms(table, frame=frame)
        rows = table.iloc[atoms.arrays["table_row"]]
        assert set(rows["frame"]) == {frame}
        np.testing.assert_allclose(rows["x_A"], atoms.positions[:, 0])
