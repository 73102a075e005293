"""The box of the calculators that ASE drives: room at every step, energies that stay one run's."""

import logging

import numpy as np
import pytest
from ase import Atoms, units
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.lj import LennardJones
from sheets import oblique_sheet

import elit_helpers as eh
from elit_helpers.engines import quantum
from elit_helpers.engines.boxed import KEPT, Boxed
from elit_helpers.engines.catalogue import Engine

VACUUM_A = 8.0


class Repeating(Calculator):
    """Lennard-Jones of a code that repeats every cell, whatever `pbc` says, and has an energy of its cell."""

    implemented_properties = ["energy", "forces", "stress"]

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        repeated = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=True)
        repeated.calc = LennardJones(sigma=2.0, epsilon=0.1, rc=7.0)
        self.results = {
            "energy": repeated.get_potential_energy() + 100.0 / atoms.cell.lengths()[2],
            "forces": repeated.get_forces(),
            "stress": repeated.get_stress(),
        }


def repeating(atoms):
    return Repeating()


def honest(atoms):
    return LennardJones(sigma=2.0, epsilon=0.1, rc=7.0)


def leaving(velocity):
    """A small cell of a sheet that an atom leaves with a velocity [Å/ps]."""
    atoms = Atoms("Ar5", [(0, 0, 5), (2.2, 0, 5), (0, 2.2, 5), (2.2, 2.2, 5), (1.1, 1.1, 9)], pbc=(1, 1, 0))
    atoms.cell = (4.4, 4.4, 15.0)
    velocities = np.zeros((5, 3))
    velocities[-1, 2] = velocity / (1000 * units.fs)
    atoms.set_velocities(velocities)
    return atoms


def engine(calculator):
    return Engine("ase:own", calculator=calculator)


@pytest.mark.parametrize("velocity", [100.0, -100.0])
def test_what_leaves_meets_no_image_and_the_energy_does_not_jump(velocity, caplog):
    start = leaving(velocity)
    if velocity < 0:
        start.positions[-1, 2] = 1.0
    with caplog.at_level(logging.INFO, "elit_helpers"):
        run = eh.run_md(start, engine=engine(repeating), steps=300, temperature_K=None, every=10)
    height = np.array([f.positions[-1, 2] for f in run.trajectory])
    late = np.diff(height)[len(height) // 2 :]
    assert late == pytest.approx(np.full(len(late), late[0]), abs=1e-3)  # nothing pulls at it any more
    assert abs(height[-1] - height[0]) > 25
    assert np.ptp(run.log["total_eV"]) < 5e-3
    widened = [r for r in caplog.records if "atoms have moved away" in r.message]
    assert widened
    assert all(r.levelno == logging.WARNING for r in widened)
    assert "taken out of the energies of this run" in widened[0].message


def test_a_calculator_that_heeds_the_periods_has_its_own_energies_and_no_warning(caplog):
    start = leaving(100.0)
    run = eh.run_md(start, engine=engine(honest), steps=200, temperature_K=None, every=50)
    for frame in run.trajectory:
        alone = frame.copy()
        alone.calc = honest(alone)
        assert frame.get_potential_energy() == pytest.approx(alone.get_potential_energy(), abs=1e-12)
        assert np.allclose(frame.get_forces(), alone.get_forces(), atol=1e-12)
    assert not caplog.records


def test_a_box_with_room_enough_is_left_as_it_is():
    start = leaving(0.0)
    start.cell[2, 2] = 60.0
    box = Boxed(repeating, start, VACUUM_A, keep=True)
    assert np.array_equal(box.inner.cell, start.cell)
    assert np.array_equal(box.inner.positions, start.positions)


def test_the_stress_is_that_of_the_callers_volume():
    stresses = []
    for height in (15.0, 40.0):
        atoms = leaving(0.0)
        atoms.cell[2, 2] = height
        atoms.calc = Boxed(repeating, atoms, VACUUM_A)
        stresses.append(atoms.get_stress()[:2] * atoms.get_volume())
    assert stresses[0] == pytest.approx(stresses[1], rel=1e-6)


@pytest.mark.parametrize("step", [0.3, -0.3])
def test_a_grid_grows_by_whole_steps_and_the_atoms_keep_their_places_between_its_points(step):
    atoms = oblique_sheet(2)
    box = Boxed(honest, atoms, 5.0, edge_A=quantum.EDGE_A)
    between = (box.inner.positions[:, 2] / quantum.GRID_A) % 1
    moved = atoms.copy()
    sizes = set()
    for _ in range(20):
        moved.positions[0, 2] += step
        box.get_property("energy", moved)
        edge, heights = box.inner.cell.lengths()[2], box.inner.positions[:, 2]
        assert min(heights.min(), edge - heights.max()) >= KEPT * 5.0 - 1e-9
        assert edge / quantum.EDGE_A == pytest.approx(round(edge / quantum.EDGE_A))
        rest = (heights[1:] / quantum.GRID_A - between[1:]) % 1
        assert np.minimum(rest, 1 - rest) == pytest.approx(0, abs=1e-6)
        sizes.add(round(edge, 3))
    assert len(sizes) > 1


def test_in_tight_binding_a_molecule_far_above_a_sheet_feels_no_image():
    def energy(height):
        atoms = oblique_sheet(5, a=2.458)
        top = atoms.positions[:, 2].mean() + height
        atoms += Atoms("H2", [(6.0, 4.0, top), (6.0, 4.0, top + 0.78)])
        return eh.single_point(atoms, engine="tblite:gfn1").get_potential_energy()

    assert energy(12.0) == pytest.approx(energy(9.0), abs=5e-3)


def test_a_polar_sheet_does_not_feel_the_field_of_its_images():
    atoms = oblique_sheet(5, a=2.458)
    atoms.symbols[24] = "Si"
    atoms.positions[24, 2] += 1.0
    high = atoms.copy()
    high.pbc, high.cell[2] = True, (0, 0, 400.0)
    own, far = (eh.single_point(one, engine="tblite:gfn1").get_forces()[24, 2] for one in (atoms, high))
    assert own == pytest.approx(far, abs=0.01)
