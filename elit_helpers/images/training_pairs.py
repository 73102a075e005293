"""Simulated training pairs: images as a microscope would record them, and masks that know the truth."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import islice

import numpy as np
from scipy.ndimage import gaussian_filter, gaussian_filter1d

from elit_helpers.core.checks import RandomState, check_choice, check_count, resolve_rng
from elit_helpers.images.contamination import contamination_map
from elit_helpers.images.disturbances import jitter_rows, smooth_noise
from elit_helpers.images.flakes import Lattice, random_flake
from elit_helpers.images.masks import DISC_A, NET_PIXEL, discs
from elit_helpers.images.recipes import RECIPES, Recipe
from elit_helpers.samples.materials import material_of

_MARGIN = 10  # px simulated around a patch, so that its borders are normalised as the middle of a frame is
_WIDTH_PX = 1.8 / NET_PIXEL  # of the windows of the local normalisation, as `normalise` has them
_LECTURE_PIXEL = 1 / 12  # Å/px that the lecture simulates at
_TAIL_RATIO = 2.2
_ATOM_IN_BAND = 0.42  # peak of a spot of σ 0.45 Å, less its own mean over 0.9 Å [its height]


def training_set(
    recipe: str | Recipe,
    n: int,
    *,
    rng: RandomState = None,
    classes: Sequence[str] | None = None,
    size: int = 64,
) -> tuple[np.ndarray, np.ndarray]:
    """Simulate pairs of a normalised image and its mask: the first `n` of :func:`training_pairs`.

    Parameters
    ----------
    recipe : str or Recipe
        A name from :data:`RECIPES`, or ranges of your own.
    n : int
        Number of pairs.
    rng : int, Generator or None
        The same seed gives the same pairs; more of them only adds to the end.
    classes : sequence of str, optional
        One name, or none: every column is channel 0. Several, such as ``("C", "Si")``: the elements apart.
    size : int
        Rows and columns of a patch [px of 0.15 Å].

    Returns
    -------
    images : ndarray of float32, shape (n, size, size)
        Already locally normalised, as :func:`normalise` does it.
    labels : ndarray of int8, shape (n, size, size)
        Channels, background last. A column of several atoms is labelled with its heaviest element; columns
        drowned in contamination are background.

    Raises
    ------
    ValueError
        If the recipe is unknown, a number is not positive, or `classes` lacks an element of the recipe.
    """
    n = check_count("n", n)
    pairs = training_pairs(recipe, rng=rng, classes=classes, size=size)
    images = np.empty((n, size, size), np.float32)
    labels = np.empty((n, size, size), np.int8)
    for i, (image, mask) in enumerate(islice(pairs, n)):
        images[i], labels[i] = image, mask
    return images, labels


def training_pairs(
    recipe: str | Recipe,
    *,
    rng: RandomState = None,
    classes: Sequence[str] | None = None,
    size: int = 64,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Simulate pairs without end, one at a time: for training on pictures that no one keeps.

    Parameters
    ----------
    recipe, rng, classes, size
        As for :func:`training_set`.

    Yields
    ------
    image : ndarray of float32, shape (size, size)
    labels : ndarray of int8, shape (size, size)

    Raises
    ------
    ValueError
        At once, not at the first pair, as for :func:`training_set`.
    """
    if not isinstance(recipe, Recipe):
        recipe = RECIPES[check_choice("recipe", recipe, tuple(RECIPES))]
    size = check_count("size", size, 16)
    lattice = Lattice.of(material_of(recipe.material), recipe.elements)
    channel = _channels(recipe, lattice, classes)
    return _pairs(recipe, lattice, channel, size, resolve_rng(rng))


def _pairs(recipe, lattice, channel, size, rng):
    while True:
        yield _pair(recipe, lattice, channel, size, rng)


