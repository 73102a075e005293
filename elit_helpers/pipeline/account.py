"""What became of every atom that was found, and whether what was relaxed has come to rest."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from ase import Atoms

from elit_helpers.core.atoms_table import one_frame
from elit_helpers.engines.plan import held_atoms
from elit_helpers.simulate.result import Run, unsettled

CONTACT = "contact"  # the reason of an atom that `to_atoms` leaves out
MANY = 0.02  # of the atoms: fewer are counted, more are worth a sentence as well


def with_contacts(table: pd.DataFrame, structure: Atoms) -> pd.DataFrame:
    """The table of atoms, with those flagged that `to_atoms` left out because they are in contact."""
    told, used = table.copy(), np.zeros(len(table), bool)
    used[structure.arrays["table_row"]] = True
    own = (told["frame"] == structure.info["frame"]).to_numpy()
    out = own & told["kept"].to_numpy(bool) & ~used
    told.loc[out, "kept"], told.loc[out, "reason"] = False, CONTACT
    return told


def account(table: pd.DataFrame, structure: Atoms, relaxation: Run) -> dict[str, Any]:
    """Count the atoms of the structure's frame, from those found to those simulated.

    Returns
    -------
    dict
        ``found`` (rows of the frame), ``left_out`` (reason to number), ``kept`` (rows), ``in_structure``
        (atoms: more where a column holds several), ``loose`` of them (no chain of bonds connects them with
        the largest piece), ``held`` (the rim) and ``moving`` in the simulation.
    """
    own = one_frame(table, structure.info["frame"])
    reasons = own.loc[~own["kept"].astype(bool), "reason"].value_counts()
    held = int(held_atoms(relaxation.atoms).sum())
    return {
        "frame": int(structure.info["frame"]), "found": len(own),
        "left_out": {str(reason): int(n) for reason, n in reasons.items()},
        "kept": int(own["kept"].sum()), "in_structure": len(structure),
        "loose": int(structure.info["loose_atoms"]), "held": held, "moving": len(structure) - held,
    }  # fmt: skip


def doubts(counts: dict[str, Any], relaxation: Run) -> list[str]:
    """What a careful reader should know of it before the dynamics, a sentence each."""
    said, found, atoms = [], counts["found"], counts["in_structure"]
    contacts, loose = counts["left_out"].get(CONTACT, 0), counts["loose"]
    if contacts > MANY * found:
        said.append(
            f"{contacts} of the {found} atoms found are so close to a more probable one that they were left "
            f"out ({CONTACT} in atoms_found.csv): this is not how atoms of one sheet lie."
        )
    if loose > MANY * atoms:
        said.append(
            f"{loose} of the {atoms} atoms of the structure are loose, no chain of bonds connects them with "
            "the largest piece; they are simulated with it. to_atoms(..., keep_loose=False) leaves them out."
        )
    if sentence := unsettled(relaxation):
        said.append(f"{sentence[0].upper()}{sentence[1:]}. The dynamics starts from there all the same.")
    return said


def in_words(counts: dict[str, Any], relaxation: Run) -> str:
    """The account in two lines."""
    out = ", ".join(f"{n} {reason}" for reason, n in counts["left_out"].items())
    loose = f", {counts['loose']} of them loose" if counts["loose"] else ""
    info = relaxation.info
    rest = "at rest" if info["converged"] else "NOT at rest"
    return (
        f"Frame {counts['frame']}: {counts['found']} atoms found, {counts['found'] - counts['kept']} left "
        f"out{f' ({out})' if out else ''}, {counts['in_structure']} in the structure{loose}; "
        f"{counts['held']} at the rim held.\n"
        f"Relaxed in {info['steps']} steps to {info['fmax']:.2g} eV/Å ({info['fmax_asked']:g} asked): {rest}."
    )
