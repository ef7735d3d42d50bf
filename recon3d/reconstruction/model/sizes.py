"""From coarse to fine: the sizes of voxels and pixels that a grain is fitted at, one by one.

Large voxels on merged pixels tell axis, drift, widths and which orientations there are at a
small part of the cost. What they leave is where the next size begins.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from math import prod

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation

from recon3d.config.experiment import Experiment
from recon3d.config.volume import Volume
from recon3d.files.store import CleanedScan
from recon3d.projection.cells import cell_width
from recon3d.projection.kernels import Frames
from recon3d.readers.source import Binning
from recon3d.reconstruction.model.scan_model import (
    ImagePixels,
    ScanModel,
    UnknownPixels,
    projection_geometry,
)
from recon3d.reconstruction.model.scanned import gamma_scanned

FEWEST_VOXELS = 8000
"""Voxels of the whole volume below which larger ones tell too little."""

FINER_PASSES = 3
COARSEST_PASSES = 4
"""Passes at every size but the coarsest, and at least so many at that."""

LEAST_OCCUPANCY = 0.1
"""Occupancy of a large voxel from which on it, and those around it, may be grain."""

ROWS = 1 << 14
"""Voxels that are worked on at a time."""

MOST_BYTES = 1 << 30
"""Memory that kept frames may take; the others are read and merged each time."""


@dataclass(frozen=True)
class Size:
    """One size of voxels and pixels."""

    store: CleanedScan  # the scan, with pixels merged that voxels would not resolve
    experiment: Experiment  # its volume divided into voxels of this size
    unknown: UnknownPixels | None = None  # pixels that say nothing; None where all of them do


def sizes_of(model: ScanModel, experiment: Experiment) -> list[Size]:
    """The sizes at which a scan is fitted, the coarsest first, the wanted one last.

    There is one size of voxels where they or the passes are few. Where γ was not scanned, too:
    large voxels hide a bend that shows in μ alone. Pixels that voxels do not resolve are merged all
    the same, but for a backprojection, which takes cells of them itself.
    """
    store = model.store
    iterations, voxels = experiment.settings.iterations, prod(experiment.volume.shape)
    if experiment.settings.method != "iterative":
        return [Size(store, experiment, model.unknown)]
    levels, most = 0, (iterations - COARSEST_PASSES) // FINER_PASSES
    while gamma_scanned(store) and levels < most and voxels >= FEWEST_VOXELS * 8 ** (levels + 1):
        levels += 1
    pixel_um = max(store.binning) / experiment.detector.magnification_pix_per_um
    sizes: list[Size] = []
    merged = 1
    for level in range(levels + 1):
        volume = merged_volume(experiment.volume, 1 << level)
        across = cell_width(min(volume.voxel_um) / pixel_um) or 1
        more = max(across // merged, 1)
        store, merged = merged_scan(store, more), merged * more
        unknown = _merged_unknown(model, store, merged)
        sizes.insert(0, Size(store, replace(experiment, volume=volume), unknown))
    return sizes


def merged_volume(volume: Volume, times: int) -> Volume:
    """The volume in voxels `times` as large, beginning at the same corner."""
    nx, ny, nz = (-(-n // times) for n in volume.shape)
    x, y, z = (n * times * edge for n, edge in zip((nx, ny, nz), volume.voxel_um, strict=True))
    px, py, pz = (
        corner + size / 2 for corner, size in zip(volume.corner_um, (x, y, z), strict=True)
    )
    return Volume((px, py, pz), (x, y, z), (nx, ny, nz))


def _merged_unknown(model: ScanModel, store: CleanedScan, times: int) -> UnknownPixels | None:
    """Merged pixels of which some part is unknown."""
    if model.unknown is None or times == 1:
        return model.unknown
    before, pixels = model.pixels, ImagePixels.of(store, model.detector)
    rows, cols = store.shape[2:]
    shape = (cols, rows) if model.detector.transpose else (rows, cols)
    # Of pixels left over, those at the end of a flipped image are at its beginning.
    first = np.rint((pixels.corner - before.corner) / before.size).astype(int)
    stop = first + times * np.array(shape)
    dead = model.unknown.dead[first[0] : stop[0], first[1] : stop[1]]
    blocks = np.asarray(dead.reshape(shape[0], times, shape[1], times).any(axis=(1, 3)))
    lit = model.unknown.lit - first
    begin, end = -(-lit[:, 0] // times), lit[:, 1] // times
    return UnknownPixels(blocks, np.clip(np.stack([begin, end], axis=1), 0, shape))


def seen_in(model: ScanModel, size: Size) -> ScanModel:
    """A model of the same scan with pixels merged otherwise."""
    before, pixels = model.pixels, ImagePixels.of(size.store, model.detector)
    axis = pixels.col_of(before.detector_col(model.geometry.centre_col_pix))
    return replace(
        model,
        store=size.store,
        geometry=projection_geometry(size.experiment, pixels, axis),
        drift_pix=model.drift_pix * before.size / pixels.size,
        unknown=size.unknown,
    )


@dataclass(frozen=True)
class Coarse:
    """What a fit with larger voxels has found."""

    volume: NDArray[np.float32]  # (voxels, columns): its orientation distributions
    columns: NDArray[np.int64]  # numbers of the bins that they hold
    inside: NDArray[np.int64]  # (voxels,): numbers of its voxels in a volume of shape `shape`
    shape: tuple[int, ...]  # voxels of its volume along each axis
    ratio: int  # how many of the finer voxels make one of them along each axis

    def neighbours(
        self, inside: NDArray[np.int64], shape: tuple[int, ...]
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The large voxels around finer ones, -1 for none, and their shares, (voxels, 8) each.

        `inside`, `shape`: numbers of the finer voxels in a volume of some shape.
        """
        row_of = np.full(prod(self.shape), -1)
        row_of[self.inside] = np.arange(len(self.inside))
        place = (np.stack(np.unravel_index(inside, shape)) + 0.5) / self.ratio - 0.5
        first = np.floor(place).astype(np.int64)
        part = (place - first).astype(np.float32)
        rows = np.empty((len(inside), 8), np.int64)
        shares = np.ones((len(inside), 8), np.float32)
        last = np.array(self.shape)[:, None] - 1
        for corner, steps in enumerate(np.ndindex(2, 2, 2)):
            at = np.clip(first + np.array(steps)[:, None], 0, last)
            rows[:, corner] = row_of[np.ravel_multi_index(tuple(at), self.shape)]
            for axis, step in enumerate(steps):
                shares[:, corner] *= part[axis] if step else 1 - part[axis]
        return rows, shares

    def filler(
        self, inside: NDArray[np.int64], shape: tuple[int, ...]
    ) -> Callable[[slice, Frames], None]:
        """What fills rows of finer distributions: interpolated, their sum over the grain kept."""

        def fill(rows: slice, out: Frames) -> None:
            first, stop, _ = rows.indices(len(out))
            for start in range(first, stop, ROWS):
                part = slice(start, min(start + ROWS, stop))
                near, shares = self.neighbours(inside[part], shape)
                shares *= (near >= 0) / np.float32(self.ratio**3)
                out[part] = 0
                for corner in range(8):
                    out[part] += shares[:, corner, None] * self.volume[near[:, corner]]

        return fill


