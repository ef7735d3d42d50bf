"""What one projection's frames say of every pixel: the total, and the mean setting."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import prange
from numpy.typing import ArrayLike, NDArray

from recon3d.compiled import njit
from recon3d.errors import ParameterError

FloatImage = NDArray[np.float64]


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
        Shape (rows, cols), degrees: the intensity-weighted mean setting, NaN where the
        total is not positive.

    Raises
    ------
    ParameterError
        There is not one setting for each frame.
    """
    mu = np.asarray(mu_deg, np.float64)
    gamma = np.asarray(gamma_deg, np.float64)
    if frames.ndim != 3 or mu.shape != frames.shape[:1] or gamma.shape != mu.shape:
        raise ParameterError(
            f"frames of shape {frames.shape} need one μ and one γ each, "
            f"not arrays of shapes {mu.shape} and {gamma.shape}"
        )
    known = np.isfinite(mu) & np.isfinite(gamma)
    total, mean_mu, mean_gamma = _moments(np.ascontiguousarray(frames), mu, gamma, known)
    return total, mean_mu, mean_gamma


@njit(cache=True, parallel=True)
def _moments(
    frames: NDArray[Any], mu: FloatImage, gamma: FloatImage, known: NDArray[np.bool_]
) -> tuple[FloatImage, FloatImage, FloatImage]:
    count, rows, cols = frames.shape
    total = np.zeros((rows, cols))
    mean_mu = np.zeros((rows, cols))
    mean_gamma = np.zeros((rows, cols))
    for row in prange(rows):
        for frame in range(count):
            if not known[frame]:
                continue
            for col in range(cols):
                value = np.float64(frames[frame, row, col])
                total[row, col] += value
                mean_mu[row, col] += value * mu[frame]
                mean_gamma[row, col] += value * gamma[frame]
        for col in range(cols):
            illuminated = total[row, col] > 0
            mean_mu[row, col] = mean_mu[row, col] / total[row, col] if illuminated else np.nan
            mean_gamma[row, col] = mean_gamma[row, col] / total[row, col] if illuminated else np.nan
    return total, mean_mu, mean_gamma
