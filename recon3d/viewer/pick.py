"""The voxel of a grain that a click hits."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from recon3d.config.volume import Volume

Voxel = tuple[int, int, int]


def voxel_at(volume: Volume, point_um: ArrayLike) -> Voxel | None:
    """The voxel that holds a point; None outside the volume."""
    return _first_inside(volume, np.ones(volume.shape, bool), np.atleast_2d(point_um))


def first_voxel(
    volume: Volume,
    shown: NDArray[np.bool_],
    point_um: ArrayLike,
    direction: ArrayLike,
) -> Voxel | None:
    """The first voxel of a shape, (nx, ny, nz), that a line of sight meets.

    `point_um`, `direction`: a point of the line, and where it leads, in sample axes.
    """
    ray = np.asarray(direction, float) / np.linalg.norm(direction)
    centre = np.array(volume.position_um)
    # From the nearest point to the centre, as far as the corners of the box, either way.
    start = np.asarray(point_um, float)
    start = start + ray * float((centre - start) @ ray)
    reach = float(np.linalg.norm(volume.size_um)) / 2 + min(volume.voxel_um)
    along = np.arange(-reach, reach, min(volume.voxel_um) / 4)
    return _first_inside(volume, shown, start + along[:, None] * ray)


def _first_inside(volume: Volume, shown: NDArray[np.bool_], points_um: ArrayLike) -> Voxel | None:
    """The voxel of the first of some points, (points, 3), that lies in one that is shown."""
    index = np.round(volume.places(points_um)).astype(int)
    index = index[((index >= 0) & (index < volume.shape)).all(axis=1)]
    hits = index[shown[tuple(index.T)]]
    if not len(hits):
        return None
    x, y, z = (int(i) for i in hits[0])
    return x, y, z
