"""What the frames of a scan leave unexplained, and which projections stand out by it."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import median_filter

from recon3d.runtime.communicator import Communicator

FloatArray = NDArray[np.float64]

NEIGHBOURS = 15
"""Projections among which one has to stand out to be suspect."""

EXPLAINED = 0.3
"""Residual up to which a projection is explained, whatever others leave: voxels in line with the
rays leave more."""

UNEXPLAINED = 0.5
"""Residual from which a projection is hardly explained, if a typical one has half of its own."""


class Residuals:
    """Squared differences and squared intensities of a pass, as one process has found them.

    `of_projections`, (projections, 2), has their sums over each projection, `of_pixels`, (rows,
    cols, 2), over the frames of each pixel; it is empty before the first projection.
    """

    def __init__(self, projections: NDArray[np.int64]) -> None:
        self._row = {int(k): row for row, k in enumerate(projections)}
        self.of_projections = np.zeros((len(self._row), 2))
        self.of_pixels = np.zeros((0, 0, 2))

    def note(self, projection: int, sums: ArrayLike) -> None:
        """Note the two sums over a projection."""
        self.of_projections[self._row[projection]] = sums

    def pixels(self, shape: tuple[int, ...]) -> FloatArray:
        """The sums of each pixel of images of some shape, to be added to."""
        if not self.of_pixels.size:
            self.of_pixels = np.zeros((*shape, 2))
        return self.of_pixels

    def of_all(self, communicator: Communicator) -> tuple[FloatArray, FloatArray]:
        """The sums that all members of a communicator have found; each of them asks."""
        of_projections = self.of_projections.copy()
        communicator.sum(of_projections)
        # A process without a projection so far does not know how large the images are.
        of_pixels = np.zeros(max(communicator.collect([self.of_pixels.shape])))
        if self.of_pixels.size:
            of_pixels += self.of_pixels
        communicator.sum(of_pixels)
        return of_projections, of_pixels


def relative(differences: ArrayLike, squares: ArrayLike) -> FloatArray:
    """Root of squared differences as a share of squared intensities; NaN where these are 0."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.sqrt(np.asarray(differences, float) / np.asarray(squares, float))


def suspects(residuals: FloatArray, limit: float = 6.0) -> NDArray[np.bool_]:
    """Which projections the model explains far worse than those around them.

    Another grain passing, or the beam lost: the relative residual is then beyond `limit` robust
    standard deviations above the median of its neighbours, at least half as large again, and large.
    What changes slowly with ω, such as a narrow instrument hiding more of the grain, is none. Where
    many stand out, and pull at all others, those that are hardly explained at all are it, too.
    """
    known = np.where(np.isfinite(residuals), residuals, np.nanmedian(residuals))
    around = median_filter(known, min(NEIGHBOURS, len(known)), mode="mirror")
    deviation = 1.4826 * np.median(np.abs(known - around))
    outright = residuals > np.maximum(UNEXPLAINED, 2 * np.nanmedian(residuals))
    least = np.maximum(1.5 * around, EXPLAINED)
    return outright | (residuals > np.maximum(around + limit * deviation, least))
