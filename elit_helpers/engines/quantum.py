"""The quantum engines as ASE calculators, and what must hold before one starts: spin, charge, cell, elements.

Charge and spin are those that ASE's `Atoms` carry, `set_initial_charges` and `set_initial_magnetic_moments`,
for every engine alike. Nothing is guessed: an odd number of electrons without a spin is refused.
"""

from __future__ import annotations

import math

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator

from elit_helpers.core.checks import EngineMissing, logger, require
from elit_helpers.engines import dftb_plus
from elit_helpers.engines.boxed import Boxed

NAMES = {
    "tblite:gfn1": "GFN1-xTB",
    "tblite:gfn2": "GFN2-xTB",
    "dftb+:mio": "DFTB+ with mio-1-1",
    "dftb+:gfn1": "GFN1-xTB in DFTB+",
    "gpaw:pbe": "GPAW (PBE, LCAO dzp)",
}
GAMMA_ONLY = ("tblite:gfn1", "tblite:gfn2")
DFTB_PLUS = {"dftb+:mio": "mio", "dftb+:gfn1": "gfn1"}
LARGE_A = 12.0  # a cell this wide is computed at Γ alone, a smaller one with k-points that make up this width
# On each side where the structure ends. LCAO reaches 5 Å. A sheet that is polar across, such as silicon that
# stands above carbon, feels the field of its images in tblite. It falls with the height of the box alone: a
# tenth of an electronvolt per ångström at 17 Å, a hundredth at 200 Å, which take the same time.
VACUUM_A = {"tblite": 100.0, "dftb+": 8.0, "gpaw": 5.0}
LAYERS_APART_A = 6.0  # images of a sheet in a cell periodic in z must be this far apart
GRID_A = 0.2
GPAW_SETTINGS = {"mode": "lcao", "basis": "dzp", "xc": "PBE", "h": GRID_A}
# GPAW's grid has a multiple of four points along an edge of the box, and how far apart they are is worth some
# 9 meV an atom between 0.196 and 0.208 Å. With edges that are a multiple of this they are GRID_A apart.
EDGE_A = 4 * GRID_A
SMEARING_EV = 0.1
RADON = 86


# --------------------------------------------------------------------------- at the door
def check(name: str, atoms: Atoms, *, cell: str | None = None) -> None:
    """Refuse what a quantum engine could only compute wrongly, and warn of a cell too small for one k-point.

    Raises
    ------
    ValueError
        Odd number of electrons without a spin (or the wrong parity), a charge in a periodic cell, layers that
        touch their images, an element without parameters, unpaired electrons or a cell relaxation where the
        engine has none.
    """
    unknown = sorted(set(atoms.symbols[atoms.numbers > RADON]))
    if unknown and name != "gpaw:pbe":
        raise ValueError(
            f"engine {name!r} has no parameters for {', '.join(unknown)}: xTB ends with radon. Take gpaw:pbe."
        )
    charge, unpaired = charge_and_spin(atoms)
    if charge and atoms.pbc.any():
        raise ValueError(
            f"`atoms` has a charge of {charge:+d} in a periodic cell, whose energy is infinite. Cut a flake "
            "(pbc False), or take the charge away: atoms.set_initial_charges(None)."
        )
    if unpaired and name == "dftb+:gfn1":
        raise ValueError(
            f"`atoms` has {unpaired} unpaired electrons, and dftb+:gfn1 is closed-shell here. "
            "Take engine='tblite:gfn1', the same method."
        )
    if cell is not None and name == "gpaw:pbe":
        raise ValueError(
            f"`cell` is {cell!r}; GPAW has no stress with LCAO. Pass cell=None, and find the lattice from "
            "the energies of a few lattice constants."
        )
    _check_layers(atoms)
    _check_width(name, atoms)


def charge_and_spin(atoms: Atoms) -> tuple[int, int]:
    """Charge [e] and number of unpaired electrons that `atoms` carries, checked against its electrons.

    Raises
    ------
    ValueError
        If one is no whole number, or the number of electrons does not allow that many unpaired ones.
    """
    charge = _whole("charge", "set_initial_charges", atoms.get_initial_charges())
    unpaired = abs(_whole("spin", "set_initial_magnetic_moments", atoms.get_initial_magnetic_moments()))
    electrons = int(atoms.numbers.sum()) - charge
    if (electrons - unpaired) % 2 == 0 and unpaired <= electrons:
        return charge, unpaired
    line = "atoms.set_initial_magnetic_moments([1.0] + [0.0] * (len(atoms) - 1))"
    if not unpaired:
        raise ValueError(
            f"`atoms` ({atoms.get_chemical_formula()}) has {electrons} electrons, an odd number, and no "
            f"spin: one of them is unpaired. Say where: {line} puts it on atom 0; or close the bond, for "
            "example with a hydrogen."
        )
    raise ValueError(
        f"`atoms` ({atoms.get_chemical_formula()}) has {electrons} electrons, which cannot leave {unpaired} "
        f"unpaired. The magnetic moments add up to the number of unpaired electrons: {line} for one."
    )


def _whole(what: str, setter: str, values: np.ndarray) -> int:
    total = float(np.sum(values))
    if abs(total - round(total)) > 1e-3:
        raise ValueError(
            f"the {what} of `atoms` adds up to {total:g}, which is no whole number; "
            f"set it with atoms.{setter}."
        )
    return round(total)


