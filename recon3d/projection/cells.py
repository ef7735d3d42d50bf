"""Backprojection that takes one cell of pixels a projection, for voxels wider than pixels.

Of a voxel several pixels wide the four pixels around its centre tell no more than one, and the
mean over a cell of pixels tells more than either, with fewer of them to work on.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from queue import Empty, SimpleQueue
from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from recon3d.projection.operator import IlluminatedPixels, Projector
from recon3d.runtime.compiled import njit

FloatArray = NDArray[np.float64]
Frames = NDArray[np.float32]
Halves = NDArray[np.uint16]
"""The upper halves of the bits of single-precision values, right to 0.4 %: half the memory."""

WIDE_PIXELS = 2.0
"""Width of a voxel, in pixels, from which on a cell serves as well as four pixels."""

CELL_SHARE = 0.6
"""Width of a cell as a share of a voxel's, about."""

AT_A_TIME = 8
"""Projections that are added to a voxel at a time: reading and writing it is what takes long."""

VOXELS_A_PIECE = 4096
"""Voxels that a thread works on before it asks for more."""

CELLS_A_PRODUCT, BINS_A_PRODUCT = 128, 64
"""Size of one product of frames with weights."""

CELLS_A_TIME = 2048
"""Cells whose products with all weights stay in the cache."""

MOST_BYTES = 1 << 28
"""Memory that the images of the orientation bins may take at a time."""


