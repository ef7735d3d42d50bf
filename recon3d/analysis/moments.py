"""Total and mean setting of every pixel over the frames of one projection."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import prange
from numpy.typing import ArrayLike, NDArray

from recon3d.arguments import checked
from recon3d.runtime.compiled import njit

FloatImage = NDArray[np.float64]

_BLOCK = 128
"""Frames whose rows are held at once, and summed in single precision."""


@checked(frames="(frames, rows, cols)", mu_deg="(frames)", gamma_deg="(frames)")
def projection_moments(
    frames: NDArray[Any], mu_deg: ArrayLike, gamma_deg: ArrayLike
) -> tuple[FloatImage, FloatImage, FloatImage]:
    """Sum of the frames, and each pixel's centre of mass over their settings.

    Parameters
    ----------
    frames
        Shape (frames, rows, cols): the frames of one projection, zero where nothing is lit.
    mu_deg, gamma_deg
        Shape (frames,): the setting of each frame in degrees; where it is NaN the frame
        is left out.

    Returns
    -------
    total
        Shape (rows, cols): the sum over the frames, in their counts.
    mean_mu, mean_gamma
        Shape (rows, cols), degrees: the intensity-weighted mean setting, to some 1e-7 of the
        range of settings; NaN where the total is not positive.

    Raises
    ------
    ParameterError
        There is not one setting for each frame.
    """
    mu = np.asarray(mu_deg, np.float64)
    gamma = np.asarray(gamma_deg, np.float64)
    known = np.flatnonzero(np.isfinite(mu) & np.isfinite(gamma))
    if not known.size:
        dark = np.full(frames.shape[1:], np.nan)
        return np.zeros(frames.shape[1:]), dark, dark.copy()
    middle = mu[known].mean(), gamma[known].mean()
    # Single precision is enough where settings count from their middle; weights set it.
    weights = np.stack([np.ones(known.size), mu[known] - middle[0], gamma[known] - middle[1]])
    single = np.can_cast(frames.dtype, np.float32) or frames.dtype.itemsize <= 4
    weights = weights.astype(np.float32 if single else np.float64)
    return _means(np.ascontiguousarray(frames), known, weights, *middle)


def illuminated(total: NDArray[Any], share: float = 0.05) -> NDArray[np.bool_]:
    """Pixels above a share of the bright ones, (rows, cols): what is worth a colour.

    Bright are the counts that 99.8 % of the lit pixels stay below.
    """
    lit = total[total > 0]
    return total > (share * np.percentile(lit, 99.8) if lit.size else 0)


@njit(cache=True, parallel=True)
def _means(
    frames: NDArray[Any],
    known: NDArray[np.int64],
    weights: NDArray[Any],
    middle_mu: float,
    middle_gamma: float,
) -> tuple[FloatImage, FloatImage, FloatImage]:
    """Total and means, from weights of shape (3, frames): 1, μ and γ from their middle."""
    _, rows, cols = frames.shape
    total = np.empty((rows, cols))
    mean_mu, mean_gamma = np.empty_like(total), np.empty_like(total)
    for row in prange(rows):
        counts = np.empty((min(len(known), _BLOCK), cols), weights.dtype)
        sums = np.zeros((3, cols))
        for first in range(0, len(known), _BLOCK):
            block = known[first : first + _BLOCK]
            part = np.zeros((3, cols), weights.dtype)
            read_row(frames, block, row, 0.0, counts)
            accumulate(counts[: len(block)], weights[:, first : first + _BLOCK], part)
            sums += part
        for col in range(cols):
            total[row, col] = sums[0, col]
            share = 1 / total[row, col] if total[row, col] > 0 else np.nan
            mean_mu[row, col] = middle_mu + sums[1, col] * share
            mean_gamma[row, col] = middle_gamma + sums[2, col] * share
    return total, mean_mu, mean_gamma


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
