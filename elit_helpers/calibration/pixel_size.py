"""The true pixel size, measured from the lattice in the picture: twice, by ways that share nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from elit_helpers.calibration.cell_phase import cell_phase, expected_phase
from elit_helpers.calibration.neighbours import NeighbourScale, neighbour_scales
from elit_helpers.calibration.reflections import LatticeFit, refine, reflections, search
from elit_helpers.core.checks import ElitError, check_frames, check_pixel_size
from elit_helpers.samples.materials import Material, material_of

_SHORTEST, _LONGEST = 0.02, 0.30  # Å/px searched when nothing is known
_ENOUGH = 1.6  # contrast of reflections that needs no second witness; frames without a lattice stay below 1.4
_ENOUGH_CONFIRMED = 1.15  # contrast that counts if the neighbours say the same size
_SAME = 0.04  # the two estimates may differ by this, or by four of their standard errors
_SAME_IF_WEAK = 0.025  # and by this if the one has to confirm the other
_MOST_DISTORTED = 1.35  # ratio of the pixel's sides; more is a wrong lattice, not a scan


class CalibrationFailed(ElitError):
    """No lattice could be recognised; the text says what to do instead."""


@dataclass(frozen=True, repr=False)
class Calibration:
    """A measured pixel size [Å/px], its standard error, and how it compares with the file's.

    Parameters
    ----------
    pixel_size, std : float
        Side of a square as large as a pixel, from the lattice's reflections, and its standard error [Å/px].
        Where the neighbours differ by more than both errors explain, both errors are widened.
    method : str
    nominal : float or None
        What the file or the user said [Å/px].
    disagreement : float or None
        ``pixel_size / nominal - 1``; above 3 % it is worth a sentence in any report.
    contrast : float
        How far the lattice's reflections stand out from the rest of the spectrum: the mean logarithm of
        their power over what is usual at their distance from the centre.
    angle_deg : float
        Direction of one of the lattice's reflections.
    neighbours, neighbours_std : float or None
        The pixel size again, from the distances of neighbouring columns or hollows found in the picture
        itself [Å/px]; None where too few stand in regular surroundings.
    agreement : float or None
        ``neighbours / pixel_size - 1``.
    axes : tuple of float
        Length of a step to the next row and of a step to the next column [Å/px].
    anisotropy, anisotropy_std : float
        Longest over shortest side of the pixel's image in the sample: 1 for an undistorted scan.
    anisotropy_deg : float
        Direction in which a pixel is longest, counter-clockwise from the columns' axis, 0 to 180.
    shear_deg, shear_std_deg : float
        How much less than 90° there are between a step to the right and a step down: drift does this.
    to_A : ndarray, shape (2, 2)
        The whole linear map: ``to_A @ (rows, columns)`` [px] is a step in the lattice's own frame [Å].
    """

    pixel_size: float
    std: float
    method: str
    nominal: float | None = None
    disagreement: float | None = None
    contrast: float = np.nan
    angle_deg: float = np.nan
    neighbours: float | None = None
    neighbours_std: float | None = None
    agreement: float | None = None
    axes: tuple[float, float] = (np.nan, np.nan)
    anisotropy: float = np.nan
    anisotropy_std: float = np.nan
    anisotropy_deg: float = np.nan
    shear_deg: float = np.nan
    shear_std_deg: float = np.nan
    to_A: np.ndarray | None = None

    def __str__(self):
        text = f"{self.pixel_size:.5f} ± {self.std:.5f} Å/px ({self.method})"
        if self.neighbours is not None:
            text += f", neighbours say {self.neighbours:.5f} ± {self.neighbours_std:.5f}"
        if self.disagreement is not None:
            text += f", {100 * self.disagreement:+.1f} % against the nominal {self.nominal:.4f}"
        if self.anisotropy - 1 > max(0.02, 3 * self.anisotropy_std):
            text += f", anisotropic: {self.axes[0]:.4f} a row, {self.axes[1]:.4f} a column"
        return text

    __repr__ = __str__


def calibrate(
    image: np.ndarray, *, lattice: str | Material = "graphene", nominal: float | None = None
) -> Calibration:
    """Measure the pixel size from a known lattice, in the spectrum and again in the picture.

    1. The pattern of the lattice's reflections is laid over the power spectrum at every size and turn. Then
       one linear map (size, turn, unequal scan axes, shear) moves all reflections to where their power is
       greatest; its determinant gives the mean pixel size.
    2. The frame is smoothed until each cell shows one extremum. Neighbouring extrema make triangles, whose
       mean area is half a cell's, whatever the turn and the distortion.

    The second does not know the first's answer; only where it sees a lattice inside a lattice (two sizes,
    15 % apart or more) is the one next to it taken. Reflections that stand out clearly are believed alone,
    weaker ones only if the neighbours say the same; if the two contradict each other the frame is refused.
    So is a hexagonal lattice whose phases say that its cell holds something else than the material does.

    Parameters
    ----------
    image : ndarray, shape (H, W)
        One frame. It should show a dozen cells or more.
    lattice : str or Material
        A name from :data:`~elit_helpers.MATERIALS`, or a material of your own. The picture tells
        square from hexagonal and graphene from a dichalcogenide, but not MoS2 from WS2 or hBN, whose columns
        differ too little: the name has to be right.
    nominal : float, optional
        [Å/px]; if given, only sizes within 30 % of it are tried.

    Returns
    -------
    Calibration

    Raises
    ------
    CalibrationFailed
        If no lattice stands out from the noise, the two estimates disagree, or the cell is another one.
    """
    material = material_of(lattice, "lattice")
    frame = check_frames(image, "image")[0]
    frame = (frame - frame.mean(dtype=float)) / frame.std(dtype=float)  # single precision is enough from here
    frame = frame.astype(np.float32)
    sizes = (_SHORTEST, _LONGEST)
    if nominal is not None:
        nominal = check_pixel_size(nominal, "nominal")
        sizes = (0.7 * nominal, 1.3 * nominal)
    pattern = reflections(material)
    size, turn, contrast = search(frame, sizes, pattern)
    if contrast < _ENOUGH_CONFIRMED:
        raise _no_lattice(material, contrast, sizes)
    fit = refine(frame, size, turn, pattern)
    near = _next_to(fit.size, neighbour_scales(frame, material, sizes), pattern.fold)
    _judge(material, fit, near, contrast, sizes)
    inside = cell_phase(frame, fit, material)
    if inside is not None and inside.contradicts(material):
        raise CalibrationFailed(
            f"The lattice is hexagonal, but not {material.name}: the phases of its three first reflections "
            f"add up to {inside.phase:.0f}° ± {inside.std:.0f}°, those of {material.name} to "
            f"{expected_phase(material):.0f}°. Give another `lattice`; of those that ship this could be "
            f"{', '.join(inside.fitting()) or 'none'}."
        )
    return _describe(material, fit, near, contrast, nominal)


def _next_to(size, scales, fold):
    """The neighbours' answer, where they see one lattice inside another the one next to the reflections'.

    In a square cell with a second column in its middle both are nearly as bright: their common lattice is
    √2 finer.
    """
    finer = [replace(n, size=n.size / 2**0.5, std=n.std / 2**0.5) for n in scales if fold == 4]
    return min([*scales, *finer], key=lambda n: abs(np.log(n.size / size)), default=None)


def _judge(material, fit, near, contrast, sizes):
    """Refuse what one witness does not carry alone, and what two contradict."""
    sides = np.linalg.svd(fit.to_A, compute_uv=False)
    if sides[0] > _MOST_DISTORTED * sides[1] or not sizes[0] * 0.8 < fit.size < sizes[1] * 1.25:
        raise _no_lattice(material, contrast, sizes)
    apart = np.inf if near is None else abs(near.size - fit.size) / fit.size
    if contrast < _ENOUGH and apart > _SAME_IF_WEAK:
        raise _no_lattice(material, contrast, sizes)
    if near is None:
        return
    if apart > max(_SAME, 4 * np.hypot(_std(fit), near.std) / fit.size):
        raise CalibrationFailed(
            f"The reflections say {fit.size:.4f} Å/px and neighbouring {_what(near)} {near.size:.4f}: one of "
            f"them does not see {material.name}. Pass pixel_size=… from the microscope's field of view, "
            "check `lattice`, give `nominal` if you know it roughly, or crop to where the lattice shows."
        )


def _what(near):
    return "columns" if near.bright else "hollows"


def _no_lattice(material, contrast, sizes):
    return CalibrationFailed(
        f"No {material.name} lattice stands out between {sizes[0]:.3f} and {sizes[1]:.3f} Å/px (contrast "
        f"{contrast:.1f}; {_ENOUGH:g} is enough, or {_ENOUGH_CONFIRMED:g} if neighbours confirm it). "
        "Pass pixel_size=… from the microscope's field of view, average some frames, or crop to a region "
        "that shows the lattice."
    )


def _std(fit: LatticeFit) -> float:
    return fit.spread(lambda to_A: np.sqrt(abs(np.linalg.det(to_A))))


def _anisotropy(to_A) -> float:
    sides = np.linalg.svd(to_A, compute_uv=False)
    return float(sides[0] / sides[1])


def _shear_deg(to_A) -> float:
    row, column = to_A.T
    return float(np.degrees(np.arcsin(row @ column / np.linalg.norm(row) / np.linalg.norm(column))))


def _describe(
    material: Material, fit: LatticeFit, near: NeighbourScale | None, contrast: float, nominal: float | None
) -> Calibration:
    """Put the map into numbers a microscopist asks for."""
    widen = (
        1.0  # a bent scan is the usual reason why two good estimates differ: they weigh the frame differently
    )
    if near is not None:
        widen = max(1.0, abs(near.size - fit.size) / np.hypot(_std(fit), near.std))
    longest = np.linalg.eigh(fit.to_A.T @ fit.to_A)[1][:, -1]  # (rows, columns) of the picture
    reflection = reflections(material).waves[0] @ fit.to_A
    seen = "columns" if near is not None and near.bright else "hollows"
    return Calibration(
        pixel_size=fit.size,
        std=widen * _std(fit),
        method=f"{material.name} reflections" + ("" if near is None else f", checked by neighbouring {seen}"),
        nominal=nominal,
        disagreement=None if nominal is None else fit.size / nominal - 1,
        contrast=contrast,
        angle_deg=float(np.degrees(np.arctan2(*reflection)) % 180),
        neighbours=None if near is None else near.size,
        neighbours_std=None if near is None else widen * near.std,
        agreement=None if near is None else near.size / fit.size - 1,
        axes=tuple(float(side) for side in np.linalg.norm(fit.to_A, axis=0)),
        anisotropy=_anisotropy(fit.to_A),
        anisotropy_std=fit.spread(_anisotropy),
        anisotropy_deg=float(np.degrees(np.arctan2(-longest[0], longest[1])) % 180),  # rows run downwards
        shear_deg=_shear_deg(fit.to_A),
        shear_std_deg=fit.spread(_shear_deg),
        to_A=fit.to_A,
    )
