"""Recipes of simulated training pairs: ranges to read, to change and to compare."""

from __future__ import annotations

from dataclasses import dataclass, fields
from numbers import Real

import numpy as np

from elit_helpers.core.checks import check_at_least, check_choice, check_count
from elit_helpers.samples.materials import Material, material_of


@dataclass(frozen=True)
class Recipe:
    """Ranges that simulated training pairs are drawn from; a pair of numbers is (lowest, highest).

    Another material is ``dataclasses.replace(recipe, material="WS2")``. Intensities are therefore in units
    of the material's mean column, which for graphene is one carbon peak.

    Parameters
    ----------
    name, about : str
    spot_sigma_A : (float, float)
        Gaussian width of a spot [Å].
    noise : (float, float)
        RMS of a pixel of 0.15 Å [mean columns], drawn evenly on a logarithmic scale.
    scale, shear : float
        Largest change of the lattice constant, and largest shear: how far a calibration may be off.
    displacement_A : (float, float)
        RMS distance of the atoms from their places [Å].
    tail_weight : (float, float)
        Height of the spot's wide tail relative to its core.
    noise_blur_px : (float, float)
        Correlation length of the noise [px].
    grain_boundary, holes, contamination : float
        Share of the pairs with a grain boundary, with a hole or an edge, with amorphous carbon on top.
    vacancies : int
        Up to so many columns are missing.
    silicon, silicon_edge : float
        Mean share of carbon that is silicon, in the sheet and at its edges; nothing without carbon. Real
        frames show silicon 2 to 4.5 times as bright as carbon, and so do these.
    background : float
        Largest RMS of a slow background [mean columns].
    jitter_A : float
        Largest RMS shift of a scan line [Å].
    lecture_noise : bool
        Noise as the original lecture adds it, at its 12 px/Å: Gaussian (`noise` is then the RMS of its pixels
        relative to the brightest), cut to 0 … 1, then `poisson`, then `gamma`. Of what else the microscope
        adds (tails, background, contamination, jitter) the lecture has nothing.
    poisson, gamma : (float, float)
        Of the lecture's noise: parameter of AtomAI's Poisson noise, which stands for (50 / l)¹⁶ counts at
        the brightest pixel of 256 × 256, and the exponent that changes the contrast.
    zoom : (float, float)
        Magnification of the finished picture: pairs are then not at 0.15 Å/px but at 0.15 Å / zoom.
    contamination_height : (float, float)
        Brightness of the amorphous carbon [mean columns].
    material : str or Material
        What the sheet is made of.
    contrast : (float, float)
        Power that the brightness of each atom relative to carbon is raised to: 1 is multislice at 60 kV with
        a detector from 60 mrad; higher angles make heavy atoms brighter still.
    thinned : float
        Share of columns that lack their faintest atom, such as one S of two.
    foreign : tuple of (str, str, float)
        Element that is replaced, element that replaces it, share: ``(("Mo", "V", 0.01),)``.
    silicon_push_A : (float, float)
        How much further from Si than from C its neighbours are [Å].
    pedestal : (float, float)
        Brightness of an empty field [mean columns], drawn evenly on a logarithmic scale: counts fluctuate by
        the root of their number, so that a hole is quieter than a sheet, and a sheet than silicon. With
        (0, 0) the noise is the same everywhere.
    contamination_texture, contamination_grain : (float, float)
        How strongly the amorphous carbon varies and how coarse that is, as :func:`contamination_map` has
        it; drawn evenly on a logarithmic scale.
    drowned_by : str
        Under what a column is labelled as background: ``"height"`` (more than 1.5 mean columns of amorphous
        carbon on it) or ``"texture"`` (amorphous carbon that varies, on the scale of an atom, as much as the
        atom does; under a smooth hill of any height it can still be seen).

    Raises
    ------
    ValueError
        If a range is not two ordered numbers, a share not between 0 and 1, or the material unknown.
    """

    name: str
    about: str
    spot_sigma_A: tuple[float, float]
    noise: tuple[float, float]
    scale: float = 0.0
    shear: float = 0.0
    displacement_A: tuple[float, float] = (0.0, 0.0)
    tail_weight: tuple[float, float] = (0.0, 0.0)
    noise_blur_px: tuple[float, float] = (0.0, 0.0)
    grain_boundary: float = 0.0
    vacancies: int = 0
    holes: float = 0.0
    silicon: float = 0.0
    silicon_edge: float = 0.0
    background: float = 0.0
    contamination: float = 0.0
    jitter_A: float = 0.0
    lecture_noise: bool = False
    poisson: tuple[float, float] = (30.0, 45.0)
    gamma: tuple[float, float] = (1.0, 1.0)
    zoom: tuple[float, float] = (1.0, 1.0)
    contamination_height: tuple[float, float] = (0.7, 7.0)
    material: str | Material = "graphene"
    contrast: tuple[float, float] = (1.0, 1.0)
    thinned: float = 0.0
    foreign: tuple[tuple[str, str, float], ...] = ()
    silicon_push_A: tuple[float, float] = (0.1, 0.25)
    pedestal: tuple[float, float] = (0.0, 0.0)
    contamination_texture: tuple[float, float] = (1.0, 1.0)
    contamination_grain: tuple[float, float] = (1.0, 1.0)
    drowned_by: str = "height"

    def __post_init__(self):
        for name in _RANGES:
            _check_range(self, name, _LEAST.get(name, 0.0))
        for name in _SHARES:
            _check_share(self, name)
        check_at_least("background", self.background, 0)
        check_at_least("jitter_A", self.jitter_A, 0, unit="Å")
        check_count("vacancies", self.vacancies, 0)
        check_choice("drowned_by", self.drowned_by, ("height", "texture"))
        from ase.data import atomic_numbers

        inside = material_of(self.material).column_elements
        for entry in self.foreign:
            known = len(entry) == 3 and entry[0] in inside and entry[1] in atomic_numbers
            if not known or not 0 <= entry[2] <= 1:
                raise ValueError(
                    f"`foreign` of {self.name!r} holds {entry!r}; each is (element to replace, one of "
                    f"{', '.join(sorted(inside))}; element in its place; share between 0 and 1)."
                )

    @property
    def elements(self) -> tuple[str, ...]:
        """Elements that the pairs can hold: the columns of the material, then what is foreign to it."""
        own = material_of(self.material).column_elements
        silicon = ["Si"] if "C" in own and (self.silicon > 0 or self.silicon_edge > 0) else []
        return tuple(dict.fromkeys([*own, *silicon, *(guest for _, guest, _ in self.foreign)]))


