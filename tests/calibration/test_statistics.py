"""Contrast, noise, spot and spectrum of a frame come back as they were put in."""

import json
import subprocess
import sys

import h5py
import numpy as np
import pytest
from places import ROOT

import elit_helpers as eh
from elit_helpers.core.settings import data_dir

RECIPE = ROOT / "data" / "recipes" / "measure_real_frames.py"


def frame(material="graphene", *, pixel_size=0.08, shape=(256, 256), seed=1, **imaging):
    size = (shape[1] * pixel_size, shape[0] * pixel_size)
    settings = {"dose": np.inf, "pedestal": 3.0, "tail_weight": 0.0, "spot_sigma_A": 0.42} | imaging
    sheet = eh.sheet(material, size=size, angle=12.0)
    return eh.simulate_frame(sheet, eh.Imaging(pixel_size=pixel_size, shape=shape, **settings), seed)


@pytest.mark.parametrize("sigma", [0.33, 0.42, 0.55])
def test_the_width_of_a_spot_comes_back(sigma):
    found = eh.frame_statistics(frame(spot_sigma_A=sigma, noise=0.2), pixel_size=0.08)
    assert found.spot_sigma_A == pytest.approx(sigma, rel=0.03)
    assert found.peak == pytest.approx(1.0, rel=0.05)
    assert found.pixel_size == pytest.approx(0.08, rel=0.003)


@pytest.mark.parametrize(("noise", "blur"), [(0.3, 0.0), (0.8, 0.7), (0.5, 1.2)])
def test_noise_and_its_length_come_back(noise, blur):
    found = eh.frame_statistics(frame(noise=noise, noise_blur_px=blur), pixel_size=0.08)
    assert found.noise == pytest.approx(noise, rel=0.08)
    assert found.noise_blur_px == pytest.approx(blur, abs=0.15)


@pytest.mark.parametrize("dose", [100.0, 1000.0])
def test_the_dose_comes_back_from_counting_noise(dose):
    found = eh.frame_statistics(frame(dose=dose), pixel_size=0.08)
    assert found.dose == pytest.approx(dose, rel=0.15)


def test_the_contrast_is_that_of_the_noiseless_cell():
    clean = frame()
    expected = np.percentile(clean, 99.8) / np.percentile(clean, 0.2) - 1
    found = eh.frame_statistics(frame(noise=0.8), pixel_size=0.08)
    assert found.contrast == pytest.approx(expected, rel=0.08)
    assert found.cell.shape == (48, 48)
    assert found.cell.max() / found.cell.min() - 1 == pytest.approx(found.contrast)


def test_contamination_and_slow_distortion_hardly_matter():
    even = eh.frame_statistics(frame(noise=0.5, shape=(400, 400)), pixel_size=0.08)
    uneven = frame(noise=0.5, shape=(400, 400), contamination=5.0, drift_A=(0.6, 0.4), seed=3)
    found = eh.frame_statistics(uneven, pixel_size=0.08)
    assert found.contrast == pytest.approx(even.contrast, rel=0.1)
    assert found.spot_sigma_A == pytest.approx(even.spot_sigma_A, rel=0.06)
    assert found.noise == pytest.approx(even.noise, rel=0.1)
    assert found.share < 1


@pytest.mark.parametrize("material", ["MoS2", "hBN", "SrTiO3"])
def test_other_materials_have_spots_too(material):
    found = eh.frame_statistics(
        frame(material, pixel_size=0.1, noise=0.1, pedestal=1.0, shape=(300, 300)),
        pixel_size=0.1,
        material=material,
    )
    assert found.spot_sigma_A == pytest.approx(0.42, rel=0.05)


def test_gain_does_not_matter_and_the_spectrum_has_its_reflections():
    picture = frame(noise=0.5)
    one, other = (eh.frame_statistics(gain * picture, pixel_size=0.08) for gain in (1.0, 250.0))
    np.testing.assert_allclose(one.power, other.power, rtol=1e-3)
    for name, value in one.summary().items():
        assert other.summary()[name] == pytest.approx(value, rel=1e-3)
    assert one.frequency.shape == one.power.shape == (60,)
    first = one.power[np.argmin(np.abs(one.frequency - 0.469))]
    beyond = one.power[one.frequency > 2].mean()
    assert first > 5 * beyond
    # white noise of 0.5 peaks a pixel: its power is noise² times the area of a pixel
    assert beyond == pytest.approx(0.25 * 0.08**2, rel=0.15)


def test_what_shows_no_lattice_is_refused():
    with pytest.raises(eh.CalibrationFailed, match="calibrate"):
        eh.frame_statistics(np.random.default_rng(0).normal(size=(200, 200)), pixel_size=0.08)
    with pytest.raises(eh.CalibrationFailed, match="within 8 %"):
        eh.frame_statistics(frame(noise=0.3), pixel_size=0.12)
    with pytest.raises(ValueError, match="pixel_size"):
        eh.frame_statistics(frame(), pixel_size=0)


def test_the_figures_of_real_frames_ship_without_pixels():
    table, spectra = eh.real_figures()
    assert {"name", "sha256", "contrast", "spot_sigma_A", "noise", "pixel_size", "refused"} <= set(
        table.columns
    )
    measured = table[table["refused"].isna()]
    assert set(measured["name"]) == set(spectra)
    assert measured["spot_sigma_A"].between(0.3, 0.8).all()
    assert all(len(s["frequency"]) == len(s["power"]) == 60 for s in spectra.values())
    assert (data_dir() / "real_frames.json").stat().st_size < 100_000


def test_a_folder_without_the_figures_says_how_to_make_them(monkeypatch, tmp_path):
    monkeypatch.setattr("elit_helpers.data.shipped.data_dir", lambda: tmp_path)
    with pytest.raises(FileNotFoundError, match="measure_real_frames"):
        eh.real_figures()


def test_the_recipe_measures_a_folder(tmp_path):
    with h5py.File(tmp_path / "test-1.hdf5", "w") as file:
        file["image_data"] = frame(noise=0.5)
    noise = np.random.default_rng(0).normal(size=(64, 64))
    np.savez(tmp_path / "si_defects.npz", **{"none-1/image": noise})
    out = tmp_path / "figures.json"
    subprocess.run([sys.executable, RECIPE, tmp_path, "--out", out], check=True)
    one, other = json.loads(out.read_text())["frames"]
    assert one["pixel_size"] == pytest.approx(0.08, rel=0.003)
    assert len(one["sha256"]) == 64
    assert "No graphene lattice" in other["refused"]
