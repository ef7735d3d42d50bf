"""The loops over voxels, bins and pixels, compiled.

A voxel's values over a run of orientation bins are contiguous, and so are a pixel's: what the
geometry decides once for a voxel is used for all its bins. Images hold one row for each
pixel that matters (`lookup` says which row), and a last row for all others, which
is read as zeros and never kept.

With one number a voxel most of the work is to find its place on the detector. There images are
laid out whole, with a border of one pixel, so that the four pixels around a place need no numbers,
and the places of many voxels are worked out at a time.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import prange
from numpy.typing import NDArray

from recon3d.runtime.compiled import njit

AnyFloats = NDArray[np.floating[Any]]
FloatArray = NDArray[np.float64]
Frames = NDArray[np.float32]

CHUNK_VOXELS = 256
"""Voxels whose places are worked out at a time: they ought to stay in the nearest cache."""

CHUNK_PIXELS = 64
"""Pixels that one thread compares at a time."""

UNKNOWN = -1.0
"""What a pixel reads of which nothing is known: it agrees with whatever is predicted."""

NO_PIXELS = np.empty((0, 0, 2))
"""For `compare`, where the sums of each pixel are not asked for."""


@njit(inline="always")
def corner(point, affine, rows, cols):  # type: ignore[no-untyped-def]
    """Lower corner of the four pixels around a point, its fractions, and whether it is seen."""
    row = affine[0, 0] * point[0] + affine[0, 1] * point[1] + affine[0, 2] * point[2] + affine[0, 3]
    col = affine[1, 0] * point[0] + affine[1, 1] * point[1] + affine[1, 2] * point[2] + affine[1, 3]
    seen = -1 < row < rows and -1 < col < cols
    first_row, first_col = int(np.floor(row)), int(np.floor(col))
    return first_row, first_col, row - first_row, col - first_col, seen


@njit(parallel=True, cache=True, nogil=True)
def backproject(values, starts, firsts, points, affine, lookup, images, start):  # type: ignore[no-untyped-def]
    """Add to each voxel its four pixels, weighted bilinearly: the adjoint of `project`.

    `values`, `starts`, `firsts`: of a `BinRuns`; the values are added to in place. `points`:
    (voxels, 3), µm. `lookup`: row of `images` for each pixel, with a border of one pixel around
    the detector. `images`: (pixels + 1, bins), the last row zero; `start`: their first bin.
    """
    rows, cols = lookup.shape[0] - 2, lookup.shape[1] - 2
    dark = images.shape[0] - 1
    for voxel in prange(points.shape[0]):
        begin, end, at = _shared_bins(voxel, starts, firsts, start, start + images.shape[1])
        if begin >= end:
            continue
        row, col, down, right, seen = corner(points[voxel], affine, rows, cols)
        if not seen:
            continue
        p00, p01 = lookup[row + 1, col + 1], lookup[row + 1, col + 2]
        p10, p11 = lookup[row + 2, col + 1], lookup[row + 2, col + 2]
        if p00 == dark and p01 == dark and p10 == dark and p11 == dark:
            continue
        w00 = images.dtype.type((1 - down) * (1 - right))
        w01 = images.dtype.type((1 - down) * right)
        w10 = images.dtype.type(down * (1 - right))
        w11 = images.dtype.type(down * right)
        first, last = begin - start, end - start
        line00, line01 = images[p00, first:last], images[p01, first:last]
        line10, line11 = images[p10, first:last], images[p11, first:last]
        run = values[at : at + end - begin]
        for i in range(run.size):
            run[i] += (w00 * line00[i] + w01 * line01[i] + w10 * line10[i]) + w11 * line11[i]


@njit(inline="always")
def _shared_bins(voxel, starts, firsts, start, stop):  # type: ignore[no-untyped-def]
    """The bins of a voxel's run that are among some, and where its values of them begin."""
    first = firsts[voxel]
    begin = max(first, start)
    end = min(first + starts[voxel + 1] - starts[voxel], stop)
    return begin, end, starts[voxel] + begin - first


