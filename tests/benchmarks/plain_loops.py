"""The original's loops in plain Python and NumPy, from the description of what they do.

The frame background loops over frames, bands and columns; the backprojection loops over
voxels and projections. Everything inside the innermost loop is a NumPy call or a few numbers.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

FloatArray = NDArray[np.float64]


def clean_frame(
    frame: NDArray[Any], dark: FloatArray, factor: float, framebg: int, binth: float
) -> FloatArray:
    """Dark frame, hot pixels, normalisation, background band by band, mask."""
    counts = np.clip(frame.astype(float) - dark, 0, None)
    median = ndimage.median_filter(counts, 3)
    hot = counts - median > 8 * np.sqrt(median + dark + 1)
    counts = np.where(hot, median, counts) * factor
    counts = subtract_bands(counts, framebg)
    mask = ndimage.binary_fill_holes(counts > binth)
    mask = ndimage.binary_fill_holes(ndimage.binary_closing(mask))
    labels, number = ndimage.label(mask, np.ones((3, 3)))
    for region in range(1, number + 1):
        if np.count_nonzero(labels == region) < 100:
            mask[labels == region] = False
    return np.where(mask, counts, 0)


def subtract_bands(counts: FloatArray, framebg: int) -> FloatArray:
    """A straight line along the rows in every band, column by column, pixel by pixel."""
    rows, cols = counts.shape
    clean = np.zeros_like(counts)
    for start in range(0, cols, framebg):
        stop = min(start + framebg, cols)
        top = counts[:framebg, start:stop].mean()
        bottom = counts[-framebg:, start:stop].mean()
        for col in range(max(start, framebg), min(stop, cols - framebg)):
            for row in range(framebg, rows - framebg):
                share = (row - (framebg - 1) / 2) / (rows - framebg)
                value = counts[row, col] - (top + share * (bottom - top))
                clean[row, col] = max(value, 0.0)
    return clean


def backproject_voxel(
    point: FloatArray,
    omega_deg: FloatArray,
    theta_deg: float,
    magnification: float,
    frames: NDArray[Any],
) -> tuple[FloatArray, float]:
    """Sum over ω of the frames' nearest pixel to a voxel, and its completeness.

    Parameters
    ----------
    point, shape (3,)
        Its centre in µm.
    omega_deg, shape (projections,)
        Rotation angles.
    theta_deg, magnification
        Bragg angle, and pixels per µm.
    frames, shape (projections, frames, rows, cols)
        Cleaned frames.
    """
    rows, cols = frames.shape[2:]
    x, y, z = point
    tilt = np.radians(-theta_deg)
    total = np.zeros(frames.shape[1])
    places = []
    for k in range(len(omega_deg)):
        omega = np.radians(omega_deg[k])
        turned = np.array(
            [[np.cos(omega), 0, np.sin(omega)], [0, 1, 0], [-np.sin(omega), 0, np.cos(omega)]]
        ).dot([x, y, z])
        row = -magnification * (np.sin(tilt) * turned[0] + np.cos(tilt) * turned[1])
        row = int(np.floor(row + (rows - 1) / 2 + 0.5))
        col = int(np.floor(-magnification * turned[2] + (cols - 1) / 2 + 0.5))
        if 0 <= row < rows and 0 <= col < cols:
            total += frames[k, :, row, col]
            places.append((k, row, col))
    best = int(np.argmax(total))
    illuminated = 0
    for k, row, col in places:
        if frames[k, best, row, col] > 0:
            illuminated += 1
    return total, illuminated / max(len(places), 1)
