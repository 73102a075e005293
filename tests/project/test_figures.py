"""The picture at the head of a notebook shows what is handed over today."""

import json
import re

import draw_figures
import pytest
from notebook_files import NOTEBOOKS, read
from PIL import Image

each = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def header_picture(path):
    """Name of the first picture of its own that a notebook shows."""
    return re.search(r"!\[[^\]]+\]\(figures/([^)\s]+)\)", read(path).cells[0].source)[1]


@each
def test_the_picture_at_the_head_is_drawn_by_the_tool_from_the_files_that_ship(path):
    name = header_picture(path)
    assert name in draw_figures.FIGURES
    with Image.open(draw_figures.FOLDER / name) as picture:
        shown = json.loads(picture.text[draw_figures.NOTE])
    today = {file: draw_figures.note_of(file) for file in shown}
    assert shown == today, "draw it anew: python tools/draw_figures.py"
    assert shown or name == "01_data_preparation.png", "only 01 begins before anything is handed over"


def test_the_note_of_a_structure_has_its_formula():
    assert re.fullmatch(r"C\d+H\d+Si", draw_figures.note_of("patch_1.extxyz")["formula"])


def test_the_same_files_give_the_same_picture(tmp_path):
    once, again = (tmp_path / part for part in ("once", "again"))
    for folder in (once, again):
        folder.mkdir()
        draw_figures.draw("01_data_preparation.png", folder)
    name = "01_data_preparation.png"
    assert (once / name).read_bytes() == (again / name).read_bytes()
