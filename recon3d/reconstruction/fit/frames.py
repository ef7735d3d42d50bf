"""The frames of single projections: read ahead, and held against those that a grain predicts."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, repeat
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import median_filter

from recon3d.projection.kernels import (
    NO_PIXELS,
    UNKNOWN,
    AnyFloats,
    FloatArray,
    Frames,
    compare,
    illuminated_products,
)
from recon3d.projection.operator import IlluminatedPixels
from recon3d.projection.oriented_voxels import OrientedVoxels, ScaledSettings
from recon3d.reconstruction.model.scan_model import IlluminatedFrames, ScanModel
from recon3d.reconstruction.model.scanned import threshold_of
from recon3d.runtime.communicator import Communicator
from recon3d.runtime.progress import track

T = TypeVar("T")

NEIGHBOURS = 15
"""Projections among which one has to stand out to be suspect."""

EXPLAINED = 0.3
"""Residual up to which a projection is explained, whatever others leave: voxels in line with the
rays leave more."""

UNEXPLAINED = 0.5
"""Residual from which a projection is hardly explained, if a typical one has half of its own."""


class ProjectionImages(NamedTuple):
    """The frames and pixels of one projection that are worked on."""

    projection: int
    pixels: IlluminatedPixels
    # (pixels + 1, shown frames): `UNKNOWN` where they are not known; the last row is zero
    images: Frames
    # (frames,): in all others nothing was measured, and nothing can be predicted
    shown: NDArray[np.bool_]

    def known_lookup(self) -> NDArray[np.int32]:
        """As `pixels.lookup`, but unknown pixels have the last row of `images`, as if not there."""
        known = self.images[:, 0] >= 0  # a pixel is unknown in all frames, or in none
        if known.all():
            return self.pixels.lookup
        rows = np.arange(known.size, dtype=self.pixels.lookup.dtype)
        return np.where(known, rows, rows[-1])[self.pixels.lookup]


def take_pixels(
    projection: int,
    illuminated: IlluminatedFrames,
    pixels: IlluminatedPixels,
    reached: NDArray[np.bool_],
) -> ProjectionImages:
    """Take what is worked on out of the frames of a projection; no parallel kernel.

    `reached`, (frames,): frames in which something can be predicted.
    """
    shown = reached.copy()
    shown[illuminated.numbers] = True
    places = np.cumsum(shown) - 1
    images = pixels.gather(illuminated.frames, places[illuminated.numbers], int(shown.sum()))
    if illuminated.unknown is not None:
        images[:-1][illuminated.unknown[pixels.mask]] = UNKNOWN
    return ProjectionImages(projection, pixels, images, shown)


def read_ahead(
    read: Callable[[int], T],
    projections: NDArray[np.int64],
    description: str,
    *,
    ahead: int = 1,
    readers: int = 1,
) -> Generator[T]:
    """Go through what is read of some projections, reading each while its forerunners are used.

    `read`: reads a projection, given its number, in a thread of its own. `ahead`: how many may be
    read, and held, before they are asked for. `readers`: threads that read.
    """
    numbers = [int(k) for k in projections]
    if not numbers:
        return
    with ThreadPoolExecutor(max_workers=readers) as reader:
        waiting = deque(reader.submit(read, number) for number in numbers[:ahead])
        following = chain(numbers[ahead:], repeat(None))
        for _ in track(numbers, description, unit="projection"):
            found = waiting.popleft().result()
            after = next(following)
            if after is not None:
                waiting.append(reader.submit(read, after))
            yield found


class Residuals:
    """Squared differences and squared intensities of a pass, as one process has found them.

    `of_projections`, (projections, 2), has their sums over each projection, `of_pixels`, (rows,
    cols, 2), over the frames of each pixel; it is empty before the first projection.
    """

    def __init__(self, projections: NDArray[np.int64]) -> None:
        self._row = {int(k): row for row, k in enumerate(projections)}
        self.of_projections = np.zeros((len(self._row), 2))
        self.of_pixels = np.zeros((0, 0, 2))

    def note(self, projection: int, sums: ArrayLike) -> None:
        """Note the two sums over a projection."""
        self.of_projections[self._row[projection]] = sums

    def pixels(self, shape: tuple[int, ...]) -> FloatArray:
        """The sums of each pixel of images of some shape, to be added to."""
        if not self.of_pixels.size:
            self.of_pixels = np.zeros((*shape, 2))
        return self.of_pixels

    def of_all(self, communicator: Communicator) -> tuple[FloatArray, FloatArray]:
        """The sums that all members of a communicator have found; each of them asks."""
        of_projections = self.of_projections.copy()
        communicator.sum(of_projections)
        # A process without a projection so far does not know how large the images are.
        of_pixels = np.zeros(max(communicator.collect([self.of_pixels.shape])))
        if self.of_pixels.size:
            of_pixels += self.of_pixels
        communicator.sum(of_pixels)
        return of_projections, of_pixels


def relative(differences: ArrayLike, squares: ArrayLike) -> FloatArray:
    """Root of squared differences as a share of squared intensities; NaN where these are 0."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.sqrt(np.asarray(differences, float) / np.asarray(squares, float))


def suspects(residuals: FloatArray) -> NDArray[np.bool_]:
    """Which projections the model explains far worse than those around them.

    Another grain passing, or the beam lost: the residual is 6 robust standard deviations above the
    median of its neighbours, half as large again, and large, which no slow change with ω makes it.
    Where many stand out, and pull at all others, those that are hardly explained at all are it.
    """
    known = np.where(np.isfinite(residuals), residuals, np.nanmedian(residuals))
    around = median_filter(known, min(NEIGHBOURS, len(known)), mode="mirror")
    deviation = 1.4826 * np.median(np.abs(known - around))
    outright = residuals > np.maximum(UNEXPLAINED, 2 * np.nanmedian(residuals))
    least = np.maximum(1.5 * around, EXPLAINED)
    return outright | (residuals > np.maximum(around + 6 * deviation, least))


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


def sum_residuals(model: ScanModel, voxels: OrientedVoxels) -> FloatArray:
    """Misfit of the summed frames that a grain predicts, (used projections,).

    Root of the squared differences as a share of the measured sums, each projection scaled to meet
    them best.
    """
    residuals = []
    for number in map(int, model.own):
        predicted, measured = predict_sum(model, voxels, number), model.summed(number)
        known = measured >= 0
        predicted, measured = predicted[known].astype(float), measured[known].astype(float)
        square = float((predicted**2).sum())
        scale = float((predicted * measured).sum()) / square if square > 0 else 0.0
        rest = ((scale * predicted - measured) ** 2).sum()
        residuals.append(float(relative(rest, (measured**2).sum())))
    return np.array(model.communicator.collect(residuals))


def predict_sum(model: ScanModel, voxels: OrientedVoxels, projection: int) -> AnyFloats:
    """Predict the summed frames of a projection, (rows, cols), up to their scale."""
    settings = settings_in_place(model, voxels, projection)
    return voxels.summed(settings, model.affine(projection), model.image_shape)
