"""Every notebook is executed by nbmake: in its place in the series with its exercises solved as the folded
solutions say, and alone, as it comes, from the copies that ship."""

import json

import pytest
import sentences
from notebook_files import NOTEBOOKS, environment, execute, number, solved, verdicts

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

# The budgets of the course: processor seconds on two free cores and peak anonymous memory. Wall time is never
# judged, because it says more about what else the machine is doing.
WALL_S = {"class": {"02": 300, "other": 180}, "demo": {"other": 20}}
CORES = 2
MEMORY_MB = 800
SERIES_CPU_S = 25 * 60
each = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


@pytest.fixture(scope="module")
def series_results(tmp_path_factory):
    """The results folder that the series shares, so that each notebook finds what those before it left."""
    return tmp_path_factory.mktemp("series")


def check_cost(results, path, mode):
    """Compare what a notebook says it took with its budget: twice the processor time, once the memory."""
    cost = json.loads((results / "costs" / f"{number(path)}.json").read_text())
    assert cost["run_mode"] == mode
    walls = WALL_S[mode]
    allowed = 2 * CORES * walls.get(number(path), walls["other"])
    assert cost["cpu_s"] <= allowed
    assert cost["peak_anonymous_MB"] <= MEMORY_MB
    return cost


def failing_widgets(notebook):
    """Return what callbacks of widgets said on an error: the cell itself does not fail on one."""
    states = notebook.metadata.get("widgets", {}).get("application/vnd.jupyter.widget-state+json", {})
    outputs = [o for s in states.get("state", {}).values() for o in s.get("state", {}).get("outputs", [])]
    return [o["evalue"] for o in outputs if isinstance(o, dict) and o.get("output_type") == "error"]


def check_sentences(notebook):
    """What the texts say and what the cells show agree, and would not if a number were another."""
    assert not sentences.without_support(notebook)
    assert not sentences.bad_words(notebook)
    changed = list(sentences.changed_by_hand(notebook))
    # In a section with a large table another number may stand there by chance.
    unseen = [wrong for wrong, there in changed if wrong.holds(there)]
    assert len(unseen) <= 1 + len(changed) / 3


@pytest.fixture(scope="module")
def series_notebooks(tmp_path_factory):
    """The folder that the series is executed in, with the solved copies of the notebooks."""
    return tmp_path_factory.mktemp("notebooks")


@each
def test_it_runs_in_its_place_in_the_series_and_its_solutions_are_right(
    path, series_results, series_notebooks
):
    with environment(ELIT_RUN="class", ELIT_RESULTS=series_results):
        notebook = execute(solved(path, series_notebooks))
    assert not failing_widgets(notebook)
    assert not {n: said for n, said in verdicts(notebook).items() if not said.startswith("✅")}
    check_sentences(notebook)
    check_cost(series_results, path, "class")


@each
def test_it_runs_alone_from_what_ships(path, tmp_path):
    with environment(ELIT_RUN="demo", ELIT_RESULTS=tmp_path):
        notebook = execute(path)
    assert not failing_widgets(notebook)
    assert all(said.startswith("✏️") for said in verdicts(notebook).values())
    check_sentences(notebook)
    check_cost(tmp_path, path, "demo")


def test_the_series_as_a_whole_keeps_its_budget(series_results):
    costs = [json.loads(path.read_text()) for path in (series_results / "costs").glob("*.json")]
    assert len(costs) == len(NOTEBOOKS)
    assert sum(cost["cpu_s"] for cost in costs) <= 2 * SERIES_CPU_S


def test_the_series_hands_over_whole_files_with_their_provenance(series_results):
    files = [path for path in series_results.iterdir() if path.name != "costs"]
    handed_over = {path.name for path in files if not path.name.endswith(".provenance.json")}
    noted = {path.name.removesuffix(".provenance.json") for path in files} - handed_over
    assert not noted, "a note with no file"
    assert not [name for name in handed_over if name.startswith(".")], (
        "something half-written was left behind"
    )


def test_the_series_leaves_nothing_beside_the_notebooks(series_notebooks):
    assert {path.name for path in series_notebooks.iterdir()} <= {path.name for path in NOTEBOOKS}
    left = {path.name for path in NOTEBOOKS[0].parent.iterdir()} & {
        "log.lammps",
        "log.cite",
        "model_metadict_final.tar",
    }
    assert not left
