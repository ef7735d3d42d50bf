"""What the entries of a BLISS file hold: the frames of one detector, and their motors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from recon3d.errors import DataError
from recon3d.goniometer import GONIOMETERS, Goniometer
from recon3d.io.bliss_entries import explained, text_of
from recon3d.io.bliss_frames import Presence, frame_datasets, lost_frames, presence
from recon3d.io.bliss_motors import EntryMotors, Reading, read_current
from recon3d.progress import track

_NAMED = 5


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
            raise DataError(f"entry {self.entry}: {problem}")
        frames = np.flatnonzero(whole) if ends_early or not uneven else np.arange(0)
        return frames, f"entry {self.entry}: {problem} ({frames.size} frames are used)"


def _explain_absence(record: EntryRecord) -> str:
    """Which frames are not on the disk, and why; empty where all are."""
    absent = np.flatnonzero(~record.present.whole)
    if not absent.size:
        return ""
    where = f"{absent.size} of {record.shape[0]} frames, from frame {absent[0]} on, are not there"
    if not record.present.missing:
        return where
    named = "; ".join(record.present.missing[:_NAMED])
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
        raise DataError(f"{file.filename}: {list_entries(damaged, len(damaged))}")
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
            elif not len(file[entry][found[entry][name]]):
                skipped[label] = "no frame yet"
            else:
                records.append(_read_record(file, entry, found[entry][name], goniometers))
    if damaged and not (skip_damaged and records):
        raise DataError(f"{file.filename} is damaged: {list_entries(damaged, len(damaged))}")
    return _of_one_layout(records, skipped), skipped | damaged


@contextmanager
def _collecting(damaged: dict[str, str], file: h5py.File, entry: str) -> Iterator[None]:
    """Note an entry that cannot be read, and go on: all of them are to be told at once."""
    place = f"{file.filename}, entry {entry}"
    try:
        with explained(place):
            yield
    except DataError as error:
        damaged[f"entry {entry}"] = str(error).removeprefix(f"{place} ")


def _choose_detector(file: h5py.File, found: dict[str, dict[str, str]], wanted: str) -> str:
    counts = Counter(name for datasets in found.values() for name in datasets)
    if wanted and wanted in counts:
        return wanted
    listed = ", ".join(f"{name} (in {_plural(count)})" for name, count in counts.most_common())
    if wanted:
        raise DataError(
            f"{file.filename} has no frames of a detector '{wanted}'; it has frames of "
            f"{listed or 'none'}"
        )
    if len(counts) == 1:
        return next(iter(counts))
    if not counts:
        raise DataError(
            f"{file.filename} has no frames in {_plural(len(found))}: expected a dataset of "
            "three axes, as N.1/instrument/<detector>/image"
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
    count = len(frames)
    names = dict.fromkeys(goniometer.ring_current for goniometer in goniometers)
    motors = EntryMotors.read(group, goniometers, count)
    return EntryRecord(
        entry=entry,
        title=text_of(group, "title"),
        finished=text_of(group, "end_reason") == "SUCCESS",
        dataset=f"{entry}/{path}",
        shape=frames.shape,
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
            label = f"{record.entry} ({record.title or 'no title'})"
            skipped[label] = f"{_layout(record)}, where most frames have {usual}"
    return [record for record in records if _layout(record) == usual]


def _layout(record: EntryRecord) -> str:
    return f"{record.shape[1]} x {record.shape[2]} pixels of {record.dtype.name}"


def list_entries(entries: dict[str, str], most: int = _NAMED) -> str:
    """Entries, and what is to be said of each, in one line."""
    named: Iterable[str] = (f"{label}: {why}" for label, why in list(entries.items())[:most])
    more = f"; and {len(entries) - most} more" if len(entries) > most else ""
    return f"{'; '.join(named)}{more}"
