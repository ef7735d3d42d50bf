"""Projections one after the other, the next one read while this one is worked on."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from recon3d.progress import track
from recon3d.projection.operator import LitPixels
from recon3d.reconstruction.model import ScanModel


def stream_lit(
    model: ScanModel,
    description: str,
    *,
    projections: NDArray[np.int64] | None = None,
    show_progress: bool = True,
) -> Iterator[tuple[int, LitPixels, NDArray[np.float32]]]:
    """Go through the projections of a scan, keeping only the pixels that are lit.

    Parameters
    ----------
    model
        The scan.
    description
        The stage, for the progress bar.
    projections
        Which projections; all accepted ones where None.
    show_progress
        False for a silent run.

    Yields
    ------
    projection
        Number of the projection.
    pixels
        The pixels that any of its frames lights.
    images, shape (pixels + 1, frames)
        Their intensities.
    """
    numbers = [int(k) for k in (model.projections if projections is None else projections)]
    with ThreadPoolExecutor(max_workers=1) as reader:
        ahead = reader.submit(_lit, model, numbers[0])
        following = [*numbers[1:], None]
        for number, after in zip(
            track(numbers, description, unit="projection", show=show_progress),
            following,
            strict=True,
        ):
            pixels, images = ahead.result()
            if after is not None:
                ahead = reader.submit(_lit, model, after)
            yield number, pixels, images


def _lit(model: ScanModel, projection: int) -> tuple[LitPixels, NDArray[np.float32]]:
    frames = model.frames(projection)
    pixels = LitPixels.from_mask((frames > 0).any(axis=0))
    return pixels, np.asarray(pixels.gather(frames), np.float32)
