"""A molecule flies at a hole of a sheet: the start, the run, what became of the hole, how often."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from ase import Atoms, units
from ase.md.velocitydistribution import Stationary

from elit_helpers.core.atoms_table import require_columns
from elit_helpers.core.checks import (
    RandomState,
    check_at_least,
    check_choice,
    check_positive,
    resolve_rng,
    spawn_seeds,
)
from elit_helpers.core.interrupts import stopped_as
from elit_helpers.engines.catalogue import EngineLike, choose_engine
from elit_helpers.geometry.bonds import COOLED, find_edges
from elit_helpers.geometry.fate import fate
from elit_helpers.geometry.rings import rings
from elit_helpers.simulate.dynamics import run_md
from elit_helpers.simulate.relax import relax
from elit_helpers.simulate.result import Run

OUTCOMES = ("healed", "partly", "not")
SURE = 0.68  # one standard error

MOLECULES = ("CH3", "CH2", "CH", "C")
ARGUMENTS = ("molecule", "distance_A", "angle", "turned", "side")
NEAREST_A = 1.2  # closer than this to an atom of the sheet, a molecule starts inside it
BORDER_A = 0.3  # so far outside a ring's circle a place may lie: a turned bond is the border of two heptagons
BENT_A = 0.3  # the hydrogens of CH3, which is flat, are bent back by this much
COOL_FMAX, COOL_STEPS = 0.1, 200
EVERY_FS = 5.0
TIMESTEP_FS, TIMESTEPS_FS = 0.5, {"lammps:airebo": 0.1}


@dataclass
class Healing:
    """What `heal` gives.

    Attributes
    ----------
    outcome
        ``"healed"``, ``"partly"`` or ``"not"``, by the rings of the cooled end.
    run
        The dynamics: frames, log with the energies, settings.
    cooled
        The last frame at its nearest minimum.
    way
        One row a frame: ``time_fs, potential_eV, temperature_K`` (the flight counts as heat), ``distance_A``
        (the molecule's carbon from the middle of the hole), ``bonds`` (of that carbon to other carbon) and
        ``hydrogens`` (bonded to it).
    row
        The run as one row of a table: the start, the settings, ``outcome``, ``fate``, ``bonds`` and
        ``hydrogens`` of the molecule's carbon, how many of its hydrogens have ``moved`` to the sheet or are
        ``free``, ``energy_eV`` of the cooled end above the start, ``energy_error_eV``, how far the total
        energy has strayed, and ``fmax_eV_A``, the largest force left in the cooled end: above 0.1 it is at
        no minimum yet.
    """

    outcome: str
    run: Run
    cooled: Atoms
    way: pd.DataFrame
    row: dict[str, Any]

    def __repr__(self) -> str:
        return f"Healing({self.outcome}: {self.row['fate']}; {self.row['molecule']}, {self.run.engine})"


def approach(
    sheet: Atoms,
    molecule: str = "CH3",
    *,
    hole: Sequence[float] | pd.Series,
    distance_A: float = 2.5,
    angle: float = 0.0,
    turned: float = 0.0,
    rng: RandomState = None,
) -> Atoms:
    """Put a molecule above or beside a hole.

    Parameters
    ----------
    sheet : ase.Atoms
        The sheet or flake, best relaxed with the engine of the run; its plane is that of x and y. Hold its
        rim with `ase.constraints.FixAtoms`, as the sheet round it would.
    molecule : str
        ``"CH3"``, ``"CH2"``, ``"CH"`` or ``"C"``.
    hole : (2,) sequence of float or row of a table
        x, y of the middle of the hole [Å], or a row of `defects` or `regions_of_interest`.
    distance_A : float
        From there to the molecule's carbon [Å].
    angle : float
        Between the way to the hole and the normal of the sheet [°]: 0 comes from straight above, 60 from
        the side. From which side is drawn from `rng`.
    turned : float
        Of the molecule's axis [°]: 0 has carbon ahead and hydrogen behind, 180 hydrogen ahead. How it is
        turned about its axis is drawn from `rng`.
    rng : int, Generator or None
        Seed or generator.

    Returns
    -------
    ase.Atoms
        The sheet and then the molecule, marked in the array ``molecule``. The molecule's carbon comes first
        and carries the spin that an odd number of electrons leaves over (initial magnetic moment 1); an even
        number is a singlet, unless `set_initial_magnetic_moments` says otherwise. ``info`` keeps the
        arguments.

    Raises
    ------
    ValueError
        The molecule is unknown, there is no hole, or the molecule would start inside the sheet.
    """
    check_choice("molecule", molecule, MOLECULES)
    distance, middle = check_positive("distance_A", distance_A, unit="Å"), _middle_of(sheet, hole)
    spin, side = resolve_rng(rng).uniform(0, 360, 2)
    gas = _molecule(molecule)
    gas.rotate(spin, "z")
    gas.rotate(turned + angle, "y")
    gas.rotate(side, "z")
    tilt, azimuth = np.deg2rad([angle, side])
    away = [np.sin(tilt) * np.cos(azimuth), np.sin(tilt) * np.sin(azimuth), np.cos(tilt)]
    gas.positions += middle + distance * np.array(away)
    nearest = np.linalg.norm(gas.positions[:, None] - sheet.positions, axis=2).min()
    if nearest < NEAREST_A:
        raise ValueError(
            f"`distance_A` is {distance:g} Å at `angle` {angle:g}°: {molecule} would start {nearest:.2f} Å "
            f"from an atom, inside the sheet; at least {NEAREST_A} Å are needed. Start further away."
        )
    start = sheet.copy()
    start.arrays["molecule"], gas.arrays["molecule"] = np.zeros(len(sheet), bool), np.ones(len(gas), bool)
    start += gas
    moments = np.zeros(len(start))
    moments[len(sheet)] = start.numbers.sum() % 2
    start.set_initial_magnetic_moments(moments)
    start.info["hole_A"] = middle
    start.info |= dict(zip(ARGUMENTS, (molecule, distance, angle, turned, float(side)), strict=True))
    return start


def heal(
    start: Atoms,
    *,
    engine: EngineLike = "auto",
    temperature_K: float = 300.0,
    time_fs: float = 400.0,
    collision_eV: float = 0.5,
    timestep_fs: float | None = None,
    rng: RandomState = None,
) -> Healing:
    """Let a molecule fly at the hole it stands above, cool what is there at the end, and count its rings.

    The energy is constant: what a new bond sets free stays in the flake. The outcome is ``"healed"`` if only
    hexagons are left and the molecule's carbon is in one (hydrogen may still sit there, see ``hydrogens``),
    ``"partly"`` if fewer atoms are missing than before, or its carbon has become part of the rings at the
    hole, and ``"not"`` otherwise, also where it hangs by one bond or sits astride of a bond.

    Parameters
    ----------
    start : ase.Atoms
        From `approach`, or any sheet with a molecule marked in the array ``molecule``, its carbon first.
    engine : str, Engine or EngineChoice
        A key of `ENGINES`, an `Engine`, a choice of `choose_engine`, or ``"auto"``, which takes AIREBO where
        there is hydrogen.
    temperature_K : float
        Of sheet and molecule at the start [K].
    time_fs : float
        Length of the run [fs].
    collision_eV : float
        Kinetic energy of the molecule's flight towards the hole [eV]; 0 lets it start from rest.
    timestep_fs : float
        Length of a step [fs]; if not given 0.5, as hydrogen needs, for AIREBO 0.1: it switches a bond on
        within some tenths of an ångström, and a longer step over that edge gains or loses whole
        electronvolts (see ``energy_error_eV``).
    rng : int, Generator or None
        Seed or generator of the velocities; the seed is kept in `Healing.row`.

    Returns
    -------
    Healing

    Raises
    ------
    ValueError
        No molecule is marked, the sheet has no hole, or a setting is out of range.
    SimulationError
        The engine stopped.
    Stopped
        At an interrupt; its `result` is the dynamics until then, as `run_md` gives it. There is no outcome.
    """
    gas = _marked(start)
    before = start[~gas]
    hole = np.asarray(start.info["hole_A"] if "hole_A" in start.info else _middle_of(before), float)
    for name, value, unit in (("temperature_K", temperature_K, "K"), ("time_fs", time_fs, "fs")):
        check_positive(name, value, unit=unit)
    choice = choose_engine(start, engine)
    timestep_fs = TIMESTEPS_FS.get(choice.name, TIMESTEP_FS) if timestep_fs is None else timestep_fs
    check_positive("timestep_fs", timestep_fs, unit="fs")
    check_at_least("collision_eV", collision_eV, 0, unit="eV")
    seed = spawn_seeds(rng, 1)[0]
    moving = _flying(start, gas, hole, temperature_K, collision_eV, np.random.default_rng(seed))
    steps, every = max(round(time_fs / timestep_fs), 1), max(round(EVERY_FS / timestep_fs), 1)
    run = run_md(
        moving, engine=choice, steps=steps, every=every, timestep_fs=timestep_fs, temperature_K=None, rng=seed
    )
    cooling = "The flight was over; the interrupt came while its end was cooled. `result` is its dynamics."
    with stopped_as(lambda _: cooling, lambda: run):
        end = relax(run.atoms, engine=choice.engine, fmax=COOL_FMAX, steps=COOL_STEPS)
    cooled = end.atoms
    result, became = outcome_of(before, cooled)
    row = {
        **{name: start.info.get(name) for name in ARGUMENTS}, "engine": run.engine,
        "temperature_K": float(temperature_K), "collision_eV": float(collision_eV),
        "time_fs": steps * timestep_fs, "timestep_fs": timestep_fs, "seed": seed,
        "outcome": result, "fate": became, **_bonded(cooled),
        "energy_eV": float(cooled.get_potential_energy() - run.log["potential_eV"].iloc[0]),
        "energy_error_eV": float(np.ptp(run.log["total_eV"])), "fmax_eV_A": end.info["fmax"],
        "seconds": run.info["seconds"],
    }  # fmt: skip
    row["molecule"] = row["molecule"] or start[gas].get_chemical_formula()
    return Healing(result, run, cooled, _way(run, gas, hole), row)


def outcome_of(before: Atoms, cooled: Atoms) -> tuple[str, str]:
    """Name what became of a hole, and its `fate`: the sheet before, and sheet and molecule cooled after."""
    became, carbon = fate(before, cooled), int(np.flatnonzero(_marked(cooled))[0])
    own = [len(ring) for ring in rings(cooled, cutoffs=COOLED)["atoms"] if carbon in ring]
    built_in = min(own, default=0) > 3  # a ring of three is an ad-atom astride of a bond
    word = became.partition(":")[0]
    if word == "healed" and built_in:
        return "healed", became
    partly = word == "partly healed" or (word == "rearranged" and built_in)
    return ("partly" if partly else "not"), became


def _middle_of(sheet: Atoms, hole: Any = None) -> np.ndarray:
    """Return the middle of a hole (3,) at the height of the ring round it; the largest if none is named."""
    found = rings(sheet, cutoffs=COOLED)
    found = found[found["size"] != 6]
    if hole is None and len(found):
        hole = found.iloc[-1]
    point = [hole["x_A"], hole["y_A"]] if hasattr(hole, "keys") else ([0, 0] if hole is None else hole)
    point = np.asarray(point, float)
    if point.shape != (2,) or not np.isfinite(point).all():
        raise ValueError(f"`hole` is {hole!r}; pass x, y [Å] or a row of `defects`.")
    away = np.linalg.norm(found[["x_A", "y_A"]].to_numpy(float) - point, axis=1)
    beyond = away - np.sqrt(found["area_A2"].to_numpy(float) / np.pi)
    if not len(found) or beyond.min() > BORDER_A:
        nearest = f"the nearest ring of another size is {away.min():.1f} Å away" if len(found) else ""
        raise ValueError(
            f"The sheet has no hole at {np.round(point, 2).tolist()} Å, its rings there are hexagons"
            f"{'; ' + nearest if nearest else ''}. Pass a row of `defects(sheet)` as `hole`."
        )
    ring = found["atoms"].iloc[int(beyond.argmin())]
    return np.array([*point, sheet.positions[list(ring), 2].mean()])


def _molecule(name: str) -> Atoms:
    """The radical with its carbon first and at the origin, its hydrogens upwards."""
    from ase.build import molecule

    if name == "C":
        return Atoms("C", [[0.0, 0.0, 0.0]])
    gas = molecule({"CH2": "CH2_s3B1d"}.get(name, name))
    gas = gas[np.argsort(gas.numbers != 6, kind="stable")]
    gas.set_initial_magnetic_moments(None)
    gas.positions -= gas.positions[0]
    if name == "CH3":
        length = np.linalg.norm(gas.positions[1])
        gas.positions[1:, 2] += BENT_A
        gas.positions[1:] *= length / np.linalg.norm(gas.positions[1])
    else:
        gas.rotate(gas.positions[1:].mean(axis=0), (0, 0, 1))
    return gas


def _marked(start: Atoms) -> np.ndarray:
    gas = np.asarray(start.arrays.get("molecule", np.zeros(len(start))), bool)
    if not gas.any() or gas.all() or start.symbols[gas][0] != "C":
        raise ValueError(
            "`start` has no array 'molecule' that marks a molecule, its carbon first, beside a sheet; "
            "make it with `approach`."
        )
    return gas


def _flying(
    start: Atoms, gas: np.ndarray, hole: np.ndarray, kelvin: float, collision: float, rng: np.random.Generator
) -> Atoms:
    """Give heat to sheet and molecule, and to the molecule a flight towards the hole."""
    moving, velocities = start.copy(), np.zeros((len(start), 3))
    for part in (~gas, gas):
        piece = moving[part]
        spread = np.sqrt(units.kB * kelvin * piece.get_masses())
        piece.set_momenta(rng.standard_normal((len(piece), 3)) * spread[:, None])
        if not piece.constraints:  # what is held can neither drift nor turn
            Stationary(piece, preserve_temperature=False)
        velocities[part] = piece.get_velocities()
    mass = moving.get_masses()[gas]
    heading = hole - mass @ moving.positions[gas] / mass.sum()
    velocities[gas] += np.sqrt(2 * collision / mass.sum()) * heading / np.linalg.norm(heading)
    moving.set_velocities(velocities)
    return moving


def _bonded(atoms: Atoms) -> dict[str, int]:
    """Count what the molecule's carbon holds, and where the molecule's hydrogens are."""
    gas, edges = _marked(atoms), find_edges(atoms, COOLED)
    light, first = atoms.numbers == 1, int(np.flatnonzero(gas)[0])
    own = edges.j[edges.i == first]
    hydrogens = set(np.flatnonzero(gas & light))
    moved = hydrogens & set(edges.i[~gas[edges.j]])
    return {
        "bonds": int((~light[own]).sum()), "hydrogens": int(light[own].sum()), "moved": len(moved),
        "free": len(hydrogens - moved - set(own)),
    }  # fmt: skip


def _way(run: Run, gas: np.ndarray, hole: np.ndarray) -> pd.DataFrame:
    """Follow the molecule's carbon: how far it is from the middle of the hole, and what it holds."""
    first, mass = int(np.flatnonzero(gas)[0]), run.atoms.get_masses()[~gas]
    way = run.log[["time_fs", "potential_eV", "temperature_K"]].copy()
    middles = [
        hole + mass @ (f.positions - run.trajectory[0].positions)[~gas] / mass.sum() for f in run.trajectory
    ]
    away = [frame.positions[first] - middle for frame, middle in zip(run.trajectory, middles, strict=True)]
    held = pd.DataFrame([_bonded(frame) for frame in run.trajectory])
    return way.assign(
        distance_A=np.linalg.norm(away, axis=1), bonds=held["bonds"], hydrogens=held["hydrogens"]
    )


def healing_shares(table: pd.DataFrame, *, by: str | Sequence[str] = "molecule") -> pd.DataFrame:
    """Count how many runs healed, healed partly or not, with the error bar of each share.

    Parameters
    ----------
    table : DataFrame
        One row a run, as `Healing.row` or `healing_runs`: ``outcome`` and the columns named in `by`.
    by : str or sequence of str
        Columns that tell the groups apart.

    Returns
    -------
    DataFrame
        One row a group and outcome: the columns of `by`, ``outcome``, ``count``, ``runs`` of the group,
        ``share``, and ``low, high``, its 68 % interval (Wilson's, of a binomial share; it has a width for
        none and for all, too).

    Raises
    ------
    ValueError
        A column is missing, or an outcome is none of ``"healed"``, ``"partly"``, ``"not"``.
    """
    from scipy.stats import binomtest

    names = [by] if isinstance(by, str) else list(by)
    require_columns(table, [*names, "outcome"], "table", source="`healing_runs`")
    for word in table["outcome"].unique():
        check_choice("outcome", word, OUTCOMES)
    rows = []
    for key, own in table.groupby(names, sort=False):
        for word in OUTCOMES:
            count = int((own["outcome"] == word).sum())
            between = binomtest(count, len(own)).proportion_ci(SURE, method="wilson")
            rows.append((*key, word, count, len(own), count / len(own), between.low, between.high))
    return pd.DataFrame(rows, columns=[*names, "outcome", "count", "runs", "share", "low", "high"])
