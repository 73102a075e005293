"""The energy of a structure as it stands, and what the error of its positions does to it."""

from __future__ import annotations

import numpy as np
from ase import Atoms

from elit_helpers.core.checks import RandomState, check_count, resolve_rng
from elit_helpers.engines.catalogue import EngineLike, choose_engine
from elit_helpers.engines.plan import Plan
from elit_helpers.simulate.record import frame
from elit_helpers.simulate.relax import relax as relaxed
from elit_helpers.simulate.result import check_structure, scale_of


def single_point(atoms: Atoms, *, engine: EngineLike = "auto") -> Atoms:
    """A copy of a structure with its energy [eV] and forces [eV/Å] attached, nothing moved."""
    choice = choose_engine(atoms, engine)
    check_structure(atoms)
    (moment,) = choice.engine.dynamics(atoms, Plan())
    return frame(atoms, moment, scale_of(atoms))


def energy_spread(
    atoms: Atoms,
    *,
    engine: EngineLike = "auto",
    samples: int = 20,
    relax: bool = False,
    rng: RandomState = None,
) -> np.ndarray:
    """What the error bars of the positions do to the energy: energies of structures drawn within them.

    Every atom is moved in the plane by a Gaussian of its ``position_std_A``, which is the root mean square
    distance in the plane: 1/√2 of it along each axis.

    Parameters
    ----------
    atoms
        A structure with the array ``position_std_A``; 0 for an atom that stays.
    engine
        A key of `ENGINES`, ``"auto"``, an `Engine`, or a choice of `choose_engine`.
    samples
        How many structures to draw.
    relax
        Relax each one first (as `relax` does by itself): what is left of the spread is then that of the
        minima it falls into.
    rng
        Seed or generator.

    Returns
    -------
    ndarray
        Energies [eV], (samples,), in the order of the draws.

    Raises
    ------
    ValueError
        There is no ``position_std_A``, or it is not a number, or negative, for an atom.
    """
    own = choose_engine(atoms, engine).engine
    check_count("samples", samples)
    spread = atoms.arrays.get("position_std_A")
    if spread is None:
        raise ValueError(
            "`atoms` has no array 'position_std_A'. A structure of `to_atoms` has it; or set it [Å, root "
            "mean square distance in the plane], for example np.full(len(atoms), 0.05)."
        )
    known = np.isfinite(spread) & (spread >= 0)
    if not known.all():
        raise ValueError(
            f"`position_std_A` is negative or not a number for {np.count_nonzero(~known)} atoms, the first "
            f"being atom {int(np.argmin(known))}. Give them a value; 0 keeps an atom where it is."
        )
    energies, rng = [], resolve_rng(rng)
    for _ in range(samples):
        drawn = atoms.copy()
        along_each_axis = rng.standard_normal((len(atoms), 2)) * spread[:, None] / np.sqrt(2)
        drawn.positions[:, :2] += along_each_axis
        end = relaxed(drawn, engine=own).atoms if relax else single_point(drawn, engine=own)
        energies.append(end.get_potential_energy())
    return np.array(energies)
