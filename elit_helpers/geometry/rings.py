"""Rings of a sheet, found by walking round the faces of its bonds; their census, and the outer edge.

matscipy counts shortest-path rings but does not say which atoms are in them. A sheet has a plane, so each
of its rings is a face: follow a bond, always turn into the sharpest left, and come back. That finds the
atoms, costs a time linear in them, and knows the outer edge too. A test holds both counts together.

A hole is a face with an area, the outer edge is the one face that goes round a whole piece. What stands free
inside a hole is a piece of its own with such a face of its own, and yet no edge of the flake.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from elit_helpers.geometry.bonds import Cutoffs, Edges, find_edges


def edge_atoms(atoms: Any, *, cutoffs: Cutoffs | None = None) -> np.ndarray:
    """Return which atoms lie on the outer edge of a flake or ribbon, (N,) bool; what hangs on it included.

    The rim of a hole is no edge, nor is what hangs into a hole or lies free in it.
    """
    return on_rim(atoms, find_edges(atoms, cutoffs))


@dataclass(frozen=True)
class Face:
    """A closed walk: its atoms in order, the bond vectors, the signed area (negative: round a piece) [Å²]."""

    atoms: np.ndarray
    vectors: np.ndarray
    area: float
    closed: bool


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
        if count > 1 and _enclosed(atoms, members, [corners[f] for f in np.flatnonzero(own != k)]):
            continue
        if not around:  # an atom alone has no face
            rim[members] = True
        for face in _outermost(around):
            rim[face.atoms] = True
    return rim


def _outermost(faces: list[Face]) -> list[Face]:
    """The faces along the outside of one piece: none for a sheet that is periodic both ways."""
    along = [face for face in faces if not face.closed]
    # Bonds are walked forth and back: the areas round a finite piece add up to none, those of a cell do not.
    if along or not faces or abs(sum(face.area for face in faces)) >= 1.0:
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


def rings(atoms: Any, *, cutoffs: Cutoffs | None = None, max_size: int | None = None) -> pd.DataFrame:
    """List the rings of a sheet, seen along z.

    Parameters
    ----------
    atoms : ase.Atoms
        A sheet or a flake; bonds must not cross when seen from above.
    cutoffs : dict, optional
        As in `bonds`. One bond more or less over the cut-off turns two rings into one.
    max_size : int, optional
        Leave out larger rings; a hole is a large ring.

    Returns
    -------
    DataFrame
        One row a ring: ``size``, ``atoms`` (tuple of indices, counter-clockwise), ``mean_bond_A``,
        ``x_A, y_A`` of its centre and ``area_A2``.
    """
    edges, rows = prune(find_edges(atoms, cutoffs), len(atoms)), []
    for face in walk_faces(edges):
        size = len(face.atoms)
        if face.closed and face.area > 0 and (max_size is None or size <= max_size):
            corner = atoms.positions[face.atoms[0]] + np.cumsum(face.vectors, axis=0)
            rows.append(
                (
                    size,
                    tuple(face.atoms.tolist()),
                    np.linalg.norm(face.vectors, axis=1).mean(),
                    *corner.mean(axis=0)[:2],
                    face.area,
                )
            )
    table = pd.DataFrame(rows, columns=["size", "atoms", "mean_bond_A", "x_A", "y_A", "area_A2"])
    return table.sort_values(["size", "y_A", "x_A"], ignore_index=True)


def ring_census(atoms: Any, *, cutoffs: Cutoffs | None = None, max_size: int = 12) -> pd.DataFrame:
    """Count rings by size, with the mean bond of each size and its spread.

    Returns
    -------
    DataFrame
        Indexed by ``size``: ``count``, ``mean_bond_A`` and ``std_bond_A`` over the rings of that size.
    """
    table = rings(atoms, cutoffs=cutoffs, max_size=max_size)
    means = table.groupby("size")["mean_bond_A"]
    return pd.DataFrame({"count": means.size(), "mean_bond_A": means.mean(), "std_bond_A": means.std(ddof=0)})
