"""The healing study that ships: its table, the frames of its runs, and shares with their error bars."""

from __future__ import annotations

import gzip
import io
import itertools
import re
from collections.abc import Iterator, Sequence
from typing import TextIO

import pandas as pd
from ase import Atoms

from elit_helpers.core.checks import check_choice
from elit_helpers.course.notebook import data_dir

OUTCOMES = ("healed", "partly", "not")
SURE = 0.68  # one standard error


def healing_shares(table: pd.DataFrame, *, by: str | Sequence[str] = "molecule") -> pd.DataFrame:
    """Count how many runs healed, healed partly or not, with the error bar of each share.

    Parameters
    ----------
    table : DataFrame
        One row a run, as `Healing.row` or `healing_runs`: ``outcome`` and the columns named in `by`.
    by : str or sequence of str
        Columns that tell the groups apart.

    Returns
    -------
    DataFrame
        One row a group and outcome: the columns of `by`, ``outcome``, ``count``, ``runs`` of the group,
        ``share``, and ``low, high``, its 68 % interval (Wilson's, of a binomial share; it has a width for
        none and for all, too).

    Raises
    ------
    ValueError
        A column is missing, or an outcome is none of ``"healed"``, ``"partly"``, ``"not"``.
    """
    from scipy.stats import binomtest

    names = [by] if isinstance(by, str) else list(by)
    missing = [name for name in [*names, "outcome"] if name not in table]
    if missing:
        raise ValueError(f"`table` has no column {', '.join(missing)}; it has {', '.join(table.columns)}.")
    for word in table["outcome"].unique():
        check_choice("outcome", word, OUTCOMES)
    rows = []
    for key, own in table.groupby(names, sort=False):
        for word in OUTCOMES:
            count = int((own["outcome"] == word).sum())
            between = binomtest(count, len(own)).proportion_ci(SURE, method="wilson")
            rows.append((*key, word, count, len(own), count / len(own), between.low, between.high))
    return pd.DataFrame(rows, columns=[*names, "outcome", "count", "runs", "share", "low", "high"])


def healing_runs() -> pd.DataFrame:
    """Load the table of the healing study that ships, one row a run (see its card in ``data/README.md``)."""
    return pd.read_csv(data_dir() / "healing" / "runs.csv")


def healing_frames(name: str) -> list[Atoms]:
    """Load the frames of one run by tight binding of the healing study.

    Parameters
    ----------
    name : str
        From the column ``name`` of `healing_runs`; runs by AIREBO ship without frames.

    Returns
    -------
    list of ase.Atoms
        A frame every 10 fs and then the cooled end. ``info`` has ``time_fs`` (-1 for the cooled one),
        ``potential_eV``, and of the molecule's carbon ``distance_A`` from the hole and ``bonds``.

    Raises
    ------
    ValueError
        There is no such run.
    """
    from ase.io import read

    with gzip.open(data_dir() / "healing" / "runs.extxyz.gz", "rt", encoding="utf-8") as file:
        blocks = list(_blocks(file))
    check_choice("name", name, list(dict.fromkeys(run for run, _ in blocks)))
    own = "".join(text for run, text in blocks if run == name)
    return read(io.StringIO(own), index=":", format="extxyz")


def _blocks(file: TextIO) -> Iterator[tuple[str, str]]:
    """Split a file of frames without parsing them: the run in the header of each, and its text."""
    for count in file:
        header = next(file)
        run = re.search(r"\brun=(\S+)", header)[1]
        yield run, "".join([count, header, *itertools.islice(file, int(count))])
