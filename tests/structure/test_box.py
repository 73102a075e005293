"""The box where a structure ends: it holds every atom, mirrors nothing, and keeps images apart."""

import numpy as np
import pytest
from ase import Atoms
from hypothesis import given
from hypothesis import strategies as st

from elit_helpers.structure.box import box_around, gaps, with_gaps

PERIODS = st.tuples(st.booleans(), st.booleans(), st.booleans())


def scattered(seed, pbc):
    """Atoms anywhere in and around an oblique cell, some of whose vectors are not there."""
    rng = np.random.default_rng(seed)
    cell = np.diag(rng.uniform(5, 20, 3)) + rng.uniform(-3, 3, (3, 3))
    if rng.random() < 0.3:
        cell[~np.array(pbc)] = 0.0
    return Atoms("C8", rng.uniform(-30, 40, (8, 3)), cell=cell, pbc=pbc)


@given(st.integers(0, 2**31), PERIODS)
def test_the_box_holds_every_atom_with_its_margin_and_is_no_mirror_image(seed, pbc):
    atoms = scattered(seed, pbc)
    cell, corner = box_around(atoms, 3.0)
    ends = ~atoms.pbc
    heights = 1 / np.linalg.norm(np.linalg.inv(cell), axis=0)
    inside = ((atoms.positions - corner) @ np.linalg.inv(cell) * heights)[:, ends]
    assert inside.min(initial=3.0) == pytest.approx(3.0, abs=1e-6)
    assert (heights[ends] - inside.max(axis=0, initial=0)) == pytest.approx(
        3.0 * np.ones(ends.sum()), abs=1e-6
    )
    assert np.allclose(cell[atoms.pbc], atoms.cell[atoms.pbc])
    assert ends.sum() == 0 or np.linalg.det(cell) > 0
    across = cell @ cell.T
    assert np.allclose(across[ends][:, atoms.pbc], 0, atol=1e-6)


@given(st.integers(0, 2**31), PERIODS)
def test_a_cell_gets_the_gap_that_it_lacks_and_keeps_the_one_it_has(seed, pbc):
    atoms = scattered(seed, pbc)
    roomy = with_gaps(atoms, 8.0, 12.0)
    ends = np.flatnonzero(~atoms.pbc)
    before, after = gaps(atoms)[ends], gaps(roomy)[ends]
    kept = (before >= 8.0) & np.isfinite(before)
    assert np.allclose(after, np.where(kept, before, 12.0))
    assert (roomy.positions == atoms.positions).all()
    assert np.allclose(roomy.cell[atoms.pbc], atoms.cell[atoms.pbc])


def test_a_flake_has_its_box_along_the_axes_of_the_picture():
    atoms = Atoms("C2", [(-4.0, 2.0, 7.0), (3.0, 2.5, 7.0)])
    cell, corner = box_around(atoms, 1.0)
    assert cell.tolist() == [[9.0, 0.0, 0.0], [0.0, 2.5, 0.0], [0.0, 0.0, 2.0]]
    assert corner.tolist() == [-5.0, 1.0, 6.0]
