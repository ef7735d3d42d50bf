"""The loops over voxels and bins, compiled.

A voxel's values over a run of orientation bins are contiguous, and so are a pixel's: what the
geometry decides once for a voxel is used for all its bins. Images hold one row for each
pixel that matters (`lookup` says which row), and a last row for all others, which
is read as zeros and never kept.
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
