"""One cell averaged over many places of a frame, as amplitudes of its reflections."""

from __future__ import annotations

import numpy as np
from scipy.optimize import least_squares

from elit_helpers.samples.materials import Material

_GRID = 48  # points along each side of the averaged cell
_SHIFTS = 24  # trial shifts along each side, before the last step to the summit
_FIRST_A = 0.42  # Å: width that the fit of a spot starts from


def align(amplitude: np.ndarray, waves: np.ndarray) -> np.ndarray:
    """Median of the pieces' amplitudes, each piece shifted to where it agrees best with the others.

    Parameters
    ----------
    amplitude : ndarray of complex, shape (n, K)
    waves : ndarray, shape (K, 2)
        Rows (row, column) [1/Å].

    Returns
    -------
    ndarray of complex, shape (K,)
    """
    u = np.arange(0, 1, 1 / _SHIFTS)
    cell = np.linalg.inv(_spanning(waves))  # its columns are the shifts [Å] that change nothing
    shifts = np.stack(np.meshgrid(u, u, indexing="ij"), -1).reshape(-1, 2) @ cell.T
    turns = np.exp(2j * np.pi * shifts @ waves.T)
    reference = amplitude[np.argmax((np.abs(amplitude) ** 2).sum(1))]
    for _ in range(3):
        best = [shifts[np.argmax((turns @ (own * np.conj(reference))).real)] for own in amplitude]
        moved = np.array([_shifted(own, reference, waves, s) for own, s in zip(amplitude, best, strict=True)])
        reference = np.median(moved.real, 0) + 1j * np.median(moved.imag, 0)
    return reference


def _shifted(own, reference, waves, shift):
    """Amplitudes moved by a trial shift [Å] and one Newton step from there."""
    angle = 2 * np.pi * waves
    product = own * np.conj(reference) * np.exp(1j * angle @ shift)
    slope = -(angle * product.imag[:, None]).sum(0)
    curve = -np.einsum("k,ki,kj->ij", product.real, angle, angle)
    if np.linalg.eigvalsh(curve)[-1] < 0:
        shift = shift - np.linalg.solve(curve, slope)
    return own * np.exp(1j * angle @ shift)


def _spanning(waves):
    """Two of the waves that all others are sums of; rows [1/Å]."""
    others = sorted(range(1, len(waves)), key=lambda k: _area(waves[0], waves[k]) or np.inf)
    return waves[[0, others[0]]]


def _area(a, b):
    return round(abs(a[0] * b[1] - a[1] * b[0]), 6)


def synthesise(amplitude: np.ndarray, waves: np.ndarray, material: Material) -> np.ndarray:
    """The averaged cell, without its mean, over fractional coordinates; shape (48, 48)."""
    u = np.arange(_GRID) / _GRID
    place = np.stack(np.meshgrid(u, u, indexing="ij"), -1) @ np.array(material.cell)
    phase = np.tensordot(place[..., ::-1], waves, axes=(-1, 1))  # places are (x, y), waves (row, column)
    return 2 * (np.exp(2j * np.pi * phase) * amplitude).sum(-1).real


def fit_spot(amplitude: np.ndarray, waves: np.ndarray, material: Material) -> tuple[float, float]:
    """Fit Gaussian spots on the material's columns: a shift, one width, and a height for each element.

    Returns
    -------
    sigma_A, peak : float
        Width [Å] and height of the brightest element's spot.
    """
    start = np.stack(np.meshgrid(*2 * [np.arange(6) / 6], indexing="ij"), -1).reshape(-1, 2)
    start = start @ np.array(material.cell)[:, ::-1]
    scale = np.abs(amplitude).max()
    best = None
    for hand in (False, True):  # the lattice may be seen from above or from below
        columns = _columns(waves, material, hand)
        misfit = [(_spots(amplitude, columns, waves, material, *s, _FIRST_A)[0] ** 2).sum() for s in start]
        for k in np.argsort(misfit)[:3]:
            found = least_squares(
                lambda p, c=columns: _spots(amplitude, c, waves, material, *p)[0] / scale,
                [*start[k], _FIRST_A],
                bounds=([-30, -30, 0.12], [30, 30, 1.2]),
            )
            height = _spots(amplitude, columns, waves, material, *found.x)[1].max()
            if best is None or (height > 0 and found.cost < best[0]):
                best = (found.cost, found.x[2], height)
    return float(best[1]), float(best[2])


def _columns(waves, material, hand):
    """Sum of the phases of each element's columns; shape (elements, K)."""
    elements = material.column_elements
    total = np.zeros((len(elements), len(waves)), complex)
    for element, u, v, _ in material.columns:
        x, y = np.array([u, v]) @ np.array(material.cell)
        total[elements.index(element)] += np.exp(-2j * np.pi * waves @ [y, x])
    return np.conj(total) if hand else total


def _spots(amplitude, columns, waves, material, row_A, column_A, sigma_A):
    """Residuals and best heights for spots at a shift [Å] and of a width [Å]."""
    damped = np.exp(-2 * (np.pi * sigma_A) ** 2 * (waves**2).sum(1)) * 2 * np.pi * sigma_A**2 / material.area
    model = columns * damped * np.exp(-2j * np.pi * waves @ [row_A, column_A])
    design = np.concatenate([model.real, model.imag], 1).T
    target = np.concatenate([amplitude.real, amplitude.imag])
    height = np.linalg.lstsq(design, target, rcond=None)[0]
    return design @ height - target, height
