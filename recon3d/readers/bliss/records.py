"""What the entries of a BLISS file hold: the frames of one detector, and their motors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

import h5py
import numpy as np
from numpy.typing import NDArray

from recon3d.config.goniometer import Goniometer
from recon3d.errors import DataError, warn
from recon3d.readers.bliss.datasets import frame_datasets, lost_frames, presence, shape_of
from recon3d.readers.bliss.entries import explained, link_target, numbers_of, text_of
from recon3d.readers.source import LARGEST_READING, list_damage
from recon3d.runtime.progress import track

FloatArray = NDArray[np.float64]
Reading: TypeAlias = float | FloatArray | str | None
"""One number, one a frame, what stands in place of a number, or None: not recorded."""

Readings: TypeAlias = dict[str, Reading]
"""What one entry records of the motors, by their names."""

NEEDED = ("omega", "base_tilt", "chi", "phi")
_PLACES = (
    "instrument/{}/value",
    "instrument/{}/data",
    "measurement/{}",
    "instrument/positioners/{}",
    "instrument/positioners_start/{}",
)
_CURRENTS = ("instrument/{}/data", "instrument/{}/signal", "measurement/{}")
_MOVED_DEG = 0.01
_DEGREES = {name: np.degrees(size) for name, size in (("rad", 1), ("mrad", 1e-3), ("urad", 1e-6))}
"""Units of angles that are no degrees."""
_LONGEST_TITLE = 60


@dataclass(frozen=True, eq=False)
class EntryRecord:
    """One entry with frames."""

    entry: str  # its name, such as "3.1"
    title: str  # the command that took it; a hint, for messages only
    finished: bool  # whether the file says that the scan came to its end
    dataset: str  # path of the frames in the file
    shape: tuple[int, int, int]  # (frames, rows, cols)
    dtype: np.dtype[Any]  # of the pixels, in native order
    whole: NDArray[np.bool_]  # which frames are on the disk, (frames,)
    missing: tuple[str, ...]  # what is wrong with files that should hold others, in words
    motors: Readings
    lent: tuple[str, ...]  # motors of which the list of another entry of the scan is used
    current: dict[str, Reading]  # the ring current in mA, one a frame, or the one at the start

    @property
    def label(self) -> str:
        """Its name and title, for messages."""
        return labelled(self.entry, self.title)

    def currents(self, goniometer: Goniometer) -> FloatArray:
        """The ring current of every frame as it was recorded, shape (frames,); NaN if unknown."""
        recorded = self.current[goniometer.ring_current]
        number = recorded if isinstance(recorded, float | np.ndarray) else np.nan
        return np.broadcast_to(number, self.shape[0])

    def frames(
        self, goniometer: Goniometer, *, skip_damaged: bool
    ) -> tuple[NDArray[np.int64], str]:
        """Indices of the frames that can be read, and what to tell of the others.

        The last frames of a scan that did not come to its end may lack; others that do are a
        DataError, as are readings and frames of one that did which are not as many.
        """
        lists = lists_of(self.motors, goniometer).values()
        length = min([self.shape[0], *(values.size for values in lists)])
        whole = self.whole[:length]
        uneven = _explain_lengths(self, goniometer)
        problem = "; ".join(filter(None, (_explain_absence(self), uneven)))
        if not problem:
            return np.flatnonzero(whole), ""
        usable = length if whole.all() else int(np.argmin(whole))
        ends_early = not (self.finished or self.missing or whole[usable:].any())
        if not ends_early and not skip_damaged:
            raise DataError(problem)
        frames = np.arange(0) if uneven and self.finished else np.flatnonzero(whole)
        return frames, f"{problem} ({frames.size} frames are used)"


def labelled(entry: str, title: str) -> str:
    """An entry's name and the beginning of its title, for messages."""
    shown = title if len(title) <= _LONGEST_TITLE else f"{title[:_LONGEST_TITLE]} ..."
    return f"{entry} ({shown or 'no title'})"


