"""The instrument's widths, found from the data."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from recon3d.projection.kernels import NO_PIXELS, Frames, compare, illuminated_products
from recon3d.projection.operator import IlluminatedPixels
from recon3d.projection.oriented_voxels import OrientedVoxels, ScaledSettings
from recon3d.projection.weights import Acceptance
from recon3d.reconstruction.fit.projection_cache import ProjectionImages, take_pixels
from recon3d.reconstruction.model.scan_model import ScanModel
from recon3d.reconstruction.model.scanned import threshold_of

logger = logging.getLogger(__name__)

TRIAL_PROJECTIONS = 8
FACTORS = (1.3, 1.1, 1.03)
"""How much of the data a trial sees, and by which factors the widths are varied in turn."""


def estimate_widths(model: ScanModel, voxels: OrientedVoxels, free: tuple[str, ...]) -> Acceptance:
    """Find the widths with which voxels of one orientation each predict the frames best.

    Distributions would make up for whatever a width lacks by spreading. Where the grain's voxels
    truly spread, the widths hold their mean spread too. `free`: the names of those to be found.
    """
    trial = model.thinned(TRIAL_PROJECTIONS)

    @cache
    def residual(acceptance: Acceptance) -> float:
        return unexplained(replace(trial, acceptance=acceptance), voxels)

    best = model.acceptance
    for factor in FACTORS:
        for name in free:
            best = descend(residual, best, name, factor)
    logger.info("%s", ", ".join(f"{name[:-4]} {getattr(best, name):.4f}°" for name in free))
    return best


def unexplained(model: ScanModel, voxels: OrientedVoxels) -> float:
    """Share of the frames' squared intensity that the voxels, scaled to them, leave."""
    total = np.zeros(2)
    for number in map(int, model.own):
        images, settings = frames_reached(model, voxels, number)
        total += differences(model, voxels, images, settings)[1]
    model.communicator.sum(total)
    return float(total[0] / total[1])


def differences(
    model: ScanModel, voxels: OrientedVoxels, images: ProjectionImages, settings: ScaledSettings
) -> tuple[NDArray[np.float32], NDArray[np.float64], np.float32]:
    """What voxels, scaled to the frames of a projection, leave of these, (pixels + 1, frames).

    The sums of its squares, and of the squared intensities, come with it, and the scale.
    """
    number, pixels, measured, _ = images
    rest = voxels.frames(settings, model.affine(number), pixels)
    scale = best_scale(rest, measured)
    rest *= scale
    where, threshold = (pixels.lookup, pixels.places), threshold_of(model.store)
    return rest, np.array(compare(rest, measured, *where, threshold, -1.0, NO_PIXELS)), scale


def frames_reached(
    model: ScanModel, voxels: OrientedVoxels, number: int
) -> tuple[ProjectionImages, ScaledSettings]:
    """Read a projection where voxels fall, and the settings of its frames and of the voxels.

    Frames in which nothing was measured, and that no voxel may light, are left out of both.
    """
    illuminated = model.illuminated_frames(number)
    mask = voxels.projector.covered_pixels(model.affine(number), illuminated.frames.shape[1:])
    of_frames, of_voxels = settings_in_place(model, voxels, number)
    reached = voxels.reached((of_frames, of_voxels))
    images = take_pixels(number, illuminated, IlluminatedPixels.from_mask(mask), reached)
    return images, (of_frames[images.shown], of_voxels)


def settings_in_place(model: ScanModel, voxels: OrientedVoxels, number: int) -> ScaledSettings:
    """Settings of the frames of a projection, and of the voxels where they fall on the image."""
    of_frames, of_voxels = model.scaled_settings(number, voxels.orientations)
    slope = np.array(model.acceptance.slope_deg_per_pix) / model.acceptance.rolling_width_deg
    if slope.any():
        of_voxels[:, 1] += voxels.projector.points_um @ (slope @ model.affine(number)[:, :3])
    return of_frames, of_voxels


def best_scale(predicted: Frames, measured: Frames) -> np.float32:
    """The factor that brings predicted frames closest to the lit pixels of measured ones."""
    square, cross = illuminated_products(predicted, measured)
    return np.float32(cross / square) if square > 0 else np.float32(0)


def descend(
    residual: Callable[[Acceptance], float], start: Acceptance, name: str, factor: float
) -> Acceptance:
    """Vary one width by a factor, up or down, for as long as the residual falls."""
    best = start
    for step in (factor, 1 / factor):
        following = replace(best, **{name: getattr(best, name) * step})
        while residual(following) < residual(best):
            best = following
            following = replace(best, **{name: getattr(best, name) * step})
        if best != start:
            break
    return best
