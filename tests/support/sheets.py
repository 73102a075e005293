"""Sheets and flakes of graphene that tests of several files look at."""

import numpy as np
from ase.build import graphene

SHEET = graphene(size=(3, 3, 1), vacuum=5)
"""18 atoms, for what only has to be drawn; take a copy to change it."""


def rattled(step_A, count=4):
    """Return frames of SHEET: the first at rest, each other one displaced by `step_A` [Å] more."""
    moved = [SHEET.copy() for _ in range(count)]
    for number, frame in enumerate(moved):
        frame.rattle(step_A * number, seed=number)
    return moved


def oblique_sheet(n=4, *, a=2.46, periodic=True):
    """ASE's sheet of n × n cells of two atoms: what the package builds itself has a rectangular cell."""
    sheet = graphene(size=(n, n, 1), a=a, vacuum=8.0)
    sheet.pbc = (periodic, periodic, False)
    return sheet


def honeycomb(size_A, *, turn=0.0, start=(0.0, 0.0), border_A=0.0):
    """Return places (x, y) [Å] of graphene in a square, made without the package, which they judge."""
    a, n = 2.46, np.arange(-np.ceil(0.7 * size_A), np.ceil(0.7 * size_A) + 1)
    cell = np.array([[a, 0], [a / 2, a * np.sqrt(3) / 2]])
    corners = np.stack(np.meshgrid(n, n), -1).reshape(-1, 2) @ cell
    turned = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    points = np.vstack([corners, corners + [0, a / np.sqrt(3)]]) @ turned + start
    return points[((points > border_A) & (points < size_A - border_A)).all(axis=1)]


def with_errors(atoms, error_A, seed=0):
    """Return the atoms with an error of every place along x and y, as a picture gives them [Å]."""
    seen = atoms.copy()
    seen.positions[:, :2] += np.random.default_rng(seed).normal(0, error_A, (len(seen), 2))
    return seen


def with_silicon(atoms, index):
    impure = atoms.copy()
    impure.symbols[index] = "Si"
    return impure
