"""`recon3d getdata`: read a scan, clean it, and leave scan.h5 and the arrays in a folder."""

from __future__ import annotations

import dataclasses
import logging
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from recon3d.cleaning.pipeline import clean
from recon3d.errors import ParameterError, Recon3DWarning
from recon3d.getdata_keys import GetData
from recon3d.goniometer import GONIOMETERS, Goniometer
from recon3d.io.arrays import ArrayWriter
from recon3d.io.edf import read_image
from recon3d.io.scan import Scan, open_scan
from recon3d.io.sources import mean_background
from recon3d.io.store import CleanedScan

logger = logging.getLogger(__name__)


def open_data(plan: GetData, *, crop: bool = True, show_progress: bool = True) -> Scan:
    """Open the scan that a plan names.

    Parameters
    ----------
    plan
        Where it is and how it was taken.
    crop
        False for whole frames.
    show_progress
        False for a silent run.

    Raises
    ------
    ParameterError, DataError, GridError
        As `recon3d.open_scan`, or the region of interest leaves the frame.
    """
    scan = open_scan(plan.datadir, plan.dataname, show_progress=show_progress, **opening(plan))
    return region_of(scan, plan) if crop else scan


def opening(plan: GetData) -> dict[str, Any]:
    """The keyword arguments of `open_scan` that a plan gives."""
    steps = plan.angsteps or ()
    return {
        "goniometer": _goniometer(plan.motors),
        "entries": plan.entries,
        "phi0_deg": plan.phi0,
        "chi0_deg": plan.chi0,
        "tilt_azimuth_deg": plan.tilt_azimuth,
        "recorded_at": plan.recorded_at,
        "step_deg": min((step for step in steps if step > 0), default=None),
        "skip_damaged": plan.skip_damaged,
    }


def region_of(scan: Scan, plan: GetData) -> Scan:
    """The scan with the region of interest of a plan."""
    rows, cols = scan.source.frame_shape
    return scan.crop(plan.poi or (cols // 2, rows // 2), plan.imgsize or (cols, rows))


def calibration_images(plan: GetData) -> dict[str, Any]:
    """The images of `recon3d.clean` that a plan names: background, flat field, bad pixels."""
    flat, bad = plan.flat_field, plan.bad_pixels
    return {
        "background": None if plan.bgdir == "-" else mean_background(plan.bgdir, plan.bgname),
        "flat_field": None if flat is None else read_image(flat),
        "bad_pixels": None if bad is None else read_image(bad) != 0,
    }


def getdata(
    plan: GetData, *, record: Mapping[str, str] | None = None, show_progress: bool = True
) -> CleanedScan:
    """Read and clean a scan; leave scan.h5 and the arrays in the output folder.

    Parameters
    ----------
    plan
        What the command line, or a settings file, says.
    record
        How it was said, to be kept with the result; the plan where None.
    show_progress
        False for a silent run.

    Returns
    -------
    cleaned
        The opened scan.h5.

    Raises
    ------
    ParameterError, DataError, GridError
        As `recon3d.open_scan` and `recon3d.clean`.

    Warns
    -----
    Recon3DWarning
        Steps that were given and the motors disagree: the motors are used.
    """
    cleaning = plan.cleaning
    scan = open_data(plan, show_progress=show_progress)
    logger.info("%r", scan)
    if plan.angsteps and plan.numangsteps:
        _compare_steps(scan, plan.angsteps, plan.numangsteps)
    folder = Path(plan.outputpath) / plan.outputdirname
    folder.mkdir(parents=True, exist_ok=True)
    properties = {"framebg": cleaning.framebg, "binth": cleaning.binth}
    said = {key: str(value) for key, value in (record or dataclasses.asdict(plan)).items()}
    with ArrayWriter(scan, folder, plan.arrays, properties) as arrays:
        store = clean(
            scan,
            cleaning,
            folder / "scan.h5",
            provenance={"getdata": said},
            sink=arrays,
            show_progress=show_progress,
            **calibration_images(plan),
        )
    logger.info("written: %s", folder)
    return store


def _goniometer(text: str) -> str | Goniometer:
    """Parse `auto`, or `id06,omega=diffry,...`: a beamline's names with some changed."""
    if text == "auto":
        return text
    beamline, *changes = text.split(",")
    if beamline not in GONIOMETERS:
        raise ParameterError(
            f"--motors {text}: '{beamline}' is no known beamline, expected "
            f"auto, {' or '.join(GONIOMETERS)}"
        )
    parts = [field.name for field in dataclasses.fields(Goniometer)]
    names: dict[str, Any] = {}
    for change in changes:
        part, _, name = change.partition("=")
        if part not in parts or not name:
            raise ParameterError(
                f"--motors {text}: '{change}' is not part=motor, "
                f"with part one of {', '.join(parts)}"
            )
        names[part] = name
    return dataclasses.replace(GONIOMETERS[beamline], **names)


def _compare_steps(
    scan: Scan, steps_deg: tuple[float, float], numbers: tuple[float, float]
) -> None:
    """Warn where the user's steps and the motors disagree: the motors are the truth."""
    tilts = [axis for axis in scan.axes if axis.name not in ("two_theta", "energy")]
    for axis, step, number in zip(tilts, steps_deg, numbers, strict=False):
        values = axis.values_deg
        if number != values.size:
            warnings.warn(
                f"NUMANGSTEPS is {number:g}, but the motors took {values.size} settings of "
                f"{axis.name}: the motors are used",
                Recon3DWarning,
                stacklevel=3,
            )
        if values.size < 2:
            continue
        measured = (values[-1] - values[0]) / (values.size - 1)
        if abs(abs(step) - measured) > 0.1 * measured:
            warnings.warn(
                f"ANGSTEPS is {step:g}°, but the motors moved {axis.name} in steps of "
                f"{measured:.4g}°: the motors are used",
                Recon3DWarning,
                stacklevel=3,
            )
