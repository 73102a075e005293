"""Every public name beside the file it lives in, in the order of the data; the one list of them."""

from .core.checks import (
    CorruptEnsemble as CorruptEnsemble,
    ElitError as ElitError,
    EngineMissing as EngineMissing,
    NoAtomsFound as NoAtomsFound,
)
from .core.interrupts import Stopped as Stopped
from .core.coordinates import to_angstrom as to_angstrom, to_pixels as to_pixels
from .core.settings import (
    data_dir as data_dir,
    results_dir as results_dir,
    run_mode as run_mode,
    threads as threads,
)
from .core.files import provenance as provenance, versions as versions
from .io.micrograph import Micrograph as Micrograph, load_image as load_image
from .samples.materials import (
    BRIGHTNESS as BRIGHTNESS,
    MATERIALS as MATERIALS,
    Material as Material,
    material_of as material_of,
)
from .samples.sheets import (
    amorphous_carbon as amorphous_carbon,
    columns as columns,
    graphene_sheet as graphene_sheet,
    projection as projection,
    sheet as sheet,
)
from .samples.defects import (
    add_adatom as add_adatom,
    add_divacancy as add_divacancy,
    add_stone_wales as add_stone_wales,
    add_vacancy as add_vacancy,
    substitute as substitute,
)
from .samples.edges import (
    add_contamination as add_contamination,
    add_grain_boundary as add_grain_boundary,
    add_hole as add_hole,
    cut_edge as cut_edge,
    decorate_edge as decorate_edge,
)
from .data.shipped import (
    healing_frames as healing_frames,
    healing_runs as healing_runs,
    load_movie as load_movie,
    load_movie_truth as load_movie_truth,
    load_trajectory as load_trajectory,
    published_bonds as published_bonds,
    real_figures as real_figures,
    shipped_files as shipped_files,
    trajectory_names as trajectory_names,
    verify_shipped as verify_shipped,
)
from .data.real_frames import load_real as load_real
from .data.registry import fetch as fetch, real_frames as real_frames
from .data.download import DownloadFailed as DownloadFailed
from .geometry.defects import defects as defects
from .geometry.rings import edge_atoms as edge_atoms, ring_census as ring_census, rings as rings
from .geometry.fate import defect_bonds as defect_bonds, fate as fate, ring_bonds as ring_bonds
from .geometry.bonds import (
    angles as angles,
    bond_spread as bond_spread,
    bonds as bonds,
    coordination as coordination,
)
from .geometry.compare import compare_structures as compare_structures, mean_structure as mean_structure
from .images.kernels import Kernel as Kernel, kernel_card as kernel_card, load_kernel as load_kernel
from .images.microscope import Imaging as Imaging, weights_of as weights_of
from .images.forward import render as render, simulate_frame as simulate_frame, to_counts as to_counts
from .images.masks import NET_PIXEL as NET_PIXEL, element_mask as element_mask
from .images.recipes import RECIPES as RECIPES, Recipe as Recipe
from .images.training_pairs import (
    augment as augment,
    training_pairs as training_pairs,
    training_set as training_set,
)
from .images.resample import resample as resample, resample_positions as resample_positions
from .images.normalise import normalise as normalise
from .images.contamination import contamination_map as contamination_map
from .calibration.pixel_size import (
    Calibration as Calibration,
    CalibrationFailed as CalibrationFailed,
    calibrate as calibrate,
)
from .calibration.statistics import FrameStatistics as FrameStatistics, frame_statistics as frame_statistics
from .ensemble.networks import UNSURE as UNSURE
from .ensemble.settings import PRESETS as PRESETS, Ensemble as Ensemble, TrainSettings as TrainSettings
from .ensemble.storage import (
    default_ensemble as default_ensemble,
    load_ensemble as load_ensemble,
    save_ensemble as save_ensemble,
    shipped_materials as shipped_materials,
)
from .ensemble.predict import Prediction as Prediction, predict as predict, predict_stream as predict_stream
from .ensemble.layers import network_layers as network_layers
from .ensemble.temperature import fit_temperature as fit_temperature
from .ensemble.train import train_ensemble as train_ensemble
from .finding.locate import find_atoms as find_atoms, locate_atoms as locate_atoms
from .finding.scores import nearest_neighbour_share as nearest_neighbour_share, score_atoms as score_atoms
from .finding.reliability import (
    calibration_error as calibration_error,
    reliability as reliability,
    true_labels as true_labels,
)
from .finding.uncertainty import (
    atom_uncertainty as atom_uncertainty,
    label_candidates as label_candidates,
    members_table as members_table,
    missed_atoms as missed_atoms,
    uncertainty_auroc as uncertainty_auroc,
)
from .finding.sublattices import sublattice_fit as sublattice_fit
from .elit.elements import assign_elements as assign_elements
from .elit.pairs import multi_class_data as multi_class_data, training_data_from as training_data_from
from .elit.select import select_artifact_free as select_artifact_free
from .elit.algorithm import run_elit as run_elit
from .structure.sheet_lattice import SheetLattice as SheetLattice, sheet_lattice as sheet_lattice
from .structure.regions import (
    cut_region as cut_region,
    patch as patch,
    regions_of_interest as regions_of_interest,
)
from .structure.embed import embed as embed
from .structure.proposals import (
    accept as accept,
    propose_heights as propose_heights,
    propose_missing as propose_missing,
)
from .structure.write import write_atoms as write_atoms, write_structure as write_structure
from .structure.vasp import write_vasp as write_vasp
from .structure.convert import to_atoms as to_atoms, to_table as to_table
from .engines.catalogue import (
    ENGINES as ENGINES,
    choose_engine as choose_engine,
    engine_table as engine_table,
    has_engine as has_engine,
)
from .engines.plan import SimulationError as SimulationError
from .engines.lammps import potential_file as potential_file
from .simulate.result import Run as Run, unscaled as unscaled
from .simulate.record import Watch as Watch
from .simulate.energies import energy_spread as energy_spread, single_point as single_point
from .simulate.dynamics import estimate_seconds as estimate_seconds, run_md as run_md
from .simulate.relax import relax as relax
from .simulate.relax_near import relax_near as relax_near
from .studies.potentials import compare_potentials as compare_potentials
from .studies.temperature_sweep import Sweep as Sweep, temperature_sweep as temperature_sweep
from .studies.healing import (
    Healing as Healing,
    approach as approach,
    heal as heal,
    healing_shares as healing_shares,
)
from .pipeline.adapt import adapt_ensemble as adapt_ensemble
from .pipeline.report import run_image as run_image
from .course.notebook import begin as begin, end as end, hand_over as hand_over, take as take
from . import plots as plots, widgets as widgets
from .course.results import load_results as load_results, save_results as save_results
from .course import exercises as exercises
