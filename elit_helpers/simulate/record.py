"""One simulation's bookkeeping: how it starts, what is looked at on the way, and what is kept of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import pandas as pd
from ase import Atoms, units
from ase.calculators.singlepoint import SinglePointCalculator
from ase.md.velocitydistribution import Stationary, ZeroRotation

from elit_helpers.core.checks import check_count, check_positive
from elit_helpers.engines.plan import Snapshot, held_atoms
from elit_helpers.geometry.bonds import COOLED, boxed, complete_cutoffs
from elit_helpers.geometry.rings import ring_census
from elit_helpers.simulate.result import scale_of, stretched

LOG_COLUMNS = [
    "step", "time_fs", "temperature_K", "potential_eV", "kinetic_eV", "total_eV", "bonds", "mean_bond_A",
]  # fmt: skip


@dataclass(frozen=True)
class Watch:
    """What to look at while a simulation runs, and what to keep.

    Parameters
    ----------
    on_progress
        Called with the log so far after every `every` steps, such as `widgets.LiveRun`. If it returns True
        the simulation stops there, and can go on later.
    census
        Count the rings on the way, C–C up to 1.85 Å. The first count is that of the start; another follows
        whenever all of them together stay within `share` of the time. When that is depends on the machine,
        unless `census_every` says it.
    around
        x, y [Å] of the place to count at, in large systems, where counting everything would be rare.
    radius_A
        How far from there [Å].
    share
        Of the time, at most, for the ring census; as much again for a checkpoint, if there is one.
    keep_every
        Steps between two frames that are kept, a multiple of `every`; None keeps one with each row of the
        log. Memory grows by these frames and no more.
    census_every
        Steps between two ring counts, a multiple of `every`: the same counts on every machine, whatever
        they cost. None leaves them their `share` of the time.
    """

    on_progress: Callable[[pd.DataFrame], bool | None] | None = None
    census: bool = True
    around: Sequence[float] | None = None
    radius_A: float = 8.0
    share: float = 0.05
    keep_every: int | None = None
    census_every: int | None = None

    def __post_init__(self) -> None:
        """Check the settings."""
        check_positive("radius_A", self.radius_A, unit="Å")
        if not 0 < self.share <= 1:
            raise ValueError(f"`share` is {self.share!r}; it is a part of the time, above 0 and at most 1.")
        if self.around is not None and np.shape(self.around) != (2,):
            raise ValueError(f"`around` is {self.around!r}; pass x, y [Å].")


class Share:
    """Lets something be done whenever all of it, with once more, costs less than a share of the time."""

    def __init__(self, share: float):
        self.share, self._spent, self._last = share, 0.0, 0.0
        self._begun = time.perf_counter()

    def allows(self) -> bool:
        """Is it time for another?"""
        return self._spent + self._last <= self.share * (time.perf_counter() - self._begun)

    @contextmanager
    def spend(self):
        """What happens in this block is counted."""
        start = time.perf_counter()
        yield
        self._last = time.perf_counter() - start
        self._spent += self._last


class BondCount:
    """Number and mean length of the bonds, without a table of them, which would cost more than the steps."""

    def __init__(self, like: Atoms):
        self._atoms, scale = Atoms(like.numbers, cell=like.cell, pbc=like.pbc), scale_of(like)
        # Cut-offs are for lengths of the picture; what is measured are the engine's.
        known = complete_cutoffs(None, sorted(set(like.get_chemical_symbols())))
        self._cutoffs = {pair: length * scale for pair, length in known.items()}

    def __call__(self, positions: np.ndarray) -> tuple[int, float]:
        """Count them at these positions (N, 3)."""
        from matscipy.neighbours import neighbour_list

        self._atoms.positions = positions
        lengths = neighbour_list("d", boxed(self._atoms), self._cutoffs)  # each bond twice
        return len(lengths) // 2, float(lengths.mean()) if len(lengths) else np.nan


class Record:
    """What a simulation has given so far: rows of the log, frames, ring counts.

    Parameters
    ----------
    start
        The structure with its velocities.
    timestep_fs
        Length of a step [fs].
    conserves_rotation
        Whether a flake's rotation stays what it was, and so carries no heat.
    watch
        What to look at; None looks at no rings.
    """

    def __init__(self, start: Atoms, timestep_fs: float, *, conserves_rotation: bool, watch: Watch | None):
        self.start, self.timestep_fs, self.scale = start, timestep_fs, scale_of(start)
        self.watch = watch or Watch(census=False)
        self.rows = 0
        self.frames: list[Atoms] = []
        self.counts: list[dict[str, float]] = []
        self._table = np.empty((64, len(LOG_COLUMNS)))
        self._moment: Snapshot | None = None
        self._freedom = freedom(start, conserves_rotation=conserves_rotation)
        self._masses, self._bonds = start.get_masses(), BondCount(start)
        self._census, around = Share(self.watch.share), self.watch.around
        self._near = None if around is None else near(start, around, self.watch.radius_A)

    def take(self, moment: Snapshot) -> None:
        """Note a moment: a row of the log, and a frame and a ring census where they are due."""
        if self.rows == len(self._table):
            self._table = np.concatenate([self._table, np.empty_like(self._table)])
        self._table[self.rows] = self._row(moment)
        keep = self.watch.keep_every
        if keep is None or moment.step % keep == 0:
            self.frames.append(self.frame(moment))
        self._moment, self.rows = moment, self.rows + 1  # from here on it counts, whatever interrupts
        if self._counts_at(moment.step):
            with self._census.spend():
                counts = self._rings(self.last)
            self.counts.append({"step": moment.step, "time_fs": moment.step * self.timestep_fs, **counts})

    def _counts_at(self, step: int) -> bool:
        """Is a ring count due?"""
        if self.watch.census and self.watch.census_every is not None:
            return step % self.watch.census_every == 0
        return self.watch.census and self._census.allows()

    def frame(self, moment: Snapshot) -> Atoms:
        """The structure at a moment."""
        return frame(self.start, moment, self.scale, time_fs=moment.step * self.timestep_fs)

    @property
    def last(self) -> Atoms:
        """The structure at the last moment."""
        return self.frame(self._moment)

    def restore(self, log: pd.DataFrame, frames: list[Atoms], last: Snapshot, census: pd.DataFrame) -> None:
        """Go on from what an earlier run had noted."""
        self._table, self.rows = log[LOG_COLUMNS].to_numpy(float), len(log)
        self.frames, self._moment = frames, last
        self.counts = census.to_dict("records")

    def kept(self) -> list[Atoms]:
        """The frames to keep, without one that an interrupt left unfinished."""
        now = self._moment.step * self.timestep_fs
        return [one for one in self.frames if one.info["time_fs"] <= now]

    def trajectory(self) -> list[Atoms]:
        """The frames kept, and the last one in any case."""
        kept, last = self.kept(), self.last
        return kept if kept and kept[-1].info["time_fs"] == last.info["time_fs"] else [*kept, last]

    @property
    def steps(self) -> int:
        """Steps done."""
        return int(self._table[self.rows - 1, 0])

    def log(self) -> pd.DataFrame:
        """The log so far."""
        table = pd.DataFrame(self._table[: self.rows].copy(), columns=LOG_COLUMNS)
        return table.astype({"step": int, "bonds": int})

    def census(self) -> pd.DataFrame:
        """The ring counts so far, a column for each size."""
        sizes = sorted({size for counts in self.counts for size in counts if isinstance(size, int)})
        table = pd.DataFrame(self.counts, columns=["step", "time_fs", *sizes])
        table.attrs["cutoffs"] = dict(COOLED)
        return table.fillna(0).astype(dict.fromkeys(["step", *sizes], int))

    def _row(self, moment: Snapshot) -> tuple[float, ...]:
        kinetic = 0.5 * float(np.einsum("i,ij,ij", self._masses, moment.velocities, moment.velocities))
        kelvin = 2 * kinetic / (self._freedom * units.kB)
        passed, total = moment.step * self.timestep_fs, moment.energy + kinetic
        return (moment.step, passed, kelvin, moment.energy, kinetic, total, *self._bonds(moment.positions))

    def _rings(self, current: Atoms) -> dict[int, int]:
        atoms = current
        if self._near is not None:
            own, shift = self._near
            atoms = Atoms(current.numbers[own], current.positions[own] + shift)
        if self.scale != 1.0:
            atoms = stretched(atoms, 1.0 / self.scale)
        count = ring_census(atoms, cutoffs=COOLED)["count"]
        return {int(size): int(number) for size, number in count.items()}


def near(atoms: Atoms, around: Sequence[float], radius_A: float) -> tuple[np.ndarray, np.ndarray]:
    """The atoms within a radius [Å] of x, y: their indices, and what brings them to one side of the walls."""
    from ase.geometry import find_mic

    away = atoms.positions - [*around, 0.0]
    flat = away * [1.0, 1.0, 0.0]
    if atoms.pbc[:2].any():
        flat, _ = find_mic(flat, atoms.cell, pbc=[*atoms.pbc[:2], False])
    found = np.flatnonzero(np.hypot(flat[:, 0], flat[:, 1]) <= radius_A)
    if not len(found):
        raise ValueError(f"`around` is {list(around)}, but no atom is within {radius_A:g} Å of it.")
    return found, ((flat - away) * [1.0, 1.0, 0.0])[found]


def frame(like: Atoms, moment: Snapshot, scale: float, *, time_fs: float | None = None) -> Atoms:
    """The caller's `Atoms` at a moment of a run, with momenta, energy and forces."""
    atoms = like.copy()
    atoms.positions = moment.positions
    cell = np.array(like.cell)
    cell[atoms.pbc] = moment.cell[atoms.pbc]
    if not np.allclose(cell, like.cell, atol=1e-9):  # turning it there and back leaves a rounding error
        atoms.cell = cell
    atoms.set_velocities(moment.velocities)
    atoms.info["lattice_scale"] = scale
    if time_fs is not None:
        atoms.info["time_fs"] = time_fs
    atoms.calc = SinglePointCalculator(atoms, energy=moment.energy, forces=moment.forces)
    return atoms


