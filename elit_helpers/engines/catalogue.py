"""Which engines there are, which elements each knows, and which one to take."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec

import pandas as pd
from ase import Atoms
from ase.calculators.calculator import Calculator

from elit_helpers.core.checks import check_choice
from elit_helpers.engines import ase_driven, lammps_mpi, lammps_runs, quantum
from elit_helpers.engines.plan import Plan, Snapshot
from elit_helpers.samples.materials import MATERIALS

PICTURE_LATTICE_A = MATERIALS["graphene"].cell[0][0]  # in pictures and in experiment
MOS2_LATTICE_A = MATERIALS["MoS2"].cell[0][0]
NAMED = "named by the caller"


@dataclass(frozen=True)
class Engine:
    """Who computes forces and steps: one of `ENGINES`, or one of your own, which is passed in their place.

    ``dataclasses.replace(ENGINES["lammps:tersoff"], name="lammps:own", potential=(style, file))`` makes one.

    Parameters
    ----------
    name
        Its `kind` (``lammps``, ``tblite``, ``dftb+``, ``gpaw`` or ``ase``), a colon, and its `method`.
    elements
        Those it knows; None: all.
    lattice_A
        Its own lattice [Å]: graphene's, or for an engine that knows no carbon that of MoS2. None: unknown.
    good_for, bad_for
        A few words.
    experiment_A
        What the same sheet has in experiment [Å].
    potential
        For ``lammps``: the pair style, then its files, each a whole path or what `potential_file` finds.
    calculator
        For ``ase``: a function that makes an ASE calculator for a structure. Processes side by side need one
        that pickle can find, at the top of a module.

    Raises
    ------
    ValueError
        If the kind is unknown, or has not got what it needs.
    """

    name: str
    elements: frozenset[str] | None = None
    lattice_A: float | None = None
    good_for: str = ""
    bad_for: str = ""
    experiment_A: float = PICTURE_LATTICE_A
    potential: tuple[str, ...] = ()
    calculator: Callable[[Atoms], Calculator] | None = None

    def __post_init__(self) -> None:
        """Refuse an engine that nothing could run."""
        needed = {"lammps": self.potential, "ase": self.calculator}
        if self.name not in quantum.NAMES and not needed.get(self.kind):
            raise ValueError(
                f"`name` is {self.name!r}; an engine of your own is called 'lammps:…' and has a `potential`, "
                "or is called 'ase:…' and has a `calculator`."
            )

    @property
    def kind(self) -> str:
        """Whose it is: ``"lammps"``, ``"tblite"``, ``"dftb+"``, ``"gpaw"`` or ``"ase"``."""
        return self.name.partition(":")[0]

    @property
    def method(self) -> str:
        """What it computes with: ``"lcbop"``, ``"gfn1"``."""
        return self.name.partition(":")[2]

    @property
    def is_here(self) -> bool:
        """Whether its program or package is on this machine (not whether its parameters are)."""
        return (shutil.which if self.kind == "dftb+" else find_spec)(self.kind) is not None

    @property
    def lattice_mismatch(self) -> float:
        """How far its lattice is from experiment's (0.039: 3.9 % longer); NaN where it is unknown."""
        return float("nan") if self.lattice_A is None else round(self.lattice_A / self.experiment_A - 1, 4)

    def knows(self, elements: set[str]) -> bool:
        """Whether it has parameters for all of these."""
        return self.elements is None or elements <= self.elements

    def check_elements(self, atoms: Atoms) -> None:
        """Refuse a structure with an element it does not know; the text names engines that do."""
        found = set(atoms.get_chemical_symbols())
        if self.knows(found):
            return
        others = [e.name for e in ENGINES.values() if e.name != "ase:lj" and e.knows(found)]
        raise ValueError(
            f"engine {self.name!r} does not know {', '.join(sorted(found - self.elements))} "
            f"(it knows {', '.join(sorted(self.elements))}). "
            f"Engines that know {', '.join(sorted(found))}: {', '.join(others)}; or pass engine='auto'."
        )

    def minimise(
        self, atoms: Atoms, *, fmax: float, steps: int, cell: str | None = None
    ) -> Iterator[Snapshot]:
        """Go downhill until no force is above `fmax` [eV/Å]; a snapshot at the start and on the way."""
        if self.kind == "lammps":
            return lammps_runs.minimise(atoms, self.potential, fmax=fmax, steps=steps, cell=cell)
        return ase_driven.minimise(atoms, self.name, self.calculator, fmax=fmax, steps=steps, cell=cell)

    def dynamics(self, atoms: Atoms, plan: Plan) -> Iterator[Snapshot]:
        """Run MD; a snapshot at the start and after every ``plan.every`` steps."""
        if self.kind == "lammps":
            run = lammps_mpi.dynamics if plan.ranks > 1 else lammps_runs.dynamics
            return run(atoms, self.potential, plan)
        return ase_driven.dynamics(atoms, self.name, self.calculator, plan)


