"""Executed notebooks as pages: all that a reader sees in JupyterLab, with no kernel, script or network.

Nothing here parses the HTML that the texts of a notebook bring along: parsers close what they think was left
open, and with it every folded answer and every subscript.
"""

from __future__ import annotations

import base64
import copy
import html
import mimetypes
import os
import re
from pathlib import Path

import latex2mathml.converter
import nbformat
from nbconvert import HTMLExporter
from traitlets.config import Config

# Code is passed over, because a dollar means something else there.
FORMULA = re.compile(r"(```.*?```|`[^`\n]*`)|\$\$(.+?)\$\$|\$(?!\s)([^$\n]+?)(?<!\s)\$", re.DOTALL)
PLACEHOLDER = "(formula-{}-goes-here)"
PAGE_LINK = re.compile(r"\]\(([0-9]{2}_\w+)\.ipynb")
PICTURE = re.compile(r'(<img\b[^>]*?\bsrc=")(?!data:|https?:)([^"]+)"')
WIDGET = "application/vnd.jupyter.widget-view+json"
STATES = "application/vnd.jupyter.widget-state+json"
STYLE = """<style>
/* A line of code too long for the page goes on below, where JupyterLab would let it be scrolled. */
.jp-InputArea-editor .highlight pre { white-space: pre-wrap; overflow-wrap: anywhere }
</style>
</head>"""
PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>The course, executed</title>
<style>body {{ font: 16px/1.5 sans-serif; max-width: 46em; margin: 2em auto; padding: 0 1em }}
td, th {{ padding: .2em 1em .2em 0; text-align: right }}
td:first-child, th:first-child {{ text-align: left }}</style>
</head><body><h1>The course, executed</h1><p>Run mode: {mode}.</p>
<table><tr><th>notebook</th><th>wall [s]</th><th>processor [s]</th><th>memory [MB]</th></tr>
{rows}
</table></body></html>
"""


def take_out_formulas(text: str, formulas: list[str]) -> str:
    """Return Markdown with a placeholder for each formula; its MathML is appended to `formulas`.

    Browsers draw MathML by themselves, with no network. It is put in at the very end, because the converter
    to HTML does not know its tags and breaks them.
    """

    def replace(found: re.Match) -> str:
        code, block, inline = found.groups()
        if code is not None:
            return code
        display = "inline" if block is None else "block"
        formulas.append(latex2mathml.converter.convert(block or inline, display=display))
        return PLACEHOLDER.format(len(formulas) - 1)

    return FORMULA.sub(replace, text)


def last_line_of_bar(output: nbformat.NotebookNode, states: dict) -> str | None:
    """Return what a progress bar said in the end; None for any other output.

    The text that a bar leaves in a notebook is the one it began with; what became of it is in its widget.
    """
    shown = output.get("data", {}).get(WIDGET)
    boxed = states.get(shown["model_id"], {}).get("state", {}).get("children") if shown else None
    parts = [states.get(child.removeprefix("IPY_MODEL_"), {}) for child in boxed or []]
    if [part.get("model_name") for part in parts] != ["HTMLModel", "FloatProgressModel", "HTMLModel"]:
        return None
    # A bar pads its numbers with spaces as wide as a figure, which str.split() knows.
    return " ".join(html.unescape(f"{parts[0]['state']['value']} {parts[2]['state']['value']}").split())


def embed_pictures(page: str, folder: Path) -> str:
    """Return a page with the pictures that lie beside the notebooks put into it."""

    def embedded(found: re.Match) -> str:
        path = folder / found[2]
        kind = mimetypes.guess_type(path.name)[0]
        return f'{found[1]}data:{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"'

    return PICTURE.sub(embedded, page)


def write_page(notebook: nbformat.NotebookNode, folder: Path, path: Path) -> None:
    """Write an executed notebook as a page; its pictures are looked for in `folder`."""
    config = Config()
    # A widget is a picture here: its PNG comes before the live view, which needs a kernel or a CDN.
    config.NbConvertBase.display_data_priority = [
        "text/html",
        "image/svg+xml",
        "image/png",
        "image/jpeg",
        "text/markdown",
        "text/latex",
        "text/plain",
    ]
    page, formulas = copy.deepcopy(notebook), []
    states = page.metadata.pop("widgets", {}).get(STATES, {}).get("state", {})
    for cell in page.cells:
        if cell.cell_type == "markdown":
            cell.source = PAGE_LINK.sub(r"](\1.html", take_out_formulas(cell.source, formulas))
        for output in cell.get("outputs", []):
            if (said := last_line_of_bar(output, states)) is not None:
                output.data = {"text/plain": said}
    resources = {"metadata": {"name": path.stem, "path": str(folder)}}
    body, _ = HTMLExporter(config=config).from_notebook_node(page, resources=resources)
    body = embed_pictures(body.replace("</head>", STYLE, 1), folder)
    for i, formula in enumerate(formulas):
        body = body.replace(PLACEHOLDER.format(i), formula)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(body, encoding="utf-8")


def write_index(costs: dict[str, dict], folder: Path) -> None:
    """Write the page that links to the executed notebooks."""
    rows = "\n".join(
        f'<tr><td><a href="{html.escape(name)}.html">{html.escape(name)}</a></td>'
        f"<td>{cost['wall_s']:.0f}</td><td>{cost['cpu_s']:.0f}</td><td>{cost['peak_anonymous_MB']:.0f}</td></tr>"
        for name, cost in costs.items()
    )
    mode = os.environ.get("ELIT_RUN", "class")
    (folder / "index.html").write_text(PAGE.format(mode=mode, rows=rows), encoding="utf-8")
