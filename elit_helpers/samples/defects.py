"""Point defects: an atom or two taken out, changed, turned or added.

Everything here is a start: relax it before a length or an energy is read from it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers, covalent_radii
from scipy.spatial import QhullError, Voronoi, cKDTree

from elit_helpers.core.checks import RandomState, check_choice, check_positive, resolve_rng
from elit_helpers.samples.sheets import check_index, neighbours, reach_of

_COLUMN = 0.3  # Å: atoms closer than this, seen from above, are one column


def _check_element(name, element):
    """Refuse what is no chemical symbol."""
    if element not in atomic_numbers or element == "X":
        raise ValueError(f"`{name}` is {element!r}; give a chemical symbol such as 'Si', 'N' or 'B'.")
    return element


def _choose(atoms, index, rng, element=None):
    """The given atom, or a random one (of an element)."""
    if not len(atoms):
        raise ValueError("`atoms` is empty; start from sheet('graphene', (30.0, 30.0)), for example.")
    symbols = np.array(atoms.get_chemical_symbols())
    if index is None:
        if element is None:
            index = int(resolve_rng(rng).integers(len(atoms)))
        else:
            found = np.flatnonzero(symbols == element)
            if not len(found):
                raise ValueError(
                    f"No atom is {element!r}; the structure has {', '.join(sorted(set(symbols.tolist())))}."
                )
            index = int(resolve_rng(rng).choice(found))
    check_index(atoms, index)
    if element is not None and symbols[index] != element:
        raise ValueError(
            f"Atom {index} is {symbols[index]}, not {element}; leave out `index` or the element."
        )
    return index


def _vector(atoms, i, j):
    """From atom `i` to the nearest image of atom `j` [Å]."""
    return atoms.get_distance(i, j, mic=bool(atoms.pbc.any()), vector=True)


def _column_of(atoms, index):
    """Indices of all atoms above and below one atom, itself among them."""
    away = atoms.get_distances(index, np.arange(len(atoms)), mic=bool(atoms.pbc.any()), vector=True)
    return np.flatnonzero(np.hypot(away[:, 0], away[:, 1]) < _COLUMN).tolist()


def _partner(atoms, index):
    """The nearest bonded neighbour of an atom, in the plane with it."""
    others = neighbours(atoms, index)
    if len(others) == 0:
        raise ValueError(
            f"Atom {index} has no neighbour within {reach_of(atoms):.3g} Å; choose an atom inside the sheet."
        )
    partner = int(others[np.argmin(atoms.get_distances(index, others, mic=bool(atoms.pbc.any())))])
    if abs(_vector(atoms, index, partner)[2]) > 0.8:
        raise ValueError(
            f"The bond of atoms {index} and {partner} leaves the plane: this defect belongs to sheets "
            "one atom thin, such as graphene and hBN."
        )
    return partner


def add_vacancy(
    atoms: Atoms,
    index: int | None = None,
    *,
    element: str | None = None,
    column: bool = False,
    rng: RandomState = None,
) -> tuple[Atoms, dict[str, Any]]:
    """Take one atom out; in MoS2 one S of a column, or both.

    Parameters
    ----------
    atoms : ase.Atoms
    index : int, optional
        Which; a random one if not given.
    element : str, optional
        Of which element, where the choice is random.
    column : bool
        Take all atoms of its column.
    rng : int, Generator or None

    Returns
    -------
    atoms : ase.Atoms
    info : dict
        ``defect``, ``element``, ``removed`` (indices) and ``position`` [Å].
    """
    index = _choose(atoms, index, rng, element)
    removed = _column_of(atoms, index) if column else [index]
    out, position = atoms.copy(), atoms.positions[index].copy()
    del out[removed]
    return out, {
        "defect": "vacancy",
        "element": atoms.get_chemical_symbols()[index],
        "removed": removed,
        "position": position,
    }


def add_divacancy(
    atoms: Atoms, index: int | None = None, *, kind: str = "5-8-5", rng: RandomState = None
) -> tuple[Atoms, dict[str, Any]]:
    """Take two neighbours out of graphene or hBN, and close the rings around them.

    Parameters
    ----------
    atoms : ase.Atoms
    index : int, optional
        One of the two; a random atom if not given. The other is its nearest neighbour.
    kind : {"5-8-5", "555-777"}
        Two pentagons at an octagon, or, with one more bond turned, three pentagons and three heptagons.
    rng : int, Generator or None

    Returns
    -------
    atoms : ase.Atoms
        Unrelaxed: relax it before anything else.
    info : dict
        ``defect``, ``removed`` (two indices in the input), ``turned`` (none, or two indices in the output)
        and ``position`` (the middle of what was removed) [Å].

    Raises
    ------
    ValueError
        For an unknown kind, or where an edge or another defect is too close.

    Notes
    -----
    The bond that closes each pentagon of 5-8-5 stays long: 1.8 Å in relaxed LCBOP, more than the 1.75 Å
    up to which rings are counted. Count them with ``ring_census(atoms, cutoffs={("C", "C"): 1.9})``.
    """
    check_choice("kind", kind, ("5-8-5", "555-777"))
    index = _choose(atoms, index, rng)
    partner = _partner(atoms, index)
    position = atoms.positions[index] + _vector(atoms, index, partner) / 2
    ends = [np.setdiff1d(neighbours(atoms, i), [index, partner]) for i in (index, partner)]
    if any(len(pair) != 2 for pair in ends):
        raise ValueError(
            f"Atoms {index} and {partner} have {len(ends[0])} and {len(ends[1])} further neighbours; a "
            "divacancy needs two each. Choose an atom inside the sheet, away from other defects."
        )
    out = atoms.copy()
    turned = _opposite_bond(atoms, (index, partner), ends) if kind == "555-777" else []
    if turned:
        _turn(out, *turned)
    for i, j in ends:  # the new bond of each pentagon, a little long as it is after relaxation
        across = _vector(atoms, i, j)
        step = across * (1 - 1.72 / np.linalg.norm(across)) / 2
        out.positions[i] += step
        out.positions[j] -= step
    removed = sorted((index, partner))
    del out[removed]
    turned = [i - sum(gone < i for gone in removed) for i in turned]
    return out, {"defect": f"divacancy {kind}", "removed": removed, "turned": turned, "position": position}


def _opposite_bond(atoms, removed, ends):
    """The bond across one of the two hexagons that share the bond taken out."""
    for i in ends[0]:
        for j in ends[1]:
            for x in np.setdiff1d(neighbours(atoms, int(i)), removed):
                y = np.intersect1d(
                    neighbours(atoms, int(x)), np.setdiff1d(neighbours(atoms, int(j)), removed)
                )
                if len(y):
                    return [int(x), int(y[0])]
    raise ValueError(
        f"Atoms {removed[0]} and {removed[1]} share no hexagon; choose an atom away from other defects."
    )


def add_stone_wales(
    atoms: Atoms, index: int | None = None, *, rng: RandomState = None
) -> tuple[Atoms, dict[str, Any]]:
    """Turn one bond by 90°: two pentagons and two heptagons in place of four hexagons.

    Parameters
    ----------
    atoms : ase.Atoms
    index : int, optional
        One end of the bond; a random atom if not given. The other end is its nearest neighbour.
    rng : int, Generator or None

    Returns
    -------
    atoms : ase.Atoms
        Unrelaxed: relax it before anything else.
    info : dict
        ``defect``, ``turned`` (two indices) and ``position`` (the bond's middle) [Å].

    Raises
    ------
    ValueError
        If the atom has no neighbour, or its bond leaves the plane.
    """
    index = _choose(atoms, index, rng)
    partner = _partner(atoms, index)
    out = atoms.copy()
    middle = _turn(out, index, partner)
    return out, {"defect": "stone-wales", "turned": [index, partner], "position": middle}


def _turn(atoms, i, j):
    """Turn the bond of two atoms by 90° in place, and return its middle."""
    bond = _vector(atoms, i, j)
    middle = atoms.positions[i] + bond / 2
    # a little shorter than the bond was, so that the two new pentagons do not start crushed
    across = 0.48 * np.array([-bond[1], bond[0], 0.0])
    atoms.positions[i], atoms.positions[j] = middle - across, middle + across
    return middle


def substitute(
    atoms: Atoms,
    index: int | None = None,
    element: str = "Si",
    *,
    where: str | None = None,
    column: bool = False,
    rng: RandomState = None,
) -> tuple[Atoms, dict[str, Any]]:
    """Change the element of one atom: a dopant, or an antisite.

    A larger atom pushes its neighbours away, silicon in graphene by 0.2 Å.

    Parameters
    ----------
    atoms : ase.Atoms
    index : int, optional
        Which; a random one if not given.
    element : str
        What it becomes, such as "Si", "N" or "B" in graphene; "Mo" on a place of S is an antisite.
    where : str, optional
        Which element is replaced, where the choice is random.
    column : bool
        Put one atom in the place of its whole column, at its mean height: "Mo" for both S.
    rng : int, Generator or None

    Returns
    -------
    atoms : ase.Atoms
    info : dict
        ``defect``, ``index`` (in the output), ``was``, ``removed`` (indices in the input) and ``position``.

    Raises
    ------
    ValueError
        For what is no chemical symbol, or no atom.
    """
    _check_element("element", element)
    index = _choose(atoms, index, rng, where)
    out, was = atoms.copy(), atoms.get_chemical_symbols()[index]
    removed = []
    if column:
        stack = _column_of(atoms, index)
        removed = [i for i in stack if i != index]
        out.positions[index, 2] = atoms.positions[stack, 2].mean()
    out.symbols[index] = element
    grown = covalent_radii[atomic_numbers[element]] - covalent_radii[atomic_numbers[was]]
    if grown > 0.1:  # boron for carbon, 0.08 Å larger, bends the sheet by less than can be seen
        for other in neighbours(atoms, index):
            away = _vector(atoms, index, int(other))
            out.positions[other] += grown * (0.2 / 0.35) * away / np.linalg.norm(away)
    position = out.positions[index].copy()
    del out[removed]
    return out, {
        "defect": f"{element} for {was}",
        "index": index - sum(i < index for i in removed),
        "was": was,
        "removed": removed,
        "position": position,
    }


def add_adatom(
    atoms: Atoms,
    element: str = "Cr",
    *,
    point: tuple[float, float] | None = None,
    site: str = "hollow",
    height_A: float | None = None,
    rng: RandomState = None,
) -> tuple[Atoms, dict[str, Any]]:
    """Put an atom on top of a sheet, at the site of a kind that is nearest to a point.

    Parameters
    ----------
    atoms : ase.Atoms
    element : str
    point : tuple of float, optional
        x, y [Å]; beside a random atom if not given.
    site : {"hollow", "bridge", "top"}
        In the middle of a ring, above the middle of a bond, or above a column.
    height_A : float, optional
        Above the atoms it touches [Å]; from covalent radii if not given.
    rng : int, Generator or None

    Returns
    -------
    atoms : ase.Atoms
        The new atom is the last one.
    info : dict
        ``defect``, ``index``, ``site`` and ``position`` [Å].

    Raises
    ------
    ValueError
        For an unknown site or element, or where no such site is within 5 Å of the point.
    """
    _check_element("element", element)
    check_choice("site", site, ("hollow", "bridge", "top"))
    rng = resolve_rng(rng)
    if point is None:
        point = atoms.positions[_choose(atoms, None, rng), :2] + rng.normal(
            0, 0.5, 2
        )  # in any ring around it
    point = np.asarray(point, float)[:2]
    around, numbers = _surroundings(atoms, point)
    sites = _sites(around[:, :2], site)
    far = np.hypot(*(sites - point).T) if len(sites) else np.array([np.inf])
    if far.min() > 5:
        raise ValueError(
            f"No {site} site lies within 5 Å of {tuple(point.tolist())}; choose a `point` on the sheet."
        )
    xy = sites[np.argmin(far)]
    beside = np.hypot(*(around[:, :2] - xy).T)
    touched = beside < beside.min() + 0.3
    top = around[touched, 2].max()
    if height_A is None:
        bond = covalent_radii[atomic_numbers[element]] + covalent_radii[numbers[touched]].mean()
        height_A = np.sqrt(max(bond**2 - beside.min() ** 2, 1.0))
    position = np.array([*xy, top + check_positive("height_A", height_A, unit="Å")])
    out = atoms.copy()
    out.append(element)
    out.positions[-1] = position
    info = {"defect": f"{element} adatom", "index": len(out) - 1, "site": site, "position": position}
    return out, info


def _surroundings(atoms, point, reach=12.0):
    """Positions [Å] and atomic numbers of the atoms within `reach` in the plane, periodic images too."""
    steps = [np.arange(-1, 2) if periodic else np.zeros(1) for periodic in atoms.pbc[:2]]
    shifts = np.array([(i, j) for i in steps[0] for j in steps[1]]) @ atoms.cell.array[:2]
    places = (atoms.positions + shifts[:, None]).reshape(-1, 3)
    near = np.hypot(*(places[:, :2] - point).T) < reach
    return places[near], np.tile(atoms.numbers, len(shifts))[near]


def _sites(xy, site):
    """All sites of a kind between columns at `xy`: columns, middles of nearest pairs, or centres of gaps."""
    if len(xy) < 4:
        return np.empty((0, 2))
    if site == "top":
        return xy
    xy = xy[~np.isin(np.arange(len(xy)), cKDTree(xy).query_pairs(_COLUMN, output_type="ndarray")[:, 1])]
    spacing = float(np.median(cKDTree(xy).query(xy, 2)[0][:, 1])) if len(xy) > 1 else 0.0
    if site == "bridge":
        pairs = cKDTree(xy).query_pairs(1.2 * spacing, output_type="ndarray")
        return xy[pairs].mean(1)
    try:
        corners = Voronoi(xy).vertices
    except (QhullError, ValueError):  # fewer than three columns, or all in one line
        return np.empty((0, 2))
    # Beyond an edge of the sheet lie corners too, but far from every column.
    depth = cKDTree(xy).query(corners)[0]
    return corners[(depth > 0.7 * spacing) & (depth < 3 * spacing)]
