"""What stands in a hexagonal cell, told by phases: a hollow as in graphene, or two unlike columns."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from elit_helpers.calibration.reflections import LatticeFit, binned, flatten, reflections, tiles
from elit_helpers.samples.materials import MATERIALS, Material

_TILE = 6  # spacings; the sum is taken piece by piece, so that a bent scan does not blur it
_OFF = 50.0  # degrees; threefold aberrations turn real frames of graphene by up to 30


@dataclass(frozen=True)
class CellPhase:
    """Sum of the phases of three reflections that add up to zero: the same wherever the cell begins.

    It is 180° for two equal columns around a hollow (graphene), 0° for one column in a cell, and between them
    for two columns of different brightness. Only its size counts: its sign is the lattice's hand.

    Parameters
    ----------
    phase, std : float
        [degrees], phase 0 to 180.
    folded : float
        The same with the hand of every piece put right first: what counts if both hands are in the frame.
    """

    phase: float
    std: float
    folded: float

    def contradicts(self, material: Material) -> bool:
        """Whether this cannot be the material's cell."""
        expected = expected_phase(material)
        if expected is None or not self.std < 20:
            return False
        return min(abs(self.phase - expected), abs(self.folded - expected)) > _OFF + 2 * self.std

    def fitting(self) -> list[str]:
        """Names of the materials that ship and could be this."""
        return [
            name
            for name, material in MATERIALS.items()
            if expected_phase(material) is not None and not self.contradicts(material)
        ]


def expected_phase(material: Material) -> float | None:
    """Size of the phase sum [degrees] from the material's columns; None if its cell is not hexagonal."""
    triple = _triple(material)
    if triple is None:
        return None
    factor = np.zeros(3, complex)
    for (x, y), bright in zip(material.places, material.column_brightness, strict=True):
        factor += bright * np.exp(-2j * np.pi * triple @ [y, x])
    return float(abs(np.degrees(np.angle(factor.prod()))))


def cell_phase(frame: np.ndarray, fit: LatticeFit, material: Material) -> CellPhase | None:
    """Measure the phase sum at the reflections of a fitted lattice; None if its cell is not hexagonal."""
    triple = _triple(material)
    if triple is None:
        return None
    spacing_px = 1 / np.linalg.norm(triple, axis=1).min() / fit.size
    step = max(1, int(0.12 * spacing_px))
    flat = flatten(binned(frame, step), spacing_px / step)
    pieces = np.array(tiles(flat, _TILE * spacing_px / step))
    products = np.ones(len(pieces), complex)
    for wave in triple @ fit.to_A * step:
        rows, cols = (np.exp(-2j * np.pi * w * np.arange(n)) for w, n in zip(wave, flat.shape, strict=True))
        products *= np.einsum("r,nrc,c->n", rows[: pieces.shape[1]], pieces, cols[: pieces.shape[2]])
    total = products.sum()
    aside = (products * np.exp(-1j * np.angle(total))).imag
    folded = (products.real + 1j * np.abs(products.imag)).sum()
    # overlapping pieces share half their pixels along each axis
    std = np.sqrt((aside**2).sum()) / abs(total) * (1.5 if len(pieces) > 1 else 1.0)
    return CellPhase(*(float(abs(np.degrees(x))) for x in (np.angle(total), std, np.angle(folded))))


def _triple(material):
    """Three of the shortest waves of a hexagonal lattice, with signs that make them add up to zero."""
    if not material.is_hexagonal:
        return None
    waves = reflections(material).waves
    length = np.linalg.norm(waves, axis=1)
    shortest = waves[length < 1.01 * length.min()]
    for signs in itertools.product((1, -1), repeat=3):
        triple = np.array(signs)[:, None] * shortest[:3]
        if np.abs(triple.sum(0)).max() < 1e-6:
            return triple
    return None