_RANGES = tuple(f.name for f in fields(Recipe) if f.type == "tuple[float, float]")
_SHARES = ("scale", "shear", "grain_boundary", "holes", "silicon", "silicon_edge", "contamination", "thinned")
# Under 5 the lecture's Poisson parameter stands for more counts than an integer holds, with no noise left.
_LEAST = {"spot_sigma_A": 0.05, "noise": 1e-4, "poisson": 5.0, "gamma": 0.05, "zoom": 0.1, "contrast": 0.1}
_LEAST |= {"contamination_texture": 0.01, "contamination_grain": 0.05}


def _check_range(recipe, name, least):
    value = getattr(recipe, name)
    try:
        low, high = (float(v) for v in value)
    except (TypeError, ValueError):
        low, high = np.nan, np.nan
    if not least <= low <= high < np.inf:
        raise ValueError(
            f"`{name}` of {recipe.name!r} is {value!r}; give two finite numbers (lowest, highest) "
            f"of at least {least:g}."
        )


def _check_share(recipe, name):
    value = getattr(recipe, name)
    if not isinstance(value, Real) or not 0 <= value <= 1:
        raise ValueError(f"`{name}` of {recipe.name!r} is {value!r}; give a number between 0 and 1.")


# Noise, pedestal and spots span what `frame_statistics` measures on published frames of graphene with Si at
# 60 kV, from 340 counts to 35 counts an Å²; labelled Si sit 1.4 to 1.9 Å from their neighbours there.
_REALISTIC = Recipe(
    "realistic", "what microscopes add: wide tails, contamination, Si, edges, grain boundaries, drift",
    spot_sigma_A=(0.33, 0.60), noise=(0.08, 2.0), scale=0.045, shear=0.03, displacement_A=(0.02, 0.12),
    tail_weight=(0.0, 0.15), noise_blur_px=(0.0, 0.9), grain_boundary=0.25, vacancies=3, holes=0.45,
    silicon=0.018, silicon_edge=0.3, silicon_push_A=(0.05, 0.4), background=0.6, jitter_A=0.08,
    pedestal=(0.3, 10.0), contamination=0.5, contamination_height=(0.7, 9.0),
    contamination_texture=(0.25, 1.2), contamination_grain=(0.7, 1.6), drowned_by="texture",
)  # fmt: skip

RECIPES = {
    "ideal": Recipe(
        "ideal", "a nearly faultless lattice, sharp spots, hardly any noise: how a first simulation looks",
        spot_sigma_A=(0.30, 0.40), noise=(0.05, 0.25), silicon=0.01, vacancies=1,
    ),
    # Frozen: to be compared with, never tuned. Spots of 15 to 19 px (σ 3.5 to 4.5 px, cut off at 2 σ) blurred
    # by 2 to 6 px, variance 0.2 to 0.3, zoomed by 1 to 2 and then resized by 0.5 to 1, all at 12 px/Å.
    "naive": Recipe(
        "naive", "the original lecture's: 12 px/Å, blurred by 2 to 6 px, Gaussian and Poisson noise, zoom",
        spot_sigma_A=(0.31, 0.60), noise=(0.447, 0.548), displacement_A=(0.04, 0.06), vacancies=3,
        silicon=0.01, lecture_noise=True, poisson=(30.0, 45.0), gamma=(0.5, 2.0), zoom=(0.5, 2.0),
    ),
    "realistic": _REALISTIC,
    # On its own feet: it stays what the shipped ensemble learned from when "realistic" changes. Frames are
    # resampled by the mean of their two axes, and scans with axes 20 % apart are real: hence the shear.
    "realistic MoS2": Recipe(
        "realistic MoS2", "what microscopes add to MoS2: S2 fainter than Mo, S missing, unequal scan axes",
        material="MoS2", spot_sigma_A=(0.35, 0.70), noise=(0.12, 1.4), scale=0.04, shear=0.10,
        displacement_A=(0.0, 0.10), tail_weight=(0.0, 0.15), noise_blur_px=(0.0, 0.9), grain_boundary=0.25,
        vacancies=4, holes=0.45, background=0.6, jitter_A=0.15, pedestal=(0.1, 5.0), contamination=0.5,
        contamination_height=(0.1, 4.0), contamination_texture=(0.25, 1.2), contamination_grain=(0.7, 1.6),
        drowned_by="texture", contrast=(0.8, 1.5), thinned=0.06,
    ),
}  # fmt: skip
"""The ways to simulate training pairs that the course compares, and a realistic one for MoS2."""