def _channels(recipe, lattice, classes):
    """For each element of the lattice its channel, and last the number of channels: the background."""
    if isinstance(classes, str):
        raise ValueError(f'`classes` is {classes!r}; give a sequence of names: ("{classes}",).')
    if classes is None or len(classes) == 1:
        return np.zeros(len(lattice.elements), int), 1
    missing = [e for e in recipe.elements if e not in classes]
    if missing or not classes:
        raise ValueError(
            f"`classes` is {tuple(classes)!r} and lacks {', '.join(missing)}; pairs of {recipe.name!r} hold "
            f"{', '.join(recipe.elements)}. Name all of them, or None to make every column one class."
        )
    return np.array([list(classes).index(e) for e in lattice.elements]), len(classes)


def _pair(recipe, lattice, channel, size, rng):
    """One image and its mask, simulated with a margin that is cut off after the normalisation."""
    wide = size + 2 * _MARGIN
    low, high = np.log(recipe.zoom)
    px = NET_PIXEL / (np.exp(rng.uniform(low, high)) if high > low else np.exp(low))
    flake = random_flake(recipe, lattice, wide * px, rng)
    sigma, tail = rng.uniform(*recipe.spot_sigma_A), rng.uniform(*recipe.tail_weight)
    dirt, drowned = None, np.zeros(len(flake.peak), bool)
    row_col = flake.positions / px
    if recipe.lecture_noise:
        image = _as_in_the_lecture(flake, recipe, sigma, wide, px, rng)
    else:
        image = _spots(row_col, flake.peak, sigma / px, tail, wide)
        if rng.random() < recipe.contamination:
            dirt = _contamination(recipe, wide, px, rng)
            image += dirt
            at = np.clip(np.round(row_col).astype(int), 0, wide - 1)
            drowned = _drowned(dirt, recipe.drowned_by, px)[at[:, 0], at[:, 1]]
        image = _record(image, recipe, px, rng)
    keep = ~drowned
    channels, background = channel
    mask = discs(row_col[keep], channels[flake.element[keep]], background, (wide, wide), DISC_A / px)
    inner = slice(_MARGIN, _MARGIN + size)
    return _normalise(image)[inner, inner], mask[inner, inner].astype(np.int8)


def _spots(row_col, peak, sigma_px, tail, n):
    """Spots with a tail on an empty square, in single precision: the noise is some 10⁵ times its rounding."""
    grid = np.arange(n, dtype=np.float32)
    away = -0.5 * np.square((grid - row_col.astype(np.float32).T[:, :, None]) / np.float32(sigma_px))
    rows, cols = np.exp(away)
    peak = peak.astype(np.float32)
    image = (rows * peak[:, None]).T @ cols
    if tail > 0:
        rows, cols = np.exp(away / np.float32(_TAIL_RATIO**2))
        image += (rows * (peak * np.float32(tail))[:, None]).T @ cols
    return image


def _contamination(recipe, n, px, rng):
    height, radius = rng.uniform(*recipe.contamination_height), rng.uniform(1.5, 8.0)
    texture = _log_uniform(recipe.contamination_texture, rng)
    grain = _log_uniform(recipe.contamination_grain, rng)
    return contamination_map(
        (n, n), pixel_size=px, rng=rng, height=height, radius_A=radius, texture=texture, grain=grain
    )


def _log_uniform(ends, rng):
    """Draw between two ends; nothing is drawn, and what follows stays as it is, where they are the same."""
    low, high = ends
    return np.exp(rng.uniform(np.log(low), np.log(high))) if high > low else low


def _drowned(dirt, by, px):
    """Where nothing can be told from the contamination."""
    if by == "height":
        return gaussian_filter(dirt, 5, truncate=2) > 1.5
    fine, coarse, near = (_blur(len(dirt), width / px) for width in (0.35, 0.9, 1.2))
    band = fine @ dirt @ fine.T - coarse @ dirt @ coarse.T  # on the scale of an atom
    return near @ (band * band) @ near.T > _ATOM_IN_BAND**2


