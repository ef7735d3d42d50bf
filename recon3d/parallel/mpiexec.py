"""Programs started N times by an MPI launcher: who takes part, and how they end together."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import time
import warnings
from collections.abc import Callable, Mapping

from recon3d.errors import ParameterError
from recon3d.runtime.communicator import ALONE, Communicator

LAUNCHERS = {
    "PMI_SIZE": "mpiexec",
    "OMPI_COMM_WORLD_SIZE": "mpiexec",
    "MV2_COMM_WORLD_SIZE": "mpiexec",
    "SLURM_STEP_NUM_TASKS": "srun",
}
"""The variables in which launchers say how many processes they started."""

RANKS = ("PMI_RANK", "OMPI_COMM_WORLD_RANK", "MV2_COMM_WORLD_RANK", "SLURM_PROCID")

ALL_FAIL_S = 3.0
"""How long a process that failed waits for others to fail alike, before it ends them."""


def launched(environment: Mapping[str, str] = os.environ) -> tuple[int, str]:
    """How many processes an MPI launcher started, 1 without one, and the launcher's name."""
    for variable, launcher in LAUNCHERS.items():
        count = environment.get(variable, "")
        if count.isdigit() and int(count) > 1:
            return int(count), launcher
    return 1, ""


def world() -> Communicator:
    """The communicator of all processes that an MPI launcher started; `ALONE` without one.

    Processes on one machine take as many threads each as there are cores for, unless
    `NUMBA_NUM_THREADS` says how many.
    """
    count, launcher = launched()
    if count == 1:
        return ALONE
    try:
        from mpi4py import MPI

        from recon3d.parallel.mpi import MpiCommunicator
    except (ImportError, RuntimeError) as error:
        raise ParameterError(
            f"{launcher} started {count} processes, which need mpi4py and an MPI library to work "
            f"together: pip install 'recon3d[mpi]' ({error})"
        ) from error
    if MPI.COMM_WORLD.Get_size() != count:
        raise ParameterError(
            f"{launcher} started {count} processes, but each is alone in its MPI world: "
            f"{launcher} is of another MPI than mpi4py's ({MPI.Get_library_version().split()[0]}); "
            "use the mpiexec beside this Python, or srun --mpi=pmi2"
        )
    communicator = MpiCommunicator(MPI.COMM_WORLD.Dup())
    if "NUMBA_NUM_THREADS" not in os.environ and "numba" not in sys.modules:
        os.environ["NUMBA_NUM_THREADS"] = str(threads_each(communicator))
    return communicator


def threads_each(communicator: Communicator) -> int:
    """Threads for each process, so that those on one machine have a core for each thread."""
    places = [(os.uname().nodename, sorted(os.sched_getaffinity(0)))]
    everyone = communicator.collect(places)
    host, own = everyone[communicator.rank]
    here = [cores for name, cores in everyone if name == host]
    cores = {core for those in here for core in those}
    return max(min(len(own), len(cores) // len(here)), 1)


def launched_rank(environment: Mapping[str, str] = os.environ) -> int:
    """The number that a launcher gave this process, before MPI is asked; 0 without one."""
    return next((int(environment[name]) for name in RANKS if name in environment), 0)


def all_failed() -> bool:
    """Wait a moment for all other processes to fail too, as they do on the same bad input."""
    from mpi4py import MPI

    # Communicators have communicators of their own: nothing else is sent in this one.
    meeting, began = MPI.COMM_WORLD.Ibarrier(), time.monotonic()
    while not (met := meeting.Test()) and time.monotonic() - began < ALL_FAIL_S:
        time.sleep(0.01)
    return met


def run_shared(
    run: Callable[[argparse.Namespace], None], arguments: argparse.Namespace, *, shared: bool
) -> None:
    """Run a command as a member of the communicator of all processes that a launcher started.

    It is in `arguments.communicator`; `arguments.alike` tells afterwards whether all failed.
    `shared`: whether all do the work, or the first one alone.
    """
    arguments.alike = True
    try:
        communicator = arguments.communicator = world()
    except ParameterError:
        if launched_rank() > 0:
            forget_output()
        raise
    arguments.alike = False
    if communicator.rank > 0:  # reports and warnings are left to the first member
        logging.getLogger("recon3d").setLevel(logging.CRITICAL)
        warnings.simplefilter("ignore")
    try:
        if communicator.rank == 0 or shared:
            run(arguments)
    except BaseException:
        if communicator.size > 1:
            arguments.alike = all_failed()
            if arguments.alike and communicator.rank > 0:
                forget_output()
        raise


def end_all(status: int, *, alike: bool) -> None:
    """After an error end every process of a launcher, unless all end `alike`: they would wait."""
    sys.stdout.flush()
    sys.stderr.flush()
    if status and not alike and launched()[0] > 1 and "mpi4py.MPI" in sys.modules:
        from mpi4py import MPI

        if MPI.COMM_WORLD.Get_size() > 1:
            MPI.COMM_WORLD.Abort(status)


def forget_output() -> None:
    """Send whatever is still written nowhere: nobody reads it, or another process says the same."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        try:
            os.dup2(nowhere, stream.fileno())
        except (OSError, ValueError):
            continue  # it is no file, so nothing is flushed to one
    os.close(nowhere)
