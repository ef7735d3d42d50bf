"""Where a fit stands, as it is saved and gone on from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class FitState:
    """Where a fit stands between two subsets.

    Parameters
    ----------
    position
        How many subsets of the pass are done.
    columns
        Numbers of the bins that are not closed.
    volume, shape (voxels, columns)
        f.
    residuals
        Of the passes that are done.
    sums, shape (projections, 2)
        Squared differences and intensities of the pass so far.
    pixel_sums, shape (rows, cols, 2)
        The same at each pixel.
    """

    position: int
    columns: NDArray[np.int64]
    volume: NDArray[np.float32]
    residuals: FloatArray
    sums: FloatArray
    pixel_sums: FloatArray
