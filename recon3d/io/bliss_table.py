"""The frames of the entries of a BLISS file in one table, and what is left out of it."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from recon3d.errors import DataError, Recon3DWarning
from recon3d.goniometer import Goniometer
from recon3d.io.bliss_motors import absent_parts, frames_with_readings, motor_columns
from recon3d.io.bliss_records import EntryRecord
from recon3d.io.damage import Damage
from recon3d.io.motors import MotorTable

FloatArray = NDArray[np.float64]
_ONE_OMEGA_DEG = 0.05


@dataclass(frozen=True, eq=False)
class FrameTable:
    """Places and motor readings of the frames that can be read, and what the others lack.

    Parameters
    ----------
    places
        Record and index in it of each frame, shape (frames, 2).
    motors
        Their readings.
    lacks
        What is to be told of the entries of which frames are left out.
    """

    places: NDArray[np.int64]
    motors: MotorTable
    lacks: list[str]


def frame_table(
    records: list[EntryRecord], goniometer: Goniometer, *, skip_damaged: bool
) -> FrameTable:
    """Places and motor readings of all frames that can be read.

    Parameters
    ----------
    records
        The entries.
    goniometer
        The names of the motors.
    skip_damaged
        Leave frames out that are not on the disk, or lack a reading.

    Raises
    ------
    DataError
        Frames or readings lack; all entries in which they do are named.
    """
    absent = absent_parts([record.motors for record in records], goniometer)
    rows, places = [], []
    lacks: list[str] = []
    problems: list[str] = []
    for number, record in enumerate(records):
        try:
            frames = _usable(record, goniometer, absent, skip_damaged, lacks)
        except DataError as error:
            problems.append(str(error))
            continue
        columns = motor_columns(record.motors, goniometer, absent, frames)
        rows.append(np.stack([*columns, _current(record, goniometer, columns[0], frames)]))
        places.append(np.stack([np.full_like(frames, number), frames], axis=1))
    if problems:
        raise DataError("; ".join(problems))
    table = np.concatenate(rows, axis=1)
    if not table.size:
        raise DataError("; ".join(lacks))
    _tell(lacks, absent, goniometer)
    if "omega" in absent:
        table[0] = 0.0
    return FrameTable(np.concatenate(places), MotorTable(*table), lacks)


def _usable(
    record: EntryRecord,
    goniometer: Goniometer,
    absent: list[str],
    skip_damaged: bool,
    lacks: list[str],
) -> NDArray[np.int64]:
    """The frames of an entry that are there and whose motors are known; notes the others."""
    frames, lack = record.frames(goniometer, skip_damaged=skip_damaged)
    if lack:
        lacks.append(lack)
    try:
        motor_columns(record.motors, goniometer, absent, frames)
    except DataError as error:
        if not skip_damaged:
            raise DataError(f"entry {record.entry}: {error}") from error
        known = frames_with_readings(record.motors, goniometer, absent, frames)
        lacks.append(f"entry {record.entry}: {error} ({known.size} frames are used)")
        return known
    return frames


def frames_left_out(
    path: Path, records: list[EntryRecord], table: FrameTable, skipped: dict[str, str]
) -> tuple[Damage, ...]:
    """Every frame that is not used, and every entry that is damaged or of another layout.

    Parameters
    ----------
    path
        The file.
    records, table
        Its entries, and their frames that are used.
    skipped
        Why each other entry was left out.
    """
    why = {text.split(":")[0]: text.partition(": ")[2] for text in table.lacks}
    used = {(int(record), int(frame)) for record, frame in table.places}
    frames = [
        (f"{path}, entry {record.entry}, frame {frame}", why.get(f"entry {record.entry}", ""))
        for number, record in enumerate(records)
        for frame in range(record.shape[0])
        if (number, frame) not in used
    ]
    return (*((f"{path}, {label}", reason) for label, reason in skipped.items()), *frames)


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


def _tell(lacks: list[str], absent: list[str], goniometer: Goniometer) -> None:
    """Warn of what is left out."""
    for part in absent:
        _warn(
            f"there is no motor '{getattr(goniometer, part)}' in the file: {part} is taken as still"
        )
    if lacks:
        _warn(f"frames are left out: {'; '.join(lacks)}")


def _warn(message: str) -> None:
    warnings.warn(message, Recon3DWarning, stacklevel=5)
