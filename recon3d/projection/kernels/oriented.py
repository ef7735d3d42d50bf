"""The loops over voxels that have one orientation each, compiled."""

from __future__ import annotations

import numpy as np
from numba import prange

from recon3d.compiled import njit
from recon3d.projection.kernels.footprint import corner

FARTHEST = 16.0
"""Squared distance in widths beyond which a frame sees nothing, as in the weights of bins."""

REACH = FARTHEST**0.5

BLOCK = 64
"""Successive voxels, alike in orientation, of which it is asked together what frames are near."""

MOST_FRAMES = 16
"""Successive frames that one thread writes to: a line of the cache."""


@njit(inline="always")
def _squared_distance(of_frame, of_voxel):  # type: ignore[no-untyped-def]
    """Squared distance of two settings in widths; NaN for a missing frame."""
    distance = 0.0
    for axis in range(3):
        distance += (of_frame[axis] - of_voxel[axis]) ** 2
    return distance


@njit(inline="always")
def _near_frames(near, of_voxels, first, last, of_frames):  # type: ignore[no-untyped-def]
    """Fill in the frames that any voxel from `first` to `last` may light; return how many."""
    lowest, highest = np.full(3, np.inf), np.full(3, -np.inf)
    for voxel in range(first, last):
        for axis in range(3):
            lowest[axis] = min(lowest[axis], of_voxels[voxel, axis])
            highest[axis] = max(highest[axis], of_voxels[voxel, axis])
    count = 0
    for frame in range(of_frames.shape[0]):
        inside = True
        for axis in range(3):
            # A missing frame, NaN, is not inside.
            place = of_frames[frame, axis]
            inside &= lowest[axis] - REACH < place < highest[axis] + REACH
        if inside:
            near[count] = frame
            count += 1
    return count


@njit(cache=True, nogil=True)
def mark_reached(reached, of_voxels, of_frames):  # type: ignore[no-untyped-def]
    """Mark the frames that any voxel may light; serial, so that it can run beside the others.

    Parameters
    ----------
    reached : (frames,) of bool
        Marked in place.
    of_voxels, of_frames : (voxels, 3), (frames, 3)
        As in `project_oriented`.
    """
    near = np.empty(of_frames.shape[0], np.int64)
    for first in range(0, of_voxels.shape[0], BLOCK):
        last = min(first + BLOCK, of_voxels.shape[0])
        for k in range(_near_frames(near, of_voxels, first, last, of_frames)):
            reached[near[k]] = True


