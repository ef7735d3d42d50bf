"""A small scan in memory: a ball whose orientation grows along one axis."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from recon3d.geometry import ProjectionGeometry
from recon3d.projection.operator import IlluminatedPixels, Projector
from recon3d.reconstruction.model.scan_model import IlluminatedFrames
from recon3d.runtime.communicator import ALONE

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class MemoryScan:
    """Frames of every projection, and a weight of 1 for each frame's own share of the bins."""

    omega_deg: FloatArray
    geometry: ProjectionGeometry
    images: NDArray[np.float32]

    communicator = ALONE
    suspected: frozenset[int] = frozenset()
    unknown = None

    @property
    def store(self) -> MemoryScan:
        """What stands for the file."""
        return self

    @property
    def shape(self) -> tuple[int, ...]:
        """Projections, frames, rows, columns."""
        return self.images.shape

    @property
    def image_shape(self) -> tuple[int, ...]:
        """Rows and columns."""
        return self.images.shape[2:]

    @property
    def own(self) -> NDArray[np.int64]:
        """Numbers of the projections, all of them this process's."""
        return self.projections

    @property
    def projections(self) -> NDArray[np.int64]:
        """Numbers of the projections."""
        return np.arange(len(self.omega_deg))

    def affine(self, projection: int) -> FloatArray:
        """Map from sample to detector."""
        return self.geometry.affine(float(self.omega_deg[projection]))

    def illuminated_frames(self, projection: int) -> IlluminatedFrames:
        """Measured frames, those that are dark all over left out."""
        numbers = np.flatnonzero(self.illuminated[projection])
        frames = self.images[projection]
        kept = frames if numbers.size == len(frames) else frames[numbers]
        return IlluminatedFrames(numbers, kept)

    @cached_property
    def illuminated(self) -> NDArray[np.bool_]:
        """Which frames are not dark all over, (projections, frames)."""
        return self.images.any(axis=(2, 3))

    def weights(self, projection: int, bins: FloatArray) -> NDArray[np.float32]:  # noqa: ARG002
        """Each frame shows a stretch of the bins and a little of its neighbours."""
        return _weights(self.images.shape[1], bins.shape[1])

    def total_counts(self) -> float:
        """Sum of all frames."""
        return float(self.images.sum())


@lru_cache
def _weights(frames: int, bins: int) -> NDArray[np.float32]:
    if frames == 1:
        return np.ones((1, bins), np.float32)
    of_bin = np.linspace(0, frames - 1, bins)
    weights = np.exp(-0.5 * (np.arange(frames)[:, None] - of_bin) ** 2).astype(np.float32)
    # A scan has no numbers next to nothing (1e-40), at which a processor stumbles.
    return np.where(weights > 1e-6, weights, np.float32(0))


def ball_points(across: int, radius_um: float) -> FloatArray:
    """Voxels of a cube of some width whose centres lie in a ball."""
    axis = (np.arange(across) - (across - 1) / 2) * 2 * radius_um / across
    y, x, z = np.meshgrid(axis, axis, axis, indexing="ij")  # layer by layer, as a task has them
    grid = np.stack([x, y, z], axis=-1).reshape(-1, 3)
    return grid[np.linalg.norm(grid, axis=1) < radius_um]


def ball_scan(
    points_um: FloatArray, projections: int, frames: int, size: int, radius_um: float
) -> MemoryScan:
    """Project the ball into frames of `size` x `size` pixels, each frame a slice of it."""
    magnification = 0.42 * size / radius_um
    middle = (size - 1) / 2
    geometry = ProjectionGeometry(10.0, magnification, middle, middle)
    omega_deg = 180 * np.arange(projections) / projections
    projector, pixels = (
        Projector(points_um),
        IlluminatedPixels.from_mask(np.ones((size, size), bool)),
    )
    of_frame = np.clip((points_um[:, 0] / radius_um + 1) / 2 * frames, 0, frames - 1).astype(int)
    volume = np.zeros((len(points_um), frames), np.float32)
    # In the frame after its own as well, so that no frame is dark where voxels are fewer.
    for step, counts in ((1, 50), (0, 100)):
        volume[np.arange(len(points_um)), np.minimum(of_frame + step, frames - 1)] = counts
    images = np.zeros((projections, frames, size, size), np.float32)
    for k, omega in enumerate(omega_deg):
        flat = projector.forward(volume, geometry.affine(float(omega)), pixels)[:-1]
        images[k] = flat.T.reshape(frames, size, size)
    return MemoryScan(omega_deg, geometry, images)
