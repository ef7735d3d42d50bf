"""Processes that share one job: how they divide it, sum arrays and agree on values."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T")
Change = Callable[[NDArray[Any], NDArray[Any]], None]


class Held:
    """An array, in single precision, that all members of a communicator have.

    Members that share memory hold one array together, so it is written by `each_row` and
    `update` only, and nobody reads it meanwhile.
    """

    whole: NDArray[np.float32]  # the array
    parts: NDArray[np.float32]  # what this member has to add, of the same shape; 0 after an update

    def __init__(self, shape: tuple[int, int]) -> None:
        self.whole = np.zeros(shape, np.float32)
        self.parts = np.zeros(shape, np.float32)

    def each_row(self, work: Callable[[slice], None]) -> None:
        """Call `work(rows)`, so that every row of the array is worked on wherever it is held."""
        work(slice(None))

    def update(self, change: Change) -> None:
        """Change the array by the sum of what all members have to add.

        Members call `change(rows of the whole, the same rows of the sum)`, each for its share.
        """
        change(self.whole, self.parts)
        self.parts[...] = 0


class Communicator:
    """The processes that share a job; as it stands here, one process that works by itself.

    All members call the same methods in the same order; what `sum`, `collect` and `agree` leave is
    the same on all of them to the last bit.
    """

    rank: int = 0  # number of this member; the first one, 0, writes files and reports
    size: int = 1  # how many members there are

    def share(self, items: Sequence[T] | NDArray[Any]) -> list[T]:
        """Every `size`-th item, from this member's rank: no item is left out or done twice."""
        return list(items[self.rank :: self.size])

    def sum(self, array: NDArray[Any]) -> None:
        """Add up an array, which must be contiguous, over all members, in place."""

    def hold(self, shape: tuple[int, int]) -> Held:
        """Hold an array of zeros together."""
        return Held(shape)

    def collect(self, results: Sequence[T]) -> list[T]:
        """Put the results of all members' shares together, in the order of the items."""
        return list(results)

    def agree(self, value: T) -> T:
        """Take the first member's value."""
        return value

    def gathered(self, value: T) -> Iterator[T]:
        """Go through every member's value on the first one, one at a time; none elsewhere."""
        yield value

    def stopping(self) -> bool:
        """Whether the first member was asked to stop; `collect` and `agree` then end the work."""
        return False


ALONE = Communicator()
"""The communicator of a process that works by itself."""


def from_first(communicator: Communicator, make: Callable[[], T]) -> T:
    """What the first member of a communicator makes, on all of them; all raise what it raises."""
    made: list[T] = []
    error: Exception | None = None
    if communicator.rank == 0:
        try:
            made.append(make())
        except Exception as caught:
            error = caught
    made, error = communicator.agree((made, error))
    if error is not None:
        raise error
    return made[0]


def undealt(hands: Sequence[Sequence[T]]) -> list[T]:
    """Put what members did of their shares together, in the order of the items."""
    size, count = len(hands), sum(map(len, hands))
    return [hands[number % size][number // size] for number in range(count)]
