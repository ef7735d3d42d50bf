"""The compiled loop that sums pixels in blocks; it runs in the thread that reads."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray


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
