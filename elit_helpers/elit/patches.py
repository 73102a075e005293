"""Training patches out of the experiment: where they are cut, and what makes them harder than they were.

Positions are (M, 2) rows and columns in pixels of the resampled frame.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.ndimage import gaussian_filter

from elit_helpers.core.checks import NoAtomsFound
from elit_helpers.ensemble.networks import UNSURE
from elit_helpers.images.disturbances import smooth_noise
from elit_helpers.images.masks import NET_PIXEL
from elit_helpers.images.normalise import normalise_frame

_PATCH = 64
_KNOWN = 0.6  # share of a patch that must be labelled
_WIDTH_PX = 1.8 / NET_PIXEL  # of the window of the local normalisation
_PEAK = 0.55  # of a spot's height: how far the mean of its disc is over what lies between the discs
Anchors = list[tuple[float, np.ndarray]]
"""For one frame: share of the patches to cut near one of some positions (M, 2), and these positions."""


def cut_patches(
    fine: np.ndarray,
    labels: Sequence[np.ndarray],
    background: int,
    *,
    n: int,
    rng: np.random.Generator,
    noise: float,
    anchors: Sequence[Anchors] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Cut `n` patches from frames with noise and hills added, where enough is known.

    Parameters
    ----------
    fine, labels
        Resampled frames (N, h, w) and a mask (h, w) for each.
    background
        Its channel.
    n
        Number of patches.
    noise
        Most that is added, in units of the frame's contrast.
    anchors
        For each frame, what is rare: that share of its patches lies about one of those positions.

    Returns
    -------
    images, labels
        Float32 and int8 (n, 64, 64).
    """
    anchors = anchors or [[]] * len(fine)
    if not any(((mask >= 0) & (mask < background)).any() for mask in labels):
        raise NoAtomsFound(
            "No candidate has two neighbours at a bond's distance, so there is nothing to learn from. "
            "Check the pixel size, or start from an ensemble trained with recipe='realistic'."
        )
    images, masks = np.empty((n, _PATCH, _PATCH), np.float32), np.empty((n, _PATCH, _PATCH), np.int8)
    per_frame = np.bincount(rng.integers(0, len(fine), n), minlength=len(fine))
    done = 0
    for i in np.flatnonzero(per_frame):
        disturbed = _Disturbed(fine[i], labels[i], background, noise, rng)
        # a frame is disturbed in four ways; where it gives only a few patches, in fewer
        for part in np.array_split(np.arange(per_frame[i]), min(4, -(-per_frame[i] // 8))):
            flat, mask = disturbed.draw(rng)
            near = [(share, _visible(mask, places, background)) for share, places in anchors[i]]
            for _ in part:
                rows, cols = _place(mask, near, rng)
                images[done], masks[done] = flat[rows, cols], mask[rows, cols]
                done += 1
    order = rng.permutation(n)
    return images[order], masks[order]


def _visible(mask: np.ndarray, places: np.ndarray, background: int) -> np.ndarray:
    """Return the places that are still an atom: a hill may have drowned some."""
    at = mask[tuple(np.round(places).astype(int).clip(0, np.array(mask.shape) - 1).T)]
    return places[(at >= 0) & (at < background)]


def check_room(shape: tuple[int, int], pixel_size: float) -> None:
    """Refuse frames (H, W) that no patch can be cut from."""
    there = tuple(int(round((n - 1) * pixel_size / NET_PIXEL)) + 1 for n in shape)
    if min(there) < _PATCH:
        raise ValueError(
            f"`frames` are {there} px at the ensemble's pixel size; at least {_PATCH} are needed each way. "
            "Pass larger frames."
        )


class _Disturbed:
    """A frame that is made hard to see: noise and hills of contamination added, the labels kept.

    Otherwise an ensemble would only be told again what it knows. What a hill drowns becomes background.
    The textures of hills are drawn once a frame; each hill takes a piece of them from another place.
    """

    def __init__(
        self,
        frame: np.ndarray,
        labels: np.ndarray,
        background: int,
        noise: float,
        rng: np.random.Generator,
    ) -> None:
        self.frame, self.labels, self.background = np.asarray(frame, np.float32), labels, background
        flat = self.frame - gaussian_filter(self.frame, _WIDTH_PX, truncate=3)
        atom = (labels >= 0) & (labels < background)
        known = atom.any() and (labels == background).any()
        over = float(np.median(flat[atom]) - np.median(flat[labels == background])) if known else 0.0
        self.peak = max(over / _PEAK, 1e-6)
        self.noise = noise * float(flat[atom].std()) if known else 0.0
        sizes = (2.5, 0.5, 1.6)  # Å: as `contamination_map` has them
        self.textures = [smooth_noise(frame.shape, s / NET_PIXEL, rng).astype(np.float32) for s in sizes]

    def draw(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Return the frame, disturbed and normalised, and its labels."""
        hills = np.zeros(self.frame.shape, np.float32)
        # hills: up to one for 240 Å², so that atoms are left
        for _ in range(rng.integers(0, max(4, round(hills.size * NET_PIXEL**2 / 240)))):
            self._add_hill(hills, np.exp(rng.uniform(0, 2.3)), rng.uniform(2.0, 8.0), rng)
        added = np.float32(self.noise * rng.uniform()) * rng.standard_normal(hills.shape, np.float32)
        drowned = gaussian_filter(hills, 0.75 / NET_PIXEL, truncate=3)
        mask = np.where((drowned > 1.0) & (self.labels != self.background), UNSURE, self.labels)
        mask = np.where(drowned > 1.5, self.background, mask)
        return normalise_frame(self.frame + np.float32(self.peak) * hills + added, _WIDTH_PX), mask

    def _add_hill(self, hills: np.ndarray, height: float, radius_A: float, rng: np.random.Generator) -> None:
        """Add one hill as `contamination_map` draws it, on the part of the frame that it reaches."""
        shape = np.array(hills.shape)
        centre, shift = rng.uniform(-0.1, 1.1, 2) * shape, rng.integers(0, shape)
        reach = 2 * radius_A / NET_PIXEL
        low = np.clip(centre - reach, 0, shape).astype(int)
        high = np.clip(centre + reach + 1, 0, shape).astype(int)
        if (low >= high).any():
            return
        rows, cols = (np.arange(a, b, dtype=np.float32) for a, b in zip(low, high, strict=True))
        place = np.ix_((rows.astype(int) + shift[0]) % shape[0], (cols.astype(int) + shift[1]) % shape[1])
        ragged, fine, broad = (texture[place] for texture in self.textures)
        away = np.hypot(rows[:, None] - centre[0], cols[None] - centre[1]) * (NET_PIXEL / radius_A)
        away /= np.maximum(1 + 0.25 * ragged, 0.3)
        envelope = height / (1 + np.exp(np.minimum((away - 1) / 0.18, 30)))
        part = hills[low[0] : high[0], low[1] : high[1]]
        part += np.maximum(envelope * (1 + 0.30 * fine + 0.25 * broad), 0)


def _place(labels: np.ndarray, anchors: Anchors, rng: np.random.Generator) -> tuple[slice, slice]:
    """Return a patch of a frame in which most pixels are known; the best of twenty tries."""
    best, known = None, -1.0
    room = np.array(labels.shape) - _PATCH
    chosen, drawn = None, rng.random()
    for share, places in anchors:
        if len(places) and drawn < share:
            chosen = places
            break
        drawn -= share if len(places) else 0.0
    for _ in range(20):
        corner = rng.integers(0, room + 1)
        if chosen is not None:
            near = chosen[rng.integers(len(chosen))] - rng.uniform(0.2, 0.8, 2) * _PATCH
            corner = np.clip(near.round().astype(int), 0, room)
        part = (slice(corner[0], corner[0] + _PATCH), slice(corner[1], corner[1] + _PATCH))
        share = float(np.mean(labels[part] != UNSURE))
        if share > known:
            best, known = part, share
        if share >= _KNOWN:
            break
    return best
