"""The pages that `make course` leaves: they show what a reader of the notebook sees."""

import re

import course_pages
import nbformat
import pages
import pytest
from notebook_files import FOLDER, NOTEBOOKS, execute, markdown, read

CELL = nbformat.v4.new_code_cell
TEXT = nbformat.v4.new_markdown_cell


def page_of(folder, *cells):
    """Write a page of cells as they are, and return what it holds."""
    course_pages.write_page(nbformat.v4.new_notebook(cells=list(cells)), FOLDER, folder / "page.html")
    return (folder / "page.html").read_text()


@pytest.fixture(scope="module", params=NOTEBOOKS, ids=lambda path: path.stem)
def notebook_and_page(request, tmp_path_factory):
    """A notebook and the page of it, as it comes, without outputs."""
    target = tmp_path_factory.mktemp("pages") / "page.html"
    course_pages.write_page(read(request.param), FOLDER, target)
    return request.param, target.read_text()


def test_a_page_shows_nothing_broken(notebook_and_page):
    assert not pages.faults(notebook_and_page[1])


def test_hints_solutions_and_answers_stay_folded_with_all_that_they_hold(notebook_and_page):
    path, page = notebook_and_page
    assert len(pages.folded(page)) == markdown(path).count("<details>")
    assert all(pages.folded(page))


def test_subscripts_stay(notebook_and_page):
    path, page = notebook_and_page
    written = re.findall(r"<sub>(.+?)</sub>", re.sub(r"`[^`\n]*`", "", markdown(path)))
    assert re.findall(r"<sub>(.+?)</sub>", page) == written


def test_a_widget_becomes_the_picture_of_it(tmp_path):
    view = {"application/vnd.jupyter.widget-view+json": {"model_id": "x"}, "text/html": "<img alt=seen>"}
    shown = nbformat.v4.new_output("display_data", data=view)
    assert re.search(r'<img alt="?seen"?/?>', page_of(tmp_path, CELL("explore()", outputs=[shown])))


@pytest.mark.slow
def test_a_progress_bar_shows_where_it_ended(tmp_path):
    bar = "progress(range(7), desc='seven', enabled=True)"
    cell = CELL(f"from elit_helpers.core.checks import progress\nfor i in {bar}: pass")
    path = tmp_path / "bar.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), path)
    course_pages.write_page(execute(path), FOLDER, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert re.search(r"seven: 100% 7/7 \[", page)
    assert not pages.faults(page)


def test_formulas_are_drawn_by_the_browser_and_code_is_left_alone(tmp_path):
    page = page_of(
        tmp_path, TEXT("costs $a^2$ or `$HOME`\n\n$$\\frac{1}{2}$$\n\n[next](04_molecular_dynamics.ipynb)")
    )
    assert page.count("<math") == 2
    assert "<mfrac><mrow><mn>1</mn></mrow>" in page
    assert "$HOME" in page
    assert 'href="04_molecular_dynamics.html"' in page


def test_a_picture_beside_the_notebooks_lies_in_the_page(tmp_path):
    drawing = next(FOLDER.glob("figures/*.png"))
    page = page_of(tmp_path, TEXT(f"![what is seen](figures/{drawing.name})"))
    assert 'src="data:image/png;base64,' in page
    assert not pages.faults(page)


def test_a_long_line_of_code_goes_on_below(tmp_path):
    assert re.search(
        r"\.highlight pre \{ white-space: pre-wrap", page_of(tmp_path, CELL("x = 1  # " + "long " * 60))
    )


def test_the_index_links_to_every_page(tmp_path):
    cost = {"wall_s": 12.3, "cpu_s": 20.1, "peak_anonymous_MB": 456}
    course_pages.write_index({"03_image_to_structure": cost}, tmp_path)
    page = (tmp_path / "index.html").read_text()
    assert 'href="03_image_to_structure.html"' in page
    assert "456" in page
