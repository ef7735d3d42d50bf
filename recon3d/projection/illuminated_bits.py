"""Which pixels of which frames are lit, one bit each, and the voxels that light them."""

from __future__ import annotations

import numpy as np
from numba import prange
from numpy.typing import NDArray

from recon3d.compiled import njit
from recon3d.projection.kernels.footprint import AnyFloats, corner

DARK = -1
"""In place of a frame that was measured and is dark all over."""

UNMEASURED = -2
"""In place of a frame that was not measured."""


def pack(images: AnyFloats | NDArray[np.bool_]) -> NDArray[np.uint8]:
    """One bit for each pixel that is lit: (..., rows, cols) to (..., rows, cols / 8)."""
    return np.packbits(images > 0, axis=-1, bitorder="little")


@njit(parallel=True, cache=True, nogil=True)
def count_illuminated(hits, seen, points, affine, bits, known, cols, frame_of, kinds):  # type: ignore[no-untyped-def]
    """Count, for each voxel, whether its own frame is lit at the pixel nearest to it.

    Parameters
    ----------
    hits, seen : (voxels,) of int
        Added to in place: projections in which the frame is lit, and in which it could be.
    points : (voxels, 3)
        Voxel centres in µm.
    affine : (2, 4)
        The map to (row, col).
    bits : (frames, rows, cols / 8)
        The lit pixels of some frames, as `pack` gives them.
    known : (rows, cols / 8)
        The pixels that count.
    cols : int
        Width of the images.
    frame_of : (kinds,) of int
        Which of the frames each kind of voxel ought to light, `DARK` or `UNMEASURED`.
    kinds : (voxels,) of int
        Which kind a voxel is of, below 0 for none.
    """
    rows = bits.shape[1]
    for voxel in prange(points.shape[0]):
        kind = kinds[voxel]
        if kind < 0 or frame_of[kind] == UNMEASURED:
            continue
        row, col, down, right, inside = corner(points[voxel], affine, rows, cols)
        row, col = row + (down >= 0.5), col + (right >= 0.5)
        if inside and 0 <= row < rows and 0 <= col < cols:
            counts = (known[row, col >> 3] >> (col & 7)) & 1
            seen[voxel] += counts
            if frame_of[kind] >= 0:
                hits[voxel] += counts & (bits[frame_of[kind], row, col >> 3] >> (col & 7))
