"""The command line: `recon3d demo | simulate | getdata | reconstruct | view | ...`; how it ends."""

from __future__ import annotations

import argparse
import inspect
import logging
import os
import re
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from io import TextIOWrapper
from types import FrameType
from typing import NoReturn, TextIO

from recon3d import __version__
from recon3d.cli import commands, show  # noqa: F401 (they enter their commands into the table)
from recon3d.cli.table import COMMANDS, Parser, summary
from recon3d.errors import Recon3DError, Recon3DWarning, behind
from recon3d.parallel.mpiexec import end_all, forget_output, launched_rank, run_shared

_NEGATIVE = re.compile(
    r"-(\d+\.?\d*|\.\d+)(e[+-]?\d+(,.*)?|,.*)|-(inf|infinity|nan)(,.*)?", re.IGNORECASE
)

SHOW_TRACEBACK = "RECON3D_TRACEBACK"
"""The environment variable that, set to anything, shows where an unexpected error arose."""

_MEMORY_SIGNS = ("can't start new thread", "cannot allocate memory", "out of memory")


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


class TerminatedError(BaseException):
    """The process was asked to end, as when a batch job's time is up or a terminal is closed."""


_ENDS: dict[int, type[BaseException]] = {
    signal.SIGINT: KeyboardInterrupt,
    signal.SIGTERM: TerminatedError,
    signal.SIGHUP: TerminatedError,
    signal.SIGXCPU: TerminatedError,
}


def report_to(stream: TextIO, *, quiet: bool) -> None:
    """Let the library's messages through to the terminal, once."""
    logger = logging.getLogger("recon3d")
    logger.setLevel(logging.WARNING if quiet else logging.INFO)
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
    logger.addHandler(logging.StreamHandler(stream))
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # not where it keeps its cache


def show_warning(message: Warning | str, category: type[Warning], *_: object, **__: object) -> None:
    """Show a warning as one line: what `warnings.showwarning` is replaced by."""
    label = "warning" if issubclass(category, Recon3DWarning) else category.__name__
    print(f"recon3d: {label}: {message}", file=sys.stderr)


def run_command(command: str, run: Callable[[], None]) -> int:
    """Run a command; its exit status says how it ended.

    0: all went well, 1: an error in data or values, 130: interrupted, 141: nobody reads the output
    any more, 143: terminated.
    """
    # What went wrong is forgotten inside, so that nothing is said when it is cleared away.
    with _signals_raise() as came:
        return _run(command, run, came)


def _run(command: str, run: Callable[[], None], came: list[type[BaseException]]) -> int:
    try:
        run()
        sys.stdout.flush()
        return 0
    except (KeyboardInterrupt, TerminatedError) as error:
        return _tell_ended(command, type(error))
    except BrokenPipeError:
        forget_output()
        return 141
    except Exception as error:
        # A signal that came in a callback of a compiled library can be told as a fault of it.
        if came:
            return _tell_ended(command, came[0])
        if os.environ.get(SHOW_TRACEBACK) and not isinstance(error, Recon3DError):
            raise
        return _tell(command, f"error: {_explain(error)}", 1)


def _tell_ended(command: str, kind: type[BaseException]) -> int:
    word, status = (
        ("interrupted", 130) if issubclass(kind, KeyboardInterrupt) else ("terminated", 143)
    )
    return _tell(command, f"{word}; what was not complete is removed", status)


def _explain(error: Exception) -> str:
    if isinstance(error, Recon3DError):
        return str(error)
    text = " ".join(str(error).split())
    inner = behind(error)  # of a compiled loop, which tells what happened in it one error deeper
    signs = f"{error} {inner}".lower()
    if isinstance(inner, MemoryError) or any(sign in signs for sign in _MEMORY_SIGNS):
        found = "no more could be had" if isinstance(error, SystemError) else text
        return (
            f"not enough memory ({found or 'no more could be had'}): take a smaller region or "
            "fewer voxels (grain_steps), or a computer with more"
        )
    if isinstance(error, OSError):
        return f"{error.filename}: {error.strerror}" if error.filename else text
    return (
        f"unexpected {type(error).__name__} ({text}): this is a fault of recon3d, or a kind of "
        f"damage that it does not know; {SHOW_TRACEBACK}=1 in the environment shows where"
    )


def _tell(command: str, message: str, status: int) -> int:
    try:
        print(f"recon3d {command}: {message}", file=sys.stderr, flush=True)
    except OSError:  # nobody reads, or the terminal is gone
        forget_output()
    return status


@contextmanager
def _signals_raise() -> Iterator[list[type[BaseException]]]:
    """Let signals end the work with an exception, so that it is tidied up; list those that came."""
    came: list[type[BaseException]] = []

    def end(number: int, _frame: FrameType | None) -> NoReturn:
        came.append(_ENDS[number])
        raise _ENDS[number]

    if threading.current_thread() is not threading.main_thread():
        yield came  # only the main thread gets signals
        return
    # What is ignored, as Ctrl-C is by a command in the background, stays so.
    heard = [number for number in _ENDS if signal.getsignal(number) is not signal.SIG_IGN]
    former = {number: signal.signal(number, end) for number in heard}
    former_hook = sys.unraisablehook
    # An exception that a signal raised where none can be taken is not worth a line of its own.
    sys.unraisablehook = lambda lost: None if came else former_hook(lost)
    try:
        yield came
    finally:
        sys.unraisablehook = former_hook
        for number, handler in former.items():
            signal.signal(number, handler)
