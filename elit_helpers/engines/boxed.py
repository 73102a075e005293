"""A calculator with vacuum around the structure wherever it ends, however its atoms move.

Programs that repeat every cell see an image of the structure beyond the vacuum, and those with a grid see its
end. Room at the start is no room later: what flies off would meet the image.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, SCFError, all_changes

from elit_helpers.core.checks import logger
from elit_helpers.structure.box import gaps, with_gaps

KEPT = 0.6  # when no more than this share of the vacuum is left on a side, the box is made anew
TOLD_EV = 1e-3  # a wider box that changes the energy by more is worth a warning


class Boxed(Calculator):
    """A calculator that sees the structure in a box with vacuum, wherever the caller has it.

    The box is made wider when atoms have come near its walls. What that does to the energy of the same atoms
    is taken out, so that the energies of one calculator belong together, and said.

    Parameters
    ----------
    make
        Makes the inner calculator for the structure in its box.
    atoms
        The structure.
    vacuum_A
        On each side of the structure where it is not periodic [Å].
    whole
        True for an engine that knows no cell which is periodic in two directions only: its box is in three.
    edge_A
        For an engine with a grid that ends with the box: the structure is in the middle, and edges are a
        multiple of this [Å]; they grow on both sides by whole ones, so that atoms stay where they are between
        the points. 0: there is no grid, and atoms stay at their coordinates.
    keep
        True keeps the caller's cell as long as it leaves enough room.
    """

    implemented_properties = ["energy", "forces", "stress", "charges"]
    faults: tuple[type[Exception], ...] = ()

    def __init__(
        self,
        make: Callable[[Atoms], Calculator],
        atoms: Atoms,
        vacuum_A: float,
        *,
        whole: bool = False,
        edge_A: float = 0.0,
        keep: bool = False,
    ):
        super().__init__()
        self.vacuum_A, self.edge_A = vacuum_A, edge_A
        self.ends = np.flatnonzero(~atoms.pbc)
        self.offset_eV = 0.0
        self.inner = atoms.copy()
        self.inner.set_constraint()
        if edge_A:
            for axis in self.ends.tolist():
                self.inner.center(vacuum=vacuum_A, axis=axis)
                edge = self.inner.cell.lengths()[axis]
                more = math.ceil(edge / edge_A - 1e-6) * edge_A - edge
                self.inner.center(vacuum=vacuum_A + more / 2, axis=axis)
        else:
            self.inner.cell = with_gaps(atoms, 2 * vacuum_A * KEPT if keep else np.inf, 2 * vacuum_A).cell
        if whole:
            self.inner.pbc = True
        self.shift = self.inner.positions[0] - atoms.positions[0]
        self.inner.calc = make(self.inner)

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        """Move the inner structure to where `atoms` is and compute."""
        super().calculate(atoms, properties, system_changes)
        cell = np.array(self.inner.cell)
        cell[atoms.pbc] = atoms.cell[atoms.pbc]
        self.inner.set_cell(cell)
        self.inner.positions = atoms.positions + self.shift
        left = self._vacuum_left()
        if left < KEPT * self.vacuum_A:
            self._widen(left)
        # Forces first: DFTB+ would run once more for them after an energy alone.
        self.results = {"forces": np.array(self._said(self.inner.get_forces))}
        self.results["energy"] = float(self._said(self.inner.get_potential_energy)) + self.offset_eV
        if "stress" in properties:
            # Of the caller's volume, in which the vacuum has another height.
            share = self.inner.get_volume() / atoms.get_volume()
            self.results["stress"] = np.array(self.inner.get_stress()) * share
        if (charges := getattr(self.inner.calc, "results", {}).get("charges")) is not None:
            self.results["charges"] = np.array(charges)

    def _said(self, function: Callable):
        try:
            return function()
        except self.faults as error:
            raise SCFError(str(error)) from error

    def _seen(self) -> Atoms:
        """The inner structure with the caller's periods."""
        seen = Atoms(positions=self.inner.positions, cell=self.inner.cell, pbc=True)
        seen.pbc[self.ends] = False
        return seen

    def _vacuum_left(self) -> float:
        """On the side where there is least [Å]; between images both sides are one."""
        if not self.edge_A:
            return float(gaps(self._seen()).min()) / 2
        heights = self.inner.get_scaled_positions(wrap=False)[:, self.ends]
        walls = np.minimum(heights.min(axis=0), 1 - heights.max(axis=0))
        return float((walls * self.inner.cell.lengths()[self.ends]).min(initial=np.inf))

    def _widen(self, left: float) -> None:
        """Make the box anew around the atoms where they are, and note what that does to their energy."""
        before = self._said(self.inner.get_potential_energy)
        if self.edge_A:
            more = math.ceil((self.vacuum_A - left) / self.edge_A - 1e-6) * self.edge_A
            lengths = self.inner.cell.lengths()
            for axis in self.ends.tolist():
                along = self.inner.cell[axis] / lengths[axis]
                self.inner.cell[axis] += 2 * more * along
                self.inner.positions += more * along
                self.shift = self.shift + more * along
        else:
            self.inner.cell = with_gaps(self._seen(), KEPT * 2 * self.vacuum_A, 2 * self.vacuum_A).cell
        change = self._said(self.inner.get_potential_energy) - before
        self.offset_eV -= change
        logger.log(
            logging.WARNING if abs(change) > TOLD_EV else logging.INFO,
            "atoms have moved away: %.1f Å of vacuum were left where the structure ends, and its box is now "
            "%s Å. In it the same atoms have %+.3f eV, which is taken out of the energies of this run; a run "
            "that starts from its frames has a box of its own.",
            left, " × ".join(f"{edge:.1f}" for edge in self.inner.cell.lengths()), change,
        )  # fmt: skip
