"""Renew the copies in data/handover from the results of a run, the list of what ships and its pictures.

    python tools/refresh_handover.py [RESULTS]

Run it (or `make handover`) after any change that alters what a notebook hands over.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from elit_helpers.core.own_files import NOTE, Last

ROOT = Path(__file__).resolve().parent.parent
SHIPPED = ROOT / "data" / "handover"
MAX_FILE_MB, MAX_DATA_MB = 8, 30


def copy_results(results: Path, shipped: Path) -> list[str]:
    """Put what was handed over in `results` in the place of everything that shipped before.

    Of a folder the files that its note has, and not what else somebody put there, such as a POTCAR.

    Raises
    ------
    ValueError
        If there is nothing, if a note of provenance stands alone, or if a file is too large to ship.
    """
    notes = sorted(results.glob(f"*{NOTE}"))
    if not notes:
        raise ValueError(f"Nothing was handed over in {results}. Run the series first: make course.")
    sources = [note.with_name(note.name.removesuffix(NOTE)) for note in notes]
    for source in sources:
        if not source.exists():
            raise ValueError(f"{source.name}{NOTE} stands alone in {results}. Run the series again.")
        check_size([results / name for name in handed_over(results, source.name)], MAX_FILE_MB)
    shipped.mkdir(parents=True, exist_ok=True)
    for old in shipped.glob(f"*{NOTE}"):  # a copy that no notebook makes any more would never change again
        remove(old.with_name(old.name.removesuffix(NOTE)))
        remove(old)
    for source, note in zip(sources, notes, strict=True):
        remove(shipped / source.name)
        for name in handed_over(results, source.name):
            (shipped / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(results / name, shipped / name)
        shutil.copyfile(note, shipped / note.name)
    return [source.name for source in sources]


def handed_over(results: Path, name: str) -> list[str]:
    """Return the files of what was handed over under a name; all of them where its note does not say."""
    whole = results / name
    inside = [path for path in whole.rglob("*") if path.is_file()] if whole.is_dir() else [whole]
    return list(Last(results, name + NOTE).hashes) or [p.relative_to(results).as_posix() for p in inside]


def remove(path: Path) -> None:
    """Delete a file or a folder, if it is there."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def check_size(files: list[Path], limit_MB: float) -> None:
    """Raise a ValueError if a file is larger than what may ship."""
    for file in files:
        if file.stat().st_size > limit_MB * 1e6:
            raise ValueError(
                f"{file} has {file.stat().st_size / 1e6:.1f} MB; at most {limit_MB} MB may ship."
            )


def refresh(results: Path) -> None:
    """Copy the results, renew the manifest and draw the pictures at the heads of the notebooks."""
    copied = copy_results(results, SHIPPED)
    for script in ("data/recipes/manifest.py", "tools/draw_figures.py"):
        subprocess.run([sys.executable, ROOT / script], check=True)
    size = sum(file.stat().st_size for file in (ROOT / "data").rglob("*") if file.is_file()) / 1e6
    if size > MAX_DATA_MB:
        raise ValueError(f"data/ has {size:.1f} MB; at most {MAX_DATA_MB} MB may ship.")
    print(f"Renewed in data/handover: {', '.join(copied)}. data/ has {size:.1f} MB.")


if __name__ == "__main__":
    refresh(Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "build" / "results"))
