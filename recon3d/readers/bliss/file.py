"""Scans in HDF5 files as BLISS writes them: one or several projections in each entry."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recon3d.config.goniometer import GONIOMETERS, Goniometer, choose_goniometer
from recon3d.errors import DataError, GridError, warn
from recon3d.readers.bliss.datasets import frame_axes, read_frames
from recon3d.readers.bliss.entries import (
    choose_entries,
    explained,
    is_being_written,
    open_unlocked,
    opened,
)
from recon3d.readers.bliss.motors import (
    NEEDED,
    absent_parts,
    known_and_moving,
    lists_of,
    motor_columns,
)
from recon3d.readers.bliss.records import EntryRecord, find_detector, read_records
from recon3d.readers.damage import Damage, list_entries
from recon3d.readers.source import FrameSource, MotorTable, Roi

FloatArray = NDArray[np.float64]
_LEAST_CURRENT = 0.1
"""Share of the usual ring current below which there is no beam."""
_ONE_OMEGA_DEG = 0.05
_UNLIKE = 5.0
_LEAST_DEG = 0.5
_NAMED = 3
_SINGLE = re.compile(r"s?ct\b")
_BLOCK_BYTES = 1 << 28
_LONGEST_RUN = 16
"""Memory that frames read ahead may take, and how many are at most."""


@dataclass(frozen=True, eq=False)
class BlissFile(FrameSource):
    """The frames of a scan in a BLISS file, in the order they were taken."""

    path: Path
    records: tuple[EntryRecord, ...] = field(repr=False)  # its entries with frames
    # record and index in it of each frame, shape (frames, 2)
    places: NDArray[np.int64] = field(repr=False)
    motors: MotorTable
    goniometer: Goniometer
    reader: FrameReader = field(repr=False)
    # frames and entries that are not used, each with the reason
    left_out: tuple[Damage, ...] = field(default=(), repr=False)

    @classmethod
    def open(
        cls,
        path: str | Path,
        detector: str = "",
        goniometer: Goniometer | None = None,
        *,
        entries: str | None = None,
        skip_damaged: bool = False,
        show_progress: bool = True,
    ) -> BlissFile:
        """Read the motors of all entries, and see which frames are on the disk; as `open_source`.

        Entries without frames of the detector, or in which no motor moves, are left out. Of a scan
        that did not come to its end, the frames up to the last whole one are used.
        """
        path = Path(path)
        if path.is_file() and is_being_written(path):
            warn(f"{path} is open for writing elsewhere: what is in it by now is used")
        known = tuple(GONIOMETERS.values()) if goniometer is None else (goniometer,)
        with opened(path) as file:
            chosen = choose_entries(file, entries)
            records, skipped = read_records(
                file, chosen, detector, known, skip_damaged=skip_damaged, show=show_progress
            )
        try:
            names = goniometer or choose_goniometer(
                *known_and_moving([record.motors for record in records])
            )
            moving = _moving(records, skipped, names)
            places, motors, lacks = _frame_table(moving, names, skip_damaged=skip_damaged)
        except DataError as error:
            raise DataError(f"{path}: {error}") from error
        if skipped:
            warn(f"{path}: entries left out: {list_entries(skipped)}")
        unused = tuple((f"{path}, {label}", reason) for label, reason in skipped.items())
        unused += _unused(path, moving, places, lacks)
        return cls(path, tuple(moving), places, motors, names, FrameReader(path), unused)

    @property
    def frame_shape(self) -> tuple[int, int]:
        """Rows and columns of the whole frame."""
        return self.records[0].shape[1:]

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the pixels, in native byte order."""
        return self.records[0].dtype

    @property
    def merits(self) -> dict[str, NDArray[np.bool_]]:
        """What speaks for a frame, as in `FrameSource`."""
        own, frames = self.places.T
        currents = [record.currents(self.goniometer) for record in self.records]
        known = np.concatenate([current[current > 0] for current in currents])
        least = _LEAST_CURRENT * np.median(known) if known.size else 0.0
        current = np.array([currents[i][frame] for i, frame in zip(own, frames, strict=True)])
        return {
            "is of a scan that came to its end": np.array([r.finished for r in self.records])[own],
            "was taken with current in the ring": ~(current <= least),  # or it is not known
            "is of an entry of several frames": np.array([r.shape[0] > 1 for r in self.records])[
                own
            ],
        }

    def name(self, index: int) -> str:
        """File, entry, and number in the entry, of a frame."""
        record, frame = self.places[index]
        return f"{self.path}, entry {self.records[record].entry}, frame {frame}"

    def read_into(self, index: int, roi: Roi, out: NDArray[Any]) -> None:
        """Write the pixels of a frame inside `roi` into an array; damage is a DataError."""
        roi.require_inside(self.frame_shape)
        record, frame = self.places[index]
        with explained(self.name(index)):
            out[...] = self.reader.read(self.records[record].dataset, int(frame), roi)

    @contextmanager
    def explaining_misfits(self) -> Iterator[None]:
        """Add to the error of a scan that forms no grid that some entries may be no part of it."""
        try:
            yield
        except DataError as error:
            odd = odd_entry(self.records, self.goniometer)
            if odd:
                raise type(error)(f"{self.path}, {odd}") from error
            if len(self.records) < 2:
                raise
            listed = ""
            if isinstance(error, GridError):
                titles = Counter((record.title or "no title")[:40] for record in self.records)
                named = [f"{n} x {title}" for title, n in titles.most_common(_NAMED)]
                listed = f" ({'; '.join(named)})"
            text = str(error)
            stop = "" if text.endswith((".", "?", "!")) else "."
            chosen = self.records[-1].entry if len(self.records) <= _NAMED else "3.1,5-40"
            raise type(error)(
                f"{text}{stop} Should one of the {len(self.records)} entries{listed} be left out? "
                f"Choose, as in --entries {chosen}"
            ) from error


