"""A control redraws its figure, and every widget carries a picture for pages without a kernel."""

import gc
import io

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image
from sheets import SHEET

from elit_helpers import plots, widgets


def draw(dose, grid):
    ax = plots.row()[0]
    ax.plot([0, dose])
    ax.grid(grid)
    return ax.figure


def test_moving_a_control_redraws_the_figure():
    shown = widgets.explore(draw, alt="a line", dose=(1, 9), grid=False)
    dose, _, picture = shown.widget.children
    before = picture.value
    dose.value = 9
    assert picture.value != before


def test_a_control_begins_where_it_is_told():
    shown = widgets.explore(draw, alt="a line", dose=(1, 9, 2, 3), grid=False)
    assert shown.widget.children[0].value == 3


def test_a_callback_that_raises_is_not_swallowed():
    def fail(dose):
        if dose > 3:
            raise ValueError("too much")
        return draw(dose, grid=False)

    shown = widgets.explore(fail, alt="a line", dose=(1, 5))
    with pytest.raises(ValueError, match="too much"):
        shown.widget.children[0].value = 5


def test_the_bundle_has_widget_picture_and_words():
    bundle = widgets.explore(draw, alt='a "line"', dose=(1, 9), grid=False)._repr_mimebundle_()
    assert bundle["text/plain"] == 'a "line"'
    assert 'alt="a &quot;line&quot;"' in bundle["text/html"]
    assert "model_id" in bundle[widgets.WIDGET]


def test_a_control_is_labelled_with_its_unit():
    shown = widgets.explore(
        lambda **_: draw(1, grid=False),
        alt="",
        units={"dose": "e/Å²", "grid_K": "a K of its own"},
        temperature_K=(1, 9),
        dose=(1, 9),
        grid_K=False,
        least_probability=(0.0, 1.0),
        A=(1, 2),
    )
    labels = [child.description for child in shown.widget.children[:-1]]
    assert labels == [
        "temperature [K]",
        "dose [e/Å²]",
        "grid K [a K of its own]",
        "least probability",
        "A",
    ]


def test_a_unit_of_no_control_is_refused():
    with pytest.raises(ValueError, match=r"`units` names dsoe, which is no control; there are dose, grid\."):
        widgets.explore(draw, alt="", units={"dsoe": "e/Å²"}, dose=(1, 9), grid=False)


def test_controls_are_needed():
    with pytest.raises(ValueError, match="`controls` is empty"):
        widgets.explore(draw, alt="")


@pytest.mark.parametrize("frames", [1, 3])
def test_a_structure_or_a_trajectory_is_viewed(frames):
    sheet = SHEET.copy()
    shown = widgets.view(sheet if frames == 1 else [sheet] * frames, alt="a sheet")
    assert shown.widget.max_frame == frames - 1
    assert shown.png.startswith(b"\x89PNG")


class TestInSpace:
    """What nglview is given; that it draws it, the test of the browser sees."""

    @pytest.fixture
    def sheet(self):
        sheet = SHEET.copy()
        sheet.symbols[4] = "Si"
        return sheet

    def test_it_is_seen_as_the_picture_has_it_not_in_a_mirror(self, sheet):
        from elit_helpers.widgets.shown import in_space

        widget = in_space([sheet, sheet])
        seen = widget._trajlist[0].get_coordinates(1)
        away = sheet.positions - sheet.positions.mean(axis=0)
        assert np.allclose(seen, away * [-1, 1, -1])  # nglview looks along +z, and has x to the left

    def test_a_drift_between_frames_is_kept(self, sheet):
        from elit_helpers.widgets.shown import in_space

        moved = sheet.copy()
        moved.positions += [1.0, 0.5, 0.0]
        first, second = (in_space([sheet, moved])._trajlist[0].get_coordinates(k) for k in (0, 1))
        assert np.allclose(second - first, [-1.0, 0.5, 0.0])

    def test_a_large_structure_brings_its_bonds(self, sheet):
        import elit_helpers as eh
        from elit_helpers.widgets.shown import _pdb

        large = eh.graphene_sheet((12, 11))
        large.pbc = False
        assert _pdb(large).count("CONECT") == len(eh.bonds(large))
        assert "CONECT" not in _pdb(sheet)

    def test_elements_have_the_colours_of_the_drawings_and_given_ones_their_atoms(self, sheet):
        from elit_helpers.widgets.shown import _painted

        assert _painted(sheet, None) == [["#0072b2", "_C"], ["#e69f00", "_SI"]]
        colors = ["#111111", "#222222"] * 9
        assert _painted(sheet, colors)[1] == ["#222222", "@1,3,5,7,9,11,13,15,17"]

    def test_two_views_do_not_share_their_colours(self, sheet):
        labels = set()
        for color in ("#ff0000", "#00ff00"):
            messages = widgets.view(sheet, alt="", colors=[color] * 18).widget._ngl_msg_archive
            labels |= {message["kwargs"].get("color_label") for message in messages}
        assert len(labels - {None}) == 2


class Maps:
    """What `predict` gives of three members, two frames and one class."""

    shape_original = (40, 48)

    def __init__(self, members=3):
        rng = np.random.default_rng(1)
        self.members = rng.uniform(size=(members, 2, 20, 24, 2)).astype(np.float16)

    def __len__(self):
        return 2


