"""The command line: `recon3d demo | simulate | getdata | reconstruct | view | ...`."""

from __future__ import annotations

import argparse
import re
import sys
import warnings
from collections.abc import Iterable, Sequence
from contextlib import ExitStack, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

from recon3d import __version__
from recon3d.cli import commands
from recon3d.cli.exit_status import Parser, report_to, run_command, show_warning, within
from recon3d.cli.show import (
    Subparsers,
    add_analyse,
    add_export,
    add_figures,
    add_maps,
    add_notebooks,
    add_view,
)
from recon3d.config.cleaning import Cleaning
from recon3d.config.declare import Setting, as_text, settings_of
from recon3d.config.getdata import POSITIONAL, GetData
from recon3d.config.reconstruction import Settings
from recon3d.config.settings_file import OfFile
from recon3d.errors import Recon3DWarning
from recon3d.parallel.mpiexec import end_all, launched_rank, run_shared


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
        in the call itself, 130 when interrupted, 143 when terminated.
    """
    arguments = _parse(sys.argv[1:] if argv is None else argv)
    report_to(sys.stderr, quiet=arguments.quiet)
    with warnings.catch_warnings():
        warnings.simplefilter("always", Recon3DWarning)
        warnings.showwarning = show_warning
        shared = arguments.run in (commands.getdata, commands.reconstruct)
        status = run_command(
            arguments.command, lambda: run_shared(arguments.run, arguments, shared=shared)
        )
        end_all(status, alike=getattr(arguments, "alike", False))
        return status


def _parse(words: Sequence[str]) -> argparse.Namespace:
    """Parse the arguments; of many processes the first one says what is wrong with them."""
    with ExitStack() as stack:
        if launched_rank() > 0:
            stack.enter_context(redirect_stdout(None))
            stack.enter_context(redirect_stderr(None))
        parser = build_parser()
        if any("\0" in word for word in words):
            parser.error("an argument holds a null byte, which no name or number has")
        arguments = parser.parse_args(plain_numbers(words))
        if missing := missing_arguments(arguments):
            parser.error(f"the following arguments are required: {', '.join(missing)}")
        return arguments


def build_parser() -> Parser:
    """Build the parser of the whole command line."""
    parser = Parser(
        prog="recon3d",
        description="Dark-field X-ray microscopy: from the frames of a topo-tomography scan to a "
        "3D map of one grain's shape, orientation and strain.",
    )
    parser.add_argument("--version", action="version", version=f"recon3d {__version__}")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    adders = (_add_demo, _add_simulate, _add_getdata, _add_reconstruct, add_view, add_figures)
    for add in (*adders, add_export, add_analyse, _add_maps, add_notebooks):
        command = add(subparsers)
        command.add_argument(
            "--quiet", action="store_true", help="no progress bars, only warnings and errors"
        )
    return parser


_NEGATIVE = re.compile(
    r"-(\d+\.?\d*|\.\d+)(e[+-]?\d+(,.*)?|,.*)|-(inf|infinity|nan)(,.*)?", re.IGNORECASE
)

SCANS = ("demo", "rocking", "tilts", "strain", "off-centre", "full")
GRAINS = ("subgrains", "gradient", "bent", "single", "strained")


def _add_demo(subparsers: Subparsers) -> Parser:
    parser = subparsers.add_parser(
        "demo",
        help="simulate a small scan, clean it, reconstruct it, and compare with the truth",
        description="Simulate a small EDF scan of a planted grain, clean it, reconstruct it in "
        "three ways, print how far each is from the truth, and draw the figures. Takes less than "
        "two minutes.",
    )
    parser.add_argument("--out", type=Path, default=Path("recon3d_demo"), help="folder for it all")
    parser.add_argument("--full", action="store_true", help="a rocking-only and a strain scan too")
    parser.set_defaults(run=commands.demo)
    return parser


def _add_simulate(subparsers: Subparsers) -> Parser:
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
    parser.add_argument(
        "--size", type=within(0.1, 10_000), metavar="UM", help="diameter of the grain"
    )
    parser.add_argument(
        "--spread", type=within(0, 90), default=0.06, metavar="DEG", help="largest tilt (0.06)"
    )
    parser.add_argument("--handedness", type=int, choices=[1, -1], default=1, help="h (+1)")
    parser.add_argument(
        "--fault",
        action="append",
        default=[],
        metavar="NAME[:STRENGTH]",
        help="something to be wrong with the scan, once for each: bent, bent_across, "
        "two_orientations, mu_drift, acceptance, quarter, weak, zingers, dead_columns, edge, "
        "second_grain, extinction (a wrong name lists them; docs/reconstruction.md, "
        "recon3d.simulate.faults)",
    )
    whole = within(0, 2**63, int)
    parser.add_argument("--seed", type=whole, default=0, help="of shape, tilts and noise (0)")
    parser.add_argument(
        "--voxels", type=within(1, 1290, int), default=48, help="grain_steps of the .ini (48)"
    )
    parser.add_argument("--prefix", default="topotomo_", help="what file names begin with")
    parser.add_argument(
        "--dark-frames",
        type=within(0, 10_000, int),
        default=0,
        metavar="N",
        help="background frames to add",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace frames in OUT")
    parser.set_defaults(run=commands.simulate)
    return parser


def _add_getdata(subparsers: Subparsers) -> Parser:
    parser = subparsers.add_parser(
        "getdata",
        help="read and clean the frames of a scan",
        description="Read the frames of a topo-tomography scan, clean them one projection at a "
        "time, and leave scan.h5 and the NumPy arrays in OUTPUTPATH/OUTPUTDIRNAME.",
    )
    for name, declared in POSITIONAL.items():
        about = f"{declared.help}, in {declared.unit}" if declared.unit else declared.help
        parser.add_argument(name, metavar=name.upper(), nargs="?", help=about)
    _add_settings(parser)
    _add_getdata_options(parser)
    parser.set_defaults(run=commands.getdata)
    return parser


def _add_getdata_options(parser: Parser) -> None:
    for title, part in (("how the scan was taken", GetData), ("cleaning", Cleaning)):
        add_options(parser.add_argument_group(title), settings_of(part).values())


def _add_maps(subparsers: Subparsers) -> Parser:
    parser = add_maps(subparsers)
    _add_getdata_options(parser)
    return parser


def add_options(group: argparse._ActionsContainer, settings: Iterable[Setting]) -> None:
    """Add the options that settings declare; each leaves its text under its key."""
    for declared in settings:
        if not declared.option:
            continue
        how: dict[str, Any] = {"metavar": declared.metavar or None}
        if declared.single is bool:
            how = {"action": "store_const", "const": as_text(not declared.default)}
        elif declared.choices and not declared.metavar:
            how["choices"] = declared.choices
        group.add_argument(
            declared.option, dest=declared.key, default=None, help=_about(declared), **how
        )


def _about(declared: Setting) -> str:
    """What an option is, its unit and its default."""
    if declared.single is bool:
        return f"do not {declared.help}" if declared.default else declared.help
    unit = f", in {declared.unit}" if declared.unit else ""
    if declared.default in (None, ()):
        return declared.help + unit
    return f"{declared.help}{unit} (default: {declared.text(declared.default)})"


def _add_settings(parser: Parser) -> None:
    parser.add_argument(
        "--settings",
        type=Path,
        metavar="FILE",
        help="settings file of the notebooks (choices.ini); it says what is not given here, and "
        "wins over INIFILE",
    )


def _add_reconstruct(subparsers: Subparsers) -> Parser:
    parser = subparsers.add_parser(
        "reconstruct",
        help="reconstruct the grain from a cleaned scan",
        description="Reconstruct the grain from scan.h5 in the .ini file's `path`, and leave "
        "grain.h5 and grain_ang.npy there. Options given here win over the .ini file.",
    )
    parser.add_argument(
        "inifile", metavar="INIFILE", nargs="?", type=Path, help="file of `key value` lines"
    )
    _add_settings(parser)
    add_options(parser, [*settings_of(Settings).values(), *settings_of(OfFile).values()])
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on from the checkpoint that an unfinished run of the same settings left",
    )
    parser.set_defaults(run=commands.reconstruct)
    return parser


def missing_arguments(arguments: argparse.Namespace) -> list[str]:
    """Name what is missing from a call: a settings file stands for all places, not for some."""
    places = {"getdata": [*POSITIONAL], "reconstruct": ["inifile"]}.get(arguments.command, [])
    missing = [name.upper() for name in places if getattr(arguments, name) is None]
    if getattr(arguments, "settings", None) is not None and len(missing) == len(places):
        return []
    return missing


def plain_numbers(argv: Sequence[str]) -> list[str]:
    """Put a space before numbers such as -1e-3 and -5,16: argparse takes them for options."""
    return [f" {text}" if _NEGATIVE.fullmatch(text) else text for text in argv]
