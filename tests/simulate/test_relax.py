"""Engines by name: energies and forces against references, conservation, order and elements, refusals."""

import logging
import threading

import numpy as np
import pytest
from ase import Atoms
from ase.build import graphene, make_supercell, molecule
from hypothesis import given, settings
from hypothesis import strategies as st
from sheets import oblique_sheet, with_silicon
from signals import interrupt_at

import elit_helpers as eh
from elit_helpers.engines import lammps, plan
from elit_helpers.engines.catalogue import ENGINES
from elit_helpers.engines.plan import SimulationError
from elit_helpers.simulate.dynamics import run_md
from elit_helpers.simulate.energies import single_point
from elit_helpers.simulate.record import LOG_COLUMNS
from elit_helpers.simulate.relax import relax
from elit_helpers.simulate.result import unscaled

LATTICE_A = 2.46


def rectangular(nx=5, ny=3, a=LATTICE_A):
    sheet = make_supercell(graphene(a=a, vacuum=8.0), [[1, 0, 0], [1, 2, 0], [0, 0, 1]]).repeat((nx, ny, 1))
    sheet.pbc = (True, True, False)
    return sheet


def flake(n=6, a=LATTICE_A):
    return oblique_sheet(n, a=a, periodic=False)


# --- energies and forces ---


def test_mos2_relaxes_to_the_lattice_and_the_bond_of_experiment():
    sheet = eh.sheet("MoS2", (4, 3))
    run = relax(sheet, engine="lammps:rebo-mos", cell="xy", fmax=0.002, nudge_A=0)
    assert run.info["converged"]
    lattice = run.atoms.cell.lengths()[:2] / sheet.cell.lengths()[:2] * eh.MATERIALS["MoS2"].cell[0][0]
    assert lattice == pytest.approx([ENGINES["lammps:rebo-mos"].lattice_A] * 2, abs=1e-3)
    assert lattice == pytest.approx([3.16, 3.16], rel=0.005)
    bonds = eh.bonds(run.atoms)
    assert set(bonds["pair"]) == {"Mo-S"}
    assert len(bonds) == 6 * (run.atoms.symbols == "Mo").sum()
    assert bonds["length_A"].to_numpy() == pytest.approx(2.41, abs=0.05)


def test_the_fast_potential_keeps_the_layer_a_little_too_small():
    sheet = eh.sheet("MoS2", (4, 3))
    start = relax(sheet, engine="lammps:sw-mos2", cell="xy", fmax=0.002, nudge_A=0).atoms
    lattice = start.cell.lengths()[:2] / sheet.cell.lengths()[:2] * eh.MATERIALS["MoS2"].cell[0][0]
    run = run_md(start, engine="lammps:sw-mos2", steps=500, temperature_K=600, rng=1)
    assert lattice == pytest.approx([ENGINES["lammps:sw-mos2"].lattice_A] * 2, abs=1e-3)
    assert ENGINES["lammps:sw-mos2"].lattice_A == pytest.approx(3.16, rel=0.015)
    assert abs(run.info["drift_meV_per_atom"]) < 0.1
    assert set(run.log["bonds"]) == {6 * (sheet.symbols == "Mo").sum()}  # S above and S below are not


def test_mos2_without_a_sulphur_keeps_its_energy():
    sheet = eh.sheet("MoS2", (4, 3))
    del sheet[int(np.flatnonzero(sheet.symbols == "S")[0])]
    relaxed = relax(sheet, engine="lammps:rebo-mos")
    run = run_md(relaxed.atoms, engine="lammps:rebo-mos", steps=200, temperature_K=600, rng=1)
    assert relaxed.info["converged"]
    assert abs(run.info["drift_meV_per_atom"]) < 0.1


