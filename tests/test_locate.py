"""From maps to atoms: to a fraction of a pixel, touching ones apart, nothing lost without a row."""

import numpy as np
import pytest

import elit_helpers as eh
from elit_helpers.images import DISC_A, NET_PIXEL
from elit_helpers.locate import COLUMNS

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


@pytest.mark.parametrize("apart_A", [0.9, 1.0, 1.42])
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


def test_atoms_at_the_edge_are_flagged_and_atoms_near_it_kept():
    found = eh.locate_atoms(of_one_class(disc_map(np.array([[0.0, 40.0], [2.5, 20.0], [40.0, 87.0]]))))
    assert found.sort_values("col_px")["reason"].tolist() == ["", "edge", ""]
    near = found[found["kept"]].sort_values("col_px")
    assert np.abs(near["row_px"].to_numpy() - [2.5, 40]).max() < 0.3


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
