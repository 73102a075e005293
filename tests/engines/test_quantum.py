"""Quantum engines: reference values, forces, conservation; spin, charge and cell; programs that fail.

DFTB+ and GPAW are tested where they are installed, and skipped by name where they are not.
"""

import importlib.util
import logging
import os
import shutil
import stat
import threading
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from ase import Atoms
from ase.build import bulk, graphene, molecule
from ase.md.verlet import VelocityVerlet
from ase.units import fs, kB
from places import ROOT
from sheets import oblique_sheet
from signals import interrupt_at

import elit_helpers as eh
from elit_helpers import EngineMissing, SimulationError
from elit_helpers.engines import dftb_plus, quantum

MIO = next((p for p in (ROOT.parent / "shared/slako/mio-1-1",) if p.is_dir()), None)
has_gpaw = pytest.mark.skipif(
    importlib.util.find_spec("gpaw") is None and "ELIT_REQUIRE_GPAW" not in os.environ,
    reason="GPAW is not installed (pip install gpaw gpaw-data)",
)
has_dftb = pytest.mark.skipif(
    shutil.which("dftb+") is None, reason="DFTB+ is not installed (conda install -c conda-forge dftbplus)"
)


def dftb_has_xtb():
    """Whether the DFTB+ at hand was built with tblite, which only running it tells."""
    try:
        quantum.calculator("dftb+:gfn1", molecule("H2")).get_potential_energy(molecule("H2"))
    except EngineMissing:
        return False
    except RuntimeError:  # a program that is broken is for the tests to report, not for their collection
        return True
    return True


has_xtb = pytest.mark.skipif(
    shutil.which("dftb+") is not None and not dftb_has_xtb(),
    reason="this DFTB+ was built without tblite (conda-forge's has it)",
)
has_mio = pytest.mark.skipif(
    MIO is None and "DFTB_PREFIX" not in os.environ,
    reason="no Slater-Koster files mio-1-1 (set DFTB_PREFIX to their folder)",
)
ENGINES = [
    "tblite:gfn1",
    "tblite:gfn2",
    pytest.param("dftb+:mio", marks=[has_dftb, has_mio]),
    pytest.param("dftb+:gfn1", marks=[has_dftb, has_xtb]),
    pytest.param("gpaw:pbe", marks=[has_gpaw, pytest.mark.slow]),
]


@pytest.fixture(autouse=True)
def slater_koster(monkeypatch):
    if MIO is not None and "DFTB_PREFIX" not in os.environ:
        monkeypatch.setenv("DFTB_PREFIX", str(MIO))


def sheet(n):
    return oblique_sheet(n, a=2.458)


def with_engine(atoms, name):
    quantum.check(name, atoms)
    atoms.calc = quantum.calculator(name, atoms)
    return atoms


def radical():
    atoms = molecule("CH3")
    atoms.set_initial_magnetic_moments(None)
    return atoms


# --- spin and charge ---


def test_odd_electrons_without_spin_are_refused_with_the_line_that_sets_it():
    with pytest.raises(ValueError, match=r"CH3.*9 electrons, an odd number.*set_initial_magnetic_moments"):
        quantum.check("tblite:gfn1", radical())


def test_the_line_that_is_suggested_works():
    atoms = radical()
    atoms.set_initial_magnetic_moments([1.0] + [0.0] * (len(atoms) - 1))
    assert quantum.charge_and_spin(atoms) == (0, 1)


def test_a_spin_that_the_electrons_do_not_allow_is_refused():
    atoms = molecule("C6H6")
    atoms.set_initial_magnetic_moments([1.0] + [0.0] * 11)
    with pytest.raises(ValueError, match="42 electrons, which cannot leave 1 unpaired"):
        quantum.check("tblite:gfn1", atoms)


def test_a_charge_changes_the_number_of_electrons():
    atoms = radical()
    atoms.set_initial_charges([1.0, 0, 0, 0])
    assert quantum.charge_and_spin(atoms) == (1, 0)


def test_charges_must_add_up_to_a_whole_number():
    atoms = radical()
    atoms.set_initial_charges([0.3, 0, 0, 0])
    with pytest.raises(ValueError, match="charge of `atoms` adds up to 0.3"):
        quantum.charge_and_spin(atoms)


