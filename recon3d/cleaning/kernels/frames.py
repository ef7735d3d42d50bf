"""Compiled loops on the counts of one frame, and on some of the frames of a projection.

Frames are (rows, cols) float32 and are changed in place. What takes `first` and `stop` works on
the frames between, for `in_parts`. Nothing here checks its arguments:
`recon3d.cleaning.steps` does. Arrays are copied by loops: numba takes 3 s to compile the error of
an assignment between arrays, whose shapes may differ.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from recon3d.runtime.compiled import njit

FloatFrame = NDArray[np.float32]
BoolFrame = NDArray[np.bool_]
FloatArray = NDArray[np.float64]

ISOLATION = 3.0
"""How far a hot pixel stands above its surroundings, in units of their own contrast."""

CONTRAST = 2.0
"""How many times its neighbours' median a hot pixel is at least."""

NO_LIMIT = np.inf


@njit(cache=True, fastmath={"reassoc", "contract"})
def total(frame: NDArray[Any]) -> float:
    """Sum of a frame, in double precision."""
    result = 0.0
    for value in frame.flat:
        result += value
    return result


@njit(cache=True)
def sort(values: NDArray[np.float32]) -> None:
    """Sort a few values in place; NumPy's own way takes a second to compile."""
    for last in range(1, values.size):
        value, place = values[last], last
        while place > 0 and values[place - 1] > value:
            values[place] = values[place - 1]
            place -= 1
        values[place] = value


@njit(cache=True)
def neighbours(frame: FloatFrame, row: int, col: int, ring: FloatFrame) -> None:
    """Fill `ring` with the 8 neighbours of a pixel, mirrored at the frame's edges."""
    rows, cols = frame.shape
    above, below = abs(row - 1), row + 1 if row + 1 < rows else rows - 2
    left, right = abs(col - 1), col + 1 if col + 1 < cols else cols - 2
    ring[0], ring[1], ring[2] = frame[above, left], frame[above, col], frame[above, right]
    ring[3], ring[4] = frame[row, left], frame[row, right]
    ring[5], ring[6], ring[7] = frame[below, left], frame[below, col], frame[below, right]


