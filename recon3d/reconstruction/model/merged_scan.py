"""A cleaned scan with pixels merged into larger ones, its frames kept in memory once read."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from recon3d.files.store import CleanedScan
from recon3d.readers.pixel_binning import Binning

Frames = NDArray[np.float32]

MOST_BYTES = 1 << 30
"""Memory that kept frames may take; the others are read and merged each time."""


class Packed(NamedTuple):
    """The lit frames of a projection, without their dark pixels.

    Parameters
    ----------
    numbers, shape (lit frames,)
        Which frames.
    shape
        (lit frames, rows, cols).
    lit
        One bit a pixel: whether it is lit.
    values
        Counts of the lit pixels, in C order.
    """

    numbers: NDArray[np.int64]
    shape: tuple[int, ...]
    lit: NDArray[np.uint8]
    values: Frames

    @classmethod
    def of(cls, numbers: NDArray[np.int64], frames: Frames) -> Packed:
        """Pack some frames."""
        lit = frames > 0
        return cls(numbers, frames.shape, np.packbits(lit), frames[lit])

    @property
    def nbytes(self) -> int:
        """Memory that it takes."""
        return self.lit.nbytes + self.values.nbytes

    def frames(self) -> Frames:
        """The frames, (lit frames, rows, cols)."""
        frames = np.zeros(self.shape, np.float32)
        lit = np.unpackbits(self.lit, count=frames.size).view(bool)
        frames.reshape(-1)[lit] = self.values
        return frames


@dataclass
class Kept:
    """What was read so far, by the numbers of the projections."""

    frames: dict[int, Packed] = field(default_factory=dict)
    summed: dict[int, Frames] = field(default_factory=dict)
    room: int = MOST_BYTES


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class MergedScan(CleanedScan):
    """A cleaned scan whose pixels are summed in blocks.

    Parameters
    ----------
    source
        The scan that frames are read from.
    times
        How many of its pixels make one, along rows and along columns.
    path, kind, axes, ...
        As of a `recon3d.files.store.CleanedScan`.
    """

    source: CleanedScan
    times: int
    _kept: Kept = field(default_factory=Kept)

    def read_summed(self, k: int) -> Frames:
        """Read the sum over the frames of projection `k`, (rows, cols)."""
        k %= len(self)
        if k not in self._kept.summed:
            self._kept.summed[k] = self._merge(self.source.read_summed(k)[None])[0]
        return self._kept.summed[k]

    @property
    def summed(self) -> Frames:
        """Each projection's sum over its frames, (projections, rows, cols)."""
        return np.stack([self.read_summed(k) for k in range(len(self))])

    def read_illuminated(self, k: int) -> tuple[NDArray[np.int64], Frames]:
        """Read the frames of projection `k` that are not dark all over.

        Returns
        -------
        numbers, shape (lit frames,)
            Which frames they are.
        frames, shape (lit frames, rows, cols)
            Their counts.
        """
        k %= len(self)
        kept = self._kept
        if k in kept.frames:
            packed = kept.frames[k]
            return packed.numbers, packed.frames()
        numbers, frames = self.source.read_illuminated(k)
        merged = self._merge(frames)
        if kept.room > 0:
            kept.frames[k] = packed = Packed.of(numbers, merged)
            kept.room -= packed.nbytes
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
    """The same scan with blocks of `times` x `times` pixels merged; rows left over are dropped.

    Parameters
    ----------
    store
        The scan; itself where nothing is to be merged.
    times
        How many of its pixels make one, along rows and along columns.
    """
    if times == 1:
        return store
    binning = Binning(store.binning.rows * times, store.binning.cols * times)
    known = {each.name: getattr(store, each.name) for each in fields(CleanedScan)}
    return MergedScan(**known | {"binning": binning}, source=store, times=times)