@njit(parallel=True, cache=True, nogil=True)
def project(values, starts, firsts, points, affine, lookup, images, start, lanes):  # type: ignore[no-untyped-def]
    """Spread each voxel over its four pixels, weighted bilinearly.

    `images`: added to. `lanes`: parts of the bins; threads write to their own, so they never meet.
    The other parameters are those of `backproject`.
    """
    rows, cols = lookup.shape[0] - 2, lookup.shape[1] - 2
    dark, bins = images.shape[0] - 1, images.shape[1]
    for lane in prange(lanes):
        lowest, highest = start + lane * bins // lanes, start + (lane + 1) * bins // lanes
        for voxel in range(points.shape[0]):
            begin, end, at = _shared_bins(voxel, starts, firsts, lowest, highest)
            if begin >= end:
                continue
            row, col, down, right, seen = corner(points[voxel], affine, rows, cols)
            if not seen:
                continue
            p00, p01 = lookup[row + 1, col + 1], lookup[row + 1, col + 2]
            p10, p11 = lookup[row + 2, col + 1], lookup[row + 2, col + 2]
            if p00 == dark and p01 == dark and p10 == dark and p11 == dark:
                continue
            run = values[at : at + end - begin]
            first, last = begin - start, end - start
            left = 1 - right
            add_weighted(images[p00, first:last], run, run.dtype.type((1 - down) * left))
            add_weighted(images[p01, first:last], run, run.dtype.type((1 - down) * right))
            add_weighted(images[p10, first:last], run, run.dtype.type(down * left))
            add_weighted(images[p11, first:last], run, run.dtype.type(down * right))


@njit(inline="always")
def add_weighted(out, values, weight):  # type: ignore[no-untyped-def]
    """Add weighted values to a row: one row at a time, so that the loop is vectorised."""
    for i in range(values.size):
        out[i] += weight * values[i]


@njit(parallel=True, cache=True, nogil=True)
def convolve(images, out, places, starts, cols, row_taps, col_taps, lanes):  # type: ignore[no-untyped-def]
    """Convolve images, (pixels + 1, frames), with a symmetric footprint; added to `out`.

    `places`, (pixels, 2): row and column of each pixel, row by row; `starts`, (rows + 1,): number
    of the first one of each row. `lanes`: parts of the rows that are shared among threads.
    """
    rows, frames = starts.size - 1, images.shape[1]
    reach, side = row_taps.size // 2, col_taps.size // 2
    for lane in prange(lanes):
        first, last = lane * rows // lanes, (lane + 1) * rows // lanes
        # The rows around the one that is filled, already convolved along the columns.
        near = np.zeros((row_taps.size, cols + 2 * side, frames), images.dtype)
        for row in range(first - reach, last + reach):
            line = near[row % row_taps.size]
            line[...] = 0
            if 0 <= row < rows:
                for pixel in range(starts[row], starts[row + 1]):
                    for j in range(col_taps.size):
                        add_weighted(line[places[pixel, 1] + j], images[pixel], col_taps[j])
            done = row - reach
            if done < first:
                continue
            for pixel in range(starts[done], starts[done + 1]):
                for i in range(row_taps.size):
                    line = near[(done + i - reach) % row_taps.size]
                    add_weighted(out[pixel], line[places[pixel, 1] + side], row_taps[i])


@njit(cache=True, nogil=True)
def mark_covered(mask, points, affine):  # type: ignore[no-untyped-def]
    """Mark the four pixels around each point in place; serial, so that it can run beside others.

    `mask`: (rows, cols) of bool. `points`, `affine`: as in `backproject`.
    """
    rows, cols = mask.shape
    for voxel in range(points.shape[0]):
        row, col, _, _, seen = corner(points[voxel], affine, rows, cols)
        if not seen:
            continue
        for r in range(max(row, 0), min(row + 2, rows)):
            for c in range(max(col, 0), min(col + 2, cols)):
                mask[r, c] = True


@njit(cache=True, nogil=True)
def pick(picked, frames, places, columns):  # type: ignore[no-untyped-def]
    """Copy pixels out of frames, (frames, rows, cols), frames last; serial, to run beside others.

    `picked`: (pixels + 1, all frames), filled but for its last row. `places`: (pixels, 2), row and
    column of each. `columns`: which of all frames these are.
    """
    # A cache line of neighbouring pixels at a time: frame by frame would read each line often.
    for first in range(0, places.shape[0], 16):
        last = min(first + 16, places.shape[0])
        for frame in range(frames.shape[0]):
            for pixel in range(first, last):
                picked[pixel, columns[frame]] = frames[frame, places[pixel, 0], places[pixel, 1]]


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


@njit(inline="always")
def _brightest_near(measured, lookup, row, col, near):  # type: ignore[no-untyped-def]
    """Fill in the brightest of a pixel and those around it, in all frames at a time."""
    near[:] = 0
    if near.size == 1:
        for r in range(row - 1, row + 2):
            for c in range(col - 1, col + 2):
                near[0] = max(near[0], measured[lookup[r, c], 0])
        return
    for r in range(row - 1, row + 2):
        for c in range(col - 1, col + 2):
            other = measured[lookup[r, c]]
            for frame in range(near.size):
                near[frame] = max(near[frame], other[frame])


