"""What the frames say of one voxel: its map of tilts, and the frames that lit it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recon3d.projection.bins import OrientationBins
from recon3d.projection.operator import LitPixels, Projector
from recon3d.reconstruction.model import ScanModel

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class VoxelEvidence:
    """The frames seen from one voxel.

    Parameters
    ----------
    bins
        The orientation bins.
    tilts, shape (a, b)
        Backprojected counts of every tilt, divided by how often it was covered.
    omega_deg, shape (projections,)
        Rotation angles so far.
    counts, shape (projections, frames)
        Counts where the voxel falls, in every frame; NaN where it misses the detector.
    """

    bins: OrientationBins
    tilts: NDArray[np.float32]
    omega_deg: FloatArray
    counts: NDArray[np.float32]

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
    r"""Backproject the frames into one point, :math:`\sum_ω P_ω^T I_ω W_ω`.

    Parameters
    ----------
    model
        The scan.
    bins
        The orientation bins.
    point_um
        Where the voxel sits, in sample axes.

    Yields
    ------
    evidence
        What is known after every projection; the last one is of the whole scan.
    """
    point = np.array([point_um], float)
    projector = Projector(point)
    volume = np.zeros((1, bins.size), np.float32)
    coverage = np.zeros(bins.size)
    omega: list[float] = []
    counts: list[NDArray[np.float32]] = []
    for k in model.projections:
        frames = model.frames(int(k))
        affine = model.affine(int(k))
        pixels = LitPixels.from_mask(np.any(frames > 0, axis=0))
        images = pixels.gather(frames)
        weights = model.weights(int(k), bins)
        coverage += weights.sum(axis=0)
        projector.adjoint(images @ weights, affine, pixels, volume)
        omega.append(model.omega_deg(int(k)))
        counts.append(_at(frames, affine @ np.append(point[0], 1.0)))
        # As in the backprojection of a grain: a bin hardly covered is not blown up.
        scale = np.maximum(coverage, coverage.max() / 2)
        tilts = (volume[0] / scale).reshape(bins.shape).sum(axis=2)
        yield VoxelEvidence(bins, tilts.astype(np.float32), np.array(omega), np.stack(counts))


def _at(frames: NDArray[np.float32], place: FloatArray) -> NDArray[np.float32]:
    """Counts of all frames at the pixel nearest to a place."""
    row, col = (int(np.floor(value + 0.5)) for value in place)
    if not (0 <= row < frames.shape[1] and 0 <= col < frames.shape[2]):
        return np.full(len(frames), np.nan, np.float32)
    return frames[:, row, col]
