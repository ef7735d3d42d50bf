"""The HDF5 files that this program writes, opened for reading: what can be wrong with one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py

from recon3d import __version__
from recon3d.errors import DataError, ParameterError, Recon3DError


@contextmanager
def open_own(path: Path, file_format: str, version: int, what: str) -> Iterator[h5py.File]:
    """Open a file of this program for reading, and tell what is wrong with it.

    Locks are not asked for: such a file never changes once it has its name, and many engines
    read one at a time.

    Parameters
    ----------
    path
        The file.
    file_format
        What its attribute `_format` should be.
    version
        The newest version of the format that is known.
    what
        What such a file is called.

    Raises
    ------
    DataError
        The file cannot be opened, is something else, is of a newer version than this program
        knows, or lacks a part.
    """
    if not path.is_file():
        raise DataError(f"{path}: there is no such file")
    try:
        with h5py.File(path, "r", locking=False) as file:
            _check_format(file, path, file_format, version, what)
            yield file
    except ParameterError as error:
        raise DataError(f"{path}: {error}") from error
    except Recon3DError:
        raise
    except OSError as error:
        raise DataError(
            f"{path}: cannot be read as HDF5 (damaged, or a copy cut short?): {error}"
        ) from error
    except KeyError as error:
        raise DataError(f"{path}: lacks a part of a {what}: {error}") from error
    except (RuntimeError, ValueError, TypeError, AttributeError, IndexError) as error:
        raise DataError(
            f"{path}: a part of it is not what a {what} holds there (damaged, or changed by "
            f"hand?): {error}"
        ) from error


def _check_format(file: h5py.File, path: Path, wanted: str, newest: int, what: str) -> None:
    if not _is(file.attrs.get("_format"), wanted):
        raise DataError(f"{path}: is no {what} (the attribute '_format' is not '{wanted}')")
    version = file.attrs.get("_format_version", 0)
    try:
        number = int(version)
    except (TypeError, ValueError):
        number = 0
    if number < 1:
        raise DataError(f"{path}: is of version '{version}', which never was: write it anew")
    if number > newest:
        raise DataError(
            f"{path}: is of version {number}, and recon3d {__version__} reads up to {newest}: "
            "update recon3d"
        )


def _is(value: Any, wanted: str) -> bool:
    return isinstance(value, str) and value == wanted
