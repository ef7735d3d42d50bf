"""The HDF5 files that this program writes: whole or not at all, checked when read; attributes."""

from __future__ import annotations

import errno
import io
import json
import os
import shutil
import zlib
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path, PurePath
from typing import Any

import h5py
import numpy as np
from numpy.typing import ArrayLike

from recon3d import __version__
from recon3d.errors import DataError, OutputError, ParameterError, Recon3DError, behind
from recon3d.runtime.atomic import complete_or_absent, explaining_writes

_MARGIN_BYTES = 1 << 17
HDF5_SUFFIXES = (".h5", ".hdf5")
_NESTED = "_nested"
_NEXUS = ("NX_class", "default")
"""Attributes that are the file format's own."""
_TEXT_SUMS = "_text_sums"


class _Disk(io.FileIO):
    """A new file in which no write of HDF5 fails, as that could crash the process.

    The first failure is kept, and later writes are dropped: the temporary file will be removed.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path, "w+")
        self.failure: OSError | None = None

    def write(self, data: Any) -> int:
        """Write all of it, or pretend to."""
        piece = memoryview(data).cast("B")
        end = self.tell() + len(piece)
        try:
            while piece and self.failure is None:
                piece = piece[self.put(piece) :]
        except OSError as error:
            self.failure = error
        self.seek(end)
        return end

    def put(self, piece: memoryview) -> int:
        """Write as much as the disk takes at once."""
        return super().write(piece)

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer, with zeros beyond the end of what was written."""
        view = memoryview(buffer).cast("B")
        count = super().readinto(view) or 0
        view[count:] = bytes(len(view) - count)
        return len(view)

    def truncate(self, size: int | None = None) -> int:
        """Set the size of the file, or pretend to."""
        try:
            return super().truncate(size)
        except OSError as error:
            self.failure = self.failure or error
            return size or 0


class OwnFile(h5py.File):  # type: ignore[misc]
    """An HDF5 file that is being written.

    The format of HDF5 1.10 has checksums in all that is not data.
    """

    def __init__(self, disk: _Disk, *, oldest: bool) -> None:
        self._disk = disk
        super().__init__(disk, "w", libver="earliest" if oldest else ("v110", "v110"))

    def settle(self) -> None:
        """See that all is on the disk that was written so far; else an OSError."""
        self.flush()
        if self._disk.failure is not None:
            raise self._disk.failure


@contextmanager
def create_own(path: str | Path, room_bytes: int = 0, *, oldest: bool = False) -> Iterator[OwnFile]:
    """Create an HDF5 file that gets its name when it is complete; an OutputError if it cannot.

    `room_bytes`: how large it may become, as far as that is known. `oldest`: in the oldest format,
    as BLISS writes it, or for other programs with an old HDF5.
    """
    require_room(path, room_bytes)
    with complete_or_absent(path) as temporary, closing(_Disk(temporary)) as disk:
        try:
            with OwnFile(disk, oldest=oldest) as file:
                yield file
        except SystemError as error:
            # So h5py wraps a signal that comes while it writes.
            raise behind(error) from None
        finally:
            if disk.failure is not None:  # HDF5 may have complained of what it could not read
                raise disk.failure


def add_numbers(
    group: h5py.Group, name: str, values: ArrayLike, chunks: tuple[int, ...] = ()
) -> h5py.Dataset:
    """Write numbers with a checksum, which HDF5 compares whenever they are read.

    `chunks`: shape of what is read, and has a checksum, at once; all of it where empty.
    """
    array = np.asarray(values)
    known = (
        {"chunks": chunks or array.shape, "fletcher32": True} if array.size and array.ndim else {}
    )
    return group.create_dataset(name, data=array, **known)


def require_replaceable(path: str | Path) -> None:
    """Refuse to write over a file that this program did not write, such as a raw frame.

    What cannot be opened as HDF5, as a copy cut short, is replaced.
    """
    path = Path(path)
    with explaining_writes(path):
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, "", str(path))
        if not path.is_file():
            return
    own = path.suffix in HDF5_SUFFIXES
    with suppress(OSError), h5py.File(path, "r", locking=False) as file:
        own = "_format" in file.attrs
    if not own:
        raise OutputError(
            f"{path} is there already, and recon3d did not write it: choose another name"
        )


def require_room(path: str | Path, room_bytes: int) -> None:
    """Refuse to add so much to a disk that has too little room; the OutputError says how much."""
    folder = Path(path).parent
    if not folder.is_dir():
        return  # the writer reports this
    total, _, free = shutil.disk_usage(folder)
    if total and free < room_bytes + _MARGIN_BYTES:
        raise OutputError(
            f"{path} cannot be written: the disk is full ({free / 2**20:.3g} MiB are free, "
            f"{(room_bytes + _MARGIN_BYTES) / 2**20:.3g} are wanted)"
        )


