"""How a command speaks, and ends: one or two lines about what went wrong, and a status."""

from __future__ import annotations

import argparse
import logging
import math
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from types import FrameType
from typing import NoReturn, TextIO

from recon3d.errors import Recon3DError, Recon3DWarning, behind
from recon3d.parallel.mpiexec import forget_output

SHOW_TRACEBACK = "RECON3D_TRACEBACK"
"""The environment variable that, set to anything, shows where an unexpected error arose."""

Parse = Callable[[str], float]

_MEMORY_SIGNS = ("can't start new thread", "cannot allocate memory", "out of memory")


class TerminatedError(BaseException):
    """The system asked the process to end, as batch systems do when time is up."""


class InterruptedByUser(KeyboardInterrupt):
    """Ctrl-C; of a plain KeyboardInterrupt Python can make an exit status of its own."""


_SIGNALS: dict[int, type[BaseException]] = {
    signal.SIGINT: InterruptedByUser,
    signal.SIGTERM: TerminatedError,
}
_AGAIN_S = 0.05


class Parser(argparse.ArgumentParser):
    """A parser whose complaints are two lines long: the mistake, and where help is."""

    def error(self, message: str) -> NoReturn:
        """Leave with status 2 after telling what is wrong with the call."""
        self.exit(2, f"{self.prog}: error: {message}\n(see {self.prog} --help)\n")


def within(least: float, most: float, kind: Callable[[str], float] = float) -> Parse:
    """Make an argument's `type`: a number from `least` to `most`."""

    def parse(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            value = math.nan
        if not least <= value <= most:
            number = "a number" if kind is float else "a whole number"
            raise argparse.ArgumentTypeError(f"'{text}' is not {number} from {least:g} to {most:g}")
        return value

    return parse


def report_to(stream: TextIO, *, quiet: bool) -> None:
    """Let the library's messages through to the terminal, once."""
    logger = logging.getLogger("recon3d")
    logger.setLevel(logging.WARNING if quiet else logging.INFO)
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
    logger.addHandler(logging.StreamHandler(stream))


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
    """Run a command and tell how it ended.

    Parameters
    ----------
    command
        Its name, for messages.
    run
        Does the work.

    Returns
    -------
    status
        0 when all went well, 1 after an error in the data or the values, 130 when interrupted,
        141 when nobody reads the output any more, 143 when terminated.
    """
    # What went wrong is forgotten inside, so that nothing is said when it is cleared away.
    with _signals_are_heard() as heard:
        return _run_command(command, run, heard)


def _run_command(command: str, run: Callable[[], None], heard: _Signals | None) -> int:
    try:
        with nullcontext() if heard is None else heard.raising():
            run()
            sys.stdout.flush()
        return 0
    except Recon3DError as error:
        return _tell(command, f"error: {error}", 1)
    except BrokenPipeError:
        forget_output()
        return 141
    except (KeyboardInterrupt, TerminatedError) as error:
        return _tell_ended(command, type(error))
    except Exception as error:
        # A signal that came in a callback of a compiled library may be told as a fault of that.
        if heard is not None and heard.came is not None and isinstance(error, SystemError):
            return _tell_ended(command, heard.came)
        if os.environ.get(SHOW_TRACEBACK):
            raise
        return _tell(command, f"error: {_explain(error)}", 1)


def _tell_ended(command: str, kind: type[BaseException]) -> int:
    word, status = (
        ("interrupted", 130) if issubclass(kind, KeyboardInterrupt) else ("terminated", 143)
    )
    return _tell(command, f"{word}; what was not complete is removed", status)


def _explain(error: Exception) -> str:
    text = " ".join(str(error).split())
    if _is_of_memory(error):
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


def _is_of_memory(error: BaseException) -> bool:
    """Whether memory ran out; a compiled loop that it happened in tells so one error deeper."""
    found = behind(error)
    text = f"{error} {found}".lower()
    return isinstance(found, MemoryError) or any(sign in text for sign in _MEMORY_SIGNS)


def _tell(command: str, message: str, status: int) -> int:
    try:
        print(f"recon3d {command}: {message}", file=sys.stderr, flush=True)
    except BrokenPipeError:
        forget_output()
    return status


class _Signals:
    """Lets SIGINT and SIGTERM end the work with an exception, so that it can be tidied up."""

    def __init__(self) -> None:
        self.came: type[BaseException] | None = None
        self._again = list[threading.Timer]()

    @contextmanager
    def raising(self) -> Iterator[None]:
        """Raise an exception when a signal comes."""
        # What is ignored, as Ctrl-C is by a command in the background, stays so.
        heard = [n for n in _SIGNALS if signal.getsignal(n) is not signal.SIG_IGN]
        former = {number: signal.signal(number, self._raise) for number in heard}
        try:
            yield
        finally:
            for number, handler in former.items():
                signal.signal(number, handler)
            for timer in self._again:
                timer.cancel()

    def _raise(self, number: int, _frame: FrameType | None) -> NoReturn:
        self.came = _SIGNALS[number]
        raise _SIGNALS[number]

    def lost(self, lost: sys.UnraisableHookArgs) -> bool:
        """Send a signal again whose exception was lost in a callback of a compiled library.

        Returns
        -------
        known
            Whether a signal is behind an exception that went nowhere.
        """
        for number, kind in _SIGNALS.items():
            if lost.exc_type is kind:
                self._again.append(threading.Timer(_AGAIN_S, os.kill, (os.getpid(), number)))
                self._again[-1].start()
        return self.came is not None


@contextmanager
def _signals_are_heard() -> Iterator[_Signals | None]:
    """Handle signals while a command runs, and tell no one of what they leave half made."""
    if threading.current_thread() is not threading.main_thread():
        yield None  # only the main thread gets signals
        return
    signals, former = _Signals(), sys.unraisablehook
    sys.unraisablehook = lambda lost: None if signals.lost(lost) else former(lost)
    try:
        yield signals
    finally:
        sys.unraisablehook = former
