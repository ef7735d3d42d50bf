"""Progress bars on long work, the same in a terminal and in a notebook."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Stage:
    """How far a stage of long work is."""

    description: str  # what is done, in a word or two
    unit: str  # what one item is
    done: int
    total: int | None  # None where it is not known


Listener = Callable[[Stage], None]

_listener: ContextVar[Listener | None] = ContextVar("listener", default=None)
_shown: ContextVar[bool] = ContextVar("shown", default=True)


@contextmanager
def bars_shown(show: bool) -> Iterator[None]:
    """Draw the bars of the work in this context, or, where False, none of them."""
    token = _shown.set(show and _shown.get())
    try:
        yield
    finally:
        _shown.reset(token)


@contextmanager
def told_to(listener: Listener) -> Iterator[None]:
    """Tell a function how far the work in this context is, in place of drawing bars."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def track(
    items: Iterable[T],
    description: str,
    *,
    unit: str = "it",
    total: int | None = None,
    show: bool = True,
) -> Iterator[T]:
    """Pass `items` on, one by one, while a bar shows how far along they are.

    `description`: left of the bar. `unit`: of one item. `total`: where `items` has no length.
    """
    listener = _listener.get()
    if listener is None:
        from tqdm.auto import tqdm

        yield from tqdm(
            items, desc=description, unit=unit, total=total, disable=not (show and _shown.get())
        )
        return
    count = len(items) if total is None and isinstance(items, Sized) else total
    for done, item in enumerate(items):
        listener(Stage(description, unit, done, count))
        yield item
