"""A defect set into an endless ideal sheet, which is fitted to the picture's own lattice.

Everything is done in the coordinates of that lattice: a site of the picture is a site of the ideal sheet, so
the two fit together whatever the picture's orientation, scale and strain are.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase import Atoms

from elit_helpers.core.checks import check_positive
from elit_helpers.geometry.bonds import coordination, find_edges
from elit_helpers.geometry.matching import match_positions
from elit_helpers.geometry.rings import inside, rings
from elit_helpers.samples.materials import Material, material_of
from elit_helpers.samples.sheets import sheet
from elit_helpers.structure.regions import check_region
from elit_helpers.structure.sheet_lattice import SheetLattice, outer_edge, sheet_lattice

MARGIN_A = 8.0  # how far beyond a patch its lattice is fitted: a defect bends the sheet less there
RIM_A = 2.2  # the outermost ring of a patch, where it must be the lattice: a bond and a half
BETWEEN_A = 10.0  # of ideal sheet between one defect and its next copy, if no size is asked for
LARGEST_RING = 9  # of a defect that is closed, 5-9; what is larger is open: a hole
ON_SITE = 0.5  # share of a bond that an atom may be off its site
RADII_A = np.arange(10.0, 3.4, -0.5).tolist()  # tried in this order
SLACK = 1.15  # how much longer than usual an unrelaxed bond at the seam may be; 2.0 Å in graphene
BOX = np.array([[1, 0], [-1, 2]])  # two vectors of a hexagonal lattice at a right angle
PER_ATOM = {"probability": 1.0, "member_share": 1.0, "position_std_A": 0.0}  # of an atom that is assumed


def embed(
    atoms: Atoms,
    center: Sequence[float],
    *,
    radius_A: float | None = None,
    size_A: float | Sequence[float] | None = None,
    material: str | Material = "graphene",
    keep_strain: bool = False,
) -> Atoms:
    """Set the atoms about a point into an endless ideal sheet, which has the picture's own orientation.

    The lattice is fitted to the picture around the patch. Inside `radius_A` the atoms are the picture's,
    outside they are the sites of that lattice, up to a cell in which they repeat without a misfit.

    Parameters
    ----------
    atoms : ase.Atoms
        A sheet or flake, from `to_atoms`.
    center : (2,) sequence of float
        x, y of the middle of the patch [Å].
    radius_A : float, optional
        Radius of the patch [Å]: the defect, and around it a ring of perfect lattice. If not given, the
        largest from 10 down to 3.5 Å that has such a ring.
    size_A : float or (2,) sequence of float, optional
        Least length of the cell along and across the lattice's first vector [Å]; 10 Å more than the patch
        is wide if not given.
    material : str or Material
        As for `sheet_lattice`.
    keep_strain : bool
        True keeps the strain (and a wrong pixel size) that the picture has; else the sheet, and the patch
        with it, have the material's own lattice constant.

    Returns
    -------
    ase.Atoms
        Periodic in x and y; the cell lies as the picture's lattice does. Array ``from_picture`` tells the two
        kinds of atom apart; what is assumed has no spread. ``info`` has ``radius_A, rotation_deg``,
        ``strain`` (2, 2), ``lattice_rms_A``, ``seam_bonds`` (count), ``seam_shortest_A, seam_longest_A`` and
        ``offset_A``, which was added to the picture's coordinates of the middle.

    Raises
    ------
    ValueError
        The region is empty, larger than the picture or than `size_A`, touches the flake's edge, has a rim
        that is not the lattice (a wider hole, a defect, contamination, another grain), or the seam would not
        close.
    """
    center, material = np.asarray(center, float)[:2], material_of(material)
    if radius_A is None:
        return _widest(atoms, center, size_A=size_A, material=material, keep_strain=keep_strain)
    _refuse_void(atoms, center, radius_A)
    check_region(atoms, center, radius_A)
    _refuse_edge(atoms, material, center, radius_A)
    lattice = sheet_lattice(atoms, center=center, radius_A=radius_A + MARGIN_A, material=material)
    cells = _cells(lattice, radius_A, size_A)
    axes = lattice.axes if keep_strain else lattice.unstrained
    level = float(np.median(atoms.positions[:, 2]))
    chosen = _patch_of(atoms, lattice, center, radius_A, level)
    middle = lattice.to_lattice(center)
    uv, basis = _sites_of_cell(lattice, middle, cells)
    outside = np.linalg.norm(lattice.to_picture(uv) - center, axis=1) > radius_A
    ideal = _ideal_atoms(lattice.material, uv[outside], basis[outside])
    patch = atoms[chosen]
    patch.positions[:, :2] = lattice.to_lattice(patch.positions[:, :2])
    patch.positions[:, 2] -= level
    whole = _joined(patch, ideal)
    moved = _into_cell(whole, middle, (cells[:, None] * BOX) @ axes, axes, lattice.material)
    before = np.asarray(atoms.info.get("offset_A", np.zeros(3)), float)
    whole.info = {
        **atoms.info, "offset_A": before + moved - [*center, level], "radius_A": float(radius_A),
        "rotation_deg": lattice.rotation_deg, "strain": lattice.strain, "lattice_rms_A": lattice.rms_A,
        **_seam(whole, lattice.material),
    }  # fmt: skip
    return whole


def _into_cell(
    whole: Atoms, middle: np.ndarray, corners: np.ndarray, axes: np.ndarray, material: Material
) -> np.ndarray:
    """Make of lattice coordinates positions in a periodic cell, in place; return where the middle is [Å]."""
    height = float(whole.info.get("vacuum_A", 15.0)) + material.thickness
    half = np.append(corners.sum(axis=0) / 2, height / 2)
    whole.positions[:, :2] = (whole.positions[:, :2] - middle) @ axes
    whole.positions += half
    whole.set_cell([[*corners[0], 0], [*corners[1], 0], [0, 0, height]])
    whole.pbc = (True, True, False)
    return half


def _widest(atoms: Atoms, center: np.ndarray, **options) -> Atoms:
    """Embed the largest patch that can be; what is against the smallest that holds atoms is raised."""
    nearest = np.linalg.norm(atoms.positions[:, :2] - center, axis=1).min(initial=np.inf)
    radii = [radius for radius in RADII_A if radius >= nearest] or RADII_A[:1]
    for radius in radii[:-1]:
        try:
            return embed(atoms, center, radius_A=radius, **options)
        except ValueError:
            continue
    return embed(atoms, center, radius_A=radii[-1], **options)


def _refuse_void(atoms: Atoms, center: np.ndarray, radius: float) -> None:
    """Refuse a patch without an atom if it lies in a hole; what else is empty, `check_region` refuses."""
    check_positive("radius_A", radius, unit="Å")
    if (np.linalg.norm(atoms.positions[:, :2] - center, axis=1) > radius).all():
        hole = _hole_about(atoms, [center])
        if hole is not None:
            raise ValueError(
                f"The region about {tuple(center.round(2).tolist())} holds no atom: "
                f"{_too_wide(atoms, hole, center, radius)}"
            )


def _hole_about(atoms: Atoms, places: Sequence[np.ndarray]) -> tuple[int, ...] | None:
    """Atoms of the largest hole in which one of these places (x, y) lies, None if none does."""
    table = rings(atoms)
    holes = [list(ring) for ring in table.loc[table["size"] > LARGEST_RING, "atoms"]]
    found = [ring for ring in holes if any(inside(atoms.positions[ring, :2], place) for place in places)]
    return tuple(found[-1]) if found else None


def _too_wide(atoms: Atoms, hole: tuple[int, ...], center: np.ndarray, radius: float) -> str:
    reach = float(np.linalg.norm(atoms.positions[list(hole), :2] - center, axis=1).max())
    return (
        f"a hole in the sheet, a ring of {len(hole)} atoms, is too wide for a patch of {radius:g} Å. It "
        f"reaches {reach:.1f} Å from the `center`: a `radius_A` of {reach + RIM_A:.1f} Å would hold it, or a "
        "smaller one about the hole's own middle."
    )


def _refuse_edge(atoms: Atoms, material: Material, center: np.ndarray, radius: float) -> None:
    away = np.linalg.norm(atoms.positions[:, :2] - center, axis=1)
    edge = outer_edge(atoms, material)
    touching = edge & (away <= radius)
    if touching.any():
        raise ValueError(
            f"The region about {tuple(center.round(2).tolist())} touches the edge of the flake, or of "
            f"contamination: {touching.sum()} edge atoms within {radius:g} Å, the nearest "
            f"{away[edge].min():.1f} Å away. What the sheet is like beyond was not seen. Give a smaller "
            "`radius_A`, or another place."
        )


def _cells(lattice: SheetLattice, radius: float, size: float | Sequence[float] | None) -> np.ndarray:
    """How often the rectangular cell is repeated along and across the first lattice vector, (2,) int."""
    lengths = lattice.a_A * np.array([1.0, np.sqrt(3)])
    wanted = 2 * radius + BETWEEN_A if size is None else size
    wanted = np.broadcast_to(np.asarray(wanted, float), 2)
    least = 2 * radius + 2 * lattice.a_A
    if not np.isfinite(wanted).all() or (wanted < least).any():
        raise ValueError(
            f"`size_A` is {size!r}; a patch of radius {radius:g} Å needs a cell of at least {least:.1f} Å, "
            "so that there is ideal sheet between it and its copies."
        )
    return np.ceil(wanted / lengths - 1e-9).astype(int)


def _patch_of(
    atoms: Atoms, lattice: SheetLattice, center: np.ndarray, radius: float, level: float
) -> np.ndarray:
    """Choose the picture's atoms, (N,) bool: those whose site is inside, and inside those without a site."""
    sites, names = sites_about(lattice, center, radius + 2 * lattice.bond_A)
    layers = 2 if lattice.material.is_flat else 3
    heavy = np.flatnonzero(atoms.numbers != 1)
    points = atoms.positions[heavy] - [0, 0, level]
    tolerance = ON_SITE * lattice.bond_A
    i, j = match_positions(sites[:, :layers], points[:, :layers], tolerance_A=tolerance)
    away = np.linalg.norm(sites[:, :2] - center, axis=1)
    _check_rim(atoms, heavy, sites, names, center, (i, j), radius)
    chosen = np.zeros(len(atoms), bool)
    chosen[heavy[j[away[i] <= radius]]] = True
    homeless = np.setdiff1d(np.arange(len(heavy)), j)
    far = np.linalg.norm(points[homeless, :2] - center, axis=1)
    chosen[heavy[homeless[far <= radius]]] = True
    stray = (far <= radius + 0.5) & (far > radius - lattice.bond_A)
    if stray.any():
        place = points[homeless[stray][0], :2]
        raise ValueError(
            f"The atom at ({place[0]:.1f}, {place[1]:.1f}) Å is on no site of the sheet and only "
            f"{abs(radius - far[stray][0]):.1f} Å from the patch's border: the defect reaches out of it. "
            f"Give a larger `radius_A` than {radius:g} Å, or move the `center`."
        )
    return chosen


