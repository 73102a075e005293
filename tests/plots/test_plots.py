"""Drawings carry units, a scale, alt text, and tell elements apart by more than colour."""

import io

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sheets import SHEET

from elit_helpers import plots


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


@pytest.fixture
def sheet():
    sheet = SHEET.copy()
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


# --------------------------------------------------------------------------- uncertainty
@pytest.fixture
def bins():
    return pd.DataFrame(
        {
            "low": [0, 0.5],
            "high": [0.5, 1],
            "predicted": [0.3, 0.8],
            "observed": [0.2, 0.9],
            "count": [2500, 100],
        }
    )


def test_reliability_has_the_diagonal_the_counts_and_bars_for_the_errors(bins):
    ax = plots.reliability(bins, ax=plots.row()[0])
    assert texts(ax) == ["as predicted", "observed"]
    assert ax.get_xlabel() == "predicted probability"
    counts = ax.figure.axes[1]
    assert [bar.get_height() for bar in counts.patches] == [2500, 100]
    (lengths,) = [np.diff(np.array(c.get_segments())[:, :, 1])[:, 0] for c in ax.collections]
    assert lengths[0] == pytest.approx(2 * np.sqrt(0.2 * 0.8 / 100), rel=0.05)
    assert lengths[1] > lengths[0]


def test_pixels_that_are_independent_have_shorter_bars(bins):
    axes = [plots.reliability(bins, together=t, ax=plots.row()[0]) for t in (1, 25)]
    short, long = (np.diff(np.array(ax.collections[0].get_segments())[0, :, 1])[0] for ax in axes)
    assert long == pytest.approx(5 * short, rel=0.05)


def test_two_reliabilities_on_one_axis_share_the_diagonal_and_empty_bins_are_not_drawn(bins):
    ax = plots.reliability(bins, ax=plots.row()[0], label="before")
    bins.loc[1, ["predicted", "observed", "count"]] = np.nan, np.nan, 0
    plots.reliability(bins, ax=ax, label="after", counts=False)
    assert texts(ax) == ["as predicted", "before", "after"]
    assert len(ax.lines[-3].get_xdata()) == 1


def test_scores_are_drawn_over_the_number_of_members_with_what_is_wanted():
    table = pd.DataFrame({"auroc": [0.8, 0.9], "auroc_std": [0.05, 0.0]}, index=pd.Index([1, 2]))
    ax = plots.over_members(table, ax=plots.row()[0], goal=0.85)
    assert ax.get_ylabel() == "AUROC of wrong atoms"
    assert texts(ax) == ["wanted: 0.85"]
    assert ax.get_xticks().tolist() == [1, 2]
    plots.over_members(table[["auroc"]], ax=ax, label="without a spread")


def test_doubt_is_drawn_whole_and_in_its_two_parts_in_nat():
    import elit_helpers as eh

    maps = np.stack([np.full((1, 40, 40, 2), 0.5), np.broadcast_to([0.9, 0.1], (1, 40, 40, 2))])
    each = -(maps * np.log(maps)).sum(-1)
    whole = eh.Prediction(
        maps.mean(0),
        maps.std(0),
        maps,
        ("C",),
        0.15,
        (1.0, 1.0),
        (40, 40),
        0.15,
        expected_entropy=each.mean(0),
    )
    axes = plots.doubt(whole)
    means = [float(ax.get_title().split("mean ")[1].split(" nat")[0]) for ax in axes]
    assert means[0] == pytest.approx(means[1] + means[2], abs=2e-3)
    assert means[2] > 0.05
    assert axes[0].figure.axes[-1].get_ylabel() == "doubt [nat]"
    assert plots.describe(axes, "three maps").png.startswith(b"\x89PNG")


# --------------------------------------------------------------------------- runs
def test_rings_are_counted_over_time_with_hexagons_on_a_scale_of_their_own():
    counts = pd.DataFrame({"step": [0, 50], "time_fs": [0.0, 50.0], 5: [2, 1], 6: [86, 80], 7: [2, 0]})
    ax = plots.census(counts, ax=plots.row()[0])
    assert texts(ax) == ["5-rings", "7-rings"]
    assert [line.get_ydata().tolist() for line in ax.lines] == [[2, 1], [2, 0]]
    hexagons = ax.figure.axes[1]
    assert hexagons.lines[0].get_ydata().tolist() == [86, 80]
    with pytest.raises(ValueError, match=r"no column named by a ring size, such as 5; it has \['time_fs'\]"):
        plots.census(counts[["time_fs"]])


