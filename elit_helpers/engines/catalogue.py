"""Which engines there are, which elements each knows, and which one to take."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from importlib.util import find_spec

import pandas as pd
from ase import Atoms

from elit_helpers.core.checks import check_choice
from elit_helpers.samples.materials import MATERIALS

PICTURE_LATTICE_A = MATERIALS["graphene"].cell[0][0]  # in pictures and in experiment
MOS2_LATTICE_A = MATERIALS["MoS2"].cell[0][0]


@dataclass(frozen=True)
class Engine:
    """What an engine is: the elements it knows [None: all], its own lattice [Å], and what it is for.

    The lattice is that of graphene, or for an engine that knows no carbon that of MoS2; `experiment_A` is
    what the same sheet has in experiment.
    """

    elements: frozenset[str] | None
    lattice_A: float | None
    good_for: str
    bad_for: str
    package: str
    experiment_A: float = PICTURE_LATTICE_A


_SIC, _C, _CH = frozenset({"C", "Si"}), frozenset({"C"}), frozenset({"C", "H"})
_MOS = frozenset({"Mo", "S"})
_TABLE = [
    ("lammps:lcbop", _C, 2.4593, "pure carbon: bonds and defects close to DFT", "any other element"),
    ("lammps:erhart-albe", _SIC, 2.5552, "carbon with silicon", "graphene's bond: 3.9 % too long"),
    ("lammps:tersoff", _SIC, 2.5298, "the first of its kind; teaching", "Stone–Wales twice too dear"),
    ("lammps:airebo", _CH, 2.4192, "carbon with hydrogen: edges, molecules", "bond 1.7 % too short"),
    ("lammps:lindsay-broido", _C, 2.4920, "perfect carbon: vibrations, heat", "vacancies: 0.5 eV, not 7.6"),
    ("lammps:rebo-mos", _MOS, 3.1675, "MoS2: layers, missing S, broken bonds", "carbon; charges"),
    (
        "lammps:sw-mos2",
        _MOS,
        3.1175,
        "perfect MoS2: vibrations, heat",
        "missing S; cohesion; 1.3 % short",
    ),
    ("tblite:gfn1", None, 2.458, "any element; bonds that break, charges", "more than about 100 atoms"),
    ("tblite:gfn2", None, 2.451, "as gfn1, newer parameters", "more than about 100 atoms"),
    ("dftb+:mio", _CH, 2.472, "carbon with hydrogen; bonds that break", "any other element"),
    ("dftb+:gfn1", None, 2.458, "as tblite:gfn1, with k-points", "unpaired electrons"),
    ("gpaw:pbe", None, 2.475, "the reference: DFT without fitted bonds", "more than some ten atoms"),
    ("ase:lj", None, None, "a lesson in choosing a potential", "everything with bonds"),
]
ENGINES: dict[str, Engine] = {
    name: Engine(
        elements,
        *rest,
        package=name.split(":")[0],
        experiment_A=MOS2_LATTICE_A if elements == _MOS else PICTURE_LATTICE_A,
    )
    for name, elements, *rest in _TABLE
}


@dataclass(frozen=True)
class EngineChoice:
    """An engine's name, why it was taken, and how far its lattice is from experiment's (0.039: 3.9 % longer).

    The sheet is graphene with 2.46 Å, for an engine of Mo and S only MoS2 with 3.16 Å.
    """

    name: str
    reason: str
    lattice_mismatch: float


def engine_table() -> pd.DataFrame:
    """`ENGINES` as a table to look at."""
    rows = {
        name: {
            "elements": "all" if e.elements is None else ", ".join(sorted(e.elements)),
            "lattice [Å]": e.lattice_A,
            "in experiment [Å]": None if e.lattice_A is None else e.experiment_A,
            "good for": e.good_for,
            "bad for": e.bad_for,
            "package": e.package,
        }
        for name, e in ENGINES.items()
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("engine")


def has_engine(name: str) -> bool:
    """Whether an engine's program or package is on this machine (not whether its parameters are)."""
    package = ENGINES[check_choice("name", name, list(ENGINES))].package
    return shutil.which(package) is not None if package == "dftb+" else find_spec(package) is not None


def choose_engine(atoms: Atoms, engine: str = "auto") -> EngineChoice:
    """Choose an engine that knows every element of a structure; no element is ever changed to fit one.

    Parameters
    ----------
    atoms
        The structure, N atoms.
    engine
        A key of `ENGINES`, or ``"auto"``: LCBOP for pure carbon, Erhart–Albe with silicon, AIREBO with
        hydrogen, REBO for molybdenum with sulphur, GFN1-xTB for anything else.

    Raises
    ------
    ValueError
        If the name is unknown or the engine does not know an element; the text names one that does.
    """
    if not len(atoms):
        raise ValueError("`atoms` is empty; there is nothing to simulate. Check the table it was made from.")
    found = set(atoms.get_chemical_symbols())
    check_choice("engine", engine, ["auto", *ENGINES])
    if engine != "auto":
        _refuse_unknown_elements(engine, found)
        return EngineChoice(engine, "named by the caller", _mismatch(engine))
    listed = ", ".join(sorted(found))
    if found <= _C:
        name, reason = (
            "lammps:lcbop",
            "pure carbon: LCBOP has graphene's bond right and its defects within 1 eV",
        )
    elif found <= _SIC:
        name, reason = "lammps:erhart-albe", f"it knows {listed}; LCBOP knows carbon only"
    elif found <= _CH:
        name, reason = "lammps:airebo", f"it knows {listed}; LCBOP knows carbon only"
    elif found <= _MOS and "Mo" in found:
        name, reason = "lammps:rebo-mos", f"it knows {listed}, and was made for MoS2"
    else:
        name, reason = "tblite:gfn1", f"no classical potential here knows {listed} together"
    return EngineChoice(name, reason, _mismatch(name))


def _mismatch(name: str) -> float:
    engine = ENGINES[name]
    return float("nan") if engine.lattice_A is None else round(engine.lattice_A / engine.experiment_A - 1, 4)


def _refuse_unknown_elements(name: str, found: set[str]) -> None:
    known = ENGINES[name].elements
    if known is None or found <= known:
        return
    others = [n for n, e in ENGINES.items() if n != "ase:lj" and (e.elements is None or found <= e.elements)]
    raise ValueError(
        f"engine {name!r} does not know {', '.join(sorted(found - known))} "
        f"(it knows {', '.join(sorted(known))}). "
        f"Engines that know {', '.join(sorted(found))}: {', '.join(others)}; or pass engine='auto'."
    )
