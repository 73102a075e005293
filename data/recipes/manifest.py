"""Write data/MANIFEST.json: name, SHA-256, size and recipe of every file that ships.

usage: python data/recipes/manifest.py [DATA_FOLDER]

Run it after any recipe; a file whose hash is not written down counts as changed.
"""

import json
import sys
from pathlib import Path

from elit_helpers.core.files import sha256

RECIPES = {
    "trajectories": "data/recipes/make_trajectories.py",
    "movie": "data/recipes/make_movie.py",
    "handover": "make handover",
    "dftb_plus": "data/recipes/make_dftb_plus.py",
    "healing": "data/recipes/make_healing.py",
    "quantum": "data/recipes/make_levels.py",
    "real_frames.json": "data/recipes/measure_real_frames.py",
}
OTHERS = {  # files with a recipe of their own
    "movie/kernel_check.json": "data/recipes/compare_kernels.py",
    "quantum/aimd_pbe.extxyz": "data/recipes/make_aimd.py",
    "quantum/aimd_pbe.json": "data/recipes/make_aimd.py",
    "quantum/aimd_defect.extxyz": "data/recipes/make_aimd_defect.py",
    "quantum/aimd_defect.json": "data/recipes/make_aimd_defect.py",
    "quantum/forces.csv": "data/recipes/make_aimd.py",
    "quantum/forces.npz": "data/recipes/make_aimd.py",
    "quantum/landscape.csv": "data/recipes/make_landscape.py",
    "quantum/flake.extxyz": "data/recipes/make_landscape.py",
    "healing/barrier.extxyz": "data/recipes/make_healing_barrier.py",
    "healing/barrier.json": "data/recipes/make_healing_barrier.py",
}


def main(folder):
    files = {
        path.relative_to(folder).as_posix(): {
            "sha256": sha256(path),
            "bytes": path.stat().st_size,
            "recipe": OTHERS.get(
                path.relative_to(folder).as_posix(), RECIPES[path.relative_to(folder).parts[0]]
            ),
        }
        for top in RECIPES
        for path in sorted((folder / top).rglob("*") if (folder / top).is_dir() else [folder / top])
        if path.is_file() and not path.name.startswith(".")
    }
    (folder / "MANIFEST.json").write_text(json.dumps({"files": files}, indent=1) + "\n", encoding="utf-8")
    total = sum(entry["bytes"] for entry in files.values())
    sys.stdout.write(f"{len(files)} files, {total / 1e6:.1f} MB\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent.parent)
