"""Spots of single atoms: blurs add in quadrature and keep the integral; what ships is what abTEM gave."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from elit_helpers.images import kernels
from elit_helpers.images.kernels import Kernel, kernel_card, kernel_names, load_kernel

RADIUS = np.linspace(0, 5, 51)
NAMES = ("60kV", "80kV", "200kV")
widths = st.floats(0.0, 1.5)


@pytest.mark.parametrize("name", NAMES)
@given(first=widths, second=widths)
def test_two_blurs_are_one_of_their_width_in_quadrature(name, first, second):
    kernel = load_kernel(name)
    twice, once = kernel.blurred(first).blurred(second), kernel.blurred(float(np.hypot(first, second)))
    np.testing.assert_allclose(twice.profile("Si", RADIUS), once.profile("Si", RADIUS), atol=1e-9)


@given(sigma=widths, element=st.sampled_from(["H", "C", "Si", "W"]))
def test_a_blur_keeps_the_integral_of_a_spot(sigma, element):
    kernel = load_kernel("60kV")
    assert kernel.blurred(sigma).integral(element) == pytest.approx(kernel.integral(element), rel=1e-9)


def test_a_blur_is_the_convolution_that_it_says():
    step, kernel = 0.05, load_kernel("60kV")
    grid = (np.arange(301) - 150) * step
    spot = kernel.profile("N", np.hypot(grid[:, None], grid[None]))
    drawn = kernel.blurred(0.4).profile("N", np.hypot(grid[:, None], grid[None]))
    np.testing.assert_allclose(gaussian_filter(spot, 0.4 / step, truncate=6), drawn, atol=2e-4)


def test_the_integral_is_that_of_the_profile():
    kernel, r = load_kernel("80kV"), np.linspace(0, 20, 4001)
    assert kernel.integral("C") == pytest.approx(
        np.trapezoid(2 * np.pi * r * kernel.profile("C", r), r), rel=1e-4
    )


def test_one_gaussian_has_the_profile_of_a_gaussian():
    kernel = Kernel((0.5,), {"C": (2.0,)})
    assert kernel.profile("C", 0.5) == pytest.approx(2 * np.exp(-0.5))
    assert kernel.profile("C", np.zeros((2, 3))).shape == (2, 3)
    assert kernel.scaled(0.5).peak("C") == 1.0


@pytest.mark.parametrize("name", NAMES)
def test_the_shipped_gaussians_follow_the_computed_profiles(name):
    kernel, card = load_kernel(name), kernel_card(name)
    assert kernel.peak("C") == pytest.approx(1, abs=1e-3)
    for element in kernel.elements:
        peak = card["peak_to_carbon"][element]
        computed = peak * np.array(card["profiles"][element])
        misfit = np.abs(kernel.profile(element, card["radius_A"]) - computed).max() / peak
        assert misfit < 0.01
        assert misfit == pytest.approx(card["largest_misfit_of_peak"][element], abs=1e-4)


def test_elements_are_as_bright_as_multislice_makes_them_at_60_kv():
    kernel = load_kernel("60kV")
    ratios = {e: round(kernel.peak(e) / kernel.peak("C"), 2) for e in ("B", "N", "Si")}
    assert ratios == pytest.approx({"B": 0.69, "N": 1.37, "Si": 4.5}, rel=0.02)


@pytest.mark.parametrize("name", NAMES)
def test_every_element_of_the_course_is_there_and_heavier_is_brighter(name):
    from ase.data import atomic_numbers

    kernel = load_kernel(name)
    assert {"H", "B", "C", "N", "O", "Si", "S", "Ti", "Cr", "Mo", "W", "Sr"} <= set(kernel.elements)
    peaks = [kernel.peak(e) for e in sorted(kernel.elements, key=atomic_numbers.get)]
    assert np.all(np.diff(peaks) > 0)


def test_a_carbon_spot_is_as_wide_as_a_probe_of_30_mrad():
    kernel = load_kernel("60kV")
    half = RADIUS[np.argmax(kernel.profile("C", RADIUS) < 0.5)]
    assert 0.35 <= half <= 0.5


def test_a_kernel_stays_as_it_shipped_whatever_a_caller_does():
    load_kernel("60kV").heights.clear()
    kernel_card("60kV")["profiles"].clear()
    assert "C" in load_kernel("60kV").heights
    assert "C" in kernel_card("60kV")["profiles"]


@pytest.mark.parametrize("ask", [load_kernel, kernel_card])
def test_an_unknown_name_lists_the_names(ask):
    with pytest.raises(ValueError, match="`name` is '300kV'; choose one of '60kV', '80kV', '200kV'"):
        ask("300kV")
    assert kernel_names() == list(NAMES)


def test_what_cannot_be_a_spot_is_refused():
    kernel = load_kernel("60kV")
    with pytest.raises(ValueError, match="No spot is known for element 'Xe'; this kernel has H, B"):
        kernel.profile("Xe", 0.0)
    with pytest.raises(ValueError, match="`sigma_A` is -0.1; it must be a finite number of at least 0"):
        kernel.blurred(-0.1)
    with pytest.raises(ValueError, match="give one width above zero"):
        Kernel((0.0,), {"C": (1.0,)})
    with pytest.raises(ValueError, match="`heights` has 1 for C; give one for each of the 2 widths"):
        Kernel((0.3, 0.6), {"C": (1.0,)})


def test_the_file_is_read_once():
    load_kernel("60kV")
    hits = kernels._shipped.cache_info().hits
    load_kernel("80kV")
    assert kernels._shipped.cache_info().hits > hits
