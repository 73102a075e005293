"""Training pairs: recipes that hold what they say, images and masks that belong together."""

from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import label
from scipy.spatial import cKDTree

import elit_helpers as eh
from elit_helpers.images import training_pairs as pairs_module
from elit_helpers.images.flakes import Lattice, random_flake
from elit_helpers.images.normalise import normalise
from elit_helpers.images.recipes import RECIPES
from elit_helpers.images.training_pairs import training_pairs, training_set

CLEAN = replace(RECIPES["ideal"], name="clean", noise=(0.01, 0.01), silicon=0.0, vacancies=0)


@pytest.mark.parametrize("recipe", list(RECIPES))
def test_pairs_are_normalised_labelled_and_repeatable(recipe):
    classes = RECIPES[recipe].elements
    x, y = training_set(recipe, 6, rng=5, classes=classes)
    again, _ = training_set(recipe, 6, rng=5, classes=classes)
    np.testing.assert_array_equal(x, again)
    assert (x.shape, x.dtype, y.shape, y.dtype) == ((6, 64, 64), np.float32, (6, 64, 64), np.int8)
    assert 0.8 < x.std() < 1.1
    assert set(np.unique(y)) <= {0, 1, 2}
    same, atoms = training_set(recipe, 6, rng=5)
    np.testing.assert_array_equal(same, x)
    np.testing.assert_array_equal(atoms == 0, y < 2)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 4), st.sampled_from(sorted(RECIPES)))
def test_a_pair_does_not_depend_on_how_many_follow(seed, n, recipe):
    few, more = training_set(recipe, n, rng=seed, size=32), training_set(recipe, n + 2, rng=seed, size=32)
    stream = list(islice(training_pairs(recipe, rng=seed, size=32), n))
    for k in range(n):
        np.testing.assert_array_equal(few[0][k], more[0][k])
        np.testing.assert_array_equal(stream[k][0], few[0][k])
        np.testing.assert_array_equal(stream[k][1], few[1][k])


@pytest.mark.parametrize("material", list(eh.MATERIALS))
@pytest.mark.parametrize("recipe", ["ideal", "naive", "realistic"])
def test_every_recipe_goes_with_every_material(recipe, material):
    own = replace(RECIPES[recipe], material=material)
    x, y = training_set(own, 4, rng=2, classes=own.elements)
    assert np.isfinite(x).all()
    assert y.min() >= 0
    assert y.max() == len(own.elements)


@pytest.mark.parametrize("material", list(eh.MATERIALS))
def test_a_clean_sheet_has_the_columns_of_its_material(material):
    own = eh.MATERIALS[material]
    x, y = training_set(replace(CLEAN, material=material), 10, rng=3, classes=own.elements, size=128)
    area = np.pi * 0.42**2
    assert (y < len(own.elements)).mean() == pytest.approx(own.density * area, rel=0.05)
    columns = [column[0] for column in own.columns]
    for channel, element in enumerate(own.elements):
        if element in columns:
            share = (y == channel).sum() / (y < len(own.elements)).sum()
            assert share == pytest.approx(columns.count(element) / len(columns), abs=0.03)
    assert x[y < len(own.elements)].mean() > x[y == len(own.elements)].mean() + 0.5


def test_heavy_columns_are_brighter():
    own = replace(CLEAN, material="MoS2", displacement_A=(0.05, 0.05))
    x, y = training_set(own, 10, rng=1, classes=("Mo", "S"))
    assert x[y == 0].mean() > x[y == 1].mean() + 1 > x[y == 2].mean() + 1


def test_a_material_of_ones_own_needs_one_dataclass():
    square = eh.Material("toy", "a square of gold", ((2.9, 0.0), (0.0, 2.9)), (("Au", 0.0, 0.0, 0.0),))
    with pytest.raises(ValueError, match="no brightness for Au"):
        training_set(replace(CLEAN, material=square), 1, rng=0)
    bright = replace(square, brightness={"Au": 50.0})
    _, y = training_set(replace(CLEAN, material=bright), 5, rng=0, size=128)
    count = sum(label(mask == 0)[1] for mask in y) / 5
    assert count == pytest.approx((128 * 0.15 / 2.9) ** 2, rel=0.15)


