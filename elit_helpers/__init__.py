"""From a microscope picture to a simulation.

Simulated STEM images, ensembles of networks adapted to an experiment (ELIT), atoms with elements and
error bars, structures, molecular dynamics and tight binding: the functions under the course's notebooks.
Import it as ``import elit_helpers as eh``; everything public is listed here, by the file it lives in.
"""

from __future__ import annotations

import importlib
import os

# Threads of torch, tblite and LAMMPS wait by spinning unless told otherwise. Where two programs share the
# processors that costs ten times the time; it must be said before the first of them is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

__version__ = "0.1.0"

# Listed by hand, in the order of the data. A name loads its file at first use, so that
# `import elit_helpers` stays fast and a missing engine is no obstacle to the rest.
_PUBLIC = {
    "_common": ("ElitError", "EngineMissing", "NoAtomsFound"),
    "workspace": (
        "begin",
        "data_dir",
        "end",
        "hand_over",
        "provenance",
        "results_dir",
        "run_mode",
        "take",
        "threads",
        "versions",
    ),
    "data": (
        "DownloadFailed",
        "Micrograph",
        "fetch",
        "load_image",
        "load_movie",
        "load_movie_truth",
        "load_real",
        "load_trajectory",
        "real_frames",
        "shipped_files",
        "trajectory_names",
        "verify_shipped",
    ),
    "samples": (
        "MATERIALS",
        "Material",
        "add_adatom",
        "add_contamination",
        "add_divacancy",
        "add_grain_boundary",
        "add_hole",
        "add_stone_wales",
        "add_vacancy",
        "amorphous_carbon",
        "columns",
        "cut_edge",
        "decorate_edge",
        "graphene_sheet",
        "material_of",
        "projection",
        "sheet",
        "substitute",
    ),
    "_kernels": ("Kernel", "kernel_card", "load_kernel"),
    "images": (
        "BRIGHTNESS",
        "NET_PIXEL",
        "RECIPES",
        "Calibration",
        "CalibrationFailed",
        "FrameStatistics",
        "Imaging",
        "Recipe",
        "augment",
        "calibrate",
        "contamination_map",
        "element_mask",
        "frame_statistics",
        "normalise",
        "real_figures",
        "render",
        "resample",
        "resample_positions",
        "simulate_frame",
        "to_angstrom",
        "to_counts",
        "to_pixels",
        "training_pairs",
        "training_set",
        "weights_of",
    ),
    "ensemble": (
        "PRESETS",
        "UNSURE",
        "CorruptEnsemble",
        "Ensemble",
        "Prediction",
        "TrainSettings",
        "default_ensemble",
        "load_ensemble",
        "predict",
        "predict_stream",
        "save_ensemble",
        "shipped_materials",
        "train_ensemble",
    ),
    "locate": ("find_atoms", "locate_atoms"),
    "_temperature": ("fit_temperature",),
    "_lattice_score": ("sublattice_fit",),
    "analysis": (
        "angles",
        "atom_uncertainty",
        "bond_spread",
        "bonds",
        "calibration_error",
        "compare_structures",
        "coordination",
        "defect_bonds",
        "defects",
        "edge_atoms",
        "fate",
        "label_candidates",
        "mean_structure",
        "members_table",
        "missed_atoms",
        "nearest_neighbour_share",
        "published_bonds",
        "reliability",
        "ring_bonds",
        "ring_census",
        "rings",
        "score_atoms",
        "true_labels",
        "uncertainty_auroc",
    ),
    "elit": ("assign_elements", "multi_class_data", "run_elit", "select_artifact_free", "training_data_from"),
    "structure": (
        "SheetLattice",
        "accept",
        "cut_region",
        "embed",
        "patch",
        "propose_heights",
        "propose_missing",
        "regions_of_interest",
        "sheet_lattice",
        "to_atoms",
        "to_table",
        "write_atoms",
        "write_structure",
        "write_vasp",
    ),
    "simulate": (
        "ENGINES",
        "Run",
        "SimulationError",
        "Watch",
        "choose_engine",
        "energy_spread",
        "engine_table",
        "estimate_seconds",
        "has_engine",
        "potential_file",
        "relax",
        "run_md",
        "single_point",
        "unscaled",
    ),
    "_potentials": ("compare_potentials",),
    "_sweep": ("Sweep", "temperature_sweep"),
    "_healing": ("Healing", "approach", "heal"),
    "_healing_study": ("healing_frames", "healing_runs", "healing_shares"),
    "_near": ("relax_near",),
    "pipeline": ("adapt_ensemble", "run_image"),
}
_MODULES = ("exercises", "plots", "widgets")
_HOME_OF = {name: module for module, names in _PUBLIC.items() for name in names}

__all__ = [*_HOME_OF, *_MODULES]


def __getattr__(name: str):
    if name in _MODULES:
        return importlib.import_module(f"elit_helpers.{name}")
    if name in _HOME_OF:
        value = getattr(importlib.import_module(f"elit_helpers.{_HOME_OF[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'elit_helpers' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
