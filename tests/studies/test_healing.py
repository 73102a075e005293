"""A molecule at a hole: where it starts, what becomes of the hole, how often, and what is refused."""

import functools
import json

import numpy as np
import pandas as pd
import pytest
from ase import Atoms
from ase.constraints import FixAtoms
from ase.io import read
from hypothesis import given, settings
from hypothesis import strategies as st
from signals import interrupt_at

import elit_helpers as eh
from elit_helpers.engines import lammps
from elit_helpers.simulate import dynamics
from elit_helpers.studies.healing import MOLECULES, outcome_of

PLACE = 40  # the atom of the sheet that is taken out


def sheet():
    return eh.graphene_sheet((7, 4))


@functools.cache
def cut(*missing):
    """A round flake of the ideal lattice about PLACE without some of its atoms, its edge closed and held."""
    full = sheet()
    middle = full.positions[PLACE, :2]
    del full[list(missing)]
    round_it = eh.patch(full, middle, radius_A=4.5 if len(missing) < 2 else 5.5)
    round_it.set_constraint(FixAtoms(np.flatnonzero(round_it.numbers == 1)))
    return round_it


def flake(*missing):
    return cut(*missing).copy()


@pytest.fixture(scope="module")
def vacancy():
    return eh.relax(flake(PLACE), engine="lammps:airebo").atoms


def hole_of(atoms):
    return eh.defects(atoms).iloc[0]


def with_carbon(atoms, x, y, height):
    """The end of a run in which one carbon atom sits at x, y, so far above the sheet."""
    end = atoms.copy()
    end += Atoms("C", [[x, y, atoms.positions[:, 2].mean() + height]])
    end.arrays["molecule"] = np.arange(len(end)) == len(atoms)
    return end


# ---------------------------------------------------------------- the start


@settings(max_examples=20, deadline=None)
@given(
    molecule=st.sampled_from(MOLECULES),
    distance=st.floats(3.5, 8.0),
    angle=st.floats(0.0, 50.0),
    seed=st.integers(0, 99),
)
def test_the_carbon_starts_at_the_distance_and_the_angle_asked_for(molecule, distance, angle, seed):
    bare = flake(PLACE)
    hole = hole_of(bare)
    start = eh.approach(bare, molecule, hole=hole, distance_A=distance, angle=angle, rng=seed)
    way = start.positions[len(bare)] - [hole["x_A"], hole["y_A"], bare.positions[:, 2].mean()]
    assert np.linalg.norm(way) == pytest.approx(distance)
    assert np.rad2deg(np.arctan2(np.linalg.norm(way[:2]), way[2])) == pytest.approx(angle, abs=1e-3)
    assert start.symbols[start.arrays["molecule"]].get_chemical_formula() == molecule
    assert np.array_equal(start.positions[: len(bare)], bare.positions)


@pytest.mark.parametrize("molecule", ["CH3", "CH2", "CH"])
def test_carbon_flies_ahead_of_hydrogen_or_behind_it(molecule):
    bare, ahead = flake(PLACE), {}
    for turned in (0, 180):
        start = eh.approach(bare, molecule, hole=hole_of(bare), distance_A=4, angle=30, turned=turned, rng=1)
        away = np.linalg.norm(start.positions[len(bare) :] - start.info["hole_A"], axis=1)
        ahead[turned] = away[1:].mean() - away[0]
    assert ahead[0] > 0.1
    assert ahead[180] < -0.1


@pytest.mark.parametrize(("molecule", "unpaired"), [("CH3", 1), ("CH2", 0), ("CH", 1), ("C", 0)])
def test_a_radical_carries_the_spin_of_its_odd_electron(molecule, unpaired):
    bare = flake(PLACE)
    start = eh.approach(bare, molecule, hole=hole_of(bare), rng=1)
    moments = start.get_initial_magnetic_moments()
    assert moments.sum() == unpaired == start.numbers.sum() % 2
    assert moments[len(bare)] == unpaired


def test_the_seed_decides_on_which_side_the_molecule_stands():
    bare = flake(PLACE)
    one, again, other = (
        eh.approach(bare, "CH2", hole=hole_of(bare), distance_A=4, angle=40, rng=seed) for seed in (1, 1, 2)
    )
    assert np.array_equal(one.positions, again.positions)
    assert not np.allclose(one.positions, other.positions)
    assert one.info["side"] != other.info["side"]


# ---------------------------------------------------------------- the run


