"""Pixels of the detector that are summed in blocks while frames are read."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from recon3d.errors import ParameterError
from recon3d.runtime.compiled import njit

FEWEST_BINS = 2
"""Rows and columns of bins that a frame must have."""


class Binning(NamedTuple):
    """How many rows and columns of the detector make one row and column of a frame.

    Blocks begin at the first pixel of the region of interest. Rows and columns at its end that fill
    no whole block are dropped. 1 stands for pixels as they are.
    """

    rows: int = 1
    cols: int = 1

    @classmethod
    def of(cls, rows: int, cols: int | None = None) -> Binning:
        """Check the two numbers, which are to be whole and 1 or more; one serves for both."""
        pair = (rows, rows if cols is None else cols)
        if not all(isinstance(n, (int, np.integer)) and n >= 1 for n in pair):
            raise ParameterError(
                f"binning is {pair[0]} x {pair[1]} (rows x columns): expected whole numbers of "
                "pixels, 1 for none"
            )
        return cls(int(pair[0]), int(pair[1]))

    @property
    def pixels(self) -> int:
        """How many pixels a bin has."""
        return self.rows * self.cols

    def shape_of(self, shape: tuple[int, ...]) -> tuple[int, int]:
        """Rows and columns of bins in a region of a shape (rows, cols) in pixels."""
        return shape[0] // self.rows, shape[1] // self.cols

    def left_over(self, shape: tuple[int, ...]) -> tuple[int, int]:
        """Rows and columns of pixels that fill no bin."""
        return shape[0] % self.rows, shape[1] % self.cols

    def require_room(self, shape: tuple[int, ...]) -> None:
        """Refuse bins of which fewer than `FEWEST_BINS` fit along an edge of a region."""
        if self.pixels > 1 and min(self.shape_of(shape)) < FEWEST_BINS:
            raise ParameterError(
                f"binning is {self.rows} x {self.cols} (rows x columns), and the region of "
                f"interest has {shape[0]} x {shape[1]} pixels: expected at least {FEWEST_BINS} "
                "bins along each edge"
            )

    def dtype_of(self, dtype: np.dtype[Any]) -> np.dtype[Any]:
        """Type that holds the sums of pixels of a type without loss."""
        if self.pixels == 1 or dtype.kind == "f":
            return dtype
        return np.dtype(np.int32 if dtype.itemsize <= 2 else np.int64)

    def sum_into(self, pixels: NDArray[Any], out: NDArray[Any]) -> None:
        """Sum the pixels, (rows, cols), of every bin.

        The pixels are C-contiguous and in native byte order; `out` has the shape of `shape_of` and
        the type of `dtype_of`.
        """
        sum_blocks(pixels, self.rows, self.cols, out)

    def sums(self, image: ArrayLike) -> NDArray[Any]:
        """Sum the pixels of every bin of one image, in the type that `dtype_of` names."""
        pixels: NDArray[Any] = np.ascontiguousarray(image)
        if self.pixels == 1:
            return pixels
        out = np.empty(self.shape_of(pixels.shape), self.dtype_of(pixels.dtype))
        self.sum_into(pixels, out)
        return out


NO_BINNING = Binning()
"""Pixels as they are."""


@njit(cache=True, nogil=True)
def sum_blocks(pixels: NDArray[Any], rows: int, cols: int, out: NDArray[Any]) -> None:
    """Fill `out` with sums over blocks of `rows` x `cols` pixels; what is left over is dropped.

    Rows are added up before columns are: so most of the work is on neighbouring numbers.
    """
    line = np.empty(out.shape[1] * cols, out.dtype)
    for row in range(out.shape[0]):
        for col in range(line.size):
            line[col] = pixels[row * rows, col]
        for below in range(row * rows + 1, row * rows + rows):
            for col in range(line.size):
                line[col] += pixels[below, col]
        if cols == 2:  # a constant step is what the compiler can make quick
            for col in range(out.shape[1]):
                out[row, col] = line[2 * col] + line[2 * col + 1]
            continue
        for col in range(out.shape[1]):
            summed = line[col * cols]
            for beside in range(col * cols + 1, col * cols + cols):
                summed += line[beside]
            out[row, col] = summed