@contextmanager
def open_own(path: Path, file_format: str, version: int, what: str) -> Iterator[h5py.File]:
    """Open a file of this program for reading, and tell what is wrong with it in a DataError.

    Without a lock: it never changes, and many engines read one. `version`: the newest known one.
    """
    if path.is_dir():
        raise DataError(f"{path} is a folder: give the path of a {what}")
    if not path.is_file():
        raise DataError(f"{path}: there is no such file")
    with named_errors(path, what), h5py.File(path, "r", locking=False) as file:
        _check_format(file, path, file_format, version, what)
        yield file


@contextmanager
def named_errors(path: Path, what: str, part: str = "") -> Iterator[None]:
    """Name the file, and its part if any, in a DataError instead of what h5py and NumPy raise."""
    try:
        yield
    except ParameterError as error:
        raise DataError(f"{path}: {error}") from error
    except Recon3DError:
        raise
    except OSError as error:
        said = f"as HDF5 (damaged, or a copy cut short?): {error}"
        if error.errno:  # the system's reason, of a file that may be whole
            said = f"({os.strerror(error.errno).lower()})"
        raise DataError(f"{path}: {f'{part} ' if part else ''}cannot be read {said}") from error
    except KeyError as error:
        raise DataError(f"{path}: lacks a part of a {what}: {error}") from error
    except (
        RuntimeError,
        ArithmeticError,
        ValueError,
        TypeError,
        IndexError,
        AttributeError,
    ) as error:
        raise DataError(
            f"{path}: a part of it is not what a {what} holds there (damaged, or changed by "
            f"hand?): {error}"
        ) from error


def _check_format(file: h5py.File, path: Path, wanted: str, newest: int, what: str) -> None:
    if str(file.attrs.get("_format")) != wanted:
        raise DataError(f"{path}: is no {what} (the attribute '_format' is not '{wanted}')")
    version = file.attrs.get("_format_version", 0)
    try:
        number = int(version)
    except (TypeError, ValueError, OverflowError):
        number = 0
    if number < 1:
        raise DataError(f"{path}: has the unknown version '{version}': write it anew")
    if number > newest:
        raise DataError(
            f"{path}: is of version {number}, and recon3d {__version__} reads up to {newest}: "
            "update recon3d"
        )


def write_attributes(target: h5py.Group, values: Mapping[str, Any]) -> None:
    """Write named values as attributes: text, numbers and truth values as they are, others as JSON.

    One more attribute names those that are JSON. A ParameterError where a name begins with an
    underscore (these are the format's own), or JSON cannot hold a value.
    """
    nested = []
    for name, value in values.items():
        if name.startswith("_"):
            raise ParameterError(f"the attribute '{name}' begins with an underscore")
        target.attrs[name], is_nested = storable(name, value)
        if is_nested:
            nested.append(name)
    target.attrs[_NESTED] = json.dumps(nested)
    sum_texts(target)


def sum_texts(target: h5py.Group) -> None:
    """Keep a checksum of each attribute that is text: HDF5 has one of all others.

    `read_attributes` compares them. What an underscore begins, and NeXus's, do not count.
    """
    sums = {
        name: _text_sum(value)
        for name, value in target.attrs.items()
        if np.asarray(value).dtype.kind in "OU"
        and (name == _NESTED or (name[0] != "_" and name not in _NEXUS))
    }
    target.attrs[_TEXT_SUMS] = json.dumps(sums)


def _text_sum(value: Any) -> int:
    return zlib.crc32(json.dumps(_plain(value)).encode())


def storable(name: str, value: Any) -> tuple[Any, bool]:
    """A value as HDF5 keeps it, and whether it had to become JSON text for that."""
    plain = _plain(value)
    several = isinstance(plain, (list, tuple)) and len(plain) > 0
    numbers = several and all(type(item) in (int, float) for item in plain)
    if isinstance(plain, (str, bool, int, float)) or numbers:
        return plain, False
    try:
        return json.dumps(plain, default=_plain), True
    except (TypeError, ValueError) as error:
        raise ParameterError(f"the attribute '{name}' cannot be kept ({error})") from error


def read_attributes(target: h5py.Group) -> dict[str, Any]:
    """Read what `write_attributes` wrote, as plain Python values.

    Raises a ParameterError where text is not what was written.
    """
    for name, kept in json.loads(target.attrs.get(_TEXT_SUMS, "{}")).items():
        if _text_sum(target.attrs.get(name)) != kept:
            raise ParameterError(
                f"the attribute '{name}' of {target.name} is not what was written (damaged, or "
                "changed by hand?)"
            )
    nested = json.loads(target.attrs.get(_NESTED, "[]"))
    values = {
        name: _plain(value)
        for name, value in target.attrs.items()
        if name[0] != "_" and name not in _NEXUS
    }
    return {name: json.loads(v) if name in nested else v for name, v in values.items()}


def _plain(value: Any) -> Any:
    """Turn NumPy scalars and arrays, and paths, into what Python and JSON know."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    return str(value) if isinstance(value, PurePath) else value
