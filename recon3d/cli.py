"""The command line: `recon3d demo | simulate | getdata | reconstruct | view | ...`."""

from __future__ import annotations

import argparse
import logging
import sys
import warnings
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TextIO

from recon3d import __version__, commands
from recon3d.cli_show import Subparsers, add_export, add_figures, add_view
from recon3d.errors import Recon3DError, Recon3DWarning
from recon3d.goniometer import GONIOMETERS


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    argv
        The arguments; those of the process where None.

    Returns
    -------
    status
        0 when all went well, 1 after an error in the data or the values, 2 after a mistake
        in the call itself, 130 when interrupted.
    """
    arguments = build_parser().parse_args(plain_numbers(sys.argv[1:] if argv is None else argv))
    _report_to(sys.stderr, quiet=arguments.quiet)
    with warnings.catch_warnings():
        warnings.simplefilter("always", Recon3DWarning)
        warnings.showwarning = _show_warning
        try:
            arguments.run(arguments)
        except Recon3DError as error:
            print(f"recon3d {arguments.command}: error: {error}", file=sys.stderr)
            return 1
        except (OSError, MemoryError) as error:
            reason = error if str(error) else "not enough memory"
            print(f"recon3d {arguments.command}: error: {reason}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            print(f"recon3d {arguments.command}: interrupted", file=sys.stderr)
            return 130
    return 0


def build_parser() -> argparse.ArgumentParser:
    """Build the parser of the whole command line."""
    parser = argparse.ArgumentParser(
        prog="recon3d",
        description="Dark-field X-ray microscopy: from the frames of a topo-tomography scan to a "
        "3D map of one grain's shape, orientation and strain.",
    )
    parser.add_argument("--version", action="version", version=f"recon3d {__version__}")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    adders = (_add_demo, _add_simulate, _add_getdata, _add_reconstruct, add_view, add_figures)
    for add in (*adders, add_export):
        command = add(subparsers)
        command.add_argument(
            "--quiet", action="store_true", help="no progress bars, only warnings and errors"
        )
    return parser


SCANS = ("demo", "rocking", "tilts", "strain", "off-centre", "full")
GRAINS = ("subgrains", "gradient", "bent", "single", "strained")


def _add_demo(subparsers: Subparsers) -> argparse.ArgumentParser:
    parser = subparsers.add_parser(
        "demo",
        help="simulate a small scan, clean it, reconstruct it, and compare with the truth",
        description="Simulate a small EDF scan of a planted grain, clean it, reconstruct it in "
        "the sample frame and at fixed laboratory angles, print how far each is from the truth, "
        "and draw the figures. Takes less than two minutes.",
    )
    parser.add_argument("--out", type=Path, default=Path("recon3d_demo"), help="folder for it all")
    parser.add_argument("--full", action="store_true", help="a larger scan; takes longer")
    parser.set_defaults(run=commands.demo)
    return parser


def _add_simulate(subparsers: Subparsers) -> argparse.ArgumentParser:
    parser = subparsers.add_parser(
        "simulate",
        help="write the frames that a planted grain would give, and the truth beside them",
        description="Simulate a scan of a planted grain: frames with noise, hot pixels, beam decay "
        "and motor jitter in OUT, as ID06-style EDF files or an ID03-style BLISS HDF5 file, with "
        "truth.h5 and experiment.ini beside them.",
    )
    parser.add_argument("out", metavar="OUT", type=Path, help="folder for the frames")
    parser.add_argument("--format", choices=["edf", "bliss"], default="edf", help="file format")
    parser.add_argument(
        "--external",
        action="store_true",
        help="bliss: frames in files of their own, to which the scan's file points",
    )
    parser.add_argument("--scan", choices=SCANS, default="demo", help="what is scanned (demo)")
    parser.add_argument("--grain", choices=GRAINS, default="subgrains", help="what is planted")
    parser.add_argument("--size", type=float, metavar="UM", help="diameter of the grain")
    parser.add_argument(
        "--spread", type=float, default=0.06, metavar="DEG", help="largest tilt (0.06)"
    )
    parser.add_argument("--handedness", type=int, choices=[1, -1], default=1, help="h (+1)")
    parser.add_argument("--seed", type=int, default=0, help="of shape, tilts and noise (0)")
    parser.add_argument("--voxels", type=int, default=48, help="grain_steps of the .ini (48)")
    parser.add_argument("--prefix", default="topotomo_", help="what file names begin with")
    parser.add_argument(
        "--dark-frames", type=int, default=0, metavar="N", help="background frames to add"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace frames in OUT")
    parser.set_defaults(run=commands.simulate)
    return parser


def _add_getdata(subparsers: Subparsers) -> argparse.ArgumentParser:
    parser = subparsers.add_parser(
        "getdata",
        help="read and clean the frames of a scan",
        description="Read the frames of a topo-tomography scan, clean them one projection at a "
        "time, and leave scan.h5 and the NumPy arrays in OUTPUTPATH/OUTPUTDIRNAME.",
    )
    for name, about in _GETDATA_ARGUMENTS.items():
        parser.add_argument(name.lower(), metavar=name, help=about)
    _add_scan_options(parser)
    _add_cleaning_options(parser)
    parser.add_argument(
        "--arrays",
        choices=["final", "all", "none"],
        default="final",
        help="NumPy arrays of frames to write beside scan.h5 (default: final)",
    )
    parser.set_defaults(run=commands.getdata)
    return parser


def _add_scan_options(parser: argparse.ArgumentParser) -> None:
    scan = parser.add_argument_group("how the scan was taken")
    scan.add_argument(
        "--motors",
        default="auto",
        metavar="NAMES",
        help=f"motor names: {' or '.join(GONIOMETERS)}, with changes such as "
        "id06,omega=diffry,base_tilt=diffrz (default: auto, the beamline whose motors the files "
        "have)",
    )
    scan.add_argument(
        "--entries", metavar="LIST", help="entries of an HDF5 file to use, such as 3.1,5-40"
    )
    scan.add_argument(
        "--tilt-azimuth", type=float, default=0.0, metavar="DEG", help="0 or 90: turns (chi, phi)"
    )
    scan.add_argument(
        "--recorded-at",
        choices=["start", "middle"],
        default="middle",
        help="when in the exposure motors were read; 'start' moves the fast motor of a "
        "continuous scan by half a step (default: middle)",
    )
    scan.add_argument(
        "--skip-damaged",
        action="store_true",
        help="leave damaged frames out, list them, and go on (default: stop)",
    )


def _add_cleaning_options(parser: argparse.ArgumentParser) -> None:
    cleaning = parser.add_argument_group("cleaning")
    cleaning.add_argument(
        "--min-region", type=int, default=100, metavar="PIX", help="smallest lit region (100)"
    )
    cleaning.add_argument(
        "--normalize",
        choices=["auto", "current", "total", "none"],
        default="auto",
        help="by ring current, or to equal totals (default: current where it is recorded)",
    )
    cleaning.add_argument("--no-dark", action="store_true", help="subtract no dark frame")
    cleaning.add_argument(
        "--hot-pixels", type=float, default=None, metavar="SIGMA", help="threshold; 0 for none"
    )
    cleaning.add_argument("--hot-limit", type=float, metavar="COUNTS", help="hot above this")
    cleaning.add_argument("--flat-field", type=Path, metavar="FILE", help="image to divide by")
    cleaning.add_argument("--bad-pixels", type=Path, metavar="FILE", help="image, not 0 where bad")


_GETDATA_ARGUMENTS = {
    "DATADIR": "folder with EDF frames, or a BLISS HDF5 file",
    "DATANAME": "what the names of the frames begin with; of an HDF5 file, the name of the "
    "detector, - where there is only one",
    "BGDIR": "folder or HDF5 file with background frames, - for none",
    "BGNAME": "what the names of the background frames begin with, or the detector, - for any",
    "POI": "centre of the region of interest, x,y = column,row in pixels",
    "IMGSIZE": "size of the region of interest, x,y in pixels",
    "OUTPUTPATH": "folder in which to make the output folder",
    "OUTPUTDIRNAME": "name of the output folder",
    "PHI0": "reading of phi in degrees from which rolling is counted",
    "CHI0": "reading of chi in degrees from which rolling is counted",
    "ANGSTEPS": "step of the tilts in degrees, one number or mu,gamma (the motors are the truth)",
    "NUMANGSTEPS": "number of settings, one number or mu,gamma (the motors are the truth)",
    "FRAMEBG": "width in pixels of the rim without signal, 0 for a grain that fills the frame",
    "BINTH": "counts above which a pixel is signal",
}


def _add_reconstruct(subparsers: Subparsers) -> argparse.ArgumentParser:
    parser = subparsers.add_parser(
        "reconstruct",
        help="reconstruct the grain from a cleaned scan",
        description="Reconstruct the grain from scan.h5 in the .ini file's `path`, and leave "
        "grain.h5 and grain_ang.npy there. Options given here win over the .ini file.",
    )
    parser.add_argument("inifile", metavar="INIFILE", type=Path, help="file of `key value` lines")
    parser.add_argument("--method", choices=["iterative", "backprojection"], help="how")
    parser.add_argument(
        "--frame",
        choices=["sample", "lab"],
        help="sample: tilts turn with omega (default); lab: sum at fixed angles, for comparison",
    )
    parser.add_argument(
        "--iterations", type=int, metavar="N", help="passes of the iterative method"
    )
    parser.set_defaults(run=commands.reconstruct)
    return parser


def plain_numbers(argv: Sequence[str]) -> list[str]:
    """Write -1e-3 as -0.001: argparse would take it for an option."""

    def plain(text: str) -> str:
        try:
            return format(Decimal(text), "f") if text.startswith("-") else text
        except InvalidOperation:
            return text

    return [plain(text) for text in argv]


def _report_to(stream: TextIO, *, quiet: bool) -> None:
    """Let the library's messages through to the terminal, once."""
    logger = logging.getLogger("recon3d")
    logger.setLevel(logging.WARNING if quiet else logging.INFO)
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
    logger.addHandler(logging.StreamHandler(stream))


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,  # noqa: ARG001 (the signature is that of warnings.showwarning)
    lineno: int,  # noqa: ARG001
    file: TextIO | None = None,  # noqa: ARG001
    line: str | None = None,  # noqa: ARG001
) -> None:
    label = "warning" if issubclass(category, Recon3DWarning) else category.__name__
    print(f"recon3d: {label}: {message}", file=sys.stderr)
