"""Is everything here that the notebooks need? Versions, engines that really start, memory, data that ship.

What is needed is read from the metadata of the installed package, so that it is written down once, in
`pyproject.toml`. Engines are tried in processes of their own: one that crashes is a line of the report.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from packaging.requirements import Requirement

from elit_helpers.core.settings import SETTINGS, memory_limit, run_mode, threads
from elit_helpers.engines.dftb_plus import time_limit_s

DISTRIBUTION = "elit-helpers"
OPTIONAL_EXTRAS = {"lab": "JupyterLab", "quantum": "DFT in notebook 05"}
MEMORY_NEEDED_GB = 1.0  # a notebook's budget and the browser or terminal beside it
PROBE_TIMEOUT_S = 180

# What each engine must be able to do, as a script of its own. The last line it writes is shown.
PROBES = {
    "LAMMPS": """
from elit_helpers.engines import lammps
from elit_helpers.engines.catalogue import ENGINES
session = lammps.load_lammps()(cmdargs=["-log", "none", "-screen", "none", "-nocite"])
version = session.version()
session.close()
files = [lammps.potential_file(file) for engine in ENGINES.values() for file in engine.potential[1:]]
print(f"starts (version {version}), {len(files)} potentials")
""",
    "tblite": """
from ase import Atoms
from tblite.ase import TBLite
atoms = Atoms("C2", [(0, 0, 0), (0, 0, 1.3)], calculator=TBLite(method="GFN1-xTB", verbosity=0))
print(f"GFN1-xTB energy of C2: {atoms.get_potential_energy():.2f} eV")
""",
    "GPAW": """
from gpaw import GPAW
from ase.build import molecule
atoms = molecule("H2", vacuum=3.0)
atoms.calc = GPAW(mode="lcao", basis="dzp", xc="PBE", h=0.25, txt=None)
print(f"PBE energy of H2: {atoms.get_potential_energy():.2f} eV")
""",
    "torch and torchvision": """
import torch, torchvision
keep = torchvision.ops.nms(torch.tensor([[0.0, 0.0, 1.0, 1.0]]), torch.tensor([1.0]), 0.5)
if keep.tolist() != [0]:
    raise SystemExit("the operators of torchvision do not work")
print("one pair")
""",
    "OpenCV": """
import cv2
print("loads")
""",
    "AtomAI": """
