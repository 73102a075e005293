"""A prediction as a file: what each member says, in one byte a pixel and class; the rest follows from it."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np

from elit_helpers.core.checks import CorruptEnsemble, PathLike
from elit_helpers.core.files import atomic_write
from elit_helpers.ensemble.predict import Prediction, members_of
from elit_helpers.ensemble.tiles import over_members

# Steps are even in the angle whose squared sine is the probability: finest near 0 and 1, where the entropy is
# steepest, and nowhere wider than a hundred and sixtieth.
_STEPS = 255
_FIELDS = ("classes", "pixel_size", "scale", "shape_original", "pixel_size_original")


def save_prediction(prediction: Prediction, path: PathLike) -> Path:
    """Write the members' maps of a prediction to a file ``.npz``, whole or not at all.

    Parameters
    ----------
    prediction
        With the members' maps. Each probability is kept to within 0.0031, near 0 and 1 much closer.
    path
        Of the file.

    Raises
    ------
    ValueError
        If the prediction has no maps of its members.
    """
    said = np.clip(members_of(prediction)[..., :-1].astype(np.float32), 0, 1)  # what is left is background
    codes = np.round(np.arcsin(np.sqrt(said)) * (2 * _STEPS / np.pi)).astype(np.uint8)
    about = json.dumps({name: getattr(prediction, name) for name in _FIELDS})
    with atomic_write(path) as target, target.open("wb") as stream:
        np.savez_compressed(stream, members=codes, about=np.array(about))
    return Path(path)


def load_prediction(path: PathLike) -> Prediction:
    """Read what `save_prediction` wrote; mean, spread and entropy are those of the maps as they were kept.

    Raises
    ------
    CorruptEnsemble
        If the file is none of these, or cut off.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path} is not there. Make it with save_prediction.")
    try:
        with Path(path).open("rb") as stream, np.load(stream) as stored:
            codes, about = stored["members"], json.loads(str(stored["about"]))
        classes, scale, shape = (tuple(about[name]) for name in ("classes", "scale", "shape_original"))
    except (ValueError, KeyError, TypeError, EOFError, OSError, zipfile.BadZipFile) as error:
        raise CorruptEnsemble(
            f"{path} is not a file of save_prediction ({error}). Delete it and predict again."
        ) from error
    said = np.sin(codes.astype(np.float32) * (np.pi / (2 * _STEPS))) ** 2
    background = np.clip(1 - said.sum(-1, keepdims=True), 0, 1)
    maps = np.concatenate([said, background], axis=-1)
    mean, std, own_entropy = over_members(maps)
    return Prediction(
        mean, std, maps.astype(np.float16), classes, about["pixel_size"], scale, shape,
        about["pixel_size_original"], own_entropy,
    )  # fmt: skip
