"""DFTB+ as a calculator: where its parameters lie, its input, a time limit, and its faults in plain words.

The program works in a folder of its own that goes when the calculator goes; nothing is written elsewhere.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import weakref
from itertools import pairwise
from pathlib import Path

from ase import Atoms
from ase.calculators.calculator import CalculationFailed
from ase.calculators.dftb import Dftb
from ase.data import chemical_symbols
from ase.units import Hartree

from elit_helpers.core.checks import EngineMissing, check_positive
from elit_helpers.core.interrupts import Hold
from elit_helpers.data.registry import fetch, local_copy

PROGRAM = "dftb+"
SET = "mio-1-1"
FREE_ENERGY = "forcerelated_energy"  # its line in results.tag
TIME_LIMIT_S = 600.0  # for one energy; a patch of 100 atoms takes seconds
# Fermi filling at about 1000 K, as in the runs that ship: broken bonds then settle. Parser 12 (release 22.2)
# is the oldest whose defaults are those of today; a newer program reads it too.
SHARED = {
    "Hamiltonian_SCC": "Yes",
    "Hamiltonian_SCCTolerance": 1e-6,
    "Hamiltonian_MaxSCCIterations": 300,
    "Hamiltonian_Filling_": "Fermi",
    "Hamiltonian_Filling_Temperature": 0.00316,
    "ParserOptions_": "",
    "ParserOptions_ParserVersion": 12,
    "ParserOptions_IgnoreUnprocessedNodes": "Yes",
}
SHELLS = {"C": "p", "H": "s"}
# From C. Köhler's thesis, as in DFTB+'s own tests of mio-1-1, one for each atom [hartree]: how much electrons
# of one spin gain by company.
SPIN_CONSTANTS = {"C": -0.023, "H": -0.072}


def program() -> str:
    """Where `dftb+` is."""
    found = shutil.which(PROGRAM)
    if found is None:
        raise EngineMissing(
            "DFTB+ is not installed: there is no program `dftb+` on the path. "
            "It comes with `conda install -c conda-forge dftbplus` (pip has no DFTB+); what it computed for "
            "the course lies in data/dftb_plus, and `tblite:gfn1` is the nearest engine that pip installs."
        )
    return found


def parameter_folder(elements: set[str]) -> Path:
    """The folder with the Slater–Koster files of these elements: `$DFTB_PREFIX`, else the set mio-1-1.

    A copy that `eh.fetch("mio-1-1")` has brought is used, or one is fetched.
    """
    named = os.environ.get("DFTB_PREFIX", "").strip()
    folder = Path(named).expanduser() if named else _fetched()
    missing = [f"{a}-{b}.skf" for a in sorted(elements) for b in sorted(elements)]
    missing = [name for name in missing if not (folder / name).is_file()]
    if missing:
        place = f"the folder of DFTB_PREFIX ({folder})" if named else f"the set {SET}"
        raise FileNotFoundError(
            f"{', '.join(missing)}: not in {place}. Set DFTB_PREFIX to a folder that has the "
            "Slater–Koster files of all elements (dftb.org), or take an engine that needs none: tblite:gfn1."
        )
    return folder


def _fetched() -> Path:
    try:
        return local_copy(SET)[1]
    except FileNotFoundError:
        return fetch(SET)


def time_limit_s() -> float:
    """How long one call may take [s]: `$ELIT_ENGINE_TIMEOUT_S`, else ten minutes."""
    return check_positive("ELIT_ENGINE_TIMEOUT_S", os.environ.get("ELIT_ENGINE_TIMEOUT_S", TIME_LIMIT_S))


def calculator(
    method: str, atoms: Atoms, *, kpoints: tuple[int, int, int] | None, charge: int, unpaired: int
) -> DftbPlus:
    """DFTB+ for a structure in its box: ``"mio"`` with Slater–Koster files, ``"gfn1"`` with its own xTB."""
    program()
    settings = SHARED | {"Hamiltonian_Charge": charge}
    if method == "gfn1":
        settings |= {"Hamiltonian_": "xTB", "Hamiltonian_Method": '"GFN1-xTB"'}
        return DftbPlus(kpts=kpoints, **settings)
    elements = set(atoms.get_chemical_symbols())
    folder = parameter_folder(elements)
    for element in sorted(elements):
        settings[f"Hamiltonian_MaxAngularMomentum_{element}"] = f'"{SHELLS[element]}"'
    if unpaired:
        settings |= {
            "Hamiltonian_SpinPolarisation_": "Colinear",
            "Hamiltonian_SpinPolarisation_UnpairedElectrons": unpaired,
            "Hamiltonian_SpinConstants_": "",
            "Hamiltonian_SpinConstants_ShellResolvedSpin": "No",
        }
        settings |= {f"Hamiltonian_SpinConstants_{e}": SPIN_CONSTANTS[e] for e in sorted(elements)}
    return DftbPlus(kpts=kpoints, slako_dir=f"{folder}{os.sep}", **settings)


class DftbPlus(Dftb):
    """ASE's calculator in a temporary folder, with a time limit and the program's own words on a fault."""

    def __init__(self, **settings):
        folder = tempfile.mkdtemp(prefix="elit-dftb-")
        self._tidy = weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        self.program, self.time_limit_s = program(), time_limit_s()
        super().__init__(label=str(Path(folder) / "dftb"), command=PROGRAM, **settings)

    def read_results(self):
        """Take the energy whose slope the forces are: with a Fermi filling that is the free energy.

        ASE reads the inner energy, which is above it by temperature times entropy: a quarter of an
        electronvolt for a sheet whose one k-point holds the corner of graphene's zone.
        """
        super().read_results()
        for line, value in pairwise(self.lines):
            if line.startswith(FREE_ENERGY):
                self.results["energy"] = self.results["free_energy"] = float(value) * Hartree

    def execute(self):
        """Run the program once. Its whole process group ends with the time limit."""
        output = Path(self.directory) / "dftb.out"
        with Hold() as interrupts, output.open("wb") as log:
            process = subprocess.Popen(
                [self.program],
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                with interrupts.let_through():
                    status = process.wait(self.time_limit_s)
            except subprocess.TimeoutExpired:
                status = None
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        if status is None:
            raise CalculationFailed(
                f"DFTB+ gave no answer within {self.time_limit_s:g} s. Take fewer atoms, or allow it longer: "
                "set ELIT_ENGINE_TIMEOUT_S to more seconds"
            )
        wrote = (Path(self.directory) / "results.tag").is_file()
        if status != 0 or not wrote:
            raise _fault(status, output.read_text(errors="replace"))


def _fault(status: int, said: str) -> Exception:
    """What went wrong, from the status and the end of what the program has written."""
    if "tblite" in said:
        return EngineMissing(
            "this DFTB+ was built without tblite, and so without xTB; the one of conda-forge has it. "
            "engine='tblite:gfn1' is the same method"
        )
    if "NOT converged" in said:
        return CalculationFailed("its charges did not settle (SCC is NOT converged)")
    if status < 0:
        name = signal.Signals(-status).name
        return CalculationFailed(
            f"DFTB+ was ended by {name}, which for a large structure mostly means too little memory"
        )
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    last = " / ".join(lines[-3:]) or "it said nothing"
    return CalculationFailed(
        f"DFTB+ ended with status {status} and {'' if status else 'no results; '}said: {last[-300:]}"
    )


def known_elements(method: str) -> frozenset[str]:
    """Elements with parameters: C and H for ``"mio"``; for xTB all up to radon."""
    return frozenset(SHELLS) if method == "mio" else frozenset(chemical_symbols[1:87])
