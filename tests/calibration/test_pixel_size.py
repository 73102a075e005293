"""The pixel size comes from the lattice, twice, with honest errors; without a lattice there is none."""

from dataclasses import replace

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from places import SHARED
from scipy.ndimage import gaussian_filter

import elit_helpers as eh
from elit_helpers.calibration.cell_phase import expected_phase
from elit_helpers.calibration.reflections import reflections

REAL = SHARED / "real_frames"
needs_real_frames = pytest.mark.skipif(
    not REAL.is_dir(), reason=f"the real frames are not here ({REAL}); they are for tests only"
)


def real(name):
    with h5py.File(REAL / f"{name}.hdf5") as file:
        return np.array(file["image_data"])


def frame(material="graphene", pixel_size=0.1, shape=(256, 256), *, seed=0, angle=20.0, **imaging):
    """A simulated frame with counting noise."""
    size = (shape[1] * pixel_size, shape[0] * pixel_size)
    settings = {"dose": 400.0, "pedestal": 2.0} | imaging
    sheet = eh.sheet(material, size=size, angle=angle)
    return eh.simulate_frame(sheet, eh.Imaging(pixel_size=pixel_size, shape=shape, **settings), seed)


def warped(to_A, shape=(256, 256), seed=0):
    """Graphene recorded by a scan whose steps (row, column) are `to_A` times as long [Å]; noise added."""
    sheet = eh.sheet("graphene", size=(60.0, 60.0), angle=11.0)
    place = (sheet.positions[:, :2] - 30)[:, ::-1] * [-1, 1]  # (down, right) [Å]
    at = np.linalg.solve(to_A, place.T).T + np.array(shape) / 2
    sigma = 0.42 / np.sqrt(abs(np.linalg.det(to_A)))
    rows, cols = (
        np.exp(-((np.arange(n) - at[:, k : k + 1]) ** 2) / (2 * sigma**2)) for k, n in enumerate(shape)
    )
    return rows.T @ cols + 0.4 * np.random.default_rng(seed).normal(size=shape)


@pytest.mark.parametrize(
    ("pixel_size", "shape"), [(0.05, (400, 400)), (0.096, (256, 256)), (0.2, (160, 200))]
)
def test_the_lattice_gives_the_pixel_size_twice(pixel_size, shape):
    measured = eh.calibrate(
        frame("graphene", pixel_size, shape, pedestal=3.0, jitter_A=0.04, contamination=4.0, seed=2)
    )
    assert measured.pixel_size == pytest.approx(pixel_size, rel=0.003)
    assert measured.neighbours == pytest.approx(pixel_size, rel=0.01)
    assert abs(measured.pixel_size - pixel_size) < 4 * measured.std
    assert measured.disagreement is None


@pytest.mark.parametrize("material", list(eh.MATERIALS))
def test_every_material_that_ships_is_calibrated(material):
    measured = eh.calibrate(frame(material, 0.1, (300, 300)), lattice=material)
    assert measured.pixel_size == pytest.approx(0.1, rel=0.003)
    assert measured.neighbours == pytest.approx(0.1, rel=0.006)
    assert material in str(measured)


def test_reflections_are_listed_once_for_each_material():
    hBN = eh.MATERIALS["hBN"]
    assert reflections(hBN) is reflections(hBN)
    assert reflections(hBN, least=0.01) is not reflections(hBN)
    alike = replace(hBN, brightness={"B": 1.0, "N": 1.0})  # equal to the eye of a hash, not to the microscope
    assert not np.array_equal(reflections(alike).strength, reflections(hBN).strength)
    with pytest.raises(ValueError, match="read-only"):
        reflections(hBN).waves[0] = 0


def test_a_material_of_ones_own_and_a_nominal_size():
    mine = eh.Material(
        "silicene",
        "flat",
        eh.MATERIALS["graphene"].cell,
        (("Si", 1 / 3, 1 / 3, 0), ("Si", 2 / 3, 2 / 3, 0)),
    )
    measured = eh.calibrate(frame(), lattice=mine, nominal=0.11)
    assert measured.disagreement == pytest.approx(-0.0909, abs=0.004)
    assert "-9" in str(measured)
    assert "silicene" in measured.method


@settings(max_examples=8, deadline=None)
@given(st.floats(-0.03, 0.03), st.floats(-0.03, 0.03), st.integers(0, 50))
def test_unequal_axes_and_shear_are_measured(stretch, shear, seed):
    to_A = 0.1 * np.array([[1 + stretch, shear], [0.0, 1 - stretch]])
    measured = eh.calibrate(warped(to_A, seed=seed))
    assert measured.pixel_size == pytest.approx(np.sqrt(np.linalg.det(to_A)), rel=0.003)
    np.testing.assert_allclose(measured.axes, np.linalg.norm(to_A, axis=0), rtol=0.005)
    sides = np.linalg.svd(to_A, compute_uv=False)
    assert measured.anisotropy == pytest.approx(sides[0] / sides[1], abs=0.008)
    row, column = to_A.T
    angle = np.degrees(np.arcsin(row @ column / np.linalg.norm(row) / np.linalg.norm(column)))
    assert measured.shear_deg == pytest.approx(angle, abs=0.5)
    assert measured.neighbours == pytest.approx(measured.pixel_size, rel=0.01)