@pytest.mark.parametrize("zoom", [(1.0, 1.0), (0.5, 0.5), (2.0, 2.0)])
@pytest.mark.parametrize("lecture", [False, True])
def test_discs_lie_on_their_spots(lecture, zoom):
    recipe = replace(CLEAN, lecture_noise=lecture, poisson=(20.0, 20.0), zoom=zoom)
    x, y = training_set(recipe, 20, rng=4)
    disc = (y == 0).astype(float)[:, 8:-8, 8:-8]

    def agreement(down, right):
        return (x[:, 8 + down : 56 + down, 8 + right : 56 + right] * disc).mean()

    middle = agreement(0, 0)
    for step in ((1, 0), (0, 1)):
        before, after = agreement(*(-s for s in step)), agreement(*step)
        assert before < middle > after
        # the vertex of a parabola through the three is less than 0.1 px from zero
        assert abs(after - before) / (2 * (2 * middle - before - after)) < 0.1


def test_training_images_are_normalised_as_frames_are():
    noise = np.random.default_rng(0).normal(size=(84, 84)).astype(np.float32) + np.linspace(0, 9, 84)
    np.testing.assert_allclose(
        pairs_module._normalise(noise), normalise(noise, pixel_size=0.15)[0], atol=1e-3
    )


def test_columns_drowned_in_contamination_are_background():
    def labelled(height):
        recipe = replace(CLEAN, contamination=1.0, contamination_height=(height, height))
        return (training_set(recipe, 20, rng=1)[1] == 0).mean()

    assert labelled(9.0) < 0.9 * labelled(0.1)


def test_columns_are_seen_through_a_smooth_hill_and_drown_in_a_grainy_one():
    def labelled(texture, by):
        hill = {"contamination_height": (6.0, 6.0), "contamination_texture": (texture, texture)}
        recipe = replace(CLEAN, contamination=1.0, drowned_by=by, **hill)
        return (training_set(recipe, 20, rng=1)[1] == 0).mean()

    assert labelled(1.5, "texture") < 0.8 * labelled(0.05, "texture")
    assert labelled(0.05, "height") < 0.8 * labelled(0.05, "texture")


def test_counts_fluctuate_more_where_there_are_more_of_them():
    step = np.repeat([0.0, 4.0], 100)[:, None] * np.ones((200, 200))
    same, counted = (
        replace(CLEAN, noise=(0.5, 0.5), pedestal=pedestal) for pedestal in ((0.0, 0.0), (0.5, 0.5))
    )
    for recipe, ratio in ((same, 1.0), (counted, 3.0)):
        noisy = pairs_module._record(step, recipe, 0.15, np.random.default_rng(0))
        dark, bright = noisy[:100].std(), noisy[100:].std()
        assert bright / dark == pytest.approx(ratio, rel=0.03)


def test_silicon_pushes_its_neighbours_as_far_as_the_recipe_says():
    bond = eh.MATERIALS["graphene"].bond
    for push in (0.0, 0.3):
        recipe = replace(CLEAN, silicon=0.02, silicon_push_A=(push, push))
        lattice = Lattice.of(eh.MATERIALS["graphene"], recipe.elements)
        flake = random_flake(recipe, lattice, 60.0, np.random.default_rng(1))
        lonely = cKDTree(flake.positions).query(flake.positions[flake.element == 1], 4)[0][:, 1:]
        assert np.median(lonely) == pytest.approx(bond + push, abs=0.01)


def test_silicon_is_as_common_as_the_recipe_says_and_only_where_carbon_is():
    many = replace(CLEAN, silicon=0.1)
    _, y = training_set(many, 60, rng=2, classes=("C", "Si"))
    assert (y == 1).sum() / (y < 2).sum() == pytest.approx(0.1, abs=0.03)
    assert replace(many, material="MoS2").elements == ("Mo", "S")