@pytest.mark.parametrize(
    ("engine", "lattice", "energy"),
    [
        ("lammps:lcbop", 2.4593, -7.350),
        ("lammps:erhart-albe", 2.5552, -7.374),
        ("lammps:tersoff", 2.5298, -7.393),
        ("lammps:airebo", 2.4192, -7.427),
        ("lammps:lindsay-broido", 2.4920, -7.978),
    ],
)
@pytest.mark.parametrize("sheet", [oblique_sheet(4), rectangular()], ids=["triclinic", "orthogonal"])
def test_graphene_relaxes_to_the_reference_lattice_and_energy(engine, lattice, energy, sheet):
    run = relax(sheet, engine=engine, cell="xy", fmax=0.002, nudge_A=0)
    first_bond = run.atoms.get_distance(0, 1, mic=True)
    assert run.info["converged"]
    assert first_bond * np.sqrt(3) == pytest.approx(lattice, abs=3e-4)
    assert run.info["energy_eV"] / len(sheet) == pytest.approx(energy, abs=1e-3)


@pytest.mark.parametrize("engine", [name for name, engine in ENGINES.items() if engine.kind == "lammps"])
@pytest.mark.parametrize("make", [oblique_sheet, flake, rectangular])
def test_forces_are_the_slope_of_the_energy(make, engine):
    carbon = "C" in ENGINES[engine].elements
    atoms = make(a=ENGINES[engine].lattice_A) if carbon else eh.sheet("MoS2", (4, 3))
    atoms.rattle(0.05, seed=1)
    forces = single_point(atoms, engine=engine).get_forces()
    step = 1e-4
    for index, axis in ((0, 0), (7, 1), (11, 2)):
        energies = []
        for sign in (1, -1):
            moved = atoms.copy()
            moved.positions[index, axis] += sign * step
            energies.append(single_point(moved, engine=engine).get_potential_energy())
        assert -(energies[0] - energies[1]) / (2 * step) == pytest.approx(forces[index, axis], abs=2e-3)


def test_energy_is_that_of_the_same_sheet_in_any_cell():
    inside = single_point(oblique_sheet(6)).get_potential_energy()
    shifted = oblique_sheet(6)
    shifted.positions += (31.0, -17.0, 200.0)  # far outside the box
    turned = oblique_sheet(6)
    turned.rotate(37, "z", rotate_cell=True)
    mirrored = oblique_sheet(6)
    mirrored.set_cell(mirrored.cell * [1, -1, 1], scale_atoms=True)
    assert single_point(shifted).get_potential_energy() == pytest.approx(inside, abs=1e-6)
    assert single_point(turned).get_potential_energy() == pytest.approx(inside, abs=1e-6)
    assert single_point(mirrored).get_potential_energy() == pytest.approx(inside, abs=1e-6)


@settings(max_examples=8, deadline=None)
@given(st.permutations(range(32)), st.integers(0, 31))
def test_order_and_elements_are_kept(order, silicon):
    atoms = with_silicon(oblique_sheet(4), silicon)
    atoms.rattle(0.02, seed=2)
    reference = single_point(atoms, engine="lammps:tersoff")
    shuffled = single_point(atoms[order], engine="lammps:tersoff")
    assert shuffled.get_chemical_symbols() == atoms[order].get_chemical_symbols()
    assert np.allclose(shuffled.get_forces(), reference.get_forces()[order], atol=1e-6)
    assert np.allclose(shuffled.positions, atoms.positions[order], atol=1e-9)


# --- relaxation ---


def test_a_flake_keeps_its_cell_its_arrays_and_its_place():
    atoms = flake()
    atoms.set_array("probability", np.linspace(0.5, 1, len(atoms)))
    atoms.rattle(0.05, seed=3)
    run = relax(atoms)
    assert np.array_equal(run.atoms.cell, atoms.cell)
    assert not run.atoms.pbc.any()
    assert np.array_equal(run.atoms.arrays["probability"], atoms.arrays["probability"])
    assert np.allclose(run.atoms.positions.mean(axis=0), atoms.positions.mean(axis=0), atol=0.05)
    assert run.log["potential_eV"].iloc[-1] < run.log["potential_eV"].iloc[0]