def _explain_absence(record: EntryRecord) -> str:
    """Which frames are not on the disk, and why; empty where all are."""
    absent = np.flatnonzero(~record.whole)
    if not absent.size:
        return ""
    where = f"{absent.size} of {record.shape[0]} frames, from frame {absent[0]} on, are not there"
    if not record.missing:
        return where
    others = len(record.missing) - 1
    return f"{record.missing[0]}{f' (and {others} more files)' if others else ''}: {where}"


def _explain_lengths(record: EntryRecord, goniometer: Goniometer) -> str:
    """Which motors have another number of readings than there are frames; empty for none."""
    lists = lists_of(record.motors, goniometer)
    lengths = {name: v.size for name, v in lists.items() if v.size != record.shape[0]}
    if not lengths:
        return ""
    readings = ", ".join(f"{count} readings of {name}" for name, count in lengths.items())
    state = "though the scan came to its end" if record.finished else "as the scan did not end"
    return f"{record.shape[0]} frames but {readings}, {state}"


def read_records(
    file: h5py.File,
    entries: list[str],
    detector: str,
    goniometers: tuple[Goniometer, ...],
    *,
    skip_damaged: bool = False,
    show: bool = True,
) -> tuple[list[EntryRecord], dict[str, str]]:
    """Read what is to be known of entries before their frames are read.

    Of a scan with several entries (`N.1`, `N.2`, ...) the first that has frames of the detector is
    read. Returns a record for each entry with frames, all of one shape and type, and why the others
    were left out; a DataError names all that are damaged.
    """
    damaged: dict[str, str] = {}
    name, found = find_detector(file, entries, detector, damaged)
    read, skipped = _one_of_each_scan(found, name)
    records = []
    for entry in track(read, "Reading entries", unit="entry", show=show):
        with _collecting(damaged, file, entry):
            lost = "" if name in found[entry] else lost_frames(file[entry], name)
            label = labelled(entry, text_of(file[entry], "title"))
            if lost:
                damaged[f"entry {entry}"] = lost
            elif name not in found[entry]:
                skipped[label] = f"no frames of {name}"
            elif not shape_of(file[entry][found[entry][name]])[0]:
                skipped[label] = "no frame yet"
            else:
                records.append(_read_record(file, entry, found[entry][name], goniometers))
    scans = {numbers_of(record.entry)[0] for record in records}
    for label in list(damaged):
        scan, part = numbers_of(label.removeprefix("entry "))
        if part > 1 and scan in scans:  # a further entry of a scan of which another has the frames
            skipped[label] = damaged.pop(label)
    if damaged and not (skip_damaged and records):
        raise DataError(f"{file.filename} is damaged: {list_damage(damaged.items(), ': ')}")
    lent = [(record.entry, ", ".join(record.lent)) for record in records if record.lent]
    if lent:
        used = list_damage(lent, ": ")
        warn(f"{file.filename}: readings of the first entry of a scan are used: {used}")
    return _of_one_layout(records, skipped), skipped | damaged


def find_detector(
    file: h5py.File, entries: list[str], detector: str, damaged: dict[str, str]
) -> tuple[str, dict[str, dict[str, str]]]:
    """The detector that is read, and where entries have frames; fills in what is damaged.

    Raises a DataError where no entry has frames, or several detectors have and none was named.
    """
    found: dict[str, dict[str, str]] = {}
    for entry in entries:
        with _collecting(damaged, file, entry):
            found[entry] = frame_datasets(file[entry])
    if not found:
        raise DataError(f"{file.filename}: {list_damage(damaged.items(), ': ')}")
    return _choose_detector(file, found, "" if detector == "-" else detector), found


