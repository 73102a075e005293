"""Settings from the environment: how much is computed, where things lie, threads and memory."""

from __future__ import annotations

import math
import os
from pathlib import Path

from elit_helpers.core import control_groups
from elit_helpers.core.checks import check_choice

RUN_MODES = ("demo", "class", "full")

SETTINGS = {
    "ELIT_RUN": ("class", "how much a notebook computes: demo shows results, full is for a GPU or a cluster"),
    "ELIT_THREADS": ("the processors there are, 1 on Binder", "threads to compute with"),
    "ELIT_RESULTS": ("results/ in the current folder", "where notebooks leave what they hand over"),
    "ELIT_DATA": ("data/ of the checkout", "the data that ship"),
    "ELIT_CACHE": ("the system's place for caches", "where downloaded frames and parameters are kept"),
    "ELIT_FETCH_BASE": ("the addresses of their owners", "a folder or server to take downloads from"),
    "ELIT_ENGINE_TIMEOUT_S": ("600", "how long one call of DFTB+ may take [s]"),
}
"""Every setting from the environment: what holds if it is not set, and what it is for."""


def memory_limit() -> tuple[float, str]:
    """Return the memory this process may still use [bytes], and who says so.

    A container reports the memory of its host; what it may use stands in $MEM_LIMIT (Binder, JupyterHub)
    or in its control group.
    """
    import psutil

    known = {"the machine": float(psutil.virtual_memory().available)}
    if os.environ.get("MEM_LIMIT", "").isdigit():
        known["$MEM_LIMIT"] = float(os.environ["MEM_LIMIT"])
    if (free := control_groups.free_bytes()) is not None:
        known["the control group"] = free
    source = min(known, key=known.get)
    return known[source], source


def run_mode() -> str:
    """Return how much is computed: ``"demo"``, ``"class"`` (default) or ``"full"``, from $ELIT_RUN."""
    return check_choice("ELIT_RUN", os.environ.get("ELIT_RUN") or "class", RUN_MODES)


def threads() -> int:
    """Return how many threads to compute with: $ELIT_THREADS, else the processors this process may use.

    A container or a job that may keep 1.5 of 64 processors busy gets two.
    """
    if wanted := os.environ.get("ELIT_THREADS"):
        if not wanted.isdigit() or int(wanted) < 1:
            raise ValueError(f"`ELIT_THREADS` is {wanted!r}; it must be a whole number from 1 up.")
        return int(wanted)
    if "BINDER_SERVICE_HOST" in os.environ or "BINDER_REPO_URL" in os.environ:
        return 1  # Binder shows the processors of the whole host and grants one
    there = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(there, math.ceil(control_groups.processors() or there))


def results_dir() -> Path:
    """Return the folder for results: $ELIT_RESULTS, else ``results`` in the current folder."""
    return Path(os.environ.get("ELIT_RESULTS") or "results").expanduser()


def data_dir() -> Path:
    """Return the folder of the data that ship: $ELIT_DATA, else ``data`` beside the package in a checkout.

    Raises
    ------
    FileNotFoundError
        If there is none, as in an installation without a checkout.
    """
    beside = Path(__file__).resolve().parents[2] / "data"
    folder = Path(os.environ.get("ELIT_DATA") or beside).expanduser()
    if not folder.is_dir():
        raise FileNotFoundError(
            f"The course data are not at {folder}. Clone the project and work inside it, "
            "or set $ELIT_DATA to its `data` folder."
        )
    return folder
