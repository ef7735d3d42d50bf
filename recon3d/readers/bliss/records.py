"""What the entries of a BLISS file hold: the frames of one detector, and their motors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from recon3d.config.goniometer import GONIOMETERS, Goniometer
from recon3d.errors import DataError, warn
from recon3d.progress import track
from recon3d.readers.bliss.datasets import (
    Presence,
    frame_datasets,
    frames_elsewhere,
    lost_frames,
    presence,
    shape_of,
)
from recon3d.readers.bliss.entries import explained, link_target, list_entries, text_of
from recon3d.readers.bliss.motors import (
    EntryMotors,
    Reading,
    absent_parts,
    frames_with_readings,
    motor_columns,
    read_current,
)
from recon3d.readers.damage import Damage
from recon3d.readers.motors import MotorTable

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class EntryRecord:
    """One entry with frames.

    Parameters
    ----------
    entry
        Its name, such as "3.1".
    title
        The command that took it; a hint, for messages only.
    finished
        Whether the file says that the scan came to its end.
    dataset
        Path of the frames in the file.
    shape, dtype
        Of the frames: (frames, rows, cols), and the type of the pixels, in native order.
    present
        Which frames are on the disk.
    motors
        What is recorded of the motors.
    current
        The ring current in mA, one a frame, or the one at the start.
    """

    entry: str
    title: str
    finished: bool
    dataset: str
    shape: tuple[int, int, int]
    dtype: np.dtype[Any]
    present: Presence
    motors: EntryMotors
    current: dict[str, Reading]

    @property
    def label(self) -> str:
        """Its name and title, for messages."""
        return f"{self.entry} ({self.title or 'no title'})"

    def currents(self, goniometer: Goniometer) -> FloatArray:
        """The ring current of every frame as it was recorded, shape (frames,); NaN if unknown."""
        recorded = self.current[goniometer.ring_current]
        if isinstance(recorded, np.ndarray):
            return recorded
        number = recorded if isinstance(recorded, float) else np.nan
        return np.full(self.shape[0], number)

    def length(self, goniometer: Goniometer) -> int:
        """Number of frames for which every list of readings has one."""
        lists = self.motors.lists(goniometer).values()
        return min([self.shape[0], *(values.size for values in lists)])

    def frames(
        self, goniometer: Goniometer, *, skip_damaged: bool
    ) -> tuple[NDArray[np.int64], str]:
        """Indices of the frames that can be read, and what to tell of the others.

        The last frames of a scan that did not come to its end may lack. Where readings and
        frames of one that did are not as many, nothing tells which belong together.

        Raises
        ------
        DataError
            Frames lack for another reason; without the file's name.
        """
        length = self.length(goniometer)
        whole = self.present.whole[:length]
        uneven = _explain_lengths(self, goniometer)
        problem = "; ".join(filter(None, (_explain_absence(self), uneven)))
        if not problem:
            return np.flatnonzero(whole), ""
        usable = length if whole.all() else int(np.argmin(whole))
        ends_early = not (self.finished or self.present.missing or whole[usable:].any())
        if not ends_early and not skip_damaged:
            raise DataError(problem)
        frames = np.arange(0) if uneven and self.finished else np.flatnonzero(whole)
        return frames, f"{problem} ({frames.size} frames are used)"


def _explain_absence(record: EntryRecord) -> str:
    """Which frames are not on the disk, and why; empty where all are."""
    absent = np.flatnonzero(~record.present.whole)
    if not absent.size:
        return ""
    where = f"{absent.size} of {record.shape[0]} frames, from frame {absent[0]} on, are not there"
    if not record.present.missing:
        return where
    missing = record.present.missing
    named = f"{missing[0]} and {len(missing) - 1} more" if len(missing) > 1 else missing[0]
    return f"{named} (was only the master file copied?): {where}"


def _explain_lengths(record: EntryRecord, goniometer: Goniometer) -> str:
    """Which motors have another number of readings than there are frames; empty for none."""
    lengths = {
        getattr(goniometer, part): values.size
        for part, values in record.motors.lists(goniometer).items()
        if values.size != record.shape[0]
    }
    if not lengths:
        return ""
    readings = ", ".join(f"{count} readings of {name}" for name, count in lengths.items())
    state = "though the scan came to its end" if record.finished else "as the scan did not end"
    return f"{record.shape[0]} frames but {readings}, {state}"


def read_records(
    file: h5py.File,
    numbers: list[int],
    detector: str,
    goniometers: tuple[Goniometer, ...] = tuple(GONIOMETERS.values()),
    *,
    skip_damaged: bool = False,
    show: bool = True,
) -> tuple[list[EntryRecord], dict[str, str]]:
    """Read what is to be known of entries before their frames are read.

    Parameters
    ----------
    file
        The file.
    numbers
        Numbers N of the entries `N.1`.
    detector
        Name of the detector; empty where there is only one.
    goniometers
        Whose motors are looked for.
    skip_damaged
        Leave entries out that are damaged.
    show
        Show a progress bar.

    Returns
    -------
    records
        One for each entry that has frames, all of one shape and type.
    skipped
        Why each other entry was left out, by its name and title.

    Raises
    ------
    DataError
        No entry has frames, or the detector is not the only one and was not named; or
        entries are damaged, all of which are named.
    """
    found: dict[str, dict[str, str]] = {}
    damaged: dict[str, str] = {}
    for number in numbers:
        with _collecting(damaged, file, f"{number}.1"):
            found[f"{number}.1"] = frame_datasets(file[f"{number}.1"])
    if not found:
        raise DataError(f"{file.filename}: {list_entries(damaged)}")
    name = _choose_detector(file, found, detector)
    records, skipped = [], {}
    for entry in track(found, "Reading entries", unit="entry", show=show):
        with _collecting(damaged, file, entry):
            lost = "" if name in found[entry] else lost_frames(file[entry], name)
            label = f"{entry} ({text_of(file[entry], 'title') or 'no title'})"
            if lost:
                damaged[f"entry {entry}"] = lost
            elif name not in found[entry]:
                skipped[label] = f"no frames of {name}"
            elif not shape_of(file[entry][found[entry][name]])[0]:
                skipped[label] = "no frame yet"
            else:
                records.append(_read_record(file, entry, found[entry][name], goniometers))
    if damaged and not (skip_damaged and records):
        raise DataError(f"{file.filename} is damaged: {list_entries(damaged)}")
    return _of_one_layout(records, skipped), skipped | damaged


@contextmanager
def _collecting(damaged: dict[str, str], file: h5py.File, entry: str) -> Iterator[None]:
    """Note an entry that cannot be read, and go on: all of them are to be told at once."""
    place = f"{file.filename}, entry {entry}"
    try:
        with explained(place):
            yield
    except DataError as error:
        target = link_target(file, entry)
        link = f"it is a link into the file {target}, and " if target else ""
        damaged[f"entry {entry}"] = f"{link}{str(error).removeprefix(f'{place} ')}"


def _choose_detector(file: h5py.File, found: dict[str, dict[str, str]], wanted: str) -> str:
    counts = Counter(name for datasets in found.values() for name in datasets)
    if wanted and wanted in counts:
        return wanted
    listed = ", ".join(f"{name} (in {_plural(count)})" for name, count in counts.most_common())
    if len(counts) == 1 and not wanted:
        return next(iter(counts))
    first = file[next(iter(found))]
    lost = lost_frames(first, wanted)
    if lost:
        raise DataError(f"{file.filename}: in entry {_name(first)} {lost}")
    if wanted and counts:
        raise DataError(
            f"{file.filename} has no frames of a detector '{wanted}'; it has frames of {listed}"
        )
    if not counts:
        held = frames_elsewhere(first) or "no array of numbers with two axes or more"
        raise DataError(
            f"{file.filename} has no frames in {_plural(len(found))}: expected a dataset of three "
            f"axes as N.1/instrument/<detector>/image or data; entry {_name(first)} has {held}"
        )
    raise DataError(
        f"{file.filename} has frames of several detectors: {listed}. Say which (DATANAME, or "
        "prefix)"
    )


def _name(entry: h5py.Group) -> str:
    return str(entry.name).strip("/")


def _plural(count: int) -> str:
    return "1 entry" if count == 1 else f"{count} entries"


def _read_record(
    file: h5py.File, entry: str, path: str, goniometers: tuple[Goniometer, ...]
) -> EntryRecord:
    group = file[entry]
    frames = group[path]
    count = shape_of(frames)[0]
    names = dict.fromkeys(goniometer.ring_current for goniometer in goniometers)
    motors = EntryMotors.read(group, goniometers, count)
    return EntryRecord(
        entry=entry,
        title=text_of(group, "title"),
        finished=text_of(group, "end_reason") == "SUCCESS",
        dataset=f"{entry}/{path}",
        shape=shape_of(frames),
        dtype=frames.dtype.newbyteorder("="),
        present=presence(frames),
        motors=motors,
        current={name: read_current(group, name, count) for name in names},
    )


def _of_one_layout(records: list[EntryRecord], skipped: dict[str, str]) -> list[EntryRecord]:
    """The records of the commonest shape and type of frame; the others join the skipped."""
    counts: Counter[str] = Counter()
    for record in records:
        counts[_layout(record)] += record.shape[0]
    usual = counts.most_common(1)[0][0] if counts else ""
    for record in records:
        if _layout(record) != usual:
            skipped[record.label] = f"{_layout(record)}, where most frames have {usual}"
    return [record for record in records if _layout(record) == usual]


def _layout(record: EntryRecord) -> str:
    return f"{record.shape[1]} x {record.shape[2]} pixels of {record.dtype.name}"


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
        Why frames are left out, by their entries.
    """

    places: NDArray[np.int64]
    motors: MotorTable
    lacks: dict[str, str]


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
    used = {(int(record), int(frame)) for record, frame in table.places}
    frames = [
        (
            f"{path}, entry {record.entry}, frame {frame}",
            table.lacks.get(f"entry {record.entry}", ""),
        )
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


def _tell(lacks: dict[str, str], absent: list[str], goniometer: Goniometer) -> None:
    """Warn of what is left out."""
    for part in absent:
        warn(
            f"there is no motor '{getattr(goniometer, part)}' in the file: {part} is taken as still"
        )
    if lacks:
        warn(f"frames are left out: {list_entries(lacks)}")
