"""Engines by name or as an object: which one is chosen and why, what each knows, and one of one's own."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from sheets import oblique_sheet, with_silicon

import elit_helpers as eh
from elit_helpers.engines.catalogue import ENGINES, Engine, choose_engine
from elit_helpers.simulate.dynamics import run_md
from elit_helpers.simulate.energies import single_point
from elit_helpers.simulate.relax import relax

# --- which engine ---


@pytest.mark.parametrize(
    ("atoms", "name"),
    [
        (oblique_sheet(2), "lammps:lcbop"),
        (with_silicon(oblique_sheet(2), 3), "lammps:erhart-albe"),
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
    choice = choose_engine(with_silicon(oblique_sheet(2), 0))
    assert choice.lattice_mismatch == pytest.approx(0.039, abs=0.001)


def test_the_lattice_of_mos2_is_compared_with_that_of_mos2():
    assert choose_engine(eh.sheet("MoS2", (2, 1))).lattice_mismatch == pytest.approx(0.0024, abs=1e-4)


def test_an_engine_without_the_element_names_those_with_it():
    with pytest.raises(ValueError, match=r"'lammps:lcbop' does not know Si.*lammps:erhart-albe"):
        relax(with_silicon(oblique_sheet(2), 0), engine="lammps:lcbop")


def test_an_unknown_engine_lists_the_known():
    with pytest.raises(ValueError, match="`engine` is 'vasp'.*lammps:lcbop"):
        choose_engine(oblique_sheet(2), engine="vasp")


def test_no_atoms_is_said():
    with pytest.raises(ValueError, match="`atoms` is empty"):
        choose_engine(Atoms())


def test_every_engine_says_what_it_is_for():
    assert len(eh.engine_table()) == len(ENGINES)
    assert all(e.good_for and e.bad_for for e in ENGINES.values())


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
    impure = with_silicon(oblique_sheet(3), 0)
    choice = choose_engine(impure)
    runs = [relax(impure, engine=choice, steps=2), healed(choose_engine(hole())).run]
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
