"""A notebook's begin and end, the files it hands over with their provenance, and what it cost."""

from __future__ import annotations

import ctypes
import json
import os
import platform
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from elit_helpers.core.checks import check_path, logger
from elit_helpers.core.files import atomic_write, provenance, versions
from elit_helpers.core.own_files import NOTE, Last, own_files
from elit_helpers.core.settings import data_dir, results_dir, run_mode, threads


# --------------------------------------------------------------------------- hand-over files
@dataclass(frozen=True)
class Handover:
    """A file that one notebook left for the next: its path, where it came from, and its provenance."""

    path: Path
    origin: str
    provenance: dict

    def __fspath__(self) -> str:
        return str(self.path)

    def __str__(self) -> str:
        made_by = self.provenance.get("made_by", "unknown")
        when = str(self.provenance.get("created", ""))[:10]
        mode = self.provenance.get("run_mode", "?")
        return f"{self.path.name}: {self.origin}, made by {made_by} in {mode} mode on {when}"

    __repr__ = __str__


def take(name: str, *, shipped: bool = False) -> Handover:
    """Return the hand-over file `name`: the one in the results folder, else the copy that ships.

    Parameters
    ----------
    name
        Such as ``"atoms_found.csv"`` or, for a folder, ``"ensemble"``.
    shipped
        True to pass over the results folder (the demo mode does, to load what takes long to make).

    Raises
    ------
    FileNotFoundError
        If it is in neither place.
    ValueError
        If a copy does not match the hashes written beside it. Files of your own in a folder do not matter.
    """
    name = _plain(name)
    places = [("your results", results_dir()), ("shipped copy", data_dir() / "handover")][
        1 if shipped else 0 :
    ]
    for origin, folder in places:
        path = folder / name
        if path.exists():
            last = Last(folder, name + NOTE)
            if altered := last.altered():
                raise ValueError(
                    f"{folder}: {', '.join(altered)} was changed after it was written (its hash differs from "
                    f"{last.note}). Move it away and run the notebook that makes it again, or delete both to "
                    "use the shipped copy."
                )
            return Handover(path, origin, last.content)
    raise FileNotFoundError(
        f"The hand-over file {name!r} is neither in {results_dir()} nor among the shipped copies. "
        "Run the notebook before this one first, or set $ELIT_RESULTS to where its results lie."
    )


def hand_over(
    name: str,
    write: Callable[[Path], Any],
    *,
    made_by: str,
    inputs: Sequence[Any] = (),
    folder: bool = False,
    **parameters,
) -> Path:
    """Write a hand-over file whole or not at all, with its provenance beside it.

    What an earlier run of the notebook left under that name is replaced; other files, in a folder too, stay.

    Parameters
    ----------
    name
        File (or folder) name in the results folder.
    write
        Called with the path to write to.
    made_by
        Notebook or command that makes it.
    inputs
        Paths or `Handover`s it was made from; their hashes are kept.
    folder
        True if `write` fills a folder.
    **parameters
        Whatever has to be known to make it again: seeds, settings, counts.

    Returns
    -------
    Path
        Where it lies now.

    Raises
    ------
    FileExistsError
        If a file of that name is not from a notebook, or was changed since.
    """
    name = _plain(name)
    about = provenance(made_by, inputs, **parameters)
    with own_files(results_dir(), name + NOTE, about) as draft:
        if folder:
            (draft / name).mkdir()
        write(draft / name)
    logger.info("wrote %s", results_dir() / name)
    return results_dir() / name


def _plain(name: str) -> str:
    """Return the name of a file of the results folder, refusing one that leads out of it."""
    path = check_path("name", name)
    if path.name != str(name):
        raise ValueError(f"`name` is {name!r}; it must be the name of a file in the results folder.")
    return path.name


# --------------------------------------------------------------------------- what a run costs
@dataclass
class _Meter:
    """Wall time, processor time and peak anonymous memory of this process and its children."""

    name: str
    wall: float = field(default_factory=time.perf_counter)
    cpu: float = 0.0
    peak_bytes: int = 0
    stop: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.cpu = _cpu_seconds()
        self.sample()
        threading.Thread(target=self._watch, daemon=True, name="elit-meter").start()

    def _watch(self) -> None:
        while not self.stop.wait(0.25):
            self.sample()

    def sample(self) -> None:
        self.peak_bytes = max(self.peak_bytes, _anonymous_bytes())


