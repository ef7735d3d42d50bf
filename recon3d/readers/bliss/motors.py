"""Motor readings of the frames in an entry of a BLISS file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

import h5py
import numpy as np
from numpy.typing import NDArray

from recon3d.config.goniometer import Goniometer
from recon3d.readers.damage import LARGEST_READING

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