def test_a_charged_sheet_without_end_is_refused():
    atoms = sheet(5)
    atoms.set_initial_charges([2.0] + [0.0] * 49)
    with pytest.raises(ValueError, match=r"charge of \+2 in a periodic cell"):
        quantum.check("gpaw:pbe", atoms)


def test_xtb_of_dftb_plus_takes_no_unpaired_electrons():
    atoms = molecule("O2")
    with pytest.raises(ValueError, match="2 unpaired electrons.*tblite:gfn1"):
        quantum.check("dftb+:gfn1", atoms)


@pytest.mark.parametrize(
    "name", ["tblite:gfn1", pytest.param("gpaw:pbe", marks=[has_gpaw, pytest.mark.slow])]
)
def test_a_cation_costs_energy(name):
    methane, cation = molecule("CH4"), molecule("CH4")
    cation.set_initial_charges([1, 0, 0, 0, 0])
    cation.set_initial_magnetic_moments([1, 0, 0, 0, 0])
    ionisation = (
        with_engine(cation, name).get_potential_energy() - with_engine(methane, name).get_potential_energy()
    )
    assert 8 < ionisation < 20


# --- cells ---


def test_a_cell_too_small_for_one_k_point_is_warned_of(caplog):
    with caplog.at_level(logging.WARNING, "elit_helpers"):
        quantum.check("tblite:gfn1", sheet(3))
    assert "7.4 Å wide" in caplog.text
    assert "atoms.repeat((2, 2, 1))" in caplog.text


@pytest.mark.parametrize(("name", "atoms"), [("tblite:gfn1", sheet(5)), ("gpaw:pbe", sheet(1))])
def test_no_warning_where_the_cell_is_wide_or_k_points_are_taken(caplog, name, atoms):
    quantum.check(name, atoms)
    assert not caplog.records


def test_small_cells_get_k_points_and_patches_one():
    assert quantum.k_points(sheet(1)) == (5, 5, 1)
    assert quantum.k_points(sheet(2)) == (3, 3, 1)
    assert quantum.k_points(sheet(5)) == (1, 1, 1)
    assert quantum.k_points(molecule("C6H6")) == (1, 1, 1)


def test_a_sheet_whose_image_is_too_near_is_refused():
    atoms = graphene(size=(5, 5, 1), vacuum=2.0)
    atoms.pbc = True
    with pytest.raises(ValueError, match=r"no vacuum: the sheet and its image in z are 4\.0 Å apart"):
        quantum.check("tblite:gfn1", atoms)


def test_a_crystal_is_no_sheet_without_vacuum():
    quantum.check("tblite:gfn1", bulk("Si", cubic=True).repeat((2, 2, 1)))


def test_where_the_structure_ends_its_cell_does_not_matter():
    flat, roomy = sheet(5), sheet(5)
    flat.cell[2] = 0
    roomy.positions += (0, 0, 30)
    roomy.cell[2, 2] = 2 * quantum.VACUUM_A["tblite"]
    energies = [with_engine(a, "tblite:gfn1").get_potential_energy() for a in (flat, roomy)]
    assert energies[0] == pytest.approx(energies[1], abs=1e-4)


@pytest.mark.parametrize("lift_A", [0.0, 0.03, 0.3, 1.1])
def test_a_box_on_a_grid_has_whole_steps_and_the_vacuum_asked_for(lift_A):
    atoms = sheet(2)
    atoms.positions[0, 2] += lift_A
    box = quantum.Boxed(lambda inner: None, atoms, 5.0, edge_A=quantum.EDGE_A).inner
    steps = box.cell.lengths()[2] / quantum.EDGE_A
    assert steps == pytest.approx(round(steps))
    below, above = box.positions[:, 2].min(), box.cell.lengths()[2] - box.positions[:, 2].max()
    assert below == pytest.approx(above)
    assert 5.0 <= below + 1e-9 < 5.0 + quantum.EDGE_A


@has_gpaw
@pytest.mark.slow
def test_the_energy_in_pbe_does_not_depend_on_the_height_of_the_box():
    low, high = sheet(1), sheet(1)
    high.positions[0, 2] += 1.2
    energies = []
    for first in (low, high):
        flat = sheet(1)
        flat.calc = quantum.calculator("gpaw:pbe", first)
        energies.append(flat.get_potential_energy() / 2)
    assert energies[0] == pytest.approx(energies[1], abs=2e-3)


# --- energies and forces of every engine ---