_meter: _Meter | None = None
_ARENAS = -8  # M_ARENA_MAX of malloc.h


def _cpu_seconds() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _anonymous_bytes() -> int:
    """Anonymous memory of this process and its living children.

    Not the resident set: the CUDA build of torch maps hundreds of MB of its own files, which the
    kernel can drop at any time and the CPU build does not have.
    """
    import psutil

    process, total = psutil.Process(), 0
    for member in [process, *process.children(recursive=True)]:
        try:
            status = Path(f"/proc/{member.pid}/status").read_text()
            total += int(status.split("RssAnon:")[1].split()[0]) * 1024
        except (OSError, IndexError):
            try:
                total += member.memory_full_info().uss  # no /proc: macOS, Windows
            except psutil.Error:
                continue
    return total


class Note(str):
    """A text that a notebook shows as Markdown and a script prints as it is."""

    def _repr_markdown_(self) -> str:
        return str(self)

    __repr__ = str.__str__


def begin(notebook: str) -> Note:
    """Start the clock of a notebook and say how it will run: mode, versions, threads, where results go.

    Parameters
    ----------
    notebook
        Its number, such as ``"03"``.
    """
    global _meter
    if _meter is not None:
        _meter.stop.set()
    _meter = _Meter(notebook)
    _lean_kernel()
    shown = ", ".join(f"{name} {version}" for name, version in versions().items())
    return Note(
        f"**Notebook {notebook}** in `{run_mode()}` mode, {threads()} thread(s), "
        f"results in `{results_dir()}`.  \n"
        f"Python {platform.python_version()}, {shown}."
    )


def _lean_kernel() -> None:
    """Have a notebook's kernel keep no memory that is free; a script is left as it is."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if shell is not None and _return_freed_memory not in shell.events.callbacks["post_run_cell"]:
        _c_library("mallopt", _ARENAS, 1)  # a heap for each thread would keep what each has freed
        shell.events.register("post_run_cell", _return_freed_memory)


def _return_freed_memory(_: Any = None) -> None:
    """Give what was freed back to the system: the C library keeps it, some 50 MB after a training."""
    _c_library("malloc_trim", 0)


def _c_library(name: str, *arguments: int) -> None:
    """Call a function of the C library, where it is GNU's: others have neither these nor the need."""
    function = getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None
    if function is not None:
        function(*arguments)


def end(notebook: str) -> Note:
    """Say what a notebook took since `begin`, and keep it in ``costs/NN.json`` under the results.

    Raises
    ------
    ValueError
        If `begin` was not called with the same number.
    """
    if _meter is None or _meter.name != notebook:
        raise ValueError(
            f"`notebook` is {notebook!r}, but begin({notebook!r}) was not called. Run the set-up cell first."
        )
    _meter.sample()
    cost = {
        "notebook": notebook,
        "run_mode": run_mode(),
        "threads": threads(),
        "wall_s": round(time.perf_counter() - _meter.wall, 1),
        "cpu_s": round(_cpu_seconds() - _meter.cpu, 1),
        "peak_anonymous_MB": round(_meter.peak_bytes / 1e6),
    }
    with atomic_write(_cost_file(notebook)) as target:
        target.write_text(json.dumps(cost, indent=1) + "\n", encoding="utf-8")
    return Note(
        f"This notebook took **{cost['wall_s']:.0f} s** ({cost['cpu_s']:.0f} s of processor time) "
        f"and **{cost['peak_anonymous_MB']} MB** of memory at its peak.  \n"
        "Please shut its kernel down now (*Kernel → Shut Down Kernel*), so that the next one has the memory."
    )


def _cost_file(notebook: str) -> Path:
    """Return where the cost of a notebook goes, refusing to replace what is none."""
    path = results_dir() / "costs" / f"{notebook}.json"
    try:
        ours = not path.exists() or json.loads(path.read_text(encoding="utf-8"))["notebook"] == notebook
    except (OSError, ValueError, KeyError, TypeError):
        ours = False
    if not ours:
        raise FileExistsError(f"{path} was not written by `end`. Move it away, or set ELIT_RESULTS.")
    return path
