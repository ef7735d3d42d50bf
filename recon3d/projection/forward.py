r"""The operator A of one projection: from orientation distributions to frames, and back.

.. math::
    I_ω[pixel, frame] = \sum_{bin} (P_ω f)[pixel, bin] \, W_ω[frame, bin]
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recon3d.projection.kernels.footprint import AnyFloats
from recon3d.projection.operator import IlluminatedPixels, Projector, spread

FloatArray = NDArray[np.float64]

MOST_BYTES = 1 << 28
"""Memory that the images of the orientation bins may take at a time."""


@dataclass(frozen=True)
class FrameOperator:
    """A of one projection, on the voxels of a support and the pixels that matter.

    `forward` and `adjoint` are exact transposes of each other.

    Parameters
    ----------
    projector
        The voxels.
    affine, shape (2, 4)
        Map from sample to detector at ω.
    pixels
        The pixels.
    weights, shape (frames, bins)
        How strongly each orientation bin shows in each frame.
    """

    projector: Projector
    affine: FloatArray
    pixels: IlluminatedPixels
    weights: AnyFloats

    def forward(self, volume: AnyFloats) -> AnyFloats:
        """Predict the frames, (pixels + 1, frames), of distributions f, (voxels, bins).

        The last row, which stands for all other pixels, is zero.
        """
        points = np.zeros((self.pixels.count + 1, len(self.weights)), self.weights.dtype)
        for bins in self._parts():
            weights = self.weights[:, bins]
            room = self._images_of(weights.shape[1], volume.dtype)
            images = self.projector.forward(volume, self.affine, self.pixels, bins, room)
            points += images @ weights.T
        return spread(points, self.pixels, *self.projector.footprint(self.affine))

    def adjoint(self, frames: AnyFloats, out: AnyFloats) -> None:
        """Add the backprojection of frames, (pixels + 1, frames), to distributions in place."""
        images = spread(frames, self.pixels, *self.projector.footprint(self.affine))
        for bins in self._parts():
            weights = self.weights[:, bins]
            room = self._images_of(weights.shape[1], np.result_type(images, weights))
            np.matmul(images, weights, out=room)
            self.projector.adjoint(room, self.affine, self.pixels, out, bins)

    def _images_of(self, bins: int, dtype: np.dtype[Any]) -> AnyFloats:
        """Room for the images of some bins, (pixels + 1, bins)."""
        return self.projector.lend(self.pixels.count + 1, bins, dtype)

    def _parts(self) -> Iterator[slice]:
        """All bins, as many at a time as there is memory for their images."""
        at_a_time = max(MOST_BYTES // (4 * (self.pixels.count + 1)), 1)
        for first in range(0, self.weights.shape[1], at_a_time):
            yield slice(first, first + at_a_time)

    def lengths(self) -> AnyFloats:
        """What each pixel would see of a volume of ones in one bin: (pixels + 1, 1)."""
        ones = np.ones((len(self.projector.points_um), 1), self.weights.dtype)
        images = self.projector.forward(ones, self.affine, self.pixels)
        return spread(images, self.pixels, *self.projector.footprint(self.affine))

    def explicit(self) -> FloatArray:
        """The matrix itself, (pixels · frames, voxels · bins), for a look at a tiny problem."""
        shape = len(self.projector.points_um), self.weights.shape[1]
        columns = []
        for index in range(shape[0] * shape[1]):
            unit = np.zeros(shape)
            unit.flat[index] = 1
            columns.append(self.forward(unit)[:-1].ravel())
        return np.stack(columns, axis=1)
