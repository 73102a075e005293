"""From atoms to a frame: where a spot lies, how wide and how high it is, what scan and detector add."""

from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import center_of_mass, gaussian_filter

import elit_helpers as eh
from elit_helpers.images import disturbances
from elit_helpers.images.disturbances import jitter_rows, smooth_noise
from elit_helpers.images.forward import scan_positions
from elit_helpers.images.kernels import Kernel, kernel_names, load_kernel

PROBES = ("gaussian", *kernel_names())
SOFT = {"source_sigma_A": 0.3, "vibration_A": 0.05}
FULL = SOFT | {
    "dose": 800.0, "jitter_A": 0.05, "flyback_A": 0.3, "drift_A": (0.3, -0.2), "background": 0.3,
    "contamination": 3.0, "noise": 0.2, "pedestal": 2.0,
}  # fmt: skip


def peaks(picture, near):
    """Sub-pixel maxima next to whole pixels, from parabolas through logarithms: exact for a Gaussian."""
    found = []
    for row, col in np.round(near).astype(int):
        window = picture[row - 2 : row + 3, col - 2 : col + 3]
        row, col = np.unravel_index(window.argmax(), window.shape) + np.array([row, col]) - 2
        place = []
        for line in (picture[row - 1 : row + 2, col], picture[row, col - 1 : col + 2]):
            low, middle, high = np.log(line)
            place.append((low - high) / (2 * (low + high - 2 * middle)))
        found.append([row + place[0], col + place[1]])
    return np.array(found)


# --------------------------------------------------------------------------- where a spot lies
def test_a_spot_lies_where_the_atom_is_with_y_upwards():
    imaging = eh.Imaging(pixel_size=0.1, shape=(80, 100), tail_weight=0.0)
    picture = eh.render([[3.33, 4.87]], [1.0], imaging=imaging)
    row, col = center_of_mass(picture)
    assert (row, col) == pytest.approx((79 - 48.7, 33.3), abs=1e-3)


@pytest.mark.parametrize("probe", PROBES)
@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    pixel_size=st.floats(0.06, 0.15),
    shape=st.tuples(st.integers(80, 140), st.integers(80, 140)),
    drift=st.tuples(st.floats(-1, 1), st.floats(-1, 1)),
    lag=st.floats(0, 0.4),
)
def test_positions_come_back_from_the_image(probe, seed, pixel_size, shape, drift, lag):
    imaging = eh.Imaging(
        pixel_size=pixel_size, shape=shape, probe=probe, drift_A=drift, flyback_A=lag, flyback_px=12, **SOFT
    )
    atoms = np.random.default_rng(seed).uniform(20, np.array(shape) - 20, (3, 2))
    atoms = eh.to_angstrom(atoms, pixel_size=pixel_size, height=shape[0])
    truth = scan_positions(atoms, imaging=imaging)
    # one by one: the spots of neighbours pull at each other's maxima
    alone = [eh.render([atom], ["C"], imaging=imaging) for atom in atoms]
    found = np.concatenate([peaks(picture, [place]) for picture, place in zip(alone, truth, strict=True)])
    np.testing.assert_allclose(found, truth, atol=0.02)


def test_drift_moves_the_atoms_written_late():
    still, drifting = eh.Imaging(shape=(100, 100)), eh.Imaging(shape=(100, 100), drift_A=(1.0, 0.0))
    points = np.array([[5.0, 9.9], [5.0, 0.0]])  # first row, last row
    moved = scan_positions(points, imaging=drifting) - scan_positions(points, imaging=still)
    np.testing.assert_allclose(moved, [[0, 0], [0, 9.9]], atol=1e-9)


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 300), st.floats(0, 0.99), st.floats(0.5, 100))
def test_the_columns_of_a_lagging_beam_have_an_inverse(columns, share, settle):
    lag = {"lag_px": share * settle, "settle_px": settle}
    beam = disturbances.beam_columns(columns, **lag)
    assert (np.diff(beam) > 0).all()
    np.testing.assert_allclose(disturbances.recorded_columns(beam, **lag), np.arange(columns), atol=1e-6)
    assert (disturbances.recorded_columns(np.array([lag["lag_px"] - 1, -3.0]), **lag) < 0).all()


