"""Work that goes on while the user looks: one job at a time, the newest one wins."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

logger = logging.getLogger(__name__)

_PATIENCE_S = 0.05
TOUCHING = threading.RLock()
"""Held by who changes or draws figures: a page's messages may come in another thread than cells."""


class Background:
    """Runs jobs in a thread, and hands their results to the thread that made it.

    In a notebook results arrive between cells, through the event loop of the kernel; without a loop
    they arrive at the next `wait`, each under `TOUCHING`. `on_error` takes the exception of a job
    that failed; it is logged where None.
    """

    def __init__(self, on_error: Callable[[Exception], None] | None = None) -> None:
        self._on_error = on_error or _log
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._due: deque[tuple[threading.Event, Callable[[], None]]] = deque()
        try:
            self._loop: asyncio.AbstractEventLoop | None = asyncio.get_running_loop()
        except RuntimeError:
            self._loop = None

    @property
    def busy(self) -> bool:
        """Whether a job is going on."""
        return self._thread is not None and self._thread.is_alive()

    def start(
        self, job: Iterator[Any], on_result: Callable[[Any], None], *, delay_s: float = 0.0
    ) -> None:
        """Begin a job, and end the one that is going on.

        `job` yields results; between two of them it can be ended. None is no result, but a good
        moment to end. `on_result` takes every result, unless a newer job has begun meanwhile.
        `delay_s`: how long to hold back, so that the next move of a slider is not slowed down.
        """
        self.cancel()
        stop = self._stop = threading.Event()
        before = self._thread
        self._thread = threading.Thread(
            target=self._run, args=(job, on_result, stop, before, delay_s), daemon=True
        )
        self._thread.start()

    def post(self, take: Callable[[Any], None], result: Any) -> None:
        """Hand over something from within the job that is going on."""
        self._deliver(self._stop, take, result)

    def cancel(self) -> None:
        """End the job that is going on, at its next result."""
        self._stop.set()

    def wait(self, timeout_s: float = 600.0, until: Callable[[], bool] = lambda: False) -> None:
        """Wait until the job is done, and hand over what it left; a TimeoutError after `timeout_s`.

        `until`: tells whether to wait no longer; asked again and again.
        """
        end = time.monotonic() + timeout_s
        while True:
            # What is handed over may begin another job.
            self._drain(until)
            if until() or not (self.busy or self._due):
                return
            if time.monotonic() > end:
                raise TimeoutError(f"a background job takes longer than {timeout_s:g} s")
            if self._thread is not None:
                self._thread.join(_PATIENCE_S)

    def _run(
        self,
        job: Iterator[Any],
        on_result: Callable[[Any], None],
        stop: threading.Event,
        before: threading.Thread | None,
        delay_s: float,
    ) -> None:
        if before is not None:
            before.join()
        if stop.wait(delay_s):
            return
        try:
            for result in job:
                if stop.is_set():
                    return
                if result is not None:
                    self._deliver(stop, on_result, result)
        except Exception as error:
            self._deliver(stop, self._on_error, error)

    def _deliver(self, stop: threading.Event, take: Callable[[Any], None], result: Any) -> None:
        self._due.append((stop, lambda: take(result)))
        if self._loop is not None and self._loop.is_running():
            self._loop.call_soon_threadsafe(self._drain)

    def _drain(self, until: Callable[[], bool] = lambda: False) -> None:
        while self._due and not until():
            stop, hand_over = self._due.popleft()
            if not stop.is_set():
                with TOUCHING:
                    hand_over()


def _log(error: Exception) -> None:
    logger.error("a background job failed: %s", error)