_SIC, _C, _CH = frozenset({"C", "Si"}), frozenset({"C"}), frozenset({"C", "H"})
_MOS = frozenset({"Mo", "S"})
# fmt: off
ENGINES: dict[str, Engine] = {engine.name: engine for engine in (
    Engine("lammps:lcbop", _C, 2.4593, "pure carbon: bonds and defects close to DFT", "any other element",
           potential=("lcbop", "C.lcbop")),
    Engine("lammps:erhart-albe", _SIC, 2.5552, "carbon with silicon", "graphene's bond: 3.9 % too long",
           potential=("tersoff", "SiC_Erhart-Albe.tersoff")),
    Engine("lammps:tersoff", _SIC, 2.5298, "the first of its kind; teaching", "Stone–Wales twice too dear",
           potential=("tersoff", "SiC.tersoff")),
    Engine("lammps:airebo", _CH, 2.4192, "carbon with hydrogen: edges, molecules", "bond 1.7 % too short",
           potential=("airebo 3.0", "CH.airebo")),
    Engine("lammps:lindsay-broido", _C, 2.4920, "perfect carbon: vibrations, heat",
           "vacancies: 0.5 eV, not 7.6", potential=("tersoff", "BNC.tersoff")),
    Engine("lammps:rebo-mos", _MOS, 3.1675, "MoS2: layers, missing S, broken bonds", "carbon; charges",
           MOS2_LATTICE_A, potential=("rebomos", "MoS.rebomos")),
    # The Stillinger–Weber kind that leaves out angles far from the one it knows: S–Mo–S across the layer.
    Engine("lammps:sw-mos2", _MOS, 3.1175, "perfect MoS2: vibrations, heat",
           "missing S; cohesion; 1.3 % short", MOS2_LATTICE_A, potential=("sw/mod", "tmd.sw.mod")),
    Engine("tblite:gfn1", None, 2.458, "any element; bonds that break, charges", "more than about 100 atoms"),
    Engine("tblite:gfn2", None, 2.451, "as gfn1, newer parameters", "more than about 100 atoms"),
    Engine("dftb+:mio", _CH, 2.472, "carbon with hydrogen; bonds that break", "any other element"),
    Engine("dftb+:gfn1", None, 2.458, "as tblite:gfn1, with k-points", "unpaired electrons"),
    Engine("gpaw:pbe", None, 2.475, "the reference: DFT without fitted bonds", "more than some ten atoms"),
    Engine("ase:lj", None, None, "a lesson in choosing a potential", "everything with bonds",
           calculator=ase_driven.lennard_jones),
)}
# fmt: on


@dataclass(frozen=True)
class EngineChoice:
    """An engine and why it was taken. Wherever an engine is asked for, a choice that was made is one too."""

    engine: Engine
    reason: str = NAMED

    @property
    def name(self) -> str:
        """The engine's name."""
        return self.engine.name

    @property
    def lattice_mismatch(self) -> float:
        """How far the engine's lattice is from experiment's: that of graphene, 2.46 Å, or of MoS2, 3.16 Å."""
        return self.engine.lattice_mismatch

    def __repr__(self) -> str:
        return (
            f"EngineChoice(name={self.name!r}, reason={self.reason!r}, "
            f"lattice_mismatch={self.lattice_mismatch!r})"
        )


EngineLike = str | Engine | EngineChoice


def engine_table() -> pd.DataFrame:
    """`ENGINES` as a table to look at."""
    rows = {
        name: {
            "elements": "all" if e.elements is None else ", ".join(sorted(e.elements)),
            "lattice [Å]": e.lattice_A,
            "in experiment [Å]": None if e.lattice_A is None else e.experiment_A,
            "good for": e.good_for,
            "bad for": e.bad_for,
            "package": e.kind,
        }
        for name, e in ENGINES.items()
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("engine")


def has_engine(name: str) -> bool:
    """Whether an engine's program or package is on this machine (not whether its parameters are)."""
    return ENGINES[check_choice("name", name, list(ENGINES))].is_here


def check_engine(engine: EngineLike) -> None:
    """Refuse what is no engine, before there are atoms to choose one for."""
    if not isinstance(engine, (Engine, EngineChoice)):
        check_choice("engine", engine, ["auto", *ENGINES])


def choose_engine(atoms: Atoms, engine: EngineLike = "auto") -> EngineChoice:
    """Choose an engine that knows every element of a structure; no element is ever changed to fit one.

    Parameters
    ----------
    atoms
        The structure, N atoms.
    engine
        A key of `ENGINES`, an `Engine`, or ``"auto"``: LCBOP for pure carbon, Erhart–Albe with silicon,
        AIREBO with hydrogen, REBO for molybdenum with sulphur, GFN1-xTB for anything else. A choice that was
        made before stays.

    Raises
    ------
    ValueError
        If the name is unknown or the engine does not know an element; the text names one that does.
    """
    if not len(atoms):
        raise ValueError("`atoms` is empty; there is nothing to simulate. Check the table it was made from.")
    check_engine(engine)
    if isinstance(engine, str):
        choice = _for_elements(atoms) if engine == "auto" else EngineChoice(ENGINES[engine])
    else:
        choice = EngineChoice(engine) if isinstance(engine, Engine) else engine
    choice.engine.check_elements(atoms)
    return choice


def _for_elements(atoms: Atoms) -> EngineChoice:
    found = set(atoms.get_chemical_symbols())
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
    return EngineChoice(ENGINES[name], reason)
