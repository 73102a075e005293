"""The microscope as a set of numbers, and the spot that follows from them for each element."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from elit_helpers.core.checks import check_at_least, check_count, check_pixel_size, check_positive
from elit_helpers.images.kernels import Kernel, kernel_card, kernel_names, load_kernel
from elit_helpers.samples.materials import BRIGHTNESS


@dataclass(frozen=True)
class Imaging:
    """How a microscope turns atoms into an image.

    The spot of an atom is the probe's own, made wider by what blurs it: widths of Gaussians add up in
    quadrature. However wide it gets, the peak of carbon's spot stays the unit of intensity, so that dose,
    noise and pedestal keep their meaning when the blur is changed.

    Parameters
    ----------
    pixel_size : float
        [Å/px].
    shape : tuple of int
        Rows, columns [px].
    spot_sigma_A : float
        Gaussian width of a spot [Å]: probe, source size and Debye-Waller motion together. Only for the probe
        "gaussian"; its core is 1 high for carbon, and the tail comes on top.
    tail_weight, tail_ratio : float
        Height and width of the spot's wide tail, relative to its core. Only for the probe "gaussian".
    pedestal : float
        Constant intensity under the atoms [carbon peaks].
    background : float
        RMS of a slow background, some 10 Å long [carbon peaks].
    dose : float
        Counts per Å² and carbon peak; ``inf`` means no shot noise. What a detector misses is a smaller dose.
    noise, noise_blur_px : float
        RMS of the readout noise [carbon peaks] and its correlation length [px].
    jitter_A : float
        RMS shift of a scan line [Å].
    drift_A : tuple of float
        How far the sample moves in x and y during the frame [Å].
    contamination : float
        Height of one patch of contamination at a random place [carbon peaks]; 0 for none.
    brightness : mapping
        Spot peak of an element relative to carbon's, where it is not to be the probe's own; an element that
        the probe does not know is drawn in the shape of carbon. The Gaussian probe's own are
        :data:`BRIGHTNESS`.
    probe : str or Kernel
        ``"gaussian"``, or the spots of single atoms computed with abTEM for a microscope of ``"60kV"``,
        ``"80kV"`` or ``"200kV"`` (still atoms, point source, in focus), or a kernel of your own.
    source_sigma_A : float
        Width of the electron source's image on the sample [Å].
    vibration_A : float
        RMS motion of an atom along one axis (Debye-Waller) [Å].
    defocus_A : float
        Distance of the sample from the focus [Å], up to about 40. A beam that converges with the semi-angle α
        is blurred by ``α · |defocus| / 4``. Far from focus it is a disc of twice that width; as long as atoms
        are resolved, the probe loses height to rings far away before it loses sharpness. In that range the
        Gaussian follows the shape of a wave-optical probe to within 0.1 of its peak.
    semiangle_mrad : float, optional
        The α of the defocus [mrad]; by default that of the shipped probe, else 30.
    flyback_A, flyback_px : float
        How far the beam is behind in the first column of each row [Å], and in how many columns that falls to
        1/e [px].
    """

    pixel_size: float = 0.1
    shape: tuple[int, int] = (256, 256)
    spot_sigma_A: float = 0.42
    tail_weight: float = 0.08
    tail_ratio: float = 2.2
    pedestal: float = 1.0
    background: float = 0.0
    dose: float = np.inf
    noise: float = 0.0
    noise_blur_px: float = 0.0
    jitter_A: float = 0.0
    drift_A: tuple[float, float] = (0.0, 0.0)
    contamination: float = 0.0
    brightness: Mapping[str, float] = field(default_factory=dict)
    probe: str | Kernel = "gaussian"
    source_sigma_A: float = 0.0
    vibration_A: float = 0.0
    defocus_A: float = 0.0
    semiangle_mrad: float | None = None
    flyback_A: float = 0.0
    flyback_px: float = 8.0

    def __post_init__(self):
        check_pixel_size(self.pixel_size)
        for name in ("spot_sigma_A", "tail_ratio", "flyback_px"):
            check_positive(name, getattr(self, name))
        if self.dose != np.inf:
            check_positive("dose", self.dose)
        if self.semiangle_mrad is not None:
            check_positive("semiangle_mrad", self.semiangle_mrad, unit="mrad")
        for pixels in self.shape:
            check_count("shape", pixels)
        if len(self.shape) != 2:
            raise ValueError(f"`shape` is {self.shape!r}; give two numbers of pixels (rows, columns).")
        for name in _ZERO_OR_MORE:
            check_at_least(name, getattr(self, name), 0)
        if (
            np.shape(self.drift_A) != (2,)
            or not np.isfinite([*self.drift_A, self.pedestal, self.defocus_A]).all()
        ):
            raise ValueError(
                f"drift_A (x, y), pedestal and defocus_A must be finite numbers, got {self.drift_A!r}, "
                f"{self.pedestal!r} and {self.defocus_A!r}."
            )
        if self.flyback_A / self.pixel_size >= self.flyback_px:
            raise ValueError(
                f"flyback_A is {self.flyback_A:g} Å, {self.flyback_A / self.pixel_size:.3g} px; it must be "
                f"less than flyback_px ({self.flyback_px:g}), or the beam would move backwards in a row."
            )
        _check_probe(self.probe)
        for element, value in self.brightness.items():
            check_at_least(f"brightness of {element}", value, 0)

    @property
    def counts_per_peak(self):
        """Counts that one pixel at a carbon peak receives."""
        return self.dose * self.pixel_size**2

    @property
    def blur_A(self):
        """Width by which source, vibration and defocus together blur the probe's own spot [Å]."""
        return float(np.sqrt(self.source_sigma_A**2 + self.vibration_A**2 + self._defocus_sigma_A**2))

    @property
    def _defocus_sigma_A(self):
        angle = self.semiangle_mrad
        if self.defocus_A == 0:
            return 0.0
        if angle is None:
            shipped = isinstance(self.probe, str) and self.probe != "gaussian"
            angle = kernel_card(self.probe)["parameters"]["semiangle_mrad"] if shipped else 30.0
        return angle * 1e-3 * abs(self.defocus_A) / 4

    @cached_property
    def spot(self):
        """Kernel : the spot of each element as it is drawn, after all blurs [carbon peaks]."""
        if self.probe == "gaussian":
            widths = (self.spot_sigma_A, self.spot_sigma_A * self.tail_ratio)[
                : 2 if self.tail_weight > 0 else 1
            ]
            own = Kernel(widths, {e: (b, b * self.tail_weight)[: len(widths)] for e, b in BRIGHTNESS.items()})
        else:
            own = load_kernel(self.probe) if isinstance(self.probe, str) else self.probe
        blurred, unit = own.blurred(self.blur_A), own.peak("C")
        gain = unit / blurred.peak("C")
        heights = {e: tuple(gain * np.array(h)) for e, h in blurred.heights.items()}
        for element, wanted in self.brightness.items():
            shape = element if element in heights else "C"
            heights[element] = tuple(np.array(blurred.heights[shape]) * wanted * unit / blurred.peak(shape))
        return Kernel(blurred.sigmas_A, heights)

    @property
    def beam_dose(self):
        """Electrons that the sample receives per Å², by the share that a carbon atom sends to the detector.

        Known for the shipped probes only, since the others do not say what detector they belong to.
        """
        if not isinstance(self.probe, str) or self.probe == "gaussian":
            raise ValueError(
                f"`probe` is {self.probe!r}; how many electrons of the beam reach the detector is known for "
                f"{', '.join(kernel_names())} only. Choose one of these to translate the dose."
            )
        share = kernel_card(self.probe)["carbon_peak_of_beam"]
        return self.dose / (share * load_kernel(self.probe).blurred(self.blur_A).peak("C"))


