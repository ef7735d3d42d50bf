"""Backprojection straight from the lit frames, compiled.

A pixel inside the grain is lit in a few frames of a projection, and a frame lights a few of
the orientation bins. So a voxel's values are first interpolated frame by frame, and only what
is lit is then spread over its bins: far fewer numbers are fetched than with images of all
bins, and a voxel's bins stay in the processor's cache while several projections are added.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from recon3d.projection.kernels import corner

CHUNK_VOXELS = 128
"""Voxels that one thread works on at a time: their bins ought to fit into its own cache."""


@njit(inline="always")
def _interpolate(values, images, lookup, row, col, down, right):  # type: ignore[no-untyped-def]
    """Fill `values` with the frames at a place between four pixels; False where all are dark."""
    dark = images.shape[0] - 1
    p00, p01 = lookup[row + 1, col + 1], lookup[row + 1, col + 2]
    p10, p11 = lookup[row + 2, col + 1], lookup[row + 2, col + 2]
    if p00 == dark and p01 == dark and p10 == dark and p11 == dark:
        return False
    w00 = images.dtype.type((1 - down) * (1 - right))
    w01 = images.dtype.type((1 - down) * right)
    w10 = images.dtype.type(down * (1 - right))
    w11 = images.dtype.type(down * right)
    for frame in range(values.shape[0]):
        values[frame] = (
            w00 * images[p00, frame] + w01 * images[p01, frame] + w10 * images[p10, frame]
        ) + w11 * images[p11, frame]
    return True


@njit(parallel=True, cache=True, nogil=True)
def backproject_frames(  # type: ignore[no-untyped-def]
    volume, points, affines, lookups, images, weights, first, runs
):
    r"""Add several projections to orientation distributions, :math:`\sum_ω P_ω^T I_ω W_ω`.

    Parameters
    ----------
    volume : (voxels, bins)
        Added to in place.
    points : (voxels, 3)
        Voxel centres in µm.
    affines : (projections, 2, 4)
        The maps to (row, col).
    lookups : (projections, rows + 2, cols + 2) of int
        Row of `images` for each pixel, the last one for dark pixels and the border.
    images : (projections, pixels + 1, frames)
        Values of the pixels in the lit frames, the last row zero.
    weights : (projections, frames, bins or a few more)
        Weights of the bins in those frames.
    first : (projections, frames + 1) of int
        Number of the first run of each frame.
    runs : (projections, runs, 2) of unsigned int
        First bin, and that after the last, of the stretches in which weights are not zero.
    """
    rows, cols = lookups.shape[1] - 2, lookups.shape[2] - 2
    chunks = (points.shape[0] + CHUNK_VOXELS - 1) // CHUNK_VOXELS
    for chunk in prange(chunks):
        start = chunk * CHUNK_VOXELS
        voxels = min(CHUNK_VOXELS, points.shape[0] - start)
        sums = np.zeros((voxels, weights.shape[2]), volume.dtype)
        values = np.zeros(images.shape[2], volume.dtype)
        for k in range(affines.shape[0]):
            affine, lookup, image = affines[k], lookups[k], images[k]
            for voxel in range(voxels):
                row, col, down, right, seen = corner(points[start + voxel], affine, rows, cols)
                if not seen or not _interpolate(values, image, lookup, row, col, down, right):
                    continue
                for frame in range(values.shape[0]):
                    value = values[frame]
                    if value == 0:
                        continue
                    for run in range(first[k, frame], first[k, frame + 1]):
                        for i in range(runs[k, run, 0], runs[k, run, 1]):
                            sums[voxel, i] += value * weights[k, frame, i]
        for voxel in range(voxels):
            for i in range(volume.shape[1]):
                volume[start + voxel, i] += sums[voxel, i]


@njit(parallel=True, cache=True, nogil=True)
def count_lit_frames(hits, seen, points, affine, frames, own):  # type: ignore[no-untyped-def]
    """Count, for each voxel, whether its own frame is lit at the pixel nearest to it.

    Parameters
    ----------
    hits, seen : (voxels,) of int
        Added to in place: projections in which the frame is lit, and in which it could be.
    points : (voxels, 3)
        Voxel centres in µm.
    affine : (2, 4)
        The map to (row, col).
    frames : (lit frames, rows, cols)
        The frames of the projection that are not dark all over.
    own : (voxels,) of int
        Which of them each voxel ought to light; -1 for a dark one, -2 where none was measured.
    """
    rows, cols = frames.shape[1], frames.shape[2]
    for voxel in prange(points.shape[0]):
        if own[voxel] == -2:
            continue
        row, col, down, right, inside = corner(points[voxel], affine, rows, cols)
        row, col = row + (down >= 0.5), col + (right >= 0.5)
        if inside and 0 <= row < rows and 0 <= col < cols:
            seen[voxel] += 1
            if own[voxel] >= 0:
                hits[voxel] += frames[own[voxel], row, col] > 0
