"""What the frames say of a single voxel: its own orientation distribution."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np
from numpy.typing import NDArray

from recon3d.errors import DataError
from recon3d.io import store_format as layout
from recon3d.projection.bins import OrientationBins
from recon3d.reconstruction.binning import orientation_bins
from recon3d.reconstruction.model import ScanModel, orient, setting_steps_deg

FloatArray = NDArray[np.float64]


def voxel_bins(model: ScanModel) -> OrientationBins:
    """Bins of half a step for the distribution of one voxel.

    Parameters
    ----------
    model
        The scan.
    """
    return orientation_bins(model, min(setting_steps_deg(model.store)) / 2)


def voxel_distribution(
    model: ScanModel, bins: OrientationBins, point_um: tuple[float, float, float]
) -> Iterator[FloatArray]:
    r"""Backproject the pixels on which one voxel lands, :math:`\sum_ω I_ω W_ω`, step by step.

    Parameters
    ----------
    model
        The scan.
    bins
        The orientation bins.
    point_um
        Centre of the voxel.

    Yields
    ------
    distribution, shape (bins of a, bins of b)
        What the projections so far say, 1 at its maximum; after the last one, what all say.
    """
    sums, coverage = np.zeros(bins.size), np.zeros(bins.size)
    for number in map(int, model.projections):
        weights = model.weights(number, bins)
        sums += pixel_counts(model, number, place_of(model, number, point_um)) @ weights
        coverage += weights.sum(axis=0)
        share = sums / np.maximum(coverage, max(coverage.max() / 2, 1e-9))
        shown = share.reshape(bins.shape).sum(axis=2)
        yield shown / max(shown.max(), 1e-30)


def place_of(
    model: ScanModel, projection: int, point_um: tuple[float, float, float]
) -> tuple[float, float]:
    """Row and column, in oriented images, on which a point of the sample lands."""
    row, col = model.affine(projection) @ (*point_um, 1.0)
    return float(row), float(col)


def pixel_counts(model: ScanModel, projection: int, place: tuple[float, float]) -> FloatArray:
    """Counts of every frame of a projection at a place between pixels, (frames,).

    Only the four pixels around it are read, and what lies outside the image counts as dark.

    Parameters
    ----------
    model
        The scan.
    projection
        Which projection.
    place
        Row and column in oriented images.
    """
    store = model.store
    rows, cols = store.shape[2:]
    numbers = orient(np.arange(rows * cols, dtype=np.float32).reshape(rows, cols), model.detector)
    corner = np.floor(place).astype(int)
    part = np.asarray(place) - corner
    counts = np.zeros(store.shape[1])
    with layout.opened(store.path) as file:
        frames = file["entry/data/frames"]
        for step in product((0, 1), repeat=2):
            row, col = corner + step
            if not (0 <= row < numbers.shape[0] and 0 <= col < numbers.shape[1]):
                continue
            raw_row, raw_col = divmod(int(numbers[row, col]), cols)
            share = np.prod(np.where(step, part, 1 - part))
            counts += share * frames[projection, :, raw_row, raw_col]
    if not np.isfinite(counts).all():
        raise DataError(f"{store.path}: projection {projection} holds counts that are no numbers")
    return counts
