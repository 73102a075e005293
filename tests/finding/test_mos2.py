"""MoS2: the lattice that its columns are judged by, and what the shipped ensemble finds."""

import json

import numpy as np
import pandas as pd
import pytest
from places import ROOT, SHARED
from recipe_files import load_recipe
from scipy.ndimage import gaussian_filter, map_coordinates

import elit_helpers as eh
from elit_helpers.finding.sublattices import sublattice_fit

PX = 0.175
SHIPPED = ROOT / "elit_helpers" / "ensemble" / "shipped" / "MoS2"
FRAME = SHARED / "real_frames" / "MoS2_stem_Exp-000-2.npy"
needs_real_frame = pytest.mark.skipif(not FRAME.is_file(), reason=f"no {FRAME.name} at {FRAME.parent}")


@pytest.fixture(scope="module")
def recipe():
    return load_recipe("make_mos2_ensemble")


@pytest.fixture(scope="module")
def ensemble():
    return eh.default_ensemble("MoS2")


# ------------------------------------------------------------------------- the lattice itself
def columns_of_mos2(
    *, n=300, turn=17.0, stretch=(1.09, 0.92), sigma=0.05, bend=0.0, missing=0.0, swapped=0.0, strangers=0
):
    """Table of the columns of a perfect sheet, seen by a scan with unequal and bent axes [Å]."""
    rng, length = np.random.default_rng(3), n * PX
    sheet = eh.columns(eh.sheet("MoS2", (1.3 * length, 1.3 * length), angle=turn))
    p = (sheet[["y_A", "x_A"]].to_numpy() - 0.65 * length) * stretch + length / 2
    p = p + bend * np.sin(3 * p[:, ::-1] / length) + rng.normal(0, sigma / np.sqrt(2), p.shape)
    element = sheet["element"].to_numpy(object)
    swap = rng.random(len(p)) < swapped
    element = np.where(swap, np.where(element == "Mo", "S", "Mo"), element)
    p = np.concatenate([p, rng.uniform(0, length, (strangers, 2))])
    element = np.concatenate([element, rng.choice(["Mo", "S"], strangers)])
    keep = ((p > 0) & (p < length - PX)).all(1) & (rng.random(len(p)) >= missing)
    table = pd.DataFrame(p[keep] / PX, columns=["row_px", "col_px"])
    return table.assign(frame=0, element=element[keep], kept=True)


@pytest.mark.parametrize("turn", [0.0, 17.0, 44.0])
@pytest.mark.parametrize("stretch", [(1.0, 1.0), (1.12, 0.9), (0.92, 1.09)])
def test_a_stretched_sheet_lies_on_its_lattice(turn, stretch):
    fit = sublattice_fit(columns_of_mos2(turn=turn, stretch=stretch), pixel_size=PX, shape=(300, 300))
    assert (fit["share_within"], fit["separated"]) == (1.0, 1.0)
    assert fit["sites_found"] == 1.0
    assert fit["rms_A"] == pytest.approx(0.05, abs=0.005)
    area = abs(np.linalg.det(fit["axes_A"])) / np.prod(stretch)
    assert area == pytest.approx(eh.MATERIALS["MoS2"].area, rel=0.003)


def test_columns_with_the_wrong_name_are_counted_and_move_nothing():
    right, wrong = (
        sublattice_fit(columns_of_mos2(swapped=s), pixel_size=PX, shape=(300, 300)) for s in (0, 0.2)
    )
    assert wrong["separated"] == pytest.approx(0.8, abs=0.04)
    np.testing.assert_allclose(wrong["axes_A"], right["axes_A"])
    assert wrong["share_within"] == right["share_within"]
    renamed = columns_of_mos2().replace({"element": {"Mo": "A", "S": "B"}})
    assert sublattice_fit(renamed, pixel_size=PX, classes=("A", "B"))["separated"] == 1.0


