"""Rebuild elit_helpers/images/kernels.json: an atom of each element as microscopes see it at 60, 80, 200 kV.

usage: python data/recipes/make_kernels.py [FILE]

needs abTEM, which is GPL-3 and therefore never a dependency of the package. In an environment of its own:

    python -m venv abtem-venv && abtem-venv/bin/pip install "abtem==1.0.11"
    OMP_NUM_THREADS=1 abtem-venv/bin/python data/recipes/make_kernels.py

The probe is scanned from a single still atom outwards, over a projected Lobato potential, and the electrons
on the annular detector are counted. The energies of a beam differ, and the lens focuses each of them
elsewhere: the profile is the mean over that focal spread (three-point Gauss-Hermite). Source size, defocus
and vibration are left out: they are Gaussians in good approximation and are added by `Kernel.blurred`. The
profiles are fitted by a few Gaussians of the same widths for all elements, which makes drawing a matrix
product. Some six minutes on one core.
"""

import json
import re
import sys
from pathlib import Path

import numpy as np
from scipy.optimize import least_squares

ELEMENTS = ("H", "B", "C", "N", "O", "Al", "Si", "P", "S", "Ti", "V", "Cr", "Fe", "Se", "Sr", "Mo", "W")
# Aberrations are corrected (C30 = C50 = 0, Gaussian focus); a focal spread of FWHM Cc * dE / E remains.
MICROSCOPES = {
    "60kV": {
        "energy_eV": 60e3, "semiangle_mrad": 30.0, "adf_mrad": [60.0, 200.0], "cc_mm": 1.3, "de_eV": 0.35,
    },
    "80kV": {
        "energy_eV": 80e3, "semiangle_mrad": 30.0, "adf_mrad": [60.0, 200.0], "cc_mm": 1.3, "de_eV": 0.35,
    },
    "200kV": {
        "energy_eV": 200e3, "semiangle_mrad": 25.0, "adf_mrad": [70.0, 200.0], "cc_mm": 1.4, "de_eV": 0.7,
    },
}  # fmt: skip
BOX, GPTS = 20.48, 512  # Å, points: 0.04 Å each holds 200 mrad at 200 kV inside abTEM's antialiasing
RADIUS = np.round(np.concatenate([np.arange(0, 2.5, 0.05), np.arange(2.5, 6.01, 0.1)]), 3)  # Å
GAUSSIANS, CLOSEST = 5, 1.25  # how many, and the least ratio of neighbouring widths


def focal_nodes(microscope):
    """Defocus [Å] and weight of three-point Gauss-Hermite quadrature over the focal spread."""
    energy, rest = microscope["energy_eV"], 510998.95
    relative = (1 + energy / rest) / (1 + energy / (2 * rest))
    fwhm = microscope["cc_mm"] * 1e7 * microscope["de_eV"] / energy * relative
    sigma = fwhm / np.sqrt(8 * np.log(2))
    return {0.0: 2 / 3, -np.sqrt(3) * sigma: 1 / 6, np.sqrt(3) * sigma: 1 / 6}


def single_atom(element, microscope):
    """Share of the beam on the detector, with the probe at each of RADIUS from one atom."""
    import abtem
    from ase import Atoms

    atoms = Atoms(element, positions=[[BOX / 2, BOX / 2, 2.0]], cell=[BOX, BOX, 4.0])
    potential = abtem.Potential(
        atoms, gpts=GPTS, slice_thickness=4.0, projection="infinite", parametrization="lobato"
    ).build(lazy=False)
    scan = abtem.CustomScan(np.column_stack([BOX / 2 + RADIUS, np.full(len(RADIUS), BOX / 2)]))
    inner, outer = microscope["adf_mrad"]
    total = np.zeros(len(RADIUS))
    for defocus, weight in focal_nodes(microscope).items():
        probe = abtem.Probe(
            energy=microscope["energy_eV"], semiangle_cutoff=microscope["semiangle_mrad"], defocus=defocus
        )
        probe.grid.match(potential)
        detector = abtem.AnnularDetector(inner=inner, outer=outer)
        total += weight * probe.scan(potential, scan=scan, detectors=detector, lazy=False).array
    return total