def look_at_detector(path: Path, detector: str) -> None:
    """A DataError where a file has no frames of a detector, or of several and none is named."""
    with opened(path) as file:
        find_detector(file, choose_entries(file), detector, {})


def mean_bliss_frame(path: Path, detector: str) -> FloatArray:
    """Mean of all frames, (rows, cols), of a detector; "" for the only one. Motors play no part."""
    with opened(path) as file:
        records, skipped = read_records(file, choose_entries(file), detector, (), show=False)
    if skipped:
        warn(f"{path}: entries left out: {list_entries(skipped)}")
    reader = FrameReader(path)
    roi = Roi.whole(records[0].shape[1:])
    total = np.zeros((roi.rows, roi.cols))
    count = 0
    for record in records:
        if not record.whole.all():
            raise DataError(f"{path}, entry {record.entry}: frames are not on the disk")
        for frame in range(record.shape[0]):
            with explained(f"{path}, entry {record.entry}, frame {frame}"):
                total += reader.read(record.dataset, frame, roi)
        count += record.shape[0]
    return total / count


def _frame_table(
    records: list[EntryRecord], goniometer: Goniometer, *, skip_damaged: bool
) -> tuple[NDArray[np.int64], MotorTable, dict[str, str]]:
    """Places, (frames, 2), and readings of the frames that can be read; what entries lack.

    `skip_damaged`: leave frames out that are not on the disk, or lack a reading; else a DataError
    names all entries in which frames or readings lack.
    """
    absent = absent_parts([record.motors for record in records], goniometer)
    rows, places = [], []
    lacks, problems = dict[str, str](), dict[str, str]()
    for number, record in enumerate(records):
        name = f"entry {record.entry}"
        try:
            frames, lack = record.frames(goniometer, skip_damaged=skip_damaged)
        except DataError as error:
            problems[name] = str(error)
            continue
        columns, known, unread = motor_columns(record.motors, goniometer, absent, frames)
        if unread and skip_damaged:
            frames, columns = frames[known], columns[:, known]
            lack = f"{unread} ({frames.size} frames are used)"
        elif unread:
            problems[name] = unread
        lacks |= {name: lack} if lack else {}
        rows.append(np.vstack([columns, _current(record, goniometer, columns[0], frames)]))
        places.append(np.stack([np.full_like(frames, number), frames], axis=1))
    if problems:
        raise DataError(list_entries(problems))
    table = np.concatenate(rows, axis=1)
    if not table.size:
        raise DataError(list_entries(lacks))
    for part in absent:
        name = goniometer.motors[part]
        warn(f"there is no motor '{name}' in the file: {part} is taken as still")
    if lacks:
        warn(f"frames are left out: {list_entries(lacks)}")
    if "omega" in absent:
        table[0] = 0.0
    return np.concatenate(places), MotorTable(*table), lacks


