"""Backprojection that takes one cell of pixels a projection, for voxels wider than pixels.

Of a voxel several pixels wide the four pixels around its centre tell no more than one, and the
mean over a cell of pixels tells more than either, with fewer of them to work on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numba import prange
from numpy.typing import NDArray

from recon3d.projection.operator import IlluminatedPixels, Projector
from recon3d.runtime.compiled import njit

FloatArray = NDArray[np.float64]
Frames = NDArray[np.float32]

WIDE_PIXELS = 2.0
"""Width of a voxel, in pixels, from which on a cell serves as well as four pixels."""

CELL_SHARE = 0.6
"""Width of a cell as a share of a voxel's, about."""

AT_A_TIME = 4
"""Projections that are added to a voxel at a time: reading and writing it is what takes long."""

MOST_BYTES = 1 << 28
"""Memory that the images of the orientation bins may take at a time."""


class View(NamedTuple):
    """One projection in cells."""

    affine: FloatArray  # (2, 4): map from sample to cells at ω
    cells: IlluminatedPixels  # the cells that are lit
    frames: Frames  # (cells + 1, frames): their values; the last row is zero
    weights: Frames  # (frames, bins): how strongly each orientation bin shows in each of the frames


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
    """Add the backprojection of at most `AT_A_TIME` projections to distributions, in place.

    The projections have images of the same size; `volume`, (voxels, bins), holds the distributions.
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


@njit(inline="always")
def _cell(point, affine, lookup):  # type: ignore[no-untyped-def]
    """Number of the cell on which a point falls; beyond the image that of the border."""
    row = affine[0, 0] * point[0] + affine[0, 1] * point[1] + affine[0, 2] * point[2] + affine[0, 3]
    col = affine[1, 0] * point[0] + affine[1, 1] * point[1] + affine[1, 2] * point[2] + affine[1, 3]
    rows, cols = float(lookup.shape[0] - 2), float(lookup.shape[1] - 2)
    row = min(max(np.floor(row + 0.5), -1.0), rows)
    col = min(max(np.floor(col + 0.5), -1.0), cols)
    return lookup[int(row) + 1, int(col) + 1]


@njit(parallel=True, cache=True, nogil=True)
def backproject_cells(volume, points, affines, lookups, images, start):  # type: ignore[no-untyped-def]
    """Add to each voxel the cells on which its centre falls in some projections.

    Parameters
    ----------
    volume : (voxels, all bins)
        Added to in place.
    points : (voxels, 3)
        Voxel centres in µm.
    affines : (AT_A_TIME, 2, 4)
        The maps to (row, col) of the cells.
    lookups : (AT_A_TIME, rows + 2, cols + 2) of int
        Row of `images` for each cell, with a border of one cell around the detector.
    images : (cells of all projections + 1, bins)
        Values of the cells, the last row zero.
    """
    dark, first = images.shape[0] - 1, np.uint64(start)
    for voxel in prange(points.shape[0]):
        c0 = _cell(points[voxel], affines[0], lookups[0])
        c1 = _cell(points[voxel], affines[1], lookups[1])
        c2 = _cell(points[voxel], affines[2], lookups[2])
        c3 = _cell(points[voxel], affines[3], lookups[3])
        if c0 == dark and c1 == dark and c2 == dark and c3 == dark:
            continue
        for i in range(images.shape[1]):
            volume[voxel, first + np.uint64(i)] += (images[c0, i] + images[c1, i]) + (
                images[c2, i] + images[c3, i]
            )


def lit_cells(frames: Frames, across: int) -> tuple[IlluminatedPixels, Frames]:
    """Merge the pixels of frames into cells, and keep the cells that any frame lights.

    `frames`, (frames, rows, cols): a cell that reaches beyond them sees zeros there. Returns the
    cells of `across` x `across` pixels and their means, (cells + 1, frames), the last row zero.
    """
    rows, cols = (-(-size // across) for size in frames.shape[1:])
    lookup = np.full((rows + 2, cols + 2), -1, np.int32)
    # Room for all cells: memory that is never written to is not taken.
    means = np.empty((rows * cols + 1, len(frames)), frames.dtype)
    count = _merge_lit(frames, across, lookup, means)
    lookup[lookup < 0] = count
    means[count] = 0
    return IlluminatedPixels(lookup, count), means[: count + 1]


@njit(cache=True, nogil=True)
def _merge_lit(frames, across, lookup, means):  # type: ignore[no-untyped-def]
    """Fill both arrays of `lit_cells`, and count the cells; serial, to run beside other loops.

    One row of cells at a time, of all frames, stays in the cache.
    """
    rows, cols = frames.shape[1:]
    width, count = lookup.shape[1] - 2, 0
    share = frames.dtype.type(1 / across**2)
    line = np.zeros(width * across, frames.dtype)
    merged = np.zeros((frames.shape[0], width), frames.dtype)
    for row in range(lookup.shape[0] - 2):
        lit = np.zeros(width, np.bool_)
        for frame in range(frames.shape[0]):
            line[:] = 0
            for r in range(row * across, min((row + 1) * across, rows)):
                for col in range(cols):
                    line[col] += frames[frame, r, col]
            cells = merged[frame]
            if across == 2:  # by far the most frequent; a step known to the compiler is quicker
                for col in range(width):
                    cells[col] = (line[2 * col] + line[2 * col + 1]) * share
            else:
                cells[:] = 0
                for step in range(across):
                    for col in range(width):
                        cells[col] += line[col * across + step] * share
            for col in range(width):
                lit[col] |= cells[col] > 0
        for col in range(width):
            if lit[col]:
                lookup[row + 1, col + 1] = count
                for frame in range(frames.shape[0]):
                    means[count, frame] = merged[frame, col]
                count += 1
    return count
