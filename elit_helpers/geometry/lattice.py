"""A hexagonal lattice of two sublattices laid through points, bent as a scan bends it.

It is laid first over a few cells, then outwards ring by ring, so that a bent scan cannot make it slip to the
next cell.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

_FEWEST = 12  # columns; fewer show no lattice
_SEED_A = 16.0  # radius that the lattice is first laid over: a few cells, in which no scan bends it
_MOST_STRETCHED = 0.25  # how far an axis of the scan may be off, relative
ON_SITE_A = 0.6  # a third of the distance of two sublattices: farther out a column is on no site
_STEP = 1.25  # growth of the radius from fit to fit
_BEND = 3  # order of the polynomial that follows the lattice outwards


class BentLattice:
    """A polynomial from places in the lattice (u, v) to places in the picture (row, column) [Å]."""

    def __init__(self, coefficients: np.ndarray, centre: np.ndarray, reach: float, order: int) -> None:
        self.coefficients, self.centre, self.reach, self.order = coefficients, centre, reach, order

    @classmethod
    def fit(cls, uv: np.ndarray, points: np.ndarray, order: int) -> BentLattice:
        """Fit by least squares, three times, from the second on without columns farther off than a site."""
        centre, reach = uv.mean(0), float(np.abs(uv - uv.mean(0)).max()) + 1e-9
        inner = np.ones(len(uv), bool)
        for _ in range(3):
            rows = _powers((uv - centre) / reach, order)
            coefficients = np.linalg.lstsq(rows[inner], points[inner], rcond=None)[0]
            off = np.linalg.norm(points - rows @ coefficients, axis=1)
            inner = off <= max(ON_SITE_A, float(np.quantile(off, 0.7)))
        return cls(coefficients, centre, reach, order)

    def __call__(self, uv: np.ndarray) -> np.ndarray:
        return _powers((uv - self.centre) / self.reach, self.order) @ self.coefficients

    @property
    def axes(self) -> np.ndarray:
        """Cell vectors in the middle, in rows [Å]."""
        return self.coefficients[1:3] / self.reach

    def inverse(self, points: np.ndarray) -> np.ndarray:
        """Places in the lattice of points in the picture, by a few steps of Newton with the middle's axes."""
        to_uv = np.linalg.inv(self.axes)
        uv = (points - self.coefficients[0]) @ to_uv + self.centre
        for _ in range(6 if self.order > 1 else 0):
            uv = uv + (points - self(uv)) @ to_uv
        return uv


def _powers(x: np.ndarray, order: int) -> np.ndarray:
    """Monomials of two coordinates up to an order, 1 first, then both coordinates."""
    terms = [x[:, 0] ** (n - k) * x[:, 1] ** k for n in range(order + 1) for k in range(n + 1)]
    return np.stack(terms, axis=1)


def site_places(index: np.ndarray, site: np.ndarray) -> np.ndarray:
    """Place (u, v) of a site: its cell, and a third of the cell's diagonal on for the second sublattice."""
    return index + site[:, None] / 3


def index_columns(points: np.ndarray, length: float) -> tuple[np.ndarray, np.ndarray]:
    """Cell (M, 2) and sublattice (M,) of each column, −1 for one on no site."""
    if len(points) < _FEWEST:
        raise ValueError(f"`found` holds {len(points)} columns; a lattice needs at least {_FEWEST}.")
    crowded = [len(near) for near in cKDTree(points).query_ball_point(points, _SEED_A)]
    middle = points[int(np.argmax(crowded))]
    away = np.linalg.norm(points - middle, axis=1)
    seed = points[away < _SEED_A]
    if len(seed) < _FEWEST:
        raise ValueError(f"`found` has no {_FEWEST} columns within {_SEED_A:g} Å; no lattice can be laid.")
    model, radius = _first_model(seed, length), _SEED_A
    index, site = _nearest_sites(points, model)
    while True:
        model, index, site = _settle(points, away, radius, model)
        if radius > away.max():
            break
        radius *= _STEP
    on_site = np.linalg.norm(points - model(site_places(index, site)), axis=1) <= ON_SITE_A
    site = np.where(on_site, site, -1)
    if on_site.mean() < 0.5:
        raise ValueError(
            f"No lattice with a = {length:.2f} Å goes through the columns: only {on_site.mean():.0%} lie on "
            "its sites. Check `pixel_size` and `lattice`, or crop to one grain."
        )
    return index, site