def _check_rim(atoms, heavy, sites, names, center, pairs, radius) -> None:
    """Refuse a patch whose outermost ring is not the perfect lattice."""
    i, j = pairs
    occupied = np.zeros(len(sites), bool)
    occupied[i] = np.array(atoms.get_chemical_symbols())[heavy[j]] == names[i]
    away = np.linalg.norm(sites[:, :2] - center, axis=1)
    rim = (away <= radius) & (away > radius - RIM_A)
    wrong = np.flatnonzero(rim & ~occupied)
    if len(wrong):
        x, y = sites[wrong[0], :2]
        hole = _hole_about(atoms, sites[np.setdiff1d(wrong, i), :2])
        raise ValueError(
            f"The rim of the patch is not the sheet's lattice: {len(wrong)} of its {rim.sum()} sites hold no "
            f"atom of their element, the first at ({x:.1f}, {y:.1f}) Å: "
            + (
                "a defect, another grain or contamination reaches across it. Give another `radius_A` than "
                f"{radius:g} Å, or move the `center`."
                if hole is None
                else _too_wide(atoms, hole, center, radius)
            )
        )


def sites_about(lattice: SheetLattice, center: np.ndarray, radius: float) -> tuple[np.ndarray, np.ndarray]:
    """Sites of the lattice within a radius: x, y of the picture, z over the sheet's middle; and elements."""
    n = int(radius / lattice.a_A / np.sin(np.pi / 3)) + 2
    steps = np.stack(np.mgrid[-n : n + 1, -n : n + 1], -1).reshape(-1, 2)
    cell = np.round(lattice.to_lattice(center)) + steps
    basis = lattice.material.basis
    uv = (cell[:, None] + [atom[1:3] for atom in basis]).reshape(-1, 2)
    points = np.c_[lattice.to_picture(uv), np.tile(lattice.material.positions[:, 2], len(cell))]
    near = np.linalg.norm(points[:, :2] - center, axis=1) <= radius
    return points[near], np.tile([atom[0] for atom in basis], len(cell))[near]