def test_flyback_stretches_the_left_end_and_nothing_else():
    steady = eh.Imaging(shape=(60, 200), probe="60kV", **SOFT)
    late = replace(steady, flyback_A=0.8, flyback_px=15)
    sheet = eh.graphene_sheet((20.0, 6.0))
    symbols = sheet.get_chemical_symbols()
    there, then = (eh.render(sheet.positions, symbols, imaging=i) for i in (steady, late))
    np.testing.assert_allclose(then[:, 150:], there[:, 150:], atol=1e-3)
    np.testing.assert_allclose(then[:, 0], there[:, 8], atol=1e-9)  # 0.8 Å are 8 px
    assert np.abs(then - there)[:, :15].max() > 0.3
    empty = eh.simulate_frame(Atoms(), replace(late, pedestal=0.0), 0, overlay=there)
    np.testing.assert_allclose(empty, then, atol=0.02)  # what is laid over is late with the atoms


# --------------------------------------------------------------------------- how high and how wide
@pytest.mark.parametrize("probe", PROBES)
def test_rendering_adds_up_however_many_atoms_there_are(probe):
    imaging = eh.Imaging(shape=(151, 143), probe=probe, drift_A=(0.2, 0.1), flyback_A=0.2, **SOFT)
    rng = np.random.default_rng(0)
    atoms, symbols = rng.uniform(-3, 18, (400, 2)), rng.choice(["C", "Si", "N"], 400)
    whole = eh.render(atoms, list(symbols), imaging=imaging)
    parts = [eh.render(atoms[i::8], list(symbols[i::8]), imaging=imaging) for i in range(8)]
    np.testing.assert_allclose(whole, sum(parts), atol=1e-6)


@pytest.mark.parametrize("probe", PROBES)
@pytest.mark.parametrize("blur", [{}, SOFT, {"defocus_A": 30.0}])
def test_the_peak_of_carbon_is_the_unit_whatever_blurs_it(probe, blur):
    imaging = eh.Imaging(shape=(201, 201), probe=probe, **blur)
    picture = eh.render([[10.0, 10.0]], ["C"], imaging=imaging)
    assert picture.argmax() == picture.size // 2
    assert picture.max() == pytest.approx(1.08 if probe == "gaussian" else 1.0, rel=0.01)


@pytest.mark.parametrize("probe", PROBES)
def test_blurring_keeps_the_intensity_of_a_spot(probe):
    sharp = eh.Imaging(shape=(301, 301), probe=probe)
    blurred = replace(sharp, source_sigma_A=0.4, vibration_A=0.1)
    own, wide = (eh.render([[15.0, 15.0]], ["Si"], imaging=i) for i in (sharp, blurred))
    gain = blurred.spot.integral("Si") / sharp.spot.integral("Si")  # the unit is the blurred carbon's peak
    assert gain > 1.2
    assert wide.sum() / own.sum() == pytest.approx(gain, rel=1e-3)
    assert own.sum() * sharp.pixel_size**2 == pytest.approx(sharp.spot.integral("Si"), rel=1e-3)
    by_hand = gaussian_filter(own, np.hypot(4, 1), truncate=6)
    np.testing.assert_allclose(wide / wide.max(), by_hand / by_hand.max(), atol=1e-3)


def test_the_widths_of_blurs_add_up_in_squares():
    imaging = eh.Imaging(probe="80kV", source_sigma_A=0.3, vibration_A=0.4, defocus_A=-40.0)
    assert imaging.blur_A == pytest.approx(np.sqrt(0.3**2 + 0.4**2 + (0.030 * 40 / 4) ** 2))
    assert replace(imaging, probe="200kV").blur_A < imaging.blur_A  # its aperture is 25 mrad
    assert replace(imaging, semiangle_mrad=15.0).blur_A == pytest.approx(np.hypot(0.5, 0.15))