from elit_helpers.ensemble.lean_imports import import_atomai
import_atomai()
import atomai, cv2, torch, torchvision
torchvision.ops.nms(torch.tensor([[0.0, 0.0, 1.0, 1.0]]), torch.tensor([1.0]), 0.5)
print("loads,", "with" if torch.cuda.is_available() else "without", "a GPU")
""",
}
HINTS = {
    "LAMMPS": "pip install 'lammps[mpi]'",
    "tblite": "pip install tblite",
    "GPAW": "make quantum, or conda install -c conda-forge gpaw",
    "torch and torchvision": "reinstall both in one command: pip install --force-reinstall torch torchvision",
    "OpenCV": "python tools/setup_opencv.py, which takes the build that needs no libGL",
    "AtomAI": "pip install atomai==0.8.1 six",
}


@dataclass(frozen=True)
class Finding:
    """One line of the report.

    Attributes
    ----------
    status
        ``"OK"``, ``"MISSING"``, ``"WRONG VERSION"`` or ``"FAILED"`` (it is there and does not work).
    name
        What was looked at.
    text
        What was found; if that is not enough, what to do.
    needed
        False for what no notebook stops without.
    """

    status: str
    name: str
    text: str = ""
    needed: bool = True

    def __str__(self) -> str:
        optional = "" if self.needed else " (optional)"
        return f"{f'[{self.status}]':<16} {self.name + optional:<34} {self.text}".rstrip()


def main() -> int:
    """Print the report; return 0 if every notebook can run, else 1."""
    findings = []
    for section, look in SECTIONS.items():
        print(f"{section}", flush=True)
        for finding in look():
            findings.append(finding)
            print(f"  {finding}", flush=True)
    faults = [finding for finding in findings if finding.needed and finding.status != "OK"]
    if not faults:
        print("Everything that the notebooks need is here.")
        return 0
    print(f"Not ready: {', '.join(fault.name for fault in faults)}. The lines above say what to do.")
    return 1


# --------------------------------------------------------------------------- packages
def packages() -> Iterable[Finding]:
    """Compare what is installed with what the package asks for."""
    try:
        lines = importlib.metadata.requires(DISTRIBUTION) or []
    except importlib.metadata.PackageNotFoundError:
        yield Finding("MISSING", DISTRIBUTION, "not installed; in the checkout: pip install -e .")
        return
    yield Finding("OK", "Python", ".".join(map(str, sys.version_info[:3])))
    for extra in ["", *OPTIONAL_EXTRAS]:
        for line in lines:
            wanted = Requirement(line)
            if extra == "" and (wanted.marker is None or wanted.marker.evaluate({"extra": ""})):
                yield package(wanted)
            elif extra and wanted.marker is not None and _only_for(wanted, extra):
                yield package(wanted, f"for {OPTIONAL_EXTRAS[extra]}")


def _only_for(wanted: Requirement, extra: str) -> bool:
    return wanted.marker.evaluate({"extra": extra}) and not wanted.marker.evaluate({"extra": ""})


def package(wanted: Requirement, purpose: str = "") -> Finding:
    """Compare one installed package with a requirement; a `purpose` makes it optional."""
    name, needed = wanted.name, not purpose
    extras = f"[{','.join(sorted(wanted.extras))}]" if wanted.extras else ""
    spec = f"{name}{extras}{wanted.specifier}"
    install = f"pip install '{spec}'"
    try:
        version = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return Finding("MISSING", name, "; ".join(filter(None, [install, purpose])), needed)
    if not wanted.specifier.contains(version, prereleases=True):
        return Finding("WRONG VERSION", name, f"{version}, needed {wanted.specifier}: {install}", needed)
    return Finding("OK", name, version, needed)


def viewer() -> Iterable[Finding]:
    """Compare the two halves of nglview: a pair that differs draws nothing and reports no error."""
    try:
        importlib.metadata.version("nglview")
    except importlib.metadata.PackageNotFoundError:
        return
    manifest = Path(sys.prefix, "share/jupyter/labextensions/nglview-js-widgets/package.json")
    fix = "pip install --force-reinstall nglview==4.0"
    asked = run_probe("from nglview._frontend import __frontend_version__ as v; print(v)")
    if not manifest.is_file() or asked.returncode:
        yield Finding("FAILED", "nglview's two halves", f"no front end for JupyterLab; {fix}", needed=False)
        return
    python_side = asked.stdout.split()[-1]
    browser_side = json.loads(manifest.read_text())["version"]
    status = "OK" if python_side == browser_side else "WRONG VERSION"
    text = f"Python speaks {python_side}, the browser {browser_side}"
    yield Finding(status, "nglview's two halves", text if status == "OK" else f"{text}; {fix}", needed=False)


# --------------------------------------------------------------------------- engines
def run_probe(script: str) -> subprocess.CompletedProcess:
    """Run a few lines of Python in a process of their own."""
    command = [sys.executable, "-c", script]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=PROBE_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        text = f"no answer within {PROBE_TIMEOUT_S} s"
        return subprocess.CompletedProcess(command, 1, "", text)


def engine(name: str, *, needed: bool = True) -> Finding:
    """Start one engine and say how that went."""
    answer = run_probe(PROBES[name])
    if answer.returncode == 0:
        return Finding("OK", name, (answer.stdout.strip().splitlines() or [""])[-1], needed)
    said = (answer.stderr.strip().splitlines() or [f"ended with status {answer.returncode}"])[-1]
    return Finding("FAILED", name, f"{said[:200]}; {HINTS[name]}", needed)


def engines() -> Iterable[Finding]:
    """Start every engine, one at a time to spare the memory, and look for those that only some will have."""
    yield from map(engine, ("LAMMPS", "tblite"))
    networks = engine("AtomAI")
    # AtomAI takes the other two along, and together they take long to load: alone only if something is wrong.
    for part in ("torch and torchvision", "OpenCV"):
        yield Finding("OK", part, "loaded by AtomAI") if networks.status == "OK" else engine(part)
    yield networks
    if find_spec("gpaw"):
        yield engine("GPAW", needed=False)
    if found := shutil.which("dftb+"):
        yield Finding("OK", "DFTB+", found, needed=False)
    else:
        yield Finding("MISSING", "DFTB+", "conda install -c conda-forge dftbplus", needed=False)


# --------------------------------------------------------------------------- machine
def machine() -> Iterable[Finding]:
    """Say how much memory there is."""
    size, source = memory_limit()
    text = f"{size / 1e9:.1f} GB free by {source}, {MEMORY_NEEDED_GB} GB needed"
    enough = size >= MEMORY_NEEDED_GB * 1e9
    yield Finding("OK" if enough else "FAILED", "memory", text if enough else f"{text}; close other programs")


def settings() -> Iterable[Finding]:
    """Say what holds of each setting from the environment, and which one cannot be used."""
    readers = {"ELIT_RUN": run_mode, "ELIT_THREADS": threads, "ELIT_ENGINE_TIMEOUT_S": time_limit_s}
    for name, (default, purpose) in SETTINGS.items():
        try:
            if name in readers:
                readers[name]()
        except ValueError as error:
            yield Finding("FAILED", name, str(error))
        else:
            holds = os.environ.get(name) or f"not set: {default}"
            yield Finding("OK", name, f"{holds} ({purpose})")


# --------------------------------------------------------------------------- data
def shipped_data() -> Iterable[Finding]:
    """Compare every file that ships with its hash; name those that differ."""
    from elit_helpers.data.shipped import verify_shipped

    try:
        table = verify_shipped()
    except (OSError, ValueError) as error:
        yield Finding("MISSING", "course data", str(error))
        return
    faults = table[table["status"] != "ok"]
    for row in faults.itertuples():
        status = "MISSING" if row.status == "missing" else "FAILED"
        yield Finding(status, f"data/{row.name}", f"{row.status}; get it back with: git checkout -- data")
    if faults.empty:
        yield Finding("OK", "course data", f"{len(table)} files, every hash as it should be")


SECTIONS: dict[str, Callable[[], Iterable[Finding]]] = {
    "Packages": packages,
    "Viewer": viewer,
    "Engines": engines,
    "Machine": machine,
    "Settings": settings,
    "Data": shipped_data,
}

if __name__ == "__main__":
    sys.exit(main())
