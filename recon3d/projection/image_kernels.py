"""The loops over voxels for a single bin, compiled.

With one number a voxel, most of the work is to find its place on the detector. Images are laid
out whole, with a border of one pixel, so that the four pixels around a place need no numbers,
and the places of many voxels are worked out at a time.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from recon3d.runtime.compiled import njit

CHUNK_VOXELS = 256
"""Voxels whose places are worked out at a time: they ought to stay in the nearest cache."""


@njit(inline="always")
def _find_places(columns, affine, first, count, shape, index, down, right):  # type: ignore[no-untyped-def]
    """Fill in the lower of the four pixels around each of some voxels, and how far beyond it."""
    x, y, z = columns[0], columns[1], columns[2]
    rows, cols, width = float(shape[0] - 2), float(shape[1] - 2), np.int32(shape[1])
    for i in range(count):
        voxel = first + i
        row = affine[0, 0] * x[voxel] + affine[0, 1] * y[voxel] + affine[0, 2] * z[voxel]
        col = affine[1, 0] * x[voxel] + affine[1, 1] * y[voxel] + affine[1, 2] * z[voxel]
        row, col = row + affine[0, 3], col + affine[1, 3]
        # What is not seen goes to the border, which is never kept.
        row, col = min(max(row, -1.0), rows), min(max(col, -1.0), cols)
        first_row, first_col = min(np.floor(row), rows - 1.0), min(np.floor(col), cols - 1.0)
        down[i], right[i] = row - first_row, col - first_col
        index[i] = (np.int32(first_row) + 1) * width + np.int32(first_col) + 1


@njit(parallel=True, cache=True, nogil=True)
def project_image(values, columns, affine, images):  # type: ignore[no-untyped-def]
    """Spread each voxel's value over its four pixels, weighted bilinearly.

    `columns`: (3, voxels), centres in µm. `images`: (threads, rows + 2, cols + 2), added to, with a
    border of one pixel; the sum over the first axis is the projection.
    """
    shape, lanes = images.shape[1:], images.shape[0]
    flat = images.reshape(lanes, shape[0] * shape[1])
    for lane in prange(lanes):
        image = flat[lane]
        index = np.empty(CHUNK_VOXELS, np.int32)
        down = np.empty(CHUNK_VOXELS, values.dtype)
        right = np.empty(CHUNK_VOXELS, values.dtype)
        stop = (lane + 1) * values.size // lanes
        for first in range(lane * values.size // lanes, stop, CHUNK_VOXELS):
            count = min(CHUNK_VOXELS, stop - first)
            _find_places(columns, affine, first, count, shape, index, down, right)
            for i in range(count):
                pixel, value = index[i], values[first + i]
                lower = value * down[i]
                upper = value - lower
                upper_right, lower_right = upper * right[i], lower * right[i]
                image[pixel] += upper - upper_right
                image[pixel + 1] += upper_right
                image[pixel + shape[1]] += lower - lower_right
                image[pixel + shape[1] + 1] += lower_right


@njit(parallel=True, cache=True, nogil=True)
def backproject_image(values, columns, affine, image, lanes):  # type: ignore[no-untyped-def]
    """Add to each voxel's value its four pixels: the adjoint of `project_image`.

    `image`: (rows + 2, cols + 2), its border zero. `lanes`: parts of the voxels, one a thread.
    """
    shape = image.shape
    flat = image.reshape(shape[0] * shape[1])
    for lane in prange(lanes):
        index = np.empty(CHUNK_VOXELS, np.int32)
        down = np.empty(CHUNK_VOXELS, values.dtype)
        right = np.empty(CHUNK_VOXELS, values.dtype)
        stop = (lane + 1) * values.size // lanes
        for first in range(lane * values.size // lanes, stop, CHUNK_VOXELS):
            count = min(CHUNK_VOXELS, stop - first)
            _find_places(columns, affine, first, count, shape, index, down, right)
            for i in range(count):
                # Unsigned, so that no test for a negative index is in the way.
                pixel = np.uint64(index[i])
                below = pixel + np.uint64(shape[1])
                upper, lower = flat[pixel], flat[below]
                upper += (flat[pixel + np.uint64(1)] - upper) * right[i]
                lower += (flat[below + np.uint64(1)] - lower) * right[i]
                values[first + i] += upper + (lower - upper) * down[i]


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})
def shift_equations(predicted, measured):  # type: ignore[no-untyped-def]
    """Normal equations, (3, 3) and (3,), for the scale and the shift that bring images closest.

    The unknowns are the scale of the prediction, and that times the shift along rows and columns.
    Edges are left out, and so are measured pixels below 0, which are not known.
    """
    rows, cols = predicted.shape
    normal, right = np.zeros((3, 3)), np.zeros(3)
    half = predicted.dtype.type(0.5)
    for row in range(1, rows - 1):
        line, above, below = predicted[row], predicted[row - 1], predicted[row + 1]
        target = measured[row]
        # Sums over a row in the images' precision, over the rows in double.
        s00 = s01 = s02 = s11 = s12 = s22 = t0 = t1 = t2 = predicted.dtype.type(0)
        for col in range(1, cols - 1):
            value, meets = line[col], target[col]
            if meets < 0:
                continue
            down = half * (above[col] - below[col])
            right_slope = half * (line[col - 1] - line[col + 1])
            s00 += value * value
            s01 += value * down
            s02 += value * right_slope
            s11 += down * down
            s12 += down * right_slope
            s22 += right_slope * right_slope
            t0 += value * meets
            t1 += down * meets
            t2 += right_slope * meets
        normal[0, 0] += s00
        normal[0, 1] += s01
        normal[0, 2] += s02
        normal[1, 1] += s11
        normal[1, 2] += s12
        normal[2, 2] += s22
        right[0] += t0
        right[1] += t1
        right[2] += t2
    normal[1, 0], normal[2, 0], normal[2, 1] = normal[0, 1], normal[0, 2], normal[1, 2]
    return normal, right
