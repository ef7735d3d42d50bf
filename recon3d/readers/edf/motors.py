"""The motor readings in the header of an EDF file of ID06."""

from __future__ import annotations

import difflib
import math

from recon3d.config.goniometer import Goniometer
from recon3d.errors import DataError, warn
from recon3d.readers.damage import LARGEST_READING

_MOTORS = ("omega", "base_tilt", "chi", "phi", "two_theta", "energy")
_NEEDED = ("omega", "base_tilt")
_TILTS = ("chi", "phi")


class UnknownMotorError(DataError):
    """No file of a scan has a motor that is needed."""


class MotorReader:
    """Takes the seven columns of a `MotorTable` from header after header.

    Parameters
    ----------
    goniometer
        The names of the motors.
    """

    def __init__(self, goniometer: Goniometer) -> None:
        self._names = {part: getattr(goniometer, part) for part in _MOTORS}
        self._current = goniometer.ring_current
        self._absent: frozenset[str] | None = None
        self._places: dict[str, tuple[dict[str, int], int]] = {}

    def read(self, text: dict[str, str]) -> tuple[float, ...]:
        """The readings of one frame, in the order of the fields of `MotorTable`.

        The first header decides whether the scan has `chi` and `phi` at all.

        Parameters
        ----------
        text
            Values of the header by lower-case key.

        Raises
        ------
        UnknownMotorError
            The first header lacks the rotation or the base tilt.
        DataError
            With the reason, but without the file's name.

        Warns
        -----
        Recon3DWarning
            The first header lacks `chi` or `phi`: it is taken as still, its readings are NaN.
        """
        places, count = self._place(text.get("motor_mne", ""))
        readings = text.get("motor_pos", "").split()
        if len(readings) != count:
            raise DataError(
                f"names {count} motors in motor_mne but has {len(readings)} in motor_pos"
            )
        if self._absent is None:
            self._absent = self._look_for_motors(list(places))
        values = [self._position(part, places, readings) for part in _MOTORS]
        if values[-1] > 1000:  # recorded in eV
            values[-1] /= 1000
        return (*values, self._ring_current(text))

    def _look_for_motors(self, known: list[str]) -> frozenset[str]:
        """The tilts that are not among the motors of a scan."""
        for part in _NEEDED:
            if self._names[part] not in known:
                raise UnknownMotorError(self._explain_missing(part, known))
        absent = frozenset(part for part in _TILTS if self._names[part] not in known)
        if absent:
            names = " and ".join(f"'{self._names[part]}'" for part in sorted(absent))
            verb = "is" if len(absent) == 1 else "are"
            warn(
                f"{names} {verb} not among the motors in the files: {' and '.join(sorted(absent))} "
                f"{verb} taken as still"
            )
        return absent

    def _position(self, part: str, places: dict[str, int], readings: list[str]) -> float:
        name = self._names[part]
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
        readings = text.get("counter_pos", "").split()
        value = math.nan
        if self._current in places and len(readings) == count:
            value = _number(readings[places[self._current]])
        elif self._current not in places:
            value = _number((text.get("machine current", "").split() or [""])[0])
        return value if math.isfinite(value) and value > 0 else math.nan

    def _place(self, line: str) -> tuple[dict[str, int], int]:
        """Position of each name in a line of names, and how many names there are.

        All files share one or two such lines, so they are taken apart once.
        """
        if line not in self._places:
            names = line.split()
            self._places[line] = {name: i for i, name in enumerate(names)}, len(names)
        return self._places[line]

    def _explain_missing(self, part: str, known: list[str]) -> str:
        if not known:
            return "the headers have no motor_mne, so no motor positions are known"
        near = difflib.get_close_matches(self._names[part], known, n=1, cutoff=0.0)[0]
        return (
            f"there is no motor '{self._names[part]}' ({part}) in the files; the nearest name is "
            f"'{near}'. Name the motors, as in --motors id06,{part}=...; they have: "
            f"{' '.join(known)}"
        )


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