@pytest.mark.parametrize("name", ENGINES)
def test_forces_are_the_slope_of_the_energy(name):
    atoms = sheet(1 if name.startswith("gpaw") else 3)
    atoms.rattle(0.05, seed=1)
    with_engine(atoms, name)
    forces, step = atoms.get_forces(), 0.005
    for index, axis in ((0, 0), (1, 1), (1, 2)):
        energies = []
        for sign in (1, -1):
            moved = atoms.copy()
            moved.positions[index, axis] += sign * step
            energies.append(with_engine(moved, name).get_potential_energy())
        slope = -(energies[0] - energies[1]) / (2 * step)
        # GPAW's grid lets the energy of an atom depend a little on its place between grid points.
        assert forces[index, axis] == pytest.approx(slope, abs=0.02 if name.startswith("gpaw") else 0.01)


@pytest.mark.parametrize("name", ENGINES)
def test_energy_is_conserved_in_motion(name):
    atoms = molecule("CH4") if name.startswith("gpaw") else sheet(3)
    with_engine(atoms, name)
    spread = np.sqrt(kB * 300 * atoms.get_masses())[:, None]
    atoms.set_momenta(spread * np.random.default_rng(1).standard_normal((len(atoms), 3)))
    totals = []
    driver = VelocityVerlet(atoms, timestep=0.5 * fs)
    driver.attach(lambda: totals.append(atoms.get_total_energy() / len(atoms)))
    driver.run(6 if name.startswith("gpaw") else 20)
    assert np.ptp(totals) < 2e-3


@pytest.mark.slow
@pytest.mark.parametrize(("name", "bond"), [("tblite:gfn1", 1.419), ("tblite:gfn2", 1.415)])
def test_graphene_of_96_atoms_has_the_reference_bond(name, bond):
    rectangle = Atoms(
        "C4",
        cell=(2.458, 2.458 * np.sqrt(3), 18),
        pbc=(True, True, False),
        scaled_positions=[(0, 0, 0.5), (0.5, 1 / 6, 0.5), (0.5, 0.5, 0.5), (0, 2 / 3, 0.5)],
    ).repeat((6, 4, 1))
    assert _bond_of_least_energy(rectangle, name, (2.43, 2.455, 2.48)) == pytest.approx(bond, abs=0.003)


@has_gpaw
@pytest.mark.slow
def test_pbe_has_the_reference_lattice():
    lattice = np.sqrt(3) * _bond_of_least_energy(sheet(1), "gpaw:pbe", (2.44, 2.47, 2.50))
    assert lattice == pytest.approx(2.47, abs=0.01)


@has_dftb
@has_mio
@pytest.mark.slow
def test_dftb_has_the_reference_bond():
    assert _bond_of_least_energy(sheet(6), "dftb+:mio", (2.45, 2.47, 2.49)) == pytest.approx(1.427, abs=0.003)


@has_dftb
@has_xtb
def test_both_programs_have_the_same_xtb():
    energies = [
        with_engine(molecule("C6H6"), name).get_potential_energy() for name in ("dftb+:gfn1", "tblite:gfn1")
    ]
    assert energies[0] == pytest.approx(energies[1], abs=0.2)


@has_dftb
@has_mio
def test_a_radical_in_dftb_plus_has_its_spin():
    atoms = radical()
    atoms.set_initial_magnetic_moments([1.0, 0, 0, 0])
    with_engine(atoms, "dftb+:mio")
    assert np.isfinite(atoms.get_potential_energy())
    assert "SpinPolarisation" in (Path(atoms.calc.inner.calc.directory) / "dftb_in.hsd").read_text()


def _bond_of_least_energy(atoms, name, lattices):
    energies = []
    for a in lattices:
        scaled = atoms.copy()
        scale = np.diag([a / 2.458, a / 2.458, 1.0])
        scaled.set_cell(atoms.cell @ scale, scale_atoms=True)
        energies.append(with_engine(scaled, name).get_potential_energy())
    square, linear, _ = np.polyfit(lattices, energies, 2)
    return -linear / (2 * square) / np.sqrt(3)


# --- engines that are not there ---


