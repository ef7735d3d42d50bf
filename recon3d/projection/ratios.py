"""How measured and predicted frames compare, compiled."""

from __future__ import annotations

import numpy as np
from numba import prange

from recon3d.runtime.compiled import njit

UNKNOWN = -1.0
"""What a pixel reads of which nothing is known: it agrees with whatever is predicted."""

NO_PIXELS = np.empty((0, 0, 2))
"""For `compare`, where the sums of each pixel are not asked for."""


CHUNK_PIXELS = 64
"""Pixels that one thread works on at a time."""


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
