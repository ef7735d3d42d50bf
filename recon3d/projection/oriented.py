"""Voxels of one orientation each, and the frames that they predict."""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray

from recon3d.projection.bins import OrientationList
from recon3d.projection.kernels.oriented import mark_reached, project_oriented, visible_share
from recon3d.projection.operator import IlluminatedPixels, Projector, spread

FloatArray = NDArray[np.float64]
Frames = NDArray[np.float32]
ScaledSettings = tuple[FloatArray, FloatArray]


@dataclass(frozen=True)
class OrientedVoxels:
    """Voxels that have one orientation each: far less than a distribution, and far stiffer.

    The settings, as `scaled_settings` gives them for these orientations, say which frames of a
    projection each voxel lights.

    Parameters
    ----------
    projector
        The voxels.
    orientations
        Their orientations.
    intensity, shape (voxels,)
        How much they scatter.
    """

    projector: Projector
    orientations: OrientationList
    intensity: FloatArray

    def frames(
        self, settings: ScaledSettings, affine: FloatArray, pixels: IlluminatedPixels
    ) -> Frames:
        """Predict the frames of a projection: (pixels + 1, frames), the last row zero.

        Parameters
        ----------
        settings
            Of the frames and of the voxels, in widths of the instrument.
        affine, shape (2, 4)
            Map from sample to detector at ω.
        pixels
            The pixels to fill.
        """
        of_frames, of_voxels = settings
        images = np.zeros((pixels.count + 1, len(of_frames)), np.float32)
        where = (self.projector.points_um, affine, pixels.lookup)
        lanes = numba.get_num_threads()
        project_oriented(images, self.intensity, of_voxels, of_frames, *where, lanes)
        images[-1] = 0
        return spread(images, pixels, *self.projector.footprint(affine))

    def reached(self, settings: ScaledSettings) -> NDArray[np.bool_]:
        """Frames, of those of a projection, that the voxels may light; no parallel kernel."""
        of_frames, of_voxels = settings
        reached = np.zeros(len(of_frames), bool)
        mark_reached(reached, of_voxels, of_frames)
        return reached

    def summed(
        self, settings: ScaledSettings, affine: FloatArray, shape: tuple[int, ...]
    ) -> Frames:
        """Predict the sum of the frames of a projection: an image (rows, cols); see `frames`."""
        of_frames, of_voxels = settings
        share = np.empty(len(of_voxels))
        visible_share(share, of_voxels, of_frames)
        return self.projector.image((share * self.intensity).astype(np.float32), affine, shape)
