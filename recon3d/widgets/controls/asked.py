"""On a page served by voila, work and writing wait for a button."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any, ParamSpec, TypeVar, cast

import ipywidgets as controls

from recon3d.widgets.controls.panel import Panel, button, row

Given = ParamSpec("Given")
Made = TypeVar("Made")


class NotAskedError(Exception):
    """A served page needs what nobody has asked for yet.

    `text`: what is missing. `label`: what the button says. `work`: makes it, in the background.
    """

    def __init__(self, text: str, label: str, work: Callable[[], Any]) -> None:
        super().__init__(text)
        self.label, self.work = label, work


class Waiting(Panel):
    """A line on what is missing, a button that makes it, and then what was wanted.

    `make` makes it; it may need something else, which is asked for in turn.
    """

    def __init__(self, missing: NotAskedError, make: Callable[[], Any]) -> None:
        super().__init__()
        self._make = make
        self._ask(missing)

    def done(self) -> None:
        """Nothing is finished before it was asked for."""

    def _ask(self, missing: NotAskedError) -> None:
        self._missing = missing
        self.button = button(missing.label, self._start)
        self.children = [self.status, row(self.button)]
        self.tell(str(missing))

    def _start(self) -> None:
        self.button.disabled = True
        self.tell(f"{self._missing.label}: working; it may take minutes ...")
        self.background.start(self._work(), lambda _: self._show())

    def _work(self) -> Iterator[bool]:
        self._missing.work()
        yield True

    def _show(self) -> None:
        try:
            self.children = [cast(controls.Widget, self._make())]
        except NotAskedError as missing:
            self._ask(missing)

    def _show_error(self, error: Exception) -> None:
        self.button.disabled = False
        super()._show_error(error)


def _show_missing(*raised: Any, **_: Any) -> None:
    """Show what is missing, and the button that makes it, in place of a traceback."""
    from IPython.display import display

    missing = raised[2]  # after the shell and the type
    display(Waiting(missing, lambda: controls.HTML("It is there now: load this page again.")))


def tell_what_is_missing() -> None:
    """Let a cell that needs what nobody asked for end its page with a line and a button."""
    from IPython.core.getipython import get_ipython

    shell = get_ipython()
    if shell is not None:
        shell.set_custom_exc((NotAskedError,), _show_missing)


def when_asked(make: Callable[Given, Made]) -> Callable[Given, Made]:
    """Let a method that makes a widget give a `Waiting` where something must be asked for."""

    @functools.wraps(make)
    def made(*args: Given.args, **options: Given.kwargs) -> Made:
        try:
            return make(*args, **options)
        except NotAskedError as missing:
            return cast(Made, Waiting(missing, lambda: make(*args, **options)))

    return made
