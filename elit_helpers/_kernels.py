"""The spot of one atom: a sum of Gaussians, so that blurring it is arithmetic and drawing it a product."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Kernel:
    """Radial profile of an atom's spot, for each element the same widths with other heights.

    A Gaussian is the product of a row and a column profile, and blurred by a Gaussian it is a Gaussian again:
    source size, defocus and vibration cost nothing, and all atoms of an image are a few matrix products.

    Parameters
    ----------
    sigmas_A : tuple of float, length K
        Widths [Å].
    heights : mapping of str to tuple of float, each of length K
        Heights of the Gaussians for each element [carbon peaks before any blur]; some may be negative.
    """

    sigmas_A: tuple[float, ...]
    heights: Mapping[str, tuple[float, ...]]

    def blurred(self, sigma_A: float) -> Kernel:
        """Convolve with a normalised Gaussian of width `sigma_A` [Å]; the integral of each spot is kept."""
        old = np.array(self.sigmas_A)
        new = np.hypot(old, sigma_A)
        shrink = (old / new) ** 2
        return Kernel(tuple(new), {e: tuple(np.array(h) * shrink) for e, h in self.heights.items()})

    def profile(self, element: str, radius_A: np.ndarray) -> np.ndarray:
        """Intensity at a distance from the atom [carbon peaks before any blur]."""
        r = np.asarray(radius_A, float)[..., None]
        return (np.array(self.heights[element]) * np.exp(-(r**2) / (2 * np.square(self.sigmas_A)))).sum(-1)
