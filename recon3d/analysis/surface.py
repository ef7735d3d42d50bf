"""What is shown of a grain in 3D: as many voxels as there is room for, and its surface."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray
from scipy.ndimage import binary_erosion, find_objects, gaussian_filter
from scipy.spatial import cKDTree

from recon3d.arguments import checked
from recon3d.config.volume import Volume
from recon3d.files.grain import Grain

SMOOTHING_VOXELS = 0.7
"""Width by which a shape is smoothed before it is cut, as in the reconstruction."""

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


@dataclass(frozen=True)
class Surface:
    """The surface of a shape.

    Parameters
    ----------
    vertices, shape (vertices, 3)
        Corners of the triangles, in voxels: 0 is the centre of the first one.
    faces, shape (triangles, 3)
        Numbers of each triangle's corners.
    voxels, shape (vertices, 3)
        The voxel of known orientation that is nearest to each corner.
    """

    vertices: NDArray[np.float64]
    faces: NDArray[np.int64]
    voxels: NDArray[np.int64]

    def vertices_um(self, volume: Volume) -> NDArray[np.float64]:
        """Corners of the triangles in sample axes."""
        return self.vertices * volume.voxel_um + volume.centre_um((0, 0, 0))


def known_orientations(grain: Grain) -> NDArray[np.bool_]:
    """Voxels whose orientation is known, (nx, ny, nz)."""
    return np.asarray(np.isfinite(grain.orientation).all(axis=-1))


def cut_level(grain: Grain) -> tuple[str, float]:
    """The array that a grain's mask was cut from, and about where."""
    if grain.provenance.get("method") == "backprojection":
        return "completeness", float(grain.provenance.get("completeness_cutoff", 0.5))
    return "occupancy", 0.5


def shape_at(grain: Grain, level: float | None) -> Any:
    """The voxels of a grain from a level of occupancy (or completeness) upwards; None: its mask.

    As the reconstruction does it, occupancy is smoothed first. Of a grain on disk: lazily.
    """
    if level is None:
        return grain.mask
    name, _ = cut_level(grain)
    values: Any = getattr(grain, name)

    def cut(part: NDArray[Any]) -> NDArray[np.bool_]:
        smooth = name == "occupancy"
        field = gaussian_filter(part, SMOOTHING_VOXELS, mode="constant") if smooth else part
        return field >= level

    if hasattr(values, "map_overlap"):
        return values.map_overlap(cut, depth=3, boundary=0, dtype=bool)
    return cut(np.asarray(values))


@checked(mask="(x, y, z)", known="(x, y, z)")
def surface_of(mask: NDArray[np.bool_], known: NDArray[np.bool_]) -> Surface:
    """Cut the surface of a mask, with its steps smoothed.

    Parameters
    ----------
    mask, shape (nx, ny, nz)
        The shape.
    known, shape (nx, ny, nz)
        Voxels whose orientation is known.

    Returns
    -------
    surface
        Without triangles where the mask is empty.
    """
    from skimage.measure import marching_cubes

    if not mask.any() or not known.any():
        nothing = np.zeros((0, 3))
        return Surface(nothing, nothing.astype(np.int64), nothing.astype(np.int64))
    box = find_objects(mask.astype(np.uint8))[0]
    low = np.array([side.start for side in box])
    soft = gaussian_filter(np.pad(mask[box].astype(np.float32), 3), SMOOTHING_VOXELS)
    # A lone voxel is smoothed to less than a half: cut below what is left of it.
    vertices, faces, _, _ = marching_cubes(soft, min(0.5, 0.99 * float(soft.max())))
    vertices = vertices + low - 3
    # Where the shape is cut open, the colours are those of the cut.
    near = known & mask if (known & mask).any() else known
    return Surface(vertices, faces.astype(np.int64), _nearest(vertices, near))


def _nearest(vertices: NDArray[np.float64], known: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The known voxel nearest to each vertex; only those at the rim of the known can be it."""
    rim = np.argwhere(known & ~binary_erosion(known))
    _, nearest = cKDTree(rim).query(vertices)
    return rim[nearest]
