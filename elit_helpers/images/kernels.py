"""The spot of one atom: a sum of Gaussians, so that blurring it is arithmetic and drawing it a product."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from elit_helpers.core.checks import check_at_least, check_choice, check_positive


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

    Raises
    ------
    ValueError
        If a width is not positive, or an element has another number of heights.
    """

    sigmas_A: tuple[float, ...]
    heights: Mapping[str, tuple[float, ...]]

    def __post_init__(self):
        if not len(self.sigmas_A) or not np.all(np.array(self.sigmas_A) > 0):
            raise ValueError(f"`sigmas_A` is {self.sigmas_A!r}; give one width above zero [Å] or more.")
        for element, heights in self.heights.items():
            if len(heights) != len(self.sigmas_A):
                raise ValueError(
                    f"`heights` has {len(heights)} for {element}; give one for each of the "
                    f"{len(self.sigmas_A)} widths."
                )

    @property
    def elements(self) -> tuple[str, ...]:
        """Elements whose spot is known."""
        return tuple(self.heights)

    def blurred(self, sigma_A: float) -> Kernel:
        """Convolve with a normalised Gaussian of width `sigma_A` [Å]; the integral of each spot is kept."""
        check_at_least("sigma_A", sigma_A, 0, unit="Å")
        old = np.array(self.sigmas_A)
        new = np.hypot(old, sigma_A)
        elements, heights = list(self.heights), np.array(list(self.heights.values()))
        shrunk = (heights * (old / new) ** 2).tolist()
        return Kernel(tuple(new.tolist()), {e: tuple(h) for e, h in zip(elements, shrunk)})

    def scaled(self, factor: float) -> Kernel:
        """Multiply every height, such as by one over :meth:`peak` to change the unit."""
        check_positive("factor", factor)
        return Kernel(self.sigmas_A, {e: tuple(factor * v for v in h) for e, h in self.heights.items()})

    def profile(self, element: str, radius_A) -> np.ndarray:
        """Intensity at a distance from the atom [carbon peaks before any blur]; shaped as `radius_A` [Å]."""
        r = np.asarray(radius_A, float)[..., None]
        return (self._of(element) * np.exp(-(r**2) / (2 * np.square(self.sigmas_A)))).sum(-1)

    def peak(self, element: str) -> float:
        """Intensity on the atom [carbon peaks before any blur]."""
        return float(self._of(element).sum())

    def integral(self, element: str) -> float:
        """Intensity of the whole spot [carbon peaks before any blur · Å²]; no blur changes it."""
        return float(2 * np.pi * (self._of(element) * np.square(self.sigmas_A)).sum())

    def _of(self, element):
        if element not in self.heights:
            raise ValueError(
                f"No spot is known for element {element!r}; this kernel has {', '.join(self.heights)}."
            )
        return np.array(self.heights[element])


@cache
def _shipped() -> dict[str, Any]:
    path = Path(__file__).with_name("kernels.json")
    return _frozen(json.loads(path.read_text(encoding="utf-8")))


def _frozen(value):
    """Tuples for lists, all the way down."""
    if isinstance(value, dict):
        return {key: _frozen(v) for key, v in value.items()}
    return tuple(map(_frozen, value)) if isinstance(value, list) else value


def kernel_names() -> list[str]:
    """Names that :func:`load_kernel` knows."""
    return list(_shipped()["kernels"])


def load_kernel(name: str) -> Kernel:
    """One of the shipped kernels: single atoms computed with abTEM, without source size and vibration.

    Parameters
    ----------
    name : {"60kV", "80kV", "200kV"}
        60 and 80 kV: 30 mrad aperture, detector from 60 to 200 mrad; 200 kV: 25 mrad, 70 to 200 mrad. All in
        focus, aberrations corrected but for the focal spread of a lens with chromatic aberration.

    Returns
    -------
    Kernel
        Its Gaussians follow the computed profiles to within 0.6 % of each peak.

    Raises
    ------
    ValueError
        For another name.
    """
    check_choice("name", name, kernel_names())
    entry = _shipped()["kernels"][name]
    return Kernel(entry["sigmas_A"], dict(entry["heights"]))


def kernel_card(name: str) -> dict[str, Any]:
    """How a shipped kernel was computed, and how well the Gaussians fit.

    Parameters
    ----------
    name : str
        As for :func:`load_kernel`.

    Returns
    -------
    dict
        ``parameters`` (energy, angles, focal spread), ``carbon_peak_of_beam`` (share of the electrons that a
        carbon atom sends to the detector), ``peak_to_carbon``, ``largest_misfit_of_peak``,
        ``misfit_of_integral`` and ``profiles`` by element, ``radius_A`` of the profiles [Å].
    """
    check_choice("name", name, kernel_names())
    whole = _shipped()
    # copies: what a caller changes stays with them; a dict for each frame must not cost a millisecond
    entry = {key: dict(v) if isinstance(v, dict) else v for key, v in whole["kernels"][name].items()}
    return entry | {"radius_A": whole["radius_A"], "abtem": whole["abtem"]}
