"""Image to report: the one function behind notebook 00 and the commands."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from ase.constraints import FixAtoms

from elit_helpers import plots
from elit_helpers.core.atoms_table import flagged, kept, one_frame
from elit_helpers.core.checks import PathLike, RandomState, check_choice, logger, progress, spawn_seeds
from elit_helpers.core.files import provenance, sha256
from elit_helpers.core.interrupts import stopped_as
from elit_helpers.core.own_files import check_own, own_files
from elit_helpers.engines.catalogue import EngineChoice, EngineLike, check_engine, choose_engine
from elit_helpers.ensemble.settings import Ensemble
from elit_helpers.finding.locate import find_atoms
from elit_helpers.geometry.rings import edge_atoms
from elit_helpers.io.micrograph import Micrograph
from elit_helpers.pipeline.account import account, doubts, in_words, with_contacts
from elit_helpers.pipeline.inputs import check_material, ensemble_of, open_frames, resolve_pixel_size
from elit_helpers.simulate.dynamics import run_md
from elit_helpers.simulate.relax import relax
from elit_helpers.simulate.result import Run
from elit_helpers.structure.convert import to_atoms
from elit_helpers.structure.write import FILES, write_atoms

MD_STEPS, TIMESTEP_FS = 200, 1.0
FMAX = 0.05  # eV/Å, as in notebook 04: for less, the sheet of a picture goes on bulging about its holes
RELAX_STEPS = 1000  # two minutes of a large frame of MoS2; what is not at rest by then is reported

STAGES = 5  # of `run_image`
BATCH = 4  # frames in memory at a time: a stack on disk may be larger than it
REPORT, NOTE = ("atoms_found.csv", *FILES, "md_log.csv", "overview.png"), "provenance.json"
START_K = 600.0  # a relaxed sheet keeps half of it as motion: about 300 K after equipartition


@dataclass(frozen=True)
class Report:
    """What `run_image` found out, from the picture to the run.

    Attributes
    ----------
    micrograph
        The frames as read.
    pixel_size, pixel_size_source
        What was used [Å/px], and whose word it is: ``"user"``, ``"lattice"`` or ``"file"``.
    atoms_found
        The table of atoms, every frame, flagged ones included, also those that the structure could not hold.
    structure
        ASE `Atoms` of the chosen frame: measured positions [Å], not relaxed.
    choice, relaxation, dynamics
        The engine and why; its relaxation and its constant-energy run, the rim of the flake held.
    warnings
        What a careful reader should know, a sentence each.
    provenance
        Inputs, settings, versions, seeds and the numbers of each stage.
    """

    micrograph: Micrograph
    pixel_size: float
    pixel_size_source: str
    atoms_found: pd.DataFrame
    structure: Any
    choice: EngineChoice
    relaxation: Run
    dynamics: Run
    warnings: list[str]
    provenance: dict


def run_image(
    image: PathLike | Micrograph,
    *,
    pixel_size: float | None = None,
    material: str = "graphene",
    engine: EngineLike = "auto",
    ensemble: PathLike | Ensemble | None = None,
    frame: int = 0,
    rng: RandomState = 0,
    show_progress: bool = False,
) -> Report:
    """Take a picture all the way: atoms with error bars, a structure, its relaxation, and 200 fs of dynamics.

    Parameters
    ----------
    image
        A file that `load_image` reads, what it returned, or the name of a fetched frame of `real_frames`.
    pixel_size
        In Å/px. If None it is measured from the lattice, and failing that taken from the file.
    material
        What the sheet is made of: one of those that an ensemble ships for, ``"graphene"`` or ``"MoS2"``.
    engine
        A key of `ENGINES`, ``"auto"`` (chosen by the elements found), or an `Engine`.
    ensemble
        An ensemble of this material, or its folder; the one that ships if None.
    frame
        Which frame of a stack becomes the structure. Atoms are found in all of them.
    rng
        Seed of the velocities.
    show_progress
        Show a bar.

    Returns
    -------
    Report

    Raises
    ------
    FileNotFoundError, ValueError, NoAtomsFound, EngineMissing, SimulationError
        Each says what to do.
    Stopped
        At an interrupt; the text says during which stage, and `result` is a dict of what was finished before
        it, named as in `Report`.
    """
    check_material(material)
    check_engine(engine)
    warnings: list[str] = []
    done: dict[str, Any] = {}
    with _stages("reading the image", done, show_progress) as stage:
        nets = ensemble_of(material, ensemble)
        micrograph = open_frames(image)
        warnings += micrograph.metadata.get("notes", [])
        check_choice("frame", frame, range(len(micrograph.frames)))
        size, source = resolve_pixel_size(
            micrograph, pixel_size, material=material, frame=frame, warnings=warnings
        )
        done |= {"micrograph": micrograph, "pixel_size": size, "pixel_size_source": source}
        stage("finding atoms")
        found = done["atoms_found"] = find_atoms(nets, micrograph.frames, pixel_size=size, batch=BATCH)
        structure = done["structure"] = to_atoms(found, frame=frame, material=material)
        done["atoms_found"] = with_contacts(found, structure)
        stage("relaxing")
        choice = done["choice"] = choose_engine(structure, engine)
        relaxation = done["relaxation"] = relax(
            _rim_held(structure), engine=choice, fmax=FMAX, steps=RELAX_STEPS
        )
        counts = account(done["atoms_found"], structure, relaxation)
        warnings += doubts(counts, relaxation)
        stage("molecular dynamics")
        (seed,) = spawn_seeds(rng, 1)
        dynamics = done["dynamics"] = run_md(
            relaxation.atoms, engine=choice, rng=seed, every=5, steps=MD_STEPS, timestep_fs=TIMESTEP_FS,
            temperature_K=START_K, ensemble="nve",
        )  # fmt: skip
        stage("reporting")
        ran = {name: dynamics.info[name] for name in ("timestep_fs", "temperature_K", "ensemble")}
        md = {"steps": MD_STEPS, **ran, "seed": seed}
        report = Report(**done, warnings=warnings, provenance={"atoms": counts, "md": md})
        report.provenance.update(_provenance(report, nets, material))
    return report


@contextmanager
def _stages(first: str, done: dict[str, Any], show_progress: bool) -> Iterator[Callable[[str], None]]:
    """Tell bar and log which stage begins, and an interrupt during which it came and what was done before."""
    began = [first]

    def say(_: str) -> str:
        return f"stopped by an interrupt at stage {len(began)} of {STAGES}, {began[-1]}"

    with progress(total=STAGES, desc=first, enabled=show_progress) as bar, stopped_as(say, lambda: done):

        def stage(name: str) -> None:
            began.append(name)
            bar.update()
            bar.set_description(name)
            logger.info("%s", name)

        logger.info("%s", first)
        yield stage


def _rim_held(structure: Any) -> Any:
    """The structure with its outermost columns held: in the sample the sheet goes on beyond the picture."""
    column = structure.arrays["table_row"]
    _, first = np.unique(column, return_index=True)
    rim = edge_atoms(structure[first])  # seen from above one atom hides the others of its column
    held = structure.copy()
    if not rim.all():
        held.set_constraint(FixAtoms(mask=np.isin(column, column[first][rim])))
    return held


def summary(report: Report) -> str:
    """Say in a few lines what was found, what became of each atom, and how far it was relaxed."""
    found = report.provenance
    elements = ", ".join(f"{n} {element}" for element, n in found["elements"].items())
    return (
        f"{elements} at {report.pixel_size:.4f} Å/px ({report.pixel_size_source}).\n"
        f"{report.choice.name}: {report.choice.reason}\n"
        f"{in_words(found['atoms'], report.relaxation)}\n"
        f"Energy kept to {found['md_energy_drift_meV_per_atom']:.2f} meV/atom over 200 fs.\n"
    )


def save_report(report: Report, folder: PathLike, *, overwrite: bool = False) -> dict[str, Path]:
    """Write a report's files into `folder`, all of them or none, whatever interrupts.

    What else lies there stays. The files of an earlier report are replaced, as long as nobody changed them.

    Parameters
    ----------
    overwrite
        True to replace files of the same names whoever wrote or changed them, and nothing else.

    Returns
    -------
    dict
        Name of each file to its path: ``atoms_found.csv``, ``structure.extxyz``, ``POSCAR``,
        ``structure.lmp``, ``md_log.csv``, ``overview.png`` and ``provenance.json``.

    Raises
    ------
    FileExistsError
        If a file of one of these names is not of such a report, or was changed since.
    """
    folder = check_report_folder(folder, overwrite=overwrite)
    with own_files(folder, NOTE, report.provenance, overwrite=overwrite) as beside:
        logger.info("writing %s", folder)
        report.atoms_found.to_csv(beside / "atoms_found.csv", index=False)
        for name in FILES:
            write_atoms(report.structure, beside / name)
        report.dynamics.log.to_csv(beside / "md_log.csv", index=False)
        (beside / "overview.png").write_bytes(plots.to_png(overview(report), dpi=120))
    return {name: folder / name for name in sorted([*REPORT, NOTE])}


def check_report_folder(folder: PathLike, *, overwrite: bool = False) -> Path:
    """Return a folder for a report, refusing one before anything is computed that `save_report` would."""
    return check_own(folder, NOTE, REPORT, overwrite=overwrite)


def overview(report: Report) -> Any:
    """Draw a report on one figure: image, atoms, structure, temperature and energy."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplot_mosaic(
        [["image", "atoms", "structure"], ["temperature", "temperature", "energy"]],
        figsize=(13, 8), height_ratios=[2, 1.2], layout="constrained",
    )  # fmt: skip
    frame = report.structure.info.get("frame", 0)
    picture, table = report.micrograph.frames[frame], report.atoms_found
    size = 12 * min(1.0, 300 / len(report.structure))  # markers of thousands of atoms would hide the picture
    plots.image(picture, pixel_size=report.pixel_size, ax=axes["image"], title=report.micrograph.name)
    plots.image(picture, ax=axes["atoms"])
    plots.atoms(one_frame(table, frame), ax=axes["atoms"], size=size, flagged=True, title="atoms found")
    axes["atoms"].set(xlim=axes["image"].get_xlim(), ylim=axes["image"].get_ylim())  # some lie just outside
    spread = report.structure.arrays["position_std_A"]
    plots.structure(
        report.structure,
        ax=axes["structure"],
        values=spread,
        label="spread of position [Å]",
        title="structure",
        size=size,
    )
    plots.temperature(
        report.dynamics.log, ax=axes["temperature"], title=f"{report.choice.name}, constant energy"
    )
    plots.energy(report.dynamics.log, n_atoms=len(report.structure), ax=axes["energy"], title="energy")
    return figure


