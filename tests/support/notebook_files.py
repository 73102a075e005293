"""What the tests of the notebooks share: where they are, how they are read, how one is executed."""

import ast
import os
import re
from contextlib import contextmanager

import nbformat
import pytest
from places import ROOT

import elit_helpers as eh

FOLDER = ROOT / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("[0-9][0-9]_*.ipynb"))
CELL_TIMEOUT_S = 900
EXERCISE = re.compile(r'eh\.exercises\.check\("(\d\d\.\d+)"')
FOLDED = re.compile(r"<details><summary>A solution</summary>\s+```python\n(.+?)```.*?</details>", re.DOTALL)


def number(path):
    """Return ``"03"`` of ``03_image_to_structure.ipynb``."""
    return path.name[:2]


def read(path):
    """Return a notebook."""
    return nbformat.read(path, as_version=4)


def markdown(path):
    """Return the texts of a notebook as one, without its code."""
    return "\n\n".join(cell.source for cell in read(path).cells if cell.cell_type == "markdown")


def code_cells(path):
    """Return the code cells of a notebook."""
    return [cell for cell in read(path).cells if cell.cell_type == "code"]


def plain(source):
    """Return the source of a cell without the lines that only IPython understands."""
    return re.sub(r"^(\s*)[!%].*$", r"\1pass", source, flags=re.MULTILINE)


def tree(cell):
    """Return the syntax tree of a code cell."""
    return ast.parse(plain(cell.source))


def exercises(notebook):
    """Return the stub of each exercise of a notebook, and the solutions folded in the text right below it."""
    found = {}
    for cell, below in zip(notebook.cells, [*notebook.cells[1:], None]):
        if cell.cell_type == "code" and (asked := EXERCISE.search(cell.source)):
            text = below.source if below is not None and below.cell_type == "markdown" else ""
            found[asked.group(1)] = cell, FOLDED.findall(text)
    return found


def solved(path, folder):
    """Write a copy of a notebook, its dots replaced by the folded solutions, into a folder; return it."""
    notebook = read(path)
    for stub, (solution,) in exercises(notebook).values():
        before, dots, check = re.split(r"^(\w+ = \.\.\..*\n)", stub.source, flags=re.MULTILINE)
        stub.source = before + solution + check
    copy = folder / path.name
    nbformat.write(notebook, copy)
    return copy


def verdicts(notebook):
    """Return what an executed notebook says of the answer to each of its exercises."""
    shown = {n: stub.outputs for n, (stub, _) in exercises(notebook).items()}
    return {n: " ".join(o.data["text/plain"] for o in said if "data" in o) for n, said in shown.items()}


def judges():
    """Return the numbers of all exercises, as the refusal of any other number lists them."""
    with pytest.raises(ValueError, match="choose one of") as refusal:
        eh.exercises.check("no number")
    return re.findall(r"\d\d\.\d+", str(refusal.value))


@contextmanager
def environment(**values):
    """Set environment variables for the kernels that start inside the block; None takes one away."""
    before = {name: os.environ.get(name) for name in values}
    try:
        for name, value in values.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = str(value)
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def execute(path):
    """Execute a notebook with nbmake and return it; the first cell that fails is an AssertionError."""
    from nbmake.nb_run import NotebookRun

    result = NotebookRun(path, CELL_TIMEOUT_S).execute()
    if result.error is not None:
        cell = result.error.failing_cell_index + 1
        raise AssertionError(f"{path.name}, cell {cell}: {result.error.summary}\n{result.error.trace}")
    return result.nb
