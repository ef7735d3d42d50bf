"""A scan: its motors known at once, its frames read when asked for."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np

from recon3d.errors import Recon3DWarning
from recon3d.goniometer import Goniometer
from recon3d.io.arrange import Choices, arrange
from recon3d.io.damage import list_names
from recon3d.io.raw_scan import Scan
from recon3d.io.refusals import refuse_narrow_rotation, short
from recon3d.io.settings_grid import SettingAxis
from recon3d.io.source import FrameSource, Roi
from recon3d.io.sources import explaining_misfits, open_source

__all__ = ["Choices", "FrameSource", "Roi", "Scan", "SettingAxis", "arrange_scan", "open_scan"]


def open_scan(
    path: str | Path,
    prefix: str = "",
    *,
    goniometer: str | Goniometer = "auto",
    entries: str | None = None,
    phi0_deg: float | None = None,
    chi0_deg: float | None = None,
    tilt_azimuth_deg: float = 0.0,
    recorded_at: str = "middle",
    step_deg: float | tuple[float, float] | None = None,
    skip_damaged: bool = False,
    show_progress: bool = True,
) -> Scan:
    """Open a folder of EDF files, or a BLISS HDF5 file, as a scan.

    The motors are read now, the frames when they are asked for.

    Parameters
    ----------
    path
        The folder, or the file (by its content, or .h5, .hdf5 or .nxs).
    prefix
        How the names of the scan's EDF files begin; the name of the detector in an HDF5
        file, "" or "-" where it has frames of one only.
    goniometer
        Name of a beamline ("id06", "id03"), the names of the motors, or "auto" for the
        beamline whose motors the files have.
    entries
        Entries of an HDF5 file to use, such as "3.1,5-40"; None for all.
    phi0_deg, chi0_deg
        The readings of phi and chi at which the tilts are zero; None for the middle of
        their ranges.
    tilt_azimuth_deg
        0 or 90: turns (χ, φ), for scan macros that swap the two.
    recorded_at
        "middle", or "start" where motors were read at the start of the exposures of a
        continuous scan.
    step_deg
        About how far the positions of (mu, gamma) are apart, one number or two. It only
        helps to tell jitter from steps: the motors are the truth.
    skip_damaged
        Leave damaged files out, with a warning that lists them.
    show_progress
        Show a progress bar.

    Raises
    ------
    ParameterError
        An argument is impossible.
    DataError
        Files are missing, damaged or doubled.
    GridError
        The motors span no usable grid of settings.

    Warns
    -----
    Recon3DWarning
        Frames are missing.
    """
    choices = Choices(phi0_deg, chi0_deg, tilt_azimuth_deg, recorded_at, step_deg)
    source, names = open_source(
        path,
        prefix,
        goniometer,
        entries=entries,
        skip_damaged=skip_damaged,
        show_progress=show_progress,
    )
    with explaining_misfits(source):
        scan = arrange_scan(source, names, choices, skip_doubled=skip_damaged)
    if goniometer == "auto":
        refuse_narrow_rotation(scan.omega_deg, scan.axes, names)
    return replace(scan, left_out=(*source.left_out, *scan.left_out))


def arrange_scan(
    source: FrameSource,
    goniometer: Goniometer,
    choices: Choices,
    *,
    skip_doubled: bool = False,
) -> Scan:
    """Sort the frames of any source into projections and settings.

    Parameters
    ----------
    source
        Where the frames are.
    goniometer
        The names of the motors, for messages.
    choices
        What the user says of the scan.
    skip_doubled
        Leave frames out, with a warning, that were taken at the setting of an earlier one.

    Raises
    ------
    DataError, GridError
        As `open_scan`.

    Warns
    -----
    Recon3DWarning
        Frames are missing.
    """
    found = arrange(source.motors, goniometer, choices, source.name, skip_doubled=skip_doubled)
    scan = Scan(
        source=source,
        roi=Roi.whole(source.frame_shape),
        origin=found.origin,
        kind=found.kind,
        axes=found.axes,
        omega_deg=found.omega_deg,
        slots=found.slots,
        readings=found.readings,
        left_out=found.left_out,
    )
    if scan.left_out:
        named = list_names([name for name, _ in scan.left_out])
        text = (
            f"{len(scan.left_out)} frames were taken where others were, and are left out: {named}"
        )
        warnings.warn(text, Recon3DWarning, stacklevel=3)
    _warn_of_missing(scan)
    return scan


def _warn_of_missing(scan: Scan) -> None:
    gaps = np.argwhere(scan.slots < 0)
    if not gaps.size:
        return
    shape = [axis.values_deg.size for axis in scan.axes]
    named = []
    for k, frame in gaps[:3]:
        place = np.unravel_index(frame, shape)
        setting = ", ".join(
            f"{axis.name} {short(axis.values_deg[i])}"
            for axis, i in zip(scan.axes, place, strict=True)
        )
        named.append(f"omega {short(scan.omega_deg[k])}, {setting}")
    more = "; ..." if len(gaps) > len(named) else ""
    warnings.warn(
        f"{len(gaps)} of {scan.slots.size} frames are missing: {'; '.join(named)}{more}",
        Recon3DWarning,
        stacklevel=4,
    )
