"""A control redraws its figure, and every widget carries a picture for pages without a kernel."""

import pytest
from ase.build import graphene

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


def test_controls_are_needed():
    with pytest.raises(ValueError, match="`controls` is empty"):
        widgets.explore(draw, alt="")


@pytest.mark.parametrize("frames", [1, 3])
def test_a_structure_or_a_trajectory_is_viewed(frames):
    sheet = graphene(size=(3, 3, 1), vacuum=5)
    shown = widgets.view(sheet if frames == 1 else [sheet] * frames, alt="a sheet")
    assert shown.widget.max_frame == frames - 1
    assert shown.png.startswith(b"\x89PNG")