def with_velocities(atoms: Atoms, temperature_K: float | None, rng: np.random.Generator) -> Atoms:
    """A copy with velocities drawn for a temperature [K] and scaled to it; None keeps those it has."""
    moving = atoms.copy()
    if temperature_K is None:
        return moving
    spread = np.sqrt(units.kB * temperature_K * moving.get_masses())
    moving.set_momenta(rng.standard_normal((len(moving), 3)) * spread[:, None])
    if not held_atoms(moving).any():  # what is held can neither drift nor turn
        Stationary(moving)
        if not moving.pbc.any() and len(moving) > 2:
            ZeroRotation(moving)
    # A draw for few atoms strays by several per cent: what is asked for is what the run starts with.
    drawn = 2 * moving.get_kinetic_energy() / (freedom(moving, conserves_rotation=True) * units.kB)
    if drawn > 0:
        moving.set_momenta(moving.get_momenta() * np.sqrt(temperature_K / drawn))
    return moving


def freedom(atoms: Atoms, *, conserves_rotation: bool) -> int:
    """What cannot move carries no heat: held atoms, or else drift and, for a flake, rotation as a whole."""
    held = held_atoms(atoms).sum()
    frozen = 6 if conserves_rotation and not atoms.pbc.any() else 3
    return max(3 * (len(atoms) - held) - (0 if held else frozen), 1)


def drift(log: pd.DataFrame, n_atoms: int) -> float:
    """The trend of the total energy over a run [meV/atom]."""
    if len(log) < 3:
        return float("nan")
    slope = np.polyfit(log["time_fs"], log["total_eV"], 1)[0]
    return float(slope * np.ptp(log["time_fs"]) / n_atoms * 1000)


def check_watch(watch: Watch | None, every: int) -> None:
    """Refuse what is no `Watch`, and frames or counts that would fall between the rows of the log."""
    if watch is not None and not isinstance(watch, Watch):
        raise TypeError(f"`watch` is {type(watch).__name__}; pass Watch(on_progress=...) or None.")
    for name in ("keep_every", "census_every"):
        steps = None if watch is None else getattr(watch, name)
        if steps is not None and check_count(name, steps) % every:
            raise ValueError(f"`{name}` is {steps!r}; it must be a multiple of `every`, which is {every}.")
