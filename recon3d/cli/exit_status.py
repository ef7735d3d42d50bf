"""The exit status of a command, and one or two lines on what went wrong."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn, TextIO

from recon3d.errors import Recon3DError, Recon3DWarning, behind
from recon3d.parallel.mpiexec import forget_output

SHOW_TRACEBACK = "RECON3D_TRACEBACK"
"""The environment variable that, set to anything, shows where an unexpected error arose."""

_MEMORY_SIGNS = ("can't start new thread", "cannot allocate memory", "out of memory")


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


def show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,  # noqa: ARG001 (the signature is that of warnings.showwarning)
    lineno: int,  # noqa: ARG001
    file: TextIO | None = None,  # noqa: ARG001
    line: str | None = None,  # noqa: ARG001
) -> None:
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
