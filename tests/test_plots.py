"""Drawings carry units, a scale, alt text, and tell elements apart by more than colour."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from ase.build import graphene

from elit_helpers import plots


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


@pytest.fixture
def sheet():
    sheet = graphene(size=(3, 3, 1), vacuum=5)
    sheet.symbols[0] = "Si"
    return sheet


@pytest.fixture
def table():
    return pd.DataFrame(
        {"row_px": [5, 9, 20], "col_px": [6, 9, 3], "element": ["C", "Si", "C"], "kept": [True, True, False]}
    )


def texts(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_a_frame_has_a_scale_bar_of_a_round_length():
    ax = plots.image(np.eye(100), pixel_size=0.1, ax=plots.row()[0])
    assert "2 Å" in [child.get_text() for child in ax.texts]


def test_without_a_pixel_size_there_is_no_scale_bar():
    assert not plots.image(np.eye(100), ax=plots.row()[0]).texts


def test_elements_are_counted_and_flagged_atoms_shown_when_asked(table):
    ax = plots.row()[0]
    assert texts(plots.atoms(table, ax=ax)) == ["C (1)", "Si (1)"]
    assert "flagged (1)" in texts(plots.atoms(table, ax=plots.row()[0], flagged=True))


def test_elements_differ_in_marker_as_well_as_in_colour(sheet):
    ax = plots.structure(sheet, ax=plots.row()[0])
    carbon, silicon = (np.asarray(c.get_paths()[0].vertices) for c in ax.collections[::-1])
    assert carbon.shape != silicon.shape
    assert ax.get_xlabel() == "x [Å]"


def test_values_get_one_scale_for_all_elements(sheet):
    values = np.arange(len(sheet), dtype=float)
    ax = plots.structure(sheet, values=values, label="spread [Å]", ax=plots.row()[0])
    assert {c.get_clim() for c in ax.collections} == {(0.0, values.max())}


def test_given_colours_are_used(sheet):
    ax = plots.structure(sheet, colors=["#ff0000"] * len(sheet), ax=plots.row()[0])
    assert ax.collections[0].get_facecolors()[0].tolist() == [1, 0, 0, 1]


def test_energies_start_from_zero_in_millielectronvolt_an_atom():
    log = pd.DataFrame(
        {"time_fs": [0, 1], "potential_eV": [-8, -7], "kinetic_eV": [2, 1], "total_eV": [-6, -6]}
    )
    ax = plots.energy(log, n_atoms=2, ax=plots.row()[0])
    assert [line.get_ydata()[-1] for line in ax.lines] == [500, -500, 0]
    assert ax.get_ylabel() == "change [meV/atom]"


def test_an_atom_without_a_value_is_drawn_and_does_not_set_the_scale():
    import elit_helpers as eh

    sheet = eh.graphene_sheet((3, 2))
    values = np.linspace(0.1, 0.3, len(sheet))
    values[4] = np.nan
    ax = plots.structure(sheet, values=values, ax=plots.row()[0])
    drawn = ax.collections[0]
    assert len(drawn.get_offsets()) == len(sheet)
    assert drawn.get_clim() == (0.1, 0.3)
    plots.describe(ax, "spread")


def test_a_description_carries_alt_text_and_closes_the_figure():
    axes = plots.row(2)
    bundle = plots.describe(axes, "two <empty> axes")._repr_mimebundle_()
    assert 'alt="two &lt;empty&gt; axes"' in bundle["text/html"]
    assert bundle["text/plain"] == "two <empty> axes"
    assert not plt.get_fignums()


def test_a_mask_has_a_colour_for_each_class_and_for_the_background():
    ax = plots.labels(np.array([[0, 1], [2, 2]]), classes=("C", "Si"), ax=plots.row()[0])
    assert ax.images[0].cmap.N == 3


def test_rings_bonds_and_regions_are_drawn_over_a_structure():
    import elit_helpers as eh

    sheet, _ = eh.add_stone_wales(eh.graphene_sheet((9, 6)), rng=1)
    ax = plots.rings(sheet, eh.rings(sheet), ax=plots.row()[0])
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert "5 (2)" in labels
    assert "7 (2)" in labels
    plots.bonds(sheet, ax=ax)
    lines = ax.collections[-1]
    assert len(lines.get_segments()) == 2 * len(eh.bonds(sheet))
    plots.regions(eh.regions_of_interest(sheet), ax=ax)
    assert [text.get_text() for text in ax.texts] == ["0"]
    plots.describe(ax, "rings")
