"""The projections that a fit reads: each ahead of its use, and kept as far as there is room."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, repeat
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from recon3d.projection.bins import Orientations
from recon3d.projection.operator import FrameOperator, IlluminatedPixels, Projector
from recon3d.projection.ratios import UNKNOWN
from recon3d.reconstruction.model.scan_model import IlluminatedFrames, Predictable
from recon3d.runtime.progress import track

T = TypeVar("T")
Frames = NDArray[np.float32]

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
) -> Generator[T]:
    """Go through what is read of some projections, reading each while its forerunners are used.

    `read`: reads a projection, given its number, in a thread of its own. `ahead`: how many may be
    read, and held, before they are asked for.
    """
    numbers = [int(k) for k in projections]
    if not numbers:
        return
    with ThreadPoolExecutor(max_workers=1) as reader:
        waiting = deque(reader.submit(read, number) for number in numbers[:ahead])
        following = chain(numbers[ahead:], repeat(None))
        for _ in track(numbers, description, unit="projection"):
            found = waiting.popleft().result()
            after = next(following)
            if after is not None:
                waiting.append(reader.submit(read, after))
            yield found


class ProjectionCache:
    """The pixels on which the voxels of a support fall, and how much of it each of them sees.

    The geometry of the model must not change. `projections`: how many are asked for in a pass.
    `most_bytes`: memory that may be taken.
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
