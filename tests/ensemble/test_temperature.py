"""The temperature of an ensemble: the one at which its probabilities mean what they say."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import elit_helpers as eh
from elit_helpers.ensemble.temperature import _log_loss, fit_temperature
from elit_helpers.images.masks import NET_PIXEL


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.5, 2.5))
def test_the_log_loss_is_least_at_the_temperature_the_truth_was_drawn_with(seed, temperature):
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 3, (1, 20_000, 3)).astype(np.float32)
    chance = np.exp(logits[0] / temperature)
    chance /= chance.sum(1, keepdims=True)
    truth = (rng.random((20_000, 1)) > chance.cumsum(1)).sum(1)
    losses = {factor: _log_loss(logits, truth, factor * temperature) for factor in (0.8, 1.0, 1.25)}
    assert losses[1.0] == min(losses.values())


@pytest.fixture(scope="module")
def unseen():
    return eh.training_set("realistic", 12, rng=5, classes=("C", "Si"))


@pytest.fixture(scope="module")
def small():
    return eh.default_ensemble().subset([0, 1])


def test_a_fitted_temperature_lowers_the_log_loss_and_moves_no_maximum(small, unseen):
    fitted = fit_temperature(small, *unseen)
    fit = fitted.card["temperature_fit"]
    assert fit["log_loss"] <= fit["log_loss_at_1"]
    assert fit["pairs"] == 12
    assert small.temperature == 1.0
    before, after = (eh.predict(e, unseen[0][0], pixel_size=NET_PIXEL).members for e in (small, fitted))
    differ = before.argmax(-1) != after.argmax(-1)
    assert differ.mean() < 1e-3  # float16 makes ties


def test_a_known_temperature_is_found_again(small, unseen):
    """Labels drawn from what one member says at temperature 1.7 give 1.7 back."""
    one, images = small.subset([0]), unseen[0]
    hot = dataclasses.replace(one, temperature=1.7)
    from elit_helpers.ensemble import networks

    with networks.contained():
        net = networks.make_net(one.weights[0], n_classes=2, settings=one.settings)
        chance = np.stack([networks.probabilities(net, image, hot.temperature) for image in images])
    draw = np.random.default_rng(0).random((*images.shape, 1))
    labels = np.minimum((draw > chance.cumsum(-1)).sum(-1), 2)
    assert fit_temperature(one, images, labels).temperature == pytest.approx(1.7, rel=0.05)


def test_pixels_that_are_unsure_have_no_say(small, unseen):
    images, labels = unseen
    spoilt, unsure = labels.copy(), labels.copy()
    spoilt[:, :32], unsure[:, :32] = (labels[:, :32] + 1) % 3, eh.UNSURE
    fitted = fit_temperature(small, images, unsure)
    assert fitted.card["temperature_fit"]["left_out"] == unsure[:, :32].size
    assert fitted.temperature < fit_temperature(small, images, spoilt).temperature / 1.5


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda i, m: (i[:, :60], m[:, :60]), "multiples of 8"),
        (lambda i, m: (i, m[:-1]), r"`labels` \(11, 64, 64\)"),
        (lambda i, m: (i, m + 1), r"\[1, 2, 3\]; allowed are 0 to 2"),
        (lambda i, m: (i, np.full_like(m, -1)), "knows no pixel"),
    ],
)
def test_pairs_that_do_not_fit_the_ensemble_are_refused(small, unseen, change, message):
    with pytest.raises(ValueError, match=message):
        fit_temperature(small, *change(*unseen))
