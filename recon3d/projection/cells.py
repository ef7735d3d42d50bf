"""Backprojection that takes one cell of pixels a projection, for voxels wider than pixels.

Of a voxel several pixels wide the four pixels around its centre tell no more than one, and the
mean over a cell of pixels tells more than either, with fewer of them to work on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from recon3d.projection.kernels.cells import AT_A_TIME, backproject_cells, merge_pixels
from recon3d.projection.operator import IlluminatedPixels, Projector

__all__ = ["AT_A_TIME", "View", "add_views", "cell_affine", "cell_width", "merge_pixels"]

FloatArray = NDArray[np.float64]
Frames = NDArray[np.float32]

WIDE_PIXELS = 2.0
"""Width of a voxel, in pixels, from which on a cell serves as well as four pixels."""

CELL_SHARE = 0.6
"""Width of a cell as a share of a voxel's, about."""

MOST_BYTES = 1 << 28
"""Memory that the images of the orientation bins may take at a time."""


class View(NamedTuple):
    """One projection in cells.

    Parameters
    ----------
    affine, shape (2, 4)
        Map from sample to cells at ω.
    cells
        The cells that are lit.
    frames, shape (cells + 1, frames)
        Their values; the last row is zero.
    weights, shape (frames, bins)
        How strongly each orientation bin shows in each of the frames.
    """

    affine: FloatArray
    cells: IlluminatedPixels
    frames: Frames
    weights: Frames


def cell_width(voxel_pix: float) -> int | None:
    """Edge of the cells, in pixels, for voxels of some width; None for voxels too narrow for any.

    A cell is narrower than a voxel, so that edges of the grain are blurred by less than one.
    """
    return max(round(CELL_SHARE * voxel_pix), 1) if voxel_pix >= WIDE_PIXELS else None


def cell_affine(affine: FloatArray, across: int) -> FloatArray:
    """Map from sample to cells of some pixels across, from that to pixels; both (2, 4)."""
    scaled = affine / across
    scaled[:, 3] += (1 / across - 1) / 2
    return scaled


def add_views(projector: Projector, views: Sequence[View], volume: Frames) -> None:
    """Add the backprojection of some projections to orientation distributions, in place.

    Parameters
    ----------
    projector
        The voxels.
    views
        At most `AT_A_TIME` projections, of images of the same size.
    volume, shape (voxels, bins)
        The distributions.
    """
    starts = np.cumsum([0, *(view.cells.count for view in views)])
    dark, bins = int(starts[-1]), volume.shape[1]
    affines, lookups = _numbered(views, starts)
    at_a_time = max(MOST_BYTES // (4 * (dark + 1)), 1)
    for first in range(0, bins, at_a_time):
        part = slice(first, min(first + at_a_time, bins))
        images = projector.lend(dark + 1, part.stop - first, volume.dtype)
        images[dark] = 0
        for view, start in zip(views, starts[:-1], strict=True):
            rows = images[start : start + view.cells.count]
            np.matmul(view.frames[:-1], view.weights[:, part], out=rows)
        backproject_cells(volume, projector.points_um, affines, lookups, images, first)


def _numbered(
    views: Sequence[View], starts: NDArray[np.int64]
) -> tuple[FloatArray, NDArray[np.int32]]:
    """Maps and lookups of the views, their cells numbered through; none seen in missing views."""
    dark = starts[-1]
    affines = np.zeros((AT_A_TIME, 2, 4))
    lookups = np.full((AT_A_TIME, *views[0].cells.lookup.shape), dark, np.int32)
    for number, (view, start) in enumerate(zip(views, starts[:-1], strict=True)):
        lookup = view.cells.lookup
        affines[number] = view.affine
        lookups[number] = np.where(lookup < view.cells.count, lookup + start, dark)
    return affines, lookups
