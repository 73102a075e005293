"""How far are added-up single atoms from a full simulation? data/movie/kernel_check.json and a figure.

usage: python data/recipes/compare_kernels.py ABTEM_PYTHON

ABTEM_PYTHON is the Python of an environment with abTEM, set up as make_kernels.py says; this script runs
itself there for the multislice part. Two periodic frames of graphene, 20 by 21 Å, with holes, a vacancy and
silicon in the lattice and at edges, relaxed by the Erhart-Albe potential, are simulated in full: PRISM (a
multislice calculation of the plane waves of the probe), eight frozen-phonon configurations of 0.05 Å, the
focal spread of make_kernels.py. Beside it stand the shipped kernels of the same atoms, widened by the same
vibration. One number is fitted to each frame, the brightness as a whole, and is told. Eight minutes on one
core.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates

HOME = Path(__file__).resolve().parents[2]
MICROSCOPE, VIBRATION, CONFIGURATIONS, SEED = "60kV", 0.05, 8, 11
SOURCE = 0.25  # Å; the blur of a real microscope's source, for the second comparison
# 0.04 Å, as the kernels have: on a grid twice as coarse an atom between points scatters up to a fifth less
CELLS, DEPTH, GPTS, PIXEL = (8, 5), 8.0, (512, 560), 0.1


# --------------------------------------------------------------------------- in the package's environment
def samples():
    """The two frames, relaxed: ASE Atoms, periodic in x and y."""
    import elit_helpers as eh

    sheet = eh.sheet(size=CELLS, vacuum=DEPTH)
    wide, high = sheet.cell.lengths()[:2]

    def place(atoms, x, y):
        return int(np.argmin(np.hypot(*(atoms.positions[:, :2] - [x * wide, y * high]).T)))

    first, _ = eh.add_hole(sheet, center=(0.68 * wide, 0.62 * high), radius_A=2.6)
    first, _ = eh.substitute(first, place(first, 0.25, 0.75))
    first, _ = eh.add_vacancy(first, place(first, 0.25, 0.25))
    second, _ = eh.add_hole(sheet, center=(0.35 * wide, 0.4 * high), radius_A=3.4)
    second, _ = eh.decorate_edge(second, center=(0.35 * wide, 0.4 * high), radius_A=5.5, n=2, rng=3)
    second, _ = eh.substitute(second, place(second, 0.8, 0.75))
    return [_relaxed(atoms) for atoms in (first, second)]


def _relaxed(atoms):
    import elit_helpers as eh

    lifted = atoms.copy()
    lifted.positions[atoms.numbers == 14, 2] += 0.3
    # in its own lattice, then scaled back to graphene's
    out = eh.unscaled(eh.relax(lifted, engine="lammps:erhart-albe", fmax=0.05, steps=1500, cell="xy")).atoms
    out.positions[:, 2] += DEPTH / 2 - out.positions[:, 2].mean()
    out.wrap()
    return out


def kernel_sum(kernel, atoms, shape):
    """Spots of all atoms and their periodic images added up, axes x and y, in the kernel's unit."""
    lengths = atoms.cell.lengths()[:2]
    grids = [np.arange(n) * length / n for n, length in zip(shape, lengths)]
    image = np.zeros(shape)
    heights = np.array([kernel.heights[e] for e in atoms.get_chemical_symbols()])
    for k, sigma in enumerate(kernel.sigmas_A):
        # each axis on its own: a periodic sum of Gaussians is the product of two periodic sums
        x, y = (
            sum(
                np.exp(-((grid[None] - atoms.positions[:, [axis]] - n * length) ** 2) / (2 * sigma**2))
                for n in (-1, 0, 1)
            )
            for axis, (grid, length) in enumerate(zip(grids, lengths))
        )
        image += (x * heights[:, [k]]).T @ y
    return image


def compare(full, drawn, atoms):
    """Figures of merit of a pair of images [carbon peaks], the kernels at the brightness of the other."""
    steps = np.array(full.shape) / atoms.cell.lengths()[:2]
    at = (atoms.positions[:, :2] * steps).T
    factor = float((full * drawn).sum() / (drawn**2).sum())
    gap = full - factor * drawn
    from_full, from_drawn = (map_coordinates(image, at, order=3, mode="grid-wrap") for image in (full, drawn))
    at_sites, silicon = from_full - factor * from_drawn, atoms.numbers == 14
    ratios = [float(sites[silicon].mean() / sites[~silicon].mean()) for sites in (from_full, from_drawn)]

    def rms(values):
        return round(float(np.sqrt(np.mean(values**2))), 4)

    return {
        "correlation": round(float(np.corrcoef(full.ravel(), drawn.ravel())[0, 1]), 5),
        "brightness_full_to_kernels": round(factor, 4),
        "rms_difference": rms(gap), "largest_difference": round(float(np.abs(gap).max()), 4),
        "carbon_sites_rms": rms(at_sites[~silicon]), "silicon_sites_rms": rms(at_sites[silicon]),
        "silicon_to_carbon_full": round(ratios[0], 3), "silicon_to_carbon_kernels": round(ratios[1], 3),
    }  # fmt: skip


