"""What a container or a job may use of its machine: the limits of this process's control groups (Linux).

Docker, Kubernetes, JupyterHub and Slurm set them; Python's own counts are those of the whole host. joblib
reads the outermost group only, which is enough in a container; a job or a service lies in groups within
groups, each with a limit of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

SYSTEM = Path("/")
"""Where /proc and /sys are."""

_MEMORY_FILES = (("memory.max", "memory.current", "inactive_file"),
                     ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"))  # fmt: skip


def processors() -> float | None:
    """Return how many processors the process may keep busy, such as 1.5; None where there is no quota."""
    quotas = []
    for group in _groups("cpu"):
        quota, _, period = _text(group / "cpu.max").partition(" ")
        if not period:
            quota, period = _text(group / "cpu.cfs_quota_us"), _text(group / "cpu.cfs_period_us")
        if quota.isdigit() and period.isdigit() and int(quota) and int(period):  # "max" and -1 are none
            quotas.append(int(quota) / int(period))
    return min(quotas, default=None)


def free_bytes() -> float | None:
    """Return how much more memory the process may take; None where there is no limit.

    What files left in memory is taken back by the system when it is needed, and counts as free.
    """
    free = []
    for group in _groups("memory"):
        for limit, usage, reclaimed in _MEMORY_FILES:
            if (most := _text(group / limit)).isdigit():
                words = _text(group / "memory.stat").split()
                cached = dict(zip(words[::2], words[1::2], strict=False)).get(reclaimed, "0")
                used = max(int(_text(group / usage) or 0) - int(cached), 0)
                free.append(float(max(int(most) - used, 0)))
    return min(free, default=None)


def _groups(controller: str) -> Iterator[Path]:
    """Give the folder of the process's control group and of those around it, as far out as can be seen."""
    own = {}
    for line in _text(SYSTEM / "proc/self/cgroup").splitlines():
        _, names, path = line.split(":", 2)
        own |= dict.fromkeys(names.split(","), PurePosixPath(path))
    for line in _text(SYSTEM / "proc/self/mountinfo").splitlines():
        mount, _, what = line.partition(" - ")
        root, place = mount.split()[3:5]
        kind, _, options = what.split(" ", 2)
        name = {"cgroup2": "", "cgroup": controller}.get(kind)
        if name is None or name not in own or (name and name not in options.split(",")):
            continue
        top = SYSTEM / place.lstrip("/")
        inner = own[name].relative_to(root) if own[name].is_relative_to(root) else PurePosixPath()
        yield from (top / part for part in (inner, *inner.parents))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""
