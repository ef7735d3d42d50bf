"""How right a reconstruction is, where the truth is known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recon3d.files.grain import Grain
from recon3d.projection.kernels import FloatArray


@dataclass(frozen=True)
class Comparison:
    """A reconstructed grain held against the true one."""

    # of the orientation error over the true voxels; one outside the mask counts as infinitely wrong
    median_mdeg: float
    p90_mdeg: float  # its 90th percentile
    dice: float  # Dice coefficient of the mask and the true shape


def compare_with_truth(
    grain: Grain, inside: NDArray[np.bool_], a_deg: FloatArray, b_deg: FloatArray
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