def main(abtem_python):
    import elit_helpers as eh

    frames = samples()
    with tempfile.TemporaryDirectory() as folder:
        for i, atoms in enumerate(frames):
            np.savez(f"{folder}/atoms_{i}.npz", numbers=atoms.numbers, positions=atoms.positions,
                     cell=atoms.cell.lengths())  # fmt: skip
        subprocess.run([abtem_python, __file__, "--multislice", folder], check=True)
        multislice = [np.load(f"{folder}/image_{i}.npy") for i in range(len(frames))]
    card, still = eh.kernel_card(MICROSCOPE), eh.load_kernel(MICROSCOPE)
    rows, panels = {}, []
    for source in (0.0, SOURCE):
        kernel = still.blurred(np.hypot(source, VIBRATION))
        for i, (atoms, image) in enumerate(zip(frames, multislice)):
            sigma = source * np.array(image.shape) / atoms.cell.lengths()[:2]
            full = gaussian_filter(image / card["carbon_peak_of_beam"], sigma, mode="wrap")
            unit = 1 / kernel.peak("C")  # one carbon spot's peak, as it is after the blur
            full, drawn = full * unit, kernel_sum(kernel, atoms, image.shape) * unit
            rows[f"frame {i + 1}, source size {source:g} Å"] = found = compare(full, drawn, atoms)
            panels.append((full, found["brightness_full_to_kernels"] * drawn, atoms.cell.lengths()))
    note = {
        "what": "multislice (PRISM) with frozen phonons against the sum of the shipped kernels",
        "unit": "carbon peak after all blurs",
        "microscope": MICROSCOPE, "parameters": card["parameters"], "configurations": CONFIGURATIONS,
        "vibration_A": VIBRATION, "gpts": GPTS, "prism_interpolation": 2, "seed": SEED,
        "abtem": card["abtem"],
        "atoms": [atoms.get_chemical_formula() for atoms in frames], "comparison": rows,
    }  # fmt: skip
    text = json.dumps(note, indent=1, ensure_ascii=False)
    (HOME / "data" / "movie" / "kernel_check.json").write_text(text + "\n", encoding="utf-8")
    draw(panels[2:], HOME / "notebooks" / "figures" / "kernel_check.png")
    sys.stdout.write(text + "\n")


def draw(panels, path):
    """One row a frame: full simulation, kernels, difference."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, 3, figsize=(8.6, 5.9), layout="constrained")
    for row, (full, drawn, lengths) in zip(axes, panels):
        extent = (0, lengths[0], 0, lengths[1])
        for ax, image in zip(row, (full, drawn)):
            shown = ax.imshow(image.T, origin="lower", extent=extent, cmap="gray", vmin=0, vmax=4)
        figure.colorbar(shown, ax=row[1], label="carbon peaks")
        gap = row[2].imshow(
            (full - drawn).T, origin="lower", extent=extent, cmap="RdBu_r", vmin=-0.2, vmax=0.2
        )
        figure.colorbar(gap, ax=row[2], label="carbon peaks")
        row[0].set_ylabel("y (Å)")
    for ax, title in zip(axes[0], ("multislice, frozen phonons", "sum of kernels", "difference")):
        ax.set_title(title, fontsize=10)
    for ax in axes[1]:
        ax.set_xlabel("x (Å)")
    figure.savefig(path, dpi=110)


# --------------------------------------------------------------------------- in the environment with abTEM
def multislice(folder):
    """Simulate what lies in the folder: image_I.npy, shares of the beam, axes x and y."""
    import abtem
    from ase import Atoms
    from make_kernels import MICROSCOPES, focal_nodes

    abtem.config.set({"diagnostics.progress_bar": False})
    microscope = MICROSCOPES[MICROSCOPE]
    common = {"energy": microscope["energy_eV"], "semiangle_cutoff": microscope["semiangle_mrad"]}
    inner, outer = microscope["adf_mrad"]
    for path in sorted(Path(folder).glob("atoms_*.npz")):
        with np.load(path) as store:
            atoms = Atoms(store["numbers"], store["positions"], cell=store["cell"], pbc=True)
        phonons = abtem.FrozenPhonons(atoms, num_configs=CONFIGURATIONS, sigmas=VIBRATION, seed=SEED)
        # each atom whole in one slice: cut in two slices its halves would interfere at 200 mrad
        potential = abtem.Potential(
            phonons, gpts=GPTS, slice_thickness=2.0, projection="infinite", parametrization="lobato"
        )
        waves = abtem.SMatrix(potential=potential, interpolation=2, **common)
        size = tuple(atoms.cell.lengths()[:2])
        scan = abtem.GridScan(start=(0, 0), end=size, sampling=0.4, endpoint=False)
        nodes = focal_nodes(microscope)
        ctf = abtem.CTF(defocus=np.array(list(nodes)), **common)
        detector = abtem.AnnularDetector(inner=inner, outer=outer)
        images = waves.scan(scan=scan, detectors=detector, ctf=ctf).compute(scheduler="single-threaded")
        # the scan's step resolves the probe; the rest is Fourier interpolation
        images = images.interpolate(gpts=tuple(round(s / PIXEL) for s in size)).array
        mean = np.tensordot(list(nodes.values()), images, 1)
        np.save(path.with_name(path.stem.replace("atoms", "image") + ".npy"), mean)


if __name__ == "__main__":
    if sys.argv[1] == "--multislice":
        multislice(sys.argv[2])
    else:
        main(sys.argv[1])