@njit(parallel=True, cache=True, nogil=True)
def project_oriented(images, intensity, of_voxels, of_frames, points, affine, lookup, lanes):  # type: ignore[no-untyped-def]
    """Project every voxel into the frames that its own orientation lights.

    Threads write to frames of their own, so they never meet.

    Parameters
    ----------
    images : (pixels + 1, frames)
        Added to in place.
    intensity : (voxels,)
        How much each voxel scatters.
    of_voxels, of_frames : (voxels, 3), (frames, 3)
        Settings in widths of the instrument; NaN for a missing frame.
    points : (voxels, 3)
        Voxel centres in µm.
    affine : (2, 4)
        The map to (row, col).
    lookup : (rows + 2, cols + 2) of int
        Number of each pixel, with a border of one pixel around the detector.
    lanes : int
        In how many parts the frames are shared among threads.
    """
    rows, cols = lookup.shape[0] - 2, lookup.shape[1] - 2
    voxels, frames = points.shape[0], of_frames.shape[0]
    side_by_side = max(min(frames // (2 * lanes), MOST_FRAMES), 1)
    for lane in prange(lanes):
        near = np.empty(frames, np.int64)
        for first in range(0, voxels, BLOCK):
            last = min(first + BLOCK, voxels)
            all_near = _near_frames(near, of_voxels, first, last, of_frames)
            count = 0
            for k in range(all_near):
                if near[k] // side_by_side % lanes == lane:
                    near[count] = near[k]
                    count += 1
            for voxel in range(first, last if count > 0 else first):
                row, col, down, right, seen = corner(points[voxel], affine, rows, cols)
                if not seen:
                    continue
                p00, p01 = lookup[row + 1, col + 1], lookup[row + 1, col + 2]
                p10, p11 = lookup[row + 2, col + 1], lookup[row + 2, col + 2]
                upper, lower = (1 - down) * intensity[voxel], down * intensity[voxel]
                for k in range(count):
                    frame = near[k]
                    distance = _squared_distance(of_frames[frame], of_voxels[voxel])
                    if not distance < FARTHEST:
                        continue
                    weight = np.exp(np.float32(-0.5 * distance))
                    images[p00, frame] += (1 - right) * upper * weight
                    images[p01, frame] += right * upper * weight
                    images[p10, frame] += (1 - right) * lower * weight
                    images[p11, frame] += right * lower * weight


@njit(parallel=True, cache=True, nogil=True)
def visible_share(out, of_voxels, of_frames):  # type: ignore[no-untyped-def]
    """Sum the weights of each voxel's orientation over all frames.

    Parameters
    ----------
    out : (voxels,)
        Filled.
    of_voxels, of_frames : (voxels, 3), (frames, 3)
        As in `project_oriented`.
    """
    for voxel in prange(of_voxels.shape[0]):
        total = 0.0
        for frame in range(of_frames.shape[0]):
            distance = _squared_distance(of_frames[frame], of_voxels[voxel])
            if distance < FARTHEST:
                total += np.exp(-0.5 * distance)
        out[voxel] = total


@njit(parallel=True, cache=True, nogil=True)
def gather_slopes(  # type: ignore[no-untyped-def]
    matrix, right_side, strengths, turning, of_voxels, of_frames, points, affine, lookup, images
):
    """Add to the normal equations of every voxel what one projection says.

    With :math:`d` a voxel's distance to a frame in widths and :math:`W = e^{-d^2 / 2}`, the
    slope of its prediction along an axis is :math:`W d`.

    Parameters
    ----------
    matrix, right_side : (voxels, unknowns, unknowns), (voxels, unknowns)
        Added to: the squared slopes and the slopes times r, turned into the unknowns.
    strengths : (voxels, 2)
        Added to: the sums of W r and of W² over the frames.
    turning : (3, unknowns)
        How a setting in widths follows the unknowns.
    of_voxels, of_frames, points, affine, lookup
        As in `project_oriented`.
    images : (pixels + 1, frames)
        Differences r between measured and predicted frames; the last row is zero.
    """
    rows, cols = lookup.shape[0] - 2, lookup.shape[1] - 2
    unknowns, voxels, frames = turning.shape[1], points.shape[0], of_frames.shape[0]
    for block in prange((voxels + BLOCK - 1) // BLOCK):
        near = np.empty(frames, np.int64)
        first, last = block * BLOCK, min((block + 1) * BLOCK, voxels)
        count = _near_frames(near, of_voxels, first, last, of_frames)
        for voxel in range(first, last):
            row, col, down, right, seen = corner(points[voxel], affine, rows, cols)
            if not seen:
                continue
            p00, p01 = lookup[row + 1, col + 1], lookup[row + 1, col + 2]
            p10, p11 = lookup[row + 2, col + 1], lookup[row + 2, col + 2]
            slopes, curvatures = np.zeros(3), np.zeros(3)
            for k in range(count):
                frame = near[k]
                distance = _squared_distance(of_frames[frame], of_voxels[voxel])
                if not distance < FARTHEST:
                    continue
                weight = np.exp(np.float32(-0.5 * distance))
                upper = (1 - right) * images[p00, frame] + right * images[p01, frame]
                lower = (1 - right) * images[p10, frame] + right * images[p11, frame]
                rest = (1 - down) * upper + down * lower
                strengths[voxel, 0] += weight * rest
                strengths[voxel, 1] += weight**2
                for axis in range(3):
                    slope = weight * (of_frames[frame, axis] - of_voxels[voxel, axis])
                    slopes[axis] += slope * rest
                    curvatures[axis] += slope**2
            for i in range(unknowns):
                for axis in range(3):
                    right_side[voxel, i] += turning[axis, i] * slopes[axis]
                    for j in range(unknowns):
                        matrix[voxel, i, j] += (
                            turning[axis, i] * curvatures[axis] * turning[axis, j]
                        )
