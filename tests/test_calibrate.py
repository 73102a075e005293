"""The pixel size comes from the lattice, twice, with honest errors; without a lattice there is none."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from elit_helpers import images, samples

ROOT = Path(__file__).resolve().parent.parent
REAL = ROOT.parent / "shared" / "real_frames"
needs_real_frames = pytest.mark.skipif(
    not REAL.is_dir(), reason=f"the real frames are not here ({REAL}); they are for tests only"
)


def real(name):
    with h5py.File(REAL / f"{name}.hdf5") as file:
        return np.array(file["image_data"])


@pytest.mark.parametrize(
    ("pixel_size", "shape"), [(0.05, (400, 400)), (0.096, (256, 256)), (0.2, (160, 200))]
)
def test_the_lattice_gives_the_pixel_size_twice(pixel_size, shape):
    sheet = samples.graphene_sheet((shape[1] * pixel_size, shape[0] * pixel_size), angle=20)
    imaging = images.Imaging(
        pixel_size=pixel_size, shape=shape, dose=400.0, pedestal=3.0, jitter_A=0.04, contamination=4.0
    )
    measured = images.calibrate(images.simulate_frame(sheet, imaging, 2))
    assert measured.pixel_size == pytest.approx(pixel_size, rel=0.004)
    assert measured.neighbours == pytest.approx(pixel_size, rel=0.01)


def test_noise_is_not_taken_for_a_lattice():
    noise = np.random.default_rng(1).normal(size=(200, 200))
    with pytest.raises(images.CalibrationFailed, match="Pass pixel_size"):
        images.calibrate(noise)


# test-1: the table of these frames says 0.089; its six reflections and its autocorrelation agree on 0.0862
@needs_real_frames
@pytest.mark.parametrize(
    ("name", "expected"), [("G-Si-2nm", 0.0765), ("G-dimSi", 0.0384), ("test-1", 0.0863)]
)
def test_real_frames_are_calibrated_within_a_percent(name, expected):
    measured = images.calibrate(real(name))
    assert measured.pixel_size == pytest.approx(expected, rel=0.01)
    assert abs(measured.agreement) < 0.01
