"""LAMMPS itself: where it and its potentials are looked for, and what it says when it stops."""

import pytest
from sheets import oblique_sheet

import elit_helpers as eh
from elit_helpers import EngineMissing
from elit_helpers.engines import lammps
from elit_helpers.engines.catalogue import ENGINES
from elit_helpers.engines.plan import SimulationError
from elit_helpers.simulate.relax import relax


def test_a_missing_lammps_names_its_packages(monkeypatch):
    def absent(name):
        raise ImportError("No module named 'lammps'")

    monkeypatch.setattr(lammps.importlib, "import_module", absent)
    with pytest.raises(EngineMissing, match=r"pip install 'lammps\[mpi\]'.*conda-forge lammps"):
        relax(oblique_sheet(2))


def test_a_potential_file_that_is_nowhere_is_said():
    with pytest.raises(FileNotFoundError, match="LAMMPS_POTENTIALS"):
        eh.potential_file("no_such.tersoff")


def test_what_lammps_says_reaches_the_caller():
    with (
        lammps.open_session(oblique_sheet(2), ENGINES["lammps:lcbop"].potential) as session,
        pytest.raises(SimulationError, match="LAMMPS stopped at `fix 1 all nonsense`.*nonsense"),
    ):
        session.command("fix 1 all nonsense")
