"""The loops over the pixels of one projection's frames, compiled.

What takes `start` and `stop` works on the rows between, for `in_parts`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from recon3d.runtime.compiled import njit

FloatArray = NDArray[np.float64]

MOST_PEAKS = 4
"""Peaks of a pixel that are kept, the strongest first."""

_BLOCK = 128
"""Frames whose rows are held at once, and summed in single precision."""


@njit(cache=True, nogil=True)
def means(
    start: int,
    stop: int,
    frames: NDArray[Any],
    known: NDArray[np.int64],
    weights: NDArray[Any],
    middle_mu: float,
    middle_gamma: float,
    total: FloatArray,
    mean_mu: FloatArray,
    mean_gamma: FloatArray,
) -> None:
    """Fill in total and means, by weights of shape (3, frames): 1, μ and γ from their middle."""
    cols = frames.shape[2]
    for row in range(start, stop):
        counts = np.empty((min(len(known), _BLOCK), cols), weights.dtype)
        sums = np.zeros((3, cols))
        for first in range(0, len(known), _BLOCK):
            block = known[first : first + _BLOCK]
            part = np.zeros((3, cols), weights.dtype)
            read_row(frames, block, row, 0.0, counts)
            accumulate(counts[: len(block)], weights[:, first : first + _BLOCK], part)
            for term in range(3):
                for col in range(cols):
                    sums[term, col] += part[term, col]
        for col in range(cols):
            total[row, col] = sums[0, col]
            share = 1 / total[row, col] if total[row, col] > 0 else np.nan
            mean_mu[row, col] = middle_mu + sums[1, col] * share
            mean_gamma[row, col] = middle_gamma + sums[2, col] * share


@njit(cache=True, nogil=True)
def maps(
    start: int,
    stop: int,
    frames: NDArray[Any],
    known: NDArray[np.int64],
    settings: FloatArray,
    middle: FloatArray,
    scale: FloatArray,
    powers: FloatArray,
    powers_of_places: FloatArray,
    products: FloatArray,
    places: NDArray[np.int64],
    sizes: NDArray[np.int64],
    neighbours: NDArray[np.int64],
    background: float,
    peak_share: float,
    peaks: bool,
    total: FloatArray,
    moments: FloatArray,
    covariance: FloatArray,
    amplitude: FloatArray,
    count: NDArray[np.int64],
    peak_setting: FloatArray,
    share: FloatArray,
) -> None:
    """Fill in total, (mean, skewness, kurtosis), covariance, highest points of curves, and peaks.

    Peaks that there are not stay as they are.
    """
    cols, axes = frames.shape[2], len(sizes)
    for row in range(start, stop):
        counts = np.empty((len(known), cols))
        read_row(frames, known, row, background, counts)
        mixed = np.zeros((len(products), cols))
        accumulate(counts, products, mixed)
        sums = np.zeros((axes, 5, cols))
        for axis in range(axes):
            curve = _curve(counts, places[axis], sizes[axis])
            # Where all frames of a place share one setting the curve tells what its frames do.
            if np.isnan(powers_of_places[axis, 1, 0]):
                accumulate(counts, powers[axis], sums[axis])
            else:
                accumulate(curve, powers_of_places[axis], sums[axis])
            _highest(curve, sums[axis, 0], amplitude[row, :, axis])
        for col in range(cols):  # an assignment of arrays takes 4 s to compile
            total[row, col] = sums[0, 0, col]
        _standardise(sums, mixed, middle, scale, moments[:, row], covariance[row])
        if peaks:
            _peaks_of_row(
                counts, settings, neighbours, peak_share, total[row], count[row], peak_setting[row],
                share[row],
            )  # fmt: skip


@njit(cache=True)
def _standardise(
    sums: FloatArray,
    mixed: FloatArray,
    middle: FloatArray,
    scale: FloatArray,
    moments: FloatArray,
    covariance: FloatArray,
) -> None:
    """Mean, skewness, kurtosis (3, cols, axes) and covariance from sums over the frames.

    `sums`, (axes, 5, cols): of the powers of an axis; `mixed`, (pairs, cols): of its products with
    the axes after it.
    """
    axes = moments.shape[2]
    for col in range(sums.shape[2]):
        share = 1 / sums[0, 0, col] if sums[0, 0, col] > 0 else np.nan
        for axis in range(axes):
            m1, m2, m3, m4 = (
                sums[axis, 1, col] * share,
                sums[axis, 2, col] * share,
                sums[axis, 3, col] * share,
                sums[axis, 4, col] * share,
            )
            variance = m2 - m1 * m1
            covariance[col, axis, axis] = variance * scale[axis] ** 2
            # A pixel that is lit at one setting only has no width, but rounding.
            narrow = 1 / variance if variance > 1e-12 else np.nan
            third = m3 - 3 * m1 * m2 + 2 * m1**3
            fourth = m4 - 4 * m1 * m3 + 6 * m1**2 * m2 - 3 * m1**4
            moments[0, col, axis] = middle[axis] + scale[axis] * m1
            moments[1, col, axis] = third * narrow * np.sqrt(narrow)
            moments[2, col, axis] = fourth * narrow**2 - 3
        pair = 0
        for axis in range(axes):
            for other in range(axis + 1, axes):
                product = mixed[pair, col] * share
                product -= sums[axis, 1, col] * sums[other, 1, col] * share**2
                product *= scale[axis] * scale[other]
                covariance[col, axis, other] = covariance[col, other, axis] = product
                pair += 1


@njit(cache=True)
def _curve(counts: FloatArray, places: NDArray[np.int64], size: int) -> FloatArray:
    """The curve of each pixel along an axis, (size, cols), summed over the other axes."""
    curve = np.zeros((size, counts.shape[1]))
    for frame in range(len(counts)):
        line, more = curve[places[frame]], counts[frame]
        for col in range(len(line)):
            line[col] += more[col]
    return curve


@njit(cache=True)
def _highest(curve: FloatArray, total: FloatArray, highest: FloatArray) -> None:
    """The highest point of the curve of each pixel; NaN where it is dark."""
    top = curve[0].copy()
    for place in range(1, len(curve)):
        for col in range(len(top)):
            top[col] = max(top[col], curve[place, col])
    for col in range(len(top)):
        highest[col] = top[col] if total[col] > 0 else np.nan


@njit(cache=True)
def _peaks_of_row(
    counts: FloatArray,
    settings: FloatArray,
    neighbours: NDArray[np.int64],
    peak_share: float,
    total: FloatArray,
    number: NDArray[np.int64],
    setting_out: FloatArray,
    share_out: FloatArray,
) -> None:
    """Find the peaks of a row's pixels: settings that hold, with those beside them, the most."""
    cols = counts.shape[1]
    held, limit = counts.copy(), np.zeros(cols)
    for frame in range(len(counts)):
        line = held[frame]
        for other in neighbours[frame]:
            if other >= 0:
                more = counts[other]
                for col in range(cols):
                    line[col] += more[col]
        for col in range(cols):
            limit[col] = max(limit[col], peak_share * line[col])
    for col in range(cols):
        limit[col] = max(limit[col], 5e-324)  # what is dark has no peak
    before, after = np.empty(cols), np.empty(cols)
    strongest = np.full((MOST_PEAKS, cols), -1)
    for frame in range(len(counts)):
        # Of equals beside each other the first one counts.
        for col in range(cols):
            before[col], after[col] = -1, limit[col]
        for other in neighbours[frame]:
            if other >= 0:
                highest, near = before if other < frame else after, held[other]
                for col in range(cols):
                    highest[col] = max(highest[col], near[col])
        line = held[frame]
        for col in range(cols):
            if line[col] > before[col] and line[col] >= after[col]:
                number[col] = min(number[col] + 1, MOST_PEAKS)
                _rank(frame, held, strongest, col)
    for col in range(cols):
        for place in range(number[col]):
            frame = strongest[place, col]
            share_out[col, place] = held[frame, col] / total[col]
            for axis in range(len(settings)):
                moment = counts[frame, col] * settings[axis, frame]
                for other in neighbours[frame]:
                    if other >= 0:
                        moment += counts[other, col] * settings[axis, other]
                setting_out[col, place, axis] = moment / held[frame, col]