class Rooms:
    """Memory that is lent, given back and lent again, to any thread.

    Fresh memory takes the system longer to provide than the loops to fill.
    """

    def __init__(self) -> None:
        self._free: SimpleQueue[Frames] = SimpleQueue()

    def lend(self, rows: int, cols: int) -> Frames:
        """Lend an array, (rows, cols); what it holds is left from before."""
        try:
            room = self._free.get_nowait()
        except Empty:
            room = np.empty(0, np.float32)
        if room.size < rows * cols:
            room = np.empty(rows * cols, np.float32)
        return room[: rows * cols].reshape(rows, cols)

    def take_back(self, lent: Frames) -> None:
        """Take back what was lent, or a view of it, and is used no more."""
        room = lent.base
        if room is not None:
            self._free.put(room.reshape(-1))


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
    The work goes in pieces to as many threads as numba may use, so that one that is held up, since
    other threads read projections meanwhile, leaves its share to the others.
    """
    starts = np.cumsum([0, *(view.cells.count for view in views)])
    dark, bins = int(starts[-1]), volume.shape[1]
    cells = projector.lend(AT_A_TIME, len(volume), np.dtype(np.int32))
    cells[len(views) :] = dark
    voxels = [slice(v, v + VOXELS_A_PIECE) for v in range(0, len(volume), VOXELS_A_PIECE)]
    at_a_time = max(MOST_BYTES // (2 * (dark + 1)), 1)
    with ThreadPoolExecutor(numba.get_num_threads()) as pool:
        find = partial(_find_cells, projector, dark)
        _finish(pool.map(find, views, starts[:-1], cells[: len(views)]))
        for first in range(0, bins, at_a_time):
            part = slice(first, min(first + at_a_time, bins))
            images = projector.lend(dark + 1, part.stop - first, np.dtype(np.uint16))
            images[dark] = 0
            rows = np.split(images, starts[1:])[: len(views)]
            _finish(pool.map(partial(_weigh, part), views, rows))
            add = partial(_add, volume, cells, images, first)
            _finish(pool.map(add, voxels))


def _finish(work: Iterable[None]) -> None:
    """Wait for all pieces of some work, and raise what any of them raised."""
    for _ in work:
        pass


def _add(
    volume: Frames, cells: NDArray[np.int32], images: Halves, first: int, voxels: slice
) -> None:
    """Add to some voxels."""
    add_cells(volume[voxels], cells[:, voxels], images, first)


def _find_cells(
    projector: Projector, dark: int, view: View, start: int, numbers: NDArray[np.int32]
) -> None:
    """Fill in the row of the images that each voxel takes of a view."""
    lookup = view.cells.lookup
    rows = np.where(lookup < view.cells.count, lookup + start, dark).astype(np.int32)
    find_cells(projector.columns_um, view.affine, rows, numbers)


def _weigh(bins: slice, view: View, images: Halves) -> None:
    """Fill the images, (cells, bins), of some bins with a view's frames times their weights.

    Few frames show a bin, so a few bins at a time need few of the frames. The products stay in the
    cache until those of all bins are written in one go: memory is filled slowly bit by bit.
    """
    room = np.empty((CELLS_A_TIME, images.shape[1]), np.float32)
    factors = []
    for first in range(bins.start, bins.stop, BINS_A_PRODUCT):
        some = slice(first, min(first + BINS_A_PRODUCT, bins.stop))
        shown = np.flatnonzero(view.weights[:, some].any(axis=1))
        frames = slice(shown[0], shown[-1] + 1) if shown.size else slice(0, 0)
        weights = np.ascontiguousarray(view.weights[frames, some])
        factors.append((frames, weights, room[:, some.start - bins.start : some.stop - bins.start]))
    for first in range(0, len(images), CELLS_A_TIME):
        out = images[first : first + CELLS_A_TIME]
        values = view.frames[first : first + len(out)]
        for frames, weights, products in factors:
            _multiply(values[:, frames], weights, products[: len(out)])
        halve(room[: len(out)], out)


def _multiply(values: Frames, weights: Frames, out: Frames) -> None:
    """Multiply matrices in parts so small that NumPy works each of them out by one thread."""
    whole = len(out) // CELLS_A_PRODUCT * CELLS_A_PRODUCT
    stacked, stacked_out = (
        array[:whole].reshape(-1, CELLS_A_PRODUCT, array.shape[1]) for array in (values, out)
    )
    np.matmul(stacked, weights, out=stacked_out)
    np.matmul(values[whole:], weights, out=out[whole:])


@njit(cache=True, nogil=True)
def find_cells(points, affine, lookup, numbers):  # type: ignore[no-untyped-def]
    """Find the cell on which each point falls; beyond the image that of the border.

    Parameters
    ----------
    points : (3, voxels)
        Voxel centres in µm.
    affine : (2, 4)
        The map to (row, col) of the cells.
    lookup : (rows + 2, cols + 2) of int
        Number of each cell, with a border of one cell around the detector.
    numbers : (voxels,) of int
        Filled with the numbers of the cells.
    """
    last_row, last_col = float(lookup.shape[0] - 1), float(lookup.shape[1] - 1)
    width, flat = np.int32(lookup.shape[1]), lookup.reshape(-1)
    x, y, z = points
    for voxel in range(x.size):
        row = affine[0, 0] * x[voxel] + affine[0, 1] * y[voxel] + affine[0, 2] * z[voxel]
        col = affine[1, 0] * x[voxel] + affine[1, 1] * y[voxel] + affine[1, 2] * z[voxel]
        # By one cell further for the border, and by half a cell for the nearest.
        row = min(max(row + (affine[0, 3] + 1.5), 0.0), last_row)
        col = min(max(col + (affine[1, 3] + 1.5), 0.0), last_col)
        numbers[voxel] = np.int32(row) * width + np.int32(col)
    for voxel in range(numbers.size):
        numbers[voxel] = flat[np.uint32(numbers[voxel])]


@njit(cache=True, nogil=True)
def add_cells(volume, cells, images, start):  # type: ignore[no-untyped-def]
    """Add to each voxel the cells on which its centre falls in some projections.

    Places are counted without a sign: a negative one would be asked for at every step.

    Parameters
    ----------
    volume : (voxels, all bins)
        Added to in place.
    cells : (AT_A_TIME, voxels) of int
        Rows of `images`.
    images : (cells of all projections + 1, bins) of uint16
        Values of the cells, as `halve` gives them, the last row zero.
    start : int
        Which of all bins the first one of the images is.
    """
    first = np.uint64(start)
    for voxel in range(np.uint64(volume.shape[0])):
        c0, c1 = np.uint64(cells[0, voxel]), np.uint64(cells[1, voxel])
        c2, c3 = np.uint64(cells[2, voxel]), np.uint64(cells[3, voxel])
        c4, c5 = np.uint64(cells[4, voxel]), np.uint64(cells[5, voxel])
        c6, c7 = np.uint64(cells[6, voxel]), np.uint64(cells[7, voxel])
        for i in range(np.uint64(images.shape[1])):
            volume[voxel, first + i] += (
                (_whole(images[c0, i]) + _whole(images[c1, i]))
                + (_whole(images[c2, i]) + _whole(images[c3, i]))
            ) + (
                (_whole(images[c4, i]) + _whole(images[c5, i]))
                + (_whole(images[c6, i]) + _whole(images[c7, i]))
            )


@njit(cache=True, nogil=True)
def halve(values, halves):  # type: ignore[no-untyped-def]
    """Round values, (rows, cols), to the upper halves of their bits, in place of `halves`."""
    for row in range(halves.shape[0]):
        bits, out = values[row].view(np.uint32), halves[row]
        for i in range(out.size):
            out[i] = np.uint16((bits[i] + np.uint32(0x8000)) >> np.uint32(16))


@njit(inline="always")
def _whole(half):  # type: ignore[no-untyped-def]
    """The value of which this is the upper half."""
    return np.uint32(np.uint32(half) << np.uint32(16)).view(np.float32)


def lit_cells(
    frames: Frames,
    across: int,
    *,
    bits: NDArray[np.uint8] | None = None,
    rooms: Rooms | None = None,
) -> tuple[IlluminatedPixels, Frames]:
    """Merge the pixels of frames into cells, and keep the cells that any frame lights.

    `frames`, (frames, rows, cols): a cell that reaches beyond them sees zeros there. `bits`,
    (frames / 8, rows * cols): filled with one bit for each pixel that is lit, as
    `completeness.pack` gives them, while they are at hand.
    Returns the cells of `across` x `across` pixels and their means, (cells + 1, frames), the last
    row zero, in memory that `rooms` lend.
    """
    rows, cols = (-(-size // across) for size in frames.shape[1:])
    lookup = np.full((rows + 2, cols + 2), -1, np.int32)
    # Room for all cells: memory that is never written to is not taken.
    means = (rooms or Rooms()).lend(rows * cols + 1, len(frames))
    if bits is None:  # they are filled all the same, for the way in which that reads the frames
        bits = np.empty((-(-len(frames) // 8), frames[0].size), np.uint8)
    count = _merge_lit(np.ascontiguousarray(frames), across, lookup, means, bits)
    lookup[lookup < 0] = count
    means[count] = 0
    return IlluminatedPixels(lookup, count), means[: count + 1]


@njit(cache=True, nogil=True)
def _merge_lit(frames, across, lookup, means, bits):  # type: ignore[no-untyped-def]
    """Fill the arrays of `lit_cells`, and count the cells; serial, to run beside other loops.

    Eight rows of cells at a time, of all frames, stay in the cache; fewer would break up what is
    read into pieces so short that memory cannot foresee the next.
    """
    rows, cols = frames.shape[1:]
    height, width = lookup.shape[0] - 2, lookup.shape[1] - 2
    share = frames.dtype.type(1 / across**2)
    flat = frames.reshape(frames.shape[0], rows * cols)
    lines = np.empty((8, cols), frames.dtype)
    merged = np.empty((frames.shape[0], 8, width), frames.dtype)
    most = np.empty((8, width), frames.dtype)
    count = 0
    for start in range(0, height, 8):
        most[:] = 0
        present = min(8, height - start)
        first, stop = start * across, min((start + 8) * across, rows)
        for frame in range(frames.shape[0]):
            pixels = flat[frame, first * cols : stop * cols]
            # At first in one go: memory foresees what is read next along one line alone.
            _pack(pixels, frame % 8, bits[frame // 8, first * cols : stop * cols])
            if across > 1:
                for row in range(present):
                    _sum_rows(pixels[row * across * cols : (row + 1) * across * cols], lines[row])
            summed = lines.reshape(-1)[: present * cols] if across > 1 else pixels
            if cols % across == 0:  # all rows in one go
                _sum_cols(summed, across, merged[frame].reshape(-1))
            else:
                for row in range(present):
                    _sum_cols(summed[row * cols : (row + 1) * cols], across, merged[frame, row])
            _raise(merged[frame].reshape(-1), most.reshape(-1))
        for row in range(present):
            for col in range(width):
                if most[row, col] > 0:
                    lookup[start + row + 1, col + 1] = count
                    for frame in range(frames.shape[0]):
                        means[count, frame] = merged[frame, row, col] * share
                    count += 1
    return count


@njit(inline="always")
def _sum_cols(pixels, across, sums):  # type: ignore[no-untyped-def]
    """Sum each few pixels, the last ones being fewer if need be."""
    whole = pixels.size // across
    if across == 2:  # by far the most frequent; a step known to the compiler is quicker
        for i in range(whole):
            sums[i] = pixels[2 * i] + pixels[2 * i + 1]
    else:
        sums[:whole] = 0
        for step in range(across):
            for i in range(whole):
                sums[i] += pixels[i * across + step]
    if whole * across < pixels.size:
        sums[whole] = pixels[whole * across :].sum()


@njit(inline="always")
def _sum_rows(pixels, sums):  # type: ignore[no-untyped-def]
    """Sum rows of pixels that follow each other, as long as `sums` is."""
    cols = sums.size
    if pixels.size == cols:
        for col in range(cols):  # an assignment of arrays takes 2 s to compile
            sums[col] = pixels[col]
        return
    for col in range(cols):
        sums[col] = pixels[col] + pixels[cols + col]
    for first in range(2 * cols, pixels.size, cols):
        for col in range(cols):
            sums[col] += pixels[first + col]


@njit(inline="always")
def _raise(values, most):  # type: ignore[no-untyped-def]
    """Raise what is most to these values."""
    for i in range(most.size):
        most[i] = max(most[i], values[i])


@njit(inline="always")
def _pack(pixels, place, bits):  # type: ignore[no-untyped-def]
    """Set a bit, at a place from the lowest on, for each pixel that is lit; the first clears."""
    if place == 0:
        bits[:] = 0
    bit = np.uint8(1 << place)
    for i in range(pixels.size):
        bits[i] |= bit if pixels[i] > 0 else np.uint8(0)