def test_strong_distortion_is_followed_and_its_direction_told():
    to_A = np.diag([0.11, 0.095])  # rows farther apart than columns
    measured = eh.calibrate(warped(to_A, (320, 320)))
    np.testing.assert_allclose(measured.axes, (0.11, 0.095), rtol=0.004)
    assert measured.anisotropy_deg == pytest.approx(90, abs=3)
    assert "anisotropic" in str(measured)


def test_the_errors_are_neither_too_small_nor_too_large():
    pulls = []
    for seed in range(16):
        measured = eh.calibrate(
            frame(pixel_size=0.12, shape=(200, 200), seed=seed, dose=150.0, angle=7 * seed)
        )
        pulls.append(
            (
                (measured.pixel_size - 0.12) / measured.std,
                (measured.neighbours - 0.12) / measured.neighbours_std,
            )
        )
    assert (np.sqrt(np.mean(np.square(pulls), 0)) < 1.9).all()
    assert (np.sqrt(np.mean(np.square(pulls), 0)) > 0.3).all()


def test_two_grains_are_one_pixel_size():
    sheet, _ = eh.add_grain_boundary(eh.graphene_sheet((40.0, 40.0), angle=7), angle=27)
    imaging = eh.Imaging(pixel_size=0.1, shape=(400, 400), dose=150.0, contamination=3.0)
    measured = eh.calibrate(eh.simulate_frame(sheet, imaging, 1))
    assert measured.pixel_size == pytest.approx(0.1, rel=0.01)
    assert measured.neighbours == pytest.approx(0.1, rel=0.01)


def texture(kind, rng):
    """Frames with structure but no lattice."""
    noise = rng.normal(size=(160, 160))
    if kind == "white":
        return noise
    if kind == "smooth":
        return gaussian_filter(noise, 2.5) + 0.02 * rng.normal(size=noise.shape)
    if kind == "scan lines":
        return noise + 1.5 * rng.normal(size=(160, 1))
    if kind == "edge of a hole":
        hole = gaussian_filter((gaussian_filter(noise, 20) > 0).astype(float), 2)
        return rng.poisson(6 * hole + 1).astype(float)
    return eh.contamination_map(noise.shape, pixel_size=0.1, rng=rng, height=5.0) + 0.3 * noise


@pytest.mark.parametrize("material", ["graphene", "SrTiO3"])
@pytest.mark.parametrize("kind", ["white", "smooth", "scan lines", "edge of a hole", "contamination"])
def test_what_has_no_lattice_is_refused(kind, material):
    for seed in range(2):
        with pytest.raises(eh.CalibrationFailed, match="Pass pixel_size"):
            eh.calibrate(texture(kind, np.random.default_rng(seed)), lattice=material)


@pytest.mark.parametrize(
    ("shown", "given"),
    [("graphene", "SrTiO3"), ("SrTiO3", "graphene"), ("MoS2", "graphene"), ("graphene", "MoS2")],
)
def test_another_materials_lattice_is_refused(shown, given):
    with pytest.raises(eh.CalibrationFailed):
        eh.calibrate(frame(shown, 0.1, (300, 300)), lattice=given)


def test_the_wrong_hexagons_are_named():
    with pytest.raises(eh.CalibrationFailed, match="hexagonal, but not graphene.*could be .*MoS2"):
        eh.calibrate(frame("MoS2", 0.1, (300, 300)), lattice="graphene")
    assert expected_phase(eh.MATERIALS["graphene"]) == pytest.approx(180)
    assert expected_phase(eh.MATERIALS["SrTiO3"]) is None


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="'graphene'"):
        eh.calibrate(np.eye(40), lattice="graphite")
    with pytest.raises(ValueError, match="nominal"):
        eh.calibrate(np.eye(40), nominal=-1)
    with pytest.raises(ValueError, match="16×16"):
        eh.calibrate(np.eye(8))


# The table of these frames says 0.089 for test-1 and 0.171 for the MoS2 frame. Reflections and neighbours
# agree within 1 % on other values, and no direction of test-1 reaches 0.089 (0.0854 to 0.0867).
@needs_real_frames
@pytest.mark.parametrize(
    ("name", "expected"), [("G-Si-2nm", 0.0765), ("G-dimSi", 0.0384), ("test-1", 0.0860)]
)
def test_real_frames_are_calibrated_within_a_percent(name, expected):
    measured = eh.calibrate(real(name))
    assert measured.pixel_size == pytest.approx(expected, rel=0.01)
    assert abs(measured.agreement) < 0.01


@needs_real_frames
def test_the_real_frame_of_MoS2_is_stretched_and_two_estimates_agree():
    measured = eh.calibrate(np.load(REAL / "MoS2_stem_Exp-000-2.npy"), lattice="MoS2")
    assert measured.axes[1] < 0.171 < measured.axes[0]
    assert measured.anisotropy > 1.15
    assert abs(measured.agreement) < 0.005


@needs_real_frames
def test_two_estimates_agree_on_eighteen_of_the_22_defects_and_the_rest_is_told():
    agree, refused = [], []
    with np.load(REAL / "si_defects.npz") as packed:
        for name in sorted(n for n in packed.files if n.endswith("/image")):
            try:
                measured = eh.calibrate(packed[name])
            except eh.CalibrationFailed:
                refused.append(name)
                continue
            if measured.agreement is not None:
                agree.append(abs(measured.agreement))
    assert np.sum(np.array(agree) < 0.01) >= 18
    assert "Si1C3-440/image" in refused
    assert len(refused) <= 3
