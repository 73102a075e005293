"""Which atoms are bonded, and how far the bonds follow from where the atoms may be."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sheets import oblique_sheet

import elit_helpers as eh


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31), st.booleans())
def test_bonds_agree_with_ase(seed, periodic):
    from ase.neighborlist import neighbor_list

    rng = np.random.default_rng(seed)
    atoms = oblique_sheet(4, periodic=periodic)
    atoms.symbols[rng.choice(len(atoms), 4)] = "Si"
    atoms.positions += rng.normal(0, 0.1, atoms.positions.shape)
    if not periodic:
        atoms.cell = [0, 0, 0]
    expected = neighbor_list("d", atoms, {("C", "C"): 1.75, ("C", "Si"): 2.1, ("Si", "Si"): 2.5})
    table = eh.bonds(atoms)
    assert sorted(table["length_A"]) == pytest.approx(sorted(expected)[::2])
    assert set(table["pair"]) <= {"C-C", "C-Si", "Si-Si"}


def test_pair_without_a_cutoff_and_nan_are_refused():
    atoms = oblique_sheet(3)
    atoms.symbols[0] = "Fe"
    assert len(eh.bonds(atoms)) >= 3 * len(atoms) / 2
    with pytest.raises(ValueError, match="no length .* C–Fe"):
        eh.bonds(atoms, cutoffs={("C", "C"): 1.75})
    atoms.positions[0] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        eh.rings(atoms)


def test_spread_of_positions_widens_bonds_and_lengthens_them():
    atoms = oblique_sheet(8)
    atoms.arrays["position_std_A"] = np.full(len(atoms), 0.1)
    table, means = eh.bond_spread(atoms, samples=300, rng=1)
    assert table["length_std_A"].to_numpy() == pytest.approx(0.1)
    assert table["sampled_std_A"].mean() == pytest.approx(0.1, rel=0.05)
    # 0.1 Å in the plane is 0.1/√2 sideways; each of two ends lengthens the bond by s²/(2 d).
    assert means.mean() - 1.4203 == pytest.approx(0.1**2 / 2 / 1.42, rel=0.15)
    again = eh.bond_spread(atoms, samples=300, rng=1)[1]
    assert np.array_equal(means, again)


def test_spread_needs_an_error_bar():
    with pytest.raises(ValueError, match="position_std_A"):
        eh.bond_spread(oblique_sheet(8))
