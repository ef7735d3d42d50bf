"""Projections one after the other, the next one read while this one is worked on."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, repeat
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from recon3d.progress import track
from recon3d.projection.operator import IlluminatedPixels
from recon3d.reconstruction.model.scan_model import IlluminatedFrames

T = TypeVar("T")
Frames = NDArray[np.float32]


class ProjectionImages(NamedTuple):
    """The frames and pixels of one projection that are worked on.

    Parameters
    ----------
    projection
        Its number.
    pixels
        Which pixels.
    images, shape (pixels + 1, shown frames)
        Their intensities; the last row is zero.
    shown, shape (frames,)
        Which frames: in all others nothing was measured, and nothing can be predicted.
    """

    projection: int
    pixels: IlluminatedPixels
    images: Frames
    shown: NDArray[np.bool_]


def take_pixels(
    projection: int,
    illuminated: IlluminatedFrames,
    pixels: IlluminatedPixels,
    reached: NDArray[np.bool_],
) -> ProjectionImages:
    """Take what is worked on out of the frames of a projection; no parallel kernel.

    Parameters
    ----------
    projection
        Its number.
    illuminated
        Its frames.
    pixels
        Which pixels to keep.
    reached, shape (frames,)
        Frames in which something can be predicted.
    """
    shown = reached.copy()
    shown[illuminated.numbers] = True
    places = np.cumsum(shown) - 1
    images = pixels.gather(illuminated.frames, places[illuminated.numbers], int(shown.sum()))
    return ProjectionImages(projection, pixels, images, shown)


def read_ahead(
    read: Callable[[int], T],
    projections: NDArray[np.int64],
    description: str,
    *,
    ahead: int = 1,
    show_progress: bool = True,
) -> Generator[T]:
    """Go through what is read of some projections, reading each while its forerunners are used.

    Parameters
    ----------
    read
        Reads a projection, given its number, in a thread of its own.
    projections
        Which projections, in which order.
    description
        The stage, for the progress bar.
    ahead
        How many may be read, and held, before they are asked for.
    show_progress
        False for a silent run.
    """
    numbers = [int(k) for k in projections]
    if not numbers:
        return
    with ThreadPoolExecutor(max_workers=1) as reader:
        waiting = deque(reader.submit(read, number) for number in numbers[:ahead])
        following = chain(numbers[ahead:], repeat(None))
        for _ in track(numbers, description, unit="projection", show=show_progress):
            found = waiting.popleft().result()
            after = next(following)
            if after is not None:
                waiting.append(reader.submit(read, after))
            yield found
