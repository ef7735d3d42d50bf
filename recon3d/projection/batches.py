"""Several projections packed into arrays of one shape, for the compiled backprojection."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recon3d.projection import frame_kernels
from recon3d.projection.operator import LitPixels

FloatArray = NDArray[np.float64]
Floats = NDArray[np.float32]

BLOCK_BINS = 16
"""Runs of bins begin and end at multiples of this, a vector of the processor or two."""


@dataclass(frozen=True)
class LitFrames:
    """The frames of one projection that are not dark all over, where they are lit.

    Parameters
    ----------
    projection
        Its number.
    numbers, shape (lit frames,)
        Which frames.
    pixels
        The pixels that any of them lights.
    images, shape (pixels + 1, lit frames)
        Their intensities; the last row is zero.
    """

    projection: int
    numbers: NDArray[np.int64]
    pixels: LitPixels
    images: Floats


@dataclass(frozen=True)
class Batch:
    """The images of several projections, one after the other.

    Parameters
    ----------
    lookups, shape (projections, rows + 2, cols + 2)
        Row of `images` for each pixel, the last row for dark ones.
    images, shape (projections, pixels + 1, frames)
        Intensities, filled up with zeros.
    """

    lookups: NDArray[np.int32]
    images: Floats

    @classmethod
    def of(cls, projections: Sequence[LitFrames]) -> Batch:
        """Pack projections of one image shape."""
        images = stack([lit.images for lit in projections])
        lookups = np.stack([lit.pixels.lookup for lit in projections])
        for lookup, lit in zip(lookups, projections, strict=True):
            lookup[lookup == lit.pixels.count] = images.shape[1] - 1
        return cls(lookups, images)

    def backproject(
        self, volume: Floats, points_um: FloatArray, affines: FloatArray, weights: Sequence[Floats]
    ) -> None:
        """Add the projections to orientation distributions, each with its own weights.

        Parameters
        ----------
        volume, shape (voxels, bins)
            Added to in place.
        points_um, shape (voxels, 3)
            Centres of the voxels.
        affines, shape (projections, 2, 4)
            Maps from sample to detector.
        weights
            For each projection the weights of the bins in its frames, (lit frames, bins).
        """
        packed = stack([_whole_blocks(rows) for rows in weights])
        found = [_runs(rows) for rows in packed]
        frame_kernels.backproject_frames(
            volume,
            points_um,
            affines,
            self.lookups,
            self.images,
            packed,
            np.stack([first for first, _ in found]),
            stack([runs for _, runs in found]),
        )


def stack(arrays: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Stack arrays of several shapes, filled up with zeros at the ends of their axes."""
    shape = np.max([array.shape for array in arrays], axis=0)
    stacked = np.zeros((len(arrays), *shape), arrays[0].dtype)
    for place, array in zip(stacked, arrays, strict=True):
        place[tuple(slice(size) for size in array.shape)] = array
    return stacked


def _whole_blocks(weights: Floats) -> Floats:
    """Weights filled up with zeros to a whole number of blocks of bins."""
    return np.pad(weights, ((0, 0), (0, -weights.shape[1] % BLOCK_BINS)))


def _runs(weights: Floats) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
    """Where the weights of each frame are not zero, block by block.

    Returns
    -------
    first, shape (frames + 1,)
        Number of the first run of each frame.
    runs, shape (runs, 2)
        First bin of each run, and that after its last.
    """
    frames, bins = weights.shape
    blocks = (weights.reshape(frames, bins // BLOCK_BINS, BLOCK_BINS) != 0).any(axis=2)
    edges = np.diff(np.pad(blocks.astype(np.int8), ((0, 0), (1, 1))), axis=1)
    of_frame, starts = np.nonzero(edges == 1)
    stops = np.nonzero(edges == -1)[1]
    counts = np.bincount(of_frame, minlength=frames)
    runs = BLOCK_BINS * np.stack([starts, stops], axis=1)
    # Only unsigned numbers let the compiled loop go through a run several bins at a time.
    return np.concatenate([[0], counts.cumsum()]), runs.astype(np.uint64)