@pytest.mark.parametrize(
    ("name", "package", "texts"),
    [
        ("tblite:gfn1", "tblite.ase", ["pip install tblite", "conda-forge tblite-python"]),
        ("gpaw:pbe", "gpaw", ["elit-helpers[quantum]", "conda-forge gpaw", "libxc-dev"]),
    ],
)
def test_a_missing_engine_names_its_packages_on_pip_and_conda(monkeypatch, name, package, texts):
    def absent(wanted):
        raise ImportError(f"No module named {wanted!r}", name=wanted)

    monkeypatch.setattr("elit_helpers.core.checks.importlib.import_module", absent)
    with pytest.raises(EngineMissing, match="cannot be imported") as caught:
        quantum.calculator(name, molecule("CH4"))
    assert [text for text in texts if text not in str(caught.value)] == []


def test_a_missing_dftb_plus_says_where_it_comes_from(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EngineMissing, match=r"no program `dftb\+`.*conda-forge dftbplus.*pip has no DFTB"):
        quantum.calculator("dftb+:mio", molecule("CH4"))


def test_missing_slater_koster_files_are_named(fake, monkeypatch, tmp_path):
    fake("exit 0")
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv("DFTB_PREFIX", str(tmp_path / "empty"))
    with pytest.raises(FileNotFoundError, match=r"C-C\.skf, C-H\.skf.*DFTB_PREFIX.*tblite:gfn1"):
        quantum.calculator("dftb+:mio", molecule("CH4"))


# --- DFTB+ where a script stands for the program ---


RESULTS = """
cat > results.tag <<TAG
forces              :real:2:3,5
 0.1 0.0 0.0
 0.0 0.0 0.0
 0.0 0.0 0.0
 0.0 0.0 0.0
 -0.1 0.0 0.0
TAG
echo 'Total energy:  -3.0 H  -81.6 eV' > detailed.out
"""


@pytest.fixture
def fake(monkeypatch, tmp_path):
    """Put a shell script named dftb+ on the path, and Slater-Koster files that it does not read."""
    folder = tmp_path / "bin"
    folder.mkdir()
    parameters = tmp_path / "sk"
    parameters.mkdir()
    for pair in ("C-C", "C-H", "H-C", "H-H"):
        (parameters / f"{pair}.skf").touch()
    monkeypatch.setenv("DFTB_PREFIX", str(parameters))
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")

    def write(script):
        path = folder / "dftb+"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    return write


def test_results_are_read_in_electronvolts(fake):
    fake(RESULTS)
    atoms = with_engine(molecule("CH4"), "dftb+:mio")
    assert atoms.get_potential_energy() == pytest.approx(-3.0 * 27.2114, abs=1e-3)
    assert atoms.get_forces()[0, 0] == pytest.approx(0.1 * 51.4221, abs=1e-3)


def test_the_energy_is_the_one_whose_slope_the_forces_are(fake):
    fake(RESULTS + "printf 'forcerelated_energy :real:0:\\n -0.300100000000000E+001\\n' >> results.tag")
    atoms = with_engine(molecule("CH4"), "dftb+:mio")
    assert atoms.get_potential_energy() == pytest.approx(-3.001 * 27.2114, abs=1e-3)


def test_the_input_says_what_is_computed(fake):
    fake(RESULTS)
    atoms = radical()
    atoms.set_initial_magnetic_moments([1.0, 0, 0, 0])
    atoms += Atoms("H", [(5, 5, 5)])
    atoms.set_initial_magnetic_moments([1.0, 0, 0, 0, 1.0])
    with_engine(atoms, "dftb+:mio").get_potential_energy()
    text = " ".join((Path(atoms.calc.inner.calc.directory) / "dftb_in.hsd").read_text().split())
    for part in (
        "Hamiltonian = DFTB{", "SCC = Yes", 'MaxAngularMomentum = { C = "p" H = "s" }', "ParserVersion = 12",
        "SpinPolarisation = Colinear{ UnpairedElectrons = 2 }", "Filling = Fermi{ Temperature = 0.00316 }",
    ):  # fmt: skip
        assert part in text
    assert "KPointsAndWeights" not in text


def test_the_input_of_a_sheet_has_k_points_and_a_box(fake):
    fake("exit 1")
    atoms = sheet(2)
    with_engine(atoms, "dftb+:gfn1")
    with pytest.raises(RuntimeError):
        atoms.get_potential_energy()
    folder = Path(atoms.calc.inner.calc.directory)
    text = " ".join((folder / "dftb_in.hsd").read_text().split())
    assert "Hamiltonian = xTB{" in text
    assert 'Method = "GFN1-xTB"' in text
    assert "KPointsAndWeights = SupercellFolding { 3 0 0 0 3 0 0 0 1 0.0 0.0 0.0 }" in text
    geometry = (folder / "geo_end.gen").read_text().split()
    assert geometry[1] == "S"
    assert float(geometry[-1]) >= 2 * quantum.VACUUM_A["dftb+"]


