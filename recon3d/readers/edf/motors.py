"""The motor readings in the header of an EDF file."""

from __future__ import annotations

import difflib
import math
import re
from textwrap import shorten

from recon3d.config.goniometer import GONIOMETERS, Goniometer
from recon3d.errors import DataError, warn
from recon3d.readers.damage import LARGEST_READING

_NEEDED = ("omega", "base_tilt")
_TILTS = ("chi", "phi")
_LISTED = 200


class UnknownMotorError(DataError):
    """No file of a scan has a motor that is needed."""


class MotorReader:
    """Takes the motors, and the time, from header after header.

    The first decides whose names they have where `goniometer` is None, and which tilts there are.
    """

    def __init__(self, goniometer: Goniometer | None = None) -> None:
        self.goniometer = goniometer or GONIOMETERS["id06"]
        self._chosen = goniometer is not None
        self._absent: frozenset[str] | None = None
        self._places: dict[str, tuple[dict[str, int], int]] = {}

    def read(self, text: dict[str, str]) -> tuple[float, ...]:
        """The readings of one frame in the order of the fields of `MotorTable`, and its epoch.

        `text`: values by lower-case key. Tilts that the first header lacks are NaN, with a warning;
        a rotation or base tilt that it lacks is an UnknownMotorError.
        """
        for key in ("motor_mne", "motor_pos"):
            if not text.get(key):
                raise DataError(f"has no {key} in its header: no motor positions are known")
        places, count = self._place(text["motor_mne"])
        readings = _split_readings(text.get("motor_pos", ""), count)
        if len(readings) != count:
            raise DataError(
                f"names {count} motors in motor_mne but has {len(readings)} in motor_pos"
            )
        if self._absent is None:
            self._absent = self._look_for_motors(list(places))
        values = [self._position(part, places, readings) for part in self.goniometer.motors]
        if values[-1] > 1000:  # recorded in eV
            values[-1] /= 1000
        return (*values, self._ring_current(text), _number(text.get("epoch", "")))

    def _look_for_motors(self, known: list[str]) -> frozenset[str]:
        """The tilts that are not among the motors of a scan."""
        if not self._chosen:
            fitting = (b for b in GONIOMETERS.values() if {b.omega, b.base_tilt} <= set(known))
            self.goniometer = next(fitting, self.goniometer)
        for part in _NEEDED:
            if getattr(self.goniometer, part) not in known:
                raise UnknownMotorError(_explain_missing(part, self.goniometer, known))
        absent = [part for part in _TILTS if getattr(self.goniometer, part) not in known]
        if absent:
            names = " and ".join(f"'{getattr(self.goniometer, part)}'" for part in absent)
            verb = "is" if len(absent) == 1 else "are"
            warn(
                f"{names} {verb} not among the motors in the files: {' and '.join(absent)} "
                f"{verb} taken as still"
            )
        return frozenset(absent)

    def _position(self, part: str, places: dict[str, int], readings: list[str]) -> float:
        name = getattr(self.goniometer, part)
        absent = self._absent or frozenset()
        needed = part in _NEEDED or (part in _TILTS and part not in absent)
        if part in absent or (name not in places and not needed):
            return math.nan
        if name not in places:
            raise DataError(f"has no motor '{name}' ({part}), which other files have")
        value = _number(readings[places[name]])
        if needed and not abs(value) <= LARGEST_READING:
            raise DataError(f"reads '{readings[places[name]]}' for the motor '{name}' ({part})")
        return value if abs(value) <= LARGEST_READING else math.nan

    def _ring_current(self, text: dict[str, str]) -> float:
        """The current in mA; NaN where it is not recorded or makes no sense."""
        places, count = self._place(text.get("counter_mne", ""))
        readings = _split_readings(text.get("counter_pos", ""), count)
        current, value = self.goniometer.ring_current, math.nan
        if current in places and len(readings) == count:
            value = _number(readings[places[current]])
        elif current not in places:
            value = _number((text.get("machine current", "").split() or [""])[0])
        return value if math.isfinite(value) and value > 0 else math.nan

    def _place(self, line: str) -> tuple[dict[str, int], int]:
        """Position of each name in a line, taken apart once, and how many names there are."""
        if line not in self._places:
            names = line.replace(",", " ").split()
            self._places[line] = {name: i for i, name in enumerate(names)}, len(names)
        return self._places[line]


def _split_readings(line: str, count: int) -> list[str]:
    """The readings in a line, between spaces, or between commas where that gives their number."""
    readings = line.split()
    if len(readings) != count and "," in line:
        apart = [reading for reading in re.split(r"[\s,]+", line) if reading]
        return apart if len(apart) == count else readings
    return readings


def _number(text: str) -> float:
    """A number as C, Fortran and German programs write it; NaN for what is none."""
    try:
        return float(text)
    except ValueError:
        pass
    try:
        return float(text.rstrip(",").replace(",", ".").lower().replace("d", "e"))
    except ValueError:
        return math.nan


def _explain_missing(part: str, goniometer: Goniometer, known: list[str]) -> str:
    name = getattr(goniometer, part)
    cases = {each.lower(): each for each in known}
    near = cases[difflib.get_close_matches(name.lower(), cases, n=1, cutoff=0.0)[0]]
    return (
        f"there is no motor '{name}' ({part}) in the files; the nearest name is '{near}'. Name the "
        f"motors, as in --motors id06,{part}=...; they have: "
        f"{shorten(' '.join(known), _LISTED, placeholder=' ...')}"
    )