def test_foreign_atoms_and_thinned_columns_are_labelled_and_fainter():
    doped = replace(CLEAN, material="MoS2", foreign=(("Mo", "V", 0.3),))
    x, y = training_set(doped, 30, rng=2, classes=("Mo", "S", "V"))
    metal = np.isin(y, (0, 2)).sum()
    assert (y == 2).sum() / metal == pytest.approx(0.3, abs=0.04)
    assert x[y == 2].mean() < x[y == 0].mean() - 0.5
    whole, thin = replace(CLEAN, material="MoS2"), replace(CLEAN, material="MoS2", thinned=1.0)
    (x, y), (faint, same) = (training_set(r, 20, rng=3, classes=("Mo", "S")) for r in (whole, thin))
    assert faint[same == 1].mean() < x[y == 1].mean() - 0.2


def test_higher_angles_make_heavy_atoms_stand_out():
    flat, steep = (
        training_set(replace(CLEAN, material="MoS2", contrast=(q, q)), 10, rng=3, classes=("Mo", "S"))
        for q in (0.8, 1.5)
    )
    gap = [x[y == 0].mean() - x[y == 1].mean() for x, y in (flat, steep)]
    assert gap[1] > gap[0] + 0.2


def test_the_lecture_recipe_is_frozen():
    naive = RECIPES["naive"]
    assert naive.lecture_noise
    assert np.square(naive.noise) == pytest.approx([0.2, 0.3], abs=0.001)
    assert (naive.poisson, naive.gamma, naive.zoom) == ((30.0, 45.0), (0.5, 2.0), (0.5, 2.0))
    average = pairs_module._average(84, 152)
    np.testing.assert_allclose(average.sum(1), 1)
    np.testing.assert_allclose(average @ (np.arange(152) + 0.5), (np.arange(84) + 0.5) * 1.8, atol=0.05)


def test_unknown_recipes_classes_and_numbers_are_refused():
    with pytest.raises(ValueError, match="'realistic'"):
        training_set("real", 2, rng=0)
    with pytest.raises(ValueError, match="lacks Si"):
        training_set("ideal", 2, rng=0, classes=("C", "N"))
    with pytest.raises(ValueError, match=r'give a sequence of names: \("Si",\)'):
        training_pairs("ideal", rng=0, classes="Si")
    for n in (0, -1, 2.5, True):
        with pytest.raises(ValueError, match="`n` is"):
            training_set("ideal", n, rng=0)
    with pytest.raises(ValueError, match="`size` is 8"):
        training_pairs("ideal", rng=0, size=8)
    with pytest.raises(TypeError, match="`rng`"):
        training_pairs("ideal", rng="seed")


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"noise": (0.0, 0.1)}, "`noise` .* at least"),
        ({"spot_sigma_A": (0.5, 0.3)}, "`spot_sigma_A`"),
        ({"displacement_A": (0.0, np.nan)}, "`displacement_A`"),
        ({"tail_weight": 0.1}, "`tail_weight`"),
        ({"poisson": (1.0, 2.0)}, "`poisson`"),
        ({"contamination_grain": (0.0, 1.0)}, "`contamination_grain` .* at least 0.05"),
        ({"pedestal": (-1.0, 1.0)}, "`pedestal`"),
        ({"drowned_by": "depth"}, "`drowned_by` is 'depth'"),
        ({"holes": 1.5}, "`holes` .* between 0 and 1"),
        ({"vacancies": 2.5}, "whole number"),
        ({"material": "graphite"}, "`material` is 'graphite'"),
        ({"foreign": (("Mo", "V", 0.1),)}, "`foreign`"),
        ({"foreign": (("C", "Xx", 0.1),)}, "`foreign`"),
    ],
)
def test_recipes_that_make_no_sense_are_refused(change, text):
    with pytest.raises(ValueError, match=text):
        replace(RECIPES["realistic"], **change)


def test_the_names_are_at_the_door():
    assert eh.training_pairs is training_pairs
    assert eh.Recipe is type(eh.RECIPES["ideal"])
