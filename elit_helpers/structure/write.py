"""Structures as files that other codes read, and read back the same."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.lammps import Prism
from ase.io import write

from elit_helpers.core.checks import PathLike, check_path
from elit_helpers.core.files import atomic_write, check_file, provenance
from elit_helpers.core.own_files import own_files
from elit_helpers.structure.box import box_around, gaps, with_gaps

GAP_A = 10.0  # between a structure and its image in the next cell, at least; `to_atoms` notes its own
FILES = ("POSCAR", "structure.lmp", "structure.extxyz")


def write_atoms(atoms: Atoms, path: PathLike) -> Path:
    """Write a structure in the format its name asks for.

    ``POSCAR…`` and ``.vasp``: VASP 5, cartesian, atoms sorted by element as VASP wants them. ``.lmp``:
    LAMMPS data, `atom_style atomic`, types in alphabetical order of the elements, with masses.
    ``.extxyz``: extended XYZ, with all per-atom arrays. ``.cif``: for crystallographers and viewers; a CIF
    knows crystals only, so what is read back is periodic in all directions. A file of that name is replaced,
    whole or not at all; of a link the file that it leads to.

    No atom is moved. Where the structure is not periodic, the box of LAMMPS begins below the lowest atom and
    ends above the highest, so that it can be read with any boundary there; POSCAR and CIF, which repeat every
    cell and know no such origin, get a longer one if it leaves less than 10 Å (or the ``vacuum_A`` in
    ``info``) between the structure and its image.

    Raises
    ------
    ValueError
        No atoms, positions that are not finite, no cell, or an ending that stands for none of these.
    """
    check_file("path", path)
    path = check_path("path", path)
    if not len(atoms):
        raise ValueError("`atoms` is empty; there is nothing to write.")
    if not np.isfinite(atoms.positions).all():
        raise ValueError("`atoms` has positions that are not finite; no engine could read that file.")
    if atoms.cell.rank < 3:
        raise ValueError("`atoms` has no cell in all three directions; set one, atoms.center(vacuum=10).")
    write_as = _format(atoms, path)
    with atomic_write(path) as target:
        write_as(target)
    return path


def _format(atoms: Atoms, path: Path) -> Callable[[Path], Any]:
    """Return what writes the format that a name asks for."""
    gap = float(atoms.info.get("vacuum_A", GAP_A))
    if path.name.startswith("POSCAR") or path.suffix == ".vasp":
        return lambda target: write(target, with_gaps(atoms, gap), format="vasp", direct=False, sort=True)
    if path.suffix == ".lmp":
        return lambda target: target.write_text(_lammps_data(atoms, gap), encoding="ascii")
    if path.suffix == ".extxyz":
        return lambda target: write(target, atoms, format="extxyz")
    if path.suffix == ".cif":
        return lambda target: write(target, with_gaps(atoms, gap), format="cif")
    raise ValueError(f"`path` is {path.name!r}; name it POSCAR, *.vasp, *.lmp, *.extxyz or *.cif.")


def _lammps_data(atoms: Atoms, gap: float) -> str:
    """LAMMPS data by ASE, which lets every box begin at the origin, in a box that begins below the atoms."""
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


def write_structure(
    atoms: Atoms, folder: PathLike, *, files: Sequence[str] = FILES, overwrite: bool = False
) -> dict[str, Path]:
    """Write a structure for VASP, LAMMPS and everybody else: all files, or none.

    Parameters
    ----------
    atoms : ase.Atoms
        Structure with a cell.
    folder : path
        Where to; made if it is not there. What lies in it stays, but for what an earlier call wrote and
        nobody has changed, which is replaced.
    files : sequence of str
        Names, whose endings choose the formats as in `write_atoms`.
    overwrite : bool
        True to replace files of the same names whoever wrote or changed them, and nothing else.

    Returns
    -------
    dict
        Name to path. ``structure.provenance.json`` beside them says where they come from.

    Raises
    ------
    FileExistsError
        A file of one of these names was not written by this function, or was changed since; or an earlier
        call wrote files that this one would not, so that two structures would lie side by side.
    ValueError
        As `write_atoms`, or a name leads out of the folder.
    """
    if strays := [name for name in files if Path(name).name != name]:
        raise ValueError(f"`files` has {', '.join(map(repr, strays))}; give names without a folder.")
    note = provenance("write_structure", formula=atoms.get_chemical_formula(), atoms=len(atoms))
    with own_files(folder, "structure.provenance.json", note, overwrite=overwrite, mixed=True) as beside:
        for name in files:
            write_atoms(atoms, beside / name)
    return {name: check_path("folder", folder) / name for name in files}
