"""Memory that the processes of one machine share."""

from __future__ import annotations

import mmap
import os

import numpy as np
from mpi4py import MPI
from numpy.typing import NDArray

TOKEN_BYTES = 16
"""How much is written to tell whether all processes see the same memory."""


def map_together(
    comm: MPI.Intracomm, count: int, shape: tuple[int, int]
) -> NDArray[np.float32] | None:
    """Arrays of zeros, (count, *shape), in memory that all members of a communicator see.

    It has no name, and is gone with the last process. None where the processes are not all on one
    machine, or cannot share memory there.
    """
    size = 4 * count * shape[0] * shape[1]
    if size == 0 or not _on_one_machine(comm):
        return None
    descriptor, token = -1, os.urandom(TOKEN_BYTES)
    if comm.Get_rank() == 0:
        descriptor = _create(size, token)
    owner, number, token = comm.bcast((os.getpid(), descriptor, token))
    if comm.Get_rank() > 0 and number >= 0:
        descriptor = _open(owner, number)
    memory = _map(descriptor, size, token)
    seen_by_all = comm.allreduce(memory is not None, MPI.LAND)
    if descriptor >= 0:
        # What is mapped stays; an open descriptor would keep the memory forever.
        os.close(descriptor)
    if memory is None or not seen_by_all:
        return None
    if comm.Get_rank() == 0:
        memory[:TOKEN_BYTES] = bytes(TOKEN_BYTES)
    comm.Barrier()
    return np.frombuffer(memory, np.float32, size // 4).reshape(count, *shape)


def _on_one_machine(comm: MPI.Intracomm) -> bool:
    here = comm.Split_type(MPI.COMM_TYPE_SHARED)
    together = bool(here.Get_size() == comm.Get_size())
    here.Free()
    return comm.allreduce(together, MPI.LAND)


def _create(size: int, token: bytes) -> int:
    """Descriptor of new memory that begins with the token; -1 where the system has none."""
    if not hasattr(os, "memfd_create"):
        return -1
    try:
        descriptor = os.memfd_create("recon3d")
        os.ftruncate(descriptor, max(size, TOKEN_BYTES))
        os.pwrite(descriptor, token, 0)
    except OSError:
        return -1
    return descriptor


def _open(process: int, number: int) -> int:
    """Descriptor of the memory of another process; -1 where the system does not allow that."""
    try:
        return os.open(f"/proc/{process}/fd/{number}", os.O_RDWR)
    except OSError:
        return -1


def _map(descriptor: int, size: int, token: bytes) -> mmap.mmap | None:
    """Map memory, if it begins with the token: else it is of another container's process."""
    if descriptor < 0:
        return None
    try:
        memory = mmap.mmap(descriptor, max(size, TOKEN_BYTES))
    except (OSError, ValueError):
        return None
    return memory if memory[:TOKEN_BYTES] == token else None
