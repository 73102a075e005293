"""What we wrote into a folder of the user's: a note knows it by its hashes, and all else is never touched."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

from elit_helpers.core.checks import PathLike
from elit_helpers.core.files import check_folder, made, sha256
from elit_helpers.core.interrupts import Hold, stopped_as

NOTE = ".provenance.json"
"""Ending of a note that stands beside what it is of: ``md_log.csv.provenance.json``."""

_FOREIGN, _CHANGED = "not written by this package", "changed since it was written"
_OLDER = "left by an earlier call, and not written again by this one"


@contextlib.contextmanager
def own_files(
    folder: PathLike, note: str, about: dict[str, Any], *, overwrite: bool = False, mixed: bool = False
) -> Iterator[Path]:
    """Give an empty folder to write to, and in the end put its files into `folder`, with a note.

    Of what is there, only files are replaced whose hash is the one that the last note of that name has: they
    are ours, and nobody has worked on them since. It is all or nothing.

    Parameters
    ----------
    folder
        Where to; made if it is not there.
    note
        Name of the note. It holds `about` and, as ``sha256``, the hash of each file by its name.
    about
        What the note says besides. It may be filled while the context lasts.
    overwrite
        True to replace whatever files have the names of those that are written, and nothing else.
    mixed
        Our files that this call does not write again are deleted, because they could be taken for a part of
        the new result. True where a caller chooses the names: then they are in the way.

    Raises
    ------
    FileExistsError
        If what is in the way is not ours or was changed since; nothing is written then.
    NotADirectoryError
        If the folder is a file.
    OSError
        If the disk is full or locked; the folder is then as it was.
    Stopped
        At an interrupt; the text says whether nothing was written, or all.
    """
    folder, placed = check_folder("folder", folder), False
    with (
        stopped_as(lambda _: f"stopped; {'everything' if placed else 'nothing'} was written to {folder}"),
        Hold() as interrupts,
        made(folder),
        tempfile.TemporaryDirectory(dir=folder, prefix=".elit-") as beside,
    ):
        draft, first, kept = (Path(beside, name) for name in ("new", "note", "old"))
        draft.mkdir()
        with interrupts.let_through():
            yield draft
        hashes = {name: sha256(draft / name) for name in _files(draft)}
        last = Last(folder, note)
        gone = [name for name in last.hashes if name not in hashes and (folder / name).is_file()]
        last.check(hashes, overwrite=overwrite, gone=dict.fromkeys(gone, _OLDER if mixed else ""))
        gone = [] if mixed else [name for name in gone if not last.why_not(name)]
        # The first note knows both: what a kill leaves half replaced is ours still.
        before = {name: sha256(folder / name) for name in hashes if (folder / name).is_file()}
        for path, more in ((first, {"replaced": before}), (draft / note, {})):
            text = readable(about | more | {"sha256": hashes})
            path.write_text(text + "\n", encoding="utf-8")
        new = [(first, note), *((draft / name, name) for name in hashes), (draft / note, note)]
        _swap(folder, new, gone, kept)
        placed = True


def check_own(folder: PathLike, note: str, names: Iterable[str], *, overwrite: bool = False) -> Path:
    """Return a folder, refusing it before anything is computed if `own_files` would refuse these names."""
    folder = check_folder("folder", folder)
    Last(folder, note).check(names, overwrite=overwrite)
    return folder


class Last:
    """What the last call that left a note in a folder wrote there.

    Attributes
    ----------
    hashes
        Of its files, by their names; empty where there is no note of ours.
    """

    def __init__(self, folder: Path, note: str) -> None:
        self.folder, self.note = folder, note

    @cached_property
    def content(self) -> dict[str, Any]:
        """The note; empty if there is none, or if it is not ours."""
        try:
            content = json.loads((self.folder / self.note).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        ours = isinstance(content, dict) and isinstance(content.get("sha256"), (dict, str))
        return content if ours else {}

    @cached_property
    def hashes(self) -> dict[str, str]:
        stored = self.content.get("sha256", {})
        if isinstance(stored, dict):
            return stored
        # Notes that were written before each file of a folder had its own hash: one for all that is in it.
        whole = self.folder / self.note.removesuffix(NOTE)
        if not whole.is_dir():
            return {whole.name: stored}
        files = _files(whole) if sha256(whole) == stored else []
        return {f"{whole.name}/{name}": sha256(whole / name) for name in files}

    def altered(self) -> list[str]:
        """Return which files are missing or have another hash."""
        return [n for n in self.hashes if not (self.folder / n).is_file() or self.why_not(n)]

    def why_not(self, name: str) -> str:
        """Return why what is there of that name may not be replaced; nothing if it may."""
        path = self.folder / name
        for place in _between(self.folder, path):
            if os.path.lexists(place) and not place.is_dir():
                return f"{place.name} is a file"
        if path.is_symlink():
            return "a link"
        if path.is_dir():
            return "a folder"
        if not path.exists():
            return ""
        if name == self.note:
            return "" if self.content else _FOREIGN
        known = {self.hashes.get(name), self.content.get("replaced", {}).get(name)} - {None}
        if not known:
            return _FOREIGN
        return "" if sha256(path) in known else _CHANGED

    def check(
        self, names: Iterable[str], *, overwrite: bool = False, gone: dict[str, str] | None = None
    ) -> None:
        """Refuse to write files of these names, and to take `gone` away, if that would lose something."""
        reasons: dict[str, list[str]] = {}
        for name in [self.note, *names]:
            why, path = self.why_not(name), self.folder / name
            if why and not (overwrite and (path.is_file() or path.is_symlink())):
                reasons.setdefault(why, []).append(name)
        for name, why in ({} if overwrite else gone or {}).items():
            if why := self.why_not(name) or why:
                reasons.setdefault(why, []).append(name)
        if reasons:
            words = "; ".join(f"{', '.join(found)} ({why})" for why, found in reasons.items())
            raise FileExistsError(
                f"{self.folder} holds what would be lost: {words}. Name another folder or move it away; "
                "overwrite=True (--overwrite) replaces the files of those names and nothing else."
            )


def readable(content: dict[str, Any]) -> str:
    """Return JSON with a line for each entry, and short lists on one."""
    text = json.dumps(content, indent=1, ensure_ascii=False, default=str)
    # No text of JSON holds a line break, so that nothing within quotes can be taken for a list.
    return re.sub(r"\[\n\s*([^\[\]{}]*?)\n\s*\]", lambda m: "[" + re.sub(r"\s*\n\s*", " ", m[1]) + "]", text)


def _files(folder: Path) -> list[str]:
    """Return the names of all files below a folder, with slashes."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def _between(folder: Path, path: Path) -> list[Path]:
    """Return the folders below `folder` in which a path lies, the innermost first."""
    return [place for place in path.parents if place != folder and place.is_relative_to(folder)]


def _swap(folder: Path, new: list[tuple[Path, str]], gone: list[str], kept: Path) -> None:
    """Put files into a folder and take others away, or leave all as it was."""
    names = dict.fromkeys([*gone, *(name for _, name in new)])
    for name in names:
        _keep(folder / name, kept / name)
    with contextlib.ExitStack() as folders:
        for place in {(folder / name).parent: None for name in names}:
            folders.enter_context(made(place))
        touched: dict[str, None] = {}
        try:
            for name in gone:
                touched[name] = None
                (folder / name).unlink()
            for path, name in new:
                touched[name] = None
                os.replace(path, folder / name)
        except BaseException:
            for name in touched:
                if os.path.lexists(kept / name):
                    os.replace(kept / name, folder / name)
                else:
                    (folder / name).unlink(missing_ok=True)
            raise
    for place in [place for name in gone for place in _between(folder, folder / name)]:
        with contextlib.suppress(OSError):  # something else lies in it
            place.rmdir()


def _keep(path: Path, kept: Path) -> None:
    """Keep a file under another name until all is done."""
    if os.path.lexists(path):
        kept.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(path, kept, follow_symlinks=False)
        except OSError:  # a disk that knows no hard links
            shutil.copy2(path, kept, follow_symlinks=False)
