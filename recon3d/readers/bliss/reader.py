"""Frames of a BLISS file, read when they are asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

from numpy.typing import NDArray

from recon3d.errors import DataError
from recon3d.readers.bliss.datasets import frame_axes, read_frames
from recon3d.readers.bliss.entries import open_unlocked
from recon3d.readers.source import Roi

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

    def read(self, dataset: str, frame: int, roi: Roi, out: NDArray[Any] | None = None) -> Any:
        """Pixels of a frame inside `roi`, shape (rows, cols), in native byte order.

        Parameters
        ----------
        dataset
            Path of the frames in the file.
        frame
            Index of the frame in them.
        roi
            The part that is wanted; only it is read.
        out
            Where to write the pixels; None for a new array.
        """
        with self._lock:
            block = self._block
            if block is not None and (block.dataset, block.roi) != (dataset, roi):
                block = None
            if block is None or not block.first <= frame < block.end:
                self._block = None
                block = self._block = self._read_block(dataset, frame, roi, block)
            pixels = block.pixels[frame - block.first]
            if out is None:
                return pixels.copy()
            out[...] = pixels
            return out

    def _read_block(self, dataset: str, frame: int, roi: Roi, last: _Block | None) -> _Block:
        follows = last is not None and frame == last.end
        ahead = min(2 * len(last.pixels), _LONGEST_RUN) if last is not None and follows else 1
        with open_unlocked(self._path) as file:
            frames = file[dataset]
            axes = frame_axes(frames.shape)
            together = frames.chunks[axes[0]] if frames.chunks and axes else 1
            affordable = max(1, _BLOCK_BYTES // (roi.rows * roi.cols * frames.dtype.itemsize))
            first = frame
            if together > 1:
                ahead = min(together, affordable)
                first = frame - frame % ahead
            places = slice(first, first + min(ahead, affordable))
            try:
                return _Block(dataset, roi, first, read_frames(frames, places, roi))
            except (OSError, RuntimeError, DataError):
                # One of the frames ahead may be the damaged one.
                alone = slice(frame, frame + 1)
                return _Block(dataset, roi, frame, read_frames(frames, alone, roi))
