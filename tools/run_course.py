"""Run the whole series without a screen: executed notebooks as HTML, results, and what each one took.

    python tools/run_course.py [--handover] [NUMBER ...]

Results go to build/results ($ELIT_RESULTS if it is set), pages to build/html. The first cell that fails ends
the run. With --handover the results then replace the copies in data/handover, and data/MANIFEST.json is
renewed.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path

import course_pages
import nbformat
import refresh_handover
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

from elit_helpers.core.files import remove_own

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = ROOT / "notebooks"
BUILD = ROOT / "build"
CELL_TIMEOUT_S = 1800


class CourseFailed(Exception):
    """A cell of a notebook raised, ran out of time, or took its kernel down."""


def series(names: list[str] = ()) -> list[Path]:
    """Return the notebooks in their order, or those of them whose name starts with one of `names`."""
    found = sorted(NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))
    return [path for path in found if not names or path.name.startswith(tuple(names))]


def execute(path: Path) -> nbformat.NotebookNode:
    """Run one notebook in its own kernel and return it with its outputs.

    Raises
    ------
    CourseFailed
        Naming the notebook and the cell, with what the cell holds and what it said.
    """
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        timeout=CELL_TIMEOUT_S,
        resources={"metadata": {"path": str(path.parent)}},
        extra_arguments=["--log-level=ERROR"],  # else every kernel warns that it speaks over a local port
    )
    try:
        client.execute()
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
        code = [i for i, cell in enumerate(notebook.cells, 1) if cell.cell_type == "code"]
        ran = [i for i in code if notebook.cells[i - 1].execution_count or notebook.cells[i - 1].outputs]
        where = f"{path.name}, cell {max(ran, default=code[0])} of {len(notebook.cells)}"
        raise CourseFailed(f"{where} failed.\n{error}") from error
    return notebook


def cost_of(number: str, results: Path) -> dict:
    """Return what a notebook said it took, or nothing if it said nothing."""
    report = results / "costs" / f"{number}.json"
    return json.loads(report.read_text()) if report.is_file() else {}


def run(notebooks: list[Path], results: Path, pages: Path) -> dict[str, dict]:
    """Run notebooks in order and return what each took."""
    costs = {}
    print(f"{'notebook':<28}{'wall [s]':>10}{'CPU [s]':>10}{'memory [MB]':>13}{'in all [s]':>12}", flush=True)
    for path in notebooks:
        started = time.perf_counter()
        executed = execute(path)
        course_pages.write_page(executed, NOTEBOOKS, pages / f"{path.stem}.html")
        cost = cost_of(path.name[:2], results)
        if not cost:
            raise CourseFailed(f"{path.name} did not say what it took: its last cell must call eh.end().")
        costs[path.stem] = cost
        total = time.perf_counter() - started
        columns = (
            f"{cost['wall_s']:>10.1f}{cost['cpu_s']:>10.1f}{cost['peak_anonymous_MB']:>13.0f}{total:>12.1f}"
        )
        print(f"{path.stem:<28}{columns}", flush=True)
    course_pages.write_index(costs, pages)
    sums = [sum(cost[key] for cost in costs.values()) for key in ("wall_s", "cpu_s")]
    print(f"{'the series':<28}{sums[0]:>10.1f}{sums[1]:>10.1f}")
    return costs


def forget(results: Path, pages: Path) -> None:
    """Delete what an earlier run left; what somebody else put beside it stays."""
    notes = sorted(results.glob(f"*{refresh_handover.NOTE}"))
    names = [refresh_handover.handed_over(results, n.name.removesuffix(refresh_handover.NOTE)) for n in notes]
    remove_own(results, "*.gif", "costs/*.json", *sum(names, []), *(note.name for note in notes))
    remove_own(pages, "[0-9][0-9]_*.html", "index.html")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--handover", action="store_true", help="renew data/handover from the results")
    parser.add_argument("only", nargs="*", help="numbers of the notebooks to run; all of them by default")
    options = parser.parse_args()
    results = Path(os.environ.get("ELIT_RESULTS", BUILD / "results")).resolve()
    os.environ["ELIT_RESULTS"] = str(results)
    notebooks = series(options.only)
    if not notebooks:
        sys.exit(f"No notebook to run in {NOTEBOOKS}.")
    if not options.only:  # nothing that an earlier run left may pass for a result of this one
        forget(BUILD / "results", BUILD / "html")  # never a folder of the user's own
    try:
        run(notebooks, results, BUILD / "html")
    except CourseFailed as error:
        sys.exit(f"\n{error}\n\nThe course stopped there.")
    if options.handover:
        refresh_handover.refresh(results)
    print(f"Pages: {(BUILD / 'html' / 'index.html').relative_to(ROOT)}   results: {results}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
