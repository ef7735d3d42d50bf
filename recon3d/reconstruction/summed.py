"""A scan of which only the sums over all frames are looked at."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recon3d.projection.bins import Orientations
from recon3d.reconstruction.model import LitFrames, ScanModel

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class SummedScan:
    """A scan seen as one frame a projection, the sum, that every orientation lights alike.

    Parameters
    ----------
    model
        The scan.
    """

    model: ScanModel

    @property
    def projections(self) -> NDArray[np.int64]:
        """Numbers of the projections that are used."""
        return self.model.projections

    def affine(self, projection: int) -> FloatArray:
        """Map from sample to detector of a projection, (2, 4)."""
        return self.model.affine(projection)

    def lit_frames(self, projection: int) -> LitFrames:
        """Summed frame of a projection, the only one."""
        return LitFrames.all_of(self.model.summed(projection)[None])

    def weights(self, projection: int, bins: Orientations) -> NDArray[np.float32]:  # noqa: ARG002
        """Ones, (1, bins)."""
        return np.ones((1, bins.centres_deg()[0].size), np.float32)

    def total_counts(self) -> float:
        """Sum of all frames that are used."""
        return self.model.total_counts()