def test_carbon_from_above_heals_a_vacancy_in_airebo(vacancy):
    start = eh.approach(vacancy, "C", hole=hole_of(vacancy), distance_A=2.5, rng=1)
    result = eh.heal(start, engine="lammps:airebo", collision_eV=2, time_fs=300, rng=1)
    assert result.outcome == result.row["outcome"] == "healed"
    assert set(eh.rings(result.cooled)["size"]) == {6}
    assert (result.row["bonds"], result.row["hydrogens"]) == (3, 0)
    assert result.row["energy_eV"] < -10
    assert result.way["distance_A"].iloc[0] == pytest.approx(2.5)
    assert result.way["bonds"].iloc[0] == 0


def test_energy_is_conserved_and_what_is_held_stays(vacancy):
    start = eh.approach(vacancy, "CH2", hole=hole_of(vacancy), distance_A=3.5, angle=30, rng=3)
    result = eh.heal(start, engine="lammps:airebo", temperature_K=600, time_fs=200, collision_eV=2, rng=3)
    held = np.flatnonzero((start.numbers == 1) & ~start.arrays["molecule"])
    assert np.allclose(result.run.atoms.positions[held], start.positions[held], atol=1e-9)
    assert np.ptp(result.run.log["total_eV"]) < 0.2
    assert result.run.log["time_fs"].iloc[-1] == 200


def test_a_flight_has_the_energy_asked_for_and_a_molecule_at_rest_none(vacancy):
    start = eh.approach(vacancy, "C", hole=hole_of(vacancy), distance_A=6, rng=1)
    fast, still = (
        eh.heal(start, engine="lammps:airebo", collision_eV=energy, time_fs=5, rng=1) for energy in (2.0, 0.0)
    )
    speeds = [run.run.trajectory[0].get_velocities()[len(vacancy)] for run in (fast, still)]
    assert 0.5 * 12.011 * (speeds[0] ** 2).sum() == pytest.approx(2.0, rel=1e-6)
    assert np.allclose(speeds[1], 0)
    assert np.allclose(speeds[0][:2], 0, atol=1e-6)
    assert speeds[0][2] < 0


def test_the_same_seed_gives_the_same_run(vacancy):
    start = eh.approach(vacancy, "CH", hole=hole_of(vacancy), distance_A=3, rng=2)
    rows = [eh.heal(start, engine="lammps:airebo", time_fs=50, rng=seed).row for seed in (5, 5, 6)]
    for row in rows:
        row.pop("seconds")
    assert rows[0] == rows[1]
    assert rows[0]["energy_eV"] != rows[2]["energy_eV"]


@pytest.mark.slow
def test_tight_binding_takes_the_same_start_and_conserves_energy(vacancy):
    pytest.importorskip("tblite")
    start = eh.approach(vacancy, "CH3", hole=hole_of(vacancy), distance_A=2.5, rng=1)
    result = eh.heal(start, engine="tblite:gfn1", time_fs=15, rng=1)
    assert result.outcome in ("healed", "partly", "not")
    assert result.row["energy_error_eV"] < 0.1
    assert result.run.atoms.get_initial_magnetic_moments().sum() == 1


# ---------------------------------------------------------------- the outcome


def test_a_carbon_atom_in_the_empty_place_heals():
    x, y = sheet().positions[PLACE, :2] + flake(PLACE).info["offset_A"][:2]
    bare = flake(PLACE)
    assert outcome_of(bare, with_carbon(bare, x, y, 0.0))[0] == "healed"


def test_a_carbon_atom_that_hangs_by_one_bond_or_is_gone_does_not_heal():
    bare = flake(PLACE)
    inner = int(
        np.linalg.norm(bare.positions[:, :2] - hole_of(bare)[["x_A", "y_A"]].to_numpy(float), axis=1).argmin()
    )
    x, y = bare.positions[inner, :2]
    assert outcome_of(bare, with_carbon(bare, x, y, 1.5)) == ("not", "unchanged")
    assert outcome_of(bare, with_carbon(bare, x, y, 9.0)) == ("not", "unchanged")


def test_a_carbon_atom_astride_of_a_bond_does_not_heal():
    bare = flake(PLACE)
    edges = eh.bonds(bare).query("pair == 'C-C'").iloc[0]
    x, y = bare.positions[[int(edges["i"]), int(edges["j"])], :2].mean(axis=0) + [0.1, 0.1]
    assert outcome_of(bare, with_carbon(bare, x, y, 1.3))[0] == "not"


def test_one_atom_of_two_heals_partly():
    full = sheet()
    near = int(np.argsort(np.linalg.norm(full.positions - full.positions[PLACE], axis=1))[1])
    bare = flake(PLACE, near)
    x, y = full.positions[near, :2] + bare.info["offset_A"][:2]
    assert eh.defects(bare)["rings"].iloc[0] == (14,)
    assert outcome_of(bare, with_carbon(bare, x, y, 0.0))[0] == "partly"


# ---------------------------------------------------------------- the shares


