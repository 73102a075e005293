"""Regions are ticked or drawn by hand on the picture, and the same choice can be made in a script."""

import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import elit_helpers as eh
from elit_helpers import widgets

PIXEL = 0.12


@pytest.fixture(scope="module")
def scene():
    """A picture, its structure with a Stone–Wales defect and a silicon, and its two regions."""
    sheet, _ = eh.add_stone_wales(eh.graphene_sheet((9, 6)), rng=1)
    sheet.symbols[3] = "Si"
    sheet.pbc = False
    frame = np.random.default_rng(1).poisson(20, (220, 200)).astype(float)
    sheet.info.update(pixel_size=PIXEL, height_px=220)
    sheet.arrays["probability"] = np.linspace(0.5, 1, len(sheet))
    sheet.arrays["probability"][5] = np.nan
    regions = pd.DataFrame({
        "x_A": [11.0, 3.0], "y_A": [12.0, 4.0], "radius_A": [3.0, 1.0],
        "atoms": [(40, 41, 42), (3,)], "reason": ["Stone–Wales <5-7-7-5>", "Si with 3 C"],
    })  # fmt: skip
    return frame, sheet, regions


@pytest.fixture
def choice(scene):
    return widgets.pick_regions(*scene, alt="two regions")


class TestRegionChoice:
    def test_ticked_at_first_is_what_is_asked_for(self, scene, choice):
        assert choice.selected.equals(scene[2].iloc[[0]])
        both = widgets.pick_regions(*scene, keep=[0, 1], by_hand=[(8, 8, 4)], alt="")
        assert both.selected["reason"].tolist() == ["Stone–Wales <5-7-7-5>", "Si with 3 C", "by hand"]

    def test_a_tick_changes_the_choice_the_line_and_the_picture(self, choice):
        line, before = choice._line, choice._whole.value
        choice.boxes[1].value = True
        assert choice.selected.index.tolist() == [0, 1]
        assert "keep=[0, 1], by_hand=[]" in line.value
        assert choice._whole.value != before
        for box in choice.boxes:
            box.value = False
        assert choice.selected.empty
        assert "one region at least" in line.value

    def test_each_region_has_its_piece_of_the_picture_and_its_reason(self, choice):
        images, boxes, words = zip(*(card.children for card in choice._cards.children), strict=True)
        assert len({image.value for image in images}) == 2
        assert list(boxes) == choice.boxes
        assert "&lt;5-7-7-5&gt;<br>3 atoms at (11.0, 12.0) Å" in words[0].value

    def test_a_region_by_hand_is_drawn_before_it_is_added_and_then_ticked(self, scene, choice):
        before = choice._whole.value
        for field, value in zip(choice.place, (8.0, 9.0, 4.0), strict=True):
            field.value = value
        assert choice._whole.value != before
        choice._button.click()
        row = choice.selected.iloc[-1]
        away = np.linalg.norm(scene[1].positions[:, :2] - [8.0, 9.0], axis=1)
        assert row["atoms"] == tuple(np.flatnonzero(away <= 4.0))
        assert len(choice._cards.children) == 3
        assert "by_hand=[(8, 9, 4)]" in choice._line.value
        choice.boxes[2].value = False
        assert "by_hand=[]" in choice._line.value

    def test_a_script_makes_the_same_choice(self, scene, choice):
        choice.add(8, 9, 4)
        again = widgets.choose_regions(scene[1], scene[2], keep=[0], by_hand=[(8, 9, 4)])
        pd.testing.assert_frame_equal(again, choice.selected)

    def test_an_empty_region_by_hand_is_refused_beside_the_button(self, choice):
        choice.place[2].min = 0.01
        choice.place[2].value = 0.01
        choice._button.click()
        assert "holds no atom" in choice._says.value
        assert len(choice.selected) == 1
        choice.place[2].value = 4.0
        choice._button.click()
        assert choice._says.value == ""

    def test_a_page_without_a_kernel_has_the_picture_and_all_pieces(self, choice):
        width, height = Image.open(io.BytesIO(choice.png)).size
        assert width > height
        bundle = choice._repr_mimebundle_()
        assert 'alt="two regions"' in bundle["text/html"]
        assert "model_id" in bundle[widgets.WIDGET]

    def test_a_picture_without_regions_can_have_some_by_hand(self, scene):
        frame, sheet, regions = scene
        choice = widgets.pick_regions(frame, sheet, regions[:0], alt="")
        assert choice.selected.empty
        choice.add(8, 9, 4)
        assert len(choice.selected) == 1

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"keep": [2]}, r"`keep` has \[2\], but `regions` has the rows 0 to 1"),
            ({"by_hand": [(90, 90, 2)]}, "holds no atom"),
            ({"frame": np.eye(64)}, "64 px high, but `atoms` were found in a picture of 220 px"),
            ({"frame": np.stack([np.eye(220)] * 2)}, "2 frames; pass the one"),
        ],
    )
    def test_what_does_not_belong_together_is_refused(self, scene, change, message):
        given = dict(zip(("frame", "atoms", "regions"), scene, strict=True)) | {"alt": ""} | change
        with pytest.raises(ValueError, match=message):
            widgets.pick_regions(**given)


def test_a_circle_is_where_the_picture_has_its_region(scene, choice):
    ax = choice._draw_whole(eh.plots.row()[0])
    circle = ax.patches[0]
    assert np.allclose(circle.center, (11.0 / PIXEL, 219 - 12.0 / PIXEL))
    assert circle.radius == pytest.approx(4.2 / PIXEL)
    eh.plots.describe(ax, "")


class TestBesideImage:
    def test_the_structure_is_coloured_as_the_bar_says_and_grey_without_a_value(self, scene):
        from elit_helpers.widgets.beside_image import _colors

        shown = widgets.beside_image(scene[1], scene[0], alt="a sheet")
        image, viewer, bar = shown.widget.children
        assert viewer.max_frame == 0
        assert image.value != bar.value
        assert shown.png.startswith(b"\x89PNG")
        assert _colors(np.array([0.5, np.nan, 1.0])) == ["#440154", "#999999", "#fde725"]

    def test_without_nglview_it_is_the_picture(self, scene, monkeypatch):
        monkeypatch.setitem(__import__("sys").modules, "nglview", None)
        shown = widgets.beside_image(scene[1], scene[0], values=np.arange(len(scene[1])), alt="a sheet")
        assert set(shown._repr_mimebundle_()) == {"text/html", "text/plain"}

    def test_a_structure_without_values_or_picture_is_refused(self, scene):
        frame, sheet, _ = scene
        with pytest.raises(ValueError, match="`values` is 'position_std_A'; these frames have"):
            widgets.beside_image(sheet, frame, values="position_std_A", alt="")
        plain = sheet.copy()
        plain.info = {}
        with pytest.raises(ValueError, match="notes no `pixel_size`"):
            widgets.beside_image(plain, frame, alt="")