@njit(inline="always")
def _compare_pixel(expected, values, near, threshold, floor):  # type: ignore[no-untyped-def]
    """Turn what is expected into ratios or differences; return the sums of the squares."""
    differences, squares = 0.0, 0.0
    for frame in range(values.size):
        value = max(values[frame], values.dtype.type(0))
        censored = (value <= 0) & (near[frame] > 0)
        target = min(expected[frame], threshold) if censored else value
        target = expected[frame] if values[frame] < 0 else target
        near[frame] = target
        differences += (target - expected[frame]) ** 2
        squares += value**2
    for frame in range(values.size):
        if floor < 0:
            expected[frame] = near[frame] - expected[frame]
        else:
            expected[frame] = (near[frame] + floor) / (expected[frame] + floor)
    return differences, squares


@njit(parallel=True, cache=True, nogil=True, fastmath={"reassoc"})
def compare(predicted, measured, lookup, places, threshold, floor, of_pixels):  # type: ignore[no-untyped-def]
    """Turn predicted frames into ratios measured / predicted, in place; return two sums.

    A negative `floor` gives the differences measured - predicted; else it is added to both sides.
    A pixel that cleaning set to zero beside a lit one is censored: all that is known of it is
    that it was at most `threshold`, so a prediction below that is as good as measured.

    `predicted`, `measured`: (pixels + 1, frames); the last row of the first becomes zero.
    `lookup`, `places`: of `IlluminatedPixels`. `of_pixels`: (rows, cols, 2), or empty: squared
    differences and squared intensities of each pixel are added; their sums are returned.
    """
    pixels, frames = places.shape[0], measured.shape[1]
    predicted[pixels, :] = 0
    threshold = measured.dtype.type(threshold)
    all_differences, all_squares = 0.0, 0.0
    for chunk in prange((pixels + CHUNK_PIXELS - 1) // CHUNK_PIXELS):
        near = np.empty(frames, measured.dtype)
        for pixel in range(chunk * CHUNK_PIXELS, min((chunk + 1) * CHUNK_PIXELS, pixels)):
            row, col = places[pixel, 0] + 1, places[pixel, 1] + 1
            # A single frame is looked around in only where it is dark: there most is not.
            if frames > 1 or measured[pixel, 0] <= 0:
                _brightest_near(measured, lookup, row, col, near)
            differences, squares = _compare_pixel(
                predicted[pixel], measured[pixel], near, threshold, floor
            )
            all_differences += differences
            all_squares += squares
            if of_pixels.size > 0:
                of_pixels[row - 1, col - 1, 0] += differences
                of_pixels[row - 1, col - 1, 1] += squares
    return all_differences, all_squares


@njit(parallel=True, cache=True, nogil=True)
def illuminated_products(predicted, measured):  # type: ignore[no-untyped-def]
    """Sums of predicted² and of predicted x measured, (pixels, frames), where these are lit."""
    square, cross = 0.0, 0.0
    for pixel in prange(measured.shape[0]):
        own_square, own_cross = 0.0, 0.0
        for frame in range(measured.shape[1]):
            if measured[pixel, frame] > 0:
                own_square += predicted[pixel, frame] ** 2
                own_cross += predicted[pixel, frame] * measured[pixel, frame]
        square += own_square
        cross += own_cross
    return square, cross


@njit(parallel=True, cache=True, nogil=True)
def update(volume, steps, sensitivity, lowest, by_ratio):  # type: ignore[no-untyped-def]
    """Add steps / sensitivity to a volume, or multiply it by them, in place; clear the steps.

    `volume`, `steps`: (voxels, bins). `sensitivity`, (bins,): what the steps would be were every
    difference, or ratio, 1. Values are kept above `lowest`, since denormal numbers would make
    everything slow, save those that are zero: they remain so.
    """
    scale = np.zeros(sensitivity.size, volume.dtype)
    for i in range(sensitivity.size):
        if sensitivity[i] > 0:
            scale[i] = 1 / sensitivity[i]
    for voxel in prange(volume.shape[0]):
        for i in range(volume.shape[1]):
            value, step = volume[voxel, i], steps[voxel, i] * scale[i]
            if scale[i] > 0 and value > 0:
                volume[voxel, i] = max(value * step if by_ratio else value + step, lowest)
            steps[voxel, i] = 0
