"""A communicator of MPI processes, and the memory that those of one machine share."""

from __future__ import annotations

import mmap
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np
from mpi4py import MPI
from numpy.typing import NDArray

from recon3d.runtime.communicator import Change, Communicator, Held, undealt

T = TypeVar("T")

PIECE_ELEMENTS = 1 << 19
"""How much of an array is summed at a time, so that it stays in the processor's cache."""

TOKEN_BYTES = 16
"""How much is written to tell whether all processes see the same memory."""


class MpiCommunicator(Communicator):
    """The processes of an MPI communicator.

    Every element of a sum is made by one member, so that all have the same bits. `asked_to_stop`:
    on the first member, whether the work is to end. `sent_bytes` and `waited_s` are what this
    member has sent or read of others so far, and the time spent in calls to them.
    """

    def __init__(
        self,
        comm: MPI.Comm,
        asked_to_stop: Callable[[], bool] = lambda: False,
        *,
        share_memory: bool = True,
    ) -> None:
        self.comm, self._asked_to_stop = comm, asked_to_stop
        self._share_memory = share_memory
        self.rank, self.size = comm.Get_rank(), comm.Get_size()
        self.sent_bytes = 0
        self.waited_s = 0.0
        self._here = self._firsts = MPI.COMM_NULL

    def free(self) -> None:
        """Give up the communicators of MPI; the members end together."""
        for comm in (self._firsts, self._here, self.comm):
            if comm != MPI.COMM_NULL:
                comm.Free()

    def sum(self, array: NDArray[Any]) -> None:
        flat = array.reshape(-1)
        if flat.size and not np.shares_memory(flat, array):
            raise ValueError("an array that is not contiguous cannot be summed in place")
        with self.waiting():
            for start in range(0, flat.size, PIECE_ELEMENTS):
                self._sum_piece(flat[start : start + PIECE_ELEMENTS])

    def _sum_piece(self, piece: NDArray[Any]) -> None:
        """Let every member sum one block of a piece, and gather the blocks."""
        length = -(-piece.size // self.size)
        padded = piece
        if length * self.size != piece.size:
            padded = np.zeros(length * self.size, piece.dtype)
            padded[: piece.size] = piece
        block = np.empty(length, piece.dtype)
        self.comm.Reduce_scatter_block(padded, block)
        padded[self.rank * length : (self.rank + 1) * length] = block
        self.comm.Allgather(MPI.IN_PLACE, padded)
        if padded is not piece:
            piece[:] = padded[: piece.size]
        self.sent_bytes += 2 * (self.size - 1) * block.nbytes

    def hold(self, shape: tuple[int, int]) -> Held:
        if not self._share_memory:
            return Copied(self, shape)
        if self._here == MPI.COMM_NULL:
            self._here = self.comm.Split_type(MPI.COMM_TYPE_SHARED)
            is_first = self._here.Get_rank() == 0
            self._firsts = self.comm.Split(0 if is_first else MPI.UNDEFINED)
        memory = map_together(self._here, shape)
        everywhere = self.comm.allreduce(memory is not None, MPI.LAND)
        if memory is None or not everywhere:
            return Copied(self, shape)
        return Shared(self, self._here, self._firsts, memory)

    def collect(self, results: Sequence[T]) -> list[T]:
        with self.waiting():
            answers = self.comm.allgather((self._wants_to_stop(), list(results)))
        _end_if(answers[0][0])
        return undealt([hand for _, hand in answers])

    def agree(self, value: T) -> T:
        with self.waiting():
            stop, agreed = self.comm.bcast((self._wants_to_stop(), value))
        _end_if(stop)
        return agreed

    def gathered(self, value: T) -> Iterator[T]:
        if self.rank > 0:
            self.comm.send(value, 0)
            return
        yield value
        del value
        for source in range(1, self.size):
            yield self.comm.recv(source=source)

    def stopping(self) -> bool:
        return self.comm.bcast(self._wants_to_stop())

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Count the time of a call to others as waited for."""
        began = time.perf_counter()
        yield
        self.waited_s += time.perf_counter() - began

    def _wants_to_stop(self) -> bool:
        return self.rank == 0 and self._asked_to_stop()


class Copied(Held):
    """An array of which every member has a copy, kept the same by messages."""

    def __init__(self, communicator: MpiCommunicator, shape: tuple[int, int]) -> None:
        super().__init__(shape)
        self._communicator = communicator

    def update(self, change: Change) -> None:
        self._communicator.sum(self.parts)
        super().update(change)


class Shared(Held):
    """An array that members of one machine hold together, in memory that all of them see.

    `here`, `firsts`: the members on this machine, and the first ones of all machines, of which
    the others are none. `memory`, (members here + 1, ...): the array, and what each has to add.
    """

    def __init__(
        self,
        communicator: MpiCommunicator,
        here: MPI.Comm,
        firsts: MPI.Comm,
        memory: NDArray[np.float32],
    ) -> None:
        self._communicator = communicator
        self._machines = MpiCommunicator(firsts) if firsts != MPI.COMM_NULL else None
        self._several = here.Get_size() < communicator.size
        self.whole, self._all_parts = memory[0], memory[1:]
        rank, size, rows = here.Get_rank(), here.Get_size(), len(self.whole)
        self.parts = self._all_parts[rank]
        step = max(PIECE_ELEMENTS // max(self.whole[0].size, 1), 1)
        stop = (rank + 1) * rows // size
        self._rows = slice(rank * rows // size, stop)
        # Pieces of this member's rows that stay in the cache.
        starts = range(self._rows.start, stop, step)
        self._pieces = [slice(first, min(first + step, stop)) for first in starts]

    def each_row(self, work: Callable[[slice], None]) -> None:
        self._meet()
        work(self._rows)
        self._meet()

    def update(self, change: Change) -> None:
        total, *others = self._all_parts
        self._meet()
        for piece in self._pieces:
            for parts in others:
                total[piece] += parts[piece]
                parts[piece] = 0
            self._communicator.sent_bytes += len(others) * total[piece].nbytes
            if not self._several:
                self._change(piece, change)
        if self._several:
            self._sum_over_machines(total)
            for piece in self._pieces:
                self._change(piece, change)
        self._meet()

    def _change(self, piece: slice, change: Change) -> None:
        total = self._all_parts[0][piece]
        change(self.whole[piece], total)
        total[...] = 0

    def _sum_over_machines(self, total: NDArray[np.float32]) -> None:
        self._meet()
        if self._machines is not None:
            before = self._machines.sent_bytes
            self._machines.sum(total)
            self._communicator.sent_bytes += self._machines.sent_bytes - before
        self._meet()

    def _meet(self) -> None:
        """Wait until all members are here."""
        with self._communicator.waiting():
            self._communicator.comm.Barrier()


def _end_if(stop: bool) -> None:
    if stop:
        raise KeyboardInterrupt


def map_together(comm: MPI.Comm, shape: tuple[int, int]) -> NDArray[np.float32] | None:
    """Arrays of zeros, (members + 1, *shape), in memory that all members on a machine see.

    It has no name, and is gone with the last process. None where they cannot share memory.
    """
    count = comm.Get_size() + 1
    size = 4 * count * shape[0] * shape[1]
    if size == 0:
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
