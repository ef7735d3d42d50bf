"""Pixels of the images that are worked on, and those of the detector's region behind them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from recon3d.experiment import Detector
from recon3d.io.store import CleanedScan


@dataclass(frozen=True)
class ImagePixels:
    """How the pixels of oriented images lie among those of the region that was recorded.

    Whatever a user gives or gets is in pixels of the detector, counted in the region of
    interest as it is oriented; images have fewer pixels where frames were binned.

    Parameters
    ----------
    size
        (rows, columns) of the detector that make one pixel of an image.
    first
        (row, column) of the region at the middle of the first pixel of an image.
    region
        (rows, columns) of the region.
    """

    size: tuple[int, int]
    first: tuple[float, float]
    region: tuple[int, int]

    @classmethod
    def of(cls, store: CleanedScan, detector: Detector) -> ImagePixels:
        """Those of a cleaned scan: flipped and transposed as `orient` does it.

        What fills no bin is at the end of the region, which a flip makes its beginning.
        """
        size, region = store.binning, (store.roi.rows, store.roi.cols)
        flipped = (detector.flip in ("rows", "both"), detector.flip in ("columns", "both"))
        dropped = store.binning.left_over(region)
        first = [
            (edge - 1) / 2 + (rest if turned else 0)
            for edge, rest, turned in zip(size, dropped, flipped, strict=True)
        ]
        row, col = (1, 0) if detector.transpose else (0, 1)
        return cls((size[row], size[col]), (first[row], first[col]), (region[row], region[col]))

    @property
    def middle_row(self) -> float:
        """The row of the region in its middle."""
        return (self.region[0] - 1) / 2

    def row_of(self, row: float) -> float:
        """Row of the images at a row of the region."""
        return (row - self.first[0]) / self.size[0]

    def col_of(self, col: float) -> float:
        """Column of the images at a column of the region."""
        return (col - self.first[1]) / self.size[1]

    def detector_col(self, col: float) -> float:
        """Column of the region at a column of the images."""
        return col * self.size[1] + self.first[1]

    def detector_shifts(self, shifts: ArrayLike) -> NDArray[np.float64]:
        """Shifts (..., (row, column)) of images in pixels of the detector."""
        return np.asarray(shifts, float) * self.size

    def shifts_of(self, shifts: ArrayLike) -> NDArray[np.float64]:
        """Shifts (..., (row, column)) of images in their own pixels, from the detector's."""
        return np.asarray(shifts, float) / self.size
