"""Datasets of frames in an entry of a BLISS file: where they are, and which are whole."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar

import h5py
import numpy as np
from numpy.typing import NDArray

from recon3d.errors import DataError
from recon3d.readers.bliss.entries import explained, item_at, open_unlocked
from recon3d.readers.source import Roi

_WITHOUT_LIMIT = 1 << 62
BoolArray = NDArray[np.bool_]


def frame_datasets(entry: h5py.Group) -> dict[str, str]:
    """Path in the entry of each detector's frames, by the detector's name.

    Frames are known by their kind: three axes and numbers, as `image` or `data` of a group
    in `instrument`, or in `measurement`.
    """
    found: dict[str, str] = {}
    for name, path in _places(entry):
        if _holds_frames(entry, path):
            found.setdefault(name, path)
    return found


def lost_frames(entry: h5py.Group, detector: str) -> str:
    """Where the frames of a detector would be, if a link did not lead nowhere; or nothing."""
    for name, path in _places(entry):
        if name == detector:
            try:
                item_at(entry, path)
            except (KeyError, OSError, RuntimeError) as error:
                return f"{_target(entry, path)} cannot be opened ({error})"
    return ""


def _places(entry: h5py.Group) -> Iterator[tuple[str, str]]:
    """The names of what may be a detector, and where its frames would be."""
    instrument = item_at(entry, "instrument")
    for name in instrument if isinstance(instrument, h5py.Group) else ():
        yield name, f"instrument/{name}/image"
        yield name, f"instrument/{name}/data"
    measurement = item_at(entry, "measurement")
    for name in measurement if isinstance(measurement, h5py.Group) else ():
        yield name, f"measurement/{name}"


def _holds_frames(entry: h5py.Group, path: str) -> bool:
    item = entry.get(path)
    return isinstance(item, h5py.Dataset) and item.ndim == 3 and item.dtype.kind in "iuf"


def _target(entry: h5py.Group, path: str) -> str:
    """What a link points to, as far as that is known."""
    link = entry.get(path, getlink=True)
    if isinstance(link, h5py.ExternalLink):
        return f"the file {link.filename}, to which {path} points,"
    return path


@dataclass(frozen=True, eq=False)
class Presence:
    """Which frames of a dataset are on the disk.

    HDF5 gives zeros for those that are not, without a word.

    Parameters
    ----------
    whole
        Shape (frames,): True where every pixel of the frame is there.
    missing
        What is wrong with files that should hold others, in words.
    """

    whole: BoolArray
    missing: tuple[str, ...] = ()


def presence(frames: h5py.Dataset) -> Presence:
    """Find the frames that are on the disk, in this file or those that it points to.

    Parameters
    ----------
    frames
        Shape (frames, rows, cols).
    """
    if frames.is_virtual:
        return _virtual_presence(frames)
    if frames.chunks is not None:
        return Presence(_frames_in_chunks(frames))
    if frames.external is not None:
        return _raw_presence(frames)
    return Presence(np.full(len(frames), frames.id.get_storage_size() > 0))


def _raw_presence(frames: h5py.Dataset) -> Presence:
    """Frames in raw files beside the HDF5 file, found as HDF5 finds them."""
    missing = []
    for name, offset, size in frames.external:
        path = Path(os.environ.get("HDF5_EXTFILE_PREFIX", "")) / name
        if not path.is_file():
            missing.append(f"the file {name} is missing")
        elif size < _WITHOUT_LIMIT and path.stat().st_size < offset + size:
            missing.append(f"the file {name} is too short: {path.stat().st_size} bytes")
    return Presence(np.full(len(frames), not missing), tuple(missing))


def _frames_in_chunks(frames: h5py.Dataset) -> BoolArray:
    """Frames of which every chunk has been written."""
    counts = [-(-size // chunk) for size, chunk in zip(frames.shape, frames.chunks, strict=True)]
    if frames.id.get_num_chunks() >= np.prod(counts):
        return np.ones(len(frames), bool)
    written = np.zeros(counts[0], int)

    def count(chunk: h5py.h5d.StoreInfo) -> None:
        written[chunk.chunk_offset[0] // frames.chunks[0]] += 1

    frames.id.chunk_iter(count)
    return np.repeat(written == counts[1] * counts[2], frames.chunks[0])[: len(frames)]


def _virtual_presence(frames: h5py.Dataset) -> Presence:
    """Frames that other files provide: the pixels that they really hold are counted."""
    pixels = np.zeros(len(frames), np.int64)
    missing: list[str] = []
    for source in frames.virtual_sources():
        low, high = source.vspace.get_select_bounds()
        places = slice(low[0], high[0] + 1)
        count = places.stop - places.start
        try:
            with _opened_source(frames, source.file_name) as file:
                there = _source_frames(file, source, count)
        except DataError as error:
            missing.append(str(error))
            continue
        pixels[places] += np.where(there, source.vspace.get_select_npoints() // count, 0)
    return Presence(pixels >= frames.shape[1] * frames.shape[2], tuple(dict.fromkeys(missing)))


def _source_frames(file: h5py.File, source: h5py.VDSmap, count: int) -> BoolArray:
    """Which of the `count` frames that a source should give are in it."""
    held = file.get(source.dset_name)
    if not isinstance(held, h5py.Dataset):
        raise DataError(f"{file.filename} has no dataset {source.dset_name}")
    found = presence(held)
    if found.missing:
        raise DataError("; ".join(found.missing))
    first, wanted = 0, count
    if source.src_space.get_select_type() != h5py.h5s.SEL_ALL:  # which knows no bounds
        low, high = source.src_space.get_select_bounds()
        first, wanted = low[0], high[0] + 1 - low[0]
    there = np.zeros(wanted, bool)
    own = found.whole[first : first + wanted]
    there[: own.size] = own
    return there if wanted == count else np.full(count, there.all())


@contextmanager
def _opened_source(frames: h5py.Dataset, name: str) -> Iterator[h5py.File]:
    """Lend the file of a virtual source, found as HDF5 finds it."""
    if name == ".":
        yield frames.file
        return
    path = next((p for p in _source_paths(frames.file.filename, name) if p.is_file()), None)
    if path is None:
        raise DataError(f"the file {name} is missing")
    with explained(path), open_unlocked(path) as file:
        yield file


def _source_paths(master: str, name: str) -> Iterator[Path]:
    """Where HDF5 looks for the file of a virtual source of `master`, in its order."""
    prefix = os.environ.get("HDF5_VDS_PREFIX")
    if prefix:
        yield Path(prefix) / name
    for beside in (Path(master).parent, Path(master).resolve().parent):
        yield beside / name
        if Path(name).is_absolute():
            yield beside / Path(name).name
    yield Path(name)


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
