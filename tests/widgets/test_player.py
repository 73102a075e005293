"""One slider moves structure, cursors and histogram of a simulation; a run is drawn as it goes."""

import numpy as np
import pandas as pd
import pytest
from sheets import rattled

from elit_helpers import widgets

LOG = pd.DataFrame({
    "time_fs": [0.0, 10.0, 20.0, 30.0], "temperature_K": [300.0, 180.0, 150.0, 170.0],
    "potential_eV": [-8.0, -7.0, -6.8, -6.9], "kinetic_eV": [2.0, 1.0, 0.8, 0.9],
    "total_eV": [-6.0, -6.0, -6.0, -6.0], "bonds": [27, 27, 26, 27],
})  # fmt: skip


@pytest.fixture
def frames():
    return rattled(0.03)


class TestPlayer:
    def test_the_slider_turns_picture_and_view_to_its_frame(self, frames):
        shown = widgets.player(frames, LOG, alt="a sheet")
        pictures = []
        for number in range(4):
            shown.slider.value = number
            pictures.append(shown.picture.value)
            assert shown.viewer.frame == number
        assert len(set(pictures)) == 4
        shown.slider.value = 1
        assert shown.picture.value == pictures[1]

    def test_the_play_button_moves_the_slider(self, frames):
        play, slider = widgets.player(frames, LOG, alt="a sheet").widget.children[0].children
        assert (play.min, play.max) == (slider.min, slider.max) == (0, 3)

    def test_a_page_without_a_kernel_has_the_last_frame(self, frames):
        shown = widgets.player(frames, LOG, alt="a sheet")
        shown.slider.value = 3
        assert shown.png == shown.picture.value
        bundle = shown._repr_mimebundle_()
        assert 'alt="a sheet"' in bundle["text/html"]
        assert "model_id" in bundle[widgets.WIDGET]

    def test_without_nglview_everything_else_is_there(self, frames, monkeypatch):
        monkeypatch.setitem(__import__("sys").modules, "nglview", None)
        shown = widgets.player(frames, LOG, alt="a sheet")
        before = shown.picture.value
        shown.slider.value = 2
        assert shown.viewer is None
        assert shown.picture.value != before

    def test_only_what_moves_is_drawn_again(self, frames, monkeypatch):
        from matplotlib.figure import Figure

        shown, draws = widgets.player(frames, LOG, alt="a sheet", in_3d=False), []
        monkeypatch.setattr(Figure, "draw", lambda *_: draws.append(1))
        for number in (1, 2, 3):
            shown.slider.value = number
        assert not draws

    def test_lengths_are_those_of_the_picture(self, frames):
        from elit_helpers.simulate.result import stretched
        from elit_helpers.widgets.player import _bond_lengths

        large = [stretched(frame, 1.04) for frame in frames]
        for frame in large:
            frame.info["lattice_scale"] = 1.04
        shown, plain = (widgets.player(f, LOG, alt="", in_3d=False) for f in (large, frames))
        pair, lengths = _bond_lengths(frames)
        assert pair == "C–C"
        assert [len(own) for own in lengths] == [27] * 4
        assert np.allclose(lengths[0], 2.46 / np.sqrt(3))
        assert shown.png == plain.png

    def test_a_log_that_is_none_of_a_simulation_is_refused(self, frames):
        with pytest.raises(ValueError, match="no column time_fs, temperature_K, kinetic_eV"):
            widgets.player(frames, pd.DataFrame({"potential_eV": [1], "total_eV": [1]}), alt="")

    def test_atoms_without_bonds_and_a_single_frame_are_played_too(self, frames):
        for frame in frames:
            frame.set_cell(frame.cell * 3, scale_atoms=True)
        assert widgets.player(frames, LOG, alt="", values=np.arange(18.0)).png.startswith(b"\x89PNG")
        assert widgets.player(frames[:1], LOG[:1], alt="").slider.max == 0


class TestLiveRun:
    @pytest.fixture
    def clock(self, monkeypatch):
        """A clock to set; drawing takes no time on it."""
        now = [100.0]
        monkeypatch.setattr("elit_helpers.widgets.live.time.monotonic", lambda: now[0])
        return now

    @pytest.fixture
    def live(self):
        class Display:
            bundles = []

            def update(self, bundle, raw):
                self.bundles.append(bundle["text/html"])

        Display.bundles = []
        live = widgets.LiveRun("a run")
        live.displays.append(Display())
        return live

    def test_it_draws_the_log_but_not_more_than_twice_a_second(self, live, clock):
        for rows, seconds in ((1, 0.0), (2, 0.2), (3, 0.2), (4, 0.2)):
            clock[0] += seconds
            live(LOG[:rows])
        assert len(set(live.displays[0].bundles)) == 2
        assert len(live.history) == 4

    def test_the_end_of_the_cell_draws_what_came_last_and_only_then(self, live, clock):
        live(LOG[:2])
        live(LOG)
        for _ in range(3):
            live.catch_up()
        assert len(live.displays[0].bundles) == 2
        assert widgets.LiveRun("").show().png != live.show().png

    def test_a_drawing_that_takes_long_is_seldom(self, live, monkeypatch):
        ticks = iter([0.0, 1.0, 15.0, 21.0, 22.0])  # begins, has taken 1 s, not yet, due again
        monkeypatch.setattr("elit_helpers.widgets.live.time.monotonic", lambda: next(ticks))
        for _ in range(3):
            live(LOG)
        assert len(live.displays[0].bundles) == 2

    def test_it_stops_no_run_and_takes_a_log_without_bonds(self, live):
        assert live(LOG.drop(columns="bonds")) is None
        assert live.png().startswith(b"\x89PNG")

    def test_the_newest_row_is_drawn_of_a_long_log(self, live):
        live.history = pd.concat([LOG] * 1000, ignore_index=True)
        before = live.png()
        live.history.loc[len(live.history) - 1, "temperature_K"] = 4000.0
        assert live.png() != before
