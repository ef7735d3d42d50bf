"""`recon3d getdata`: read a scan, clean it, and leave scan.h5 and the arrays in a folder."""

from __future__ import annotations

import dataclasses
import logging
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from recon3d.cleaning.pipeline import clean
from recon3d.cleaning.steps import check_region
from recon3d.cleaning.suggest import Suggestion, kept_share, with_suggestions
from recon3d.config.getdata import GetData
from recon3d.config.goniometer import GONIOMETERS, Goniometer
from recon3d.errors import ParameterError
from recon3d.files.numpy_arrays import ArrayWriter
from recon3d.files.store import CleanedScan
from recon3d.readers.open import look_at_frame_shape, mean_background, read_image
from recon3d.readers.source import Binning, Roi
from recon3d.runtime.atomic import make_folder, require_writable
from recon3d.runtime.communicator import ALONE, Communicator, from_first
from recon3d.scan.scan import Scan, compare_steps, open_scan, require_rocking

logger = logging.getLogger(__name__)


def open_data(plan: GetData, *, crop: bool = True, show_progress: bool = True) -> Scan:
    """Open the scan that a plan names, with the errors of `recon3d.open_scan`.

    `crop`: False for whole frames.
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
    """The scan with the region of interest and the binning of a plan."""
    rows, cols = scan.source.frame_shape
    cropped = scan.crop(plan.poi or (cols // 2, rows // 2), plan.imgsize or (cols, rows))
    return cropped.binned(*plan.binning)


def calibration_images(plan: GetData) -> dict[str, Any]:
    """The images of `recon3d.clean` that a plan names: background, flat field, bad pixels."""
    flat, bad = plan.flat_field, plan.bad_pixels
    return {
        "background": None if plan.bgdir == "-" else mean_background(plan.bgdir, plan.bgname),
        "flat_field": None if flat is None else read_image(flat),
        "bad_pixels": None if bad is None else read_image(bad) != 0,
    }


def getdata(
    plan: GetData, *, show_progress: bool = True, communicator: Communicator = ALONE
) -> CleanedScan:
    """Read and clean a scan; leave scan.h5 and the arrays in the output folder.

    `plan`: what the command line, or a settings file, says; a warning tells where its steps and the
    motors disagree, and the motors are used. All processes that share the work call this function.
    The errors are those of `recon3d.open_scan` and `recon3d.clean`.
    """
    # The first member alone reads headers and looks: what it finds is sent to the others.
    said = plan.texts()
    images, scan, plan, more = from_first(communicator, lambda: _looked_at(plan, show_progress))
    first = communicator.rank == 0
    folder = Path(plan.outputpath) / plan.outputdirname
    properties = {"framebg": plan.cleaning.framebg, "binth": plan.cleaning.binth}
    with ArrayWriter(scan, folder, plan.arrays, properties) if first else nullcontext() as arrays:
        store = clean(
            scan,
            plan.cleaning,
            folder / "scan.h5",
            provenance={"getdata": said, **more},
            sink=arrays,
            skip_damaged=plan.skip_damaged,
            show_progress=show_progress,
            communicator=communicator,
            **images,
        )
    logger.info("written: %s", folder)
    return store


def _looked_at(
    plan: GetData, show_progress: bool
) -> tuple[dict[str, Any], Scan, GetData, dict[str, Any]]:
    """Calibration images, scan, plan with what the data suggest, and what is kept of that.

    The folder is made when all fits together.
    """
    _check_region(plan)
    images = calibration_images(plan)
    folder = Path(plan.outputpath) / plan.outputdirname
    require_writable(folder, "scan.h5")
    scan = open_data(plan, crop=False, show_progress=show_progress)
    logger.info("%r", scan)
    require_rocking(scan)
    compare_steps(scan, plan.angsteps, plan.numangsteps)
    plan, suggestion = completed(plan, scan, images, show_progress=show_progress)
    make_folder(folder)
    scan = region_of(scan, plan)
    if suggestion is not None:
        return images, scan, plan, {"suggested": suggestion.record()}
    check_region(scan.shape[2:], plan.cleaning.for_bins(*scan.binning))
    return images, scan, plan, {"kept_share": kept_share(scan, plan.cleaning, **images)}


def completed(
    plan: GetData, scan: Scan, images: dict[str, Any], *, show_progress: bool = True
) -> tuple[GetData, Suggestion | None]:
    """Fill in what a plan leaves to the data, and tell it; nothing where all is chosen.

    `plan`: of which `poi`, `imgsize`, `framebg` and `binth` may be None.
    """
    binned, region = scan.binned(*plan.binning), (plan.poi, plan.imgsize)
    cleaning, found = with_suggestions(
        binned, plan.cleaning, *region, show_progress=show_progress, **images
    )
    if found is not None:
        plan = dataclasses.replace(plan, poi=found.poi, imgsize=found.imgsize, cleaning=cleaning)
    return plan, found


def _check_region(plan: GetData) -> None:
    """Refuse a region that cannot be, before thousands of headers are read."""
    if plan.imgsize is not None:
        binning = Binning(*plan.binning)
        binning.require_room(plan.imgsize[::-1])
        bins = binning.shape_of(plan.imgsize[::-1])
        check_region(bins, plan.cleaning.for_bins(*binning))
    shape = look_at_frame_shape(plan.datadir, plan.dataname)
    if shape is not None and plan.poi is not None and plan.imgsize is not None:
        Roi.around(plan.poi, plan.imgsize).require_inside(shape)


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