@njit(cache=True)
def repair_pixels(frame: FloatFrame, bad: BoolFrame, bad_at: NDArray[np.int64]) -> None:
    """Replace bad pixels by the median of their good neighbours, by 0 where there is none.

    `bad_at`, shape (n, 2), lists the rows and columns of the pixels that `bad` marks.
    """
    rows, cols = frame.shape
    good = np.empty(8, np.float32)
    for row, col in bad_at:
        found = 0
        for r in range(max(row - 1, 0), min(row + 2, rows)):
            for c in range(max(col - 1, 0), min(col + 2, cols)):
                if not bad[r, c]:
                    good[found] = frame[r, c]
                    found += 1
        sort(good[:found])
        frame[row, col] = 0.5 * (good[(found - 1) // 2] + good[found // 2]) if found else 0.0


@njit(cache=True)
def _median_if_hot(
    frame: FloatFrame, row: int, col: int, variance: float, sigmas: float, limit: float
) -> float:
    """Median of the neighbours of a hot pixel, -1 where the pixel is not hot."""
    value = frame[row, col]
    ring = np.empty(8, np.float32)
    neighbours(frame, row, col, ring)
    sort(ring)
    median = 0.5 * (ring[3] + ring[4])
    if value > limit:
        return median
    if sigmas <= 0:
        return -1.0
    if _stands_out(value, median, ring[1], ring[5], variance, sigmas):
        return median
    # A spot of 2 x 2 pixels: nothing of it is two pixels away. A thin line crosses that square
    # twice, so no more than one bright pixel may lie on it.
    square = np.empty(16, np.float32)
    if not _square_around(frame, row, col, square):
        return -1.0
    sort(square)
    median = 0.5 * (square[7] + square[8])
    return median if _stands_out(value, median, square[1], square[14], variance, sigmas) else -1.0


@njit(inline="always")
def _stands_out(
    value: float, median: float, low: float, high: float, variance: float, sigmas: float
) -> bool:
    """Whether a pixel is far above its surroundings, of some median and contrast."""
    far = value - median > sigmas * np.sqrt(median + variance) and value > CONTRAST * median
    return far and value - low > ISOLATION * (high - low)


@njit(cache=True)
def _square_around(frame: FloatFrame, row: int, col: int, square: FloatFrame) -> bool:
    """Fill in the 16 pixels two away from a pixel; False where some lie outside the frame."""
    rows, cols = frame.shape
    if not (2 <= row < rows - 2 and 2 <= col < cols - 2):
        return False
    for k in range(5):
        square[k], square[5 + k] = frame[row - 2, col - 2 + k], frame[row + 2, col - 2 + k]
    for k in range(3):
        square[10 + k], square[13 + k] = frame[row - 1 + k, col - 2], frame[row - 1 + k, col + 2]
    return True


@njit(cache=True)
def _may_be_hot(frame: FloatFrame, row: int, col: int, least: float) -> bool:
    """Whether 4 of the neighbours lie `least` below a pixel; a quick necessary condition."""
    rows, cols = frame.shape
    if row in (0, rows - 1) or col in (0, cols - 1):
        return True
    value, near = frame[row, col], 0
    for line in (row - 1, row, row + 1):
        near += value - frame[line, col - 1] <= least
        near += value - frame[line, col + 1] <= least
    near += value - frame[row - 1, col] <= least
    near += value - frame[row + 1, col] <= least
    return near <= 4


def hot_thresholds(
    variance: FloatFrame, sigmas: float, limit: float
) -> tuple[FloatFrame, FloatFrame]:
    """By how much a hot pixel exceeds its neighbours at least, and what it exceeds at least."""
    least = np.float32(sigmas) * np.sqrt(variance)
    lowest = np.minimum(least, np.float32(limit)) if sigmas > 0 else np.full_like(least, limit)
    return least, lowest


@njit(cache=True)
def replace_hot_pixels(
    frame: FloatFrame,
    variance: FloatFrame,
    least: FloatFrame,
    lowest: FloatFrame,
    sigmas: float,
    limit: float,
) -> tuple[float, int]:
    """Replace hot pixels by the median of their 8 neighbours (step 3).

    Hot is what exceeds `limit`, and what exceeds that median by `sigmas` standard deviations of the
    counting noise, of variance median + `variance`, and twofold, and stands alone: above the second
    weakest neighbour by more than 3 times what the third strongest is, so that two neighbours may
    be hot themselves. A corner of a lit region, with three lit neighbours, is safe, and so is
    speckle where the optics blur over 2 pixels or more (fewer than 1 in 100,000 is taken).

    `least`, `lowest`: as `hot_thresholds` gives them. Returns what was taken away, and from how
    many pixels; which ones are hot is decided on the frame as it came.
    """
    at, by = np.empty((64, 2), np.int32), np.empty(64, np.float32)
    found, removed = 0, 0.0
    for row in range(frame.shape[0]):
        if not _any_above(frame[row], lowest[row]):
            continue
        for col in range(frame.shape[1]):
            value = frame[row, col]
            if value <= lowest[row, col]:
                continue
            if value <= limit and not _may_be_hot(frame, row, col, least[row, col]):
                continue
            median = _median_if_hot(frame, row, col, variance[row, col], sigmas, limit)
            if median >= 0:
                if found == by.size:
                    at, by = np.concatenate((at, at)), np.concatenate((by, by))
                at[found, 0], at[found, 1], by[found] = row, col, median
                found += 1
    for i in range(found):
        removed += frame[at[i, 0], at[i, 1]] - by[i]
        frame[at[i, 0], at[i, 1]] = by[i]
    return removed, found


@njit(cache=True)
def _any_above(line: NDArray[np.float32], lowest: NDArray[np.float32]) -> bool:
    """Whether a number exceeds its threshold; all of a line are looked at, many at a time."""
    above = 0
    for i in range(line.size):
        above += line[i] > lowest[i]
    return above > 0


@njit(cache=True)
def cornice_means(frame: FloatFrame, framebg: int, first_row: int, means: FloatFrame) -> None:
    """Fill `means`, shape (cols,), with the mean of each column's cornice cell.

    The cells begin at `first_row` and are `framebg` rows high and `framebg` columns wide.
    """
    cols = frame.shape[1]
    for start in range(0, cols, framebg):
        stop = min(start + framebg, cols)
        cell = frame[first_row : first_row + framebg, start:stop]
        means[start:stop] = total(cell) / cell.size


@njit(cache=True)
def subtract_cornice_lines(frame: FloatFrame, framebg: int) -> None:
    """Subtract the straight lines between the cornice cells, clip, zero the cornice."""
    rows, cols = frame.shape
    top, bottom = np.empty(cols, np.float32), np.empty(cols, np.float32)
    cornice_means(frame, framebg, 0, top)
    cornice_means(frame, framebg, rows - framebg, bottom)
    inside = slice(framebg, cols - framebg)
    start, slope = top[inside], (bottom - top)[inside]
    for row in range(framebg, rows - framebg):
        share = np.float32((row - 0.5 * (framebg - 1)) / (rows - framebg))
        line = frame[row, inside]
        for col in range(line.size):
            line[col] = max(line[col] - (start[col] + share * slope[col]), np.float32(0))
    frame[:framebg], frame[rows - framebg :] = 0, 0
    frame[:, :framebg], frame[:, cols - framebg :] = 0, 0


@njit(cache=True)
def subtract_and_clip(
    raw: NDArray[Any],
    pedestal: FloatFrame,
    gain: FloatFrame,
    bad: BoolFrame,
    bad_at: NDArray[np.int64],
    frame: FloatFrame,
) -> float:
    """Write (raw - pedestal) gain, repaired and clipped at 0; return the sum before the clip."""
    rows, cols = raw.shape
    for row in range(rows):
        for col in range(cols):
            frame[row, col] = (np.float32(raw[row, col]) - pedestal[row, col]) * gain[row, col]
    repair_pixels(frame, bad, bad_at)
    signed = total(frame)
    for row in range(rows):
        for col in range(cols):
            frame[row, col] = max(frame[row, col], np.float32(0))
    return signed


@njit(cache=True, nogil=True)
def integrate_frames(
    first: int, stop: int, raw: NDArray[Any], bad_at: NDArray[np.int64], sums: FloatArray
) -> None:
    """Fill in the sum of each frame without its bad pixels."""
    for f in range(first, stop):
        sums[f] = total(raw[f])
        for row, col in bad_at:
            sums[f] -= raw[f, row, col]


@njit(cache=True, nogil=True)
def subtract_frames(
    first: int,
    stop: int,
    raw: NDArray[Any],
    valid: NDArray[np.bool_],
    pedestal: FloatFrame,
    gain: FloatFrame,
    bad: BoolFrame,
    bad_at: NDArray[np.int64],
    variance: FloatFrame,
    least: FloatFrame,
    lowest: FloatFrame,
    sigmas: float,
    limit: float,
    frames: NDArray[np.float32],
    totals: FloatArray,
    hot: NDArray[np.int64],
) -> None:
    """Do steps 0 to 3 on every valid frame.

    Fill in their signed totals without hot pixels, and the number of hot pixels of each.
    """
    for f in range(first, stop):
        totals[f], hot[f] = 0, 0
        if not valid[f]:
            frames[f] = 0
            continue
        totals[f] = subtract_and_clip(raw[f], pedestal, gain, bad, bad_at, frames[f])
        if sigmas > 0 or limit < NO_LIMIT:
            removed, hot[f] = replace_hot_pixels(frames[f], variance, least, lowest, sigmas, limit)
            totals[f] -= removed


@njit(cache=True, nogil=True)
def scale_frames(
    first: int,
    stop: int,
    frames: NDArray[np.float32],
    factors: NDArray[np.float32],
    framebg: int,
) -> None:
    """Do steps 4 and 5: normalise every frame and subtract its own background."""
    for f in range(first, stop):
        if factors[f] != 1:
            for row in range(frames.shape[1]):
                for col in range(frames.shape[2]):
                    frames[f, row, col] *= factors[f]
        if framebg > 0:
            subtract_cornice_lines(frames[f], framebg)
