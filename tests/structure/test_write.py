"""Structures as files: ASE's readers give back the same, LAMMPS and pymatgen accept what they are given."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from ase.calculators.lammps import Prism
from ase.constraints import FixAtoms
from ase.io import read
from hypothesis import given, settings
from hypothesis import strategies as st
from tables import found_table

import elit_helpers as eh
from elit_helpers.engines.lammps import load_lammps
from elit_helpers.samples.sheets import nearest
from elit_helpers.structure.write import FILES

LMP = shutil.which("lmp", path=str(Path(sys.executable).parent)) or shutil.which("lmp")
RELAX, MD = {"IBRION": 2, "NSW": 200}, {"IBRION": 0, "NSW": 2000, "POTIM": 1.0, "MDALGO": 2, "ISYM": 0}


def flake(seed=0, size=16.0, angle=17.0):
    """Atoms of graphene and silicon as a picture gives them, with error bars, flat but for the silicon."""
    rng = np.random.default_rng(seed)
    sheet = eh.sheet("graphene", (size, size), angle=angle)
    sheet.symbols = rng.choice(["C", "C", "C", "Si"], len(sheet))
    xy = sheet.positions[:, :2] + rng.normal(0, 0.05, (len(sheet), 2))
    found = found_table(
        xy,
        element=sheet.get_chemical_symbols(),
        probability=rng.uniform(0.5, 1, len(sheet)),
        position_std_A=rng.uniform(0, 0.1, len(sheet)),
    )
    return eh.to_atoms(found, lift_A={"Si": 0.7})


def embedded():
    """A vacancy in a periodic sheet whose cell lies as its picture's lattice does, at 17° to x."""
    sheet = eh.sheet("graphene", (40.0, 40.0), angle=17)
    return eh.embed(eh.add_vacancy(sheet, nearest(sheet, (20, 20)))[0], (20, 20), radius_A=6.0)


def sorted_distances(atoms):
    """All distances in the periodic cell, whatever the order of the atoms and the way the cell lies."""
    return np.sort(atoms.get_all_distances(mic=True), axis=None)


def same(a, b, atol=1e-5):
    """Same atoms in the same cell, in any order and any orientation, seen with the same periodicity."""
    a, b = a.copy(), b.copy()
    a.pbc = b.pbc = True
    assert a.get_chemical_formula() == b.get_chemical_formula()
    assert np.allclose(np.sort(a.cell.lengths()), np.sort(b.cell.lengths()), atol=atol)
    assert np.allclose(sorted_distances(a), sorted_distances(b), atol=atol)


def at_the_same_places(a, b, atol=1e-5):
    order = [np.lexsort(np.round(s.positions, 3).T) for s in (a, b)]
    assert np.allclose(a.positions[order[0]], b.positions[order[1]], atol=atol)
    assert (a.numbers[order[0]] == b.numbers[order[1]]).all()


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**31))
def test_all_files_read_back_the_same(tmp_path_factory, seed):
    atoms = flake(seed)
    names = (*FILES, "structure.cif")
    paths = eh.write_structure(atoms, tmp_path_factory.mktemp("files"), files=names)
    at_the_same_places(atoms, read(paths["POSCAR"]))
    at_the_same_places(atoms, read(paths["structure.lmp"], format="lammps-data", atom_style="atomic"))
    same(atoms, read(paths["structure.cif"]))
    again = read(paths["structure.extxyz"])
    at_the_same_places(atoms, again)
    assert again.arrays["probability"] == pytest.approx(atoms.arrays["probability"], abs=1e-6)
    assert again.info["contacts_resolved"] == atoms.info["contacts_resolved"]
    assert not again.pbc.any()


@pytest.mark.parametrize("name", ["POSCAR", "sheet.vasp", "sheet.lmp", "sheet.extxyz", "sheet.cif"])
def test_periodic_sheet_with_a_turned_cell_reads_back_the_same(tmp_path, name):
    atoms = embedded()
    path = eh.write_atoms(atoms, tmp_path / name)
    options = {"format": "lammps-data", "atom_style": "atomic"} if name.endswith("lmp") else {}
    again = read(path, **options)
    same(atoms, again)
    if name.endswith("extxyz"):
        assert (again.arrays["from_picture"] == atoms.arrays["from_picture"]).all()
        assert again.info["strain"] == pytest.approx(atoms.info["strain"])
        assert again.pbc.tolist() == [True, True, False]


