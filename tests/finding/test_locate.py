"""From maps to atoms: to a fraction of a pixel, touching ones apart, nothing lost without a row."""

import tracemalloc

import numpy as np
import pandas as pd
import pytest

import elit_helpers as eh
from elit_helpers.core.atoms_table import COLUMNS
from elit_helpers.finding.locate import find_atoms
from elit_helpers.images.masks import DISC_A, NET_PIXEL

PX = NET_PIXEL


def disc_map(row_col, shape=(80, 90), height=1.0, radius=DISC_A / PX):
    """Soft-rimmed discs, as a trained net draws them."""
    rows, cols = np.mgrid[: shape[0], : shape[1]]
    away = np.hypot(rows[None] - np.array(row_col)[:, :1, None], cols[None] - np.array(row_col)[:, 1:, None])
    return (height / (1 + np.exp((away - radius) / 0.5))).max(0)


def prediction(members, *, classes=("C",), pixel_size=PX, shape=None):
    """A `Prediction` of one frame from element maps (M, H, W, K)."""
    maps = np.stack([np.concatenate([m, 1 - m.sum(-1, keepdims=True)], -1) for m in members])[:, None]
    height, width = maps.shape[2:4] if shape is None else shape
    scale = ((maps.shape[2] - 1) / (height - 1), (maps.shape[3] - 1) / (width - 1))
    return eh.Prediction(
        maps.mean(0).astype(np.float32), maps.std(0).astype(np.float32), maps.astype(np.float16),
        classes, PX, scale, (height, width), pixel_size,
    )  # fmt: skip


def of_one_class(*maps, **how):
    return prediction([m[..., None] for m in maps], **how)


def test_positions_are_sub_pixel():
    true = (
        np.random.default_rng(0).uniform(-0.5, 0.5, (12, 2)) + np.mgrid[15:70:20, 12:85:20].reshape(2, -1).T
    )
    found = eh.locate_atoms(of_one_class(disc_map(true)))
    order = np.lexsort((np.round(true[:, 1] / 20), np.round(true[:, 0] / 20)))
    found = found.sort_values(
        ["row_px", "col_px"], key=lambda v: np.round(v / 20) if v.name == "row_px" else v
    )
    assert np.abs(found[["row_px", "col_px"]].to_numpy() - true[order]).max() < 0.1
    assert list(found.columns) == list(COLUMNS)
    assert found["kept"].all()


@pytest.mark.parametrize("apart_A", [0.9, 1.0, 1.1, 1.2, 1.42])
def test_touching_atoms_stay_two(apart_A):
    true = np.array([[40.0, 40.0], [40.0, 40.0 + apart_A / PX]])
    found = eh.locate_atoms(of_one_class(disc_map(true))).sort_values("col_px")
    assert len(found) == 2
    assert np.abs(found[["row_px", "col_px"]].to_numpy() - true).max() * PX < 0.15


def test_positions_are_in_pixels_of_the_original_frame_and_y_points_up():
    true = np.array([[30.0, 60.0]])
    found = eh.locate_atoms(of_one_class(disc_map(true), shape=(159, 179), pixel_size=PX / 2)).iloc[0]
    assert (found["row_px"], found["col_px"]) == pytest.approx((60, 120), abs=0.1)
    assert found["x_A"] == pytest.approx(120 * PX / 2, abs=0.02)
    assert found["y_A"] == pytest.approx((158 - 60) * PX / 2, abs=0.02)


@pytest.mark.parametrize("side", ["top", "bottom", "left", "right"])
@pytest.mark.parametrize("inside_A", [-0.05, 0.0, 0.1, 0.2, 0.3, 0.45, 0.8])
def test_an_atom_cut_by_the_border_is_where_its_centre_is(side, inside_A):
    shape, along, depth = (80, 90), 43.3, inside_A / PX
    far = {"top": depth, "left": depth, "bottom": shape[0] - 1 - depth, "right": shape[1] - 1 - depth}[side]
    true = [far, along] if side in ("top", "bottom") else [along, far]
    found = eh.locate_atoms(of_one_class(disc_map(np.array([true]), shape)))
    assert found["kept"].tolist() == [True]
    assert found[["row_px", "col_px"]].to_numpy()[0] * PX == pytest.approx(np.array(true) * PX, abs=0.03)


def test_an_atom_in_the_corner_is_where_its_centre_is():
    found = eh.locate_atoms(of_one_class(disc_map(np.array([[0.5, 1.0]]))))
    assert found[["row_px", "col_px"]].to_numpy()[0] == pytest.approx([0.5, 1.0], abs=0.2)


def test_an_atom_outside_the_picture_is_flagged_with_its_place_and_one_just_inside_is_kept():
    found = eh.locate_atoms(of_one_class(disc_map(np.array([[-1.3, 40.0], [-0.3, 20.0], [40.0, 90.5]]))))
    found = found.sort_values("col_px")
    assert found["reason"].tolist() == ["", "edge", "edge"]
    assert found["row_px"].to_numpy()[:2] == pytest.approx([-0.3, -1.3], abs=0.3)
    assert found["probability"].min() > 0.5


def test_a_faint_candidate_is_listed_and_not_kept():
    found = eh.locate_atoms(of_one_class(disc_map(np.array([[40.0, 40.0]]), height=0.35)))
    assert found["reason"].tolist() == ["low probability"]
    assert not found["kept"].any()


