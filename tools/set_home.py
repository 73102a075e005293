"""Say where the project is published, everywhere at once.

    python tools/set_home.py https://github.com/OWNER/NAME

Rewrites the one setting (HOME in elit_helpers/core/checks.py) and every place that cannot read it: the
badges and set-up cells of the notebooks, the README, the metadata of the package, the citation.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SETTING = ROOT / "elit_helpers" / "core" / "checks.py"
PLACES = (
    "README.md",
    "CHANGELOG.md",
    "CITATION.cff",
    "CONTRIBUTING.md",
    "pyproject.toml",
    "notebooks/_setup_cell.txt",
    "notebooks/*.ipynb",
    "docs/**/*.md",
)
ADDRESS = re.compile(r"https://github\.com/([\w.-]+)/([\w.-]+)")


def home() -> str:
    """Return the address that the package holds."""
    return re.search(r'^HOME = "([^"]+)"', SETTING.read_text(encoding="utf-8"), re.MULTILINE).group(1)


def move(text: str, old: str, new: str) -> str:
    """Return `text` with the address `new` for `old`, in links, badges (owner/name) and folder names."""
    old_owner, old_name = ADDRESS.fullmatch(old).groups()
    new_owner, new_name = ADDRESS.fullmatch(new).groups()
    text = text.replace(f"{old_owner}/{old_name}", f"{new_owner}/{new_name}")
    # The set-up cell clones into a folder of the project's name.
    return text.replace(f"./{old_name}", f"./{new_name}").replace(f'"{old_name}/data"', f'"{new_name}/data"')


def main(new: str) -> None:
    if not ADDRESS.fullmatch(new):
        sys.exit(f"{new!r} is not an address like https://github.com/OWNER/NAME.")
    old = home()
    for path in [SETTING, *(path for place in PLACES for path in sorted(ROOT.glob(place)))]:
        text = path.read_text(encoding="utf-8")
        moved = move(text, old, new)
        # In the JSON of a notebook the quotation marks of a cell are escaped.
        old_name, new_name = old.rsplit("/", 1)[1], new.rsplit("/", 1)[1]
        moved = moved.replace(f'\\"{old_name}/data\\"', f'\\"{new_name}/data\\"')
        if moved != text:
            path.write_text(moved, encoding="utf-8")
            print(path.relative_to(ROOT))


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) == 2 else sys.exit(__doc__))
