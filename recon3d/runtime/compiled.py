"""Compiled kernels: numba's `njit`, kept on disk wherever that is possible."""

from __future__ import annotations

import hashlib
import logging
import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import numba
from numba.core import caching

from recon3d.errors import ParameterError

logger = logging.getLogger(__name__)

DIGEST_BYTES = hashlib.sha256().digest_size


def njit(*, cache: bool = False, **options: Any) -> Callable[[Callable[..., Any]], Any]:
    """`numba.njit`, with a `cache` that never keeps a program from running.

    The code is kept where numba keeps it, else in a folder of the user's own for temporary files,
    else not at all; what was damaged on disk is compiled again.
    """

    def compiled(function: Callable[..., Any]) -> Any:
        dispatcher = numba.njit(**options)(function)
        if cache:
            with suppress(RuntimeError):  # no folder can be written
                dispatcher._cache = KernelCache(function, threads=options.get("parallel", False))
        return dispatcher

    return compiled


def _require_threads() -> None:
    """See that numba can run threads as $NUMBA_THREADING_LAYER says."""
    from numba.np.ufunc.parallel import _launch_threads

    try:
        _launch_threads()
    except ValueError as error:
        layer = os.environ.get("NUMBA_THREADING_LAYER", "")
        reason = " ".join(str(error).split())
        raise ParameterError(
            f"NUMBA_THREADING_LAYER is '{layer}', which numba cannot use here ({reason}): leave it "
            "out, or take omp or workqueue"
        ) from error


class _TemporaryFolder(caching.UserWideCacheLocator):
    """A folder for temporary files that belongs to this user alone."""

    def __init__(self, function: Callable[..., Any], file: str) -> None:
        super().__init__(function, file)
        self._top = Path(tempfile.gettempdir()) / f"recon3d-{os.getuid()}"
        self._cache_path = str(self._top / self.get_suitable_cache_subpath(file))

    @classmethod
    def from_function(cls, function: Callable[..., Any], file: str) -> Self | None:
        """The folder for a function's file, or None: what others can write is not to be run."""
        try:
            found = cls(function, file)
            found._top.mkdir(mode=0o700, exist_ok=True)
            about = found._top.lstat()
            if about.st_uid != os.getuid() or about.st_mode & 0o77:
                return None
            found.ensure_cache_path()
        except OSError:
            return None
        return found


class _Implementation(caching.CompileResultCacheImpl):
    _locator_classes = [  # noqa: RUF012 (so it is in numba)
        *caching.CompileResultCacheImpl._locator_classes,
        _TemporaryFolder,
    ]


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
    """Compiled code of one function on disk, of which a loss or fault costs only time.

    `threads`: whether the function runs threads.
    """

    _impl_class = _Implementation

    def __init__(self, function: Callable[..., Any], *, threads: bool) -> None:
        super().__init__(function)
        self._threads = threads
        stamp = self._impl.locator.get_source_stamp()
        self._cache_file = _CheckedFiles(self._cache_path, self._impl.filename_base, stamp)

    def load_overload(self, signature: Any, context: Any) -> Any:
        """Compiled code for a signature; None where there is none that can be used.

        A ParameterError says that the threads which the user wants are not installed.
        """
        if self._threads:
            _require_threads()
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
