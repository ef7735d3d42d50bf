"""Where each voxel's orientation distribution peaks, compiled."""

from __future__ import annotations

import numpy as np
from numba import prange

from recon3d.compiled import njit


@njit(parallel=True, cache=True, nogil=True)
def local_peaks(volume, columns, shape, axes, reach, moments, peak_bins):  # type: ignore[no-untyped-def]
    """Centre of mass and second moment around the strongest bin of each voxel.

    The lowest value of the window is taken off as background, so that what other voxels smear
    over all bins does not pull the centre to the middle of the window.

    Parameters
    ----------
    volume : (voxels, columns)
        Orientation distributions; all other bins are empty.
    columns : (columns,) of int
        Numbers of the bins that they hold, in C order over `shape`.
    shape : (3,) of int
        Number of bins along a, b and Δθ.
    axes : (3, longest axis)
        Bin centres along each axis.
    reach : int
        Half-width of the window, in bins; 0 gives the strongest bin itself.
    moments : (voxels, 5)
        Filled with the sum in the window, mean a, mean b, mean Δθ, and the root of the summed
        second moments of a and b.
    peak_bins : (voxels,) of int
        Filled with the strongest bin, -1 for a voxel without intensity.
    """
    n_a, n_b, n_t = shape
    # An empty bin reads a zero beyond the last column.
    column_of = np.full(n_a * n_b * n_t, columns.size)
    column_of[columns] = np.arange(columns.size)
    for voxel in prange(volume.shape[0]):
        values = np.zeros(columns.size + 1, volume.dtype)
        values[:-1] = volume[voxel]
        strongest = np.argmax(values)
        if not values[strongest] > 0:
            peak_bins[voxel] = -1
            continue
        peak = columns[strongest]
        peak_bins[voxel] = peak
        i, j, k = peak // (n_b * n_t), peak // n_t % n_b, peak % n_t
        a0, a1 = max(i - reach, 0), min(i + reach + 1, n_a)
        b0, b1 = max(j - reach, 0), min(j + reach + 1, n_b)
        t0, t1 = max(k - reach, 0), min(k + reach + 1, n_t)
        floor = values[strongest]
        if reach == 0:
            floor *= 0
        for a in range(a0, a1):
            for b in range(b0, b1):
                for t in range(t0, t1):
                    floor = min(floor, values[column_of[(a * n_b + b) * n_t + t]])
        total = mean_a = mean_b = mean_t = square = 0.0
        for a in range(a0, a1):
            for b in range(b0, b1):
                for t in range(t0, t1):
                    weight = float(values[column_of[(a * n_b + b) * n_t + t]] - floor)
                    total += weight
                    mean_a += weight * axes[0, a]
                    mean_b += weight * axes[1, b]
                    mean_t += weight * axes[2, t]
                    square += weight * (axes[0, a] ** 2 + axes[1, b] ** 2)
        if not total > 0:
            # A window as flat as its floor has no centre but its strongest bin.
            total, mean_a, mean_b, mean_t = 1.0, axes[0, i], axes[1, j], axes[2, k]
            square = mean_a**2 + mean_b**2
        moments[voxel, 0] = total
        moments[voxel, 1] = mean_a / total
        moments[voxel, 2] = mean_b / total
        moments[voxel, 3] = mean_t / total
        variance = square / total - (mean_a**2 + mean_b**2) / total**2
        moments[voxel, 4] = np.sqrt(max(variance, 0.0))
