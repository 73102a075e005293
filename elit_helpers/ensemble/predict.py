"""What an ensemble says of frames: maps with their spread and entropy, for a stack or as a stream."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from elit_helpers.core import checks
from elit_helpers.core.settings import memory_limit, threads
from elit_helpers.core.spill import roomy
from elit_helpers.ensemble import networks, tiles
from elit_helpers.ensemble.settings import Ensemble
from elit_helpers.images.normalise import normalise
from elit_helpers.images.resample import resample


@dataclass
class Prediction:
    """What an ensemble says of each pixel, on its own pixel grid.

    Maps that `predict` makes lie on temporary files: a stack of them needs little of a small memory.

    Attributes
    ----------
    mean, std
        Probability of each class and its spread over members, float32 (N, H, W, K + 1), background last.
    members
        Probabilities of each member, float16 (M, N, H, W, K + 1), or None.
    classes
        Element symbols of the first K channels.
    pixel_size
        Of these maps [Å/px].
    scale
        For rows and columns: position in the frame = position in these maps / scale [px].
    shape_original
        Height and width of the frames that went in [px].
    pixel_size_original
        Of the frames that went in [Å/px].
    expected_entropy
        Mean over the members of the entropy of each, float32 (N, H, W) [nat]: doubt that every member has by
        itself, such as noise gives. None in a prediction that was put together by hand.
    """

    mean: np.ndarray
    std: np.ndarray
    members: np.ndarray | None
    classes: tuple[str, ...]
    pixel_size: float
    scale: tuple[float, float]
    shape_original: tuple[int, int]
    pixel_size_original: float
    expected_entropy: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.mean)

    def __getitem__(self, frames: slice | np.ndarray) -> Prediction:
        """Return the prediction of some of the frames: ``prediction[:2]``, or an array of their numbers."""
        if isinstance(frames, (int, np.integer)):
            raise TypeError(f"`frames` is {frames}; a prediction is of several, use [{frames}:{frames + 1}].")
        members = None if self.members is None else self.members[:, frames]
        own = None if self.expected_entropy is None else self.expected_entropy[frames]
        return dataclasses.replace(
            self, mean=self.mean[frames], std=self.std[frames], members=members, expected_entropy=own
        )

    @property
    def entropy(self) -> np.ndarray:
        """Entropy of the mean over the classes, float32 (N, H, W) [nat]: all the doubt there is."""
        return np.stack([tiles.entropy(mean) for mean in self.mean])

    @property
    def mutual_information(self) -> np.ndarray:
        """Entropy of the mean minus the mean entropy, float32 (N, H, W) [nat]: what members disagree about.

        Raises
        ------
        ValueError
            If the prediction does not know its `expected_entropy`.
        """
        if self.expected_entropy is None:
            raise ValueError(
                "`expected_entropy` is None; it cannot be had from the mean alone. Use predict(...) anew."
            )
        return np.maximum(self.entropy - self.expected_entropy, 0)


def members_of(prediction: Prediction) -> np.ndarray:
    """Return the maps of the members, refusing a prediction that has not kept them."""
    if prediction.members is None:
        raise ValueError("`prediction` has no maps of its members; use predict(..., members=True).")
    return prediction.members


def predict(
    ensemble: Ensemble,
    images: np.ndarray,
    *,
    pixel_size: float,
    members: bool = True,
    progress: bool = False,
) -> Prediction:
    """Apply an ensemble to frames of any size; what it says of one does not depend on the others.

    Frames are resampled to the ensemble's pixel size, normalised one by one, and predicted in tiles that
    overlap by what a net can see, so that memory grows with the maps only. For stacks whose maps do not fit,
    `predict_stream` gives a few frames at a time.

    Parameters
    ----------
    images
        Raw frames (N, H, W) or one frame (H, W).
    pixel_size
        Of the frames [Å/px].
    members
        False to leave out the members' own maps, which take the most memory. Without them
        `locate_atoms` cannot give the spread of a position.
    progress
        True for a bar.

    Returns
    -------
    Prediction
        Maps on the ensemble's pixel grid.

    Raises
    ------
    ValueError
        If the frames or the pixel size are not usable.
    """
    frames = checks.check_frames(images, "images")
    pixel_size = checks.check_pixel_size(pixel_size)
    bar = checks.progress(total=len(frames), desc="predicting", enabled=progress)
    with bar, _Nets(ensemble) as nets:
        return nets.predict(frames, pixel_size, members, bar)


def predict_stream(
    ensemble: Ensemble,
    frames: Any,
    *,
    pixel_size: float,
    members: bool = True,
    batch: int = 4,
    progress: bool = False,
) -> Iterator[tuple[int, Prediction]]:
    """Apply an ensemble to a long stack, a few frames at a time: memory does not grow with its length.

    Parameters
    ----------
    frames
        Raw frames (N, H, W): an array, a memory map, a dataset of HDF5, anything with a shape of which
        slices can be read. Nothing else of it is read.
    pixel_size, members
        As for `predict`.
    batch
        Frames a time.
    progress
        True for a bar.

    Yields
    ------
    first : int
        Index of the first frame of the batch.
    prediction : Prediction
        Of the batch, the same as `predict` gives of these frames.

    Raises
    ------
    ValueError
        If the frames, the pixel size or `batch` are not usable.
    """
    pixel_size, batch = checks.check_pixel_size(pixel_size), checks.check_count("batch", batch)
    shape = tuple(getattr(frames, "shape", ()))
    if len(shape) != 3 or not shape[0]:
        raise ValueError(
            f"`frames` has shape {shape}; it must be an array-like (N, H, W) with at least one frame. "
            "Use frames[None] for a single one."
        )
    return _stream(ensemble, frames, pixel_size, members, batch, progress)


def _stream(
    ensemble: Ensemble, frames: Any, pixel_size: float, members: bool, batch: int, progress: bool
) -> Iterator[tuple[int, Prediction]]:
    nets = _Nets(ensemble)
    with checks.progress(total=len(frames), desc="predicting", enabled=progress) as bar:
        for first in range(0, frames.shape[0], batch):
            some = checks.check_frames(np.asarray(frames[first : first + batch]), "frames")
            with nets:  # global state is the caller's again between two batches
                prediction = nets.predict(some, pixel_size, members, bar)
            yield first, prediction


class _Nets:
    """The networks of an ensemble, made once, and the threads they run in while the context lasts."""

    def __init__(self, ensemble: Ensemble) -> None:
        self.ensemble, self.nets = ensemble, None

    def __enter__(self) -> _Nets:
        with contextlib.ExitStack() as stack:
            stack.enter_context(networks.contained())
            if self.nets is None:
                e = self.ensemble
                self.nets = [
                    networks.make_net(w, n_classes=len(e.classes), settings=e.settings) for w in e.weights
                ]
            workers = _workers(self.ensemble)
            self.pool = ThreadPoolExecutor(workers, "elit-predict", initializer=networks.use_one_thread)
            stack.callback(self.pool.shutdown, wait=True, cancel_futures=True)
            self.stack = stack.pop_all()
        return self

    def __exit__(self, *error: Any) -> None:
        self.stack.__exit__(*error)

    def predict(self, frames: np.ndarray, pixel_size: float, members: bool, bar: Any) -> Prediction:
        ensemble, found = self.ensemble, None
        for i, frame in enumerate(frames):
            fine, scale = resample(frame, pixel_size=pixel_size, target=ensemble.pixel_size)
            flat = normalise(fine, pixel_size=ensemble.pixel_size)[0]
            if found is None:
                found = _empty(ensemble, (len(frames), *flat.shape), members)
                found.scale, found.shape_original = scale, frame.shape
                found.pixel_size_original = pixel_size
            for (rows, cols), maps in tiles.ensemble_maps(self.nets, flat, ensemble.temperature, self.pool):
                mean, std, own_entropy = tiles.over_members(maps)
                found.mean[i, rows, cols], found.std[i, rows, cols] = mean, std
                found.expected_entropy[i, rows, cols] = own_entropy
                if members:
                    found.members[:, i, rows, cols] = maps
            bar.update(1)
        return found


def _workers(ensemble: Ensemble) -> int:
    """Return how many tiles to predict at once: half the memory there is may go into them."""
    room = memory_limit()[0] / 2 / tiles.bytes_a_thread(ensemble.settings.filters)
    return max(1, min(threads(), int(room)))


def _empty(ensemble: Ensemble, shape: tuple[int, int, int], members: bool) -> Prediction:
    full = (*shape, len(ensemble.classes) + 1)
    return Prediction(
        mean=roomy(full, np.float32),
        std=roomy(full, np.float32),
        members=roomy((len(ensemble), *full), np.float16) if members else None,
        classes=ensemble.classes,
        pixel_size=ensemble.pixel_size,
        scale=(1.0, 1.0),
        shape_original=shape[1:],
        pixel_size_original=ensemble.pixel_size,
        expected_entropy=roomy(shape, np.float32),
    )
