"""The box of a structure: where it is not periodic it ends, and there must be room around it.

A structure from a picture has its origin in the picture's corner and atoms on both sides of it; its cell says
nothing where it has no period. Programs that repeat every cell need a gap there, and those that do not need
all atoms inside.
"""

from __future__ import annotations

import numpy as np
from ase import Atoms


def box_around(atoms: Atoms, margin_A: float) -> tuple[np.ndarray, np.ndarray]:
    """The box that holds every atom: periodic vectors as they are, a margin in the other directions.

    Parameters
    ----------
    atoms
        Structure with N atoms, in any cell; vectors that are not periodic do not count.
    margin_A
        From the outermost atoms to the walls, on each side [Å].

    Returns
    -------
    ndarray, ndarray
        The cell (3, 3) and its lower corner (3,) [Å], in the frame of `atoms`. A vector without a period is
        at right angles to all others, as LAMMPS wants it.
    """
    cell, corner, ends = np.array(atoms.cell, float), np.zeros(3), np.flatnonzero(~atoms.pbc)
    cell[ends] = 0.0
    for row in ends:
        cell[row] = _across(cell, row)
    if np.linalg.det(cell) < 0:  # a mirror image is another structure
        cell[ends[-1:]] *= -1
    for row in ends:
        axis = cell[row].copy()
        along = atoms.positions @ axis
        cell[row] *= np.ptp(along) + 2 * margin_A
        corner += axis * (along.min() - margin_A)
    return cell, corner


def _across(cell: np.ndarray, row: int) -> np.ndarray:
    """A unit vector at right angles to all of a cell's, along x, y or z: that of its row if it can be."""
    left = np.eye(3) - np.linalg.pinv(cell) @ cell
    size = np.linalg.norm(left, axis=1)
    best = row if size[row] > 0.1 else int(size.argmax())
    return left[best] / size[best]


def gaps(atoms: Atoms) -> np.ndarray:
    """How far a structure is from its image in the next cell, along each vector without a period (3,) [Å].

    Measured at right angles to the other two vectors; infinite where there is a period, and where there is no
    vector to repeat it by.
    """
    found = np.full(3, np.inf)
    normals = np.linalg.inv(atoms.cell.complete()).T  # of the planes, as long as 1 / their distance
    for row in np.flatnonzero(~atoms.pbc & atoms.cell.any(1)):
        height = 1 / np.linalg.norm(normals[row])
        found[row] = height * (1 - np.ptp(atoms.positions @ normals[row]))
    return found


def with_gaps(atoms: Atoms, least_A: float, wanted_A: float | None = None) -> Atoms:
    """A copy whose cell keeps the structure apart from its images; no atom is moved.

    Parameters
    ----------
    atoms
        Structure with N atoms. A vector without a period and without a length gets one.
    least_A
        A gap smaller than this is widened [Å].
    wanted_A
        To this [Å]; None: to `least_A`.
    """
    roomy, wanted = atoms.copy(), least_A if wanted_A is None else wanted_A
    missing = ~atoms.pbc & ~atoms.cell.any(1)
    roomy.cell = atoms.cell.complete()
    present = gaps(roomy)
    for row in np.flatnonzero(missing | (present < least_A)):
        height = 1 / np.linalg.norm(np.linalg.inv(roomy.cell)[:, row])
        roomy.cell[row] *= 1 + (wanted - present[row]) / height
    return roomy
