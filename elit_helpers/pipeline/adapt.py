"""Algorithm 1 on a microscopist's own frames: from files to an ensemble in a folder, resumable."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from elit_helpers.core.checks import ElitError, PathLike, check_count, check_frames, check_path, logger
from elit_helpers.core.files import check_folder, made, remove_own
from elit_helpers.core.interrupts import Hold
from elit_helpers.core.resume import Job
from elit_helpers.elit.algorithm import ElitResult, run_elit
from elit_helpers.elit.stages import finished_of, forget
from elit_helpers.ensemble.settings import Ensemble, TrainSettings, settings_of
from elit_helpers.ensemble.storage import SAVED, fingerprint_of, save_ensemble
from elit_helpers.images.masks import NET_PIXEL
from elit_helpers.images.recipes import RECIPES
from elit_helpers.io.micrograph import Micrograph
from elit_helpers.pipeline.inputs import check_material, ensemble_of, open_frames, resolve_pixel_size
from elit_helpers.samples.materials import material_of

MOST_PIXELS = 6_000_000  # of the net's own size, in all frames: the maps of five members then take 400 MB
_NOTE, _STAGES, _RESULT = "adapt.json", "stages", "result"
_TABLES = {"history": "stages.csv", "member_scores": "member_scores.csv", "atoms": "atoms_found.csv"}
_FILES = (*SAVED, *_TABLES.values())


@dataclass(frozen=True)
class Adapted:
    """An ensemble that was adapted to an experiment.

    Attributes
    ----------
    folder
        Where it lies now; `load_ensemble` and ``run --ensemble`` take it.
    result
        What `run_elit` returned: every stage, and why the rounds ended.
    pixel_size, pixel_size_source
        What was used [Å/px], and whose word it is: ``"user"``, ``"lattice"`` or ``"file"``.
    warnings
        What a careful reader should know, a sentence each.
    """

    folder: Path
    result: ElitResult
    pixel_size: float
    pixel_size_source: str
    warnings: list[str]


def adapt_ensemble(
    frames: PathLike | Micrograph,
    folder: PathLike,
    *,
    pixel_size: float | None = None,
    material: str = "graphene",
    start: PathLike | Ensemble | None = None,
    rounds: int = 2,
    members: int = 5,
    settings: str | TrainSettings = "class",
    keep: Sequence[int] | None = None,
    rng: int = 0,
    progress: bool = False,
) -> Adapted:
    """Run Algorithm 1 on frames of an experiment and save the ensemble of its last stage.

    What is finished is kept in ``FOLDER.partial`` meanwhile. The same call goes on from there, whatever
    stopped the one before, and ends with the same weights.

    Parameters
    ----------
    frames
        A file or folder that `load_image` reads, what it returned, or the name of a fetched real frame.
    folder
        Where the ensemble goes; must not be there yet, or be empty.
    pixel_size
        In Å/px. If None it is measured from the lattice, and failing that taken from the file.
    material
        What the sheet is made of: one of those that an ensemble ships for.
    start
        An ensemble of this material or its folder; the one that ships if None. Or the name of one of
        `RECIPES`: then line 1 trains on simulation from random weights.
    rounds, keep
        As for `run_elit`.
    members
        Number of networks of each stage that is trained.
    settings
        Name of one of `PRESETS`, or your own. Nets that go on from an ensemble keep their size.
    rng
        Seed.
    progress
        Show bars.

    Returns
    -------
    Adapted

    Raises
    ------
    FileNotFoundError, ValueError, NoAtomsFound, CorruptEnsemble
        Each says what to do.
    Stopped
        At an interrupt; what was finished until then is in ``FOLDER.partial``.
    """
    folder = check_new_folder(folder)
    origin, trained = _origin(start, check_material(material), settings, members)
    keep = _check_keep(keep, len(origin) if isinstance(origin, Ensemble) else members)
    check_count("rng", rng, 0)  # a seed: without one the run could not go on where it stopped
    micrograph = open_frames(frames)
    warnings = list(micrograph.metadata.get("notes", []))
    size, source = resolve_pixel_size(micrograph, pixel_size, material=material, frame=0, warnings=warnings)
    stack = _some(micrograph, size, warnings)
    by_name = isinstance(origin, str)
    arguments = {
        "pixel_size": size, "data": origin, "material": material, "settings": trained, "rounds": rounds,
        "rng": int(rng), "keep": keep, "simulated": origin if by_name else "realistic",
    }  # fmt: skip
    description = arguments | {
        "frames": stack,
        "data": origin if by_name else fingerprint_of(origin),
        "settings": dataclasses.asdict(trained),
    }
    with _partial(folder, description) as job:
        result = run_elit(stack, **arguments, checkpoint=job.folder / _STAGES, progress=progress)
        warnings += _without_gain(result)
        about = {"adapted_to": micrograph.name, "pixel_size_source": source, "warnings": warnings}
        about |= {"material": material, "job": job.description}
        _save(result, about, job.folder / _RESULT)
    logger.info("wrote %s", folder)
    return Adapted(folder, result, size, source, warnings)


# --------------------------------------------------------------------------- what goes in
def check_new_folder(folder: PathLike) -> Path:
    """Return a folder to make, refusing one that holds something before anything is computed."""
    folder = check_folder("folder", folder)
    if folder.is_dir() and any(folder.iterdir()):
        raise FileExistsError(
            f"`folder` is {folder}, which is not empty. Choose a name that is not there yet."
        )
    return folder


def _origin(
    start: PathLike | Ensemble | None, material: str, settings: str | TrainSettings, members: int
) -> tuple[Ensemble | str, TrainSettings]:
    """Return what line 1 starts from, an ensemble or a recipe's name, and the settings that fit to it."""
    settings = dataclasses.replace(settings_of(settings), members=members)
    if isinstance(start, str) and start in RECIPES:
        # The recipes of graphene are for whatever sheet; those of another sheet are for that one only.
        if material_of(RECIPES[start].material).name not in ("graphene", material):
            raise ValueError(f"`start` is {start!r}, which does not simulate {material}. Use 'realistic'.")
        return start, settings
    if isinstance(start, (str, os.PathLike)) and not check_path("start", start).exists():
        raise ValueError(
            f"`start` is {os.fspath(start)!r}, neither a folder nor a recipe; the recipes are "
            f"{', '.join(map(repr, RECIPES))}."
        )
    origin = ensemble_of(material, start)
    same = {name: getattr(origin.settings, name) for name in ("filters", "layers")}  # shapes of the weights
    return origin, dataclasses.replace(settings, **same)