def _one_of_each_scan(
    found: dict[str, dict[str, str]], detector: str
) -> tuple[list[str], dict[str, str]]:
    """The entry to read of each scan, and why others with frames of the detector are not."""
    holders: dict[int, list[str]] = {}
    for entry, datasets in found.items():
        if detector in datasets:
            holders.setdefault(numbers_of(entry)[0], []).append(entry)
    read = [
        entry for entry in found if numbers_of(entry)[0] not in holders and entry.endswith(".1")
    ]
    others = dict[str, str]()
    for first, *more in holders.values():
        read.append(first)
        why = f"the frames of {detector} in the first entry of the scan are used"
        others |= dict.fromkeys(more, why)
    return sorted(read, key=numbers_of), others


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
    first_of_scans = {entry: held for entry, held in found.items() if numbers_of(entry)[1] < 2}
    everywhere = Counter(name for datasets in found.values() for name in datasets)
    counts = Counter(name for datasets in first_of_scans.values() for name in datasets)
    counts = counts or everywhere
    if wanted and wanted in everywhere:
        return wanted
    listed = ", ".join(f"{name} (in {_plural(count)})" for name, count in everywhere.most_common())
    if len(counts) == 1 and not wanted:
        chosen = next(iter(counts))
        if len(everywhere) > 1:
            warn(
                f"{file.filename} has frames of {listed}: those of {chosen} are read; name another"
            )
        return chosen
    entry = next(iter(found))
    lost = lost_frames(file[entry], wanted)
    if lost:
        raise DataError(f"{file.filename}: in entry {entry} {lost}")
    if wanted and counts:
        raise DataError(
            f"{file.filename} has no frames of a detector '{wanted}'; it has frames of {listed}"
        )
    if not counts:
        raise DataError(
            f"{file.filename} has no frames in {_plural(len(found))}: expected a dataset of three "
            "axes as N.1/instrument/<detector>/image or data"
        )
    raise DataError(
        f"{file.filename} has frames of several detectors: {listed}. Say which (DATANAME, or "
        "prefix)"
    )


def _plural(count: int) -> str:
    return "1 entry" if count == 1 else f"{count} entries"


