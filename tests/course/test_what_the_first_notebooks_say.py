"""Statements of notebooks 00 and 01 in words, where no number of a cell stands beside them."""

import numpy as np
import pytest

import elit_helpers as eh


@pytest.fixture(scope="module")
def movie():
    return eh.load_movie("development")


@pytest.fixture(scope="module")
def atoms():
    """The true atoms of the first frame that no contamination lies on."""
    return eh.load_movie_truth("development").query("frame == 0 and not under_contamination")


def counts_at(frame, atoms):
    rows, columns = atoms[["row_px", "col_px"]].round().astype(int).clip(0, 511).to_numpy().T
    return frame[rows, columns]


def test_the_brightest_pixels_of_the_clouds_outshine_every_atom(movie, atoms):
    frame = movie.frames[0]
    at = counts_at(frame, atoms)
    assert at.max() < np.quantile(frame, 0.995)


def test_a_carbon_atom_is_less_than_the_noise_of_a_pixel_and_a_silicon_is_more(movie, atoms):
    frame = movie.frames[0]
    inside = atoms.query("210 < row_px < 410 and 100 < col_px < 300")
    carbon, silicon = (counts_at(frame, inside[inside.element == e]) for e in ("C", "Si"))
    around = frame[200:420, 90:310].mean()
    assert 0 < carbon.mean() - around < carbon.std()
    assert silicon.mean() - around > 2 * carbon.std()


def test_recipes_are_what_the_notebook_says_of_them():
    ideal, naive, realistic = (eh.RECIPES[name] for name in ("ideal", "naive", "realistic"))
    assert (ideal.vacancies, naive.vacancies) == (1, 3)
    for recipe in (ideal, naive):
        assert recipe.holes == recipe.contamination == recipe.grain_boundary == recipe.jitter_A == 0
        assert recipe.silicon > 0
    assert min(realistic.holes, realistic.contamination, realistic.grain_boundary, realistic.jitter_A) > 0
    assert not any(recipe.lecture_noise for name, recipe in eh.RECIPES.items() if name != "naive")


def test_a_sheet_whose_bonds_are_four_per_cent_off_stores_a_tenth_of_an_electronvolt_an_atom():
    sheet = eh.graphene_sheet((6, 4))
    for factor in (0.96, 1.04):
        strained = sheet.copy()
        strained.set_cell(sheet.cell * [factor, factor, 1], scale_atoms=True)
        energy = eh.relax(strained, engine="lammps:lcbop", cell="xy").log.potential_eV
        assert (energy.iloc[0] - energy.iloc[-1]) / len(sheet) == pytest.approx(0.1, abs=0.04)


def test_zero_point_motion_is_the_larger_part_of_how_carbon_swings_in_the_sheet():
    """Debye temperature in the plane, 2312 K: Tewary and Yang, Phys. Rev. B 79, 125416 (2009)."""
    from scipy.constants import Boltzmann, atomic_mass, hbar

    zero_point = hbar / np.sqrt(12.011 * atomic_mass * Boltzmann * 2312) * 1e10
    steps = eh.load_trajectory("graphene_0_removed")
    places = np.array([step.get_scaled_positions() for step in steps])
    places = places[0] + (places - places[0] + 0.5) % 1 - 0.5
    classical = (places * steps[0].cell.lengths()).std(axis=0)[:, :2].mean()
    assert classical < zero_point
    assert zero_point < 0.05 < np.hypot(classical, zero_point)  # what the course draws with


def test_atoms_of_a_sheet_add_less_than_a_carbon_peak_to_its_level():
    look = {"pixel_size": 0.1, "shape": (200, 200), "pedestal": 0.0}
    sheet = eh.sheet("graphene", (24.0, 24.0), angle=7)
    for probe in ({"probe": "60kV", "source_sigma_A": 0.3}, {"spot_sigma_A": 0.35, "tail_weight": 0}):
        picture = eh.simulate_frame(sheet, eh.Imaging(**look, **probe), rng=1)
        assert 0.2 < picture[50:150, 50:150].mean() < 1
