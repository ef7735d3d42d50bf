"""Two reconstructions of one grain compared."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recon3d.arguments import checked
from recon3d.errors import ParameterError
from recon3d.files.grain import Grain


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
        both = int(np.count_nonzero(self.membership == 3))
        one = int(np.count_nonzero(self.membership)) - both
        return 2 * both / max(one + 2 * both, 1)

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
