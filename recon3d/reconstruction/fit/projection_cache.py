"""The projections that a fit reads ahead and keeps, and what it leaves unexplained of each."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, repeat
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import median_filter

from recon3d.projection.kernels import UNKNOWN, FloatArray, Frames
from recon3d.projection.operator import FrameOperator, IlluminatedPixels, Projector
from recon3d.reconstruction.model.scan_model import IlluminatedFrames, ScanModel
from recon3d.runtime.communicator import Communicator
from recon3d.runtime.progress import track

T = TypeVar("T")

MOST_BYTES = 1 << 28
"""Memory that may be taken; what does not fit is found anew in every pass."""

MOST_IMAGE_BYTES = 1 << 28
"""Memory that the frames of all projections may take, or none of them are kept."""

LEAST_LENGTH = 0.1
"""Share of the longest path that a pixel is taken to see at least: one at the rim, which hardly
any voxel reaches, must not be blown up."""


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


class ProjectionCache:
    """The pixels on which the voxels of a support fall, what is measured and how long a path seen.

    The geometry of the model must not change. `projections`: how many are asked for in a pass.
    `most_bytes`: memory that may be taken.
    """

    def __init__(
        self,
        model: ScanModel,
        projector: Projector,
        bins: NDArray[np.float64],
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
        size = found.lookup.nbytes + 32 * found.count
        if size <= self._room:
            self._room -= size
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


NEIGHBOURS = 15
"""Projections among which one has to stand out to be suspect."""

EXPLAINED = 0.3
"""Residual up to which a projection is explained, whatever others leave: voxels in line with the
rays leave more."""

UNEXPLAINED = 0.5
"""Residual from which a projection is hardly explained, if a typical one has half of its own."""


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
