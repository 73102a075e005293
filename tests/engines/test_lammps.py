"""LAMMPS itself: where it and its potentials are looked for, and what it says when it stops."""

import numpy as np
import pytest
from ase import Atoms, units
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


# --- what flies off ---


def with_one_that_leaves(atoms, velocity, *, above=6.0):
    """A relaxed structure and an atom 6 Å above its middle that leaves with a velocity [Å/ps]."""
    atoms = relax(atoms, engine="lammps:lcbop").atoms
    leaving = Atoms("C", [atoms.positions.mean(axis=0) + (0, 0, above)])
    system = atoms + leaving
    system.pbc, system.cell = atoms.pbc, atoms.cell
    velocities = np.zeros((len(system), 3))
    velocities[-1] = np.array(velocity) / (1000 * units.fs)
    system.set_velocities(velocities)
    return system


def flown(run):
    return run.atoms.positions[-1] - run.trajectory[0].positions[-1]


@pytest.mark.parametrize(("made", "velocity"), [
    (lambda: eh.graphene_sheet((12.0, 12.0)), (0, 0, 40)),
    (lambda: eh.graphene_sheet((12.0, 12.0)), (-30, 50, 60)),
    (lambda: eh.graphene_sheet((5, 3)), (0, 0, -40)),
    (lambda: oblique_sheet(5), (10, 20, 60)),
])  # fmt: skip
def test_what_leaves_flies_straight_on_and_meets_no_image(made, velocity):
    above = np.sign(velocity[2]) * 6.0
    start = with_one_that_leaves(made(), velocity, above=above)
    run = eh.run_md(start, engine="lammps:lcbop", steps=1500, temperature_K=None, every=100)
    assert flown(run) == pytest.approx(1.5 * np.array(velocity), abs=0.2)
    assert np.ptp(run.log["total_eV"]) < 0.01
    assert np.array_equal(run.atoms.cell, start.cell)


def test_two_processes_follow_what_leaves():
    start = with_one_that_leaves(eh.graphene_sheet((12.0, 12.0)), (100, 0, 200))
    one, two = (
        eh.run_md(start, engine="lammps:lcbop", steps=500, temperature_K=None, every=250, ranks=ranks)
        for ranks in (1, 2)
    )
    assert flown(two) == pytest.approx(flown(one), abs=1e-6)
    assert flown(two)[2] == pytest.approx(100, abs=1)


@pytest.mark.parametrize("engine", ["lammps:lcbop", "lammps:airebo", "lammps:tersoff"])
def test_the_energy_of_a_sheet_is_that_in_a_cell_with_much_vacuum(engine):
    sheet = oblique_sheet(5)
    sheet.rattle(0.05, seed=1)
    roomy = sheet.copy()
    roomy.pbc, roomy.cell[2] = True, (0, 0, 60)
    ends, goes_on = (eh.single_point(atoms, engine=engine) for atoms in (sheet, roomy))
    assert ends.get_potential_energy() == pytest.approx(goes_on.get_potential_energy(), abs=1e-8)
    assert np.allclose(ends.get_forces(), goes_on.get_forces(), atol=1e-8)


def test_an_atom_that_is_lost_is_an_error_and_not_one_atom_less():
    flake = with_one_that_leaves(eh.graphene_sheet((12.0, 12.0)), (0, 0, 100))
    with lammps.open_session(flake, ENGINES["lammps:lcbop"].potential) as session:
        session.command("change_box all boundary f f f", "timestep 0.001", "fix 1 all nve", "run 0 post no")
        with pytest.raises(SimulationError, match="Lost atoms"):
            session.command("run 500 pre no post no")
