"""HDF5 files as BLISS writes them: opened with clear errors, their entries `N.1` by number."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin  # noqa: F401 (an import registers the filters of compressed frames)

from recon3d.errors import DataError, ParameterError, Recon3DError

SUFFIXES = (".h5", ".hdf5", ".nxs")
_NAMED = 8
_LABELS, _LONG = 3, 240
_MISMATCHES = (TypeError, AttributeError, IndexError)
"""What comes of a dataset where a group is expected, and the like."""


def is_hdf5(path: Path) -> bool:
    """Whether a path names an HDF5 file, by its content, or its suffix if there is no file."""
    if path.is_file():
        return path.suffix.lower() in SUFFIXES or bool(h5py.is_hdf5(path))
    return path.suffix.lower() in SUFFIXES and not path.is_dir()


@contextmanager
def opened(path: str | Path) -> Iterator[h5py.File]:
    """Lend an HDF5 file, opened for reading without a lock: it may still be written to.

    Raises
    ------
    DataError
        The file, or something in it, cannot be read; the message names the likely cause.
    """
    if not Path(path).is_file():
        raise DataError(f"{path}: there is no such file")
    with explained(path), open_unlocked(path) as file:
        yield file


def is_being_written(path: str | Path) -> bool:
    """Whether a program on this computer holds a file locked for writing.

    Linux lists all locks. To try for one, even for a moment, could stop the scan that writes.
    """
    inode = Path(path).stat().st_ino
    try:
        lines = Path("/proc/locks").read_text("ascii").splitlines()
    except OSError:
        return False
    return any(" WRITE " in line and f":{inode} " in line for line in lines)


def open_unlocked(path: str | Path) -> h5py.File:
    """Open a file for reading without a lock, so that it may still be written to."""
    try:
        return h5py.File(path, "r", locking=False)
    except OSError as error:
        if "flag values don't match" not in str(error):
            raise
    return h5py.File(path, "r")  # this process has it open with a lock: no other is taken


@contextmanager
def explained(place: str | Path) -> Iterator[None]:
    """Turn what h5py raises into a DataError that names `place` and the likely cause.

    A file that is being written to can fail in the ways of a damaged one.
    """
    try:
        yield
    except Recon3DError:
        raise
    except (OSError, RuntimeError, KeyError, ValueError, *_MISMATCHES) as error:
        raise DataError(f"{place} cannot be read: {_cause(str(error))}") from error


def _cause(text: str) -> str:
    for sign, cause in _CAUSES.items():
        if sign in text.lower():
            return f"{cause} ({text})"
    return f"it may be damaged, or still be written to ({text})"


_CAUSES = {
    "the chunk at": "its frames are damaged",
    "truncated": "it ends too early; was its copy or its writing broken off?",
    "signature not found": "it is no HDF5 file",
    "already open": "another program has it open for writing; wait until the scan is over",
    "permission": "you may not read it",
    "filter": "its frames are compressed by a filter that is not known here, or are damaged",
}


def numbers_in(file: h5py.File) -> list[int]:
    """Numbers N of the entries `N.1` of a file, increasing."""
    return sorted(int(name[:-2]) for name in file if re.fullmatch(r"\d{1,9}\.1", name))


def entry_numbers(file: h5py.File, wanted: str | None = None) -> list[int]:
    """Numbers N of the entries `N.1` of a file, increasing.

    Parameters
    ----------
    file
        The file.
    wanted
        A list such as "3.1,5-40"; None for all.

    Raises
    ------
    DataError
        The file has no such entries at all.
    ParameterError
        The list cannot be understood, or names an entry that is not in the file.
    """
    numbers = numbers_in(file)
    if not numbers:
        raise DataError(
            f"{file.filename} has no entry 1.1, 2.1, ..., as BLISS writes them, but "
            f"{_listed(list(file)) or 'nothing at all'}"
        )
    if wanted is None:
        return numbers
    chosen: set[int] = set()
    for part in wanted.split(","):
        first, last = _parse_range(part.strip(), wanted)
        found = [number for number in numbers if first <= number <= last]
        if not found:
            names = _listed([f"{number}.1" for number in numbers])
            raise ParameterError(f"entries {part.strip()}: {file.filename} has {names}")
        chosen.update(found)
    return sorted(chosen)


def _parse_range(part: str, wanted: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{1,9})(?:\.1)?(?:\s*-\s*(\d{1,9})(?:\.1)?)?", part)
    if match is None:
        raise ParameterError(
            f"entries '{wanted[:60]}': expected numbers and ranges such as 3.1,5-40; frames are in "
            "the entries N.1"
        )
    return int(match[1]), int(match[2] or match[1])


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{', '.join(names[:_NAMED])}{more}"


def item_at(group: h5py.Group, path: str) -> Any:
    """What a path leads to; None where nothing has that name.

    Unlike `group.get`, it tells a link to nowhere and a damaged group from what is not there.

    Raises
    ------
    KeyError
        A link leads nowhere.
    RuntimeError
        A group on the way is damaged.
    """
    here: Any = group
    for name in path.split("/"):
        if not isinstance(here, h5py.Group) or not here.id.links.exists(name.encode()):
            return None
        here = here[name]
    return here


def link_target(group: h5py.Group, path: str) -> str:
    """The file to which an external link points; empty for anything else."""
    link = group.get(path, getlink=True)
    return link.filename if isinstance(link, h5py.ExternalLink) else ""


def text_of(group: h5py.Group, path: str) -> str:
    """The text of a scalar dataset; empty where there is none."""
    item = group.get(path)
    if not isinstance(item, h5py.Dataset) or item.shape != ():
        return ""
    value: Any = item[()]
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def list_entries(entries: dict[str, str]) -> str:
    """Entries, those of one reason together, in one line of moderate length."""
    labels: dict[str, list[str]] = {}
    for label, why in entries.items():
        labels.setdefault(why, []).append(label)
    parts: list[str] = []
    rest: list[str] = []
    for why, same in labels.items():
        reason = why if len(why) <= _LONG else f"{why[:_LONG]} ..."
        part = f"{_few(same)}: {reason}"
        if rest or (parts and len("; ".join(parts)) + len(part) > _LONG):
            rest += same
        else:
            parts.append(part)
    return "; ".join(parts) + (f"; and {_few(rest)}" if rest else "")


def _few(labels: list[str]) -> str:
    more = f" and {len(labels) - _LABELS} more" if len(labels) > _LABELS else ""
    return f"{', '.join(labels[:_LABELS])}{more}"
