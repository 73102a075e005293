"""Structures as files that other codes read, and read back the same."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from ase import Atoms

from elit_helpers.core.checks import PathLike
from elit_helpers.core.files import write_together

FILES = ("POSCAR", "structure.lmp", "structure.extxyz")


def write_atoms(atoms: Atoms, path: PathLike) -> Path:
    """Write a structure in the format its name asks for.

    ``POSCAR…`` and ``.vasp``: VASP 5, cartesian, atoms sorted by element as VASP wants them. ``.lmp``:
    LAMMPS data, `atom_style atomic`, types in alphabetical order of the elements, with masses.
    ``.extxyz``: extended XYZ, with all per-atom arrays. ``.cif``: for crystallographers and viewers; a CIF
    knows crystals only, so what is read back is periodic in all directions.

    Raises
    ------
    ValueError
        No atoms, positions that are not finite, no cell, or an ending that stands for none of these.
    """
    from ase.io import write

    path = Path(path)
    if not len(atoms):
        raise ValueError("`atoms` is empty; there is nothing to write.")
    if not np.isfinite(atoms.positions).all():
        raise ValueError("`atoms` has positions that are not finite; no engine could read that file.")
    if atoms.cell.rank < 3:
        raise ValueError("`atoms` has no cell in all three directions; set one, atoms.center(vacuum=10).")
    if path.name.startswith("POSCAR") or path.suffix == ".vasp":
        write(path, atoms, format="vasp", direct=False, sort=True)
    elif path.suffix == ".lmp":
        elements = sorted(set(atoms.get_chemical_symbols()))
        write(path, atoms, format="lammps-data", specorder=elements, masses=True, atom_style="atomic")
    elif path.suffix == ".extxyz":
        write(path, atoms, format="extxyz")
    elif path.suffix == ".cif":
        write(path, atoms, format="cif")
    else:
        raise ValueError(f"`path` is {path.name!r}; name it POSCAR, *.vasp, *.lmp, *.extxyz or *.cif.")
    return path


def write_structure(atoms: Atoms, folder: PathLike, *, files: Sequence[str] = FILES) -> dict[str, Path]:
    """Write a structure for VASP, LAMMPS and everybody else: all files, or none.

    Parameters
    ----------
    atoms : ase.Atoms
        Structure with a cell.
    folder : path
        Where to; made if it is not there.
    files : sequence of str
        Names, whose endings choose the formats as in `write_atoms`.

    Returns
    -------
    dict
        Name to path.
    """
    folder = Path(folder)
    with write_together(folder) as beside:
        for name in files:
            write_atoms(atoms, beside / name)
    return {name: folder / name for name in files}