@pytest.mark.parametrize(
    ("script", "text"),
    [
        ("echo 'ERROR! -> Geometry is bad'; exit 3", "status 3 .*Geometry is bad"),
        ("echo ' ERROR! -> SCC is NOT converged, maximal SCC iterations exceeded'; exit 1", "did not settle"),
        ("kill -9 $$", "SIGKILL.*too little memory"),
        ("exit 0", "status 0 and no results"),
    ],
)
def test_a_program_that_fails_says_why(fake, script, text):
    fake(script)
    atoms = with_engine(molecule("CH4"), "dftb+:mio")
    with pytest.raises(RuntimeError, match=text) as caught:
        atoms.get_potential_energy()
    assert quantum.explain("dftb+:mio", caught.value).startswith("DFTB+ with mio-1-1 stopped: ")


def test_a_program_without_xtb_says_who_has_it(fake):
    fake("echo 'ERROR! -> DFTB+ compiled without support for tblite library'; exit 1")
    with pytest.raises(EngineMissing, match="built without tblite.*conda-forge.*tblite:gfn1"):
        eh.single_point(molecule("CH4"), engine="dftb+:gfn1")


def test_a_program_that_hangs_is_ended_with_its_children(fake, monkeypatch, tmp_path):
    fake(f"sleep 1234 & echo $! > {tmp_path}/child; wait")
    monkeypatch.setenv("ELIT_ENGINE_TIMEOUT_S", "4")
    atoms = with_engine(molecule("CH4"), "dftb+:mio")
    with pytest.raises(RuntimeError, match="no answer within 4 s.*ELIT_ENGINE_TIMEOUT_S"):
        atoms.get_potential_energy()
    wait_for_the_end_of(int((tmp_path / "child").read_text()))


def wait_for_the_end_of(child):
    """Wait until a killed process is gone, which takes a busy machine a moment."""
    end = time.monotonic() + 30
    while psutil.pid_exists(child) and psutil.Process(child).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.parametrize("times", [1, 3])
def test_an_interrupt_ends_the_program_with_its_children(fake, tmp_path, times):
    fake(f"sleep 1234 & echo $! > {tmp_path}/child.; mv {tmp_path}/child. {tmp_path}/child; wait")

    def interrupt():
        while not (tmp_path / "child").exists():
            time.sleep(0.01)
        interrupt_at(1, times=times)()

    atoms = with_engine(molecule("CH4"), "dftb+:mio")
    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        atoms.get_potential_energy()
    wait_for_the_end_of(int((tmp_path / "child").read_text()))


def test_the_folder_of_the_program_goes_with_the_calculator(fake):
    fake(RESULTS)
    atoms = with_engine(molecule("CH4"), "dftb+:mio")
    atoms.get_potential_energy()
    folder = Path(atoms.calc.inner.calc.directory)
    assert folder.is_dir()
    atoms.calc.inner.calc._tidy()
    assert not folder.exists()


def test_a_time_limit_must_be_a_time(monkeypatch):
    monkeypatch.setenv("ELIT_ENGINE_TIMEOUT_S", "soon")
    with pytest.raises(ValueError, match="`ELIT_ENGINE_TIMEOUT_S` is 'soon'"):
        dftb_plus.time_limit_s()


# --- through the one interface ---


def test_every_quantum_engine_is_listed_with_its_lattice():
    table = eh.engine_table()
    assert set(quantum.NAMES) <= set(table.index)
    assert table.loc[list(quantum.NAMES), "lattice [Å]"].between(2.44, 2.49).all()


def test_an_engine_is_here_or_not(monkeypatch, tmp_path):
    assert eh.has_engine("tblite:gfn1")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not eh.has_engine("dftb+:mio")
    with pytest.raises(ValueError, match="`name` is 'vasp'"):
        eh.has_engine("vasp")


@pytest.mark.parametrize("call", [eh.relax, eh.single_point, lambda a, **k: eh.run_md(a, steps=1, **k)])
def test_odd_electrons_are_refused_at_every_door(call):
    with pytest.raises(ValueError, match="odd number, and no spin"):
        call(radical(), engine="tblite:gfn1")