@pytest.mark.parametrize("defocus", [20.0, 40.0])
def test_defocus_blurs_as_a_wave_does(defocus):
    wavelength, semiangle, step, source = 0.0487, 0.030, 0.08, 0.3
    k = np.fft.fftfreq(384, step)
    k2 = k[:, None] ** 2 + k[None] ** 2

    def spot(distance, blur):
        lens = (k2 <= (semiangle / wavelength) ** 2) * np.exp(-1j * np.pi * wavelength * distance * k2)
        probe = np.fft.fftshift(np.abs(np.fft.ifft2(lens)) ** 2)
        profile = gaussian_filter(probe, blur / step)[192, 192:222]
        return profile / profile[0]

    width = eh.Imaging(defocus_A=defocus, source_sigma_A=source).blur_A
    assert np.abs(spot(defocus, source) - spot(0.0, width)).max() < 0.1
    assert (
        np.abs(spot(defocus, source) - spot(0.0, width)).max()
        < np.abs(spot(defocus, source) - spot(0.0, np.hypot(source, semiangle * defocus / 2))).max()
    )  # the width of the geometrical disc would be too much


def test_elements_are_as_bright_as_the_probe_says_unless_told_otherwise():
    def peak(element, **settings):
        imaging = eh.Imaging(shape=(101, 101), **settings)
        carbon, other = (eh.render([[5.0, 5.0]], [e], imaging=imaging).max() for e in ("C", element))
        return other / carbon

    assert peak("Si") == pytest.approx(eh.BRIGHTNESS["Si"])
    computed = load_kernel("60kV")
    assert peak("Si", probe="60kV") == pytest.approx(computed.peak("Si") / computed.peak("C"), rel=1e-6)
    assert peak("W", probe="60kV") > peak("Mo", probe="60kV") > peak("S", probe="60kV") > 4
    for probe in PROBES:
        assert peak("Si", probe=probe, brightness={"Si": 2.5}, **SOFT) == pytest.approx(2.5)
        assert peak("Au", probe=probe, brightness={"Au": 60.0}) == pytest.approx(60.0)  # in the shape of C
    with pytest.raises(ValueError, match=r"element Au.*brightness=\{'Au'"):
        peak("Au", probe="60kV")
    with pytest.raises(ValueError, match="element Au"):
        eh.weights_of(["C", "Au"])
    np.testing.assert_array_equal(eh.weights_of(["C", "Si", "Au"], {"Au": 60.0}), [1.0, 3.0, 60.0])


def test_weights_are_heights_of_the_spot_of_carbon():
    imaging = eh.Imaging(shape=(61, 61), probe="60kV")
    twice = eh.render([[3.0, 3.0]], [2.0], imaging=imaging)
    np.testing.assert_allclose(twice, 2 * eh.render([[3.0, 3.0]], ["C"], imaging=imaging), atol=1e-12)


def test_a_kernel_of_ones_own_is_a_probe():
    ring = Kernel((0.3, 0.6), {"C": (-1.0, 2.0), "Si": (0.0, 3.0)})
    picture = eh.render([[3.0, 3.0]], ["C"], imaging=eh.Imaging(shape=(61, 61), probe=ring))
    radius = np.hypot(*np.indices((61, 61)) - 30) * 0.1
    np.testing.assert_allclose(picture, ring.profile("C", radius), atol=1e-6)
    with pytest.raises(ValueError, match="without carbon"):
        eh.Imaging(probe=Kernel((0.3,), {"Si": (1.0,)}))


def test_the_beam_dose_follows_from_what_carbon_scatters():
    imaging = eh.Imaging(probe="60kV", dose=800.0)
    assert imaging.beam_dose == pytest.approx(800 / 0.00126, rel=0.01)
    # blurred, a peak is lower: the same counts at the peak take more electrons
    assert replace(imaging, **SOFT).beam_dose > 1.3 * imaging.beam_dose
    with pytest.raises(ValueError, match="'gaussian'.*60kV"):
        _ = eh.Imaging(dose=800.0).beam_dose


# --------------------------------------------------------------------------- scan and detector
def test_shifting_rows_by_whole_pixels_is_exact():
    picture = np.random.default_rng(0).normal(size=(5, 64))
    np.testing.assert_allclose(jitter_rows(picture, [2] * 5)[:, 8:-8], picture[:, 6:-10], atol=1e-9)
    far = jitter_rows(picture, [20] * 5)  # farther than the usual margin: nothing comes round
    np.testing.assert_allclose(far[:, 20:], picture[:, :44], atol=1e-9)
    with pytest.raises(ValueError, match="one for each of 5 rows"):
        jitter_rows(picture, [1.0])


