"""A trajectory becomes a file that moves, in one piece or not at all."""

import re

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sheets import SHEET, rattled

from elit_helpers import plots


@pytest.fixture
def frames():
    return rattled(0.1)


@pytest.fixture
def log():
    return pd.DataFrame({"time_fs": [0.0, 10.0, 20.0, 30.0], "temperature_K": [300, 180, 150, 170]})


def test_a_gif_has_each_frame_for_its_time_and_begins_anew(frames, tmp_path):
    with Image.open(plots.animate(frames, tmp_path / "md.gif", fps=10)) as picture:
        assert (picture.n_frames, picture.info["duration"], picture.info["loop"]) == (4, 100, 0)
        first = np.asarray(picture.convert("RGB"))
        picture.seek(3)
        assert (first != np.asarray(picture.convert("RGB"))).any()


def test_the_temperature_makes_the_picture_wider(frames, log, tmp_path):
    plots.animate(frames, tmp_path / "alone.gif")
    plots.animate(frames, tmp_path / "beside.gif", log=log)
    with Image.open(tmp_path / "alone.gif") as alone, Image.open(tmp_path / "beside.gif") as beside:
        assert beside.width > 1.5 * alone.width


def test_values_colour_the_atoms_and_an_array_can_be_named(frames, tmp_path):
    moved = [np.linalg.norm(frame.positions - SHEET.positions, axis=1) for frame in frames]
    plots.animate(frames, tmp_path / "a.gif", values=moved, label="moved")
    for frame, own in zip(frames, moved, strict=True):
        frame.arrays["moved"] = own
    plots.animate(frames, tmp_path / "b.gif", values="moved")
    assert (tmp_path / "a.gif").read_bytes() == (tmp_path / "b.gif").read_bytes()


def test_a_page_holds_all_it_needs(frames, log, tmp_path):
    page = plots.animate(frames, tmp_path / "md.html", log=log, fps=20).read_text()
    assert page.count("data:image/png;base64,") == len(set(re.findall(r"png;base64,([^\"]+)", page))) == 4
    assert "http" not in page
    assert 'max="3"' in page
    assert "setInterval(step, 50)" in page
    assert 'alt="4 frames of C18"' in page


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"path": "md.mp4"}, ValueError, r"`path` is 'md.mp4'; name it \*.gif or \*.html"),
        ({"frames": []}, ValueError, "`frames` is empty"),
        ({"frames": SHEET}, TypeError, "one structure; pass a list"),
        ({"frames": [SHEET, SHEET[:-1]]}, ValueError, "number 1 is C17, the first is C18"),
        ({"fps": 0}, ValueError, "`fps` is 0"),
        ({"values": "spread"}, ValueError, "`values` is 'spread'; these frames have numbers, positions"),
        ({"values": [1.0, 2.0]}, ValueError, r"shape \(2,\); it must be \(18,\) or \(4, 18\)"),
        ({"log": pd.DataFrame({"time_fs": [0.0], "temperature_K": [1]})}, ValueError, "1 rows for 4 frames"),
    ],
)
def test_what_cannot_be_written_is_refused_and_leaves_no_file(frames, tmp_path, change, error, message):
    given = {"frames": frames, "path": "md.gif"} | change
    given["path"] = tmp_path / given["path"]
    with pytest.raises(error, match=message):
        plots.animate(**given)
    assert not list(tmp_path.iterdir())


def test_a_frame_that_cannot_be_drawn_leaves_the_older_file(frames, tmp_path, monkeypatch):
    path = plots.animate(frames, tmp_path / "md.gif")
    before = path.read_bytes()
    monkeypatch.setattr("elit_helpers.plots.moving.MovingStructure.show", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        plots.animate(frames, path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


# --------------------------------------------------------------------------- which row belongs to a frame
def test_a_frame_that_knows_its_time_has_the_row_of_that_time(frames, log):
    from elit_helpers.plots.moving import frame_rows

    for frame, time in zip(frames, (0, 9, 29, 30), strict=True):
        frame.info["time_fs"] = time
    assert frame_rows(frames, log).tolist() == [0, 1, 3, 3]


def test_frames_that_do_not_are_spread_evenly_over_the_log(frames, log):
    from elit_helpers.plots.moving import frame_rows

    assert frame_rows(frames, log).tolist() == [0, 1, 2, 3]
    assert frame_rows(frames[:2], log).tolist() == [0, 3]
    assert frame_rows(frames[:1], log).tolist() == [0]
