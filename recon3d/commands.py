"""What each command of the command line does."""

from __future__ import annotations

import argparse
import dataclasses
import logging
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recon3d.errors import ParameterError, Recon3DWarning
from recon3d.experiment import Cleaning, Experiment
from recon3d.goniometer import GONIOMETERS, Goniometer

if TYPE_CHECKING:
    from recon3d.io.scan import Scan

logger = logging.getLogger("recon3d.commands")


def demo(arguments: argparse.Namespace) -> None:
    """Run the demonstration and print how far each method is from the truth."""
    from recon3d.demo import run_demo, table

    rows = run_demo(arguments.out, full=arguments.full, show_progress=not arguments.quiet)
    print(table(rows))
    logger.info("everything is in %s", arguments.out)


def simulate(arguments: argparse.Namespace) -> None:
    """Simulate a scan of a planted grain."""
    from recon3d.simulate.bliss_file import simulate_bliss
    from recon3d.simulate.detector import SimulatedDetector
    from recon3d.simulate.phantom import make_phantom
    from recon3d.simulate.presets import OFF_CENTRE_POSITION_UM, PLANS, grain_size_um
    from recon3d.simulate.scan import simulate_scan

    plan = dataclasses.replace(PLANS[arguments.scan](), handedness=arguments.handedness)
    position = OFF_CENTRE_POSITION_UM if arguments.scan == "off-centre" else (0.0, 0.0, 0.0)
    phantom = make_phantom(
        arguments.grain,
        arguments.size or grain_size_um(plan, position_um=position),
        arguments.spread,
        arguments.seed,
        position_um=position,
    )
    common: dict[str, Any] = {
        "voxels": arguments.voxels,
        "dark_frames": arguments.dark_frames,
        "overwrite": arguments.overwrite,
        "show_progress": not arguments.quiet,
    }
    detector = SimulatedDetector(seed=arguments.seed)
    if arguments.format == "bliss":
        name = arguments.prefix.rstrip("_") or "scan"
        written = simulate_bliss(
            arguments.out, phantom, plan, detector, name=name, external=arguments.external, **common
        )
    else:
        written = simulate_scan(
            arguments.out, phantom, plan, detector, prefix=arguments.prefix, **common
        )
    logger.info("written: %s, with truth.h5 and experiment.ini", written)


def getdata(arguments: argparse.Namespace) -> None:
    """Read and clean a scan; leave scan.h5 and the arrays in the output folder."""
    from recon3d.cleaning.pipeline import clean
    from recon3d.io.arrays import ArrayWriter
    from recon3d.io.edf import read_image
    from recon3d.io.scan import open_scan
    from recon3d.io.sources import mean_background

    show = not arguments.quiet
    cleaning = _cleaning(arguments)
    steps = _one_or_two("ANGSTEPS", arguments.angsteps)
    scan = open_scan(
        arguments.datadir,
        arguments.dataname,
        goniometer=_goniometer(arguments.motors),
        entries=arguments.entries,
        phi0_deg=_number("PHI0", arguments.phi0),
        chi0_deg=_number("CHI0", arguments.chi0),
        tilt_azimuth_deg=arguments.tilt_azimuth,
        recorded_at=arguments.recorded_at,
        step_deg=min((step for step in steps if step > 0), default=None),
        skip_damaged=arguments.skip_damaged,
        show_progress=show,
    )
    scan = scan.crop(_pair("POI", arguments.poi), _pair("IMGSIZE", arguments.imgsize))
    logger.info("%r", scan)
    _compare_steps(scan, steps, _one_or_two("NUMANGSTEPS", arguments.numangsteps))
    folder = Path(arguments.outputpath) / arguments.outputdirname
    folder.mkdir(parents=True, exist_ok=True)
    background = None
    if arguments.bgdir != "-":
        background = mean_background(arguments.bgdir, arguments.bgname)
    flat_field = arguments.flat_field and read_image(arguments.flat_field)
    bad_pixels = arguments.bad_pixels and read_image(arguments.bad_pixels) != 0
    properties = {"framebg": cleaning.framebg, "binth": cleaning.binth}
    with ArrayWriter(scan, folder, arguments.arrays, properties) as arrays:
        clean(
            scan,
            cleaning,
            folder / "scan.h5",
            background=background,
            flat_field=flat_field,
            bad_pixels=bad_pixels,
            provenance={"getdata": _plain(arguments)},
            sink=arrays,
            show_progress=show,
        )
    logger.info("written: %s", folder)