def test_an_atom_that_few_members_see_is_flagged():
    empty, seen = disc_map(np.array([[40.0, 40.0]]), height=0.45), disc_map(np.array([[40.0, 40.0]]))
    found = eh.locate_atoms(of_one_class(seen, seen * 0.99, empty, empty, empty), threshold=0.4)
    assert found["member_share"].tolist() == [1.0]
    found = eh.locate_atoms(of_one_class(seen, empty, empty), threshold=0.5)
    assert found["reason"].tolist() == ["few members"]


@pytest.mark.parametrize("n", [2, 5, 20])
def test_spread_and_share_come_from_the_members_however_many(n):
    shifts = np.linspace(-1, 1, n)
    maps = [disc_map(np.array([[40.0, 40.0 + s]])) for s in shifts]
    found = eh.locate_atoms(of_one_class(*maps)).iloc[0]
    assert found["member_share"] == 1
    assert found["position_std_A"] == pytest.approx(np.std(shifts, ddof=1) * PX, rel=0.15)


def test_without_members_the_spread_is_unknown_and_the_atom_kept():
    whole = of_one_class(disc_map(np.array([[40.0, 40.0]])))
    whole.members = None
    found = eh.locate_atoms(whole).iloc[0]
    assert np.isnan(found["position_std_A"])
    assert np.isnan(found["member_share"])
    assert found["kept"]


def test_the_element_has_most_of_the_probability():
    carbon, silicon = disc_map(np.array([[20.0, 20.0]])), disc_map(np.array([[50.0, 60.0]]))
    both = np.stack([0.9 * carbon + 0.2 * silicon, 0.1 * carbon + 0.8 * silicon], -1)
    found = eh.locate_atoms(prediction([both], classes=("C", "Si"))).sort_values("row_px")
    assert found["element"].tolist() == ["C", "Si"]
    assert found["probability"].to_numpy() == pytest.approx([0.9, 0.8], abs=0.05)


def test_no_atoms_give_an_empty_table_with_its_columns():
    found = eh.locate_atoms(of_one_class(np.zeros((64, 64))))
    assert len(found) == 0
    assert list(found.columns) == list(COLUMNS)


@pytest.mark.parametrize(
    ("how", "message"), [({"threshold": 1.2}, "between 0 and 1"), ({"listed_from": 0.9}, "above `threshold`")]
)
def test_impossible_thresholds_are_refused(how, message):
    with pytest.raises(ValueError, match=message):
        eh.locate_atoms(of_one_class(np.zeros((64, 64))), **how)


# --------------------------------------------------------------------------- stacks
class Slices:
    """A stack of which slices can be read and nothing else, like one on disk; counts what was read."""

    def __init__(self, n, shape=(96, 96)):
        self.shape, self.dtype, self.most = (n, *shape), np.dtype("float32"), 0

    def __len__(self):
        return self.shape[0]

    def __getitem__(self, part):
        numbers = range(*part.indices(self.shape[0]))
        self.most = max(self.most, len(numbers))
        return np.stack([self.frame(i) for i in numbers])

    def frame(self, i):
        return np.roll(eh.training_set("ideal", 1, size=self.shape[1], rng=1)[0][0], 5 * i, 0)


@pytest.fixture(scope="module")
def two_members():
    return eh.default_ensemble().subset([0, 1])


def test_a_stack_gives_the_table_that_predicting_and_locating_give(two_members):
    stack = Slices(3)
    found = find_atoms(two_members, stack, pixel_size=PX, batch=2, threshold=0.3)
    whole = eh.locate_atoms(eh.predict(two_members, stack[:], pixel_size=PX), threshold=0.3)
    assert set(whole["frame"]) == set(range(3))
    pd.testing.assert_frame_equal(found, whole, check_exact=False, atol=1e-5)


def test_a_single_frame_is_a_stack_of_one(two_members):
    frame = Slices(1).frame(0)
    pd.testing.assert_frame_equal(
        find_atoms(two_members, frame, pixel_size=PX), find_atoms(two_members, frame[None], pixel_size=PX)
    )


def test_of_a_stack_only_a_few_frames_are_read_at_a_time(two_members):
    stack = Slices(4)
    found = find_atoms(two_members, stack, pixel_size=PX, batch=3)
    assert stack.most == 3
    assert found["frame"].max() == 3


def test_memory_does_not_grow_with_the_length_of_a_stack(two_members):
    peaks = []
    for n in (2, 8):
        tracemalloc.start()  # NumPy reports its arrays to it
        find_atoms(two_members, Slices(n), pixel_size=PX, batch=2)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    maps_of_a_frame = 96 * 96 * 3 * (4 + 4 + 2 * 2)
    assert peaks[1] - peaks[0] < 3 * maps_of_a_frame


def test_a_wrong_option_is_refused_before_the_first_frame_is_read(two_members):
    stack = Slices(2)
    with pytest.raises(TypeError, match=r"does not know treshold; it takes threshold"):
        find_atoms(two_members, stack, pixel_size=PX, treshold=0.4)
    with pytest.raises(ValueError, match="above `threshold`"):
        find_atoms(two_members, stack, pixel_size=PX, listed_from=0.9)
    assert stack.most == 0
