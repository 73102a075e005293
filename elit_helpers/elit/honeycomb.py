"""A threefold sheet seen from above: its bond, its elements, and the lengths that grow with the bond.

Algorithm 1 knows three things of its sample: that every atom has three neighbours at
one distance, how dense they lie, and which of its elements are bright. All three are the material's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from elit_helpers.samples.materials import MATERIALS, Material, material_of

_GRAPHENE = MATERIALS["graphene"]


@dataclass(frozen=True)
class Honeycomb:
    """What a threefold sheet looks like in projection.

    Attributes
    ----------
    material
        What the sheet is; its `bond` is the distance of the three nearest columns, seen from above.
    elements
        Of the columns, the brightest first: one, or two that alternate.
    default_classes
        Elements in the order of the material's columns, or the common one and the impurity to look for.
    """

    material: Material
    elements: tuple[str, ...]
    default_classes: tuple[str, ...]

    @classmethod
    def of(cls, material: str | Material) -> Honeycomb:
        """Look a material up, and refuse one whose columns do not each have three neighbours.

        Raises
        ------
        ValueError
            If the material is unknown, not threefold seen from above, or of more than two kinds of column.
        """
        material = material_of(material)
        names = material.column_elements
        if not material.is_threefold or len(names) > 2:
            threefold = [name for name, known in MATERIALS.items() if known.is_threefold]
            raise ValueError(
                f"`material` is {material.name}, whose columns do not each have three neighbours at one "
                f"distance, seen from above; Algorithm 1 here knows sheets that do, such as "
                f"{', '.join(threefold)}. Train on simulated pairs alone with train_ensemble."
            )
        shown = [column[0] for column in material.columns]
        height = dict(zip(shown, material.column_brightness, strict=True))
        ordered = tuple(sorted(names, key=height.get, reverse=True))
        default = names if len(names) > 1 else (names[0], "Si")
        return cls(material, ordered, default)

    @property
    def scale(self) -> float:
        """How much longer the bond is than graphene's, for which lengths are written down."""
        return self.material.bond / _GRAPHENE.bond

    @property
    def bond_range(self) -> tuple[float, float]:
        """Shortest and longest bond: in defects, to an impurity, with what a noisy position adds [Å]."""
        return self.material.bond - 0.35 * self.scale, self.material.bond + 0.35 * self.scale

    def usual(self, values: np.ndarray, axis: int | None = None, share: float = 0.5) -> np.ndarray:
        """Return the median of `values` over the atoms of the fainter kind, or another quantile than 0.5."""
        return np.quantile(values, share / len(self.elements), axis=axis)


GRAPHENE = Honeycomb.of("graphene")
