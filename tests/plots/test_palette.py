"""Every line and bar has a colour that the colour-blind tell from the others, whoever made the axis."""

import itertools
import re

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import TABLEAU_COLORS, to_hex, to_rgb
from notebook_files import NOTEBOOKS, code_cells
from places import ROOT
from skimage.color import deltaE_ciede2000, rgb2lab

from elit_helpers import plots

# What an eye sees that lacks one kind of cone, as a product with linear RGB: Machado, Oliveira and Fernandes,
# IEEE Trans. Vis. Comput. Graph. 15, 1291 (2009), severity 1.
EYES = {
    "with all three": np.eye(3),
    "without long": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "without medium": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "without short": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
TOLD_APART = 10  # CIEDE2000; some 2 can be seen side by side, thin lines far apart need several times that
UNSURE = "#c9a26b"  # the brown of a mask that stays open: an area, never a line


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def seen(color, eye):
    """The colour as this eye sees it, in CIELAB."""
    linear = np.array([c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(color)])
    left = np.clip(np.asarray(EYES[eye]) @ linear, 0, 1)
    return rgb2lab(np.where(left <= 0.0031308, 12.92 * left, 1.055 * left ** (1 / 2.4) - 0.055))


def least_distance(colors, eye):
    pairs = itertools.combinations([seen(color, eye) for color in colors], 2)
    return min(float(deltaE_ciede2000(a, b)) for a, b in pairs)


@pytest.mark.parametrize("eye", EYES)
def test_every_eye_tells_all_colours_of_the_cycle_apart(eye):
    assert least_distance(plots.CYCLE, eye) > TOLD_APART


def test_the_measure_finds_colours_that_some_eyes_confuse():
    assert least_distance(TABLEAU_COLORS.values(), "without long") < 2
    assert least_distance(["#ff0000", "#008000"], "without medium") < least_distance(
        ["#ff0000", "#008000"], "with all three"
    )


LOG = pd.DataFrame(
    {
        "time_fs": [0.0, 1],
        "temperature_K": [300.0, 290],
        "potential_eV": [-8.0, -7],
        "kinetic_eV": [2.0, 1],
        "total_eV": [-6.0, -6],
    }
)
LOSSES = pd.DataFrame({"member": np.repeat(range(5), 2), "step": [0, 1] * 5, "loss": [1.0, 0.5] * 5})
SCORES = pd.DataFrame({"auroc": [0.8, 0.9], "auroc_std": [0.05, 0.0]}, index=[1, 2])
BINS = pd.DataFrame({"low": [0.0], "high": [1.0], "predicted": [0.5], "observed": [0.4], "count": [50]})
DRAWN = {
    "energy": lambda ax: plots.energy(LOG, n_atoms=2, ax=ax),
    "temperature": lambda ax: [plots.temperature(LOG, ax=ax, label=label) for label in "abc"],
    "histogram": lambda ax: [plots.histogram([k, k + 1], ax=ax, xlabel="bond [Å]") for k in range(5)],
    "losses": lambda ax: plots.losses(LOSSES, ax=ax),
    "over_members": lambda ax: plots.over_members(SCORES, ax=ax, goal=0.9),
    "reliability": lambda ax: plots.reliability(BINS, ax=ax, counts=False),
}


def is_grey(color):
    return len(set(to_rgb(color))) == 1


@pytest.mark.parametrize("name", DRAWN)
def test_lines_on_an_axis_of_ones_own_have_the_colours_of_the_cycle(name):
    axis = plt.subplots()[1]
    DRAWN[name](axis)
    colors = [to_hex(line.get_color()) for line in axis.lines if line.get_color() != "none"]
    colors += [to_hex(patch.get_edgecolor()) for patch in axis.patches]
    coloured = [color for color in colors if not is_grey(color)]
    assert coloured
    assert set(coloured) <= set(plots.CYCLE)
    assert name in ("over_members", "reliability") or len(set(coloured)) == len(coloured)


def test_axes_of_a_row_have_the_cycle_and_one_with_lines_keeps_its_own_colours():
    axis = plots.row(2)[1]
    assert [to_hex(axis.plot([0, 1])[0].get_color()) for _ in range(2)] == list(plots.CYCLE[:2])
    mine = plt.subplots()[1]
    mine.set_prop_cycle(color=["#123456", "#654321"])
    mine.plot([0, 1])
    plots.temperature(LOG, ax=mine)
    assert to_hex(mine.lines[1].get_color()) == "#654321"


def sources():
    for path in sorted((ROOT / "elit_helpers").rglob("*.py")):
        yield path.name, path.read_text(encoding="utf-8")
    for path in NOTEBOOKS:
        yield path.name, "\n".join(cell.source for cell in code_cells(path))


def test_no_colour_is_written_that_is_not_of_the_palette_or_grey():
    known = {*plots.CYCLE, *plots.COLORS.values(), *plots.RING_COLORS.values(), UNSURE}
    for name, source in sources():
        written = set(re.findall(r"#[0-9a-f]{6}\b", source.lower()))
        assert not {color for color in written if color not in known and not is_grey(color)}, name
        assert not re.findall(r"[\"']C\d[-.:o]|tab(?:10|20|:)", source), name
