"""Background work of the viewer: one job at a time, the latest request replaces the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any


class Jobs:
    """Runs generators in a thread, the next one when the last one is done or given up.

    Their values, and the error that ended one, are handed over in the window's thread.
    """

    def __init__(
        self, on_value: Callable[[Any], None], on_error: Callable[[Exception], None]
    ) -> None:
        self.on_value = on_value
        self.on_error = on_error
        self.waiting: tuple[Callable[[], Iterator[Any]], int] | None = None
        self.worker: Any = None

    def start(self, job: Callable[[], Iterator[Any]], steps: int) -> None:
        """Start a job of so many steps (0 where unknown); one that runs is asked to stop first."""
        self.waiting = (job, steps)
        if self.worker is None:
            self._next()
        else:
            self.worker.quit()

    @property
    def busy(self) -> bool:
        """Whether a job runs or waits."""
        return self.worker is not None or self.waiting is not None

    def _next(self) -> None:
        from napari.qt.threading import create_worker

        self.worker = None
        if self.waiting is None:
            return
        (job, steps), self.waiting = self.waiting, None
        self.worker = create_worker(
            job,
            _start_thread=False,
            _progress={"total": steps} if steps else False,
        )
        self.worker.yielded.connect(self._take)
        self.worker.errored.connect(self.on_error)
        self.worker.finished.connect(self._next)
        self.worker.start()

    def _take(self, value: Any) -> None:
        # What a job that was given up still yields is out of date.
        if self.waiting is None:
            self.on_value(value)
