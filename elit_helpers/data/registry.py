"""Real frames by name: what there is and whose, fetched when asked, held to its hash.

``registry.json`` lists them. They lie in a cache folder ($ELIT_CACHE, else the one of the system), or in the
folder that $ELIT_FETCH_BASE names, which has the same layout: a cache that a teacher copied to a stick serves
a class without a network. $ELIT_FETCH_BASE may also be the address of a server with that layout.
"""

from __future__ import annotations

import datetime as dt
import functools
import itertools
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pandas as pd

from elit_helpers.core.checks import check_choice, logger, require
from elit_helpers.core.files import atomic_write, sha256
from elit_helpers.data.download import DownloadFailed, download
from elit_helpers.data.pickled import read_plain

_RECORDS = "recorded.json"
_checked: set[tuple] = set()  # copies that this process found whole: path, size and time of change


# --------------------------------------------------------------------------- the list
@dataclass(frozen=True)
class RemoteFile:
    """One file: where it lies, where its copy goes, and how the copy is known."""

    address: str
    local: str
    sha256: str | None
    n_bytes: int | None


@dataclass(frozen=True)
class Entry:
    """What a name stands for: one frame, a collection of frames, or a set of parameter files."""

    name: str
    kind: str
    shows: str
    licence: str
    citation: str
    files: tuple[RemoteFile, ...]
    image: str | None = None
    pixel_size_lattice_A: float | None = None
    pixel_size_nominal_A: float | None = None
    about_bytes: int | None = None

    @property
    def n_bytes(self) -> int | None:
        """Size of all files together [bytes], None where it is not known exactly."""
        sizes = [file.n_bytes for file in self.files]
        return None if None in sizes else sum(sizes)

    @property
    def size(self) -> str:
        """Size for people: ``"0.5 MB"``, ``"about 1.2 GB"`` or ``"size not known"``."""
        n = self.n_bytes or self.about_bytes
        if n is None:
            return "size not known"
        text = f"{n / 1e9:.1f} GB" if n >= 1e9 else f"{n / 1e6:.1f} MB"
        return text if self.n_bytes else f"about {text}"

    @property
    def facts(self) -> dict[str, Any]:
        """What goes with the picture as metadata."""
        names = ("shows", "licence", "citation", "pixel_size_lattice_A", "pixel_size_nominal_A")
        return {name: getattr(self, name) for name in names if getattr(self, name) is not None}


@functools.cache
def entries() -> dict[str, Entry]:
    """Return the list, by name."""
    table = json.loads(Path(__file__).with_name("registry.json").read_text(encoding="utf-8"))
    found = {}
    for name, row in table["entries"].items():
        source = table["sources"][row.pop("source")]
        row["citation"] = table["citations"][row["citation"]]
        parts = row.pop("files")
        folder = f"{name}/" if len(parts) > 1 else ""
        files = tuple(
            RemoteFile(
                source["address"] + part["path"] + source.get("query", ""),
                folder + part["path"].rpartition("/")[2],
                part.get("sha256"),
                part.get("bytes"),
            )
            for part in parts
        )
        found[name] = Entry(name=name, files=files, licence=source["licence"], **row)
    return found


def real_frames() -> pd.DataFrame:
    """List the real frames (and the parameter files) that `fetch` knows. Nothing is downloaded.

    Returns
    -------
    DataFrame
        ``name``; ``kind`` (``"frame"``, ``"collection"`` of frames or movies, ``"parameters"``); ``shows``;
        ``pixel_size_A`` [Å/px], measured from the lattice (NaN: not measured); ``size`` for people
        and ``bytes`` (NA: not known); ``licence``; ``citation``; ``sha256`` (of each file, or how it will be
        known); ``here``: whether a copy is on this machine; ``address``.
    """
    rows = []
    for entry in entries().values():
        hashes = [file.sha256 or _recorded(file) or "recorded at the first download" for file in entry.files]
        rows.append(
            {
                "name": entry.name, "kind": entry.kind, "shows": entry.shows,
                "pixel_size_A": entry.pixel_size_lattice_A, "size": entry.size, "bytes": entry.n_bytes,
                "licence": entry.licence, "citation": entry.citation, "sha256": " ".join(hashes),
                "here": all(_find(file) is not None for file in entry.files),
                "address": " ".join(file.address for file in entry.files),
            }
        )  # fmt: skip
    return pd.DataFrame(rows).astype({"pixel_size_A": float, "bytes": "Int64"})


# --------------------------------------------------------------------------- where copies are
def cache_dir() -> Path:
    """Return the folder for downloads: $ELIT_CACHE, else the system's place for caches."""
    set_by_user = os.environ.get("ELIT_CACHE")
    return Path(set_by_user or require("pooch", "Fetching real frames").os_cache("elit-helpers")).expanduser()


def _base() -> str | Path | None:
    """Return what $ELIT_FETCH_BASE names: a folder, the address of a server, or nothing."""
    text = os.environ.get("ELIT_FETCH_BASE", "").strip()
    if not text:
        return None
    if "://" in text:
        if urlsplit(text).scheme not in ("http", "https"):
            raise DownloadFailed(f"`ELIT_FETCH_BASE` is {text!r}; it must be a folder, http:// or https://.")
        return text.rstrip("/")
    folder = Path(text).expanduser()
    if not folder.is_dir():
        raise DownloadFailed(
            f"`ELIT_FETCH_BASE` is {text!r}, and there is no such folder. Plug in the disk, correct the "
            "path, or unset it to fetch from the original addresses."
        )
    return folder


