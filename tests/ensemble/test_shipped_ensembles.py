"""What the shipped ensemble of graphene finds: the movie, other simulations, real frames it never saw."""

import json
import logging
import sys

import numpy as np
import pytest
from places import ROOT, SHARED
from recipe_files import load_module, load_recipe
from scipy.spatial import cKDTree

import elit_helpers as eh

SHIPPED = ROOT / "elit_helpers" / "ensemble" / "shipped" / "graphene"
REAL = SHARED / "real_frames"
PEERS = SHARED / "tools" / "peer_atomfinders.py"
needs_peers = pytest.mark.skipif(
    not PEERS.is_file(), reason=f"the classical finders' cases are not at {PEERS}"
)


def needs(name):
    return pytest.mark.skipif(not (REAL / name).is_file(), reason=f"real frame {name} is not in {REAL}")


@pytest.fixture(scope="module")
def recipe():
    return load_recipe("make_default_ensemble")


@pytest.fixture(scope="module")
def ensemble():
    return eh.default_ensemble()


@pytest.fixture(scope="module")
def peers():
    """The script with the cases; what it does to arguments, environment and logging is undone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [PEERS.name])
        for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
            patch.setenv(name, "1")
        module = load_module(PEERS)
    logging.disable(logging.NOTSET)
    return module


def found_in(ensemble, frame, pixel_size):
    return eh.locate_atoms(eh.predict(ensemble, frame, pixel_size=pixel_size))


# ------------------------------------------------------------------------- what it is
def test_the_shipped_ensemble_is_small_simulated_and_says_so(ensemble, recipe):
    assert (ensemble.classes, ensemble.pixel_size) == (("C", "Si"), 0.15)
    assert len(ensemble) == 5
    assert sum(file.stat().st_size for file in SHIPPED.iterdir()) <= 3.1e6
    card = json.loads((SHIPPED / "card.json").read_text(encoding="utf-8"))["card"]
    assert card["material"] == "graphene"
    assert "no real image" in card["trained_on"]
    assert card["made_by"] == "data/recipes/make_default_ensemble.py"
    assert (card["pairs"], ensemble.settings) == (recipe.PAIRS, recipe.SETTINGS)
    assert set(card["scores"]) == {"movie", *recipe.KINDS}


def test_its_training_pairs_are_those_of_the_recipe(ensemble, recipe):
    assert f"recipe 'realistic', seed {recipe.SEED};" in ensemble.card["trained_on"]
    labels = eh.training_set("realistic", 4, rng=recipe.SEED, classes=recipe.CLASSES)[1]
    assert ensemble.card["first_labels_sha256"] == recipe.hash_of(labels), "a new recipe needs a new ensemble"


# ------------------------------------------------------------------------- simulated frames it never saw
@pytest.mark.parametrize("half", ["scoring", "development"])
def test_atoms_and_silicon_of_the_movie_are_found(ensemble, recipe, half):
    score = recipe.score_on_movie(ensemble, half=half, frames=2)
    assert score["f1"] >= 0.98
    assert score["rmse_A"] <= 0.10
    assert score["element_accuracy"] >= 0.995
    # Some 150 atoms of a frame lie hidden; what is found there is right in three cases of four.
    assert score["false_on_contamination"] <= 2 * 12


@pytest.mark.parametrize(
    ("kind", "f1", "rmse"),
    [
        ("clean", 0.998, 0.035),
        ("noisy", 0.995, 0.09),
        ("edge", 0.95, 0.16),
        ("hill", 0.98, 0.11),
        ("cloud", 0.97, 0.12),
    ],
)
def test_atoms_of_another_simulation_are_found(ensemble, recipe, kind, f1, rmse):
    score = recipe.score(ensemble, kind, frames=2, seed=5)
    assert score["f1"] >= f1
    assert score["rmse_A"] <= rmse
    assert score["element_accuracy"] >= 0.98
    assert score["false_on_contamination"] <= (8 if kind == "cloud" else 0)


def test_held_out_frames_show_every_atom_of_the_truth(recipe):
    frame, truth, px = recipe.held_out_frame("clean", np.random.default_rng(1))
    at = np.round(truth[["row_px", "col_px"]].to_numpy()).astype(int)
    bright = frame[at[:, 0], at[:, 1]]
    assert bright[truth["element"] == "Si"].min() > np.median(bright) > frame.mean() + 0.2
    assert px * max(frame.shape) == pytest.approx(recipe.FIELD_A, abs=px)
    cloud = recipe.held_out_frame("cloud", np.random.default_rng(1))[1]
    assert 0.1 < cloud["under_contamination"].mean() < 0.9
    assert not recipe.held_out_frame("hill", np.random.default_rng(1))[1]["under_contamination"].any()


def test_an_empty_field_has_no_atoms(ensemble):
    noise = np.random.default_rng(0).normal(size=(160, 160))
    assert found_in(ensemble, noise, 0.15)["kept"].sum() <= 2


# ------------------------------------------------------------------------- the classical finders' cases
@needs_peers
@pytest.mark.slow
@pytest.mark.parametrize(
    ("level", "f1", "rmse"), [("clean", 1.0, 0.02), ("noisy", 0.998, 0.08), ("hard", 0.985, 0.10)]
)
def test_the_cases_of_the_classical_finders_are_solved(ensemble, peers, level, f1, rmse):
    rows = []
    for seed in range(1, 6):
        case = peers.make_case(seed, level)
        found = found_in(ensemble, case["image"], 0.1)
        rows.append(peers.score(found.loc[found["kept"], ["col_px", "row_px"]].to_numpy(), case))
    assert np.mean([row["F1"] for row in rows]) >= f1
    assert np.mean([row["rmse"] for row in rows]) <= rmse


# ------------------------------------------------------------------------- real frames
@pytest.mark.parametrize(
    ("name", "share", "nominal"),
    [
        pytest.param("G-Si-2nm.hdf5", 0.99, 0.078, marks=needs("G-Si-2nm.hdf5")),
        pytest.param("test-1.hdf5", 0.95, 0.078, marks=needs("test-1.hdf5")),
        pytest.param("G-dimSi.hdf5", 0.93, 0.039, marks=needs("G-dimSi.hdf5")),
    ],
)
def test_neighbours_of_a_real_frame_are_a_bond_apart(ensemble, name, share, nominal):
    frame = eh.load_image(REAL / name).frames[0]
    px = eh.calibrate(frame, nominal=nominal).pixel_size
    _, found, density = eh.nearest_neighbour_share(
        found_in(ensemble, frame, px), pixel_size=px, shape=frame.shape
    )
    assert found >= share
    assert 0.9 <= density <= 1.05


@needs("si_defects.npz")
@pytest.mark.slow
def test_labelled_atoms_of_real_defects_are_found_and_named(ensemble):
    found = right = labels = 0
    with np.load(REAL / "si_defects.npz") as store:
        for key in sorted({name.split("/")[0] for name in store.files}):
            frame, nominal = np.asarray(store[f"{key}/image"], float), float(store[f"{key}/scan_angstrom"])
            nominal /= frame.shape[1]
            try:
                px = eh.calibrate(frame, nominal=nominal).pixel_size
            except eh.ElitError:
                px = nominal
            atoms = found_in(ensemble, frame, px)
            atoms = atoms[atoms["kept"]]
            tree = cKDTree(atoms[["row_px", "col_px"]].to_numpy() * px)
            distance, index = tree.query(store[f"{key}/row_col"] * px)
            there = distance < 0.5
            same = atoms["element"].to_numpy()[index] == store[f"{key}/element"].astype(str)
            found, right, labels = found + there.sum(), right + (there & same).sum(), labels + len(there)
    assert found >= 0.97 * labels
    assert right >= 0.95 * labels
