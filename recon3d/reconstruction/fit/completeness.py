"""Where the grain can be, and how complete its voxels are: both told by which pixels are lit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import prange
from numpy.typing import NDArray
from scipy import ndimage as morphology

from recon3d.projection.cells import Rooms, lit_cells
from recon3d.projection.kernels import AnyFloats, FloatArray, Frames
from recon3d.projection.operator import IlluminatedPixels
from recon3d.reconstruction.fit.frames import read_ahead
from recon3d.reconstruction.model.scan_model import ScanModel
from recon3d.runtime.compiled import njit
from recon3d.runtime.progress import track

CUTS = np.linspace(0.02, 1.0, 50)
"""The cutoffs among which the best one is looked for."""

MOST_BYTES = 1 << 28
"""Memory that the lit pixels of projections may take; those of the others are read again."""

DARK = -1
"""In place of a frame that was measured and is dark all over."""

UNMEASURED = -2
"""In place of a frame that was not measured."""


def find_support(
    model: ScanModel, points_um: FloatArray, share: float, margin_pix: int = 0
) -> NDArray[np.bool_]:
    """Which points, (voxels, 3), are lit, in any frame, in some share of the projections.

    Where a projection says nothing of a pixel, it counts as lit. Projections on whose images a
    point does not fall do not count, but it must fall on half of them at least. `margin_pix`: how
    far from a lit pixel still counts as lit.
    """
    hits = np.zeros(len(points_um), np.int32)
    seen = np.zeros_like(hits)
    the_sum, alike = np.zeros(1, np.int64), np.zeros(len(points_um), np.int64)
    disk = morphology.iterate_structure(morphology.generate_binary_structure(2, 1), margin_pix)
    for number in track(model.own, "support", unit="projection"):
        illuminated = model.summed(number) != 0
        lit = morphology.binary_dilation(illuminated, disk) if margin_pix else illuminated
        where = (points_um, model.affine(number), pack(lit[None]), np.ones_like(lit))
        count_illuminated(hits, seen, *where, the_sum, alike)
    model.communicator.sum(hits)
    model.communicator.sum(seen)
    return (hits >= share * seen) & (2 * seen >= len(model.projections))


def completeness(
    model: ScanModel,
    points_um: FloatArray,
    frame_of_bin: NDArray[np.int64],
    peak_bins: NDArray[np.int64],
    *,
    bits: IlluminatedBits | None = None,
) -> NDArray[np.float32]:
    """Share of the projections in which each voxel's own (μ, γ) frame is lit.

    Projections in which no frame was measured near the voxel's own setting, or its pixel is not
    known, do not count, but the share is never taken of fewer than half of all projections.

    `frame_of_bin`, (used projections, bins): the frame that belongs to each bin; -1 for none.
    `peak_bins`: the bin of each voxel; -1 for none. `bits`: what was kept of the frames when they
    were read before.
    """
    hits = np.zeros(len(points_um), np.int32)
    seen = np.zeros_like(hits)
    illuminated_of = read_ahead((bits or IlluminatedBits(model)).of, model.own, "completeness")
    shape = model.image_shape
    own_frames: list[NDArray[np.int64]] = model.communicator.share(frame_of_bin)
    for number, frame_of, (numbers, packed) in zip(
        model.own, own_frames, illuminated_of, strict=True
    ):
        place = np.full(model.store.shape[1] + 1, DARK)
        place[numbers], place[-1] = np.arange(numbers.size), UNMEASURED
        known = np.ones(shape, bool) if model.unknown is None else ~model.unknown.of(int(number))
        where = (points_um, model.affine(int(number)), packed, known)
        count_illuminated(hits, seen, *where, place[frame_of], peak_bins)
    model.communicator.sum(hits)
    model.communicator.sum(seen)
    return (hits / np.maximum(seen, len(model.projections) / 2)).astype(np.float32)


def best_cutoff(
    model: ScanModel, points_um: FloatArray, share: NDArray[np.float32], voxel_pix: float
) -> float:
    """The completeness at which the grain's silhouettes agree best with the lit pixels.

    A pixel is in the silhouette of all voxels above a cutoff if the most complete voxel that falls
    on it is above: one image a projection tells the Dice coefficient of every cutoff. `share`,
    (voxels,): completeness of the voxels of the support.
    """
    shape = model.image_shape
    reach = max(int(np.ceil(voxel_pix)), 1)
    # Pixels by the cutoffs that their most complete voxel reaches: all of them, and the lit ones.
    counts = np.zeros((2, len(CUTS) + 1), np.int64)
    total = np.zeros(1, np.int64)
    at = np.concatenate([points_um, np.ones((len(points_um), 1))], axis=1)
    for number in track(model.own, "cutoff", unit="projection"):
        row, col = np.rint(model.affine(int(number)) @ at.T).astype(np.int64)
        seen = (row >= 0) & (row < shape[0]) & (col >= 0) & (col < shape[1])
        most = np.zeros(shape, np.float32)
        np.maximum.at(most, (row[seen], col[seen]), share[seen])
        most = morphology.maximum_filter(most, reach) if reach > 1 else most
        passed = np.searchsorted(CUTS, most.ravel(), side="right")
        summed = model.summed(int(number)).ravel()
        lit, passed = summed > 0, np.where(summed < 0, 0, passed)
        counts += [np.bincount(which, minlength=len(CUTS) + 1) for which in (passed, passed[lit])]
        total += np.count_nonzero(lit)
    for sums in (counts, total):
        model.communicator.sum(sums)
    # A pixel that passes k cutoffs is in the silhouettes of the first k.
    silhouette, both = counts[:, ::-1].cumsum(axis=1)[:, ::-1][:, 1:]
    return float(CUTS[np.argmax(2 * both / np.maximum(silhouette + total, 1))])


class IlluminatedBits:
    """The lit pixels of a scan's frames, kept for as many projections as there is room for."""

    def __init__(self, model: ScanModel) -> None:
        self._model = model
        self._kept: dict[int, tuple[NDArray[np.int64], NDArray[np.uint8]]] = {}
        # One array, which the system provides in large pages; what is never written is not taken.
        frames, rows, cols = model.store.shape[1:]
        one = -(-frames // 8), rows * cols
        count = min(MOST_BYTES // (one[0] * one[1]), len(model.own))
        self._room = np.empty((count, *one), np.uint8)
        self._places = {int(number): place for place, number in enumerate(model.own[:count])}

    def keep(self, projection: int, numbers: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Room for what `of` gives for a projection, to be filled; kept where there is enough."""
        eights = -(-numbers.size // 8)
        if projection not in self._places:
            return np.empty((eights, self._room.shape[2]), np.uint8)
        packed = self._room[self._places[projection], :eights]
        self._kept[projection] = numbers, packed
        return packed

    def of(self, projection: int) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
        """The numbers of the frames of a projection that are not all dark, and their lit pixels.

        These are (lit frames / 8, rows * cols), as `pack` gives them.
        """
        if projection in self._kept:
            return self._kept[projection]
        illuminated = self._model.illuminated_frames(projection)
        return illuminated.numbers, pack(illuminated.frames)


@dataclass(frozen=True)
class IlluminatedCells:
    """The frames of one projection that are not dark all over, in cells of pixels."""

    projection: int
    numbers: NDArray[np.int64]  # (lit frames,): which frames
    cells: IlluminatedPixels  # the cells that any of them lights
    images: Frames  # (cells + 1, lit frames): their intensities; the last row is zero


def read_illuminated(
    model: ScanModel,
    number: int,
    cell_pix: int,
    bits: IlluminatedBits | None,
    rooms: Rooms | None = None,
) -> IlluminatedCells:
    """Read the lit frames of a projection where they are lit, for a backprojection.

    `cell_pix`: edge, in pixels, of the cells into which pixels are merged. `rooms`: lend the memory
    of the images.
    """
    numbers, frames = model.illuminated_frames(number)[:2]
    if bits is None:
        return IlluminatedCells(number, numbers, *lit_cells(frames, cell_pix, rooms=rooms))
    merged = lit_cells(frames, cell_pix, bits=bits.keep(number, numbers), rooms=rooms)
    return IlluminatedCells(number, numbers, *merged)


def pack(frames: AnyFloats | NDArray[np.bool_]) -> NDArray[np.uint8]:
    """One bit for each pixel that is lit: (frames, rows, cols) to (frames / 8, rows * cols)."""
    return np.packbits((frames > 0).reshape(len(frames), -1), axis=0, bitorder="little")


@njit(parallel=True, cache=True, nogil=True)
def count_illuminated(hits, seen, points, affine, bits, known, frame_of, kinds):  # type: ignore[no-untyped-def]
    """Count, for each voxel, whether its own frame is lit at the pixel nearest to it.

    `hits` and `seen`, (voxels,), are added to: projections in which the frame is lit, and in which
    it could be. `bits`, (frames / 8, rows * cols): lit pixels of some frames, as `pack` gives them;
    `known`, (rows, cols): the pixels that count. `frame_of`, (kinds,): which of the frames a kind
    of voxel ought to light, `DARK` or `UNMEASURED`; `kinds`, (voxels,): the kind of each, below 0
    for none.
    """
    rows, cols = known.shape
    counts = known.reshape(-1)
    for voxel in prange(points.shape[0]):
        kind = kinds[voxel]
        if kind < 0 or frame_of[kind] == UNMEASURED:
            continue
        x, y, z = points[voxel]
        down = affine[0, 0] * x + affine[0, 1] * y + affine[0, 2] * z + affine[0, 3] + 0.5
        right = affine[1, 0] * x + affine[1, 1] * y + affine[1, 2] * z + affine[1, 3] + 0.5
        if 0 <= down < rows and 0 <= right < cols:
            # Without a sign: a negative place would be asked for each time.
            pixel = np.uint64(down) * np.uint64(cols) + np.uint64(right)
            seen[voxel] += counts[pixel]
            if counts[pixel] and frame_of[kind] >= 0:
                frame = np.uint64(frame_of[kind])
                byte = bits[frame >> np.uint64(3), pixel]
                hits[voxel] += (byte >> (frame & np.uint64(7))) & np.uint8(1)
