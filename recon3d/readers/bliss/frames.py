"""The frames of a BLISS file that can be read, and their motors, of all its entries together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recon3d.config.goniometer import Goniometer
from recon3d.errors import DataError, warn
from recon3d.readers.bliss.entries import list_entries
from recon3d.readers.bliss.motors import absent_parts, frames_with_readings, motor_columns
from recon3d.readers.bliss.records import EntryRecord
from recon3d.readers.source import MotorTable

FloatArray = NDArray[np.float64]
_ONE_OMEGA_DEG = 0.05


@dataclass(frozen=True, eq=False)
class FrameTable:
    """Places and motor readings of the frames that can be read, and what the others lack."""

    places: NDArray[np.int64]  # record and index in it of each frame, shape (frames, 2)
    motors: MotorTable
    lacks: dict[str, str]  # why frames are left out, by their entries


def frame_table(
    records: list[EntryRecord], goniometer: Goniometer, *, skip_damaged: bool
) -> FrameTable:
    """Places and motor readings of all frames that can be read.

    `skip_damaged`: leave frames out that are not on the disk, or lack a reading; else a DataError
    names all entries in which frames or readings lack.
    """
    absent = absent_parts([record.motors for record in records], goniometer)
    rows, places = [], []
    lacks: dict[str, str] = {}
    problems: dict[str, str] = {}
    for number, record in enumerate(records):
        name = f"entry {record.entry}"
        try:
            frames, lack = _usable(record, goniometer, absent, skip_damaged)
        except DataError as error:
            problems[name] = str(error)
            continue
        lacks |= {name: lack} if lack else {}
        columns = motor_columns(record.motors, goniometer, absent, frames)
        rows.append(np.stack([*columns, _current(record, goniometer, columns[0], frames)]))
        places.append(np.stack([np.full_like(frames, number), frames], axis=1))
    if problems:
        raise DataError(list_entries(problems))
    table = np.concatenate(rows, axis=1)
    if not table.size:
        raise DataError(list_entries(lacks))
    _tell(lacks, absent, goniometer)
    if "omega" in absent:
        table[0] = 0.0
    return FrameTable(np.concatenate(places), MotorTable(*table), lacks)


def _usable(
    record: EntryRecord, goniometer: Goniometer, absent: list[str], skip_damaged: bool
) -> tuple[NDArray[np.int64], str]:
    """The frames of an entry that are there and whose motors are known, and why not the others."""
    frames, lack = record.frames(goniometer, skip_damaged=skip_damaged)
    try:
        motor_columns(record.motors, goniometer, absent, frames)
    except DataError as error:
        if not skip_damaged:
            raise
        known = frames_with_readings(record.motors, goniometer, absent, frames)
        return known, f"{error} ({known.size} frames are used)"
    return frames, lack


def _current(
    record: EntryRecord, goniometer: Goniometer, omega_deg: FloatArray, frames: NDArray[np.int64]
) -> FloatArray:
    """Ring current of the frames, NaN where it is not recorded.

    One number for the whole entry says nothing of how the beam decayed from one projection
    to the next, so it counts in an entry of one projection only.
    """
    recorded = record.current[goniometer.ring_current]
    column = np.full(frames.size, np.nan)
    if isinstance(recorded, np.ndarray):
        column[:] = recorded[frames]
    elif isinstance(recorded, float) and frames.size and not np.ptp(omega_deg) > _ONE_OMEGA_DEG:
        column[:] = recorded
    return np.where(np.isfinite(column) & (column > 0), column, np.nan)


def _tell(lacks: dict[str, str], absent: list[str], goniometer: Goniometer) -> None:
    """Warn of what is left out."""
    for part in absent:
        warn(
            f"there is no motor '{getattr(goniometer, part)}' in the file: {part} is taken as still"
        )
    if lacks:
        warn(f"frames are left out: {list_entries(lacks)}")
