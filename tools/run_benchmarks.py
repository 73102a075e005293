"""Run every script of benchmarks/ and print its tables.

    python tools/run_benchmarks.py [NAME ...]

A benchmark is a module with a `main()` that returns a DataFrame, several by title, or prints them itself.
"""

from __future__ import annotations

import importlib
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main() -> int:
    folder = ROOT / "benchmarks"
    names = sys.argv[1:] or sorted(path.stem for path in folder.glob("[a-z]*.py"))
    if not names:
        sys.exit(f"There is no benchmark in {folder}.")
    sys.path.insert(0, str(folder))
    for name in names:
        print(f"== {name} ==", flush=True)
        started = time.perf_counter()
        result = importlib.import_module(name).main()
        for title, table in result.items() if isinstance(result, dict) else [("", result)]:
            if hasattr(table, "to_string"):
                print(title, table.to_string(), sep="\n" if title else "")
        print(f"({time.perf_counter() - started:.0f} s)\n", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
