"""Frames of an HDF5 file, read one by one."""

from __future__ import annotations

from pathlib import Path
from threading import Lock
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from recon3d.io.source import Roi

_BLOCK_BYTES = 1 << 28
_KEPT_OPEN = 2


class FrameReader:
    """Reads frames from the datasets of one file, which stays open meanwhile.

    Where a chunk holds one frame, frames are read singly, as quick as in runs. Where it
    holds several, all of them are read at once and kept until one of another is wanted.

    Parameters
    ----------
    path
        The file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = Lock()
        self._file: h5py.File | None = None
        self._datasets: dict[str, h5py.Dataset] = {}
        self._block: tuple[Any, NDArray[Any]] | None = None

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
        with self._lock:
            frames = self._open(dataset)
            first, count = _run(frames, frame, roi)
            key = (dataset, first, count, roi)
            if self._block is None or self._block[0] != key:
                self._block = None
                self._block = key, _read_block(frames, slice(first, first + count), roi)
            block = self._block[1]
            if count == 1:
                self._block = None
                return block[0]
            return block[frame - first].copy()

    def _open(self, dataset: str) -> h5py.Dataset:
        """A dataset of the file; the ones used last stay open, with the files they point to."""
        if self._file is None:
            self._file = h5py.File(self._path, "r", locking=False)
        frames = self._datasets.pop(dataset, None)
        if frames is None:
            frames = self._file[dataset]
        self._datasets[dataset] = frames
        while len(self._datasets) > _KEPT_OPEN:
            del self._datasets[next(iter(self._datasets))]
        return frames


def _run(frames: h5py.Dataset, frame: int, roi: Roi) -> tuple[int, int]:
    """First and number of the frames to read with one that is wanted."""
    together = frames.chunks[0] if frames.chunks else 1
    affordable = _BLOCK_BYTES // (roi.rows * roi.cols * frames.dtype.itemsize)
    count = max(1, min(together, affordable))
    first = frame - frame % count
    return first, min(count, len(frames) - first)


def _read_block(frames: h5py.Dataset, places: slice, roi: Roi) -> NDArray[Any]:
    rows = slice(roi.row, roi.row + roi.rows)
    cols = slice(roi.col, roi.col + roi.cols)
    pixels = frames[places, rows, cols]
    return np.asarray(pixels, dtype=frames.dtype.newbyteorder("="))
