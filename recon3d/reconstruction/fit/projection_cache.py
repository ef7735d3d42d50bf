"""What a fit needs of each projection, kept from pass to pass as far as there is room for it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from recon3d.projection.bins import Orientations
from recon3d.projection.forward import FrameOperator
from recon3d.projection.operator import IlluminatedPixels, Projector
from recon3d.reconstruction.model.scan_model import Predictable
from recon3d.reconstruction.model.streaming import ProjectionImages, take_pixels

Frames = NDArray[np.float32]

MOST_BYTES = 1 << 28
"""Memory that may be taken; what does not fit is found anew in every pass."""

MOST_IMAGE_BYTES = 1 << 28
"""Memory that the frames of all projections may take, or none of them are kept."""

LEAST_LENGTH = 0.1
"""Share of the longest path that a pixel is taken to see at least: one at the rim, which hardly
any voxel reaches, must not be blown up."""


class ProjectionCache:
    """The pixels on which the voxels of a support fall, and how much of it each of them sees.

    Parameters
    ----------
    model
        The scan; its geometry must not change.
    projector
        The voxels.
    bins
        The orientations that voxels may have.
    projections
        How many projections are asked for in a pass.
    most_bytes
        Memory that may be taken.
    """

    def __init__(
        self,
        model: Predictable,
        projector: Projector,
        bins: Orientations,
        projections: int,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        self._model, self._projector, self._bins = model, projector, bins
        self._projections, self._room = projections, most_bytes
        self._images: dict[int, ProjectionImages] = {}
        self._pixels: dict[int, IlluminatedPixels] = {}
        self._lengths: dict[int, Frames] = {}

    def read(self, projection: int) -> ProjectionImages:
        """The frames of a projection where any voxel falls; no parallel kernel."""
        if projection in self._images:
            return self._images[projection]
        illuminated = self._model.illuminated_frames(projection)
        pixels = self.pixels(projection, illuminated.frames.shape[1:])
        reached = np.any(self._model.weights(projection, self._bins), axis=1)
        found = take_pixels(projection, illuminated, pixels, reached)
        # A pass asks for all of them in turn: to keep a few of many would gain little.
        if found.images.nbytes * self._projections <= MOST_IMAGE_BYTES:
            self._images[projection] = found
        return found

    def pixels(self, projection: int, shape: tuple[int, ...]) -> IlluminatedPixels:
        """Choose the pixels of a projection on which any voxel falls; no parallel kernel."""
        if projection in self._pixels:
            return self._pixels[projection]
        affine = self._model.affine(projection)
        found = IlluminatedPixels.from_mask(self._projector.covered_pixels(affine, shape))
        # Its image, and about as much again for the places of the pixels and their lengths.
        if self._take(found.lookup.nbytes + 32 * found.count):
            self._pixels[projection] = found
        return found

    def lengths(self, operator: FrameOperator, projection: int) -> Frames:
        """How much of the support each pixel of a projection sees, (pixels + 1, 1), above zero."""
        if projection in self._lengths:
            return self._lengths[projection]
        found = operator.lengths().astype(np.float32)
        np.maximum(found, LEAST_LENGTH * found.max(), out=found)
        if projection in self._pixels:
            self._lengths[projection] = found
        return found

    def _take(self, size: int) -> bool:
        """Whether there is room for so many bytes, which are then taken."""
        if size > self._room:
            return False
        self._room -= size
        return True
