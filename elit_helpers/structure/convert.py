"""The table of atoms to ASE `Atoms`, at heights the material says, and back."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import numpy as np
import pandas as pd
from ase import Atoms
from ase.data import atomic_numbers, covalent_radii
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from elit_helpers.core.atoms_table import PER_ATOM, counted, kept, of_frame, one_frame, require_columns
from elit_helpers.core.checks import NoAtomsFound, check_positive, logger
from elit_helpers.core.coordinates import to_pixels
from elit_helpers.geometry.bonds import find_edges
from elit_helpers.samples.materials import Material, material_of

CONTACT_A = 1.0  # no two atoms of any solid are closer: below it, one atom was found twice
CONTACT_SHARE = 0.6  # nor are they closer than this share of a bond, which no engine could start from


def to_atoms(
    table: pd.DataFrame,
    *,
    frame: int = 0,
    material: str | Material = "graphene",
    vacuum_A: float = 15.0,
    lift_A: Mapping[str, float] | None = None,
    min_distance_A: float | None = None,
    keep_loose: bool = True,
) -> Atoms:
    """Turn the atoms found in one frame into a structure.

    x runs along the columns of the picture and y against its rows, so the structure seen from above looks
    like the picture, and x and y are the picture's own [Å]. A picture shows a piece of a sheet: the
    structure is not periodic (``pbc`` False). Codes that repeat every cell all the same, such as VASP,
    find `vacuum_A` of empty space between one flake and the next, in all three directions.

    Parameters
    ----------
    table : DataFrame
        Table of atoms; rows with ``kept`` false stay out.
    frame : int
        Which frame of the table.
    material : str or Material
        What is known beyond the picture, which shows columns from above: how many atoms one of an element
        holds, and at which heights. In graphene each is one atom, all in one plane; in MoS2 each S is two,
        1.56 Å above and below the Mo. An element that is foreign to the material is one atom half-way up.
    vacuum_A : float
        Empty space between periodic copies [Å].
    lift_A : mapping of str to float, optional
        How far to lift an element, an impurity or ad-atoms, out of the plane [Å]: ``{"Si": 0.8}``, below it
        if negative. The picture cannot tell; without it the sheet is flat. `propose_heights` looks at each
        atom's bonds instead.
    min_distance_A : float, optional
        Of two atoms that look closer than this the less probable is left out [Å]; if not given, closer than
        1 Å, or than 0.6 of the sum of their covalent radii, at the heights where they are.
    keep_loose : bool
        False leaves out atoms that no chain of bonds connects with the largest piece, such as those that
        show between patches of contamination.

    Returns
    -------
    ase.Atoms
        With the arrays ``probability, position_std_A, member_share`` as far as the table has them, and
        ``table_row``, the position of its row in the table (for ``iloc``), which atoms of one column share.
        ``info`` counts what was left out, ``rows_not_kept`` and ``contacts_resolved``, the ``loose_atoms``,
        and in ``columns_of_several`` the atoms that were put on top of each other because the material says
        so: ``{"S": 2}``. No picture shows that one of them is missing, except by its brightness.

    Raises
    ------
    NoAtomsFound
        The frame has no kept atom.
    ValueError
        An element or material is unknown, a column is missing, a position is not finite.
    """
    material = material_of(material)
    check_positive("vacuum_A", vacuum_A, unit="Å")
    own = _rows_of(table, frame)
    rows = kept(own)
    if rows.empty:
        raise NoAtomsFound(
            f"Frame {frame} has no atom to build from ({len(own)} rows, none kept). Lower the threshold of "
            "`locate_atoms`, or look at the column `reason` of the rows left out."
        )
    free = _without_contacts(rows, material, min_distance_A)
    used, contacts = rows[free], int((~free).sum())
    if contacts:
        logger.warning("frame %s: %d atom(s) in contact with a more probable one left out", frame, contacts)
    row, elements, height = _stacked(used["element"], material)
    lift = _lift(elements, lift_A)
    thickness = np.ptp(height)
    xy = used[["x_A", "y_A"]].to_numpy(float)
    positions = np.c_[xy[row], (vacuum_A + thickness) / 2 + height + lift - lift.min(initial=0.0)]
    reach = np.maximum(xy.max(axis=0), 0.0) - np.minimum(xy.min(axis=0), 0.0) + vacuum_A
    cell = [*reach, vacuum_A + thickness + lift.max(initial=0.0) - lift.min(initial=0.0)]
    atoms = Atoms(elements, positions, cell=cell, pbc=False)
    for name in PER_ATOM:
        if name in used:
            atoms.arrays[name] = used[name].to_numpy(float)[row]
    atoms.arrays["table_row"] = np.flatnonzero(of_frame(table, frame) & counted(table))[free][row]
    atoms.info.update(
        frame=int(frame),
        material=material.name,
        columns_of_several={
            name: n for name in material.elements if (n := len(material.stack(name))) > 1 and name in elements
        },
        vacuum_A=float(vacuum_A),
        **_picture_scale(used),
        contacts_resolved=contacts,
        rows_not_kept=len(own) - len(rows),
    )
    loose = _loose(atoms)
    atoms.info["loose_atoms"] = int(loose.sum())
    return atoms if keep_loose else atoms[~loose]


def to_table(atoms: Atoms, *, pixel_size: float | None = None, height: int | None = None) -> pd.DataFrame:
    """Turn a structure back into a table of atoms, positions in ångström and in pixels of the picture.

    Parameters
    ----------
    atoms : ase.Atoms
        From `to_atoms`, or moved since by a relaxation.
    pixel_size, height : float, int, optional
        Å/px and height [px] of the picture; `to_atoms` notes them in ``info``.

    Raises
    ------
    ValueError
        The picture's scale is neither given nor noted.
    """
    pixel_size = atoms.info.get("pixel_size") if pixel_size is None else pixel_size
    height = atoms.info.get("height_px") if height is None else height
    if pixel_size is None or height is None:
        raise ValueError("`atoms.info` notes no picture; pass `pixel_size` [Å/px] and `height` [px].")
    xy = atoms.positions[:, :2] - np.asarray(atoms.info.get("offset_A", np.zeros(3)))[:2]
    pixels = to_pixels(xy, pixel_size=pixel_size, height=int(height))
    n = len(atoms)
    columns = {name: atoms.arrays.get(name, np.full(n, np.nan)) for name in PER_ATOM}
    return pd.DataFrame({
        "frame": atoms.info.get("frame", 0), "row_px": pixels[:, 0], "col_px": pixels[:, 1],
        "x_A": xy[:, 0], "y_A": xy[:, 1], "element": atoms.get_chemical_symbols(), **columns,
        "kept": True, "reason": "",
    }, index=range(n))  # fmt: skip


def _rows_of(table: pd.DataFrame, frame: int) -> pd.DataFrame:
    require_columns(table, ("x_A", "y_A", "element"), "table")
    own = one_frame(table, frame)
    if own.empty and len(table):
        raise NoAtomsFound(f"The table has no frame {frame}; it has {sorted(table['frame'].unique())}.")
    strangers = sorted({str(e) for e in own["element"] if e == "X" or e not in atomic_numbers})
    if strangers:
        raise ValueError(f"`table` holds {strangers}, which are no chemical elements; rename them first.")
    if not np.isfinite(own[["x_A", "y_A"]].to_numpy(float)).all():
        raise ValueError("`table` holds positions that are not finite; drop those rows first.")
    return own


def _without_contacts(rows: pd.DataFrame, material: Material, distance: float | None) -> np.ndarray:
    """Mark the atoms to use: the most probable first, and none too close to one already taken."""
    points = rows[["x_A", "y_A"]].to_numpy(float)
    worth = rows["probability"].to_numpy(float) if "probability" in rows else np.ones(len(rows))
    names, number = np.unique(rows["element"].to_numpy(str), return_inverse=True)
    stacks = [material.stack(name) for name in names]
    least = np.array([[_contact(a, b) if distance is None else distance for b in stacks] for a in stacks])
    near = cKDTree(points).query_ball_point(points, least.max())
    used = np.ones(len(rows), bool)
    for k in np.argsort(-worth, kind="stable"):
        if used[k]:
            others = np.array([other for other in near[k] if other != k], int)
            away = np.linalg.norm(points[others] - points[k], axis=1)
            used[others[away < least[number[k], number[others]]]] = False
    return used


def _lift(elements: np.ndarray, lift: Mapping[str, float] | None) -> np.ndarray:
    """Return how far each atom is lifted out of the plane [Å], (N,)."""
    lift = dict(lift or {})
    for name, value in lift.items():
        if name not in atomic_numbers or not np.isfinite(value):
            raise ValueError(
                f"`lift_A` has {name!r}: {value!r}; give elements and heights [Å], {{'Si': 0.8}}."
            )
    return np.array([float(lift.get(name, 0.0)) for name in elements])


def _contact(one: tuple[tuple[str, float], ...], other: tuple[tuple[str, float], ...]) -> float:
    """Return how close two columns can look before any of their atoms are in contact [Å]."""
    closest = [CONTACT_A**2]
    for (a, low), (b, high) in itertools.product(one, other):
        bond = covalent_radii[atomic_numbers[a]] + covalent_radii[atomic_numbers[b]]
        closest.append((CONTACT_SHARE * bond) ** 2 - (high - low) ** 2)
    return float(np.sqrt(max(closest)))


def _stacked(names: pd.Series, material: Material) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Put the atoms of a material's columns where the table has one of each.

    Returns the row that each atom comes from (N,), its element (N,), and its height over the sheet's middle
    [Å] (N,).
    """
    stacks = {name: material.stack(name) for name in set(names)}
    row = np.repeat(np.arange(len(names)), [len(stacks[name]) for name in names])
    elements = np.array([element for name in names for element, _ in stacks[name]])
    return row, elements, np.array([z for name in names for _, z in stacks[name]])


def _loose(atoms: Atoms) -> np.ndarray:
    """Mark the atoms that no chain of bonds connects with the largest piece."""
    edges, n = find_edges(atoms), len(atoms)
    graph = coo_matrix((np.ones(len(edges.i)), (edges.i, edges.j)), shape=(n, n))
    piece = connected_components(graph, directed=False)[1]
    return piece != np.bincount(piece).argmax()


def _picture_scale(used: pd.DataFrame) -> dict[str, float]:
    """Read pixel size and height of the picture from the two sets of coordinates the table has."""
    if not {"row_px", "col_px"} <= set(used) or np.ptp(used["col_px"].to_numpy(float)) == 0:
        return {}
    pixel_size = float(np.polyfit(used["col_px"], used["x_A"], 1)[0])
    height = int(round(float((used["y_A"] / pixel_size + used["row_px"]).mean()))) + 1
    return {"pixel_size": pixel_size, "height_px": height}
