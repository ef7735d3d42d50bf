"""The voxel of a grain that a click hits."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from recon3d.config.volume import Volume

Voxel = tuple[int, int, int]


def voxel_at(volume: Volume, point_um: ArrayLike) -> Voxel | None:
    """The voxel that holds a point; None outside the volume."""
    first = np.array([volume.axis_um(axis)[0] for axis in range(3)])
    index = np.round((np.asarray(point_um, float) - first) / volume.voxel_um).astype(int)
    if not ((index >= 0) & (index < volume.shape)).all():
        return None
    x, y, z = (int(i) for i in index)
    return x, y, z


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
    points = start + along[:, None] * ray
    first = np.array([volume.axis_um(axis)[0] for axis in range(3)])
    index = np.round((points - first) / volume.voxel_um).astype(int)
    inside = ((index >= 0) & (index < volume.shape)).all(axis=1)
    index = index[inside]
    hits = np.flatnonzero(shown[tuple(index.T)])
    if not hits.size:
        return None
    x, y, z = (int(i) for i in index[hits[0]])
    return x, y, z
