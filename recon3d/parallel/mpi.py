"""A team of MPI processes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np
from mpi4py import MPI
from numpy.typing import NDArray

from recon3d.team import dealt, undealt

T = TypeVar("T")

PIECE_ELEMENTS = 1 << 23
"""How much of an array is summed at a time: no second array of its size is ever held."""


class MpiTeam:
    """The processes of an MPI communicator, as a `recon3d.team.Team`.

    Every element of a sum is made by one member and sent to the others, so that all have the
    same bits, whatever way the MPI library would take.

    Parameters
    ----------
    comm
        The communicator.
    asked_to_stop
        Says on the first member whether the work is to end.

    Attributes
    ----------
    sent_bytes
        What this member has sent in sums so far, counted as the algorithm of `sum` has it.
    waited_s
        Time that this member has spent in calls to others.
    """

    def __init__(
        self, comm: MPI.Intracomm, asked_to_stop: Callable[[], bool] = lambda: False
    ) -> None:
        self.comm, self._asked_to_stop = comm, asked_to_stop
        self.rank, self.size = comm.Get_rank(), comm.Get_size()
        self.sent_bytes = 0
        self.waited_s = 0.0

    def share(self, items: Sequence[T] | NDArray[Any]) -> list[T]:
        """Every `size`-th item, from this member's rank."""
        return dealt(items, self.rank, self.size)

    def sum(self, array: NDArray[Any]) -> None:
        """Add up an array, which must be contiguous, over all members, in place."""
        began = time.perf_counter()
        flat = array.reshape(-1)
        if flat.size and not np.shares_memory(flat, array):
            raise ValueError("an array that is not contiguous cannot be summed in place")
        for start in range(0, flat.size, PIECE_ELEMENTS):
            self._sum_piece(flat[start : start + PIECE_ELEMENTS])
        self.waited_s += time.perf_counter() - began

    def _sum_piece(self, piece: NDArray[Any]) -> None:
        """Let every member sum one block of a piece, and gather the blocks."""
        length = -(-piece.size // self.size)
        padded = piece
        if length * self.size != piece.size:
            padded = np.zeros(length * self.size, piece.dtype)
            padded[: piece.size] = piece
        block = np.empty(length, piece.dtype)
        self.comm.Reduce_scatter_block(padded, block)
        self.comm.Allgather(block, padded)
        if padded is not piece:
            piece[:] = padded[: piece.size]
        self.sent_bytes += 2 * (self.size - 1) * block.nbytes

    def collect(self, results: Sequence[T]) -> list[T]:
        """Put the results of all members' shares together, in the order of the items."""
        began = time.perf_counter()
        answers = self.comm.allgather((self._wants_to_stop(), list(results)))
        self.waited_s += time.perf_counter() - began
        _end_if(answers[0][0])
        return undealt([hand for _, hand in answers])

    def agree(self, value: T) -> T:
        """Take the first member's value."""
        began = time.perf_counter()
        stop, agreed = self.comm.bcast((self._wants_to_stop(), value))
        self.waited_s += time.perf_counter() - began
        _end_if(stop)
        return agreed

    def gathered(self, value: T) -> Iterator[T]:
        """Go through every member's value on the first one, one at a time; none elsewhere."""
        if self.rank > 0:
            self.comm.send(value, 0)
            return
        yield value
        del value
        for source in range(1, self.size):
            yield self.comm.recv(source=source)

    def stopping(self) -> bool:
        """Whether the first member was asked to stop."""
        return self.comm.bcast(self._wants_to_stop())

    def _wants_to_stop(self) -> bool:
        return self.rank == 0 and self._asked_to_stop()


def _end_if(stop: bool) -> None:
    if stop:
        raise KeyboardInterrupt
