"""Random pieces of a sheet for training pairs: bare columns, drawn hundreds of times a second.

The folder `samples` builds structures for people; here only what a picture of 10 Å needs is drawn, without
ASE.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from elit_helpers.samples.materials import LONGEST_CC_A, Material

_BEYOND = 1.5  # Å: how far outside the picture atoms still shine into it


@dataclass(frozen=True)
class Lattice:
    """What all pieces of one material share: its columns seen from above, and how bright each can be."""

    cell: np.ndarray  # lattice vectors (2, 2) [Å]
    basis: np.ndarray  # column places in the cell (K, 2) [Å], the first at the origin
    site: np.ndarray  # number of the element on each place (K,)
    elements: tuple[str, ...]  # all that may be drawn; those of the material first
    whole: tuple[tuple[float, ...], ...]  # for each place, the brightness of its atoms, brightest first
    single: np.ndarray  # brightness of one atom of each of `elements`
    bond: float  # shortest distance of two columns [Å]

    @classmethod
    def of(cls, material: Material, foreign: tuple[str, ...]) -> Lattice:
        """Look up places and brightness; `foreign` are further elements that a recipe draws."""
        columns, bright = material.columns, material.atom_brightness
        elements = tuple(dict.fromkeys([*material.column_elements, *foreign]))
        missing = sorted(({e for c in columns for e in c[3]} | set(foreign)) - set(bright))
        if missing:
            raise ValueError(
                f"`material` {material.name} has no brightness for {', '.join(missing)}; give it relative to "
                "carbon: Material(..., brightness={...})."
            )
        return cls(
            np.array(material.cell),
            material.places - material.places[0],
            np.array([elements.index(c[0]) for c in columns]),
            elements,
            tuple(tuple(sorted((bright[e] for e in c[3]), reverse=True)) for c in columns),
            np.array([bright[e] for e in elements]),
            material.bond,
        )

    def peaks(self, power: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Peak of each place, of each place that lacks its faintest atom, and of one atom of each element.

        In units of the mean column, so that noise means the same in every material; `power` is what another
        detector does to the contrast of heavy and light.
        """
        whole = np.array([sum(b**power for b in stack) for stack in self.whole])
        thin = np.array([sum(b**power for b in (stack[:-1] or stack)) for stack in self.whole])
        unit = whole.mean()
        return whole / unit, thin / unit, self.single**power / unit


@dataclass(frozen=True)
class Flake:
    """Columns of one piece, in no particular order."""

    positions: np.ndarray  # row, column (M, 2) [Å], up to 1.5 Å outside the picture
    element: np.ndarray  # number in `Lattice.elements` (M,)
    peak: np.ndarray  # brightness in mean columns (M,)


def random_flake(recipe, lattice: Lattice, length: float, rng: np.random.Generator) -> Flake:
    """Draw a piece of a sheet as a :class:`~elit_helpers.Recipe` describes it.

    Parameters
    ----------
    recipe : Recipe
    lattice : Lattice
        Of the recipe's material, made once for many pieces.
    length : float
        Side of the square [Å].
    rng : Generator

    Returns
    -------
    Flake
    """
    p, place = _piece(recipe, lattice, length, rng)
    if rng.random() < recipe.grain_boundary:
        angle = rng.uniform(0, 2 * np.pi)
        side = np.array([np.cos(angle), np.sin(angle)])
        middle, (q, other) = length * rng.uniform(0.3, 0.7, 2), _piece(recipe, lattice, length, rng)
        left, right = (p - middle) @ side < 0, (q - middle) @ side > 0
        p, place = np.concatenate([p[left], q[right]]), np.concatenate([place[left], other[right]])
        p, place = _merge_close(p, place, 0.74 * lattice.bond)
    for _ in range(rng.integers(0, recipe.vacancies + 1)):
        gone = np.argmin(((p - rng.uniform(0, length, 2)) ** 2).sum(1)) if len(p) else []
        p, place = np.delete(p, gone, 0), np.delete(place, gone)
    if rng.random() < recipe.holes:
        left = _outside_hole(p, length, rng)
        p, place = p[left], place[left]
    p, element, peak = _occupy(p, place, recipe, lattice, rng)
    spread = rng.uniform(*recipe.displacement_A) / np.sqrt(2)
    return Flake(p + rng.normal(0, spread, p.shape), element, peak)


