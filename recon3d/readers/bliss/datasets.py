"""Datasets of frames in an entry of a BLISS file: where they are, which are whole, their pixels."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from recon3d.errors import DataError
from recon3d.readers.bliss.entries import explained, item_at, link_target, open_unlocked
from recon3d.readers.source import Roi

_WITHOUT_LIMIT = 1 << 62
_OFTEN_SINGLE = (1, 0, -1, -2)
"""Where an axis of length 1 is looked for, in this order, in frames of more than three axes."""
_BITSHUFFLE, _FLETCHER32 = 32008, h5py.h5z.FILTER_FLETCHER32
_COMPRESSORS = (2, 3)
"""LZ4 and zstd: of these bitshuffle believes the lengths that a chunk gives its blocks."""
_BLOCK_BYTES = 1 << 28
_LONGEST_RUN = 16
"""Memory that frames read ahead may take, and how many are at most."""
BoolArray = NDArray[np.bool_]


def frame_axes(shape: tuple[int, ...]) -> tuple[int, int, int] | None:
    """Which axes of a dataset are (frame, row, column), those of length 1 aside, if it can."""
    axes = list(range(len(shape)))
    while len(axes) > 3:
        single = next((i for i in _OFTEN_SINGLE if shape[axes[i]] == 1), None)
        if single is None:
            return None
        del axes[single]
    return (axes[0], axes[1], axes[2]) if len(axes) == 3 else None


def shape_of(frames: h5py.Dataset) -> tuple[int, int, int]:
    """Number of frames, rows and columns of a dataset of frames."""
    first, rows, cols = _axes(frames)
    return frames.shape[first], frames.shape[rows], frames.shape[cols]


def _axes(frames: h5py.Dataset) -> tuple[int, int, int]:
    axes = frame_axes(frames.shape)
    if axes is None:
        raise DataError(f"{frames.name} has the shape {frames.shape}: these are no frames")
    return axes


def frame_datasets(entry: h5py.Group) -> dict[str, str]:
    """Path in the entry of each detector's frames, by the detector's name.

    Frames are known by their kind: three axes (beside axes of length 1) of numbers, as `image`
    or `data` of a group in `instrument`, or in `measurement`.
    """
    found: dict[str, str] = {}
    for name, path in _places(entry):
        item = entry.get(path)
        numbers = isinstance(item, h5py.Dataset) and item.dtype.kind in "iuf" and item.shape
        if numbers and frame_axes(item.shape) is not None:
            found.setdefault(name, path)
    return found


def lost_frames(entry: h5py.Group, detector: str = "") -> str:
    """Why the frames of a detector, or of any, cannot be opened where a link to them leads."""
    for name, path in _places(entry):
        if not detector or name == detector:
            try:
                item_at(entry, path)
            except (KeyError, OSError, RuntimeError) as error:
                target = link_target(entry, path)
                place = f"the file {target}, to which {path} points," if target else path
                return f"{place} cannot be opened ({error})"
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


def presence(frames: h5py.Dataset) -> tuple[BoolArray, tuple[str, ...]]:
    """Which frames are whole, in this file or those that it points to, and what is missing.

    HDF5 silently gives zeros for frames that are not there.
    """
    count = shape_of(frames)[0]
    if frames.is_virtual:
        return _virtual_presence(frames)
    if frames.chunks is not None:
        return _frames_in_chunks(frames), ()
    if frames.external is not None:
        return _raw_presence(frames)
    return np.full(count, frames.id.get_storage_size() > 0), ()


def _raw_presence(frames: h5py.Dataset) -> tuple[BoolArray, tuple[str, ...]]:
    """Frames in raw files beside the HDF5 file, found as HDF5 finds them."""
    missing = []
    for name, offset, size in frames.external:
        path = Path(os.environ.get("HDF5_EXTFILE_PREFIX", "")) / name
        if not path.is_file():
            missing.append(_missing(name))
        elif size < _WITHOUT_LIMIT and path.stat().st_size < offset + size:
            missing.append(f"the file {name} is too short: {path.stat().st_size} bytes")
    return np.full(shape_of(frames)[0], not missing), tuple(missing)


def _frames_in_chunks(frames: h5py.Dataset) -> BoolArray:
    """Frames of which every chunk has been written."""
    axis, count = _axes(frames)[0], shape_of(frames)[0]
    counts = [-(-size // chunk) for size, chunk in zip(frames.shape, frames.chunks, strict=True)]
    if frames.id.get_num_chunks() >= np.prod(counts):
        return np.ones(count, bool)
    written = np.zeros(counts[axis], int)

    def note(chunk: h5py.h5d.StoreInfo) -> None:
        written[chunk.chunk_offset[axis] // frames.chunks[axis]] += 1

    frames.id.chunk_iter(note)
    return np.repeat(written == np.prod(counts) // counts[axis], frames.chunks[axis])[:count]


def _virtual_presence(frames: h5py.Dataset) -> tuple[BoolArray, tuple[str, ...]]:
    """Frames that other files provide: the pixels that they really hold are counted."""
    axis, (length, rows, cols) = _axes(frames)[0], shape_of(frames)
    pixels = np.zeros(length, np.int64)
    missing: list[str] = []
    for source in frames.virtual_sources():
        low, high = source.vspace.get_select_bounds()
        places = slice(low[axis], high[axis] + 1)
        count = places.stop - places.start
        try:
            with _opened_source(frames, source) as held, explained(held.file.filename):
                there = _source_frames(held, source, count)
        except DataError as error:
            missing.append(str(error))
            continue
        pixels[places] += np.where(there, source.vspace.get_select_npoints() // count, 0)
    return pixels >= rows * cols, tuple(dict.fromkeys(missing))


def _source_frames(held: h5py.Dataset, source: h5py.VDSmap, count: int) -> BoolArray:
    """Which of the `count` frames that a source should give are in it."""
    whole, missing = presence(held)
    if missing:
        raise DataError("; ".join(missing))
    first, wanted = _source_range(held, source, count)
    there = np.zeros(wanted, bool)
    own = whole[first : first + wanted]
    there[: own.size] = own
    return there if wanted == count else np.full(count, there.all())


def _source_range(held: h5py.Dataset, source: h5py.VDSmap, count: int) -> tuple[int, int]:
    """The first frame that a virtual dataset takes of a source, and how many."""
    if source.src_space.get_select_type() == h5py.h5s.SEL_ALL:  # which knows no bounds
        return 0, count
    low, high = source.src_space.get_select_bounds()
    axis = _axes(held)[0]
    return low[axis], high[axis] + 1 - low[axis]


@contextmanager
def _opened_source(frames: h5py.Dataset, source: h5py.VDSmap) -> Iterator[h5py.Dataset]:
    """Lend the dataset of a virtual source, found as HDF5 finds it; a DataError if missing."""
    name = source.file_name
    if name == ".":
        yield _dataset(frames.file, source.dset_name)
        return
    path = next((p for p in _source_paths(frames.file.filename, name) if p.is_file()), None)
    if path is None:
        raise DataError(_missing(name))
    with explained(path):
        file = open_unlocked(path)
    with file:
        yield _dataset(file, source.dset_name)


def _missing(name: str) -> str:
    return f"the file {name} is missing (was only the master file copied, or the folder moved?)"


def _dataset(file: h5py.File, name: str) -> h5py.Dataset:
    held = file.get(name)
    if not isinstance(held, h5py.Dataset):
        raise DataError(f"{file.filename} has no dataset {name}")
    return held


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


def read_frames(frames: h5py.Dataset, places: slice, roi: Roi) -> NDArray[Any]:
    """Some frames inside a ROI, shape (frames, rows, cols), in native byte order.

    Raises an OSError or a DataError where they are damaged.
    """
    places = slice(places.start, min(places.stop, shape_of(frames)[0]))
    _require_sound(frames, places, *roi.slices)
    pixels = frames[_index(frames, places, *roi.slices)]
    shape = (places.stop - places.start, roi.rows, roi.cols)
    return np.asarray(pixels, dtype=frames.dtype.newbyteorder("=")).reshape(shape)


def _index(frames: h5py.Dataset, *parts: slice) -> tuple[slice, ...]:
    """Where frames, rows and columns are in a dataset with other axes of length 1."""
    given = dict(zip(_axes(frames), parts, strict=True))
    return tuple(given.get(axis, slice(0, 1)) for axis in range(frames.ndim))


def _require_sound(frames: h5py.Dataset, places: slice, rows: slice, cols: slice) -> None:
    """Refuse to read damaged chunks, of this dataset or of those that it takes frames from."""
    if not frames.is_virtual:
        require_sound_chunks(frames, _index(frames, places, rows, cols))
        return
    axis = _axes(frames)[0]
    for source in frames.virtual_sources():
        low, high = source.vspace.get_select_bounds()
        first, last = max(places.start, low[axis]), min(places.stop, high[axis] + 1)
        if first >= last:
            continue
        with _opened_source(frames, source) as held:
            start, count = _source_range(held, source, high[axis] + 1 - low[axis])
            if count == high[axis] + 1 - low[axis]:
                start, count = start + first - low[axis], last - first
            length, height, width = shape_of(held)
            wanted = slice(start, min(start + count, length))
            _require_sound(held, wanted, slice(0, height), slice(0, width))


def require_sound_chunks(stored: h5py.Dataset, selection: tuple[slice, ...]) -> None:
    """Refuse, by an OSError, bitshuffle chunks whose block lengths lead beyond their end.

    The filter follows them wherever they lead, which ends the process. `selection`: one slice an
    axis. Chunks with a checksum are left to HDF5, which compares it first.
    """
    place = _bitshuffle_place(stored)
    if place is None:
        return
    chunk_bytes = stored.dtype.itemsize
    for edge in stored.chunks:
        chunk_bytes *= edge
    for part in stored.iter_chunks(selection):
        corner = tuple(s.start - s.start % n for s, n in zip(part, stored.chunks, strict=True))
        if stored.id.get_chunk_info_by_coord(corner).byte_offset is None:
            continue  # never written: HDF5 gives the fill value
        unfiltered, content = stored.id.read_direct_chunk(corner)
        if not unfiltered >> place & 1:
            name = f"the chunk at {corner} of {Path(stored.file.filename).name}"
            _require_sound_blocks(content, chunk_bytes, stored.dtype.itemsize, name)


def _bitshuffle_place(stored: h5py.Dataset) -> int | None:
    """Where in the dataset's filters an unsafe bitshuffle stands; None where it does not."""
    if stored.chunks is None:
        return None
    filters = stored.id.get_create_plist()
    known = [filters.get_filter(i) for i in range(filters.get_nfilters())]
    for place, (code, _, options, _) in enumerate(known):
        checked = any(later[0] == _FLETCHER32 for later in known[place + 1 :])
        if code == _BITSHUFFLE and len(options) > 4 and options[4] in _COMPRESSORS and not checked:
            return place
    return None


