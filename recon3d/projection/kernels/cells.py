"""The loops over voxels that take one cell of pixels a projection, and over the cells, compiled."""

from __future__ import annotations

import numpy as np
from numba import prange

from recon3d.compiled import njit

AT_A_TIME = 4
"""Projections that are added to a voxel at a time: reading and writing it is what takes long."""


@njit(inline="always")
def _cell(point, affine, lookup):  # type: ignore[no-untyped-def]
    """Number of the cell on which a point falls; beyond the image that of the border."""
    row = affine[0, 0] * point[0] + affine[0, 1] * point[1] + affine[0, 2] * point[2] + affine[0, 3]
    col = affine[1, 0] * point[0] + affine[1, 1] * point[1] + affine[1, 2] * point[2] + affine[1, 3]
    rows, cols = float(lookup.shape[0] - 2), float(lookup.shape[1] - 2)
    row = min(max(np.floor(row + 0.5), -1.0), rows)
    col = min(max(np.floor(col + 0.5), -1.0), cols)
    return lookup[int(row) + 1, int(col) + 1]


@njit(parallel=True, cache=True, nogil=True)
def backproject_cells(volume, points, affines, lookups, images, start):  # type: ignore[no-untyped-def]
    """Add to each voxel the cells on which its centre falls in some projections.

    Parameters
    ----------
    volume : (voxels, all bins)
        Added to in place.
    points : (voxels, 3)
        Voxel centres in µm.
    affines : (AT_A_TIME, 2, 4)
        The maps to (row, col) of the cells.
    lookups : (AT_A_TIME, rows + 2, cols + 2) of int
        Row of `images` for each cell, with a border of one cell around the detector.
    images : (cells of all projections + 1, bins)
        Values of the cells, the last row zero.
    start : int
        Number of the first of these bins.
    """
    dark, first = images.shape[0] - 1, np.uint64(start)
    for voxel in prange(points.shape[0]):
        c0 = _cell(points[voxel], affines[0], lookups[0])
        c1 = _cell(points[voxel], affines[1], lookups[1])
        c2 = _cell(points[voxel], affines[2], lookups[2])
        c3 = _cell(points[voxel], affines[3], lookups[3])
        if c0 == dark and c1 == dark and c2 == dark and c3 == dark:
            continue
        for i in range(images.shape[1]):
            volume[voxel, first + np.uint64(i)] += (images[c0, i] + images[c1, i]) + (
                images[c2, i] + images[c3, i]
            )


@njit(cache=True, nogil=True)
def merge_pixels(frames, across):  # type: ignore[no-untyped-def]
    """Means over cells of `across` x `across` pixels; serial, so that it can run beside others.

    Parameters
    ----------
    frames : (frames, rows, cols)
        The images; a cell that reaches beyond them sees zeros there.
    across : int
        Edge of a cell in pixels.

    Returns
    -------
    cells : (frames, cells along the rows, cells along the columns)
    """
    count, rows, cols = frames.shape
    cells = np.zeros((count, -(-rows // across), -(-cols // across)), frames.dtype)
    share = frames.dtype.type(1 / across**2)
    line = np.empty(cols, frames.dtype)
    for frame in range(count):
        for row in range(cells.shape[1]):
            line[:] = 0
            for r in range(row * across, min((row + 1) * across, rows)):
                for col in range(cols):
                    line[col] += frames[frame, r, col]
            for col in range(cells.shape[2]):
                total = frames.dtype.type(0)
                for c in range(col * across, min((col + 1) * across, cols)):
                    total += line[c]
                cells[frame, row, col] = total * share
    return cells