@njit(cache=True)
def _rank(frame: int, held: FloatArray, strongest: NDArray[np.int64], col: int) -> None:
    """Put a peak among the strongest of its pixel, (peaks, cols), -1 where there are fewer."""
    place = MOST_PEAKS
    while place > 0:
        other = strongest[place - 1, col]
        if other >= 0 and held[other, col] >= held[frame, col]:
            break
        place -= 1
        if place < MOST_PEAKS - 1:
            strongest[place + 1, col] = other
    if place < MOST_PEAKS:
        strongest[place, col] = frame


@njit(cache=True)
def read_row(
    frames: NDArray[Any],
    known: NDArray[np.int64],
    row: int,
    background: float,
    counts: NDArray[Any],
) -> None:
    """Copy one row of some frames into (frames, cols), less the background and not below 0."""
    for i in range(len(known)):
        line = frames[known[i], row]
        if background == 0:
            for col in range(len(line)):
                counts[i, col] = line[col]
        else:
            for col in range(len(line)):
                counts[i, col] = max(line[col] - background, 0.0)


@njit(cache=True, fastmath={"reassoc", "contract"})
def accumulate(counts: NDArray[Any], weights: NDArray[Any], sums: NDArray[Any]) -> None:
    """Add the frames of a row, (frames, cols), by every row of weights, to (terms, cols).

    Four frames at a time: a sum is loaded and stored once for all of them.
    """
    frames, cols = counts.shape
    whole = frames - frames % 4
    for first in range(0, whole, 4):
        a, b, c, d = counts[first], counts[first + 1], counts[first + 2], counts[first + 3]
        for term in range(len(weights)):
            w = weights[term, first : first + 4]
            wa, wb, wc, wd = w[0], w[1], w[2], w[3]
            line = sums[term]
            for col in range(cols):
                line[col] += (a[col] * wa + b[col] * wb) + (c[col] * wc + d[col] * wd)
    for frame in range(whole, frames):
        for term in range(len(weights)):
            for col in range(cols):
                sums[term, col] += counts[frame, col] * weights[term, frame]
