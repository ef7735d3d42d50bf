"""Progress bars on long work, the same in a terminal and in a notebook."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


def track(
    items: Iterable[T],
    description: str,
    *,
    unit: str = "it",
    total: int | None = None,
    show: bool = True,
) -> Iterator[T]:
    """Pass `items` on, one by one, while a bar shows how far along they are.

    Parameters
    ----------
    items
        What to go through.
    description
        The stage, in a word or two, shown left of the bar.
    unit
        What one item is ("frame", "projection").
    total
        How many there are, where `items` has no length.
    show
        False for a silent run.

    Yields
    ------
    item
        The items, unchanged and in order.
    """
    from tqdm.auto import tqdm

    yield from tqdm(items, desc=description, unit=unit, total=total, disable=not show)