def test_missing_columns_and_strangers_are_told_apart():
    holes = sublattice_fit(columns_of_mos2(missing=0.2), pixel_size=PX, shape=(300, 300))
    assert holes["share_within"] == 1.0
    assert holes["sites_found"] == pytest.approx(0.8, abs=0.04)
    crowd = columns_of_mos2(strangers=100)
    fit = sublattice_fit(crowd, pixel_size=PX, shape=(300, 300))
    assert fit["sites_found"] == 1.0
    on_a_site_by_chance = 2 * np.pi * 0.25**2 / eh.MATERIALS["MoS2"].area
    expected = 1 - (1 - on_a_site_by_chance) * 100 / len(crowd)
    assert fit["share_within"] == pytest.approx(expected, abs=0.02)


def test_a_bent_scan_is_off_a_rigid_lattice_and_on_one_that_may_bend():
    bent = columns_of_mos2(bend=1.2)
    rigid = sublattice_fit(bent, pixel_size=PX)
    soft = sublattice_fit(bent, pixel_size=PX, bend_A=7.0)
    assert rigid["share_within"] < 0.7
    assert soft["share_within"] > 0.99
    assert soft["rms_A"] < 0.10


def test_a_lattice_that_may_bend_does_not_follow_single_columns():
    scattered = columns_of_mos2(sigma=0.35)
    soft = sublattice_fit(scattered, pixel_size=PX, bend_A=7.0)
    assert soft["share_within"] == pytest.approx(1 - np.exp(-((0.25 / 0.35) ** 2)), abs=0.04)


def test_how_far_a_lattice_bends_is_chosen_by_predicting_columns_left_out():
    assert sublattice_fit(columns_of_mos2(sigma=0.35), pixel_size=PX, bend_A="auto")["bend_A"] >= 20
    bent = sublattice_fit(columns_of_mos2(bend=1.2), pixel_size=PX, bend_A="auto")
    assert bent["bend_A"] <= 10
    assert bent["share_within"] > 0.99


def test_what_is_no_lattice_of_two_sublattices_is_refused():
    table = columns_of_mos2()
    with pytest.raises(ValueError, match="graphene; its cell must be hexagonal with two different columns"):
        sublattice_fit(table, pixel_size=PX, lattice="graphene")
    with pytest.raises(ValueError, match="goes through the columns"):
        sublattice_fit(table, pixel_size=PX / 1.6)
    with pytest.raises(ValueError, match="5 columns"):
        sublattice_fit(table[:5], pixel_size=PX)
    with pytest.raises(ValueError, match="several frames"):
        sublattice_fit(pd.concat([table, table.assign(frame=1)]), pixel_size=PX)
    with pytest.raises(ValueError, match="no column element"):
        sublattice_fit(table.drop(columns="element"), pixel_size=PX)
    with pytest.raises(ValueError, match="two element symbols"):
        sublattice_fit(table, pixel_size=PX, classes="Mo")
    rng = np.random.default_rng(0)
    cloud = table.assign(row_px=rng.uniform(0, 300, len(table)), col_px=rng.uniform(0, 300, len(table)))
    with pytest.raises(ValueError, match="goes through the columns"):
        sublattice_fit(cloud, pixel_size=PX)


# ------------------------------------------------------------------------- what ships
def test_the_shipped_ensemble_is_small_simulated_and_says_so(ensemble, recipe):
    assert (ensemble.classes, ensemble.pixel_size) == (("Mo", "S"), 0.15)
    assert 3 <= len(ensemble) <= 4
    assert sum(file.stat().st_size for file in SHIPPED.iterdir()) < 2e6
    card = json.loads((SHIPPED / "card.json").read_text(encoding="utf-8"))["card"]
    assert card["material"] == "MoS2"
    assert "no real image" in card["trained_on"]
    assert (ROOT / card["made_by"]).is_file()
    assert set(card["scores"]) == set(recipe.KINDS)
    for kind, score in card["scores"].items():
        assert score["f1"] >= 0.98, kind
        assert score["element_accuracy"] >= 0.97, kind


def test_vanadium_in_the_training_pairs_is_labelled_as_molybdenum(recipe):
    _, labels = recipe.training_pairs(20, 3)
    assert set(np.unique(labels)) == {0, 1, 2}
    assert (labels == 0).sum() == pytest.approx((labels == 1).sum(), rel=0.15)


