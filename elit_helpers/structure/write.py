"""Structures as files that other codes read, and read back the same."""

from __future__ import annotations

import io
import os
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from ase import Atoms

from elit_helpers.core.checks import PathLike
from elit_helpers.structure.box import box_around, gaps, with_gaps

GAP_A = 10.0  # between a structure and its image in the next cell, at least; `to_atoms` notes its own
FILES = ("POSCAR", "structure.lmp", "structure.extxyz")


def write_atoms(atoms: Atoms, path: PathLike) -> Path:
    """Write a structure in the format its name asks for.

    ``POSCAR…`` and ``.vasp``: VASP 5, cartesian, atoms sorted by element as VASP wants them. ``.lmp``:
    LAMMPS data, `atom_style atomic`, types in alphabetical order of the elements, with masses.
    ``.extxyz``: extended XYZ, with all per-atom arrays. ``.cif``: for crystallographers and viewers; a CIF
    knows crystals only, so what is read back is periodic in all directions.

    No atom is moved. Where the structure is not periodic, the box of LAMMPS begins below the lowest atom and
    ends above the highest, so that it can be read with any boundary there; POSCAR and CIF, which repeat every
    cell and know no such origin, get a longer one if it leaves less than 10 Å (or the ``vacuum_A`` in
    ``info``) between the structure and its image.

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
    gap = float(atoms.info.get("vacuum_A", GAP_A))
    if path.name.startswith("POSCAR") or path.suffix == ".vasp":
        write(path, with_gaps(atoms, gap), format="vasp", direct=False, sort=True)
    elif path.suffix == ".lmp":
        path.write_text(_lammps_data(atoms, gap), encoding="ascii")
    elif path.suffix == ".extxyz":
        write(path, atoms, format="extxyz")
    elif path.suffix == ".cif":
        write(path, with_gaps(atoms, gap), format="cif")
    else:
        raise ValueError(f"`path` is {path.name!r}; name it POSCAR, *.vasp, *.lmp, *.extxyz or *.cif.")
    return path


def _lammps_data(atoms: Atoms, gap: float) -> str:
    """LAMMPS data by ASE, which lets every box begin at the origin, in a box that begins below the atoms."""
    from ase.calculators.lammps import Prism
    from ase.io import write

    own = gaps(atoms)
    cell, corner = box_around(atoms, max([gap, *own[np.isfinite(own)]]) / 2)
    inside, text = atoms.copy(), io.StringIO()
    inside.cell = cell
    elements = sorted(set(atoms.get_chemical_symbols()))
    write(text, inside, format="lammps-data", specorder=elements, masses=True, atom_style="atomic")
    lows = iter(Prism(cell).vector_to_lammps(corner))

    def edge(found: re.Match) -> str:
        low = next(lows)
        return f"{low:.17g} {low + float(found[1]):.17g}  {found[2]}"

    return re.sub(r"(?m)^0\.0 +(\S+) +([xyz]lo [xyz]hi)$", edge, text.getvalue(), count=3)


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
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".structure-") as beside:
        for name in files:
            write_atoms(atoms, Path(beside) / name)
        for name in files:
            os.replace(Path(beside) / name, folder / name)
    return {name: folder / name for name in files}
