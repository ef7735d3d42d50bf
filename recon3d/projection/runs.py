"""Values of voxels in a run of successive orientation bins each, one after another in memory.

A voxel of a grain fills few of all bins. Without the others there is less to read and to add.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numba import prange
from numpy.typing import NDArray

from recon3d.projection.kernels import AnyFloats
from recon3d.runtime.compiled import njit


@dataclass(frozen=True)
class BinRuns:
    """Values of voxels, each in a run of bins of its own; zero in all other bins."""

    values: AnyFloats  # voxel by voxel
    # (voxels + 1,): where the values of each voxel start, and where those of the last one end
    starts: NDArray[np.int64]
    firsts: NDArray[np.int64]  # (voxels,): the first bin of each run
    bins: int  # how many bins there are

    @classmethod
    def whole(cls, volume: AnyFloats) -> BinRuns:
        """All bins of a volume (voxels, bins), C-contiguous; in its memory."""
        voxels, bins = volume.shape
        starts = np.arange(voxels + 1) * bins
        return cls(volume.reshape(-1), starts, np.zeros(voxels, np.int64), bins)

    @classmethod
    def of(cls, volume: AnyFloats) -> BinRuns:
        """Runs from the first to the last bin of each voxel that is not zero, to `take` it into."""
        firsts, lengths = np.empty((2, len(volume)), np.int64)
        _find_runs(volume, firsts, lengths)
        starts = np.concatenate([[0], np.cumsum(lengths)])
        return cls(np.empty(starts[-1], volume.dtype), starts, firsts, volume.shape[1])

    @cached_property
    def share(self) -> float:
        """Share of all bins of all voxels that are in a run."""
        return self.values.size / max(self.firsts.size * self.bins, 1)

    def empty(self) -> BinRuns:
        """Zeros in the same runs."""
        return BinRuns(np.zeros_like(self.values), self.starts, self.firsts, self.bins)

    def take(self, volume: AnyFloats) -> None:
        """Fill the values from a volume, (voxels, bins)."""
        _take(self.values, self.starts, self.firsts, volume)

    def add_to(self, volume: AnyFloats) -> None:
        """Add the values to a volume, (voxels, bins), in place."""
        _add(self.values, self.starts, self.firsts, volume)


@njit(parallel=True, cache=True, nogil=True)
def cut_tails(volume, share):  # type: ignore[no-untyped-def]
    """Set to zero what lies before and after a voxel's bins that hold a share of its largest.

    `volume`: (voxels, bins), changed in place.
    """
    for voxel in prange(volume.shape[0]):
        line = volume[voxel]
        least = share * line.max()
        first, last = 0, line.size
        while first < last and line[first] <= least:
            line[first] = 0
            first += 1
        while first < last and line[last - 1] <= least:
            last -= 1
            line[last] = 0


@njit(parallel=True, cache=True, nogil=True)
def _find_runs(volume, firsts, lengths):  # type: ignore[no-untyped-def]
    for voxel in prange(volume.shape[0]):
        line = volume[voxel]
        first, last = 0, line.size
        while first < last and line[first] == 0:
            first += 1
        while first < last and line[last - 1] == 0:
            last -= 1
        firsts[voxel], lengths[voxel] = first, last - first


@njit(parallel=True, cache=True, nogil=True)
def _take(values, starts, firsts, volume):  # type: ignore[no-untyped-def]
    for voxel in prange(firsts.size):
        run = values[starts[voxel] : starts[voxel + 1]]
        line = volume[voxel, firsts[voxel] : firsts[voxel] + run.size]
        for i in range(run.size):
            run[i] = line[i]


@njit(parallel=True, cache=True, nogil=True)
def _add(values, starts, firsts, volume):  # type: ignore[no-untyped-def]
    for voxel in prange(firsts.size):
        run = values[starts[voxel] : starts[voxel + 1]]
        line = volume[voxel, firsts[voxel] : firsts[voxel] + run.size]
        for i in range(run.size):
            line[i] += run[i]
