"""Which beamline's motor names a scan uses."""

from __future__ import annotations

from collections.abc import Container

from recon3d.config.goniometer import GONIOMETERS, Goniometer
from recon3d.errors import DataError


def choose_goniometer(known: Container[str], moving: Container[str]) -> Goniometer:
    """The beamline whose rotation and base tilt are among the motors of a scan.

    Where the motors of several are, those that moved decide; where the rotation of none is, its
    base tilt alone does. Raises a DataError where no beamline fits, or several do.
    """
    beamlines = GONIOMETERS.values()
    fitting = [b for b in beamlines if b.omega in known and b.base_tilt in known]
    fitting = fitting or [b for b in beamlines if b.base_tilt in known]
    if not fitting:
        raise DataError(
            f"the files record the motors of no known beamline ({_names([*beamlines])}): name "
            "them, as in --motors id03,omega=...,base_tilt=..."
        )
    moved = [(b.omega in moving) + (b.base_tilt in moving) for b in fitting]
    best = [b for b, count in zip(fitting, moved, strict=True) if count == max(moved)]
    if len(best) > 1:
        raise DataError(
            f"the files record the motors of several beamlines ({_names(best)}): say which, as "
            "in --motors id03"
        )
    return best[0]


def _names(wanted: list[Goniometer]) -> str:
    return "; ".join(
        f"{name}: {goniometer.omega}, {goniometer.base_tilt}"
        for name, goniometer in GONIOMETERS.items()
        if goniometer in wanted
    )
