"""Arrays that are worked out when a part of them is first looked at."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray


class Deferred:
    """What napari asks of an array; most layers are never looked at, and cost nothing so.

    Parameters
    ----------
    shape, dtype
        Those of the array.
    make
        Works the array out; it is called once at most.
    """

    def __init__(self, shape: tuple[int, ...], dtype: DTypeLike, make: Callable[[], Any]) -> None:
        self.shape = shape
        self.dtype = np.dtype(dtype)
        self._make = make

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @cached_property
    def values(self) -> Any:
        """The array itself: of NumPy, or of dask where it stays on disk."""
        return self._make()

    def __getitem__(self, key: Any) -> Any:
        return self.values[key]

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self.values, dtype, copy=copy)