def _places() -> list[Path]:
    """Folders where a copy may lie, the user's word first."""
    base = _base()
    return [*([base] if isinstance(base, Path) else []), cache_dir()]


def _find(file: RemoteFile) -> Path | None:
    paths = [folder / file.local for folder in _places()]
    return next((path for path in paths if path.is_file()), None)


def local_copy(name: str) -> tuple[Entry, Path]:
    """Return what `name` stands for and where its copy is, checked; nothing is downloaded.

    Raises
    ------
    FileNotFoundError
        If there is no copy on this machine.
    DownloadFailed
        If the copy is not what it should be.
    """
    entry = entries()[check_choice("name", name, tuple(entries()))]
    paths = [_find(file) for file in entry.files]
    for file, path in zip(entry.files, paths):
        if path is None:
            raise FileNotFoundError(
                f"{name!r} is not on this machine. `eh.fetch({name!r})` downloads it ({entry.size}, from "
                f"{urlsplit(file.address).netloc}); or copy {file.local} into a folder and set "
                "ELIT_FETCH_BASE to it."
            )
        _check(path, file)
    return entry, paths[0] if len(paths) == 1 else paths[0].parent


def _check(path: Path, file: RemoteFile) -> None:
    """Raise DownloadFailed if a copy is not what it should be; look at each copy once."""
    state = path.stat()
    key = (str(path), state.st_size, state.st_mtime_ns)
    if key in _checked:
        return
    expected = file.sha256 or _recorded(file)
    if expected is None:
        try:
            read_plain(path)  # without a hash it must at least be whole, and arrays in plain containers
        except ValueError as error:
            raise DownloadFailed(f"{path} is not the file it should be. {error}") from error
    elif sha256(path) != expected:
        raise DownloadFailed(
            f"{path} is not the file it should be (its SHA-256 is not {expected[:12]}…): cut short, or "
            "changed. Delete it and fetch it again, or copy it anew from where it came."
        )
    _checked.add(key)


# --------------------------------------------------------------------------- hashes that were not known
def _records(folder: Path) -> dict[str, dict]:
    path = folder / _RECORDS
    try:
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except ValueError as error:
        raise DownloadFailed(f"{path} cannot be read ({error}). Delete it and fetch again.") from error


def _recorded(file: RemoteFile) -> str | None:
    """SHA-256 from an earlier download, kept here or beside the teacher's copies."""
    if file.sha256 is not None:
        return None
    found = [_records(folder).get(file.local) for folder in reversed(_places())]
    return next((record["sha256"] for record in found if record), None)


def _record(file: RemoteFile, path: Path, address: str) -> None:
    digest, records = sha256(path), _records(cache_dir())
    now = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    records[file.local] = {"sha256": digest, "bytes": path.stat().st_size, "from": address, "date": now}
    with atomic_write(cache_dir() / _RECORDS) as target:
        target.write_text(json.dumps(records, indent=1) + "\n", encoding="utf-8")
    logger.warning(
        "%s: its SHA-256 was not known; %s is recorded now in %s, and later downloads are held to it.",
        file.local, digest, cache_dir() / _RECORDS,
    )  # fmt: skip


# --------------------------------------------------------------------------- fetching
def fetch(name: str, *, progress: bool = False) -> Path:
    """Return the path of a real frame (or parameter set), downloading it if it is not on this machine.

    Parameters
    ----------
    name
        One of `real_frames()`.
    progress
        True to show a bar.

    Returns
    -------
    Path
        The file, checked against its hash; for a set of several files, their folder. With $ELIT_FETCH_BASE
        set to a folder nothing is downloaded and its copy is used where it is.

    Raises
    ------
    DownloadFailed
        If there is no network, no such file, no space, or the content is not what it should be. No broken
        file is left in the cache.
    """
    entry = entries()[check_choice("name", name, tuple(entries()))]
    paths = [_fetch_file(entry, file, progress) for file in entry.files]
    return paths[0] if len(paths) == 1 else paths[0].parent


def _fetch_file(entry: Entry, file: RemoteFile, progress: bool) -> Path:
    base, path = _base(), _find(file)
    address = f"{base}/{quote(file.local)}" if isinstance(base, str) else file.address
    if path is not None:
        try:
            _check(path, file)
        except DownloadFailed:
            if isinstance(base, Path):
                raise
            aside = _aside(path)
            logger.warning("%s is not whole any more and is fetched anew; it is %s now.", path, aside.name)
            path.replace(aside)
            path = None
    if isinstance(base, Path):
        if path is None:
            raise DownloadFailed(
                f"{file.local} is not in {base}, and nothing is downloaded while `ELIT_FETCH_BASE` is a "
                f"folder. Copy it there ({entry.size}, from {file.address}), or unset ELIT_FETCH_BASE."
            )
        return path
    known = file.sha256 or _recorded(file)
    if path is None:
        path, needed = cache_dir() / file.local, file.n_bytes or entry.about_bytes or 0
        download(
            entry.name, address, path, expected=known, needed=needed, check=read_plain, progress=progress
        )  # fmt: skip
    if known is None:
        _record(file, path, address)
    return path


def _aside(path: Path) -> Path:
    """Return a free name beside a file that is not what was fetched: it may be somebody's own."""
    names = (path.with_name(f"{path.name}.set-aside-{number}") for number in itertools.count(1))
    return next(name for name in names if not name.exists())
