"""Run the scripts of benchmarks/, print their tables, and write them to a page of the docs.

    python tools/run_benchmarks.py [NAME ...] [--quick] [--write PAGE]

A benchmark is a module with a `main(quick)` that returns tables by title; names that begin with an underscore
are what they share. With --write the sections of the benchmarks that ran replace those on the page, and those
that did not run stay as they were, each with its own date. --quick only tries that everything runs: its
numbers mean nothing, and are not written.
"""

from __future__ import annotations

import argparse
import datetime as dt
import importlib
import inspect
import os
import platform
import re
import sys
import time
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "benchmarks"
HEAD = """# Benchmarks

Written by `make bench`; do not edit. Each number was computed in the run that its section names, from the
code and the data of this repository. Wanted figures are for two cores.
"""
SECTION = re.compile(r"^## (\w+)$", re.MULTILINE)


def known() -> list[str]:
    """Return the names of the benchmarks."""
    return sorted(path.stem for path in FOLDER.glob("[a-z]*.py"))


def run(name: str, *, quick: bool = False) -> tuple[str, dict, float]:
    """Run one benchmark and print its tables.

    Returns
    -------
    str, dict, float
        First line of its description, tables by title, seconds.
    """
    print(f"== {name} ==", flush=True)
    started, module = time.perf_counter(), importlib.import_module(name)
    options = {"quick": quick} if "quick" in inspect.signature(module.main).parameters else {}
    tables = module.main(**options)
    importlib.import_module("_report").show(tables)
    seconds = time.perf_counter() - started
    print(f"({seconds:.0f} s)\n", flush=True)
    return module.__doc__.splitlines()[0], tables, seconds


def machine() -> str:
    """Return what the numbers were computed with: processors and versions, nothing that names the machine."""
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    torch = sys.modules.get("torch")  # loaded by what was measured, if that needed it
    gpu = " and a GPU" if torch is not None and torch.cuda.is_available() else ""
    versions = f"Python {platform.python_version()}, torch {version('torch')}, NumPy {version('numpy')}"
    return f"{processors} processors{gpu}, {versions}"


def section(name: str, about: str, tables: dict, seconds: float, where: str) -> str:
    """Return one benchmark as a section of the page."""
    report = importlib.import_module("_report")
    day = dt.datetime.now(dt.UTC).date().isoformat()
    parts = [f"## {name}", about, f"Run on {day} in {seconds:.0f} s: {where}."]
    if not tables:
        parts.append("Nothing could be measured here.")
    for title, table in tables.items():
        parts += [f"**{title}**", report.markdown(table)]
    return "\n\n".join(parts) + "\n"


def renewed(page: str, sections: dict[str, str]) -> str:
    """Return the page with these sections in the place of older ones; benchmarks that are gone go, too."""
    pieces = SECTION.split(page)
    old = {name: f"## {name}{text}".rstrip() + "\n" for name, text in zip(pieces[1::2], pieces[2::2])}
    kept = {name: text for name, text in (old | sections).items() if name in known()}
    return "\n".join([HEAD, *(kept[name] for name in sorted(kept))])


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(known())}; all if none")
    parser.add_argument("--quick", action="store_true", help="only try that everything runs")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="Markdown page to write the tables to")
    chosen = parser.parse_args(arguments)
    if unknown := sorted(set(chosen.names) - set(known())):
        parser.error(f"there is no benchmark {', '.join(unknown)}; there are {', '.join(known())}")
    if chosen.quick and chosen.write:
        parser.error("the numbers of --quick mean nothing; leave --write out")
    sys.path.insert(0, str(FOLDER))
    for name in chosen.names or known():
        about, tables, seconds = run(name, quick=chosen.quick)
        if chosen.write:  # after each, so that a run that is cut off leaves what it has
            page = chosen.write.read_text() if chosen.write.is_file() else ""
            text = section(name, about, tables, seconds, machine())
            chosen.write.write_text(renewed(page, {name: text}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
