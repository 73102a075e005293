"""Bonds as directed edges of a flat graph, and the rings found by walking round its faces.

matscipy counts shortest-path rings but does not say which atoms are in them. A sheet has a plane, so each
of its rings is a face: follow a bond, always turn into the sharpest left, and come back. That finds the
atoms, costs a time linear in them, and knows the outer edge too. A test holds both counts together.

A hole is a face with an area, the outer edge is the one face that goes round a whole piece. What stands free
inside a hole is a piece of its own with such a face of its own, and yet no edge of the flake.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase.data import atomic_numbers, covalent_radii
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from elit_helpers.core.checks import require

Cutoffs = Mapping[tuple[str, str], float]

CUTOFFS: dict[tuple[str, str], float] = {
    ("C", "C"): 1.75, ("C", "Si"): 2.10, ("Si", "Si"): 2.50, ("C", "H"): 1.30, ("H", "Si"): 1.70,
    ("H", "H"): 0.90, ("C", "N"): 1.70, ("C", "O"): 1.65,
    # Two Mo of MoS2 are 3.16 Å apart and not bonded; their radii would make them so.
    ("Mo", "S"): 2.90, ("Mo", "Mo"): 2.90, ("S", "S"): 2.50,
}  # fmt: skip
"""Longest bond of two elements [Å]. A length or a ring means nothing without its cut-off."""

COOLED: dict[tuple[str, str], float] = CUTOFFS | {("C", "C"): 1.85}
"""The same for structures at rest: the bonds that close a 5-8-5 are 1.80 Å long in LCBOP, and no others of
the relaxed defects lie between that and the second neighbours at 2.2 Å."""


@dataclass(frozen=True)
class Edges:
    """Directed bonds: each bond twice, from `i` to `j`, as a vector [Å] and in which periodic image."""

    i: np.ndarray
    j: np.ndarray
    vector: np.ndarray
    image: np.ndarray


@dataclass(frozen=True)
class Face:
    """A closed walk: its atoms in order, the bond vectors, the signed area (negative: round a piece) [Å²]."""

    atoms: np.ndarray
    vectors: np.ndarray
    area: float
    closed: bool


def find_edges(atoms: Any, cutoffs: Cutoffs | None = None) -> Edges:
    """Return all bonds shorter than the cut-off of their elements.

    Without `cutoffs` they are `CUTOFFS`, and 1.2 times the sum of the covalent radii for other pairs.

    Raises
    ------
    ValueError
        A position is not finite, or `cutoffs` lacks a pair of elements that are present.
    """
    matscipy_neighbours = require("matscipy.neighbours", "The search for bonds")
    if not np.isfinite(atoms.positions).all():
        raise ValueError("`atoms` has positions that are not finite; drop or repair those atoms first.")
    if len(atoms) < 2:
        none = np.zeros(0, int)
        return Edges(none, none, np.zeros((0, 3)), np.zeros((0, 3), int))
    table = complete_cutoffs(cutoffs, sorted(set(atoms.get_chemical_symbols())))
    i, j, vector, image = matscipy_neighbours.neighbour_list("ijDS", boxed(atoms), table)
    return Edges(i, j, vector, image)


def complete_cutoffs(cutoffs: Cutoffs | None, elements: list[str]) -> dict[tuple[str, str], float]:
    """The longest bond of each pair of these elements [Å]."""
    known = {frozenset(pair): float(length) for pair, length in (cutoffs or CUTOFFS).items()}
    pairs = [(a, b) for n, a in enumerate(elements) for b in elements[n:]]
    missing = [pair for pair in pairs if frozenset(pair) not in known]
    if missing and cutoffs and cutoffs is not COOLED:
        names = ", ".join("–".join(pair) for pair in missing)
        raise ValueError(f"`cutoffs` has no length [Å] for {names}; pass a dict that has {missing[0]!r} too.")
    for pair in missing:
        known[frozenset(pair)] = 1.2 * sum(covalent_radii[atomic_numbers[element]] for element in pair)
    return {pair: known[frozenset(pair)] for pair in pairs}


def boxed(atoms: Any) -> Any:
    """Give directions without a cell vector one that holds the atoms, as the neighbour search needs three."""
    if atoms.cell.rank == 3:
        return atoms
    boxed, missing = atoms.copy(), ~atoms.cell.any(1)
    boxed.set_cell(atoms.cell.complete() * np.where(missing, np.ptp(atoms.positions) + 10, 1.0)[:, None])
    return boxed


def prune(edges: Edges, n: int) -> Edges:
    """Drop dangling atoms, over and over, until every atom left has two bonds: what can be part of a ring."""
    while True:
        degree = np.bincount(edges.i, minlength=n)
        keep = (degree[edges.i] > 1) & (degree[edges.j] > 1)
        if keep.all():
            return edges
        edges = Edges(edges.i[keep], edges.j[keep], edges.vector[keep], edges.image[keep])


def walk_faces(edges: Edges) -> list[Face]:
    """Walk round every face of the flat graph (seen along z), each directed bond used once.

    Returns
    -------
    list of Face
        Inner faces have a positive area. A closed face of negative area goes round a whole piece; one that
        does not close runs along the open edge of a periodic ribbon. `on_rim` tells which are the edge.
    """
    n = len(edges.i)
    if not n:
        return []
    shift = edges.image.T
    forth = np.lexsort((*shift, edges.j, edges.i))
    back = np.lexsort((*-shift, edges.i, edges.j))
    reverse = np.empty(n, int)
    reverse[forth] = back
    angle = np.arctan2(edges.vector[:, 1], edges.vector[:, 0])
    order = np.lexsort((angle, edges.i))
    first = np.searchsorted(edges.i[order], edges.i[order], side="left")
    last = np.searchsorted(edges.i[order], edges.i[order], side="right") - 1
    rank = np.arange(n)
    clockwise = np.empty(n, int)
    clockwise[order] = order[np.where(rank > first, rank - 1, last)]
    following = clockwise[reverse].tolist()
    seen, faces = np.zeros(n, bool), []
    for start in range(n):
        if not seen[start]:
            walk = [start]
            seen[start] = True
            while (step := following[walk[-1]]) != start:
                seen[step] = True
                walk.append(step)
            faces.append(_face(edges, np.array(walk)))
    return faces


def _face(edges: Edges, walk: np.ndarray) -> Face:
    vectors = edges.vector[walk]
    corner = np.cumsum(vectors[:, :2], axis=0)
    following = np.roll(corner, -1, axis=0)
    area = 0.5 * float(np.sum(corner[:, 0] * following[:, 1] - corner[:, 1] * following[:, 0]))
    return Face(edges.i[walk], vectors, area, bool(np.abs(corner[-1]).max() < 1e-6))


def on_rim(atoms: Any, edges: Edges) -> np.ndarray:
    """Mark the atoms on the outer rim of a flake or ribbon, (N,) bool; what hangs or lies outside included.

    What lies in a hole, be it an atom, a chain that hangs into it or a free fragment, is not on the rim.
    """
    n, rim = len(atoms), np.zeros(len(atoms), bool)
    graph = coo_matrix((np.ones(len(edges.i)), (edges.i, edges.j)), shape=(n, n))
    count, piece = connected_components(graph, directed=False)
    faces = walk_faces(edges)
    inner = [face for face in faces if face.closed and face.area > 1e-6]
    own = np.array([piece[face.atoms[0]] for face in inner], int)
    corners = [polygon(atoms, face) for face in inner]
    of_piece: list[list[Face]] = [[] for _ in range(count)]
    for face in faces:
        of_piece[piece[face.atoms[0]]].append(face)
    for k, around in enumerate(of_piece):
        members = np.flatnonzero(piece == k)
        if count == 1 or not _enclosed(atoms, members, [corners[f] for f in np.flatnonzero(own != k)]):
            walked = [face.atoms for face in _outermost(around)]
            rim[np.concatenate(walked) if walked else members[: not around]] = (
                True  # an atom alone has no face
            )
    return rim


def _outermost(faces: list[Face]) -> list[Face]:
    """The faces along the outside of one piece: none for a sheet that is periodic both ways."""
    along = [face for face in faces if not face.closed]
    finite = (
        abs(sum(face.area for face in faces)) < 1.0
    )  # each bond is walked forth and back; else it is a cell
    if along or not faces or not finite:
        return along
    return [min(faces, key=lambda face: face.area)]  # just one, even where bonds cross and others turn round


def _enclosed(atoms: Any, members: np.ndarray, polygons: list[np.ndarray]) -> bool:
    """Whether each of these atoms lies inside one of these polygons, or inside an image of one."""
    if not polygons:
        return False
    low, high = (np.array([side(points, axis=0) for points in polygons]) for side in (np.min, np.max))
    steps = [(-1, 0, 1) if periodic else (0,) for periodic in atoms.pbc & atoms.cell.any(1)]
    images = np.array(list(itertools.product(*steps))) @ atoms.cell.array
    for point in atoms.positions[members]:
        places = (point + images)[:, None, :2]
        image, face = np.nonzero(((low <= places) & (places <= high)).all(axis=2))
        if not any(inside(polygons[f], places[i, 0]) for i, f in zip(image, face, strict=True)):
            return False
    return True


def polygon(atoms: Any, face: Face) -> np.ndarray:
    """Corners (M, 2) of a face, in order and not wrapped at cell walls [Å]."""
    return atoms.positions[face.atoms[0], :2] + np.cumsum(face.vectors[:, :2], axis=0)


def inside(polygon: np.ndarray, point: np.ndarray) -> bool:
    """Whether a point (2,) lies in a polygon (M, 2)."""
    x, y = (polygon - point).T  # a bond that hangs into the face is walked both ways and crossed twice
    following_x, following_y = np.roll(x, -1), np.roll(y, -1)
    crossing = (y > 0) != (following_y > 0)
    height = np.where(crossing, following_y - y, 1.0)
    return bool(np.count_nonzero(crossing & (x - y * (following_x - x) / height > 0)) % 2)