@pytest.mark.parametrize(
    ("shape", "length"), [((64, 64), 100.0), ((33, 71), 20.0), ((200, 200), 5.0), ((64, 64), 0.0)]
)
def test_smooth_noise_has_rms_1_and_its_length(shape, length):
    fields = np.array([smooth_noise(shape, length, np.random.default_rng(i)) for i in range(20)])
    assert np.sqrt((fields**2).mean()) == pytest.approx(1.0, abs=0.05)
    steps = np.diff(fields, axis=2).std()
    assert steps == pytest.approx(np.sqrt(2), abs=0.1) if length == 0 else steps < 4 / min(length, *shape)


def test_dose_sets_the_counts_and_their_noise():
    imaging = eh.Imaging(shape=(200, 200), dose=400.0, pedestal=2.0)
    counts = eh.simulate_frame(Atoms("C", positions=[[-50, -50, 0]]), imaging, 1) * imaging.counts_per_peak
    assert counts.mean() == pytest.approx(2.0 * 400 * 0.01, rel=0.02)
    assert counts.var() == pytest.approx(counts.mean(), rel=0.05)
    np.testing.assert_allclose(counts, np.round(counts), atol=1e-3)


def test_readout_noise_has_its_rms_and_a_background_its_own():
    imaging = eh.Imaging(shape=(200, 200), pedestal=2.0, noise=0.3, noise_blur_px=0.8)
    frame = eh.simulate_frame(Atoms(), imaging, 1)
    assert (frame.mean(), frame.std()) == pytest.approx((2.0, 0.3), abs=0.02)
    small = eh.Imaging(shape=(64, 64), pedestal=2.0, background=0.3)
    frame = eh.simulate_frame(Atoms(), small, 1)
    assert (frame.mean(), frame.std()) == pytest.approx((2.0, 0.3), abs=0.02)


