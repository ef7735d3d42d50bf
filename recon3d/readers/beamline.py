"""Which beamline's motor names a scan uses."""

from __future__ import annotations

from collections.abc import Container
from pathlib import Path

from recon3d.config.goniometer import GONIOMETERS, Goniometer
from recon3d.errors import DataError
from recon3d.readers.edf.files import list_edf
from recon3d.readers.edf.header import HeadReader


def choose_goniometer(known: Container[str], moving: Container[str]) -> Goniometer:
    """The beamline whose rotation and base tilt are among the motors of a scan.

    Where the motors of several are, those that moved decide; where the rotation of none is,
    its base tilt alone does.

    Parameters
    ----------
    known
        Names of the motors that the files record.
    moving
        Names of those that moved.

    Raises
    ------
    DataError
        No beamline fits, or several do.
    """
    beamlines = GONIOMETERS.values()
    fitting = [b for b in beamlines if b.omega in known and b.base_tilt in known]
    fitting = fitting or [b for b in beamlines if b.base_tilt in known]
    if not fitting:
        raise DataError(
            f"the files record the motors of no known beamline ({_names(beamlines)}): name them, "
            "as in --motors id03,omega=...,base_tilt=..."
        )
    moved = [(b.omega in moving) + (b.base_tilt in moving) for b in fitting]
    best = [b for b, count in zip(fitting, moved, strict=True) if count == max(moved)]
    if len(best) > 1:
        raise DataError(
            f"the files record the motors of several beamlines ({_names(best)}): say which, as "
            "in --motors id03"
        )
    return best[0]


def edf_goniometer(folder: str | Path, prefix: str) -> Goniometer:
    """The beamline whose motors the headers of EDF files name; ID06 where none fits.

    Parameters
    ----------
    folder, prefix
        Where the files are, and how their names begin.

    Raises
    ------
    DataError
        There are no such files.
    """
    for name in list_edf(folder, prefix):
        try:
            known = HeadReader().read(Path(folder) / name).text.get("motor_mne", "").split()
        except DataError:
            continue  # damaged files are reported, all at once, when all are read
        fitting = [b for b in GONIOMETERS.values() if b.omega in known and b.base_tilt in known]
        return fitting[0] if fitting else GONIOMETERS["id06"]
    return GONIOMETERS["id06"]


def _names(goniometers: object) -> str:
    wanted = list(goniometers)  # type: ignore[call-overload]
    return "; ".join(
        f"{name}: {goniometer.omega}, {goniometer.base_tilt}"
        for name, goniometer in GONIOMETERS.items()
        if goniometer in wanted
    )