def _check_keep(keep: Sequence[int] | None, members: int) -> list[int] | None:
    if keep is None:
        return None
    chosen = sorted({int(i) for i in keep})
    if not chosen or chosen[0] < 0 or chosen[-1] >= members:
        raise ValueError(f"`keep` is {list(keep)}; choose one at least of the members 0 to {members - 1}.")
    return chosen


def _some(micrograph: Micrograph, pixel_size: float, warnings: list[str]) -> np.ndarray:
    """Return as many frames (N, H, W) as the maps of an ensemble have room for, evenly spaced."""
    each = micrograph.height * micrograph.width * (pixel_size / NET_PIXEL) ** 2
    there, room = len(micrograph), max(1, int(MOST_PIXELS / each))
    if room < there:
        warnings.append(f"{room} of the {there} frames are used, evenly spaced: for more there is no memory.")
    chosen = np.unique(np.linspace(0, there - 1, min(room, there)).round().astype(int))
    return check_frames(np.stack([micrograph.frames[int(i)] for i in chosen]), "frames")


def _without_gain(result: ElitResult) -> list[str]:
    """Say it where the lattice, all that is known without a truth, speaks for the ensemble of the start."""
    rows = result.history.set_index("stage")["lattice_score"]
    if result.last not in rows or rows[result.last] >= rows["E_initial"]:
        return []
    fell = f"from {rows['E_initial']:.3f} (E_initial) to {rows[result.last]:.3f} ({result.last})"
    return [f"The lattice score fell {fell}; nothing was gained on these frames. Stay with what you had."]


# --------------------------------------------------------------------------- what is left behind
def partial_of(folder: PathLike) -> Path:
    """Return where `adapt_ensemble` keeps what is finished, until all is."""
    folder = check_path("folder", folder)
    return folder.with_name(folder.name + ".partial")


@contextmanager
def _partial(folder: Path, description: dict[str, Any]) -> Iterator[Job]:
    """Give the job, kept beside the folder until it is done, and then move its result to the folder.

    An error that would come again ends it, too.
    """
    job = Job.open(partial_of(folder), description, name=_NOTE)
    try:
        yield job
    except (ElitError, ValueError, TypeError):
        if not job.begun:
            with Hold():
                _forget(job.folder)
        raise
    with Hold(), made(folder.parent):
        os.replace(job.folder / _RESULT, folder)  # which is not there, or is empty
        _forget(job.folder)


def _forget(partial: Path) -> None:
    """Delete what was kept meanwhile; what somebody else put there stays."""
    forget(partial / _STAGES)
    remove_own(partial, _NOTE, f".{_NOTE}-????????/*", *(f"{_RESULT}/{name}" for name in _FILES))


def how_far(folder: PathLike) -> str:
    """Say what `adapt_ensemble` has left, after an interrupt, and how to go on."""
    folder, partial = check_path("folder", folder), partial_of(folder)
    if folder.is_dir() and any(folder.iterdir()):
        return f"All was done: the ensemble is in {folder}."
    if not partial.is_dir():
        return "Nothing was written; the same command begins anew."
    finished = ", ".join(finished_of(partial / _STAGES))
    if not finished:
        return f"No stage is finished yet; the same command goes on in {partial}."
    return f"What is finished ({finished}) is in {partial}; the same command goes on from there."


def _save(result: ElitResult, about: dict[str, Any], target: Path) -> None:
    """Write the last ensemble with its tables."""
    remove_own(target, *_FILES)  # of a call that was killed here
    stages = json.loads(result.history.to_json(orient="records"))
    final = result.final
    card = final.card | about | {"stages": stages, "stopped": result.stopped}
    save_ensemble(dataclasses.replace(final, card=card), target)
    for name, file in _TABLES.items():
        getattr(result, name).to_csv(target / file, index=False)