def _provenance(report: Report, nets: Ensemble, material: str) -> dict:
    table = report.atoms_found
    reasons = flagged(table)["reason"].value_counts()
    return provenance("elit_helpers run") | {
        "inputs": _inputs(report.micrograph),
        "material": material,
        "pixel_size_A": report.pixel_size,
        "pixel_size_source": report.pixel_size_source,
        "pixel_size_file_A": report.micrograph.pixel_size,
        "ensemble": nets.card,
        "atoms_kept": len(kept(table)),
        "atoms_flagged": {str(reason): int(n) for reason, n in reasons.items()},
        "elements": {
            str(k): int(v)
            for k, v in pd.Series(report.structure.get_chemical_symbols()).value_counts().items()
        },
        "engine": {name: getattr(report.choice, name) for name in ("name", "reason", "lattice_mismatch")},
        "relaxation": report.relaxation.info,
        "rim_held": sum(len(c.index) for c in report.relaxation.atoms.constraints),
        "md_energy_drift_meV_per_atom": report.dynamics.info["drift_meV_per_atom"],
        "warnings": report.warnings,
    }


def _inputs(micrograph: Micrograph) -> dict[str, str]:
    """Return the hash of what was read: of a folder its frames, and nothing else that lies in it."""
    if "path" not in micrograph.metadata:
        return {}
    path, frames = Path(micrograph.metadata["path"]), micrograph.metadata.get("files")
    if frames is not None and not path.is_dir():
        path = path.parent  # it was a pattern of names
    return {path.name: sha256(path, frames)}
