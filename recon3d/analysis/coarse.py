"""A grain on fewer voxels, to fit into memory, and arrays that are computed when needed."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property, partial
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from recon3d.config.volume import Volume
from recon3d.files.grain import Grain

LARGEST = 200**3
"""Voxels up to which a grain is shown in 3D as it is."""

RARELY = ("occupancy", "completeness")
"""What is not needed to show a grain's shape and orientation."""


class Deferred:
    """What napari asks of an array that is worked out (by `make`, once) when it is looked at."""

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


def step_for(volume: Volume, largest: int = LARGEST) -> int:
    """Every how many voxels of a volume leave no more than a number of them."""
    step = 1
    while np.prod([-(-n // step) for n in volume.shape], dtype=float) > largest:
        step += 1
    return step


def coarsened(grain: Grain, step: int) -> Grain:
    """Every few voxels of a grain, in memory; what is rarely needed is read when it is."""
    if step == 1:
        return grain
    volume = grain.volume
    kept = [volume.axis_um(axis)[step // 2 :: step] for axis in range(3)]
    x, y, z = (float(n.mean()) for n in kept)
    nx, ny, nz = (n.size for n in kept)
    ex, ey, ez = (step * edge for edge in volume.voxel_um)
    smaller = Volume((x, y, z), (nx * ex, ny * ey, nz * ez), (nx, ny, nz))
    arrays: dict[str, Any] = {}
    for name, array in grain.arrays().items():
        if name in RARELY and not isinstance(array, np.ndarray):
            later = partial(_every, array, step)
            arrays[name] = Deferred(smaller.shape, array.dtype, later)
        else:
            arrays[name] = _every(array, step)
    return replace(grain, volume=smaller, **arrays)


def _every(array: Any, step: int) -> NDArray[Any]:
    """Every few voxels of an array; of one on disk a chunk at a time is read."""
    part = slice(step // 2, None, step)
    return np.ascontiguousarray(array[part, part, part])