_ZERO_OR_MORE = (
    "tail_weight", "background", "noise", "noise_blur_px", "jitter_A", "contamination", "source_sigma_A",
    "vibration_A", "flyback_A",
)  # fmt: skip


def _check_probe(probe):
    if isinstance(probe, Kernel):
        if not probe.heights.get("C") or not probe.peak("C") > 0:
            raise ValueError(
                "`probe` is a kernel without carbon; the peak of carbon's spot is the unit of intensity. "
                "Give it heights for C."
            )
    elif not isinstance(probe, str) or probe not in ("gaussian", *kernel_names()):
        raise ValueError(
            f"`probe` is {probe!r}; choose one of 'gaussian', {', '.join(map(repr, kernel_names()))}, "
            "or pass a Kernel."
        )


def weights_of(elements, brightness=None):
    """Spot heights for a sequence of element symbols, as the Gaussian probe draws them.

    Parameters
    ----------
    elements : sequence of str
        Element symbols, length M.
    brightness : mapping, optional
        Element to height, where it is not to be that of :data:`BRIGHTNESS`.

    Returns
    -------
    ndarray, shape (M,)

    Raises
    ------
    ValueError
        For an element without a brightness.
    """
    known = BRIGHTNESS | dict(brightness or {})
    check_known(elements, known)
    return np.array([known[e] for e in elements], float)


def check_known(elements, known):
    unknown = sorted(set(elements) - set(known))
    if unknown:
        raise ValueError(
            f"No brightness is known for element {', '.join(unknown)}; known are {', '.join(known)}. "
            f"Pass Imaging(brightness={{{unknown[0]!r}: ...}}) with its peak relative to carbon's."
        )