def reconstruct(arguments: argparse.Namespace) -> None:
    """Reconstruct the grain of an .ini file; leave grain.h5 and grain_ang.npy in its path."""
    from recon3d.io.checks import check_energy
    from recon3d.io.store import open_store
    from recon3d.io.xdmf import write_xdmf
    from recon3d.plot.trust import trust_figure
    from recon3d.reconstruction.run import reconstruct

    experiment = Experiment.from_ini(arguments.inifile)
    given = {name: getattr(arguments, name) for name in ("method", "frame", "iterations")}
    experiment = experiment.with_settings(**{k: v for k, v in given.items() if v is not None})
    if experiment.path is None:
        raise ParameterError(
            f"{arguments.inifile}: the key 'path' is missing: give the folder that getdata wrote"
        )
    store = open_store(experiment.path / "scan.h5")
    check_energy(store.motors, experiment.crystal)
    grain = reconstruct(store, experiment, show_progress=not arguments.quiet)
    grain.save(experiment.path / "grain.h5")
    write_xdmf(grain, experiment.path / "grain.h5")
    grain.save_arrays(experiment.path)
    logger.info("%r", grain)
    logger.info("written: %s", experiment.path / "grain.h5")
    if grain.residual.size:
        trust_figure(grain).savefig(experiment.path / "trust.png", dpi=120)
        logger.info("written: %s", experiment.path / "trust.png")


def view(arguments: argparse.Namespace) -> None:
    """Look at a grain in napari, until its window is closed."""
    from recon3d.viewer.launch import view

    view(arguments.grain, arguments.over, scan=arguments.scan, ini=arguments.ini, block=True)


def figures(arguments: argparse.Namespace) -> None:
    """Draw every figure of a grain."""
    from recon3d.figures import write_figures

    written = write_figures(
        arguments.grain,
        arguments.out or arguments.grain.parent / "figures",
        scan=arguments.scan,
        ini=arguments.ini,
        suffix=arguments.format,
        film=None if arguments.film == "none" else arguments.film,
        show_progress=not arguments.quiet,
    )
    for path in written:
        logger.info("written: %s", path)


def export(arguments: argparse.Namespace) -> None:
    """Write a grain for ParaView."""
    from recon3d.io.grain import Grain
    from recon3d.io.vti import export_vti

    export_vti(Grain.load(arguments.grain), arguments.out)
    logger.info("written: %s", arguments.out)


def _plain(arguments: argparse.Namespace) -> dict[str, Any]:
    """The arguments of a command as text, for the record."""
    return {name: str(value) for name, value in vars(arguments).items() if name != "run"}


def _cleaning(arguments: argparse.Namespace) -> Cleaning:
    cleaning = Cleaning(
        framebg=int(_number("FRAMEBG", arguments.framebg, whole=True)),
        binth=_number("BINTH", arguments.binth),
        min_region_pix=arguments.min_region,
        dark=not arguments.no_dark,
        hot_limit=arguments.hot_limit,
        normalize=arguments.normalize,
    )
    if arguments.hot_pixels is None:
        return cleaning
    return dataclasses.replace(cleaning, hot_pixels=arguments.hot_pixels)


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
                stacklevel=2,
            )
        if values.size < 2:
            continue
        measured = (values[-1] - values[0]) / (values.size - 1)
        if abs(abs(step) - measured) > 0.1 * measured:
            warnings.warn(
                f"ANGSTEPS is {step:g}°, but the motors moved {axis.name} in steps of "
                f"{measured:.4g}°: the motors are used",
                Recon3DWarning,
                stacklevel=2,
            )


def _number(name: str, text: str, *, whole: bool = False) -> float:
    try:
        value = float(text)
    except ValueError as error:
        raise ParameterError(f"{name} is '{text}': expected a number") from error
    if value - value != 0 or (whole and not value.is_integer()):
        kind = "whole number" if whole else "finite number"
        raise ParameterError(f"{name} is '{text}': expected a {kind}")
    return value


def _one_or_two(name: str, text: str) -> tuple[float, float]:
    """Parse one number for both tilts, or `mu,gamma`."""
    values = [_number(name, part) for part in text.split(",")]
    if len(values) > 2:
        raise ParameterError(f"{name} is '{text}': expected one number, or two as mu,gamma")
    return values[0], values[-1]


def _pair(name: str, text: str) -> tuple[int, int]:
    """Parse `x,y`, column and row in whole pixels; brackets are allowed."""
    parts = text.strip("[]() ").split(",")
    if len(parts) != 2:
        raise ParameterError(f"{name} is '{text}': expected x,y = column,row in pixels")
    x, y = (int(_number(name, part, whole=True)) for part in parts)
    return x, y