def _record(image, recipe, px, rng):
    """Add what the microscope adds: slow background, unsteady lines, noise."""
    shape = image.shape
    if recipe.background > 0:
        image = image + rng.uniform(0, recipe.background) * smooth_noise(shape, rng.uniform(12, 40), rng)
    if recipe.jitter_A > 0:
        image = jitter_rows(image, rng.normal(0, rng.uniform(0, recipe.jitter_A) / px, shape[0]))
    low, high = np.log(recipe.noise)
    blur = rng.uniform(*recipe.noise_blur_px)
    # noise as coarse as the spots hides them far better than noise from pixel to pixel
    noise = np.exp(rng.uniform(low, high)) / (1 + 1.5 * blur) * smooth_noise(shape, blur, rng)
    if recipe.pedestal[1] > 0:
        empty = _log_uniform(recipe.pedestal, rng)
        noise *= np.sqrt((np.maximum(image, 0) + empty) / (1 + empty))
    return image + noise


def _as_in_the_lecture(flake, recipe, sigma, n, px, rng):
    """The lecture's picture with its noise, at its own 12 px/Å, averaged onto the `n` pixels of a pair."""
    fine = px * _LECTURE_PIXEL / NET_PIXEL  # zoomed as the picture is
    average = _average(n, int(np.ceil(n * NET_PIXEL / _LECTURE_PIXEL)))
    # pixels of both grids begin at the same corner, and a position is that of a pixel's centre
    row_col = (flake.positions + px / 2) / fine - 0.5
    image = _spots(row_col, flake.peak, sigma / fine, 0.0, average.shape[1])
    image /= max(image.max(), 1e-6)
    image += rng.uniform(*recipe.noise) * rng.standard_normal(image.shape, np.float32)
    counts = (50 / rng.uniform(*recipe.poisson)) ** 16
    image = rng.poisson(np.clip(image, 0, 1) * counts) / counts
    return average @ (image ** rng.uniform(*recipe.gamma)) @ average.T


@lru_cache(maxsize=4)
def _average(n, fine):
    """Matrix that averages `fine` pixels of the lecture over each of `n` of ours."""
    edge = np.arange(n + 1)[:, None] * NET_PIXEL / _LECTURE_PIXEL
    covered = np.clip(edge - np.arange(fine)[None], 0, 1)  # of each fine pixel, up to each edge
    share = np.diff(covered, axis=0)
    return share / share.sum(1, keepdims=True)


def _normalise(image):
    """As :func:`normalise` does it; on a small square, blurring as a product with a matrix is faster."""
    image = np.asarray(image, np.float32)
    blur = _blur(len(image), _WIDTH_PX)
    flat = image - blur @ image @ blur.T
    rms = np.sqrt(np.maximum(blur @ (flat * flat) @ blur.T, 0))
    return flat / (rms + 1e-6 * (np.abs(flat).max() + 1e-30))


@lru_cache(maxsize=16)
def _blur(n, width_px):
    return gaussian_filter1d(np.eye(n), width_px, axis=0, truncate=3).astype(np.float32)


def augment(images: np.ndarray, labels: np.ndarray, rng: RandomState = None) -> tuple[np.ndarray, np.ndarray]:
    """Turn and mirror each pair at random: the eight symmetries of a square.

    Parameters
    ----------
    images : ndarray, shape (N, H, H)
    labels : ndarray, shape (N, H, H)
    rng : int, Generator or None

    Returns
    -------
    images, labels : ndarrays of the same shapes, new in memory
    """
    rng = resolve_rng(rng)
    images, labels = np.asarray(images), np.asarray(labels)
    if images.shape != labels.shape or images.ndim != 3 or images.shape[1] != images.shape[2]:
        raise ValueError(
            f"`images` {images.shape} and `labels` {labels.shape} must both be (N, H, H): only a square "
            "keeps its shape under a quarter turn. Cut square patches first."
        )
    turns, flips = rng.integers(0, 4, len(images)), rng.random(len(images)) < 0.5
    out = [np.empty_like(images), np.empty_like(labels)]
    for i, (k, flip) in enumerate(zip(turns, flips, strict=True)):
        for source, to in zip((images, labels), out, strict=True):
            turned = np.rot90(source[i], k)
            to[i] = turned[:, ::-1] if flip else turned
    return out[0], out[1]
