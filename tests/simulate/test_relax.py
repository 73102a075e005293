"""Engines by name: energies and forces against references, conservation, order and elements, refusals."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from ase.build import graphene, make_supercell, molecule
from hypothesis import given, settings
from hypothesis import strategies as st

import elit_helpers as eh
from elit_helpers import EngineMissing
from elit_helpers.engines import lammps
from elit_helpers.engines.catalogue import ENGINES, Engine, choose_engine
from elit_helpers.engines.plan import SimulationError
from elit_helpers.simulate.dynamics import run_md
from elit_helpers.simulate.energies import single_point
from elit_helpers.simulate.record import LOG_COLUMNS
from elit_helpers.simulate.relax import relax
from elit_helpers.simulate.result import unscaled

LATTICE_A = 2.46


def primitive(n=4, a=LATTICE_A):
    sheet = graphene(size=(n, n, 1), a=a, vacuum=8.0)
    sheet.pbc = (True, True, False)
    return sheet


def rectangular(nx=5, ny=3, a=LATTICE_A):
    sheet = make_supercell(graphene(a=a, vacuum=8.0), [[1, 0, 0], [1, 2, 0], [0, 0, 1]]).repeat((nx, ny, 1))
    sheet.pbc = (True, True, False)
    return sheet


def flake(n=6, a=LATTICE_A):
    sheet = primitive(n, a)
    sheet.pbc = False
    return sheet


def with_silicon(atoms, index):
    atoms = atoms.copy()
    atoms.symbols[index] = "Si"
    return atoms


# --- which engine ---


@pytest.mark.parametrize(
    ("atoms", "name"),
    [
        (primitive(2), "lammps:lcbop"),
        (with_silicon(primitive(2), 3), "lammps:erhart-albe"),
        (molecule("C6H6"), "lammps:airebo"),
        (eh.sheet("MoS2", (2, 1)), "lammps:rebo-mos"),
        (eh.sheet("WS2", (2, 1)), "tblite:gfn1"),
        (molecule("SiH4") + Atoms("C", [(3, 0, 0)]), "tblite:gfn1"),
    ],
)
def test_auto_takes_an_engine_that_knows_every_element(atoms, name):
    choice = choose_engine(atoms)
    assert choice.name == name
    assert choice.reason


def test_the_choice_reports_how_far_the_lattice_is_off():
    assert choose_engine(with_silicon(primitive(2), 0)).lattice_mismatch == pytest.approx(0.039, abs=0.001)


def test_the_lattice_of_mos2_is_compared_with_that_of_mos2():
    assert choose_engine(eh.sheet("MoS2", (2, 1))).lattice_mismatch == pytest.approx(0.0024, abs=1e-4)


def test_an_engine_without_the_element_names_those_with_it():
    with pytest.raises(ValueError, match=r"'lammps:lcbop' does not know Si.*lammps:erhart-albe"):
        relax(with_silicon(primitive(2), 0), engine="lammps:lcbop")


def test_an_unknown_engine_lists_the_known():
    with pytest.raises(ValueError, match="`engine` is 'vasp'.*lammps:lcbop"):
        choose_engine(primitive(2), engine="vasp")


def test_no_atoms_is_said():
    with pytest.raises(ValueError, match="`atoms` is empty"):
        choose_engine(Atoms())


def test_a_missing_lammps_names_its_packages(monkeypatch):
    def absent(name):
        raise ImportError("No module named 'lammps'")

    monkeypatch.setattr(lammps.importlib, "import_module", absent)
    with pytest.raises(EngineMissing, match=r"pip install 'lammps\[mpi\]'.*conda-forge lammps"):
        relax(primitive(2))


# --- an engine as an object ---

OWN = replace(ENGINES["lammps:erhart-albe"], name="lammps:own")  # a potential of one's own, not in ENGINES


def morse(atoms):
    from ase.calculators.morse import MorsePotential

    return MorsePotential(epsilon=5.0, r0=1.4)


MORSE = Engine("ase:morse", frozenset({"C"}), calculator=morse)


def rough():
    sheet = eh.graphene_sheet((4, 2), a=OWN.lattice_A)
    sheet.rattle(0.03, seed=1)
    sheet.arrays["position_std_A"] = np.full(len(sheet), 0.05)
    return sheet


def hole():
    return eh.add_vacancy(eh.graphene_sheet((6, 4)), 40)[0]


def healed(engine):
    sheet = hole()
    start = eh.approach(sheet, "C", hole=eh.defects(sheet).iloc[0], rng=1)
    return eh.heal(start, engine=engine, time_fs=2, rng=1)


def swept(engine, **settings):
    settings = {"temperatures_K": (300,), "replicas": 2, "time_ps": 0.01, "rng": 1} | settings
    return eh.temperature_sweep(hole(), engine=engine, **settings)


CALLS = {
    "relax": lambda engine: relax(rough(), engine=engine, steps=20).log,
    "relax_near": lambda engine: eh.relax_near(rough(), engine=engine, steps=30).log,
    "run_md": lambda engine: run_md(rough(), engine=engine, steps=10, rng=1).log,
    "single_point": lambda engine: single_point(rough(), engine=engine).get_forces(),
    "energy_spread": lambda engine: eh.energy_spread(rough(), engine=engine, samples=2, rng=1),
    "temperature_sweep": lambda engine: swept(engine).table.drop(columns="fate"),
    "heal": lambda engine: healed(engine).run.log,
    "compare_potentials": lambda engine: eh.compare_potentials([engine], repeats=(4, 2)).iloc[:1],
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_an_engine_or_a_choice_gives_what_its_name_gives_and_so_does_one_of_ones_own(call):
    named = np.asarray(call("lammps:erhart-albe"), float)
    for engine in (ENGINES["lammps:erhart-albe"], choose_engine(rough(), "lammps:erhart-albe"), OWN):
        np.testing.assert_array_equal(np.asarray(call(engine), float), named)


def test_an_engine_of_ones_own_is_called_by_its_name_in_what_it_gives():
    runs = [relax(rough(), engine=OWN, steps=2), run_md(rough(), engine=OWN, steps=2, rng=1), healed(OWN).run]
    assert {run.engine for run in runs} == {run.info["engine"] for run in runs} == {"lammps:own"}
    assert swept(OWN, replicas=1).info["engine"] == "lammps:own"
    assert eh.compare_potentials([OWN], repeats=(4, 2)).index[0] == "lammps:own"
    assert eh.estimate_seconds(rough(), engine=OWN) > 0


def test_a_choice_that_is_handed_on_keeps_its_reason():
    choice = choose_engine(with_silicon(primitive(3), 0))
    runs = [relax(with_silicon(primitive(3), 0), engine=choice, steps=2), healed(choose_engine(hole())).run]
    assert runs[0].info["reason"] == choice.reason == "it knows C, Si; LCBOP knows carbon only"
    assert runs[0].info["scale"] > 1.03  # as with "auto", which may take the engine's own lattice
    assert runs[1].info["reason"].startswith("pure carbon")


def test_a_potential_file_of_ones_own_is_named_by_its_path(tmp_path):
    file = tmp_path / "my own.tersoff"
    file.write_bytes(eh.potential_file("SiC.tersoff").read_bytes())
    own = replace(OWN, potential=("tersoff", str(file)))
    energies = [single_point(rough(), engine=e).get_potential_energy() for e in (own, "lammps:tersoff")]
    assert energies[0] == energies[1]


def test_a_calculator_of_ones_own_relaxes_and_runs():
    run = relax(Atoms("C2", [(0, 0, 0), (0, 0, 1.7)]), engine=MORSE, fmax=0.01)
    assert run.atoms.get_distance(0, 1) == pytest.approx(1.4, abs=0.001)
    log = run_md(run.atoms, engine=MORSE, steps=20, timestep_fs=0.5, every=5, rng=1).log
    assert np.ptp(log["total_eV"]) < 0.01


@pytest.mark.parametrize("call", [relax, single_point, choose_engine, healed])
def test_an_engine_of_ones_own_refuses_elements_it_does_not_know(call):
    engine = replace(MORSE, elements=frozenset({"N"}))
    with pytest.raises(ValueError, match=r"'ase:morse' does not know C \(it knows N\).*: lammps:lcbop, "):
        call(engine) if call is healed else call(hole(), engine=engine)


@pytest.mark.parametrize("name", ["vasp:pbe", "lammps:own", "ase:own", "tblite:gfn7", "own"])
def test_an_engine_that_nothing_could_run_is_refused(name):
    with pytest.raises(ValueError, match=f"`name` is '{name}'.*'lammps:…' .*`potential`.*`calculator`"):
        Engine(name)


@pytest.mark.parametrize("engine", [*ENGINES.values(), OWN, MORSE], ids=lambda engine: engine.name)
def test_an_engine_survives_pickle_and_can_be_a_key(engine):
    again = pickle.loads(pickle.dumps(engine))
    assert {engine: 1}[again] == 1
    assert f"{again.kind}:{again.method}" == engine.name


def test_an_engine_of_ones_own_crosses_to_other_processes():
    here, beside = (swept(OWN, workers=workers).table for workers in (1, 2))
    assert here.equals(beside)
    one, two = (run_md(rough(), engine=OWN, steps=10, rng=1, ranks=ranks).log for ranks in (1, 2))
    np.testing.assert_allclose(two, one, rtol=1e-8)


def test_a_run_with_an_engine_of_ones_own_goes_on_from_its_file(tmp_path):
    file = tmp_path / "run.npz"
    run_md(rough(), engine=OWN, steps=10, rng=1, checkpoint=file)
    assert run_md(rough(), engine=OWN, steps=20, rng=1, checkpoint=file).info["resumed_at"] == 10
    with pytest.raises(ValueError, match="engine = 'lammps:own', and this call has 'lammps:tersoff'"):
        run_md(rough(), engine="lammps:tersoff", steps=20, rng=1, checkpoint=file)


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
@pytest.mark.parametrize("sheet", [primitive(4), rectangular()], ids=["triclinic", "orthogonal"])
def test_graphene_relaxes_to_the_reference_lattice_and_energy(engine, lattice, energy, sheet):
    run = relax(sheet, engine=engine, cell="xy", fmax=0.002, nudge_A=0)
    first_bond = run.atoms.get_distance(0, 1, mic=True)
    assert run.info["converged"]
    assert first_bond * np.sqrt(3) == pytest.approx(lattice, abs=3e-4)
    assert run.info["energy_eV"] / len(sheet) == pytest.approx(energy, abs=1e-3)


@pytest.mark.parametrize("engine", [name for name, engine in ENGINES.items() if engine.kind == "lammps"])
@pytest.mark.parametrize("make", [primitive, flake, rectangular])
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
    inside = single_point(primitive(6)).get_potential_energy()
    shifted = primitive(6)
    shifted.positions += (31.0, -17.0, 200.0)  # far outside the box
    turned = primitive(6)
    turned.rotate(37, "z", rotate_cell=True)
    mirrored = primitive(6)
    mirrored.set_cell(mirrored.cell * [1, -1, 1], scale_atoms=True)
    assert single_point(shifted).get_potential_energy() == pytest.approx(inside, abs=1e-6)
    assert single_point(turned).get_potential_energy() == pytest.approx(inside, abs=1e-6)
    assert single_point(mirrored).get_potential_energy() == pytest.approx(inside, abs=1e-6)


@settings(max_examples=8, deadline=None)
@given(st.permutations(range(32)), st.integers(0, 31))
def test_order_and_elements_are_kept(order, silicon):
    atoms = with_silicon(primitive(4), silicon)
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
    atoms = primitive(4)
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
    run = run_md(primitive(4), steps=25, every=10, rng=1)
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
        run_md(primitive(2), **settings_)


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


def test_what_lammps_says_reaches_the_caller():
    with (
        lammps.open_session(primitive(2), ENGINES["lammps:lcbop"].potential) as session,
        pytest.raises(SimulationError, match="LAMMPS stopped at `fix 1 all nonsense`.*nonsense"),
    ):
        session.command("fix 1 all nonsense")


def test_a_run_that_blows_up_is_said():
    with pytest.raises(SimulationError, match="relax it first|Relax it first"):
        run_md(primitive(4), steps=400, timestep_fs=3.0, temperature_K=3e6, rng=1)


def test_a_potential_file_that_is_nowhere_is_said():
    with pytest.raises(FileNotFoundError, match="LAMMPS_POTENTIALS"):
        eh.potential_file("no_such.tersoff")


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


@pytest.mark.slow
def test_potentials_agree_with_their_reference_values():
    engines = ("tersoff", "erhart-albe", "airebo", "lcbop", "lindsay-broido")
    table = eh.compare_potentials([f"lammps:{name}" for name in engines])
    reference = {
        "lammps:lindsay-broido": (2.4920, 0.53, 6.1),  # why it must not be used for vacancies
        "lammps:tersoff": (2.5298, 6.89, 10.9),
        "lammps:erhart-albe": (2.5552, 5.88, 9.2),
        "lammps:airebo": (2.4192, 7.65, 6.1),
        "lammps:lcbop": (2.4593, 7.60, 5.1),
    }
    for name, (lattice, vacancy, stone_wales) in reference.items():
        row = table.loc[name]
        assert row["lattice_A"] == pytest.approx(lattice, rel=0.01)
        assert row["vacancy_eV"] == pytest.approx(vacancy, abs=0.1)
        assert row["stone_wales_flat_eV"] == pytest.approx(stone_wales, abs=0.15)  # depends on the box
        assert row["stone_wales_eV"] < row["stone_wales_flat_eV"] + 0.01  # buckling is free to help


def test_every_engine_says_what_it_is_for():
    assert len(eh.engine_table()) == len(ENGINES)
    assert all(e.good_for and e.bad_for for e in ENGINES.values())


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
