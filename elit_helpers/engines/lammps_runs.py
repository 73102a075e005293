"""How LAMMPS is run: dynamics and minimisation in chunks, a snapshot after each.

LAMMPS does its own time steps and its own minimisation; Python looks at the atoms between chunks, which
costs nothing measurable.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from ase import Atoms

from elit_helpers.engines.lammps import open_session
from elit_helpers.engines.plan import DAMPING_FS, Plan, Snapshot

FIRST_CHUNK, LAST_CHUNK = 10, 200  # iterations between two looks at a minimisation; each doubles the last


def dynamics(atoms: Atoms, potential: tuple[str, ...], plan: Plan) -> Iterator[Snapshot]:
    """Run MD and give a snapshot at the start and after every chunk."""
    with open_session(atoms, potential, plan.threads) as session:
        session.command(f"timestep {plan.timestep_fs / 1000:.10g}", f"thermo {plan.every}")
        session.command(*_motion(session.hold(atoms), plan))
        session.command("run 0 post no")
        yield session.snapshot()
        for chunk in plan.chunks():
            session.run(chunk)
            yield session.snapshot()


def _motion(free: str, plan: Plan) -> list[str]:
    """The fixes that move the group `free` of atoms."""
    bath = f"{plan.bath_K} {plan.bath_K} {DAMPING_FS / 1000:g}"
    if plan.ensemble == "nvt-nose-hoover":
        # Where atoms are held there is no drift to leave out of the temperature.
        freedom = [] if free == "all" else ["compute_modify move_temp extra/dof 0"]
        return [f"fix move {free} nvt temp {bath}", *freedom]
    if plan.ensemble == "nve":
        return [f"fix move {free} nve"]
    # "zero yes": the bath gives no push to the whole, so the structure stays where it is. Held atoms do that
    # by themselves, and a bath that never pushes the others together would leave that motion cold.
    zero = "yes" if free == "all" else "no"
    return [
        f"fix move {free} nve",
        f"fix bath {free} langevin {bath} {plan.seed % 900_000_000 + 1} zero {zero}",
    ]


def minimise(
    atoms: Atoms, potential: tuple[str, ...], *, fmax: float, steps: int, cell: str | None
) -> Iterator[Snapshot]:
    """Minimise and give a snapshot at the start and after every chunk of iterations.

    Conjugate gradients first, which is fast. Where its line search fails (the potentials here switch bonds
    on and off, so the energy has kinks) FIRE takes over for a while. With ``cell="xy"`` the in-plane cell
    moves too.
    """
    with open_session(atoms, potential) as session:
        session.hold(atoms)
        session.command("min_modify norm max", "run 0 post no")
        moment = session.snapshot()
        yield moment
        free_cell = "y 0 xy 0" if session.tilted else "y 0"
        length = FIRST_CHUNK
        stuck, settled = False, cell is None and _largest_force(moment) <= fmax
        while moment.step < steps and not settled:
            # Every look restarts the search directions, which a floppy sheet needs for long: look ever less.
            chunk = min(LAST_CHUNK if stuck else length, steps - moment.step)
            length = min(2 * length, LAST_CHUNK)
            moving_cell = cell == "xy" and not stuck
            if moving_cell:
                session.command(f"fix cell all box/relax x 0 {free_cell} vmax 0.001")
            session.command(f"min_style {'fire' if stuck else 'cg'}")
            session.minimise(fmax, chunk)
            if moving_cell:
                session.command("unfix cell")
            before, moment = moment, session.snapshot()
            yield moment
            stopped = moment.step - before.step < chunk
            settled = _largest_force(moment) <= fmax and (stopped or cell is None)
            if moment.step == before.step and stuck:
                return
            stuck = stopped and not settled


def _largest_force(moment: Snapshot) -> float:
    return float(np.linalg.norm(moment.forces, axis=1).max())