def _piece(recipe, lattice, length, rng):
    """The lattice turned, shifted, scaled and sheared at random, over a square and a little more."""
    cell = lattice.cell * (1 + recipe.scale * rng.uniform(-1, 1))
    longest = np.hypot(*cell.T).max()
    n = int(0.736 * length * longest / abs(np.linalg.det(cell))) + 3
    i, j = (k.ravel() for k in np.mgrid[-n : n + 1, -n : n + 1])
    cells = i[:, None] * cell[0] + j[:, None] * cell[1]
    p = (cells + (lattice.basis * cell[0, 0] / lattice.cell[0, 0])[:, None]).reshape(-1, 2)
    t = rng.uniform(0, 2 * np.pi)
    turn = np.array([[np.cos(t), np.sin(t)], [-np.sin(t), np.cos(t)]])
    shear = np.eye(2) + recipe.shear * rng.uniform(-1, 1, (2, 2))
    p = p @ (turn @ shear) + length / 2 + rng.uniform(-longest, longest, 2)
    inside = ((p > -_BEYOND) & (p < length + _BEYOND)).all(1)
    return p[inside], np.repeat(np.arange(len(lattice.site)), len(cells))[inside]


def _merge_close(p, place, limit):
    """Where two grains overlap, one column in the middle of each pair that is too close."""
    pairs = cKDTree(p).query_pairs(limit, output_type="ndarray") if len(p) else []
    if len(pairs) == 0:
        return p, place
    p = p.copy()
    p[pairs[:, 0]] = (p[pairs[:, 0]] + p[pairs[:, 1]]) / 2
    gone = np.unique(pairs[:, 1])
    return np.delete(p, gone, 0), np.delete(place, gone)


def _outside_hole(p, length, rng):
    """Which columns a hole in the sheet, or the sheet's own edge, leaves."""
    if rng.random() < 0.6:
        centre, radius = rng.uniform(0, length, 2), rng.uniform(1.5, 5.0)
        angle = np.arctan2(*(p - centre).T)
        radius = radius * (1 + 0.25 * np.cos(rng.integers(2, 4) * angle + rng.uniform(0, 6)))
        return np.hypot(*(p - centre).T) > radius
    angle = rng.uniform(0, 2 * np.pi)
    return (p - length * rng.uniform(0.2, 0.8, 2)) @ [np.cos(angle), np.sin(angle)] > 0


def _occupy(p, place, recipe, lattice, rng):
    """Put elements on the places, foreign ones too, and give each column its brightness."""
    low, high = recipe.contrast
    whole, thin, single = lattice.peaks(rng.uniform(low, high) if high > low else low)
    element, peak = lattice.site[place], whole[place]
    if recipe.thinned:
        peak = np.where(rng.random(len(p)) < recipe.thinned, thin[place], peak)
    for host, guest, share in recipe.foreign:
        taken = (element == lattice.elements.index(host)) & (rng.random(len(p)) < share)
        element = np.where(taken, lattice.elements.index(guest), element)
        peak = np.where(taken, single[element], peak)
    if "Si" in lattice.elements and "C" in lattice.elements:
        p, silicon = _silicon(p, element == lattice.elements.index("C"), recipe, rng)
        peak = peak * rng.uniform(0.95, 1.05, len(p))
        peak[silicon] = rng.uniform(2.0, 4.5, silicon.sum())
        return p, np.where(silicon, lattice.elements.index("Si"), element), peak
    return p, element, peak * rng.uniform(0.95, 1.05, len(p))


def _silicon(p, carbon, recipe, rng):
    """Put Si on carbon's places, more at edges; every Si pushes its neighbours out, from 1.42 Å."""
    silicon = carbon & (rng.random(len(p)) < recipe.silicon * rng.uniform(0, 2))
    if len(p) < 4 or not (recipe.silicon_edge > 0 or silicon.any()):
        return p, silicon
    pairs = cKDTree(p).query_pairs(LONGEST_CC_A, output_type="ndarray")
    degree = np.bincount(pairs.ravel(), minlength=len(p))
    share = recipe.silicon_edge * rng.uniform(0, 2.5) * (rng.random() < 0.6)
    silicon = silicon | (carbon & (degree < 3) & (rng.random(len(p)) < share))
    both = np.concatenate([pairs, pairs[:, ::-1]])
    push = both[silicon[both[:, 0]] & ~silicon[both[:, 1]]]
    if len(push) == 0:
        return p, silicon
    away = p[push[:, 1]] - p[push[:, 0]]
    step = away / np.linalg.norm(away, axis=1, keepdims=True) * rng.uniform(*recipe.silicon_push_A)
    moved = p.copy()
    np.add.at(moved, push[:, 1], step)
    edge = degree[push[:, 0]] < 3  # at an edge there is room: the Si itself gives way
    np.subtract.at(moved, push[edge, 0], step[edge] / 2)
    return moved, silicon