FRAMES = np.random.default_rng(2).normal(size=(2, 40, 48))
SCORES = pd.DataFrame({
    "member": [0, 1, 2], "atoms": [300, 280, 90], "lattice": [0.99, 0.98, 0.4], "agreement": [1.0, 0.97, 0.3],
    "contrast": [1.0, 1.0, 0.5], "score": [0.99, 0.95, 0.06], "kept": [True, True, False],
})  # fmt: skip


class TestMemberChoice:
    def test_ticked_at_first_are_the_members_that_the_score_keeps(self):
        choice = widgets.pick_members(Maps(), SCORES, FRAMES, alt="three members")
        assert choice.selected == [0, 1]

    def test_a_tick_changes_the_choice_and_the_line_for_a_script(self):
        choice = widgets.pick_members(Maps(), SCORES, FRAMES, frame=1, alt="three members")
        line = choice.widget.children[-1]
        assert "keep=[0, 1]" in line.value
        choice.boxes[2].value, choice.boxes[0].value = True, False
        assert choice.selected == [1, 2]
        assert "keep=[1, 2]" in line.value
        for box in choice.boxes:
            box.value = False
        assert "one at least" in line.value

    def test_each_member_has_its_picture_and_its_score(self):
        choice = widgets.pick_members(Maps(), SCORES, FRAMES, alt="three members")
        frame, *cards = choice.widget.children[0].children
        pictures = [card.children[0].value for card in [frame, *cards]]
        assert len(set(pictures)) == 4
        assert [card.children[1] for card in cards] == choice.boxes
        assert "score 0.06" in cards[2].children[2].value
        assert "90 atoms" in cards[2].children[2].value

    def test_a_page_without_a_kernel_has_all_of_them_in_one_picture(self):
        choice = widgets.pick_members(Maps(), SCORES, FRAMES, alt="three members")
        width, height = Image.open(io.BytesIO(choice.png)).size
        assert width > 3 * height
        bundle = choice._repr_mimebundle_()
        assert 'alt="three members"' in bundle["text/html"]
        assert "model_id" in bundle[widgets.WIDGET]

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"frames": FRAMES[:1]}, "`frames` has shape .*the frames that went into predict"),
            ({"scores": SCORES[:2]}, "2 rows, but there are 3 members"),
            ({"frame": 2}, "`frame` is 2; choose one of 0, 1"),
        ],
    )
    def test_what_does_not_belong_together_is_refused(self, change, message):
        given = {"prediction": Maps(), "scores": SCORES, "frames": FRAMES, "alt": ""} | change
        with pytest.raises(ValueError, match=message):
            widgets.pick_members(**given)

    def test_members_that_were_left_out_are_asked_for(self):
        maps = Maps()
        maps.members = None
        with pytest.raises(ValueError, match="members=True"):
            widgets.pick_members(maps, SCORES, FRAMES, alt="")


class TestLiveLosses:
    HISTORY = pd.DataFrame({"member": [0, 0, 1, 1], "step": [0, 1, 0, 1], "loss": [1.0, 0.5, 1.1, 0.4]})

    @pytest.fixture
    def shown(self, monkeypatch):
        """What arrives at the front end: each bundle, and the display that it belongs to."""
        arrived = []

        class Handle:
            def update(self, bundle, raw):
                arrived.append((self, bundle))

        def display(bundle, *, raw, display_id):
            handle = Handle()
            handle.update(bundle, raw)
            return handle

        monkeypatch.setattr("IPython.display.display", display)
        return arrived

    def test_the_picture_is_replaced_where_it_was_shown(self, shown):
        live = widgets.LiveLosses("loss over steps")
        live.show()._ipython_display_()
        live(self.HISTORY)
        (first, before), (second, after) = shown
        assert first is second
        assert before["text/html"] != after["text/html"]
        assert 'alt="loss over steps"' in after["text/html"]

    def test_the_last_picture_stays_for_pages_without_a_kernel(self):
        live = widgets.LiveLosses("loss over steps")
        empty = live.show().png
        live(self.HISTORY)
        assert live.show().png != empty
        assert set(live.show()._repr_mimebundle_()) == {"text/html", "text/plain"}

    def test_a_stage_of_the_algorithm_is_the_title(self):
        live = widgets.LiveLosses("loss over steps")
        live(self.HISTORY)
        plain = live.png()
        live(self.HISTORY.assign(stage="E_1"))
        assert live.png() != plain

    def test_the_last_call_is_always_drawn(self, shown):
        live = widgets.LiveLosses("loss over steps")
        live.show()._ipython_display_()
        for steps in (2, 3, 4):
            live(self.HISTORY[:steps])
        assert len({bundle["text/html"] for _, bundle in shown}) == 4
        assert shown[-1][1]["text/html"] == live.show()._repr_mimebundle_()["text/html"]

    def test_no_picture_lies_about_after_it_was_drawn(self):
        live = widgets.LiveLosses("losses")
        gc.collect()
        before = sum(type(thing) is Figure for thing in gc.get_objects())
        gc.disable()  # as it is for long: a look through everything there is comes rarely
        try:
            for _ in range(3):
                live.png()
            assert sum(type(thing) is Figure for thing in gc.get_objects()) == before
        finally:
            gc.enable()

    def test_a_long_history_is_drawn_as_fast_as_a_short_one(self, monkeypatch):
        rows = []
        monkeypatch.setattr(plots, "losses", lambda history, **_: rows.append(len(history)))
        live = widgets.LiveLosses("")
        live.history = pd.concat([self.HISTORY] * 5000)
        live.png()
        assert rows[0] < 2000
