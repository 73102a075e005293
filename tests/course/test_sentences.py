"""The reader that compares the numbers of a text with what the cells show finds what was changed by hand."""

import nbformat
import pytest
import sentences
from notebook_files import NOTEBOOKS, read


def notebook(
    text, code="x = 0.5", shown="mean 1.4192 Å, 97 atoms, share 0.984, 12,345 steps", title="Step 1 · A step"
):
    """A notebook of one section: a text, then a cell and what it shows."""
    output = nbformat.v4.new_output("stream", text=shown)
    cells = [
        nbformat.v4.new_markdown_cell(f"## {title}\n\n{text}"),
        nbformat.v4.new_code_cell(code, outputs=[output]),
    ]
    return nbformat.v4.new_notebook(cells=cells)


@pytest.mark.parametrize(
    "text",
    [
        "The mean bond is 1.419 Å.",
        "About 1.4 Å.",
        "98 % of them are kept; **97** atoms.",
        "It took 12,345 steps from x = 0.5.",
        "See Step 7 and notebook 05, and the ring 5-7-7-5.",
        "`eh.relax(atoms, steps=400)` and $a = 2.46$ are no results.",
        "<details><summary>An answer</summary>\n\nIt would be 77.7 K.\n\n</details>",
    ],
)
def test_a_number_that_is_shown_or_set_or_no_result_is_accepted(text):
    assert sentences.without_support(notebook(text)) == []


@pytest.mark.parametrize(
    "text", ["The mean bond is 1.429 Å.", "**96** atoms", "97.4 % of them", "12,354 steps"]
)
def test_a_number_that_no_cell_shows_is_found(text):
    (found,) = sentences.without_support(notebook(text))
    assert found.written in text
    assert found.section == "Step 1 · A step"


def test_a_number_of_another_section_is_no_support():
    both = nbformat.v4.new_notebook(cells=notebook("One.").cells + notebook("It was 97.", shown="none").cells)
    assert [s.written for s in sentences.without_support(both)] == ["97"]


def test_a_summary_speaks_of_the_whole_notebook():
    end = notebook("It was 97.", shown="none", title="Summary").cells
    assert not sentences.without_support(nbformat.v4.new_notebook(cells=notebook("One.").cells + end))


def test_a_number_that_is_known_needs_its_unit_and_has_a_source():
    assert not sentences.without_support(notebook("A bond of graphene is 1.42 Å.", shown=""))
    assert sentences.without_support(notebook("A bond of graphene is 1.42 nm.", shown=""))
    assert all(len(source) > 10 for source in sentences.known_numbers().values())


def test_a_check_that_says_its_bad_word_is_found():
    asked = notebook(
        "**Check**", code='"held" if good else f"not there yet, {t} K"', shown="not there yet, 300 K"
    )
    assert sentences.bad_words(asked) == ["not there yet, "]
    asked.cells[1].outputs[0].text = "held"
    assert sentences.bad_words(asked) == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_notebook_has_checks_that_can_say_a_bad_word(path):
    assert sum(bool(bad) for _, bad in sentences.checks(read(path))) >= 2
