"""Measure the real frames of a folder and write down what they are like: figures, never pixels.

    python data/recipes/measure_real_frames.py FOLDER

writes data/real_frames.json beside this folder: for each frame its name, SHA-256, what the calibration says,
contrast, noise, spot width, and the radial power spectrum. Frames that cannot be calibrated are listed with
the reason. The addresses of the frames are in the registry of the package.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path

import h5py
import numpy as np

import elit_helpers as eh

DATA = Path(__file__).resolve().parent.parent
SINGLE = {  # file: material
    "G-Si-2nm.hdf5": "graphene",
    "G-dimSi.hdf5": "graphene",
    "test-1.hdf5": "graphene",
    "MoS2_stem_Exp-000-2.npy": "MoS2",
}
PACKED = "si_defects.npz"  # NAME/image for each of its frames


def frames_in(folder: Path):
    """Yield name, material, SHA-256 of the file and pixels of every known frame that is there."""
    for name, material in SINGLE.items():
        path = folder / name
        if path.is_file():
            yield path.stem, material, sha256(path), read(path)
    path = folder / PACKED
    if path.is_file():
        with np.load(path, allow_pickle=False) as packed:
            for key in sorted(k for k in packed.files if k.endswith("/image")):
                yield key.removesuffix("/image"), "graphene", sha256(path), packed[key]


def read(path: Path) -> np.ndarray:
    """The pixels of a single frame."""
    if path.suffix == ".npy":
        return np.load(path, allow_pickle=False)
    with h5py.File(path) as file:
        return np.array(file["image_data"])


def sha256(path: Path) -> str:
    """Of the file that holds the frame."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def measure(name: str, material: str, digest: str, image: np.ndarray) -> dict:
    """One entry of the file."""
    entry = {"name": name, "material": material, "sha256": digest, "shape": list(image.shape)}
    try:
        scale = eh.calibrate(image, lattice=material)
    except eh.CalibrationFailed as failure:
        return entry | {"refused": str(failure)}
    found = eh.frame_statistics(image, pixel_size=scale.pixel_size, material=material)
    return entry | rounded({
        "pixel_size_std": scale.std,
        "neighbours": scale.neighbours,
        "agreement": scale.agreement,
        "anisotropy": scale.anisotropy,
        "shear_deg": scale.shear_deg,
        **found.summary(),
        "pixel_size": scale.pixel_size,
        "frequency": found.frequency.tolist(),
        "power": found.power.tolist(),
    })  # fmt: skip


def rounded(entry: dict) -> dict:
    """Five significant digits are more than any of these has; NaN becomes null."""

    def short(value):
        if isinstance(value, list):
            return [short(v) for v in value]
        return value if value is None else None if not np.isfinite(value) else float(f"{value:.5g}")

    return {key: short(value) for key, value in entry.items()}


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="where the frames lie")
    parser.add_argument("--out", type=Path, default=DATA / "real_frames.json")
    given = parser.parse_args()
    entries = [measure(*frame) for frame in frames_in(given.folder)]
    if not entries:
        raise SystemExit(f"No known frame lies in {given.folder}; expected {', '.join(SINGLE)} or {PACKED}.")
    about = "Statistics of real frames, no pixels; made by data/recipes/measure_real_frames.py"
    lines = ",\n".join(json.dumps(entry) for entry in entries)
    given.out.write_text(f'{{"about": {json.dumps(about)}, "frames": [\n{lines}\n]}}\n', encoding="utf-8")


if __name__ == "__main__":
    main()
