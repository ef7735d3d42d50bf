"""NumPy files that are written piece by piece and take no room where they are zero."""

from __future__ import annotations

import math
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray

from recon3d.errors import ParameterError
from recon3d.io.atomic import complete_or_absent, explaining_writes


class SparseArrayFile:
    """A .npy file that is written piece by piece, and in which what is dark stays a hole.

    It is a context manager; the file appears under its name when it is complete. Pieces are
    written to the file rather than to a memory map, so that a full disk is an error that can
    be told, not a crash, and the pages do not count as this process's memory.

    Parameters
    ----------
    path
        The file.
    shape, dtype
        Of the array.
    """

    def __init__(self, path: str | Path, shape: tuple[int, ...], dtype: DTypeLike) -> None:
        self.path, self.shape, self.dtype = Path(path), shape, np.dtype(dtype)
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            temporary = stack.enter_context(complete_or_absent(self.path))
            self._file: BinaryIO = stack.enter_context(temporary.open("wb"))
            header = np.lib.format.header_data_from_array_1_0(np.empty(0, self.dtype))
            np.lib.format.write_array_header_1_0(self._file, header | {"shape": self.shape})
            self._start = self._file.tell()
            self._file.truncate(self._start + math.prod(self.shape) * self.dtype.itemsize)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool | None:
        return self._stack.__exit__(kind, error, trace)

    def write(self, index: tuple[int, ...], values: NDArray[Any]) -> None:
        """Write `array[index] = values`, where `index` picks along the leading axes.

        Parameters
        ----------
        index
            Numbers from 0 along the first axes.
        values
            All of the array's remaining axes; nothing is written where they are zero.
        """
        rest = self.shape[len(index) :]
        if values.shape != rest:
            raise ParameterError(f"{self.path}: a piece of shape {values.shape}, expected {rest}")
        if values.any():
            piece = np.ravel_multi_index(index, self.shape[: len(index)])
            with explaining_writes(self.path):
                self._file.seek(self._start + int(piece) * math.prod(rest) * self.dtype.itemsize)
                self._file.write(np.ascontiguousarray(values, self.dtype).data)