def _read_record(
    file: h5py.File, entry: str, path: str, goniometers: tuple[Goniometer, ...]
) -> EntryRecord:
    group = file[entry]
    frames = group[path]
    count = shape_of(frames)[0]
    currents = {goniometer.ring_current for goniometer in goniometers}
    whole, missing = presence(frames)
    motors, lent = read_motors(group, goniometers, count), tuple[str, ...]()
    first = file.get(f"{numbers_of(entry)[0]}.1")
    if numbers_of(entry)[1] > 1 and isinstance(first, h5py.Group):
        motors, lent = completed(motors, read_motors(first, goniometers, count), count)
    return EntryRecord(
        entry=entry,
        title=text_of(group, "title"),
        finished=text_of(group, "end_reason") == "SUCCESS",
        dataset=f"{entry}/{path}",
        shape=shape_of(frames),
        dtype=frames.dtype.newbyteorder("="),
        whole=whole,
        missing=missing,
        motors=motors,
        lent=lent,
        current={name: read_current(group, name, count) for name in currents},
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


def read_reading(entry: h5py.Group, name: str, frames: int) -> Reading:
    """What an entry records of a motor: a moving one by a list, the others by one number.

    `frames`: number of frames: of several lists, the first that is as long is the right one.
    """
    found = [_values(entry.get(place.format(name))) for place in _PLACES]
    lists = [values for values in found if isinstance(values, np.ndarray)]
    singles = [values for values in found if values is not None]
    fitting = [values for values in lists if values.size == frames]
    return next(iter([*fitting, *lists, *singles]), None)


def _values(item: Any) -> Reading:
    if not isinstance(item, h5py.Dataset) or item.ndim > 1 or item.size in (None, 0):
        return None
    values = np.asarray(item[()]).ravel()
    if values.dtype.kind not in "iuf":
        texts = [t.decode(errors="replace") if isinstance(t, bytes) else str(t) for t in values]
        try:
            values = np.array(texts, np.float64)
        except ValueError:
            return texts[0]
    unit = item.attrs.get("units", "")
    unit = (unit.decode(errors="replace") if isinstance(unit, bytes) else str(unit)).lower()
    values = values.astype(np.float64) * _DEGREES.get(unit.replace("µ", "u"), 1.0)
    return values if values.size > 1 else float(values[0])


def read_current(entry: h5py.Group, name: str, frames: int) -> Reading:
    """The ring current in mA: of every frame, or else the one at the start of the entry.

    `frames`: number of frames; a list of another length was not recorded with them.
    """
    for counter in dict.fromkeys((name, "current", "srcur")):
        for place in _CURRENTS:
            values = _values(entry.get(place.format(counter)))
            if isinstance(values, np.ndarray) and values.size == frames:
                return values
    places = ("instrument/machine/current", f"instrument/positioners/{name}")
    numbers = [_values(entry.get(place)) for place in places]
    return next((number for number in numbers if isinstance(number, float)), None)


def read_motors(entry: h5py.Group, goniometers: Iterable[Goniometer], frames: int) -> Readings:
    """What an entry of so many frames records of the motors of some beamlines, by their names."""
    names = {name for goniometer in goniometers for name in goniometer.motors.values()}
    return {name: read_reading(entry, name, frames) for name in sorted(names)}


def completed(own: Readings, other: Readings, frames: int) -> tuple[Readings, tuple[str, ...]]:
    """Readings with what only another entry of the scan has, and the lists that are taken there."""

    def fitting(readings: Readings) -> Readings:
        return {n: v for n, v in readings.items() if isinstance(v, np.ndarray) and v.size == frames}

    known = {name: values for name, values in own.items() if values is not None}
    lent = {name: v for name, v in fitting(other).items() if name not in fitting(own)}
    return other | known | lent, tuple(lent)


def lists_of(readings: Readings, goniometer: Goniometer) -> dict[str, FloatArray]:
    """The readings that are lists, by the names of the motors."""
    every = ((name, readings.get(name)) for name in goniometer.motors.values())
    return {name: values for name, values in every if isinstance(values, np.ndarray)}


def known_and_moving(entries: Iterable[Readings]) -> tuple[set[str], set[str]]:
    """Names of the motors that the entries record, and of those that move in or between them."""
    spans: dict[str, list[float]] = {}
    known: set[str] = set()
    for entry in entries:
        for name, values in entry.items():
            if values is not None:
                known.add(name)
            if isinstance(values, float | np.ndarray):
                read = np.ravel(values)[np.isfinite(np.ravel(values))]
                spans.setdefault(name, []).extend([read.min(), read.max()] if read.size else [])
    moving = {name for name, ends in spans.items() if ends and max(ends) - min(ends) > _MOVED_DEG}
    return known, moving


def absent_parts(entries: Sequence[Readings], goniometer: Goniometer) -> list[str]:
    """The needed parts for which no entry records a motor."""
    names = goniometer.motors
    return [part for part in NEEDED if all(one.get(names[part]) is None for one in entries)]


def motor_columns(
    readings: Readings, goniometer: Goniometer, absent: list[str], frames: NDArray[np.int64]
) -> tuple[FloatArray, NDArray[np.bool_], str]:
    """Readings, (motors, frames), which frames have all that are needed, and why others have not.

    `absent`: parts for which no entry records a motor: their readings are NaN.
    """
    columns = np.full((len(goniometer.motors), frames.size), np.nan)
    known, why = np.ones(frames.size, bool), ""
    for column, (part, name) in zip(columns, goniometer.motors.items(), strict=True):
        values = readings.get(name)
        if isinstance(values, np.ndarray):
            column[:] = values[frames]
        elif isinstance(values, float):
            column[:] = values
        if part == "energy":
            column[column > 1000] /= 1000  # recorded in eV
        read = np.abs(column) <= LARGEST_READING
        column[~read] = np.nan
        if part in NEEDED and part not in absent:
            known &= read
            why = why or ("" if read.all() else _explain(f"'{name}' ({part})", values, read))
    return columns, known, why


def _explain(motor: str, values: Reading, read: NDArray[np.bool_]) -> str:
    if values is None:
        return f"the motor {motor} is not recorded, but it is in other entries"
    if isinstance(values, str):
        return f"the motor {motor} reads '{values}', no number: was its controller off?"
    return f"the motor {motor} has no reading at frame {int(np.argmin(read))}"
