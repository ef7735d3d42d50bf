"""Frames of an HDF5 file, read one by one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar

import h5py
import numpy as np
from numpy.typing import NDArray

from recon3d.io.bliss_entries import open_unlocked
from recon3d.io.source import Roi

T = TypeVar("T")
_BLOCK_BYTES = 1 << 28
_LONGEST_RUN = 16


@dataclass(frozen=True, eq=False)
class _Block:
    """Successive frames of a dataset inside a ROI, from `first` on."""

    dataset: str
    roi: Roi
    first: int
    pixels: NDArray[Any]

    @property
    def end(self) -> int:
        return self.first + len(self.pixels)


class FrameReader:
    """Reads frames from the datasets of one file, which is open only while it is read.

    A file that stays open would be in the way of anyone who opens it otherwise. As opening
    takes as long as reading a small frame, frames that are wanted in their order are read
    in runs, the longer the more of them. Where a chunk holds several frames, all of them are
    read at once: they would be decompressed again for each.

    Parameters
    ----------
    path
        The file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = Lock()
        self._block: _Block | None = None

    def __reduce__(self) -> tuple[type[FrameReader], tuple[Path]]:
        return FrameReader, (self._path,)

    def read(self, dataset: str, frame: int, roi: Roi) -> NDArray[Any]:
        """Pixels of a frame inside `roi`, shape (rows, cols), in native byte order.

        Parameters
        ----------
        dataset
            Path of the frames in the file.
        frame
            Index of the frame in them.
        roi
            The part that is wanted; only it is read.
        """
        return self._read(dataset, frame, roi, np.copy)

    def read_into(self, dataset: str, frame: int, roi: Roi, out: NDArray[Any]) -> None:
        """Write the pixels of a frame into an array; parameters as in `read`."""
        self._read(dataset, frame, roi, lambda pixels: np.copyto(out, pixels))

    def _read(self, dataset: str, frame: int, roi: Roi, take: Callable[[NDArray[Any]], T]) -> T:
        """Find a frame, and take its pixels before anyone else reads."""
        with self._lock:
            block = self._block
            if block is None or (block.dataset, block.roi) != (dataset, roi):
                block = None
            if block is None or not block.first <= frame < block.end:
                self._block = None
                block = self._block = self._read_block(dataset, frame, roi, block)
            return take(block.pixels[frame - block.first])

    def _read_block(self, dataset: str, frame: int, roi: Roi, last: _Block | None) -> _Block:
        follows = last is not None and frame == last.end
        ahead = min(2 * len(last.pixels), _LONGEST_RUN) if last is not None and follows else 1
        with open_unlocked(self._path) as file:
            frames = file[dataset]
            together = frames.chunks[0] if frames.chunks else 1
            affordable = max(1, _BLOCK_BYTES // (roi.rows * roi.cols * frames.dtype.itemsize))
            first = frame
            if together > 1:
                ahead = min(together, affordable)
                first = frame - frame % ahead
            places = slice(first, first + min(ahead, affordable))
            try:
                return _Block(dataset, roi, first, _pixels(frames, places, roi))
            except (OSError, RuntimeError):
                # One of the frames ahead may be the damaged one.
                alone = slice(frame, frame + 1)
                return _Block(dataset, roi, frame, _pixels(frames, alone, roi))


def _pixels(frames: h5py.Dataset, places: slice, roi: Roi) -> NDArray[Any]:
    rows = slice(roi.row, roi.row + roi.rows)
    cols = slice(roi.col, roi.col + roi.cols)
    pixels = frames[places, rows, cols]
    return np.asarray(pixels, dtype=frames.dtype.newbyteorder("="))