def may_be_grain(
    occupancy: NDArray[np.float32], shape: tuple[int, ...], ratio: int
) -> NDArray[np.bool_]:
    """Which finer voxels may be grain, by the occupancy of larger ones, (nx, ny, nz).

    `shape`: finer voxels along each axis, of which `ratio` make a larger one.
    """
    near = binary_dilation(occupancy > LEAST_OCCUPANCY, np.ones((3, 3, 3), bool))
    for axis in range(3):
        near = near.repeat(ratio, axis=axis)
    return near[: shape[0], : shape[1], : shape[2]]


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class MergedScan(CleanedScan):
    """A cleaned scan whose pixels are summed in blocks."""

    source: CleanedScan  # the scan that frames are read from
    times: int  # how many of its pixels make one, along rows and along columns
    # by the numbers of projections: sums, and lit frames as their numbers, shape, bits and counts
    _summed: dict[int, Frames] = field(default_factory=dict)
    _lit: dict[int, tuple[NDArray[np.int64], tuple[int, ...], NDArray[np.uint8], Frames]] = field(
        default_factory=dict
    )

    def read_summed(self, k: int) -> Frames:
        """Read the sum over the frames of projection `k`, (rows, cols)."""
        k %= len(self)
        if k not in self._summed:
            self._summed[k] = self._merge(self.source.read_summed(k)[None])[0]
        return self._summed[k]

    @property
    def summed(self) -> Frames:
        """Each projection's sum over its frames, (projections, rows, cols)."""
        return np.stack([self.read_summed(k) for k in range(len(self))])

    def read_illuminated(self, k: int) -> tuple[NDArray[np.int64], Frames]:
        """Read the frames of projection `k` that are not all dark: their numbers, and counts."""
        k %= len(self)
        if k in self._lit:
            numbers, shape, bits, counts = self._lit[k]
            frames = np.zeros(shape, np.float32)
            frames.reshape(-1)[np.unpackbits(bits, count=frames.size).view(bool)] = counts
            return numbers, frames
        numbers, frames = self.source.read_illuminated(k)
        merged = self._merge(frames)
        kept = list(self._lit.values())  # others may be reading, too
        if sum(bits.nbytes + counts.nbytes for *_, bits, counts in kept) < MOST_BYTES:
            lit = merged > 0
            self._lit[k] = numbers, merged.shape, np.packbits(lit), merged[lit]
        return numbers, merged

    def read_projection(self, k: int) -> Frames:
        """Read the frames of projection `k`, (frames, rows, cols), zero where dark."""
        frames = np.zeros(self.shape[1:], np.float32)
        numbers, lit = self.read_illuminated(k)
        frames[numbers] = lit
        return frames

    def _merge(self, images: Frames) -> Frames:
        """Sum the blocks of images, (n, rows, cols)."""
        block = Binning(self.times, self.times)
        merged = np.empty((len(images), *self.shape[2:]), np.float32)
        for image, out in zip(images, merged, strict=True):
            block.sum_into(image, out)
        return merged


def merged_scan(store: CleanedScan, times: int) -> CleanedScan:
    """The same scan with blocks of `times` x `times` pixels merged; rows left over are dropped."""
    if times == 1:
        return store
    binning = Binning(store.binning.rows * times, store.binning.cols * times)
    known = {each.name: getattr(store, each.name) for each in fields(CleanedScan)}
    return MergedScan(**known | {"binning": binning}, source=store, times=times)
