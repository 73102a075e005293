"""Graphene as each potential has it: lattice, cohesion, and what two defects cost."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from elit_helpers.engines.catalogue import PICTURE_LATTICE_A, Engine, EngineLike, choose_engine
from elit_helpers.samples.defects import add_stone_wales, add_vacancy
from elit_helpers.samples.sheets import graphene_sheet, nearest
from elit_helpers.simulate.relax import relax


def compare_potentials(
    engines: Iterable[EngineLike] = ("lammps:tersoff", "lammps:erhart-albe", "lammps:airebo", "lammps:lcbop"),
    *,
    repeats: tuple[int, int] = (12, 7),
) -> pd.DataFrame:
    """Graphene as each potential has it, beside density-functional theory.

    Parameters
    ----------
    engines
        Keys of `ENGINES` that start with ``lammps:``, or `Engine` objects of that kind.
    repeats
        Size of the sheet in rectangular cells of four atoms (336 atoms for 12×7).

    Returns
    -------
    DataFrame
        Index `engine`; columns ``lattice_A``, ``bond_A``, ``cohesive_eV`` (an atom), ``vacancy_eV``,
        ``stone_wales_flat_eV`` and ``stone_wales_eV`` (free to buckle); the last row is DFT-PBE from the
        literature.
    """
    sheet = graphene_sheet(repeats)
    chosen = [choose_engine(sheet, engine).engine for engine in engines]
    rows = {engine.name: _graphene_numbers(engine, repeats) for engine in chosen}
    pbe = {"lattice_A": 2.467, "bond_A": 1.424, "vacancy_eV": 7.6, "stone_wales_eV": 4.9}
    return pd.DataFrame.from_dict(rows | {"DFT-PBE": pbe}, orient="index").rename_axis("engine")


def _graphene_numbers(engine: Engine, repeats: tuple[int, int]) -> dict[str, float]:
    sheet = graphene_sheet(repeats, a=engine.lattice_A or PICTURE_LATTICE_A)
    perfect = relax(sheet, engine=engine, cell="xy", fmax=0.005, nudge_A=0.0)
    relaxed, an_atom = perfect.atoms, perfect.info["energy_eV"] / len(sheet)
    middle = nearest(relaxed, relaxed.positions.mean(axis=0)[:2])
    vacancy, _ = add_vacancy(relaxed, middle)
    turned, _ = add_stone_wales(relaxed, middle)
    energies = [
        relax(a, engine=engine, steps=2000, nudge_A=nudge).info["energy_eV"]
        for a, nudge in ((vacancy, 0.0), (turned, 0.0), (turned, 0.1))
    ]
    length = float(np.linalg.norm(relaxed.cell[0]) / repeats[0])
    return {
        "lattice_A": length,
        "bond_A": length / np.sqrt(3),
        "cohesive_eV": an_atom,
        "vacancy_eV": energies[0] - len(vacancy) * an_atom,
        "stone_wales_flat_eV": energies[1] - len(turned) * an_atom,
        "stone_wales_eV": energies[2] - len(turned) * an_atom,
    }