def test_a_sweep_shows_every_run_by_its_fate_and_by_its_rings():
    table = pd.DataFrame({
        "temperature_K": [300.0, 300.0, 4000.0, 4000.0],
        "fate": ["unchanged", "unchanged", "grown: A → B", "healed"],
        "mean_bond_5_A": [1.44, 1.45, 1.5, np.nan], "mean_bond_7_A": [1.44, 1.44, 1.49, np.nan],
    })  # fmt: skip
    fates, means = plots.sweep(table)
    assert texts(fates) == ["unchanged", "healed", "grown"]
    heights = {bars.get_label(): [bar.get_height() for bar in bars] for bars in fates.containers}
    assert heights == {"unchanged": [2, 0], "healed": [0, 1], "grown": [0, 1]}
    assert len({(bar[0].get_facecolor(), bar[0].get_hatch()) for bar in fates.containers}) == 3
    five, seven = means.collections
    assert len(five.get_offsets()) == len(seven.get_offsets()) == 3
    assert means.lines[0].get_ydata() == pytest.approx([1.445, 1.5])
    assert means.get_ylabel() == "mean bond [Å]"


def test_the_density_of_a_histogram_has_the_unit_of_what_is_counted():
    ax = plots.histogram([1.4, 1.5], xlabel="C–C bond [Å]", ax=plots.row()[0])
    assert ax.get_ylabel() == "density [1/Å]"
    assert plots.histogram([1, 2], xlabel="counts", ax=plots.row()[0]).get_ylabel() == "density"


def test_frequencies_of_a_spectrum_count_upwards_and_show_what_is_where():
    rows = np.arange(64)[:, None] + np.arange(64)  # waves that run down and to the right
    ax = plots.spectrum(np.cos(2 * np.pi * rows / 8), pixel_size=1.0, reach=0.5, ax=plots.row()[0])
    assert ax.get_ylim() == (-0.5, 0.5)
    power = np.asarray(ax.images[0].get_array())
    row, col = np.unravel_index(power.argmax(), power.shape)
    left, right, bottom, top = ax.images[0].get_extent()
    x, y = left + (right - left) * col / 64, top - (top - bottom) * row / 64
    assert abs(x) == pytest.approx(0.125, abs=0.02)
    assert y == pytest.approx(-x, abs=0.02)  # to the right and down


def test_atoms_at_the_border_leave_the_picture_as_large_as_it_is(table):
    table = table.assign(row_px=[-0.4, 9, 20], col_px=[31.4, 9, 3])
    ax = plots.atoms(table, ax=plots.image(np.eye(32), ax=plots.row()[0]))
    assert ax.get_xlim() == (-0.5, 31.5)
    assert ax.get_ylim() == (31.5, -0.5)


def one_circle(grey, ax):
    ax.imshow(np.full((64, 64), grey), cmap="gray", vmin=0, vmax=1)
    plots.atoms(pd.DataFrame({"row_px": [32], "col_px": [32], "element": ["C"], "kept": [True]}), ax=ax)
    ax.get_legend().remove()


def one_outline(grey, ax):
    mask = np.ones((64, 64), int)
    mask[28:36, 28:36] = 0
    plots.pair(np.full((64, 64), 6 * grey - 2.5), mask, ax=ax)


@pytest.mark.parametrize("grey", [0.0, 1.0])
@pytest.mark.parametrize("mark", [one_circle, one_outline])
def test_circles_and_outlines_stand_out_from_dark_and_from_bright_pictures(mark, grey):
    ax = plots.row(width=4)[0]
    mark(grey, ax)
    ax.set_axis_off()
    png = np.asarray(Image.open(io.BytesIO(plots.to_png(ax.figure))).convert("L"), float)
    inside = png[20:-20, 20:-20]
    assert np.sum(np.abs(inside - np.median(inside)) > 90) > 10


def test_a_u_net_is_drawn_a_box_a_block_with_an_arrow_across_at_each_size():
    sides, channels, given = [16, 8, 8, 16, 16], [2, 4, 4, 2, 1], [1, 2, 4, 6, 2]
    layers = pd.DataFrame({"channels": channels, "channels_in": given, "side": sides})
    layers["convolutions"], layers["kernel"] = 1, 3
    ax = plots.unet(layers, ax=plots.row()[0])
    arrows = [text for text in ax.texts if getattr(text, "arrow_patch", None)]
    dashed = [text for text in arrows if text.arrow_patch.get_linestyle() == "--"]
    assert (len(ax.patches), len(arrows), len(dashed)) == (5, 5, 1)
    assert [text.get_text() for text in ax.texts if text.get_text()][1] == "4 × 8²\n1 of 3×3"
    with pytest.raises(ValueError, match="`layers` has no row; pass the table of network_layers"):
        plots.unet(layers[:0])
