"""What a notebook computed, kept by name, so that another run can show it without computing it again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from elit_helpers.core.checks import PathLike, check_path
from elit_helpers.core.own_files import Last, own_files
from elit_helpers.ensemble.map_files import load_prediction, save_prediction
from elit_helpers.ensemble.predict import Prediction
from elit_helpers.ensemble.settings import Ensemble
from elit_helpers.ensemble.storage import load_ensemble, save_ensemble

_VALUES, _NOTE = "values.json", "results.provenance.json"
_DIGITS = 4  # of the numbers in tables: what a page shows, and a tenth of the size


def save_results(results: Mapping[str, Any], folder: PathLike, *, overwrite: bool = False) -> Path:
    """Write results of a notebook to a folder, a file each, whole or not at all.

    Parameters
    ----------
    results
        By name. Ensembles, predictions (with their members), tables (one plain index; numbers are kept to
        four decimals), arrays, and plain values such as numbers, texts and lists.
    folder
        What an earlier call left there is replaced, as long as nobody changed it; what else lies there stays.
    overwrite
        True to replace files of the same names whoever wrote or changed them, and nothing else.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    ValueError
        If a name cannot be that of a file and of a variable.
    TypeError
        If a result is none of these.
    FileExistsError
        If a file of one of these names was not written by this function, or was changed since.
    """
    with own_files(folder, _NOTE, {"made_by": "save_results"}, overwrite=overwrite) as target:
        values = {}
        for name, result in results.items():
            if not name.isidentifier():
                raise ValueError(f"`results` has the name {name!r}; use letters, digits and underscores.")
            if isinstance(result, Ensemble):
                save_ensemble(result, target / name)
            elif isinstance(result, Prediction):
                save_prediction(result, target / f"{name}.npz")
            elif isinstance(result, pd.DataFrame):
                _write_table(result, target / f"{name}.csv.gz")
            elif isinstance(result, np.ndarray):
                np.save(target / f"{name}.npy", result, allow_pickle=False)
            else:
                values[name] = _plain(name, result)
        (target / _VALUES).write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")
    return check_path("folder", folder)


def load_results(folder: PathLike) -> dict[str, Any]:
    """Read what `save_results` wrote.

    Raises
    ------
    FileNotFoundError
        If the folder holds no results.
    CorruptEnsemble
        If an ensemble or a prediction in it was changed or cut off.
    """
    folder = check_path("folder", folder)
    if not (folder / _VALUES).is_file():
        raise FileNotFoundError(f"{folder} holds no results: {_VALUES} is not there. Use save_results first.")
    results = json.loads((folder / _VALUES).read_text(encoding="utf-8"))
    for path in sorted({folder / name.partition("/")[0] for name in Last(folder, _NOTE).hashes}):
        name = path.name.split(".")[0]
        if path.is_dir():
            results[name] = load_ensemble(path)
        elif path.suffix == ".npz":
            results[name] = load_prediction(path)
        elif path.suffix == ".gz":
            results[name] = pd.read_csv(path, index_col=0, keep_default_na=False, na_values=["nan"])
        elif path.suffix == ".npy":
            results[name] = np.load(path, allow_pickle=False)
    return results


def _write_table(table: pd.DataFrame, path: Path) -> None:
    # An empty text stays one, and the same table gives the same bytes on any day.
    table.round(_DIGITS).to_csv(path, na_rep="nan", compression={"method": "gzip", "mtime": 0})


def _plain(name: str, value: Any) -> Any:
    value = value.item() if isinstance(value, np.generic) else value
    try:
        json.dumps(value)
    except TypeError as error:
        raise TypeError(
            f"`results` has a {type(value).__name__} under {name!r}; allowed are ensembles, predictions, "
            "tables, arrays and plain values."
        ) from error
    return value
