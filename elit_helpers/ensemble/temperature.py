"""One number that makes the probabilities of an ensemble mean what they say."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
from scipy.optimize import minimize_scalar

from elit_helpers.ensemble import networks
from elit_helpers.ensemble.networks import POOL, UNSURE
from elit_helpers.ensemble.settings import Ensemble

_RANGE = (0.2, 5.0)  # of temperatures that are sought; beyond, another number would not help either
_PIXELS = 100_000  # more change the third decimal of the temperature
_DOUBT = 0.95  # of a pixel with a class more probable than this there is no doubt
_TINY = 1e-12


def fit_temperature(ensemble: Ensemble, images: np.ndarray, labels: np.ndarray) -> Ensemble:
    """Fit the temperature of an ensemble to pairs that it was not trained on.

    The temperature divides the logits of every member: above 1 it makes them less sure, below 1 surer. No
    member changes its mind about the class of a pixel; but their mean, and what a threshold makes of it, can
    change: a few atoms come, go, or move by hundredths of an ångström.

    Members that are sure each in their own way make a mean that is not sure enough, so it is the log loss of
    their *mean* that is made smallest, over the pixels in doubt: those where no class has 0.95 before the
    fit. All others outnumber them, and would make them surer than they should be.

    What is fitted holds for data like the pairs. Simulated pairs that are harder than the experiment make an
    ensemble too careful there, easier ones too sure: look at `reliability` where a truth is known.

    Parameters
    ----------
    ensemble : Ensemble
        Whatever temperature it has is replaced.
    images : (n, H, W) float array
        Normalised patches at the ensemble's pixel size that no member was trained on, such as
        ``training_set(recipe, 64, rng=...)`` gives with another seed.
    labels : (n, H, W) int array
        The channel of each pixel, background last; `UNSURE` where nothing is known, which is left out.

    Returns
    -------
    Ensemble
        A copy with ``temperature`` set; the card says how (``temperature_fit``: pairs, pixels, pixels left
        out as unsure, log loss before and after over the pixels in doubt).

    Raises
    ------
    ValueError
        If the shapes do not fit, or a label is none of the ensemble's.

    References
    ----------
    C. Guo et al., *On calibration of modern neural networks*, ICML 2017.
    """
    images, labels = _check(ensemble, images, labels)
    logs, known = _log_probabilities(ensemble, images), labels.ravel() != UNSURE
    in_doubt = known & (np.exp(logs).mean(0).max(-1) < _DOUBT)
    chosen = np.flatnonzero(in_doubt if in_doubt.any() else known)
    chosen = chosen[:: -(-len(chosen) // _PIXELS)]
    truth, logs = labels.ravel()[chosen], logs[:, chosen]
    loss = functools.partial(_log_loss, logs, truth)
    best = minimize_scalar(
        lambda x: loss(np.exp(x)), bounds=np.log(_RANGE), method="bounded", options={"xatol": 1e-3}
    )
    temperature = float(np.exp(best.x))
    fit = {
        "pairs": len(images),
        "pixels": len(chosen),
        "left_out": int((~known).sum()),
        "log_loss_at_1": loss(1.0),
        "log_loss": float(best.fun),
    }
    card = {**ensemble.card, "temperature_fit": fit}
    return dataclasses.replace(ensemble, temperature=temperature, card=card)


def _check(ensemble: Ensemble, images: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    images, labels = np.asarray(images, np.float32), np.asarray(labels)
    if images.ndim != 3 or images.shape != labels.shape or np.any(np.mod(images.shape[1:], POOL)):
        raise ValueError(
            f"`images` has shape {images.shape} and `labels` {labels.shape}; both must be (n, H, W) with H "
            f"and W multiples of {POOL}, as training_set(...) gives them."
        )
    background = len(ensemble.classes)
    present = set(np.unique(labels).tolist())
    if not present <= {UNSURE, *range(background + 1)}:
        raise ValueError(
            f"`labels` holds {sorted(present)}; allowed are 0 to {background} for {ensemble.classes} and the "
            f"background, and {UNSURE}. Use training_set(..., classes={ensemble.classes!r})."
        )
    if present <= {UNSURE}:
        raise ValueError("`labels` knows no pixel; there is nothing to fit a temperature to.")
    return images, labels


def _log_probabilities(ensemble: Ensemble, images: np.ndarray) -> np.ndarray:
    """Return what each member says at temperature 1, float32 (M, pixels, K + 1), as logarithms."""
    answers = []
    with networks.contained():
        for weights in ensemble.weights:
            net = networks.make_net(weights, n_classes=len(ensemble.classes), settings=ensemble.settings)
            said = np.stack([networks.probabilities(net, image, 1.0) for image in images])
            answers.append(np.log(np.maximum(said, _TINY)).reshape(-1, said.shape[-1]))
    return np.stack(answers)


def _log_loss(logs: np.ndarray, truth: np.ndarray, temperature: float) -> float:
    """Return the log loss [nat] of the members' mean at a temperature."""
    scaled = logs / np.float32(temperature)
    scaled -= scaled.max(-1, keepdims=True)
    chance = np.exp(scaled)
    right = np.take_along_axis(chance, truth[None, :, None].astype(int), -1)[..., 0] / chance.sum(-1)
    return float(-np.log(np.maximum(right.mean(0), _TINY)).mean())
