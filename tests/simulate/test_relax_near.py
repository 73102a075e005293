"""A relaxation that hears the picture stays within its error bars, and nearer to the truth than either."""

import numpy as np
import pytest
from ase import Atoms
from ase.constraints import FixAtoms
from sheets import with_errors

import elit_helpers as eh
from elit_helpers.samples.sheets import nearest


def truth_and_picture(error=0.055, seed=0):
    """A relaxed flake with a vacancy, flat, and the same atoms with an error along x and y [Å]."""
    sheet = eh.sheet("graphene", (26.0, 26.0), angle=12)
    holed, _ = eh.add_vacancy(sheet, nearest(sheet, (13, 13)))
    truth = eh.relax(holed, engine="lammps:lcbop", nudge_A=0.0).atoms
    return truth, with_errors(truth, error, seed)


def rmse(a, b):
    return eh.compare_structures(a, b)["rmse_A"]


def test_potential_and_picture_together_are_nearer_to_the_truth_than_the_picture():
    truth, seen = truth_and_picture()
    run = eh.relax_near(seen)
    assert run.info["converged"]
    assert rmse(seen, truth) == pytest.approx(0.055 * np.sqrt(2), rel=0.15)
    assert rmse(eh.unscaled(run).atoms, truth) < 0.6 * rmse(seen, truth)


def test_atoms_go_no_further_than_their_error_and_less_the_surer_they_are():
    _, seen = truth_and_picture()
    moved = [eh.relax_near(seen, error_A=error).info["moved_A"] for error in (0.01, 0.055, 0.2)]
    assert moved == sorted(moved)
    assert moved[0] < 0.03
    assert moved[1] < 0.055 * np.sqrt(2)


def test_energy_and_forces_are_the_engines_without_the_springs():
    _, seen = truth_and_picture()
    run = eh.relax_near(seen)
    again = eh.single_point(run.atoms, engine=run.engine)
    assert run.atoms.get_potential_energy() == pytest.approx(again.get_potential_energy(), abs=1e-6)
    assert run.log["potential_eV"].is_monotonic_decreasing
    assert run.info["spring_eV_A2"] == pytest.approx(8.617e-5 * 300 / 0.055**2, rel=1e-3)


def test_silicon_is_relaxed_in_its_engines_lattice_and_brought_back():
    _, seen = truth_and_picture()
    seen.symbols[len(seen) // 2] = "Si"
    run = eh.relax_near(seen)
    assert run.engine == "lammps:erhart-albe"
    assert run.atoms.info["lattice_scale"] == pytest.approx(1.0387, rel=0.01)
    assert eh.bonds(eh.unscaled(run).atoms)["length_A"].median() == pytest.approx(1.42, abs=0.02)


def test_held_atoms_stay_and_the_input_is_not_touched():
    _, seen = truth_and_picture()
    seen.set_constraint(FixAtoms([0, 5]))
    before = seen.positions.copy()
    run = eh.relax_near(seen)
    assert (seen.positions == before).all()
    assert run.atoms.positions[[0, 5]] == pytest.approx(before[[0, 5]], abs=1e-6)


@pytest.mark.parametrize(("options", "message"), [
    ({"engine": "tblite:gfn1"}, "the springs are LAMMPS's"), ({"error_A": 0.0}, "`error_A` is 0.0"),
    ({"temperature_K": -5}, "above zero"), ({"engine": "lammps:none"}, "choose one of"),
])  # fmt: skip
def test_bad_settings_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        eh.relax_near(truth_and_picture()[1], **options)


@pytest.mark.slow
def test_circle_from_truth_to_picture_to_structure_and_back_closes():
    """Two frames of the movie's scoring half; `make bench` has all of them."""
    movie, truth = eh.load_movie("scoring"), eh.load_movie_truth("scoring")
    size = eh.calibrate(movie.frames[0], nominal=movie.pixel_size).pixel_size
    found = eh.find_atoms(eh.default_ensemble(), movie.frames[[1, 6]], pixel_size=size)
    for position, number in enumerate((1, 6)):
        clear = truth[(truth["frame"] == number) & ~truth["under_contamination"]]
        sample = Atoms(clear["element"].to_list(), np.pad(clear[["x_A", "y_A"]].to_numpy(), ((0, 0), (0, 1))))
        seen = eh.to_atoms(found, frame=position)
        relaxed = eh.unscaled(eh.relax_near(seen)).atoms
        for atoms, target in ((seen, 0.12), (relaxed, 0.08)):
            result = eh.compare_structures(atoms, sample)
            assert result["matched"] > 0.97 * len(sample)
            assert result["rmse_A"] <= target
            assert max(result["percent_x"], result["percent_y"]) <= 1
            assert result["element_changes"] == 0