def test_shares_count_the_runs_of_each_group():
    table = pd.DataFrame({"molecule": ["C"] * 4 + ["CH"] * 2, "outcome": ["healed"] * 3 + ["not"] * 3})
    shares = eh.healing_shares(table).set_index(["molecule", "outcome"])
    assert shares.loc[("C", "healed"), "share"] == 0.75
    assert shares.loc[("CH", "partly"), "count"] == 0
    assert shares.loc[("CH", "not"), "high"] == 1
    assert 0.3 < shares.loc[("CH", "not"), "low"] < 1
    assert shares.groupby("molecule")["share"].sum().to_list() == [1, 1]


@given(st.lists(st.sampled_from(["healed", "partly", "not"]), min_size=1, max_size=40))
def test_error_bars_hold_the_share_and_shrink_with_more_runs(outcomes):
    one, four = (
        eh.healing_shares(pd.DataFrame({"engine": "x", "outcome": outcomes * n}), by="engine") for n in (1, 4)
    )
    assert ((one["low"] <= one["share"] + 1e-12) & (one["share"] <= one["high"] + 1e-12)).all()
    assert (four["high"] - four["low"] < one["high"] - one["low"]).all()


@pytest.mark.parametrize("add", [eh.add_vacancy, eh.add_divacancy, eh.add_stone_wales])
def test_every_defect_that_the_census_names_can_be_flown_at(add):
    sheet, _ = add(eh.graphene_sheet((5, 3)), 30)
    place = eh.defects(eh.relax(sheet, engine="lammps:lcbop").atoms).iloc[0]
    start = eh.approach(sheet, "CH2", hole=place, distance_A=2.5, rng=1)
    assert len(start) == len(sheet) + 3


# ---------------------------------------------------------------- what is refused


def test_an_unknown_molecule_is_refused():
    with pytest.raises(ValueError, match="`molecule` is 'CH4'; choose one of 'CH3', 'CH2', 'CH', 'C'"):
        eh.approach(flake(PLACE), "CH4", hole=(0, 0))


def test_a_sheet_without_a_hole_is_refused():
    whole = flake()
    with pytest.raises(ValueError, match=r"no hole at \[.*\] Å, its rings there are hexagons"):
        eh.approach(whole, "C", hole=whole.positions[:, :2].mean(axis=0))
    with pytest.raises(ValueError, match="no hole"):
        eh.heal(with_carbon(whole, *whole.positions[0, :2], 2.0), engine="lammps:airebo")


def test_a_place_beside_the_hole_is_refused():
    bare = flake(PLACE)
    with pytest.raises(ValueError, match=r"nearest ring of another size is \d.* Å away"):
        eh.approach(bare, "C", hole=hole_of(bare)[["x_A", "y_A"]].to_numpy(float) + [6, 0])


@pytest.mark.parametrize(("distance", "angle"), [(1.0, 80), (2.5, 85), (0.2, 10)])
def test_a_start_inside_the_sheet_is_refused(distance, angle):
    bare = flake(PLACE)
    with pytest.raises(ValueError, match="inside the sheet"):
        eh.approach(bare, "CH3", hole=hole_of(bare), distance_A=distance, angle=angle, rng=1)


@pytest.mark.parametrize("distance", [0, -2.5, np.nan])
def test_a_distance_that_is_none_is_refused(distance):
    bare = flake(PLACE)
    with pytest.raises(ValueError, match=r"`distance_A` is .* above zero"):
        eh.approach(bare, "C", hole=hole_of(bare), distance_A=distance)


def test_odd_electrons_without_a_spin_are_refused(vacancy):
    start = eh.approach(vacancy, "CH3", hole=hole_of(vacancy), rng=1)
    start.set_initial_magnetic_moments(np.zeros(len(start)))
    with pytest.raises(ValueError, match="set_initial_magnetic_moments"):
        eh.heal(start, engine="tblite:gfn1", time_fs=1)


def test_a_start_without_a_marked_molecule_is_refused(vacancy):
    with pytest.raises(ValueError, match="make it with `approach`"):
        eh.heal(vacancy, engine="lammps:airebo")


@pytest.mark.parametrize("energy", [-1, np.inf])
def test_a_collision_below_zero_is_refused(vacancy, energy):
    start = eh.approach(vacancy, "C", hole=hole_of(vacancy), rng=1)
    with pytest.raises(ValueError, match="`collision_eV` is"):
        eh.heal(start, engine="lammps:airebo", collision_eV=energy)


def test_shares_need_their_columns_and_known_outcomes():
    with pytest.raises(ValueError, match="has no column angle"):
        eh.healing_shares(pd.DataFrame({"outcome": ["not"]}), by="angle")
    with pytest.raises(ValueError, match="`outcome` is 'maybe'"):
        eh.healing_shares(pd.DataFrame({"molecule": ["C"], "outcome": ["maybe"]}))


