"""How well found columns sit on a lattice of two sublattices, without knowing the truth.

One lattice is laid through all columns of a frame; only then is it asked how far the columns are from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

from elit_helpers.core.atoms_table import kept, one_frame, require_columns
from elit_helpers.core.checks import check_pixel_size, check_positive
from elit_helpers.core.coordinates import extent
from elit_helpers.geometry.compare import rms
from elit_helpers.geometry.lattice import ON_SITE_A, BentLattice, index_columns, site_places
from elit_helpers.samples.materials import MATERIALS, Material, material_of

_BENDS_A = (80.0, 40.0, 20.0, 10.0, 5.0)  # lengths that "auto" tries


def sublattice_fit(
    found: pd.DataFrame,
    *,
    pixel_size: float,
    classes: Sequence[str] | None = None,
    lattice: str | Material = "MoS2",
    tolerance_A: float = 0.25,
    bend_A: float | str | None = None,
    shape: tuple[int, int] | None = None,
    border_A: float = 1.0,
) -> dict[str, Any]:
    """Fit a hexagonal lattice with two sublattices to found columns, and say how well they sit on it.

    The elements do not take part in the fit. Of the two ways to name the sublattices the one is taken that
    more columns agree with.

    Parameters
    ----------
    found : DataFrame
        Table of one frame with ``row_px, col_px, element``; where it has ``kept``, these rows count.
    pixel_size : float
        Mean of both axes [Å/px]; they may differ by 25 %, the fit has affine freedom.
    classes : sequence of two str, optional
        Elements of the two sublattices, in the order of the lattice's columns; by default the lattice's own.
        Columns of another element are judged by their place, and belong to neither sublattice.
    lattice : str or Material
        MoS2, WS2, hBN or another one with two different columns in a hexagonal cell.
    tolerance_A : float
        How far a column may be from its site [Å].
    bend_A : float or "auto", optional
        None for one affine lattice over the whole frame. A length [Å] lets it bend as drift, unsteady scans
        and strain bend it: where a site is, is then said by its surroundings, which count less the farther
        off they are (a Gaussian of this width); the column itself is left out. ``"auto"`` takes of 80, 40,
        20, 10 and 5 Å the length that predicts columns left out best (least `rms_A`): a longer one cannot
        follow the scan, a shorter one follows the noise of a few neighbours.
    shape : (int, int), optional
        Height and width of the frame [px]; without it sites are counted in the rectangle around the columns.
    border_A : float
        Sites closer to that border are not asked for [Å].

    Returns
    -------
    dict
        ``share_within`` (columns within the tolerance of a site, of all columns), ``rms_A`` (of the columns
        on a site, in the plane), ``separated`` (columns on a site that have the site's element, the worse of
        the two sublattices), ``bend_A`` (the length used), ``sites_found`` (sites with a column of their
        element within the tolerance, of all sites), ``per_element`` (DataFrame: element, sites, found,
        share_within, separated), ``columns`` (how many were judged), ``axes_A`` (cell vectors in rows: row,
        column [Å]), and ``off_site_A`` (distance of each judged column from its site, NaN on none).

    Raises
    ------
    ValueError
        If the lattice has not two different columns in a hexagonal cell, the table holds several frames, or
        no lattice of this size goes through its columns.
    """
    pixel_size = check_pixel_size(pixel_size)
    check_positive("tolerance_A", tolerance_A, unit="Å")
    if bend_A is not None and bend_A != "auto":
        check_positive("bend_A", bend_A, unit="Å")
    material = material_of(lattice, "lattice")
    names = _two_classes(material, classes)
    require_columns(found, ("row_px", "col_px", "element"), "found")
    rows = kept(one_frame(found, name="found"))
    # row and column in Å, not x and y: the lattice is laid and returned the way the picture is read
    points = rows[["row_px", "col_px"]].to_numpy(float) * pixel_size
    element = rows["element"].to_numpy(object)
    index, site = index_columns(points, float(material.axes[0, 0]))
    on = site >= 0
    model = BentLattice.fit(site_places(index[on], site[on]), points[on], 1)
    away = np.full(points.shape, np.nan)
    away[on] = points[on] - model(site_places(index[on], site[on]))
    first = _first_sublattice(site, element, names)
    sites = _sites_in(model, _box(points, shape, pixel_size, border_A), first)
    if bend_A is not None:
        tree, moved = cKDTree(points[on]), away[on]
        lengths = _BENDS_A if bend_A == "auto" else (bend_A,)
        left = {length: moved - _bend(tree, moved, points[on], length, itself=False) for length in lengths}
        bend_A = min(left, key=lambda length: rms(np.linalg.norm(left[length], axis=1)))
        sites = [s + _bend(tree, moved, s, bend_A, itself=True) for s in sites]
        away[on] = left[bend_A]
    off = np.linalg.norm(away, axis=1)
    table = _per_element(
        points, element, np.where(on, (site + first) % 2, -1), off, sites, names, tolerance_A
    )
    return {
        "share_within": float(np.mean(off <= tolerance_A)),
        "rms_A": rms(off[on]),
        "separated": float(table["separated"].min()),
        "bend_A": bend_A,
        "sites_found": float(table["found"].sum() / max(table["sites"].sum(), 1)),
        "per_element": table,
        "columns": len(points),
        "axes_A": model.axes,
        "off_site_A": off,
    }


def _bend(tree: cKDTree, moved: np.ndarray, at: np.ndarray, reach: float, *, itself: bool) -> np.ndarray:
    """How far the lattice is moved at places (M, 2): a plane through the columns around, robustly."""
    out = np.zeros(at.shape)
    for k, near in enumerate(tree.query_ball_point(at, 2 * reach)):
        step = tree.data[near] - at[k]
        square = (step**2).sum(1)
        weight = np.exp(-square / (2 * reach**2)) * (itself | (square > 1e-9))
        rows = np.column_stack([np.ones(len(near)), step])
        for _ in range(2 if np.count_nonzero(weight) > 5 else 0):
            normal = (rows * weight[:, None]).T @ rows + 1e-6 * np.eye(3)
            plane = np.linalg.solve(normal, (rows * weight[:, None]).T @ moved[near])
            out[k] = plane[0]
            weight = weight * (np.linalg.norm(moved[near] - rows @ plane, axis=1) < ON_SITE_A)
    return out


def _two_classes(material: Material, classes: Sequence[str] | None) -> tuple[str, str]:
    if not _alternates(material):
        raise ValueError(
            f"`lattice` is {material.name}; its cell must be hexagonal with two different columns. "
            f"Of those that ship: {', '.join(m.name for m in MATERIALS.values() if _alternates(m))}."
        )
    own = material.column_elements
    names = own if classes is None else tuple(classes)
    if isinstance(classes, str) or len(names) != 2 or names[0] == names[1]:
        raise ValueError(f"`classes` is {classes!r}; give two element symbols, such as {own}.")
    return names


def _alternates(material: Material) -> bool:
    return material.is_hexagonal and len(material.columns) == len(material.column_elements) == 2


def _first_sublattice(site: np.ndarray, element: np.ndarray, names: tuple[str, str]) -> int:
    """0 where the first sublattice bears the first element, 1 where the second does, by majority."""
    agree = [np.sum((site == s) & (element == names[s])) for s in (0, 1)]
    differ = [np.sum((site == s) & (element == names[1 - s])) for s in (0, 1)]
    return int(sum(differ) > sum(agree))


def _box(points, shape, pixel_size, border) -> tuple[np.ndarray, np.ndarray]:
    if shape is None:
        return points.min(0) - 1e-6, points.max(0) + 1e-6
    beyond = pixel_size / 2  # of the outermost centres, from which the places are counted
    return np.full(2, border - beyond), extent(shape, pixel_size) - beyond - border


def _sites_in(model: BentLattice, box: tuple[np.ndarray, np.ndarray], first: int) -> list[np.ndarray]:
    """Places (row, column) [Å] of the sites in a rectangle, for the first and the second element."""
    low, high = box
    corners = np.array([[r, c] for r in (low[0], high[0]) for c in (low[1], high[1])])
    uv = model.inverse(corners)
    start, stop = np.floor(uv.min(0)).astype(int) - 2, np.ceil(uv.max(0)).astype(int) + 3
    cells = np.stack(np.meshgrid(*map(np.arange, start, stop), indexing="ij"), -1).reshape(-1, 2)
    sites = []
    for number in (0, 1):
        places = model(cells + ((number + first) % 2) / 3)
        sites.append(places[((places >= low) & (places <= high)).all(1)])
    return sites


def _per_element(points, element, site, off, sites, names, tolerance) -> pd.DataFrame:
    rows = []
    for number, name in enumerate(names):
        own, here = element == name, site == number
        near = np.zeros(len(sites[number]), bool)
        if own.any() and len(near):
            near = cKDTree(points[own]).query(sites[number])[0] <= tolerance
        rows.append(
            {
                "element": name,
                "sites": len(near),
                "found": int(near.sum()),
                "share_within": float(np.mean(off[own] <= tolerance)) if own.any() else 0.0,
                "separated": float(np.mean(own[here])) if here.any() else 0.0,
            }
        )
    return pd.DataFrame(rows)
