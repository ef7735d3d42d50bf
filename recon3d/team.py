"""Several processes that work on one job, each on its share: what all of them agree to do."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, TypeVar

from numpy.typing import NDArray

T = TypeVar("T")
Change = Callable[[NDArray[Any], NDArray[Any]], None]


class Team(Protocol):
    """The processes that share a job.

    Every member runs the same program and calls the same methods in the same order; what
    `sum`, `collect` and `agree` leave is the same on all of them to the last bit, so that
    decisions which rest on it are the same too.
    """

    @property
    def rank(self) -> int:
        """Number of this member, from 0; the first one writes files and reports."""

    @property
    def size(self) -> int:
        """How many members there are."""

    def share(self, items: Sequence[T] | NDArray[Any]) -> list[T]:
        """Every `size`-th item, from this member's rank: no item is left out or done twice."""

    def sum(self, array: NDArray[Any]) -> None:
        """Add up an array over all members, in place."""

    def update(self, whole: NDArray[Any], parts: NDArray[Any], change: Change) -> None:
        """Change an array that all members have, by the sum of what each has to add; clear that.

        Every member calls `change(rows of whole, the same rows of the sum)` for its share.
        """

    def collect(self, results: Sequence[T]) -> list[T]:
        """Put the results of all members' shares together, in the order of the items."""

    def agree(self, value: T) -> T:
        """Take the first member's value."""

    def gathered(self, value: T) -> Iterator[T]:
        """Go through every member's value on the first one, one at a time; none elsewhere."""

    def stopping(self) -> bool:
        """Whether the first member was asked to stop; `collect` and `agree` then end the work."""


class Alone:
    """A team of one: nothing is shared."""

    rank = 0
    size = 1

    def share(self, items: Sequence[T] | NDArray[Any]) -> list[T]:
        """All of the items."""
        return list(items)

    def sum(self, array: NDArray[Any]) -> None:
        """Leave the array as it is."""

    def update(self, whole: NDArray[Any], parts: NDArray[Any], change: Change) -> None:
        """Change the whole array."""
        change(whole, parts)
        parts[...] = 0

    def collect(self, results: Sequence[T]) -> list[T]:
        """The results themselves."""
        return list(results)

    def agree(self, value: T) -> T:
        """The value itself."""
        return value

    def gathered(self, value: T) -> Iterator[T]:
        """The value itself, once."""
        yield value

    def stopping(self) -> bool:
        """Never: an interrupt of this process is enough."""
        return False


ALONE: Team = Alone()
"""The team of a process that works by itself."""


def from_first(team: Team, make: Callable[[], T]) -> T:
    """What the first member of a team makes, on all of them; all raise what it raises.

    Parameters
    ----------
    team
        Its members; each calls this function.
    make
        Called on the first one alone.
    """
    made: list[T] = []
    error: Exception | None = None
    if team.rank == 0:
        try:
            made.append(make())
        except Exception as caught:
            error = caught
    made, error = team.agree((made, error))
    if error is not None:
        raise error
    return made[0]


def dealt(items: Sequence[T] | NDArray[Any], rank: int, size: int) -> list[T]:
    """Every `size`-th item from the `rank`-th on."""
    return list(items[rank::size])


def undealt(hands: Sequence[Sequence[T]]) -> list[T]:
    """Put what `dealt` dealt together again.

    Parameters
    ----------
    hands
        One for each rank.
    """
    size, count = len(hands), sum(map(len, hands))
    return [hands[number % size][number // size] for number in range(count)]
