"""Motor readings of the frames in an entry of a BLISS file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import h5py
import numpy as np
from numpy.typing import NDArray

from recon3d.config.goniometer import Goniometer
from recon3d.errors import DataError
from recon3d.readers.damage import LARGEST_READING

FloatArray = NDArray[np.float64]
Reading: TypeAlias = "float | FloatArray | str | None"
"""One number, one a frame, what stands in place of a number, or None: not recorded."""

PARTS = ("omega", "base_tilt", "chi", "phi", "two_theta", "energy")
_NEEDED = ("omega", "base_tilt", "chi", "phi")
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


def _is_list(values: Reading, frames: int) -> bool:
    return isinstance(values, np.ndarray) and values.size == frames


@dataclass(frozen=True, eq=False)
class EntryMotors:
    """What one entry records of the motors."""

    readings: dict[str, Reading]  # by the motor's name, of all beamlines
    # motors whose lists of readings are those of another entry of the same scan
    lent: tuple[str, ...] = ()

    @classmethod
    def read(
        cls, entry: h5py.Group, goniometers: tuple[Goniometer, ...], frames: int
    ) -> EntryMotors:
        """Read the motors that play a part on one of the goniometers."""
        names = {getattr(goniometer, part) for goniometer in goniometers for part in PARTS}
        return cls({name: read_reading(entry, name, frames) for name in sorted(names)})

    def completed_by(self, other: EntryMotors, frames: int) -> EntryMotors:
        """The same with what only another entry of the scan has, of lists those for all frames."""
        own = {name: values for name, values in self.readings.items() if values is not None}
        fitting = {name for name, values in own.items() if _is_list(values, frames)}
        lists = {
            name: values
            for name, values in other.readings.items()
            if name not in fitting and _is_list(values, frames)
        }
        return EntryMotors(other.readings | own | lists, tuple(lists))

    def of(self, goniometer: Goniometer) -> dict[str, Reading]:
        """The readings by the parts that the motors play."""
        return {part: self.readings.get(getattr(goniometer, part)) for part in PARTS}

    def lists(self, goniometer: Goniometer) -> dict[str, FloatArray]:
        """The readings that are lists, by the parts."""
        every = self.of(goniometer)
        return {part: values for part, values in every.items() if isinstance(values, np.ndarray)}

    def stands_still(self, goniometer: Goniometer) -> bool:
        """Whether none of the motors moves in the entry."""
        return all(np.ptp(values) == 0 for values in self.lists(goniometer).values())


def known_and_moving(entries: list[EntryMotors]) -> tuple[set[str], set[str]]:
    """Names of the motors that the entries record, and of those that move in or between them."""
    spans: dict[str, list[float]] = {}
    known: set[str] = set()
    for entry in entries:
        for name, values in entry.readings.items():
            if values is not None:
                known.add(name)
            if isinstance(values, float | np.ndarray):
                read = np.ravel(values)[np.isfinite(np.ravel(values))]
                spans.setdefault(name, []).extend([read.min(), read.max()] if read.size else [])
    moving = {name for name, ends in spans.items() if ends and max(ends) - min(ends) > _MOVED_DEG}
    return known, moving


def absent_parts(entries: list[EntryMotors], goniometer: Goniometer) -> list[str]:
    """The needed parts for which no entry records a motor."""
    return [
        part for part in _NEEDED if all(entry.of(goniometer)[part] is None for entry in entries)
    ]


def motor_columns(
    motors: EntryMotors, goniometer: Goniometer, absent: list[str], frames: NDArray[np.int64]
) -> list[FloatArray]:
    """Readings of some frames of an entry, in the order of `PARTS`, each of shape (frames,).

    `absent`: parts for which no entry records a motor: their readings are NaN. Raises a DataError,
    without the file's name, where a motor that is needed is not recorded, or has no number.
    """
    columns = []
    for part, values in motors.of(goniometer).items():
        needed = part in _NEEDED and part not in absent
        column = np.full(frames.size, np.nan)
        if isinstance(values, np.ndarray):
            column[:] = values[frames]
        elif isinstance(values, float):
            column[:] = values
        column[~(np.abs(column) <= _largest(part))] = np.nan
        if needed and not np.isfinite(column).all():
            raise DataError(_explain(getattr(goniometer, part), part, values, column))
        columns.append(np.where(np.isfinite(column), column, np.nan))
    energy = columns[PARTS.index("energy")]
    energy[energy > 1000] /= 1000  # recorded in eV
    return columns


def frames_with_readings(
    motors: EntryMotors, goniometer: Goniometer, absent: list[str], frames: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Those of some frames of an entry for which all motors that are needed have a reading."""
    known = np.ones(frames.size, bool)
    for part, values in motors.of(goniometer).items():
        if part in _NEEDED and part not in absent:
            if isinstance(values, np.ndarray):
                known &= np.abs(values[frames]) <= LARGEST_READING
            else:
                known &= isinstance(values, float) and abs(values) <= LARGEST_READING
    return frames[known]


def _largest(part: str) -> float:
    """The largest reading that is believed; an energy may be recorded in eV."""
    return 1000 * LARGEST_READING if part == "energy" else LARGEST_READING


def _explain(name: str, part: str, values: Reading, column: FloatArray) -> str:
    motor = f"the motor '{name}' ({part})"
    if values is None:
        return f"{motor} is not recorded, but it is in other entries"
    if isinstance(values, str):
        return f"{motor} reads '{values}', no number: was its controller off?"
    return f"{motor} has no reading at frame {int(np.argmin(np.isfinite(column)))}"
