"""A simulation in several processes under mpiexec, which send what they see back to this one.

Every process builds the same structure and gives LAMMPS the same commands; LAMMPS divides the atoms among
them. The first sends each snapshot through a socket. No mpi4py is needed: LAMMPS knows its processes itself.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ase import Atoms

from elit_helpers.core.checks import EngineMissing
from elit_helpers.core.interrupts import Hold
from elit_helpers.engines import lammps_runs
from elit_helpers.engines.plan import Plan, SimulationError, Snapshot

LOOK_S = 0.2


def mpiexec() -> str:
    """The program that starts the processes: that of the MPI which came with LAMMPS before any other."""
    beside = Path(sys.prefix) / "bin" / "mpiexec"
    found = str(beside) if beside.is_file() else shutil.which("mpiexec")
    if found is None:
        raise EngineMissing(
            "`ranks` above 1 needs the program mpiexec of the MPI that LAMMPS was built with, and none is "
            "installed. `pip install 'lammps[mpi]'` or `conda install -c conda-forge lammps` brings it; or "
            "pass ranks=1 (and threads=2, if the potential has OpenMP)."
        )
    return found


def dynamics(atoms: Atoms, potential: tuple[str, ...], plan: Plan) -> Iterator[Snapshot]:
    """As `lammps_runs.dynamics`, in `plan.ranks` processes."""
    program = mpiexec()
    with (
        Hold() as interrupts,
        tempfile.TemporaryDirectory(prefix="elit-") as folder,
        socket.socket(socket.AF_UNIX) as server,
    ):
        Path(folder, "task").write_bytes(pickle.dumps((atoms, potential, plan)))
        server.bind(f"{folder}/socket")
        server.listen(1)
        server.settimeout(LOOK_S)
        command = [
            program,
            "-n",
            str(plan.ranks),
            sys.executable,
            "-m",
            "elit_helpers.engines.lammps_mpi",
            folder,
        ]
        with open(f"{folder}/words", "wb") as words:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=words, stderr=words, start_new_session=True,
                env=os.environ | {"OMP_NUM_THREADS": str(plan.threads)},
            )  # fmt: skip
            try:
                with interrupts.let_through():
                    yield from _received(_connected(server, process, folder), folder)
            finally:
                _end(process)


def _connected(server: socket.socket, process: subprocess.Popen, folder: str) -> socket.socket:
    while process.poll() is None:
        with contextlib.suppress(TimeoutError):
            connection = server.accept()[0]
            connection.setblocking(True)
            return connection
    raise SimulationError(f"the processes of mpiexec did not start: {_words(folder)}")


def _received(connection: socket.socket, folder: str) -> Iterator[Snapshot]:
    with connection, connection.makefile("rb") as stream:
        while True:
            try:
                came = pickle.load(stream)  # from our own process, through a folder that only we can enter
            except (EOFError, pickle.UnpicklingError, ConnectionError):
                raise SimulationError(
                    f"a process of mpiexec ended before the simulation did: {_words(folder)}"
                ) from None
            if came is None:
                return
            if isinstance(came, Exception):
                raise came
            yield came


def _words(folder: str) -> str:
    text = " ".join(Path(folder, "words").read_text(errors="replace").split())
    return text[-600:] or "it left no message"


def _end(process: subprocess.Popen) -> None:
    """Give the processes a moment to end by themselves, and end them if they do not."""
    for wait, how in ((0.5, signal.SIGTERM), (5, signal.SIGKILL)):
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(wait)
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, how)
    process.wait()


def _work(folder: str) -> None:
    """What each process does: run the same simulation; the first one sends what there is to see."""
    atoms, potential, plan = pickle.loads(Path(folder, "task").read_bytes())
    rank, ranks = _place()
    if ranks != plan.ranks:
        raise SystemExit(
            f"mpiexec started {plan.ranks} processes, but LAMMPS sees {ranks}: it belongs to another MPI."
        )
    if rank:
        for _ in lammps_runs.dynamics(atoms, potential, plan):
            pass
        return
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(f"{folder}/socket")
        with connection.makefile("wb") as stream:
            try:
                for moment in lammps_runs.dynamics(atoms, potential, plan):
                    pickle.dump(moment, stream, protocol=pickle.HIGHEST_PROTOCOL)
                    stream.flush()
                last = None
            except Exception as error:
                last = error
            pickle.dump(last, stream)


def _place() -> tuple[int, int]:
    from elit_helpers.engines.lammps import load_lammps

    lammps = load_lammps()(cmdargs=["-log", "none", "-screen", "none", "-nocite"])
    place = lammps.extract_setting("world_rank"), lammps.extract_setting("world_size")
    lammps.close()
    return place


if __name__ == "__main__":
    _work(sys.argv[1])