def fit(shapes):
    """Widths (shared) and heights (one row a shape) of Gaussians that follow the profiles, each peaking at 1.

    The heights are linear, so that only the widths are searched for. Neighbouring widths keep a distance:
    without that the best fit is a difference of two huge, nearly equal Gaussians. The peak, which is the
    unit, and the integral, which makes the haze between the atoms, are both met nearly exactly.
    """
    weight = np.where(RADIUS == 0, 30.0, 1.0)
    ring = np.gradient(RADIUS) * RADIUS
    wanted = np.vstack([(shapes * weight).T, shapes @ ring / (shapes @ ring).mean()])

    def sigmas(p):
        return np.exp(np.cumsum(np.concatenate([p[:1], np.log(CLOSEST) + np.exp(p[1:])])))

    def heights(p):
        basis = np.exp(-(RADIUS[:, None] ** 2) / (2 * sigmas(p) ** 2))
        system = np.vstack([basis * weight[:, None], ring @ basis / (shapes @ ring).mean()])
        found = np.linalg.lstsq(system, wanted, rcond=None)[0]
        return found, (system @ found - wanted).ravel(), (basis @ found).T

    runs = []
    for low in (0.15, 0.2, 0.3, 0.4):
        for high in (1.2, 2.0, 3.0):
            gap = max(np.log(high / low) / (GAUSSIANS - 1) - np.log(CLOSEST), 0.02)
            start = np.concatenate([[np.log(low)], np.full(GAUSSIANS - 1, np.log(gap))])
            bounds = [(np.log(0.1), 0.0)] + [(-6.0, 0.7)] * (GAUSSIANS - 1)
            runs.append(least_squares(lambda p: heights(p)[1], start, bounds=np.transpose(bounds)))
    best = min(runs, key=lambda run: run.cost)
    found, _, drawn = heights(best.x)
    return sigmas(best.x), found.T, np.abs(drawn - shapes).max(1), drawn @ ring / (shapes @ ring) - 1


def kernel_of(microscope):
    """All that is known of one microscope's kernels: what abTEM gives, and the fit to it."""
    profiles = np.array([single_atom(element, microscope) for element in ELEMENTS])
    peaks = profiles[:, 0]
    ratios = peaks / peaks[ELEMENTS.index("C")]
    sigmas, heights, misfit, integral = fit(profiles / peaks[:, None])
    nodes = focal_nodes(microscope)

    def rounded(values, digits):
        return [round(float(v), digits) for v in values]

    def named(values):
        return dict(zip(ELEMENTS, values))

    return {
        "parameters": microscope
        | {
            "c30_mm": 0.0, "c50_mm": 0.0, "defocus_A": rounded(nodes, 2),
            "defocus_weights": rounded(nodes.values(), 4), "potential": "Lobato, projected, still atom",
            "box_A": BOX, "gpts": GPTS,
        },
        "carbon_peak_of_beam": float(f"{peaks[ELEMENTS.index('C')]:.5g}"),
        "sigmas_A": rounded(sigmas, 6),
        "heights": named(rounded(h, 6) for h in heights * ratios[:, None]),
        "peak_to_carbon": named(rounded(ratios, 5)),
        "largest_misfit_of_peak": named(rounded(misfit, 5)),
        "misfit_of_integral": named(rounded(integral, 5)),
        "profiles": named(rounded(p, 5) for p in profiles / peaks[:, None]),
    }  # fmt: skip


def main(path):
    import abtem

    abtem.config.set({"diagnostics.progress_bar": False})
    kernels = {}
    for name, microscope in MICROSCOPES.items():
        kernels[name] = found = kernel_of(microscope)
        worst = max(found["largest_misfit_of_peak"].values())
        sys.stdout.write(f"{name}: widths {found['sigmas_A']} Å, misfit at most {worst:.4f} of the peak\n")
        sys.stdout.write(f"    peaks {found['peak_to_carbon']}\n")
    note = {
        "made_by": "data/recipes/make_kernels.py", "abtem": abtem.__version__, "radius_A": RADIUS.tolist(),
        "unit": "heights: carbon peaks before any blur; profiles: own peak",
    }  # fmt: skip
    text = json.dumps(note | {"kernels": kernels}, indent=1)
    # numbers of one list on one line, so that a person can read the file
    text = re.sub(r"\[[^\[\]{}]*\]", lambda m: "[" + " ".join(m[0][1:-1].split()) + "]", text)
    path.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    home = Path(__file__).resolve().parents[2] / "elit_helpers" / "images" / "kernels.json"
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else home)