def _sites_of_cell(
    lattice: SheetLattice, middle: np.ndarray, cells: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """All sites of the cell, each where it is nearest to `middle`: (M, 2) uv, and its number in the basis."""
    corners = cells[:, None] * BOX
    i, j = (k.ravel() for k in np.mgrid[: cells[0], : 2 * cells[1]])
    basis = lattice.material.basis
    uv = (np.c_[i, j][:, None] + [atom[1:3] for atom in basis]).reshape(-1, 2)
    share = (uv - middle) @ np.linalg.inv(corners)
    uv = middle + (share - np.floor(share + 0.5)) @ corners
    return uv, np.tile(np.arange(len(basis)), len(i))


def _ideal_atoms(material: Material, uv: np.ndarray, number: np.ndarray) -> Atoms:
    return Atoms([material.basis[k][0] for k in number], np.c_[uv, material.positions[number, 2]])


def _joined(patch: Atoms, ideal: Atoms) -> Atoms:
    """Picture and ideal atoms as one, with the arrays of the picture's."""
    patch.set_constraint()
    patch.arrays["from_picture"] = np.ones(len(patch), bool)
    ideal.arrays["from_picture"] = np.zeros(len(ideal), bool)
    for name, values in patch.arrays.items():
        if name not in ideal.arrays:
            shape = (len(ideal), *values.shape[1:])
            blank = -1 if name == "table_row" else PER_ATOM.get(name, 0)
            ideal.arrays[name] = np.full(shape, blank, values.dtype)
    return patch + ideal


def _seam(whole: Atoms, material: Material) -> dict[str, float]:
    """Count and measure the bonds between picture and ideal sheet; refuse a seam that does not close."""
    # Before it is relaxed a bond at the seam may be longer than the usual cut-off: look as if from nearer.
    slack, closer = SLACK if material.is_flat else 1.0, whole.copy()
    closer.set_cell(whole.cell / slack, scale_atoms=True)
    edges, from_picture = find_edges(closer), whole.arrays["from_picture"]
    own = sheet(material, (4, 3))
    usual = dict(zip(own.get_chemical_symbols(), coordination(own).tolist(), strict=True))
    bonds = np.bincount(edges.i, minlength=len(whole))
    wanted = np.array([usual.get(symbol, 0) for symbol in whole.get_chemical_symbols()])
    wrong = np.flatnonzero(~from_picture & (bonds != wanted))
    if len(wrong):
        raise ValueError(
            f"The seam does not close: {len(wrong)} atoms of the ideal sheet beside the patch have "
            f"{sorted(set(bonds[wrong].tolist()))} bonds instead of {wanted[wrong[0]]}. The picture's atoms "
            "at the rim are too far off their sites; give a larger `radius_A`."
        )
    across = slack * np.linalg.norm(edges.vector[from_picture[edges.i] & ~from_picture[edges.j]], axis=1)
    return {
        "seam_bonds": len(across),
        "seam_shortest_A": float(across.min()),
        "seam_longest_A": float(across.max()),
    }
