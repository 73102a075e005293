"""The input of a VASP run: POSCAR, INCAR, KPOINTS by ASE's writers, and which POTCAR belongs to them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from ase import Atoms

from elit_helpers.core.checks import PathLike, check_choice, check_path, check_positive
from elit_helpers.core.files import provenance
from elit_helpers.core.own_files import own_files
from elit_helpers.structure.write import write_atoms

GAMMA_ONLY_A = 20.0  # a periodic direction this long needs one k-point; shorter ones as many as fit into it
COMMON = {
    "gga": "PE", "prec": "Normal", "encut": 400, "ismear": 0, "sigma": 0.05, "algo": "Fast",
    "lreal": "Auto", "lwave": ".FALSE.", "lcharg": ".FALSE.", "isif": 2,
}  # fmt: skip
RELAX = {"ibrion": 2, "nsw": 200, "ediff": 1e-5, "ediffg": -0.02}


def write_vasp(
    atoms: Atoms,
    folder: PathLike,
    *,
    task: str = "relax",
    temperature_K: float = 300.0,
    steps: int | None = None,
    timestep_fs: float | None = None,
    overwrite: bool = False,
) -> dict[str, Path]:
    """Write what VASP needs for a relaxation or for ab initio molecular dynamics, but for its POTCAR.

    The settings are a sound start and no more: PBE, 400 eV, Γ alone where the cell is not periodic or long.
    Atoms under `ase.constraints.FixAtoms` are held (selective dynamics).

    Parameters
    ----------
    atoms : ase.Atoms
        Structure with a cell; a flake with vacuum around it.
    folder : path
        Where to; made if it is not there. What lies in it stays: a POTCAR, an OUTCAR, folders. Only what an
        earlier call wrote is replaced, as long as nobody changed it, and all of it or nothing.
    task : {"relax", "md"}
        Relaxation by conjugate gradients in a fixed cell until 0.02 eV/Å, or dynamics in a Nosé thermostat.
    temperature_K : float
        Of the dynamics [K].
    steps : int, optional
        Steps at most: 200 of a relaxation, 2000 of dynamics.
    timestep_fs : float, optional
        Of the dynamics [fs]; 1, with hydrogen 0.5.
    overwrite : bool
        True to replace files of the same names whoever wrote or changed them, and nothing else.

    Returns
    -------
    dict
        Name to path: ``POSCAR, INCAR, KPOINTS, POTCAR.txt``. The last one is a note: POTCAR itself belongs to
        VASP's licence and is put together by who has it, in the order of POSCAR. ``vasp.provenance.json``
        beside them says where they come from.

    Raises
    ------
    FileExistsError
        A file of one of these names was not written by this function, or was changed since.
    ValueError
        The structure cannot be written (see `write_atoms`), or a setting is out of range.
    """
    from ase.calculators.vasp.create_input import format_kpoints
    from ase.io.vasp_parsers.incar_writer import write_incar

    check_choice("task", task, ("relax", "md"))
    step = check_positive("timestep_fs", timestep_fs or (0.5 if 1 in atoms.numbers else 1.0), unit="fs")
    settings = RELAX if task == "relax" else _dynamics(check_positive("temperature_K", temperature_K), step)
    if steps is not None:
        settings = settings | {"nsw": int(check_positive("steps", steps))}
    note = provenance("write_vasp", task=task, temperature_K=temperature_K, steps=steps, timestep_fs=step)
    with own_files(folder, "vasp.provenance.json", note, overwrite=overwrite) as beside:
        write_atoms(atoms, beside / "POSCAR")
        write_incar(beside, COMMON | settings)
        kpoints = format_kpoints(_kpoints(atoms), atoms, gamma=True)
        (beside / "KPOINTS").write_text(kpoints + "\n", encoding="utf-8")
        (beside / "POTCAR.txt").write_text(_potcar_note(atoms), encoding="utf-8")
        names = sorted(path.name for path in beside.iterdir())
    return {name: check_path("folder", folder) / name for name in names}


def _dynamics(temperature: float, timestep: float) -> dict:
    """Canonical ensemble by a Nosé thermostat; electrons a little less exact, symmetry off."""
    heat = {"tebeg": temperature, "teend": temperature, "mdalgo": 2, "smass": 0}
    return {"ibrion": 0, "nsw": 2000, "potim": timestep, "ediff": 1e-4, "nelmin": 4, "isym": 0, **heat}


def _kpoints(atoms: Atoms) -> tuple[int, int, int]:
    lengths = atoms.cell.lengths()
    counts = np.where(atoms.pbc, np.ceil(GAMMA_ONLY_A / lengths), 1).astype(int)
    return tuple(int(n) for n in counts)


def _potcar_note(atoms: Atoms) -> str:
    from ase.calculators.vasp.setups import setups_defaults

    elements = sorted(set(atoms.get_chemical_symbols()))
    sets = [element + setups_defaults["recommended"].get(element, "") for element in elements]
    return (
        "POTCAR is not here: it comes with VASP's licence. Put it together from the PBE sets (potpaw_PBE),\n"
        "in the order of the elements in POSCAR, with the sets that VASP recommends:\n\n"
        f"    cat {' '.join(f'$VASP_PP_PATH/potpaw_PBE/{name}/POTCAR' for name in sets)} > POTCAR\n\n"
        "Then see that ENCUT in INCAR is at least the largest ENMAX in it: grep ENMAX POTCAR\n"
    )