def _settle(points, away, radius, model):
    """Fit what lies within the radius, with as much bending as its size can determine."""
    order = 1 if radius < 2 * _SEED_A else _BEND
    for _ in range(3):
        index, site = _nearest_sites(points, model)
        off = np.linalg.norm(points - model(site_places(index, site)), axis=1)
        use = (away < radius) & (off < ON_SITE_A)
        if use.sum() < _FEWEST:
            break
        model = BentLattice.fit(site_places(index[use], site[use]), points[use], order)
    return model, index, site


def _nearest_sites(points: np.ndarray, model: BentLattice) -> tuple[np.ndarray, np.ndarray]:
    uv = model.inverse(points)
    options = [np.round(uv - s / 3) for s in (0, 1)]
    off = [np.linalg.norm(points - model(cell + s / 3), axis=1) for s, cell in enumerate(options)]
    site = np.argmin(off, axis=0)
    return np.where(site[:, None] == 0, *options), site


def _first_model(seed: np.ndarray, length: float) -> BentLattice:
    """Lay the lattice over a few cells: its waves from the sum of phases, its origin by trying."""
    centre = seed.mean(0)
    waves = _two_waves(seed - centre, length)
    axes = np.linalg.inv(waves).T
    phase = (seed - centre) @ waves.T
    trial = np.stack(np.meshgrid(*2 * [np.arange(24) / 24], indexing="ij"), -1).reshape(-1, 1, 2)
    off = np.stack([_wrapped(phase - trial - s / 3) @ axes for s in (0, 1)])
    score = np.exp(-(np.square(off).sum(-1).min(0)) / (2 * 0.3**2)).sum(1)
    origin = trial[int(np.argmax(score)), 0]
    return BentLattice(np.vstack([centre + origin @ axes, axes]), np.zeros(2), 1.0, 1)


def _wrapped(phase: np.ndarray) -> np.ndarray:
    return phase - np.round(phase)


def _two_waves(seed: np.ndarray, length: float) -> np.ndarray:
    """Two waves (row, column) [1/Å] whose axes make 60°, by the power that the columns' places have there."""
    usual = 2 / (np.sqrt(3) * length)
    limit = (1 + _MOST_STRETCHED) * usual
    grid = np.arange(-limit, limit, 0.25 / _SEED_A)
    k = np.stack(np.meshgrid(grid, grid, indexing="ij"), -1).reshape(-1, 2)
    size = np.linalg.norm(k, axis=1)
    k = k[(size > (1 - _MOST_STRETCHED) * usual) & (size < limit)]
    taper = np.cos(np.pi / 2 * np.linalg.norm(seed, axis=1) / (1.2 * _SEED_A)).clip(0)
    power = np.abs(np.exp(-2j * np.pi * k @ seed.T) @ taper) ** 2
    best, most = None, -np.inf
    for first in np.argsort(power)[::-1][:40]:
        # Two waves at 120° and the third against their sum: a hexagonal lattice has power in all three.
        angle = np.degrees(np.arctan2(*k.T) - np.arctan2(*k[first])) % 360
        partners = np.flatnonzero((angle > 100) & (angle < 140))
        third = np.abs(np.exp(2j * np.pi * (k[first] + k[partners]) @ seed.T) @ taper) ** 2
        total = power[first] + power[partners] + third
        if len(partners) and total.max() > most:
            most, best = total.max(), (k[first], k[partners[int(np.argmax(total))]])
    return np.array(best)
