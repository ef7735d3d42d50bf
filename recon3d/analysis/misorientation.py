"""How much the orientation changes from voxel to voxel, and from one grain to another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recon3d.arguments import checked
from recon3d.errors import ParameterError
from recon3d.files.grain import Grain

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


@dataclass(frozen=True)
class GrainDifference:
    """How two grains on one grid of voxels differ.

    Parameters
    ----------
    misorientation_deg, shape (nx, ny, nz)
        Angle between the two orientations; NaN outside either mask.
    membership, shape (nx, ny, nz)
        0 outside both masks, 1 in the first only, 2 in the second only, 3 in both.
    offset_deg
        The median of (a, b) of the second less the first.
    """

    misorientation_deg: NDArray[np.float32]
    membership: NDArray[np.uint8]
    offset_deg: tuple[float, float]

    @property
    def dice(self) -> float:
        """Dice's coefficient of the two masks: 1 where they are the same."""
        return dice(self.membership % 2 > 0, self.membership > 1)

    def summary(self) -> str:
        """The difference in one sentence."""
        known = 1e3 * self.misorientation_deg[np.isfinite(self.misorientation_deg)]
        if not known.size:
            return "the two masks have no voxel in common"
        median, most = np.percentile(known, (50, 90))
        a, b = (1e3 * value for value in self.offset_deg)
        return (
            f"misorientation: median {median:.2f}, 90 % below {most:.2f} mdeg; Dice of the masks "
            f"{self.dice:.3f}; median change of (a, b): {a:.2f}, {b:.2f} mdeg"
        )


@checked()
def grain_difference(first: Grain, second: Grain, *, align: bool = False) -> GrainDifference:
    """Compare two grains voxel by voxel.

    Parameters
    ----------
    first, second
        The grains.
    align
        Take the median difference of their tilts off first: two reconstructions may count
        tilts from different centres.

    Raises
    ------
    ParameterError
        The grains do not share one grid of voxels.
    """
    check_same_grid(first, second)
    change = np.asarray(second.orientation, float) - first.orientation
    both = np.isfinite(change).all(axis=-1) & first.mask & second.mask
    offset = np.median(change[both], axis=0) if both.any() else np.zeros(2)
    if align:
        change -= offset
    angle = np.where(both, np.hypot(change[..., 0], change[..., 1]), np.nan)
    membership = first.mask.astype(np.uint8) + 2 * second.mask.astype(np.uint8)
    return GrainDifference(
        angle.astype(np.float32), membership, (float(offset[0]), float(offset[1]))
    )


def check_same_grid(first: Grain, second: Grain) -> None:
    """Refuse two grains whose voxels do not coincide; the message says in what they differ."""
    ours, theirs = first.volume, second.volume
    for key, mine, other in (
        ("grain_steps", ours.shape, theirs.shape),
        ("grain_pos", ours.position_um, theirs.position_um),
        ("grain_dim", ours.size_um, theirs.size_um),
    ):
        if not np.allclose(mine, other, rtol=0, atol=1e-6 * max(ours.size_um)):
            raise ParameterError(
                f"the grains do not share one grid: {key} is {list(mine)} in the first and "
                f"{list(other)} in the second; reconstruct both with the same volume"
            )


@dataclass(frozen=True)
class Comparison:
    """A reconstructed grain held against the true one."""

    # of the orientation error over the true voxels; one outside the mask counts as infinitely wrong
    median_mdeg: float
    p90_mdeg: float  # its 90th percentile
    dice: float  # Dice coefficient of the mask and the true shape


def compare_with_truth(
    grain: Grain, inside: NDArray[np.bool_], a_deg: NDArray[Any], b_deg: NDArray[Any]
) -> Comparison:
    """Hold a grain against the true shape and tilts on the same voxels, (nx, ny, nz)."""
    error = np.hypot(grain.orientation[..., 0] - a_deg, grain.orientation[..., 1] - b_deg)
    error = 1e3 * np.nan_to_num(error[inside], nan=np.inf)
    return Comparison(
        median_mdeg=float(np.median(error)),
        p90_mdeg=float(np.percentile(error, 90, method="lower")),
        dice=dice(grain.mask, inside),
    )


def dice(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> float:
    r"""Dice coefficient of two shapes, :math:`2 |A \cap B| / (|A| + |B|)`; 1 if both are empty."""
    total = np.count_nonzero(first) + np.count_nonzero(second)
    return 2 * np.count_nonzero(first & second) / total if total else 1.0
