"""Renew the copies in data/handover from the results of a run, and the list of what ships.

    python tools/refresh_handover.py [RESULTS]

Run it (or `make handover`) after any change that alters what a notebook hands over.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SHIPPED = ROOT / "data" / "handover"
MAX_FILE_MB, MAX_DATA_MB = 8, 30
NAMES = (
    "training_set.npz",
    "ensemble",
    "atoms_found.csv",
    "structure.extxyz",
    "patch_*.extxyz",
    "POSCAR",
    "structure.lmp",
    "md.extxyz",
    "md_log.csv",
    "quantum.extxyz",
    "quantum_log.csv",
    "bonds.csv",
)


def copy_results(results: Path, shipped: Path) -> list[str]:
    """Replace the shipped copies by those of `results` that are there, each with its note of provenance.

    Raises
    ------
    ValueError
        If a file has no note of provenance beside it, or is too large to ship.
    """
    shipped.mkdir(parents=True, exist_ok=True)
    copied = []
    for source in (path for name in NAMES for path in sorted(results.glob(name))):
        note = source.with_name(source.name + ".provenance.json")
        if not note.is_file():
            raise ValueError(f"{source} has no {note.name} beside it: write it with eh.hand_over().")
        check_size(source, MAX_FILE_MB)
        target = shipped / source.name
        if source.is_dir():
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(source, target)
        else:
            shutil.copyfile(source, target)
        shutil.copyfile(note, shipped / note.name)
        copied.append(source.name)
    return copied


def check_size(path: Path, limit_MB: float) -> None:
    """Raise a ValueError if a file, or a file of a folder, is larger than what may ship."""
    for file in path.rglob("*") if path.is_dir() else [path]:
        if file.stat().st_size > limit_MB * 1e6:
            raise ValueError(
                f"{file} has {file.stat().st_size / 1e6:.1f} MB; at most {limit_MB} MB may ship."
            )


def refresh(results: Path) -> None:
    """Copy the results and renew the manifest."""
    copied = copy_results(results, SHIPPED)
    subprocess.run([sys.executable, ROOT / "data" / "recipes" / "manifest.py"], check=True)
    size = sum(file.stat().st_size for file in (ROOT / "data").rglob("*") if file.is_file()) / 1e6
    if size > MAX_DATA_MB:
        raise ValueError(f"data/ has {size:.1f} MB; at most {MAX_DATA_MB} MB may ship.")
    print(f"Renewed in data/handover: {', '.join(copied)}. data/ has {size:.1f} MB.")


if __name__ == "__main__":
    refresh(Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "build" / "results"))
