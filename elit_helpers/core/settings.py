"""How much memory a run may still use, also inside a container."""

from __future__ import annotations

import os
from pathlib import Path


def memory_limit() -> tuple[float, str]:
    """Return the memory this process may still use [bytes], and who says so.

    A container reports the memory of its host; what it may use stands in $MEM_LIMIT (Binder, JupyterHub)
    or in its control group.
    """
    import psutil

    known = {"the machine": float(psutil.virtual_memory().available)}
    if os.environ.get("MEM_LIMIT", "").isdigit():
        known["$MEM_LIMIT"] = float(os.environ["MEM_LIMIT"])
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        text = Path(path).read_text().strip() if Path(path).is_file() else ""
        if text.isdigit():
            known["the control group"] = float(text)
    source = min(known, key=known.get)
    return known[source], source
