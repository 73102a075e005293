"""Algorithm 1 (Ensemble Learning–Iterative Training): the loop around its lines.

A. Ghosh, B. G. Sumpter, O. Dyck, S. V. Kalinin, M. Ziatdinov, npj Comput. Mater. 7, 100 (2021),
doi 10.1038/s41524-021-00569-7. Lines 1 and 6 are `train_ensemble`, lines 2 and 7 `predict`; line 3 is in
`select`, line 5 in `pairs`, line 9 in `elements`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from elit_helpers.core.checks import PathLike, RandomState, check_count, check_frames, check_pixel_size
from elit_helpers.core.interrupts import Stopped
from elit_helpers.elit.honeycomb import Honeycomb
from elit_helpers.elit.patches import check_room
from elit_helpers.elit.rounds import Pairs, Rounds, one_class, pairs_of
from elit_helpers.elit.stages import Checkpoint
from elit_helpers.ensemble.settings import Ensemble, TrainSettings, settings_of
from elit_helpers.ensemble.storage import fingerprint_of
from elit_helpers.samples.materials import Material


@dataclass
class ElitResult:
    """What Algorithm 1 left behind.

    Attributes
    ----------
    history
        A row a stage (``E_initial``, ``E_0``, ``E_1`` …, ``E_final``): members, atoms a frame, lattice share
        and density, `lattice_score`, `changed` (share of the kept atoms that the stage before did not have,
        or this one lost), `seconds` (training and prediction), and what `score` returned.
    ensembles
        The ensemble of each stage by its name.
    atoms
        Table of atoms of the last stage that is built upon, faint candidates from 0.1 on among them.
    member_scores
        What `select_artifact_free` found of the members of ``E_initial``.
    stopped
        Why the rounds ended, as a sentence.
    last
        Name of the stage that `final` and `atoms` are of.
    """

    history: pd.DataFrame
    ensembles: dict[str, Ensemble]
    atoms: pd.DataFrame
    member_scores: pd.DataFrame = field(default_factory=pd.DataFrame)
    stopped: str = ""
    last: str = ""

    @property
    def final(self) -> Ensemble:
        """The ensemble of the last stage that is built upon."""
        return self.ensembles[self.last] if self.last else list(self.ensembles.values())[-1]


def run_elit(
    frames: np.ndarray,
    *,
    pixel_size: float,
    data: Pairs | str | Ensemble = "realistic",
    material: str | Material = "graphene",
    settings: TrainSettings | str = "class",
    rounds: int = 2,
    rng: RandomState = None,
    score: Callable[[pd.DataFrame], dict] | None = None,
    keep: Sequence[int] | None = None,
    simulated: Pairs | str | None = None,
    checkpoint: PathLike | None = None,
    progress: bool = False,
    on_progress: Callable[[pd.DataFrame], None] | None = None,
) -> ElitResult:
    """Run Algorithm 1 on the frames of one experiment.

    The rounds end after `rounds`; or earlier, when a round changes less than half a percent of the kept
    atoms; or when one lowers the lattice score by more than half a percent, and then the round before is
    built upon. The lattice score is a weighted harmonic mean (as F½ is) of the share of nearest-neighbour
    distances that are a bond and of the density relative to the perfect sheet: what can be known without any
    truth.

    Parameters
    ----------
    frames
        The experiment (N, H, W).
    pixel_size
        Of the frames [Å/px].
    data
        One-class training pairs (images, labels), or the name of the recipe to simulate a thousand with; or
        an ensemble that was trained before, which then is ``E_initial``. One pair in five of each round is
        simulated in the same way, too: the experiment teaches the looks, and the simulation knows exactly
        where its atoms are.
    material
        What the sheet is made of: three neighbours at one distance, seen from above. A recipe by name is
        simulated for it.
    settings
        `TrainSettings` or the name of one of `PRESETS`.
    rounds
        Most iterations on the experiment; 0 goes straight on to the elements. Each round fits this
        experiment better and others worse.
    rng
        Seed or generator. Every stage draws from a generator of its own.
    score
        Called with the table of atoms of each stage; the numbers it returns go into the history. Nothing
        else sees them, so a truth that only `score` reads stays held back.
    keep
        Numbers of the members of ``E_initial`` to keep, chosen by hand; else `select_artifact_free` chooses.
    simulated
        Two-class pairs (images, labels), or the name of a recipe, to mix into the last training set; by
        default the recipe of `data`. Where `data` is an ensemble, these are mixed into the rounds, too.
    checkpoint
        Folder with a sub-folder for each finished stage. Run again with the same arguments, it goes on where
        it was interrupted, and ends with the same weights as an uninterrupted run on as many threads.
    progress
        True for bars.
    on_progress
        Called now and then with the losses so far (columns stage, member, step, loss).

    Returns
    -------
    ElitResult

    Raises
    ------
    ValueError
        If an argument cannot be used, or `checkpoint` holds a run with other arguments.
    CorruptEnsemble
        If a file of the checkpoint was changed or cut off.
    Stopped
        At an interrupt; its `result` is an `ElitResult` of the stages until then, whose `stopped` says so.
    """
    frames, pixel_size = check_frames(frames, "frames"), check_pixel_size(pixel_size)
    sheet, settings = Honeycomb.of(material), settings_of(settings)
    check_room(frames.shape[1:], pixel_size)
    check_count("rounds", rounds, 0)
    if simulated is None and isinstance(data, str):
        simulated = data
    elements = None if simulated is None else pairs_of(simulated, sheet.material, sheet.default_classes)
    if isinstance(data, Ensemble):
        # one that knows the elements keeps them, or its last layer would have to be learned again
        both = elements is not None and data.classes == sheet.default_classes
        source = elements if both or elements is None else one_class(elements, len(sheet.default_classes))
    else:
        both, source = False, pairs_of(data, sheet.material, None)
    arguments = {
        "frames": frames,
        "pixel_size": pixel_size,
        "data": fingerprint_of(data) if isinstance(data, Ensemble) else data,
        "material": sheet.material.name,
        "settings": dataclasses.asdict(settings),
        "rounds": rounds,
        "keep": None if keep is None else list(keep),
        "simulated": simulated,
    }
    stored = Checkpoint.open(checkpoint, arguments, rng)
    classes = sheet.default_classes if both else sheet.default_classes[:1]
    run = Rounds(frames, pixel_size, sheet, settings, score, stored, progress, on_progress, classes)
    try:
        run.first(data if isinstance(data, Ensemble) else None, source)
        run.select(keep)
        run.iterate(rounds, source)
        run.elements(elements)
    except KeyboardInterrupt as interrupt:
        raise _stopped(run) from interrupt
    return _result(run, run.last, run.stopped)


def _result(run: Rounds, last: str, why: str) -> ElitResult:
    stages = run.stages
    return ElitResult(
        pd.DataFrame([stage.row for stage in stages.values()]),
        {name: stage.ensemble for name, stage in stages.items()},
        stages[last].atoms,
        pd.DataFrame(stages["E_0"].notes["member_scores"]) if "E_0" in stages else pd.DataFrame(),
        why,
        last,
    )


def _stopped(run: Rounds) -> Stopped:
    """What an interrupt is turned into: which stages there are, where they are kept, how to go on."""
    names, folder = list(run.stages), run.checkpoint.job.folder
    what = f"after its stages {', '.join(names)}" if names else "before its first stage was finished"
    kept = "" if folder is None else f" What is finished is in {folder}; the same call goes on from there."
    why = f"Algorithm 1 was stopped by an interrupt {what}.{kept}"
    return Stopped(why, _result(run, names[-1], why) if names else None)
