"""Compiled kernels: numba's `njit`, kept on disk wherever that is possible."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import numba
from numba.core import caching

logger = logging.getLogger(__name__)

DIGEST_BYTES = hashlib.sha256().digest_size


def njit(*, cache: bool = False, **options: Any) -> Callable[[Callable[..., Any]], Any]:
    """`numba.njit`, with a `cache` that never keeps a program from running.

    The code is kept where numba keeps it, if it can; what was damaged on disk is compiled again.
    """

    def compiled(function: Callable[..., Any]) -> Any:
        dispatcher = numba.njit(**options)(function)
        if cache:
            with suppress(RuntimeError):  # no folder can be written
                dispatcher._cache = KernelCache(function)
        return dispatcher

    return compiled


def in_parts(
    kernel: Callable[..., None], count: int, *arguments: Any, parts_a_thread: int = 4
) -> None:
    """Run a serial kernel on parts of a range, in as many threads as numba may use.

    For long work only: numba's own `prange` begins sooner, but takes twice as long to compile.
    `kernel(first, stop, *arguments)` releases the interpreter's lock, and writes to nothing that
    other parts read or write. With several parts for each thread, one that is held up leaves some
    to the others.
    """
    threads = numba.get_num_threads()
    parts = 1 if threads == 1 else threads * parts_a_thread
    size = max(-(-count // parts), 1)
    starts = iter(range(0, count, size))  # all threads take from it

    def work() -> None:
        for first in starts:
            kernel(first, min(first + size, count), *arguments)

    if threads == 1:
        work()
        return
    with ThreadPoolExecutor(threads - 1) as pool:
        others = [pool.submit(work) for _ in range(threads - 1)]
        work()
    for other in others:
        other.result()


class _CheckedFiles(caching.IndexDataCacheFile):
    """Files of compiled code that end with a checksum: damaged code would crash."""

    def _save_data(self, name: str, data: Any) -> None:
        content = self._dump(data)
        with self._open_for_write(self._data_path(name)) as file:
            file.write(content + hashlib.sha256(content).digest())

    def _load_data(self, name: str) -> Any:
        whole = Path(self._data_path(name)).read_bytes()
        content, digest = whole[:-DIGEST_BYTES], whole[-DIGEST_BYTES:]
        if hashlib.sha256(content).digest() != digest:
            raise ValueError(f"{name} is damaged")
        return super()._load_data(name)  # which reads up to the end of the content


class KernelCache(caching.FunctionCache):
    """Compiled code of one function on disk, of which a loss or fault costs only time."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        stamp = self._impl.locator.get_source_stamp()
        self._cache_file = _CheckedFiles(self._cache_path, self._impl.filename_base, stamp)

    def load_overload(self, signature: Any, context: Any) -> Any:
        """Compiled code for a signature; None where there is none that can be used."""
        try:
            return super().load_overload(signature, context)
        except Exception as error:  # whatever damaged bytes lead to
            logger.debug("damaged compiled code in %s: %r", self.cache_path, error)
            self.flush()
            return None

    def save_overload(self, signature: Any, code: Any) -> None:
        """Keep compiled code, if the disk takes it."""
        try:
            super().save_overload(signature, code)
        except OSError as error:
            logger.debug("compiled code is not kept in %s: %s", self.cache_path, error)

    def flush(self) -> None:
        """Forget what is on disk."""
        try:
            super().flush()
        except OSError:
            self.disable()
