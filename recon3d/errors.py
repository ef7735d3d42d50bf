"""The exceptions and warnings that Recon3D raises on purpose.

Every one of them is meant to be read by the person at the keyboard: it names the
file or the value, what was expected, and the likely cause, in one or two lines.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

LONGEST_MESSAGE = 460
"""Characters of a message; the middle of a longer one, a list most often, is left out."""


def shortened(message: str) -> str:
    """A message of at most `LONGEST_MESSAGE` characters, its beginning and its end kept."""
    if len(message) <= LONGEST_MESSAGE:
        return message
    end = LONGEST_MESSAGE // 3
    return f"{message[: LONGEST_MESSAGE - end - 3]} … {message[-end:]}"


def listed(names: Sequence[str], most: int) -> str:
    """As many names as that in a row, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{', '.join(names[:most])}{more}"


class Recon3DError(Exception):
    """Base class of every error that Recon3D raises on purpose."""

    def __str__(self) -> str:
        return shortened(super().__str__())

    def _render_traceback_(self) -> list[str]:
        """What a notebook shows in place of a traceback: the line that is meant to be read."""
        return [f"{type(self).__name__}: {self}"]


class ParameterError(Recon3DError, ValueError):
    """A value given by the user is missing, of the wrong type, or impossible."""


class NoSuchProjectionError(ParameterError, IndexError):
    """A scan has no projection of that number."""


class DataError(Recon3DError):
    """A data file, or a set of them, is damaged, incomplete or inconsistent."""


class GridError(DataError):
    """The motor positions of a scan do not span a usable grid of settings."""


class OutputError(Recon3DError):
    """A result cannot be written: the disk is full, or the folder cannot be used."""


class EngineFault(Recon3DError):
    """Engines could not go on: one died, hangs, or failed by a fault of its machine."""


class Recon3DWarning(UserWarning):
    """Something that the user should know of, and that does not stop the run."""


def warn(message: str) -> None:
    """Warn the user at the line that called into the package, however deep inside it this is.

    `message`: what is amiss, its likely cause, and what was done about it.
    """
    package, level, frame = str(Path(__file__).parent), 1, sys._getframe()
    while frame.f_back is not None and frame.f_code.co_filename.startswith(package):
        frame, level = frame.f_back, level + 1
    warnings.warn(shortened(message), Recon3DWarning, stacklevel=level)


def behind(error: BaseException) -> BaseException:
    """What lies behind a SystemError, as which compiled code tells of an exception inside it."""
    seen: list[BaseException] = []
    found: BaseException | None = error
    while isinstance(found, SystemError) and not any(found is other for other in seen):
        seen.append(found)
        found = found.__cause__ or found.__context__
    return error if found is None or isinstance(found, SystemError) else found