def test_pairs_without_a_sheet_are_normalised_and_background(recipe):
    pairs, labels = recipe.training_pairs(2 * recipe.EVERY, 3)
    np.testing.assert_array_equal((labels < 2).any((1, 2)), np.arange(len(pairs)) < len(pairs) - 2)
    assert pairs[-2:].std((1, 2)) == pytest.approx(1.0, abs=0.25)


def test_held_out_frames_show_every_column_of_the_truth_once(recipe):
    frame, truth, px = recipe.held_out_frame("defects", np.random.default_rng(1), dose=(1e4, 1e4))
    assert set(truth["element"]) == {"Mo", "S"}
    assert truth[["row_px", "col_px"]].min().min() > -0.5
    at = np.round(truth[["row_px", "col_px"]].to_numpy()).astype(int)
    bright = frame[at[:, 0], at[:, 1]]
    assert bright[truth["element"] == "Mo"].mean() > bright[truth["element"] == "S"].mean() > frame.mean()
    assert px * max(frame.shape) == pytest.approx(recipe.FIELD_A, abs=px)


@pytest.mark.parametrize("kind", ["plain", "defects", "edge", "grain boundary", "contamination"])
def test_columns_of_frames_never_seen_are_found_and_named(ensemble, recipe, kind):
    frame, truth, px = recipe.held_out_frame(kind, np.random.default_rng(77), pixel_size=(0.13, 0.19))
    found = eh.locate_atoms(eh.predict(ensemble, frame, pixel_size=px))
    score = eh.score_atoms(found, truth, pixel_size=px, shape=frame.shape, border_A=1.0)
    assert score["f1"] >= 0.98
    assert score["element_accuracy"] >= 0.97
    assert score["rmse_A"] < 0.15


@pytest.mark.parametrize("counts", [0.05, 1.0, 20.0])
@pytest.mark.parametrize("blur_px", [0.0, 1.0])
def test_vacuum_has_no_columns(ensemble, counts, blur_px):
    frame = np.random.default_rng(5).poisson(counts, (160, 160)).astype(float)
    found = eh.locate_atoms(eh.predict(ensemble, gaussian_filter(frame, blur_px), pixel_size=0.15))
    assert found["kept"].sum() <= 2  # a sheet would show 130


@pytest.mark.parametrize("axes", [(0.190, 0.161), (0.161, 0.190)])
def test_axes_of_the_scan_that_differ_by_a_fifth_do_no_harm(ensemble, recipe, axes):
    rng = np.random.default_rng(4)
    frame, truth, px = recipe.held_out_frame("defects", rng, pixel_size=(0.15, 0.15), stretch=1.0)
    rows, cols = (np.arange(0, n, size / 0.15) for n, size in zip(frame.shape, axes, strict=True))
    squeezed = map_coordinates(frame, np.meshgrid(rows, cols, indexing="ij"), order=1)[:-1, :-1]
    truth = truth.assign(row_px=truth.row_px * 0.15 / axes[0], col_px=truth.col_px * 0.15 / axes[1])
    found = eh.locate_atoms(eh.predict(ensemble, squeezed, pixel_size=np.sqrt(np.prod(axes))))
    score = eh.score_atoms(found, truth, pixel_size=0.175, shape=squeezed.shape, border_A=1.2)
    assert score["f1"] >= 0.98
    assert score["element_accuracy"] >= 0.97


@needs_real_frame
def test_both_sublattices_of_a_real_frame_are_found_and_told_apart(ensemble):
    frame = np.load(FRAME)
    px = eh.calibrate(frame, lattice="MoS2").pixel_size
    found = eh.locate_atoms(eh.predict(ensemble, frame, pixel_size=px))
    judged = {"pixel_size": px, "classes": ensemble.classes, "shape": frame.shape}
    near = sublattice_fit(found, **judged, bend_A="auto")
    assert near["separated"] >= 0.99
    assert near["share_within"] >= 0.95
    assert near["sites_found"] >= 0.95
    # One affine lattice does not fit this scan: it is bent, and two lines of missing sulphur contract it.
    assert sublattice_fit(found, **judged)["separated"] >= 0.99
    assert sublattice_fit(found, **judged, tolerance_A=0.9)["sites_found"] >= 0.98
