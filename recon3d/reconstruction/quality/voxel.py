"""What the frames say of one voxel: its map of tilts, and the frames that lit it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np

from recon3d.errors import DataError
from recon3d.projection.kernels import FloatArray
from recon3d.projection.weights import OrientationBins
from recon3d.reconstruction.model.scan_model import ScanModel, orient
from recon3d.reconstruction.model.scanned import orientation_bins, setting_steps_deg


def voxel_bins(model: ScanModel) -> OrientationBins:
    """Bins of half a step for the distribution of one voxel."""
    return orientation_bins(model, min(setting_steps_deg(model.store)) / 2)


@dataclass(frozen=True, eq=False)
class VoxelEvidence:
    """The frames seen from one voxel."""

    bins: OrientationBins
    # (a, b): backprojected counts of every tilt, divided by how often it was covered
    tilts: FloatArray
    omega_deg: FloatArray  # rotation angles so far
    # (projections, frames) where the voxel falls; NaN where it misses the detector
    counts: FloatArray

    @property
    def mean_deg(self) -> tuple[float, float]:
        """Centre of mass (a, b) of the brighter half of the map; NaN where it is dark."""
        weights = np.maximum(self.tilts - 0.5 * self.tilts.max(), 0)
        total = float(weights.sum())
        if total <= 0:
            return (np.nan, np.nan)
        a = float(weights.sum(axis=1) @ self.bins.a_deg) / total
        return a, float(weights.sum(axis=0) @ self.bins.b_deg) / total


def look_at_voxel(
    model: ScanModel, bins: OrientationBins, point_um: tuple[float, float, float]
) -> Iterator[VoxelEvidence]:
    r"""Backproject the pixels on which one voxel lands, :math:`\sum_ω I_ω W_ω`, step by step.

    `point_um`: centre of the voxel, in sample axes. Yields what the projections so far say; after
    the last one, what all say.
    """
    sums, coverage = np.zeros(bins.size), np.zeros(bins.size)
    counts: list[FloatArray] = []
    omega: list[float] = []
    centres = bins.centres_deg()
    for number in map(int, model.projections):
        weights = model.weights(number, centres)
        counts.append(pixel_counts(model, number, place_of(model, number, point_um)))
        omega.append(model.omega_deg(number))
        sums += np.nan_to_num(counts[-1]) @ weights
        coverage += weights.sum(axis=0)
        # As in the backprojection of a grain: a bin hardly covered is not blown up.
        share = sums / np.maximum(coverage, max(coverage.max() / 2, 1e-9))
        tilts = share.reshape(bins.shape).sum(axis=2)
        yield VoxelEvidence(bins, tilts, np.array(omega), np.stack(counts))


def place_of(
    model: ScanModel, projection: int, point_um: tuple[float, float, float]
) -> tuple[float, float]:
    """Row and column, in oriented images, on which a point of the sample lands."""
    row, col = model.affine(projection) @ (*point_um, 1.0)
    return float(row), float(col)


def pixel_counts(model: ScanModel, projection: int, place: tuple[float, float]) -> FloatArray:
    """Counts of every frame of a projection at a place between pixels, (frames,).

    Only the four pixels around it are read. Those outside the image count as dark; where all
    are, the counts are NaN.
    """
    store = model.store
    rows, cols = store.shape[2:]
    numbers = orient(np.arange(rows * cols, dtype=np.float32).reshape(rows, cols), model.detector)
    corner = np.floor(place).astype(int)
    part = np.asarray(place) - corner
    if not (-1 < place[0] < numbers.shape[0] and -1 < place[1] < numbers.shape[1]):
        return np.full(store.shape[1], np.nan)
    counts = np.zeros(store.shape[1])
    for step in product((0, 1), repeat=2):
        row, col = corner + step
        if not (0 <= row < numbers.shape[0] and 0 <= col < numbers.shape[1]):
            continue
        share = np.prod(np.where(step, part, 1 - part))
        counts += share * store.read_pixel(projection, *divmod(int(numbers[row, col]), cols))
    if not np.isfinite(counts).all():
        raise DataError(f"{store.path}: projection {projection} holds counts that are no numbers")
    return counts
