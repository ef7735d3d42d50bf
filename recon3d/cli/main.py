"""The command line: `recon3d demo | simulate | getdata | reconstruct | view | ...`."""

from __future__ import annotations

import argparse
import inspect
import re
import sys
import warnings
from collections.abc import Sequence
from contextlib import ExitStack, redirect_stderr, redirect_stdout
from io import TextIOWrapper

from recon3d import __version__
from recon3d.cli import commands, show  # noqa: F401 (they enter their commands into the table)
from recon3d.cli.exit_status import report_to, run_command, show_warning
from recon3d.cli.table import COMMANDS, Parser, summary
from recon3d.errors import Recon3DWarning
from recon3d.parallel.mpiexec import end_all, launched_rank, run_shared

_NEGATIVE = re.compile(
    r"-(\d+\.?\d*|\.\d+)(e[+-]?\d+(,.*)?|,.*)|-(inf|infinity|nan)(,.*)?", re.IGNORECASE
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command, and return its exit status: 2 after a mistake in the call itself.

    `argv`: the arguments; those of the process where None. For other statuses see `run_command`.
    """
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal may know no Greek letters
    arguments = _parse(sys.argv[1:] if argv is None else argv)
    report_to(sys.stderr, quiet=arguments.quiet)
    chosen = COMMANDS[arguments.command]
    with warnings.catch_warnings():
        warnings.simplefilter("always", Recon3DWarning)
        warnings.showwarning = show_warning
        status = run_command(
            arguments.command, lambda: run_shared(chosen.run, arguments, shared=chosen.shared)
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
    """Build the parser of the whole command line, from the table of commands."""
    parser = Parser(
        prog="recon3d",
        description="Dark-field X-ray microscopy: from the frames of a topo-tomography scan to a "
        "3D map of one grain's shape, orientation and strain.",
    )
    parser.add_argument("--version", action="version", version=f"recon3d {__version__}")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, command in COMMANDS.items():
        about = inspect.getdoc(command.run)
        command.add_to(subparsers.add_parser(name, help=summary(command.run), description=about))
    return parser


def missing_arguments(arguments: argparse.Namespace) -> list[str]:
    """Name what is missing from a call: a settings file stands for all places, not for some."""
    if "settings" not in arguments:
        return []
    places = COMMANDS[arguments.command].places
    missing = [name.upper() for name in places if getattr(arguments, name) is None]
    return [] if arguments.settings is not None and len(missing) == len(places) else missing


def plain_numbers(argv: Sequence[str]) -> list[str]:
    """Put a space before numbers such as -1e-3 and -5,16: argparse takes them for options."""
    return [f" {text}" if _NEGATIVE.fullmatch(text) else text for text in argv]
