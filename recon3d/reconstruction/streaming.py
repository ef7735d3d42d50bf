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
from recon3d.projection.operator import LitPixels
from recon3d.reconstruction.model import Predictable

T = TypeVar("T")
Frames = NDArray[np.float32]
PixelChoice = Callable[[int, Frames], LitPixels]


class ProjectionImages(NamedTuple):
    """The pixels of one projection that are worked on.

    Parameters
    ----------
    projection
        Its number.
    pixels
        Which pixels.
    images, shape (pixels + 1, frames)
        Their intensities; the last row is zero.
    """

    projection: int
    pixels: LitPixels
    images: Frames


def lit_pixels(projection: int, frames: Frames) -> LitPixels:  # noqa: ARG001 (a PixelChoice)
    """Choose the pixels that any frame lights."""
    return LitPixels.from_mask(np.any(frames > 0, axis=0))


def stream(
    model: Predictable,
    description: str,
    *,
    projections: NDArray[np.int64] | None = None,
    choose: PixelChoice = lit_pixels,
    show_progress: bool = True,
) -> Generator[ProjectionImages]:
    """Go through the projections of a scan.

    Parameters
    ----------
    model
        The scan.
    description
        The stage, for the progress bar.
    projections
        Which projections, in which order; all accepted ones where None.
    choose
        Which pixels of a projection to keep, given its number and its lit frames. Called in the
        reading thread, so it must use no parallel kernel.
    show_progress
        False for a silent run.

    Yields
    ------
    images
        One projection after the other.
    """
    numbers = model.projections if projections is None else projections

    def read(number: int) -> ProjectionImages:
        lit = model.lit_frames(number)
        pixels = choose(number, lit.frames)
        images = pixels.gather(lit.frames, lit.numbers, lit.total)
        return ProjectionImages(number, pixels, images)

    yield from read_ahead(read, numbers, description, show_progress=show_progress)


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
