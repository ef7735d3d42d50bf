"""How much the orientation changes from voxel to voxel."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from recon3d.arguments import checked

FloatArray = NDArray[np.float32]


@checked(orientation_deg="(x, y, z, 2)")
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

    Examples
    --------
    >>> import recon3d as r3
    >>> grain = r3.Grain.load("grain.h5")
    >>> kernel_average = r3.analysis.kernel_average_misorientation(grain.orientation)
    >>> bool((kernel_average[grain.mask] >= 0).all())
    True
    """
    total = np.zeros(orientation_deg.shape[:3], np.float32)
    count = np.zeros(total.shape, np.uint8)
    for axis in range(3):
        step = _steps(orientation_deg, axis)
        known = np.isfinite(step)
        step = np.where(known, step, 0)
        for side in beside(axis):
            total[side] += step
            count[side] += known
    with np.errstate(invalid="ignore", divide="ignore"):
        average: FloatArray = np.where(count > 0, total / count, np.nan).astype(np.float32)
    return average


@checked(orientation_deg="(x, y, z, 2)", error_deg="(x, y, z, 2)")
def kernel_average_error(orientation_deg: NDArray[Any], error_deg: NDArray[Any]) -> FloatArray:
    """Error of `kernel_average_misorientation`, one σ, from errors of the orientations.

    Errors of different voxels and of a and b are taken as independent, and small against the
    misorientation itself. Where they are not, the average is that of noise: it tends to
    1.77 σ (σ that of a and b) in a perfect crystal, from above zero.

    Parameters
    ----------
    orientation_deg, error_deg, shape (nx, ny, nz, 2)
        Tilts (a, b), NaN where unknown, and their errors, one σ.

    Returns
    -------
    error_deg, shape (nx, ny, nz)
        NaN where the average is.
    """
    own = np.zeros(orientation_deg.shape, np.float32)
    others = np.zeros(own.shape[:3], np.float32)
    count = np.zeros(own.shape[:3], np.uint8)
    variance = np.square(np.asarray(error_deg, np.float32))
    for axis in range(3):
        step = np.diff(np.asarray(orientation_deg, np.float32), axis=axis)
        length = np.hypot(step[..., 0], step[..., 1])[..., None]
        # Voxels that do not differ at all still may, either way.
        toward = np.where(length > 0, step / np.maximum(length, 1e-30), np.float32(np.sqrt(0.5)))
        known = np.isfinite(length[..., 0])
        low, high = beside(axis)
        for here, there, sign in ((low, high, -1), (high, low, 1)):
            own[here] += np.where(known[..., None], sign * toward, 0)
            others[here] += np.where(known, (toward**2 * variance[there]).sum(axis=-1), 0)
            count[here] += known
    total = (own**2 * variance).sum(axis=-1) + others
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(count > 0, np.sqrt(total) / count, np.nan).astype(np.float32)


@checked(orientation_deg="(x, y, z, 2)", angle_deg="> 0")
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
    found = np.zeros(orientation_deg.shape[:3], bool)
    for axis in range(3):
        with np.errstate(invalid="ignore"):
            large = _steps(orientation_deg, axis) > angle_deg
        for side in beside(axis):
            found[side] |= large
    return found


def beside(axis: int) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Where the voxels are that have a next one along an axis, and where those next ones are."""
    before = (slice(None),) * axis
    return (*before, slice(None, -1)), (*before, slice(1, None))


def _steps(orientation_deg: NDArray[Any], axis: int) -> FloatArray:
    """Misorientation of each voxel and the next one along an axis."""
    a, b = (np.diff(orientation_deg[..., i], axis=axis) for i in range(2))
    return np.hypot(a, b)