def _require_sound_blocks(content: bytes, chunk_bytes: int, itemsize: int, name: str) -> None:
    """Follow the lengths of a chunk's blocks, as the filter will, to the end of the chunk.

    A chunk begins with its size and that of a block, unpacked, in bytes; before each block
    stands its packed length. What fills no block of eight values stands at the end as it is.
    """
    damaged = OSError(f"{name} is damaged: the lengths of its blocks cannot be")
    if len(content) < 12:
        raise damaged
    size, block_bytes = struct.unpack_from(">QI", content)
    block = block_bytes // itemsize
    if size != chunk_bytes or block < 8 or block % 8:
        raise damaged
    whole, rest = divmod(size // itemsize, block)
    at, end = 12, len(content) - (rest % 8) * itemsize
    for _ in range(whole + (rest >= 8)):
        if at + 4 > end:
            raise damaged
        at += 4 + int.from_bytes(content[at : at + 4], "big")
    if at > end:
        raise damaged


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

    Opening takes as long as reading a small frame: frames that are wanted in their order are read
    in runs, the longer the more of them, and those of one chunk, which is unpacked whole, at once.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = Lock()
        self._block: _Block | None = None

    def __reduce__(self) -> tuple[type[FrameReader], tuple[Path]]:
        return FrameReader, (self._path,)

    def read(self, dataset: str, frame: int, roi: Roi) -> NDArray[Any]:
        """Pixels of a frame inside `roi`, (rows, cols), in native byte order; not to be changed."""
        with self._lock:
            block = self._block
            if block is not None and (block.dataset, block.roi) != (dataset, roi):
                block = None
            if block is None or not block.first <= frame < block.end:
                self._block = None
                block = self._block = self._read_block(dataset, frame, roi, block)
            return block.pixels[frame - block.first]

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