def test_an_element_without_parameters_is_refused():
    with pytest.raises(ValueError, match=r"'dftb\+:mio' does not know Si.*tblite:gfn1"):
        eh.relax(Atoms("SiC", [(0, 0, 0), (0, 0, 1.8)]), engine="dftb+:mio")
    with pytest.raises(ValueError, match="no parameters for U: xTB ends with radon"):
        eh.relax(Atoms("UO", [(0, 0, 0), (0, 0, 1.8)]), engine="tblite:gfn1")


def test_atoms_too_close_are_refused():
    with pytest.raises(ValueError, match=r"0\.50 Å apart"):
        eh.relax(Atoms("C2", [(0, 0, 0), (0, 0, 0.5)]), engine="tblite:gfn1")


def test_the_cell_of_a_sheet_in_pbe_cannot_be_relaxed():
    with pytest.raises(ValueError, match="no stress with LCAO"):
        eh.relax(sheet(1), engine="gpaw:pbe", cell="xy")


def test_what_was_reached_before_a_fault_is_kept(fake, tmp_path):
    count = tmp_path / "count"
    fake(f"echo x >> {count}; [ $(wc -l < {count}) -gt 4 ] && exit 7; {RESULTS}")
    with pytest.raises(SimulationError, match="DFTB.*status 7") as caught:
        eh.run_md(molecule("CH4"), engine="dftb+:mio", steps=10, every=1, rng=1)
    run = caught.value.run
    assert len(run.trajectory) == len(run.log) == 4
    assert run.info["stopped"].startswith("an error")


def test_a_relaxation_that_stops_keeps_its_frames(fake, tmp_path):
    count = tmp_path / "count"
    fake(f"echo x >> {count}; [ $(wc -l < {count}) -gt 1 ] && exit 7; {RESULTS}")
    with pytest.raises(SimulationError, match="Relax the structure with a classical engine") as caught:
        eh.relax(molecule("CH4"), engine="dftb+:mio")
    assert len(caught.value.run.trajectory) == 1


def test_a_cycle_that_does_not_settle_says_what_to_change(fake):
    fake("echo 'ERROR! -> SCC is NOT converged, maximal SCC iterations exceeded'; exit 1")
    with pytest.raises(SimulationError, match="close open edges with hydrogen.*set_initial_magnetic_moments"):
        eh.single_point(molecule("CH4"), engine="dftb+:mio")


def test_the_first_steps_say_what_the_whole_will_take(caplog, monkeypatch):
    monkeypatch.setattr("elit_helpers.simulate.dynamics.WORTH_SAYING_S", 0.0)
    with caplog.at_level(logging.INFO, "elit_helpers"):
        run = eh.run_md(molecule("CH4"), engine="tblite:gfn1", steps=20, every=5, rng=1, timestep_fs=0.5)
    assert run.info["estimate_s"] > 0
    assert "s for 20 steps" in caplog.text


def test_an_estimate_grows_with_the_steps():
    seconds = [eh.estimate_seconds(molecule("C6H6"), engine="tblite:gfn1", steps=n) for n in (10, 10_000)]
    assert seconds[1] > 10 * seconds[0] > 0


def test_a_killed_run_goes_on_from_its_checkpoint(tmp_path):
    settings = {"engine": "tblite:gfn1", "timestep_fs": 0.5, "every": 2, "rng": 3}
    whole = eh.run_md(molecule("CH4"), steps=12, **settings)
    eh.run_md(molecule("CH4"), steps=6, checkpoint=tmp_path / "run.npz", **settings)
    rest = eh.run_md(molecule("CH4"), steps=12, checkpoint=tmp_path / "run.npz", **settings)
    assert rest.info["resumed_at"] == 6
    assert np.allclose(rest.atoms.positions, whole.atoms.positions, atol=1e-4)


@pytest.mark.slow
def test_silicon_with_three_neighbours_stands_above_the_sheet():
    atoms = sheet(5)
    atoms.symbols[24] = "Si"
    atoms.positions[24, 2] += 0.5
    end = eh.relax(atoms, engine="tblite:gfn1", fmax=0.03).atoms
    bonds = eh.bonds(end).query("pair == 'C-Si'").length_A
    assert len(bonds) == 3
    assert bonds.between(1.70, 1.85).all()
    assert end.positions[24, 2] - np.median(end.positions[:, 2]) > 0.6