def _check_layers(atoms: Atoms) -> None:
    """A sheet in a cell periodic in z needs vacuum; a crystal has no gap, and a flake no image."""
    if not atoms.pbc[2] or not len(atoms):
        return
    height = float(atoms.get_volume() / np.linalg.norm(np.cross(atoms.cell[0], atoms.cell[1])))
    levels = np.sort(atoms.get_scaled_positions(wrap=True)[:, 2]) * height
    gap = float(np.diff([*levels, levels[0] + height]).max())
    if 2.0 < gap < LAYERS_APART_A:
        raise ValueError(
            f"the cell of `atoms` has no vacuum: the sheet and its image in z are {gap:.1f} Å apart. Set "
            f"atoms.pbc = (True, True, False), or leave {LAYERS_APART_A:g} Å: atoms.center(vacuum=8, axis=2)."
        )


def _check_width(name: str, atoms: Atoms) -> None:
    widths = atoms.cell.lengths()[:2][atoms.pbc[:2]]
    if name not in GAMMA_ONLY or not widths.size or widths.min() >= LARGE_A:
        return
    repeats = [math.ceil(LARGE_A / a) if p else 1 for a, p in zip(atoms.cell.lengths(), atoms.pbc)]
    logger.warning(
        "%s knows the Γ point only, and this cell is %.1f Å wide: its energy is that of a cell too small. "
        "Take at least %g Å, for example atoms.repeat((%d, %d, 1)).",
        NAMES[name], widths.min(), LARGE_A, *repeats[:2],
    )  # fmt: skip


def k_points(atoms: Atoms) -> tuple[int, int, int]:
    """How many k-points along each vector, Γ among them: one in a wide cell, an odd number in a small one.

    Graphene's two-atom cell gets 5×5, with which PBE's lattice is within 0.001 Å of that with 9×9.
    """
    counts = [math.ceil(LARGE_A / a) if p else 1 for a, p in zip(atoms.cell.lengths(), atoms.pbc)]
    return tuple(n + (n + 1) % 2 for n in counts)


# --------------------------------------------------------------------------- calculators
def calculator(name: str, atoms: Atoms) -> Calculator:
    """The ASE calculator of a quantum engine for a structure like this one.

    Parameters
    ----------
    name
        A key of `NAMES`. ``tblite``: the Γ point only, electrons at 300 K. ``dftb+``: see `dftb_plus`.
        ``gpaw:pbe``: LCAO with the dzp basis on a grid of 0.2 Å, Fermi smearing of 0.1 eV. The last two take
        `k_points`.
    atoms
        The structure; its charge, spin, cell and elements hold for the life of the calculator.

    Raises
    ------
    EngineMissing
        If the engine is not installed; the text names its packages, on pip and on conda.
    """
    if name in GAMMA_ONLY:
        method = NAMES[name]
        if not atoms.pbc.any() or atoms.pbc.all():
            return _tblite(method)
        # Its periodic cell is periodic in all directions, whatever `pbc` says of z.
        return Boxed(lambda inner: _tblite(method), atoms, VACUUM_A["tblite"])
    charge, unpaired = charge_and_spin(atoms)
    if name in DFTB_PLUS:
        points = k_points(atoms) if atoms.pbc.any() else None
        dftb_plus.program()
        return Boxed(
            lambda inner: dftb_plus.calculator(
                DFTB_PLUS[name], inner, kpoints=points, charge=charge, unpaired=unpaired
            ),
            atoms,
            VACUUM_A["dftb+"],
            whole=atoms.pbc.any(),
        )
    gpaw = _gpaw()
    settings = GPAW_SETTINGS | {
        "kpts": {"size": k_points(atoms), "gamma": True},
        "charge": charge,
        "txt": None,
        # An atom that moves breaks the symmetry of the first frame.
        "symmetry": {"point_group": False},
        "occupations": {"name": "fermi-dirac", "width": SMEARING_EV, "fixmagmom": bool(unpaired)},
    }
    box = Boxed(lambda inner: gpaw.GPAW(**settings), atoms, VACUUM_A["gpaw"], edge_A=EDGE_A)
    box.faults = (gpaw.KohnShamConvergenceError,)  # it is neither a RuntimeError nor a ValueError
    return box


def _tblite(method: str) -> Calculator:
    try:
        module = require("tblite.ase", method)
    except EngineMissing as error:
        # conda-forge splits the library from its Python half
        raise EngineMissing(
            str(error).replace("conda-forge tblite`", "conda-forge tblite-python`")
        ) from error
    return module.TBLite(method=method, verbosity=0)


def _gpaw():
    try:
        return require("gpaw", NAMES["gpaw:pbe"], extra="quantum")
    except EngineMissing as error:
        raise EngineMissing(
            f"{error} pip builds it, and needs a C++ compiler, libxc and a BLAS first (Debian and Ubuntu: "
            "apt install g++ libxc-dev libopenblas-dev, then CC=g++ pip install gpaw gpaw-data)."
        ) from error


# --------------------------------------------------------------------------- in plain words
def explain(name: str, error: Exception) -> str:
    """What a calculator's error means and what to change."""
    said = " ".join(str(error).split())[:400] or type(error).__name__
    unsettled = type(error).__name__ in ("KohnShamConvergenceError", "SCFError") or any(
        word in said.lower() for word in ("converge", "did not settle", "scf", "scc")
    )
    advice = "Relax the structure with a classical engine first"
    if unsettled:
        advice = (
            "The charges did not settle, which mostly means broken bonds, atoms too close or a wrong spin. "
            "Relax with a classical engine first (lammps:lcbop or airebo), close open edges with hydrogen, "
            "set the unpaired electrons with atoms.set_initial_magnetic_moments, or take a shorter time step"
        )
    return f"{NAMES.get(name, name)} stopped: {said.rstrip('.')}. {advice}."
