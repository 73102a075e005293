"""Simulated training pairs: recipes to read and change, and the pairs that are drawn from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from elit_helpers._common import RandomState, check_choice, check_positive, resolve_rng
from elit_helpers._contamination import contamination_map
from elit_helpers._flakes import random_flake
from elit_helpers._masks import DISC_A, NET_PIXEL, discs
from elit_helpers._normalise import normalise_frame
from elit_helpers._scan import jitter_rows, smooth_noise
from elit_helpers._spots import add_spots

_MARGIN = 10  # px simulated around a patch, so that its borders are normalised as the middle of a frame is


@dataclass(frozen=True)
class Recipe:
    """Ranges that simulated training pairs are drawn from; a pair of numbers is (lowest, highest).

    Lengths in Å, intensities in carbon peaks; `noise` holds for pixels of 0.15 Å.
    """

    name: str
    about: str
    spot_sigma_A: tuple[float, float]
    noise: tuple[float, float]
    scale: float = 0.0
    shear: float = 0.0
    displacement_A: tuple[float, float] = (0.0, 0.0)
    tail_weight: tuple[float, float] = (0.0, 0.0)
    noise_blur_px: tuple[float, float] = (0.0, 0.0)
    grain_boundary: float = 0.0
    vacancies: int = 0
    holes: float = 0.0
    silicon: float = 0.0
    silicon_edge: float = 0.0
    background: float = 0.0
    contamination: float = 0.0
    jitter_A: float = 0.0
    lecture_noise: bool = False


RECIPES = {
    "ideal": Recipe(
        "ideal", "a perfect lattice, sharp spots, hardly any noise: what a first simulation looks like",
        spot_sigma_A=(0.30, 0.40), noise=(0.05, 0.25), silicon=0.01, vacancies=1,
    ),
    "naive": Recipe(
        "naive", "the original lecture's: 12 px/Å, blurred by 2 to 6 px, Gaussian and Poisson noise",
        spot_sigma_A=(0.26, 0.56), noise=(0.45, 0.55), scale=0.10, displacement_A=(0.04, 0.06), vacancies=3,
        silicon=0.01, lecture_noise=True,
    ),
    "realistic": Recipe(
        "realistic", "what microscopes add: wide tails, contamination, Si, edges, grain boundaries, drift",
        spot_sigma_A=(0.33, 0.60), noise=(0.12, 1.4), scale=0.03, shear=0.015, displacement_A=(0.02, 0.12),
        tail_weight=(0.0, 0.15), noise_blur_px=(0.0, 0.9), grain_boundary=0.25, vacancies=3, holes=0.35,
        silicon=0.012, silicon_edge=0.12, background=0.6, contamination=0.4, jitter_A=0.08,
    ),
}  # fmt: skip
"""The three ways to simulate training pairs that the course compares."""


def training_set(
    recipe: str | Recipe,
    n: int,
    *,
    rng: RandomState = None,
    classes: Sequence[str] = ("C",),
    size: int = 64,
) -> tuple[np.ndarray, np.ndarray]:
    """Simulate pairs of a normalised image and its mask.

    Parameters
    ----------
    recipe : str or Recipe
        A name from :data:`RECIPES`, or ranges of your own.
    n : int
        Number of pairs.
    rng : int, Generator or None
    classes : sequence of str
        ``("C",)`` makes every atom channel 0; ``("C", "Si")`` tells the elements apart.
    size : int
        Rows and columns of a patch [px of 0.15 Å].

    Returns
    -------
    images : ndarray of float32, shape (n, size, size)
        Already locally normalised, as :func:`normalise` does it.
    labels : ndarray of int, shape (n, size, size)
        Channels, background last. Atoms drowned in contamination are background.
    """
    if not isinstance(recipe, Recipe):
        recipe = RECIPES[check_choice("recipe", recipe, tuple(RECIPES))]
    check_positive("n", n)
    if len(classes) != 1 and not {"C", "Si"} <= set(classes):
        raise ValueError(f'`classes` is {tuple(classes)!r}; the recipes know ("C",) and ("C", "Si").')
    rng = resolve_rng(rng)
    images = np.empty((int(n), size, size), np.float32)
    labels = np.empty((int(n), size, size), np.int8)
    for i in range(int(n)):
        images[i], labels[i] = _pair(recipe, rng, tuple(classes), size)
    return images, labels


def _pair(recipe, rng, classes, size):
    """One image and its mask, simulated with a margin that is cut off after the normalisation."""
    wide = size + 2 * _MARGIN
    positions, silicon = random_flake(recipe, wide * NET_PIXEL, rng)
    row_col = positions / NET_PIXEL
    weights = rng.uniform(0.95, 1.05, len(positions))
    weights[silicon] = rng.uniform(2.0, 4.5, silicon.sum())
    sigma, tail = rng.uniform(*recipe.spot_sigma_A) / NET_PIXEL, rng.uniform(*recipe.tail_weight)
    image = add_spots(row_col, weights, sigma, (wide, wide))
    if tail > 0:
        image += tail * add_spots(row_col, weights, 2.2 * sigma, (wide, wide))
    drowned = np.zeros(len(positions), bool)
    if rng.random() < recipe.contamination:
        dirt = contamination_map(
            (wide, wide),
            pixel_size=NET_PIXEL,
            rng=rng,
            height=rng.uniform(0.7, 7.0),
            radius_A=rng.uniform(1.5, 8.0),
        )
        image += dirt
        at = np.clip(np.round(row_col).astype(int), 0, wide - 1)
        drowned = gaussian_filter(dirt, 5, truncate=2)[at[:, 0], at[:, 1]] > 1.5
    image = _record(image, recipe, rng)
    keep = ~drowned
    channel = np.zeros(keep.sum(), int)
    if len(classes) > 1:
        channel = np.where(silicon[keep], classes.index("Si"), classes.index("C"))
    mask = discs(row_col[keep], channel, len(classes), (wide, wide), DISC_A / NET_PIXEL)
    inner = slice(_MARGIN, _MARGIN + size)
    return normalise_frame(image, 1.8 / NET_PIXEL)[inner, inner], mask[inner, inner]


def _record(image, recipe, rng):
    """Add what the microscope adds: slow background, unsteady lines, noise."""
    shape = image.shape
    if recipe.lecture_noise:
        image = (image / image.max()) ** rng.uniform(0.5, 2.0)
        counts = rng.uniform(30, 45)
        # Gaussian noise of variance 0.2 to 0.3 at 12 px/Å, averaged over the 3.2 px that one of ours covers
        spread = np.sqrt(rng.uniform(0.2, 0.3) / (12 * NET_PIXEL) ** 2)
        return rng.poisson(image * counts) / counts + rng.normal(0, spread, shape)
    if recipe.background > 0:
        image = image + rng.uniform(0, recipe.background) * smooth_noise(shape, rng.uniform(12, 40), rng)
    if recipe.jitter_A > 0:
        image = jitter_rows(image, rng.normal(0, rng.uniform(0, recipe.jitter_A) / NET_PIXEL, shape[0]))
    low, high = np.log(recipe.noise)
    blur = rng.uniform(*recipe.noise_blur_px)
    # noise as coarse as the spots hides them far better than noise from pixel to pixel
    return image + np.exp(rng.uniform(low, high)) / (1 + 1.5 * blur) * smooth_noise(shape, blur, rng)