def test_the_engines_own_scale_is_noted_and_taken_out():
    atoms = with_silicon(flake(8), 60)
    run = relax(atoms, nudge_A=0)  # flat, or its width would show the buckling as well
    assert run.engine == "lammps:erhart-albe"
    assert run.info["scale"] == pytest.approx(2.5552 / 2.46, abs=0.002)
    assert run.atoms.get_chemical_symbols().count("Si") == 1
    before, after, without = (np.ptp(a.positions[:, 0]) for a in (atoms, run.atoms, unscaled(run.atoms)))
    assert after > 1.02 * before
    assert without == pytest.approx(before, rel=0.02)


def test_a_periodic_cell_is_kept_when_the_engine_is_named():
    atoms = oblique_sheet(4)
    run = relax(atoms, engine="lammps:erhart-albe")
    assert run.info["scale"] == 1.0
    assert np.array_equal(run.atoms.cell, atoms.cell)


def test_the_cell_of_a_flake_cannot_be_relaxed():
    with pytest.raises(ValueError, match="periodic in x and y"):
        relax(flake(2), cell="xy")


# --- dynamics ---


@pytest.mark.parametrize("make", [lambda: rectangular(8, 5), lambda: flake(9)], ids=["sheet", "flake"])
def test_energy_is_conserved_and_half_the_heat_goes_into_the_springs(make):
    start = relax(make(), fmax=0.01)
    run = run_md(start.atoms, steps=200, temperature_K=300, rng=1)
    total = run.log["total_eV"] / len(start.atoms)
    assert abs(run.info["drift_meV_per_atom"]) < 1.0
    assert np.ptp(total) < 1e-3
    assert run.log["temperature_K"].iloc[-5:].mean() == pytest.approx(150, abs=25)
    assert np.allclose(run.atoms.get_momenta().sum(axis=0), 0, atol=1e-6)
    bonds = run.atoms.get_all_distances(mic=True) + 9 * np.eye(len(run.atoms))
    assert bonds.min(axis=1).max() < 1.75  # nobody has left


def test_a_bath_holds_its_temperature():
    run = run_md(
        relax(rectangular(8, 5)).atoms, steps=2000, temperature_K=600, ensemble="nvt", rng=2, every=20
    )
    assert run.log["temperature_K"].iloc[40:].mean() == pytest.approx(600, rel=0.08)


def test_the_same_seed_gives_the_same_run():
    atoms = rectangular(3, 2)
    runs = [run_md(atoms, steps=20, ensemble="nvt", rng=7).atoms.positions for _ in range(2)]
    assert np.array_equal(*runs)
    assert not np.array_equal(runs[0], run_md(atoms, steps=20, ensemble="nvt", rng=8).atoms.positions)


def test_a_run_goes_on_from_its_own_velocities():
    atoms = relax(rectangular(4, 3)).atoms
    whole = run_md(atoms, steps=40, rng=4)
    half = run_md(atoms, steps=20, rng=4)
    rest = run_md(half.atoms, steps=20, temperature_K=None, rng=5)
    assert np.allclose(rest.atoms.positions, whole.atoms.positions, atol=1e-5)
    assert rest.log["total_eV"].iloc[0] == pytest.approx(whole.log["total_eV"].iloc[-1], abs=0.02)


def test_log_and_frames_belong_together():
    run = run_md(oblique_sheet(4), steps=25, every=10, rng=1)
    assert list(run.log["step"]) == [0, 10, 20, 25]
    assert len(run.trajectory) == 4
    assert list(run.log.columns) == LOG_COLUMNS
    assert run.trajectory[2].get_potential_energy() == pytest.approx(run.log["potential_eV"].iloc[2])
    assert run.trajectory[2].get_kinetic_energy() == pytest.approx(run.log["kinetic_eV"].iloc[2])


@pytest.mark.parametrize(
    ("settings_", "message"),
    [
        ({"steps": -1}, "`steps` is -1"),
        ({"steps": 10, "timestep_fs": 10}, "`timestep_fs` is 10 fs"),
        ({"steps": 10, "temperature_K": -5}, "`temperature_K` is -5"),
        ({"steps": 10, "ensemble": "npt"}, "`ensemble` is 'npt'"),
        ({"steps": 10, "every": 0}, "`every` is 0"),
    ],
)
def test_settings_out_of_range_are_refused(settings_, message):
    with pytest.raises(ValueError, match=message):
        run_md(oblique_sheet(2), **settings_)


