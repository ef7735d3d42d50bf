"""How much the orientation changes from voxel to voxel."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from recon3d.errors import ParameterError

FloatArray = NDArray[np.float32]


def kernel_average_misorientation(orientation_deg: NDArray[Any]) -> FloatArray:
    """Mean misorientation of each voxel and its known neighbours across a face.

    Parameters
    ----------
    orientation_deg, shape (nx, ny, nz, 2)
        Tilts (a, b), NaN where unknown.

    Returns
    -------
    average_deg, shape (nx, ny, nz)
        NaN where the voxel, or every one of its six neighbours, is unknown.
    """
    total = np.zeros(orientation_deg.shape[:3], np.float32)
    count = np.zeros(total.shape, np.uint8)
    for axis in range(3):
        step = _steps(orientation_deg, axis)
        known = np.isfinite(step)
        step = np.where(known, step, 0)
        for side in (slice(None, -1), slice(1, None)):
            place = (slice(None),) * axis + (side,)
            total[place] += step
            count[place] += known
    with np.errstate(invalid="ignore", divide="ignore"):
        average: FloatArray = np.where(count > 0, total / count, np.nan).astype(np.float32)
    return average


def boundaries(orientation_deg: NDArray[Any], angle_deg: float) -> NDArray[np.bool_]:
    """Voxels that differ from a neighbour across a face by more than an angle.

    Parameters
    ----------
    orientation_deg, shape (nx, ny, nz, 2)
        Tilts (a, b), NaN where unknown; an unknown neighbour makes no boundary.
    angle_deg
        The angle.

    Returns
    -------
    boundary, shape (nx, ny, nz)
        True on both sides of a boundary.

    Raises
    ------
    ParameterError
        The angle is not positive.
    """
    if not angle_deg > 0:
        raise ParameterError(f"a boundary's angle is {angle_deg:g}°: expected more than 0")
    found = np.zeros(orientation_deg.shape[:3], bool)
    for axis in range(3):
        with np.errstate(invalid="ignore"):
            large = _steps(orientation_deg, axis) > angle_deg
        for side in (slice(None, -1), slice(1, None)):
            found[(slice(None),) * axis + (side,)] |= large
    return found


def _steps(orientation_deg: NDArray[Any], axis: int) -> FloatArray:
    """Misorientation of each voxel and the next one along an axis."""
    a, b = (np.diff(orientation_deg[..., i], axis=axis) for i in range(2))
    return np.hypot(a, b)