def test_contamination_is_a_bright_hill_or_real_atoms():
    hill = eh.contamination_map((120, 120), pixel_size=0.1, rng=1, height=4.0, radius_A=3.0, center=(60, 60))
    assert hill.min() >= 0
    assert hill[50:70, 50:70].mean() > 2
    assert hill[:10].mean() < 0.1
    dirt = eh.amorphous_carbon((8.0, 8.0), 8.0, rng=1)
    imaging = eh.Imaging(shape=(80, 80), probe="60kV", **SOFT)
    middle = eh.simulate_frame(dirt, imaging)[20:60, 20:60]
    assert middle.mean() > 2.0  # about 8 Å of carbon: several atoms above each other
    for wrong in ({"radius_A": -1.0}, {"height": -1.0}, {"pixel_size": 0.0}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            eh.contamination_map((20, 20), **({"pixel_size": 0.1, "rng": 1} | wrong))


@pytest.mark.parametrize("probe", PROBES)
def test_the_same_seed_gives_the_same_frame(probe):
    sheet = eh.graphene_sheet((12.0, 12.0))
    imaging = eh.Imaging(shape=(100, 100), probe=probe, **FULL)
    first, again, other = (eh.simulate_frame(sheet, imaging, seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert (first != other).mean() > 0.5


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (7, 5), (33, 71), (128, 97)])
def test_a_frame_of_any_shape(shape):
    sheet = eh.graphene_sheet((10.0, 10.0))
    frame = eh.simulate_frame(sheet, eh.Imaging(shape=shape, probe="60kV", **FULL), 0)
    assert (frame.shape, frame.dtype) == (shape, np.float32)
    assert np.isfinite(frame).all()


# --------------------------------------------------------------------------- counts
def test_counts_are_whole_numbers_that_give_the_frame_back():
    sheet = eh.graphene_sheet((8.0, 8.0))
    imaging = eh.Imaging(shape=(80, 80), dose=2000.0)
    frame = eh.simulate_frame(sheet, imaging, 1)
    counts = eh.to_counts(frame, imaging)
    assert counts.dtype == np.uint16
    np.testing.assert_allclose(counts / imaging.counts_per_peak, frame, atol=1e-5)
    np.testing.assert_array_equal(eh.to_counts(frame, imaging, gain=2.0, offset=100), 2 * counts + 100)


@pytest.mark.parametrize(
    ("value", "settings", "message"),
    [
        (1e6, {"dose": 100.0}, "16 bits hold 0 to 65535.*smaller"),
        (-3.0, {"dose": 100.0}, "larger `offset`"),
        (np.nan, {"dose": 100.0}, "16 bits"),
        (1.0, {}, "infinite dose"),
    ],
)
def test_counts_that_16_bits_cannot_hold_are_refused(value, settings, message):
    with pytest.raises(ValueError, match=message):
        eh.to_counts(np.full((4, 4), value), eh.Imaging(**settings))


# --------------------------------------------------------------------------- what cannot be drawn
def test_no_atoms_are_an_empty_field():
    assert eh.render([], [], imaging=eh.Imaging(shape=(9, 7))).shape == (9, 7)
    assert scan_positions([], imaging=eh.Imaging()).shape == (0, 2)
    frame = eh.simulate_frame(Atoms(), eh.Imaging(shape=(9, 7), pedestal=1.5))
    np.testing.assert_array_equal(frame, np.full((9, 7), 1.5, np.float32))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"jitter_A": -1.0}, "jitter_A"),
        ({"dose": 0.0}, "dose"),
        ({"dose": np.nan}, "dose"),
        ({"noise": np.nan}, "noise"),
        ({"source_sigma_A": -0.1}, "source_sigma_A"),
        ({"vibration_A": np.inf}, "vibration_A"),
        ({"defocus_A": np.nan}, "defocus_A"),
        ({"semiangle_mrad": 0.0}, "semiangle_mrad"),
        ({"drift_A": (1.0,)}, "drift_A"),
        ({"shape": (0, 4)}, "shape"),
        ({"shape": (4.5, 4)}, "shape"),
        ({"shape": (4, 4, 3)}, "shape"),
        ({"brightness": {"C": -1.0}}, "brightness of C"),
        ({"flyback_A": 1.0, "flyback_px": 10.0}, "backwards"),
        ({"probe": "100kV"}, "'gaussian', '60kV'"),
        ({"probe": 3}, "or pass a Kernel"),
    ],
)
def test_settings_that_no_microscope_has_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        eh.Imaging(**settings)


def test_atoms_without_a_place_or_a_name_are_refused():
    imaging = eh.Imaging(shape=(20, 20))
    with pytest.raises(ValueError, match="1 atoms without a finite place, the first of them number 1"):
        eh.render([[1.0, 1.0], [np.nan, 0.0]], ["C", "C"], imaging=imaging)
    with pytest.raises(ValueError, match="element X"):
        eh.simulate_frame(Atoms("X", positions=[[1, 1, 0]]), imaging)
    with pytest.raises(ValueError, match="2 atoms and `weights` 1"):
        eh.render([[1.0, 1.0], [0.5, 0.0]], ["C"], imaging=imaging)
    with pytest.raises(ValueError, match="weights"):
        eh.render([[1.0, 1.0]], [np.inf], imaging=imaging)
    with pytest.raises(ValueError, match="overlay"):
        eh.simulate_frame(Atoms(), imaging, overlay=np.zeros((3, 3)))


# --------------------------------------------------------------------------- normalisation
@settings(max_examples=20, deadline=None)
@given(st.floats(0.1, 50), st.floats(-100, 100))
def test_normalisation_does_not_see_gain_and_offset(gain, offset):
    picture = np.random.default_rng(0).normal(size=(40, 40))
    first = eh.normalise(picture, pixel_size=0.15)
    np.testing.assert_allclose(eh.normalise(gain * picture + offset, pixel_size=0.15), first, atol=0.02)


def test_each_frame_is_normalised_alone():
    frames = np.random.default_rng(0).normal(size=(2, 40, 40))
    alone = eh.normalise(frames[1], pixel_size=0.15)
    frames[0] += 1e4
    np.testing.assert_array_equal(eh.normalise(frames, pixel_size=0.15)[1], alone[0])
