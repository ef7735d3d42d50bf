"""What a fit leaves unexplained, as squared differences of measured and predicted frames."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from recon3d.communicator import Communicator

FloatArray = NDArray[np.float64]


class Residuals:
    """Squared differences and squared intensities of a pass, as one process has found them.

    Parameters
    ----------
    projections
        Numbers of the projections of the scan.

    Attributes
    ----------
    of_projections, shape (projections, 2)
        Their sums over each projection.
    of_pixels, shape (rows, cols, 2)
        Their sums over the frames of each pixel; empty before the first projection.
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
