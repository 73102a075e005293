"""The sentences of an executed notebook beside what its cells show: does each number stand there?

A number in a text must be shown or set by a code cell of the same section (from one heading to the next; of
the whole notebook for its opening and its summary), or be a number that needs no run and is listed with its
source in ``tests/course/known_numbers.toml``.
"""

import ast
import re
import tomllib
from dataclasses import dataclass, replace

from notebook_files import plain
from places import ROOT

KNOWN = ROOT / "tests" / "course" / "known_numbers.toml"
NUMBER = re.compile(r"(?<![\w.,/])[-−]?\d+(?:[,\u202f ]\d{3})*(?:\.\d+)?(?![\w/]|\.\d)")
# What is no statement of a result: code, formulas, links, tags, pictures, references to steps and to issues.
# What is no statement of a result: code, formulas, links, tags, tables, folded answers, names of notebooks,
# of steps, of exercises and of rings, and the lines that say how long it takes and what comes next.
NO_STATEMENT = re.compile(
    r"""```.*?```|`[^`\n]*`|<details>.*?</details>|<[^>]+>|\$\$.*?\$\$|\$[^$\n]+\$
    |!\[[^\]]*\]\([^)]*\)|\]\([^)]*\)|^\#+\ [^\n]*|^\s*(?:>\s*)?\d+\.\ |^\|[^\n]*
    |^\*\*(?:Time|Data|Next|Credits|Handed\ over)\b[^\n]*
    |\b[Ss]teps?\ \d+(?:(?:,|\ and|\ to|–)\ ?\d+)*|\b0\d(?:\.\d)?\b|\bAlgorithm\ 1\b|\b\d+(?:-\d+)+\b""",
    flags=re.DOTALL | re.MULTILINE | re.VERBOSE,
)
PASSED_OVER = ("Exercise", "References")  # judges test the first; the last are titles and years
ABOUT_ALL = ("", "The idea", "Summary")  # sections that speak of the whole notebook


@dataclass(frozen=True)
class Statement:
    """A number in a text: its section, how it is written, the words round it."""

    section: str
    written: str
    words: str

    @property
    def value(self) -> float:
        return abs(float(re.sub(r"[,\u202f −-]", "", self.written)))

    @property
    def half_a_digit(self) -> float:
        decimals = len(self.written.partition(".")[2])
        return 0.5 * 10**-decimals * (1 + 1e-6)

    def holds(self, values) -> bool:
        """Whether one of the values is this number, rounded as it is written, or as a share in percent."""
        return any(abs(self.value - s * v) <= self.half_a_digit for v in values for s in (1, 100))


def sections(notebook):
    """Return the title of each section with its texts, its code and what its cells show."""
    found = [["", [], [], []]]
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            for text in re.split(r"^(?=##? )", cell.source, flags=re.MULTILINE):
                if title := re.match(r"##? (.+)", text):
                    found.append([title[1], [], [], []])
                found[-1][1].append(text)
        elif cell.cell_type == "code":
            found[-1][2].append(cell.source)
            found[-1][3].append(shown(cell))
    return found


def shown(cell):
    """Return all that a cell shows as text; of a picture its description."""
    texts = []
    for output in cell.get("outputs", []):
        texts.append(output.get("text", ""))
        data = output.get("data", {})
        texts += [data.get("text/plain", ""), re.sub(r"<[^>]+>", " ", data.get("text/html", ""))]
    return "\n".join(texts)


def values(text):
    """Return the absolute values of all numbers in a text."""
    loose = re.compile(r"\d+(?:,\d{3})*(?:\.\d+)?(?:[eE][-+]?\d+)?")
    return {float(found.replace(",", "")) for found in loose.findall(text)}


def statements(notebook):
    """Return the numbers that a notebook's texts state, each with the values of what it speaks of."""
    parts = sections(notebook)
    everywhere = values("\n".join(line for _, _, code, outputs in parts for line in code + outputs))
    for title, texts, code, outputs in parts:
        if title.startswith(PASSED_OVER):
            continue
        about_all = title in ABOUT_ALL or re.match(r"\d\d ·", title)
        there = everywhere if about_all else values("\n".join(code + outputs))
        for text in texts:
            said = NO_STATEMENT.sub(" ", re.split(r"^\*\*References", text, flags=re.MULTILINE)[0])
            for found in NUMBER.finditer(said):
                words = " ".join(said[max(0, found.start() - 60) : found.end() + 30].split())
                yield Statement(title, found.group(), words), there


def known_numbers():
    """Return the numbers that need no run, each with its source, by how they are written with their unit."""
    return tomllib.loads(KNOWN.read_text())


def without_support(notebook):
    """Return the statements whose number no cell of their section shows and no source knows."""
    known = [re.compile(rf"(?<![\d.]){re.escape(text)}(?!\d)") for text in known_numbers()]
    return [
        statement
        for statement, there in statements(notebook)
        if not statement.holds(there) and not any(k.search(statement.words) for k in known)
    ]


def checks(notebook):
    """Return the code cells that stand below a **Check**, with the good and the bad words of each."""
    asked = False
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            asked = "**Check" in cell.source
        elif asked:
            choices = [
                node for node in ast.walk(ast.parse(plain(cell.source))) if isinstance(node, ast.IfExp)
            ]
            yield cell, [word for choice in choices for word in words(choice.orelse)]
            asked = False


def words(node):
    """Return the texts that an expression may show, without those inside another choice."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [node.value]
    if isinstance(node, ast.JoinedStr):
        parts = [part.value for part in node.values if isinstance(part, ast.Constant)]
        return [max(parts, key=len)] if parts else []
    return []


def bad_words(notebook):
    """Return what the checks of an executed notebook say that they must not say."""
    return [word for cell, bad in checks(notebook) for word in bad if word.strip() and word in shown(cell)]


def changed_by_hand(notebook, by=1.1):
    """Return the statements of several digits, each with another number, and the values it speaks of."""
    for statement, there in statements(notebook):
        decimals = len(statement.written.partition(".")[2])
        if len(re.sub(r"\D", "", statement.written).lstrip("0")) > 1 and statement.holds(there):
            wrong = statement.value * by + 2 * statement.half_a_digit
            yield replace(statement, written=f"{wrong:.{decimals}f}"), there