# ---------------------------------------------------------------- the study that ships


def test_the_study_has_its_runs_with_seeds_and_settings_and_the_same_starts_in_both_engines():
    table = eh.healing_runs()
    xtb, classical = (table[table["engine"] == name] for name in ("tblite:gfn1", "lammps:airebo"))
    assert len(xtb) >= 24
    assert set(xtb["molecule"]) == set(MOLECULES)
    assert (xtb["time_fs"] == 400).all()
    assert xtb["seed"].is_unique
    start = [
        "molecule",
        "distance_A",
        "angle",
        "turned",
        "side",
        "temperature_K",
        "collision_eV",
        "replica",
        "seed",
    ]
    assert len(xtb.merge(classical, on=start)) == len(xtb)
    assert table[["seed", "start_seed", "versions", "created"]].notna().all(axis=None)


def test_no_run_has_more_than_forty_atoms_and_all_conserve_energy():
    table = eh.healing_runs()
    for name in table.loc[table["engine"] == "tblite:gfn1", "name"]:
        frames = eh.healing_frames(name)
        assert len(frames[0]) <= 40
        assert len(frames) == 42
    assert (table["energy_error_eV"] < 0.5).all()


def test_the_outcomes_of_the_table_follow_from_the_frames():
    table = eh.healing_runs().query("engine == 'tblite:gfn1'")
    before = read(eh.data_dir() / "healing" / "flake_xtb.extxyz")
    for row in table.itertuples():
        cooled = eh.healing_frames(row.name)[-1]
        assert cooled.info["time_fs"] == -1
        assert outcome_of(before, cooled) == (row.outcome, row.fate)


def test_the_starts_can_be_made_again_from_the_table():
    before = read(eh.data_dir() / "healing" / "flake_xtb.extxyz")
    hole = (before.info["hole_x_A"], before.info["hole_y_A"])
    for row in eh.healing_runs().query("engine == 'tblite:gfn1'").iloc[::5].itertuples():
        geometry = {"distance_A": row.distance_A, "angle": row.angle, "turned": row.turned}
        start = eh.approach(before, row.molecule, hole=hole, **geometry, rng=int(row.start_seed))
        assert np.allclose(start.positions, eh.healing_frames(row.name)[0].positions, atol=1e-3)


def test_a_run_that_does_not_ship_is_refused():
    with pytest.raises(ValueError, match="`name` is 'nothing'; choose one of 'xtb_CH3"):
        eh.healing_frames("nothing")


@pytest.mark.slow
def test_the_barrier_that_ships_is_that_of_its_images():
    folder = eh.data_dir() / "healing"
    images, card = read(folder / "barrier.extxyz", ":"), json.loads((folder / "barrier.json").read_text())
    assert card["converged"]
    top = int(np.argmax(card["energies_eV"]))
    assert 0 < top < len(images) - 1
    energies = []
    for image in (images[0], images[top]):
        moments = np.zeros(len(image))
        moments[np.flatnonzero(image.arrays["molecule"])[0]] = 1
        image.set_initial_magnetic_moments(moments)
        energies.append(eh.single_point(image, engine="tblite:gfn1").get_potential_energy())
    assert energies[1] - energies[0] == pytest.approx(card["barrier_eV"], abs=0.01)


# ---------------------------------------------------------------- interrupted
def test_an_interrupt_in_flight_is_no_outcome(vacancy, monkeypatch):
    look = interrupt_at(3, then=dynamics.Simulation._look)
    monkeypatch.setattr(dynamics.Simulation, "_look", lambda *a: look(*a))
    start = eh.approach(vacancy, "CH2", hole=hole_of(vacancy), rng=1)
    with pytest.raises(eh.Stopped, match="dynamics was stopped by an interrupt after") as stop:
        eh.heal(start, engine="lammps:airebo", time_fs=40, rng=1)
    assert stop.value.result.log["time_fs"].iloc[-1] < 40


def test_an_interrupt_while_the_end_is_cooled_leaves_the_whole_flight(vacancy, monkeypatch):
    monkeypatch.setattr(lammps.Session, "minimise", interrupt_at(1))
    start = eh.approach(vacancy, "CH2", hole=hole_of(vacancy), rng=1)
    with pytest.raises(
        eh.Stopped, match="flight was over; the interrupt came while its end was cooled"
    ) as stop:
        eh.heal(start, engine="lammps:airebo", time_fs=40, rng=1)
    assert stop.value.result.log["time_fs"].iloc[-1] == pytest.approx(40)
