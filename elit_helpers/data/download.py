"""One file from a server, whole or not at all; each way to fail is said in one sentence, with what to do."""

from __future__ import annotations

import contextlib
import errno
import logging
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from elit_helpers.core import checks
from elit_helpers.core.checks import ElitError, require
from elit_helpers.core.files import atomic_write

_TIMEOUT_S = 30.0
_DEAD_S = 600.0
_WHY = "Fetching real frames"
_OFFLINE = "Without a network, set ELIT_FETCH_BASE to a folder that holds copies."
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class DownloadFailed(ElitError):
    """A file could not be fetched or is not what it should be; the text says why and what to do next."""


def download(
    name: str,
    address: str,
    target: Path,
    *,
    expected: str | None,
    needed: int,
    check: Callable[[Path], Any],
    progress: bool,
) -> None:
    """Download to a place beside `target`, check, and only then put the file there.

    Parameters
    ----------
    name
        What is fetched, for the bar and for errors.
    address, target
        From where, to where. Folders are made.
    expected
        SHA-256, or None where it is not known.
    needed
        Bytes to expect; 0 if not known.
    check
        Called with the path of the file before it is put in place, if there is no hash; raises ValueError.
    progress
        True to show a bar.

    Raises
    ------
    DownloadFailed
        If the file could not be fetched. `target` is then as it was before, and nothing lies beside it.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _sweep(target)
        _have_room(target.parent, needed)
        pooch = require("pooch", _WHY)
        bar = checks.progress(total=needed or 1, desc=name, enabled=progress)  # pooch sets the real total
        bar.unit, bar.unit_scale = "B", True
        with contextlib.ExitStack() as at_the_end:

            def close_at_the_end(answer: Any, **_settings: Any) -> None:  # pooch leaves it open
                at_the_end.callback(answer.close)

            at_the_end.enter_context(contextlib.closing(bar))
            at_the_end.enter_context(_quiet(pooch))
            part = at_the_end.enter_context(atomic_write(target))
            settings = {"timeout": _TIMEOUT_S, "hooks": {"response": close_at_the_end}}
            downloader = pooch.HTTPDownloader(bar if progress else False, chunk_size=1 << 16, **settings)
            pooch.retrieve(address, expected, fname=part.name, path=part.parent, downloader=downloader)
            if expected is None:
                check(part)
    except (OSError, ValueError) as error:  # those of requests are OSErrors, pooch's wrong hash a ValueError
        raise DownloadFailed(
            f"{name} was not fetched: {_reason(error, address, target.parent)} Nothing was left behind."
        ) from error


def _sweep(target: Path) -> None:
    """Remove what killed downloads of this file left; one that still goes touches its own all the time."""
    for folder in target.parent.glob(f".{target.name}-*"):
        with contextlib.suppress(FileNotFoundError):  # the other one came to its end just now
            last = max(path.stat().st_mtime for path in [folder, *folder.iterdir()])
            if time.time() - last > _DEAD_S:
                shutil.rmtree(folder, ignore_errors=True)


def _have_room(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < 1.05 * needed:
        raise OSError(errno.ENOSPC, f"{needed / 1e6:.1f} MB are needed, {free / 1e6:.1f} MB are free")


@contextlib.contextmanager
def _quiet(pooch: Any) -> Iterator[None]:
    """Pooch writes to the screen by itself; what matters is said here."""
    its_logger = pooch.get_logger()
    level = its_logger.level
    its_logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        its_logger.setLevel(level)


def _reason(error: Exception, address: str, folder: Path) -> str:
    """Say what went wrong, and what to do."""
    requests = require("requests.exceptions", _WHY)
    if isinstance(error, requests.RequestException):
        return _network_reason(error, address, requests)
    if isinstance(error, ValueError):
        what = "" if "does not match" in str(error) else f" ({error})"
        return (
            f"what {address} gave is not the file it should be{what}: a log-in page, a damaged or a replaced "
            "file. Look at the address in a browser, and update elit-helpers if the file was replaced."
        )
    if isinstance(error, OSError) and error.errno in _FULL:
        return f"the disk of {folder} is full ({error}). Make room, or set ELIT_CACHE to another folder."
    return f"{folder} cannot be written ({error}). Set ELIT_CACHE to a folder of yours."


def _network_reason(error: Exception, address: str, requests: Any) -> str:
    host = urlsplit(address).netloc
    if isinstance(error, requests.HTTPError):
        return (
            f"{address} answers {error.response.status_code} ({error.response.reason}). It may have moved, "
            f"or be closed for now: look at it in a browser. {_OFFLINE}"
        )
    if isinstance(error, requests.Timeout) or "timed out" in str(error):
        return f"{host} gave no answer for {_TIMEOUT_S:g} s. Try again later. {_OFFLINE}"
    if isinstance(error, (requests.ChunkedEncodingError, requests.ContentDecodingError)):
        return f"the connection to {host} broke off in the middle. Try again. {_OFFLINE}"
    if isinstance(error, requests.ConnectionError):
        return f"{host} cannot be reached. Is there a network? {_OFFLINE}"
    return f"{address} cannot be fetched ({error}). Is ELIT_FETCH_BASE right?"