def _current(
    record: EntryRecord, goniometer: Goniometer, omega_deg: FloatArray, frames: NDArray[np.int64]
) -> FloatArray:
    """Ring current of the frames, NaN where it is not recorded.

    One number for the whole entry says nothing of how the beam decayed from one projection
    to the next, so it counts in an entry of one projection only.
    """
    current = record.currents(goniometer)[frames]
    single = isinstance(record.current[goniometer.ring_current], float)
    if single and frames.size and np.ptp(omega_deg) > _ONE_OMEGA_DEG:
        return np.full(frames.size, np.nan)
    return np.where(np.isfinite(current) & (current > 0), current, np.nan)


def _unused(
    path: Path, records: list[EntryRecord], places: NDArray[np.int64], lacks: dict[str, str]
) -> tuple[Damage, ...]:
    """The frames of entries that are not among those that are used, each with the reason."""
    used = set(map(tuple, places.tolist()))
    return tuple(
        (f"{path}, entry {record.entry}, frame {frame}", lacks.get(f"entry {record.entry}", ""))
        for number, record in enumerate(records)
        for frame in range(record.shape[0])
        if (number, frame) not in used
    )


def _moving(
    records: list[EntryRecord], skipped: dict[str, str], goniometer: Goniometer
) -> list[EntryRecord]:
    """The entries that may be part of a scan: several frames at one setting are none."""
    if "base_tilt" in absent_parts([record.motors for record in records], goniometer):
        raise DataError(
            f"there is no motor '{goniometer.base_tilt}' (base_tilt) in any entry; name the "
            "motors, as in --motors id03,base_tilt=..."
        )
    moving, singles = [], []
    for record in records:
        lists = lists_of(record.motors, goniometer).values()
        if record.shape[0] > 1 and all(np.ptp(values) == 0 for values in lists):
            skipped[record.label] = "no motor moves in it"
        elif record.shape[0] == 1 and _SINGLE.match(record.title):
            singles.append(record)
        else:
            moving.append(record)
    if not moving:
        moving, singles = singles, []
    skipped |= {record.label: "a single exposure beside a scan" for record in singles}
    if not moving:
        known = ", ".join(goniometer.motors.values())
        raise DataError(
            f"no motor of {known} moves in any entry, though there are frames in "
            f"{records[0].label}: name the motors, as in --motors id03,omega=...,base_tilt=..."
        )
    return moving


def odd_entry(records: Sequence[EntryRecord], goniometer: Goniometer) -> str:
    """What is odd about the readings of one motor in one entry, in words; empty for nothing.

    `records`: the entries of a scan that forms no grid.
    """
    for part in NEEDED:
        motor = goniometer.motors[part]
        read = [(record, record.motors.get(motor)) for record in records]
        found = [(record, np.ravel(v)) for record, v in read if isinstance(v, float | np.ndarray)]
        spans = np.array([np.ptp(values) for _, values in found])
        for number, (record, values) in enumerate(found):
            others = np.delete(spans, number)
            usual = float(np.median(others)) if others.size > 1 else np.inf
            wider = spans[number] > max(_UNLIKE * usual, usual + _LEAST_DEG)
            lost = _lost(values, usual) if wider or part == "omega" else np.zeros(0, int)
            if not wider and not lost.size:
                continue
            reads = f"reads {values.min():.7g} to {values.max():.7g}"
            if lost.size:
                reads = f"falls to 0 at frame {lost[0]} ({lost.size} of {values.size} frames)"
            usually = f", where other entries span {usual:.3g} degrees" if wider else ""
            return (
                f"entry {record.entry}: the motor '{motor}' ({part}) {reads}{usually}: was its "
                f"reading lost?{_without(record, records)}"
            )
    return ""


def _without(odd: EntryRecord, records: Sequence[EntryRecord]) -> str:
    """How to choose the other entries."""
    own, *numbers = (int(each.entry.partition(".")[0]) for each in (odd, *records))
    before = [number for number in numbers if number < own]
    behind = [number for number in numbers if number > own]
    ranges = [f"{min(some)}-{max(some)}" for some in (before, behind) if some]
    return f" To use the others: --entries {','.join(ranges)}" if ranges else ""


def _lost(values: FloatArray, usual_deg: float) -> NDArray[np.intp]:
    """Frames at which a motor reads 0, though it was far from there at the frame before.

    Far is more than the motor moves in other entries, or where that is not known, in a step.
    """
    zero = np.flatnonzero(values == 0)
    moves = np.abs(np.diff(values))
    if not zero.size or 2 * zero.size > values.size or zero[0] == 0:
        return np.zeros(0, int)
    usual = usual_deg if np.isfinite(usual_deg) else float(np.median(moves[moves > 0]))
    return zero if moves[zero[0] - 1] > max(_UNLIKE * usual, _LEAST_DEG) else np.zeros(0, int)


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
