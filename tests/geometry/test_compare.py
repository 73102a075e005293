"""Structures beside one another: which atoms are partners, and what is left when drift and turn are out."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sheets import oblique_sheet

import elit_helpers as eh
from elit_helpers.geometry.matching import match_positions


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**31), st.integers(0, 5), st.integers(0, 5))
def test_matching_is_the_best_of_all_possible(seed, m, n):
    rng = np.random.default_rng(seed)
    a, b = rng.uniform(0, 2, (m, 2)), rng.uniform(0, 2, (n, 2))
    i, j = match_positions(a, b, tolerance_A=0.8)
    distance = np.linalg.norm(a[:, None] - b[None], axis=2)
    assert len(set(i)) == len(set(j)) == len(i)
    best = max(
        (k, -sum(distance[r, c] for r, c in zip(rows, cols, strict=True)))
        for k in range(min(m, n) + 1)
        for rows in itertools.combinations(range(m), k)
        for cols in itertools.permutations(range(n), k)
        if all(distance[r, c] <= 0.8 for r, c in zip(rows, cols, strict=True))
    )
    assert (len(i), -distance[i, j].sum()) == pytest.approx(best)


def flake():
    atoms = oblique_sheet(12, periodic=False)
    atoms.rattle(0.03, rng=np.random.RandomState(1))
    return atoms


def transformed(atoms, *, shift=(0.0, 0.0), degrees=0.0, scale=1.0):
    out, angle = atoms.copy(), np.radians(degrees)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    middle = atoms.positions[:, :2].mean(axis=0)
    out.positions[:, :2] = scale * (atoms.positions[:, :2] - middle) @ turn + middle + shift
    return out


@settings(max_examples=20, deadline=None)
@given(st.floats(-0.4, 0.4), st.floats(-0.4, 0.4), st.floats(-2, 2), st.floats(0.96, 1.04), st.integers(0, 9))
def test_drift_rotation_and_scale_are_recovered(dx, dy, degrees, scale, seed):
    a = flake()
    order = np.random.default_rng(seed).permutation(len(a))
    b = transformed(a, shift=(dx, dy), degrees=degrees, scale=scale)[order]
    result = eh.compare_structures(a, b)
    assert result["matched"] == len(a)
    assert result["rmse_A"] == pytest.approx(0, abs=1e-6)
    assert (result["scale"], result["rotation_deg"]) == pytest.approx((scale, degrees), abs=1e-6)
    assert result["drift_A"] == pytest.approx([dx, dy], abs=1e-6)


def test_compare_counts_what_has_no_partner_and_other_elements():
    a = flake()
    b = a.copy()
    b.symbols[10] = "Si"
    del b[[50, 60]]
    result = eh.compare_structures(a, b)
    assert (result["only_a"], result["only_b"], result["element_changes"]) == (2, 0, 1)


def test_noise_is_measured_per_axis():
    a, rng = flake(), np.random.default_rng(0)
    b = a.copy()
    b.positions[:, 0] += rng.normal(0, 0.1, len(a))
    result = eh.compare_structures(a, b)
    assert result["mean_dx_A"] == pytest.approx(0.1 * np.sqrt(2 / np.pi), rel=0.15)
    assert result["mean_dy_A"] < 0.01
    assert result["percent_of_bond_x"] == pytest.approx(100 * result["mean_dx_A"] / 1.42)


def test_scale_stays_in_when_not_removed():
    a = flake()
    result = eh.compare_structures(a, transformed(a, scale=1.02), remove=("drift", "rotation"))
    assert result["scale"] == 1
    assert result["rmse_A"] > 0.1


def test_compare_refuses_strangers():
    far = flake()
    far.positions[:, 0] += 500
    with pytest.raises(ValueError, match="same region"):
        eh.compare_structures(flake(), far, remove=())
    with pytest.raises(ValueError, match="`remove` is 'mirror'"):
        eh.compare_structures(flake(), far, remove=("mirror",))
    with pytest.raises(ValueError, match="together with the drift"):
        eh.compare_structures(flake(), far, remove=("scale",))
