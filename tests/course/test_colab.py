"""Notebook 00 with the widgets that Colab has: ipywidgets 7.7.1, and no nglview."""

import subprocess
import sys

import pytest
from notebook_files import NOTEBOOKS, environment, execute

# ipywidgets 7.7.1 as Colab has it, with what it imports; nothing of numpy, torch or the kernel is touched.
COLAB = (
    "ipywidgets==7.7.1",
    "widgetsnbextension==3.6.10",
    "ipython_genutils==0.2.0",
    "jupyterlab_widgets==3.0.16",
)
ABSENT = ("nglview",)


@pytest.fixture(scope="module")
def colab(tmp_path_factory):
    """A folder that, first on the path, makes the kernel look like Colab's."""
    folder = tmp_path_factory.mktemp("colab")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    subprocess.run([*pip, "--target", str(folder), *COLAB], check=True)
    for name in ABSENT:
        (folder / f"{name}.py").write_text(
            f'raise ModuleNotFoundError("No module named {name!r}", name={name!r})\n'
        )
    return folder


@pytest.mark.slow
def test_the_widgets_are_those_of_colab(colab):
    script = "import ipywidgets; print(ipywidgets.__version__)"
    with environment(PYTHONPATH=colab):
        assert subprocess.check_output([sys.executable, "-c", script], text=True).strip() == "7.7.1"


@pytest.mark.slow
def test_notebook_00_runs_with_them(colab, tmp_path):
    (path,) = [path for path in NOTEBOOKS if path.name.startswith("00_")]
    with environment(PYTHONPATH=colab, ELIT_RUN="demo", ELIT_RESULTS=tmp_path):
        notebook = execute(path)
    shown = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert any("<img" in str(output.get("data", {}).get("text/html", "")) for output in shown)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["explore", "view"])
def test_the_widgets_of_the_course_work_with_them(colab, name):
    script = {
        "explore": "shown = eh.widgets.explore(lambda x: plt.figure(), alt='a', x=(0, 1, 1))",
        "view": "shown = eh.widgets.view(molecule('C6H6'), alt='benzene')",
    }[name]
    head = "import elit_helpers as eh, matplotlib.pyplot as plt; from ase.build import molecule"
    script = f"{head}; {script}; print('<img' in shown._repr_mimebundle_()['text/html'])"
    with environment(PYTHONPATH=colab, MPLBACKEND="agg"):
        said = subprocess.check_output([sys.executable, "-c", script], text=True)
    assert said.strip() == "True"
