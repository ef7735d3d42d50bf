"""What the geometry alone says of each projection, kept from pass to pass."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from recon3d.projection.forward import FrameOperator
from recon3d.projection.operator import LitPixels, Projector
from recon3d.reconstruction.model import Predictable

Frames = NDArray[np.float32]

MOST_BYTES = 1 << 28
"""Memory that may be taken; what does not fit is found anew in every pass."""

LEAST_LENGTH = 0.1
"""Share of the longest path that a pixel is taken to see at least: one at the rim, which hardly
any voxel reaches, must not be blown up."""


class Shadows:
    """The pixels on which the voxels of a support fall, and how much of it each of them sees.

    Parameters
    ----------
    model
        The scan; its geometry must not change.
    projector
        The voxels.
    most_bytes
        Memory that may be taken.
    """

    def __init__(
        self, model: Predictable, projector: Projector, most_bytes: int = MOST_BYTES
    ) -> None:
        self._model, self._projector = model, projector
        self._room = most_bytes
        self._pixels: dict[int, LitPixels] = {}
        self._lengths: dict[int, Frames] = {}

    def pixels(self, projection: int, frames: Frames) -> LitPixels:
        """Choose the pixels of a projection on which any voxel falls; no parallel kernel."""
        if projection in self._pixels:
            return self._pixels[projection]
        affine = self._model.affine(projection)
        found = LitPixels.from_mask(self._projector.shadow(affine, frames.shape[1:]))
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