def test_atoms_too_close_are_named():
    atoms = flake(3) + Atoms("C", [flake(3).positions[5] + (0.3, 0, 0)])
    with pytest.raises(ValueError, match=r"atoms 5 \(C\) and 18 \(C\) are 0.30 Å apart"):
        relax(atoms)


def test_positions_that_are_not_numbers_are_refused():
    atoms = flake(3)
    atoms.positions[4, 1] = np.nan
    with pytest.raises(ValueError, match="not numbers"):
        run_md(atoms, steps=1)


def test_periodic_without_a_cell_is_refused():
    atoms = Atoms("C2", [(0, 0, 0), (1.4, 0, 0)], pbc=True)
    with pytest.raises(ValueError, match="no length in a periodic direction"):
        relax(atoms)


def test_a_run_that_blows_up_is_said():
    with pytest.raises(SimulationError, match="relax it first|Relax it first"):
        run_md(oblique_sheet(4), steps=400, timestep_fs=3.0, temperature_K=3e6, rng=1)


# --- engines that ASE steps ---


def test_tight_binding_has_the_same_calls():
    pytest.importorskip("tblite", reason="tblite is not installed: pip install tblite")
    benzene = molecule("C6H6")
    run = relax(benzene, engine="tblite:gfn1", fmax=0.05, steps=40)
    md = run_md(run.atoms, engine="tblite:gfn1", steps=20, timestep_fs=0.5, temperature_K=300, rng=1, every=5)
    assert run.info["converged"]
    assert run.atoms.get_distance(0, 1) == pytest.approx(1.39, abs=0.02)
    assert list(md.log["step"]) == [0, 5, 10, 15, 20]
    assert np.ptp(md.log["total_eV"]) / len(benzene) < 1e-3


@pytest.mark.slow
def test_tight_binding_has_graphenes_bond():
    pytest.importorskip("tblite", reason="tblite is not installed: pip install tblite")
    lattices = np.array([2.43, 2.46, 2.49])
    energies = [
        single_point(rectangular(6, 4, a), engine="tblite:gfn1").get_potential_energy() for a in lattices
    ]
    curvature, slope, _ = np.polyfit(lattices, energies, 2)
    assert -slope / (2 * curvature) / np.sqrt(3) == pytest.approx(1.419, abs=0.003)


def test_default_lennard_jones_heats_graphene():
    run = run_md(flake(5), engine="ase:lj", steps=25, every=5, rng=1)
    assert run.log["temperature_K"].iloc[-1] > 900


class TestHeldAtoms:
    """ASE's `FixAtoms` is obeyed by every engine: the rim of a cut-out is no rim in the sample."""

    @pytest.fixture
    def flake(self):
        from ase.constraints import FixAtoms

        sheet, _ = eh.add_vacancy(eh.graphene_sheet((16.0, 16.0)), 40)
        sheet.set_constraint(FixAtoms(mask=eh.edge_atoms(sheet)))
        return sheet

    @pytest.mark.parametrize("engine", ["lammps:lcbop", "ase:lj"])
    def test_they_stay_through_relaxation_and_dynamics_and_others_move(self, flake, engine):
        held = flake.constraints[0].index
        relaxed = eh.relax(flake, engine=engine, steps=40).atoms
        run = eh.run_md(relaxed, engine=engine, steps=10, timestep_fs=0.2, temperature_K=300, rng=1)
        for before, after in ((flake, relaxed), (relaxed, run.atoms)):
            moved = np.linalg.norm(after.positions - before.positions, axis=1)
            assert moved[held].max() < 1e-9
            assert moved.max() > 1e-4

    def test_they_carry_no_heat(self, flake):
        run = eh.run_md(flake, engine="lammps:lcbop", steps=2, temperature_K=300, rng=1, every=1)
        assert run.log["temperature_K"].iloc[0] == pytest.approx(300, rel=1e-6)
        held = flake.constraints[0].index
        assert np.abs(run.trajectory[0].get_velocities()[held]).max() == 0

    def test_a_bath_keeps_its_temperature_among_the_others(self, flake):
        settings = {"steps": 600, "timestep_fs": 0.5, "temperature_K": 500, "ensemble": "nvt", "rng": 2}
        run = eh.run_md(flake, engine="lammps:lcbop", **settings)
        assert run.log["temperature_K"].iloc[-20:].mean() == pytest.approx(500, rel=0.25)

    def test_a_constraint_that_lammps_cannot_keep_is_refused(self, flake):
        from ase.constraints import FixBondLengths

        flake.set_constraint(FixBondLengths([[0, 1]]))
        with pytest.raises(ValueError, match="under FixBondLengths; LAMMPS is told of .*FixAtoms only"):
            eh.relax(flake, engine="lammps:lcbop")


