"""What the tables of levels and of forces say is what their structures and forces say."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from ase.calculators.emt import EMT
from ase.io import read
from places import ROOT
from recipe_files import load_recipe

import elit_helpers as eh

SPIN = "vacancy, 2 unpaired"


@pytest.fixture(scope="module")
def quantum():
    return eh.data_dir() / "quantum"


@pytest.fixture(scope="module")
def levels(quantum):
    table = pd.read_csv(quantum / "levels.csv")
    return table[table.cells == "5x3"].set_index(["level", "defect"])


@pytest.fixture(scope="module")
def shelf(quantum):
    ends = read(quantum / "levels.extxyz", index=":")
    return {(atoms.info["level"], atoms.info["defect"]): atoms for atoms in ends}


def test_heights_are_over_the_neighbours_and_over_the_sheet(levels, shelf):
    heights = levels[levels.height_A.notna()]
    assert heights.over_sheet_A.notna().all()
    for key in heights.index.intersection(shelf):
        atoms, row = shelf[key], levels.loc[key]
        other = int(np.flatnonzero(atoms.numbers != 6)[0])
        near = np.argsort(atoms.get_distances(other, range(len(atoms)), mic=True))[1:]
        z = atoms.positions[:, 2]
        assert z[other] - z[near[: int(row.neighbours)]].mean() == pytest.approx(row.height_A, abs=1e-4)
        assert z[other] - np.median(z) == pytest.approx(row.over_sheet_A, abs=1e-4)


def test_silicon_stands_up_with_three_neighbours_and_lies_flat_with_four(levels):
    height = levels.height_A.unstack("level")
    assert (height.loc["SiC3"].dropna() > 0.5).all()
    quantum_levels = ["gpaw:pbe", "tblite:gfn1", "tblite:gfn2"]
    assert (height.loc["SiC4", quantum_levels].abs() < 0.05).all()
    assert (height.loc["SiC4", ["lammps:erhart-albe", "lammps:tersoff"]] > 0.35).all()


def test_the_vacancy_of_pbe_is_flat_only_where_two_electrons_are_left_unpaired(levels, shelf):
    def lifted(name):
        atoms = shelf["gpaw:pbe", name]
        return np.ptp(atoms.positions[eh.coordination(atoms) == 2, 2])

    assert lifted("vacancy") > 0.5
    assert lifted(SPIN) < 0.05
    assert shelf["gpaw:pbe", SPIN].get_initial_magnetic_moments().sum() == pytest.approx(2)
    apart = levels.formation_eV["gpaw:pbe", SPIN] - levels.formation_eV["gpaw:pbe", "vacancy"]
    assert abs(apart) < 0.1
    assert levels.formation_eV["tblite:gfn1", SPIN] - levels.formation_eV["tblite:gfn1", "vacancy"] > 0.4


def test_every_row_of_the_literature_has_a_source_and_speaks_of_a_defect_that_was_computed(quantum, levels):
    table = pd.read_csv(quantum / "literature.csv")
    assert set(table.defect) <= set(levels.index.get_level_values("defect"))
    assert (table.low <= table.high).all()
    assert table.doi.str.startswith("10.").all()


def test_the_table_of_forces_is_that_of_the_forces_themselves(quantum):
    table, arrays = pd.read_csv(quantum / "forces.csv"), np.load(quantum / "forces.npz")
    names = {"PBE, 8 atoms": "aimd", "DFTB, Stone-Wales": "dftb"}
    for row in table.itertuples():
        own, right = (arrays[f"{names[row.frames_of]} {level}"] for level in (row.level, row.reference))
        error = np.linalg.norm(own.astype(float) - right, axis=-1)
        found = np.sqrt((error**2).mean()), np.median(error), error.max()
        assert found == pytest.approx((row.rms_error, row.median_error, row.largest_error), abs=1e-3)


def test_where_lcbop_is_far_off_second_neighbours_are_within_its_switch(quantum):
    arrays = np.load(quantum / "forces.npz")
    wrong = np.linalg.norm(arrays["dftb lammps:lcbop"] - arrays["dftb gpaw:pbe"], axis=2) > 2
    frames = read(eh.data_dir() / "dftb_plus" / "stone_wales_md_300K.extxyz", index="12::12")
    near = []
    for frame in frames:
        apart = frame.get_all_distances(mic=True)
        bonded, close = (apart > 0) & (apart < 1.6), (apart > 1.6) & (apart < 2.2)
        assert apart[close].min() > 2.1  # no bond is near breaking
        near.append(close.any(axis=1) | bonded[close.any(axis=1)].any(axis=0))
    assert (wrong & near).sum() > 0.9 * wrong.sum()


def test_the_hot_defect_starts_without_drift_and_goes_on_where_it_was_stopped(quantum, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "data" / "recipes")
    recipe = load_recipe("make_aimd_defect")
    monkeypatch.setattr("elit_helpers.engines.quantum.calculator", lambda name, atoms: EMT())
    runs = {}
    for name, ends in {"at once": (4,), "stopped": (2, 4)}.items():
        folder = tmp_path / name / "quantum"
        folder.mkdir(parents=True)
        shutil.copy(quantum / "levels.extxyz", folder)
        for steps in ends:
            recipe.main(tmp_path / name, steps)
        runs[name] = read(folder / "aimd_defect.extxyz", index=":")
    first, last = runs["at once"][0], runs["at once"][-1]
    assert [len(frames) for frames in runs.values()] == [5, 5]
    assert first.get_temperature() == pytest.approx(8000, rel=0.25)
    assert np.abs(first.get_momenta().sum(axis=0)).max() < 1e-6
    assert eh.defects(first).kind.tolist() == ["Stone–Wales 5-7-7-5"]
    assert runs["stopped"][-1].positions == pytest.approx(last.positions, abs=1e-5)


def test_the_hot_defect_that_ships_keeps_its_energy_near_the_lectures_temperature(quantum):
    frames = read(quantum / "aimd_defect.extxyz", index=":")
    told = json.loads((quantum / "aimd_defect.json").read_text())
    assert told["frames"] == len(frames) > 60
    assert told["cpu_seconds"] < 2.5 * 3600
    total = np.array([frame.get_total_energy() for frame in frames]) / len(frames[0])
    assert np.ptp(total) < 0.01
    late = frames[len(frames) // 2 :]
    assert np.mean([frame.get_temperature() for frame in late]) == pytest.approx(4000, rel=0.15)
    ours = eh.defect_bonds(frames[0], frames=late)
    closed = eh.published_bonds().length_A.loc[lambda length: length < 2]
    scatter = np.hypot(ours.mean_A.std(), ours.std_A.mean())
    assert scatter == pytest.approx(closed.std(), rel=0.35)
    assert closed.mean() < ours.mean_A.mean() < closed.mean() + 0.15