def test_lammps_file_carries_masses_by_element(tmp_path):
    text = eh.write_atoms(flake(), tmp_path / "structure.lmp").read_text()
    assert "2 atom types" in text
    assert "12.01" in text
    assert "28.08" in text


@pytest.mark.skipif(LMP is None, reason="the program lmp is not there")
@pytest.mark.parametrize("made", [flake, embedded])
def test_lammps_itself_accepts_its_file(tmp_path, made):
    atoms = made()
    eh.write_atoms(atoms, tmp_path / "structure.lmp")
    elements = " ".join(sorted(set(atoms.get_chemical_symbols())))
    lines = [
        "units metal", "atom_style atomic", "boundary p p p", "read_data structure.lmp", "pair_style tersoff",
        f'pair_coeff * * "{eh.potential_file("SiC_Erhart-Albe.tersoff")}" {elements}', "run 0",
    ]  # fmt: skip
    (tmp_path / "in.test").write_text("\n".join(lines) + "\n")
    done = subprocess.run(
        [LMP, "-in", "in.test", "-log", "none"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    assert f"{len(atoms)} atoms" in done.stdout
    assert "ERROR" not in done.stdout
    # The energy is that of the same atoms given to LAMMPS by the course.
    energy = float(re.search(r"E_pair.*\n\s+0\s+\S+\s+(\S+)", done.stdout).group(1))
    periodic = atoms.copy()
    periodic.pbc = True
    own = eh.single_point(periodic, engine="lammps:erhart-albe").get_potential_energy()
    assert energy == pytest.approx(own, abs=1e-3)


def far_off():
    """A flake whose atoms lie below the origin and beyond its cell, as after a relaxation or a long run."""
    atoms = flake()
    atoms.positions += (-20.0, 7.0, -3.0)
    return atoms


def ribbon():
    """A strip that goes on at 17° to x, in an oblique cell, its atoms on both sides of the origin."""
    atoms = embedded()
    atoms.pbc = (True, False, False)
    atoms.positions -= 0.6 * atoms.cell[1]
    return atoms


@pytest.mark.parametrize("made", [flake, far_off, embedded, ribbon])
@pytest.mark.parametrize("ends", ["f", "s", "m", "p"])
def test_lammps_reads_all_atoms_where_they_are_with_every_boundary_that_fits(tmp_path, made, ends):
    atoms = made()
    path = eh.write_atoms(atoms, tmp_path / "structure.lmp")
    lmp = load_lammps()(cmdargs=["-log", "none", "-screen", "none", "-nocite"])
    boundary = " ".join("p" if periodic else ends for periodic in atoms.pbc)
    lmp.commands_list(["units metal", "atom_style atomic", "atom_modify map array", f"boundary {boundary}"])
    lmp.command(f'read_data "{path}"')
    positions = np.ctypeslib.as_array(lmp.gather_atoms("x", 1, 3)).reshape(-1, 3).copy()
    lmp.close()
    written = read(path, format="lammps-data", atom_style="atomic")
    turned = Prism(atoms.cell).vector_to_lammps(atoms.positions)
    away = np.linalg.solve(np.array(written.cell).T, (positions - turned).T).T
    away -= np.where(atoms.pbc, np.rint(away), 0.0)  # through a periodic wall it is the same place
    assert np.abs(away @ np.array(written.cell)).max() < 1e-6


@pytest.mark.parametrize("name", ["POSCAR", "flake.cif"])
def test_a_code_that_repeats_every_cell_finds_the_vacuum(tmp_path, name):
    atoms = far_off()
    atoms.positions[3, 2] += 30.0  # one has left, far beyond the cell
    again = read(eh.write_atoms(atoms, tmp_path / name))
    height = np.sort(again.get_scaled_positions(wrap=True) * again.cell.lengths(), axis=0)
    around = np.diff(np.vstack([height, height[:1] + again.cell.lengths()]), axis=0).max(axis=0)
    assert (around >= atoms.info["vacuum_A"] - 1e-6).all()


@pytest.mark.parametrize(("task", "wanted"), [("relax", RELAX), ("md", MD | {"TEBEG": 4000, "TEEND": 4000})])
def test_pymatgen_accepts_the_input_of_vasp(tmp_path, task, wanted):
    inputs = pytest.importorskip("pymatgen.io.vasp.inputs")
    atoms = embedded()
    files = eh.write_vasp(atoms, tmp_path / task, task=task, temperature_K=4000)
    assert sorted(files) == ["INCAR", "KPOINTS", "POSCAR", "POTCAR.txt"]
    poscar = inputs.Poscar.from_file(files["POSCAR"], check_for_potcar=False)
    assert len(poscar.structure) == len(atoms)
    assert poscar.structure.volume == pytest.approx(atoms.get_volume())
    incar = inputs.Incar.from_file(files["INCAR"])
    incar.check_params()  # warns of a name or a type that VASP does not know, and warnings are errors
    assert {name: incar[name] for name in wanted} == wanted
    kpoints = inputs.Kpoints.from_file(files["KPOINTS"])
    assert kpoints.style.name == "Gamma"
    assert tuple(kpoints.kpts[0]) == (1, 1, 1)


def test_short_periodic_cells_get_more_points_and_vacuum_gets_one(tmp_path):
    files = eh.write_vasp(eh.sheet("graphene", (4, 3)), tmp_path / "small")
    assert "\n3 2 1\n" in files["KPOINTS"].read_text()


def test_hydrogen_halves_the_time_step_and_held_atoms_stay(tmp_path):
    sheet = eh.sheet("graphene", (30.0, 30.0))
    patch = eh.patch(sheet, (15, 15), radius_A=5.0)
    patch.set_constraint(FixAtoms([0, 3]))
    files = eh.write_vasp(patch, tmp_path / "patch", task="md", steps=50)
    assert "POTIM = 0.5" in files["INCAR"].read_text()
    assert "NSW = 50" in files["INCAR"].read_text()
    assert [len(c.index) for c in read(files["POSCAR"]).constraints] == [2]


def test_note_names_the_potcars_in_the_order_of_the_poscar(tmp_path):
    sheet = eh.sheet("MoS2", (3, 2))
    files = eh.write_vasp(sheet, tmp_path / "mos2")
    note, order = files["POTCAR.txt"].read_text(), files["POSCAR"].read_text().splitlines()[5].split()
    assert order == ["Mo", "S"]
    assert note.index("Mo_sv/POTCAR") < note.index("/S/POTCAR")
    assert "licence" in note


@pytest.mark.parametrize(("options", "message"), [
    ({"task": "anneal"}, "'relax', 'md'"), ({"task": "md", "temperature_K": 0}, "above zero"),
    ({"steps": 0}, "above zero"), ({"timestep_fs": -1}, "above zero"),
])  # fmt: skip
def test_settings_that_make_no_sense_leave_no_folder(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        eh.write_vasp(flake(), tmp_path / "vasp", **options)
    assert not list(tmp_path.iterdir())


def test_all_files_or_none(tmp_path):
    atoms = flake()
    eh.write_structure(atoms, tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    broken = atoms.copy()
    broken.positions[3] = np.nan
    cases = [
        (broken, FILES, "not finite"),
        (atoms[:0], FILES, "empty"),
        (atoms[:5], ("POSCAR", "structure.pdb"), "name it POSCAR"),
    ]
    for bad, files, message in cases:
        with pytest.raises(ValueError, match=message):
            eh.write_structure(bad, tmp_path, files=files)
        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_structure_without_a_cell_is_not_written(tmp_path):
    atoms = flake()
    atoms.cell = None
    with pytest.raises(ValueError, match="no cell"):
        eh.write_atoms(atoms, tmp_path / "POSCAR")