class TestInterrupted:
    @pytest.mark.parametrize("engine", ["lammps:lcbop", "lammps:airebo", "ase:lj"])
    def test_what_there_is_says_that_it_was_stopped(self, monkeypatch, engine):
        look = interrupt_at(3, then=plan.Snapshot.__post_init__)
        monkeypatch.setattr(plan.Snapshot, "__post_init__", lambda moment: look(moment))
        atoms = flake()
        atoms.rattle(0.05, seed=1)
        with pytest.raises(
            eh.Stopped, match=r"relaxation was stopped .* after \d+ of 3000 iterations"
        ) as stop:
            relax(atoms, engine=engine, fmax=1e-6)
        part = stop.value.result
        assert len(part.trajectory) == 2
        assert not part.info["converged"]
        assert "stopped: an interrupt after" in repr(part)

    def test_before_the_first_step_there_is_nothing(self, monkeypatch):
        monkeypatch.setattr(lammps.Session, "hold", interrupt_at(1))
        with pytest.raises(eh.Stopped, match="before its first step") as stop:
            relax(flake())
        assert stop.value.result is None

    @pytest.mark.parametrize("times", [1, 3])
    @pytest.mark.parametrize("move", [relax, eh.relax_near])
    def test_it_is_heard_while_lammps_works_and_lammps_ends_before_it_is_closed(
        self, monkeypatch, move, times
    ):
        def long(session, line):  # never settled: only an interrupt ends it
            if not line.startswith("minimize"):
                return whole(session, line)
            threading.Timer(0.3, interrupt_at(1, times=times)).start()
            session._lmp.command("min_style quickmin")
            session._lmp.command("min_modify dmax 1e-9")
            return session._lmp.command("minimize 0 0 100000000 1000000000")

        closed, close, whole = [], lammps.Session.close, lammps.Session.command
        monkeypatch.setattr(
            lammps.Session, "command", lambda session, *lines: [long(session, x) for x in lines]
        )
        monkeypatch.setattr(
            lammps.Session, "close", lambda one: closed.append(one._lmp.is_running) or close(one)
        )
        atoms = flake()
        atoms.rattle(0.05, seed=1)
        with pytest.raises(KeyboardInterrupt):
            move(atoms, engine="lammps:erhart-albe")
        assert closed == [False]


@pytest.mark.parametrize(("steps", "warned"), [(3, True), (1000, False), (0, False)])
def test_a_relaxation_that_has_not_come_to_rest_says_so(caplog, steps, warned):
    atoms = eh.graphene_sheet((5, 3))
    atoms.rattle(0.1, seed=1)
    with caplog.at_level(logging.WARNING, "elit_helpers"):
        run = eh.relax(atoms, engine="lammps:lcbop", steps=steps)
    assert ("stopped after 3 steps with" in caplog.text) == warned
    assert ("where 0.02 were asked for" in caplog.text) == warned
    assert ("eV/Å left" in repr(run)) != run.info["converged"]
