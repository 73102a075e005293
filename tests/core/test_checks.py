"""What the checks at the door let in, what they refuse, and in which words."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import elit_helpers as eh
from elit_helpers.core import checks as common


def test_a_generator_is_passed_through_and_a_seed_repeats():
    rng = np.random.default_rng(3)
    assert common.resolve_rng(rng) is rng
    assert common.resolve_rng(3).random() == np.random.default_rng(3).random()


def test_rng_leaves_the_global_state_alone():
    before = np.random.get_state()[1].copy()  # noqa: NPY002 - the global state is what is looked at
    common.spawn_seeds(1, 5)
    common.resolve_rng(None).random()
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002


@pytest.mark.parametrize("bad", ["1", 1.5, True])
def test_rng_of_another_type_is_refused(bad):
    with pytest.raises(TypeError, match="`rng` is .* integer seed"):
        common.resolve_rng(bad)


def test_negative_seed_is_refused():
    with pytest.raises(ValueError, match="must not be negative"):
        common.resolve_rng(-1)


def test_seeds_differ_and_repeat():
    seeds = common.spawn_seeds(7, 20)
    assert len(set(seeds)) == 20
    assert seeds == common.spawn_seeds(7, 20)


def test_a_missing_package_is_named_with_both_ways_to_install_it():
    with pytest.raises(eh.EngineMissing, match=r"This requires nothere.*pip install nothere.*conda"):
        common.require("nothere.inside", "This")
    with pytest.raises(ImportError, match=r"pip install 'elit-helpers\[quantum\]'"):
        common.require("nothere", "This", extra="quantum")


def test_check_choice_lists_what_is_allowed():
    with pytest.raises(ValueError, match="`mode` is 'x'; choose one of 'a', 'b'"):
        common.check_choice("mode", "x", ("a", "b"))


@pytest.mark.parametrize("bad", [0, -1, float("nan"), float("inf"), "much", None])
def test_check_positive_refuses(bad):
    with pytest.raises(ValueError, match="`dose` is .* above zero"):
        common.check_positive("dose", bad)


@pytest.mark.parametrize("count", [1, np.int64(3), np.uint8(200)])
def test_a_count_is_returned_as_an_int(count):
    assert type(common.check_count("batch", count)) is int
    assert common.check_count("batch", count) == count


@pytest.mark.parametrize("bad", [0, -1, 2.0, np.float64(2), True, np.True_, "2", None, float("nan"), (2,)])
def test_what_is_no_count_is_refused(bad):
    with pytest.raises(ValueError, match=r"`batch` is .*; it must be a whole number from 1 up\.$"):
        common.check_count("batch", bad)


def test_a_count_may_start_elsewhere_and_have_an_alternative():
    assert common.check_count("rounds", 0, 0) == 0
    with pytest.raises(ValueError, match=r"from 16 up, or None for all\.$"):
        common.check_count("size", 8, 16, otherwise="None for all")


@settings(max_examples=50, deadline=None)
@given(st.floats(allow_nan=True, allow_infinity=True), st.floats(-1e6, 1e6))
def test_check_at_least_lets_in_what_is_finite_and_not_less(value, least):
    if np.isfinite(value) and value >= least:
        assert common.check_at_least("noise", value, least) == value
    else:
        with pytest.raises(ValueError, match="`noise` is .* finite number of at least"):
            common.check_at_least("noise", value, least)


@pytest.mark.parametrize("bad", [-0.1, "-1", "much", None, (1, 2)])
def test_check_at_least_refuses_what_is_no_number_and_names_the_unit(bad):
    with pytest.raises(ValueError, match=r"`shift` is .* at least 0 \[Å\]\.$"):
        common.check_at_least("shift", bad, 0, unit="Å")


def test_pixel_size_in_another_unit_is_noticed():
    assert common.check_pixel_size(0.08) == 0.08
    with pytest.raises(ValueError, match="Multiply nm by 10"):
        common.check_pixel_size(8.0)
    with pytest.raises(ValueError, match="carries no pixel size"):
        common.check_pixel_size(None)


def test_one_frame_becomes_a_stack_of_one():
    frames = common.check_frames(np.arange(400).reshape(20, 20))
    assert frames.shape == (1, 20, 20)
    assert frames.dtype == np.float32


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (np.zeros((20, 20)), "frame 0 is constant"),
        (np.full((20, 20), np.nan), "400 pixels that are NaN"),
        (np.ones((2, 2, 20, 20)), "one channel of a colour picture"),
        (np.arange(100.0).reshape(10, 10), "at least 16×16"),
    ],
)
def test_frames_that_cannot_be_used_are_refused(bad, why):
    with pytest.raises(ValueError, match=why):
        common.check_frames(bad)


def test_frames_must_be_numbers():
    with pytest.raises(TypeError, match="must hold real numbers"):
        common.check_frames(np.full((20, 20), "a"))
