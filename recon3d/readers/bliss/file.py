"""Scans in HDF5 files as BLISS writes them: one or several projections in each entry."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recon3d.config.goniometer import GONIOMETERS, Goniometer, choose_goniometer
from recon3d.errors import DataError, warn
from recon3d.readers.bliss.datasets import FrameReader
from recon3d.readers.bliss.entries import choose_entries, explained, is_being_written, opened
from recon3d.readers.bliss.records import (
    EntryRecord,
    absent_parts,
    find_detector,
    known_and_moving,
    lists_of,
    motor_columns,
    read_records,
)
from recon3d.readers.source import Damage, FrameSource, MotorTable, Roi, list_damage

FloatArray = NDArray[np.float64]
_LEAST_CURRENT = 0.1
"""Share of the usual ring current below which there is no beam."""
_ONE_OMEGA_DEG = 0.05
_SINGLE = re.compile(r"s?ct\b")


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
            warn(f"{path}: entries left out: {list_damage(skipped.items(), ': ')}")
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
    def merit(self) -> NDArray[np.int64]:
        """How good each frame is, as in `FrameSource`.

        A scan that came to its end counts most, then current in the ring, then a neighbour.
        """
        own, frames = self.places.T
        currents = [record.currents(self.goniometer) for record in self.records]
        known = np.concatenate([current[current > 0] for current in currents])
        least = _LEAST_CURRENT * np.median(known) if known.size else 0.0
        current = np.array([currents[i][frame] for i, frame in zip(own, frames, strict=True)])
        finished = np.array([record.finished for record in self.records])[own]
        several = np.array([record.shape[0] > 1 for record in self.records])[own]
        return 4 * finished + 2 * ~(current <= least) + several  # where current is known

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

    @property
    def advice(self) -> str:
        """That some entries may be no part of the scan."""
        if len(self.records) < 2:
            return ""
        return (
            f"Should one of the {len(self.records)} entries be left out? Choose, as in --entries "
            f"{self.records[-1].entry}"
        )


def look_at_detector(path: Path, detector: str) -> None:
    """A DataError where a file has no frames of a detector, or of several and none is named."""
    with opened(path) as file:
        find_detector(file, choose_entries(file), detector, {})


def mean_bliss_frame(path: Path, detector: str) -> FloatArray:
    """Mean of all frames, (rows, cols), of a detector; "" for the only one. Motors play no part."""
    with opened(path) as file:
        records, skipped = read_records(file, choose_entries(file), detector, (), show=False)
    if skipped:
        warn(f"{path}: entries left out: {list_damage(skipped.items(), ': ')}")
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
        raise DataError(list_damage(problems.items(), ": "))
    table = np.concatenate(rows, axis=1)
    if not table.size:
        raise DataError(list_damage(lacks.items(), ": "))
    for part in absent:
        name = goniometer.motors[part]
        warn(f"there is no motor '{name}' in the file: {part} is taken as still")
    if lacks:
        warn(f"frames are left out: {list_damage(lacks.items(), ': ')}")
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
