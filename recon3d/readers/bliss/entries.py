"""HDF5 files as BLISS writes them: which one holds a scan, how it is opened, its entries."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin  # noqa: F401 (an import registers the filters of compressed frames)

from recon3d.errors import DataError, ParameterError, Recon3DError, listed

SUFFIXES = (".h5", ".hdf5", ".nxs")
_LINK = re.compile(r"(?:.*_)?\d{1,9}\.\d{1,9}")
_EDF = re.compile(r"\.edf(\.\w+)?$", re.IGNORECASE)
_MOST_OPENED = 40
_FEW_FILES = 3
_NAMED = 8
_ENTRY = re.compile(r"\d{1,9}\.\d{1,9}")
_LARGEST_PART = 10**9
_MISMATCHES = (TypeError, AttributeError, IndexError)
"""What comes of a dataset where a group is expected, and the like."""


def is_hdf5(path: Path) -> bool:
    """Whether a path names an HDF5 file, by its content, or its suffix if there is no file."""
    if path.is_file():
        return path.suffix.lower() in SUFFIXES or bool(h5py.is_hdf5(path))
    return path.suffix.lower() in SUFFIXES and not path.is_dir()


def scan_file(path: str | Path, prefix: str = "") -> Path | None:
    """The HDF5 file with the scan to which a path leads; None where it is a folder of EDF files.

    A folder stands for the only file of a scan in it, a collection of links for the only file that
    it links to; else a DataError says which file is to be given.
    """
    path = Path(path)
    found = _file_in(path, prefix) if path.is_dir() else path
    if found is None or not is_hdf5(found):
        return None
    return _followed(found) if found.is_file() else found


def _file_in(folder: Path, prefix: str) -> Path | None:
    """The only file of a scan in a folder; None where the folder has other files instead."""
    names = sorted(os.listdir(folder))  # noqa: PTH208 (names are wanted)
    held = [folder / name for name in names if name.lower().endswith(SUFFIXES)]
    others = [name for name in names if not name.lower().endswith(SUFFIXES)]
    wanted = prefix not in ("", "-")
    if any(_EDF.search(name) or (wanted and name.startswith(prefix)) for name in others):
        return None
    scans = [file for file in held[:_MOST_OPENED] if _leads_to_scan(file)]
    if len(scans) > 1:
        raise DataError(f"{folder} holds {len(scans)} files of scans: give {_either(scans)}")
    if held and not (scans or others):
        raise DataError(f"{_contents(held[0])}{_GIVE_SCAN}")
    return next(iter(scans), None)


def _followed(path: Path) -> Path:
    """The file itself, or the one to whose entries it links.

    Raises a DataError where it holds links to several files, to one that is not there, or no scan.
    """
    with opened(path) as file:
        if entries_in(file):
            return path
        targets = _targets(file)
        own = str(file.attrs.get("_format", ""))
    if own.startswith("recon3d"):
        raise DataError(f"{path} was written by recon3d ({own}): raw frames are expected here")
    if not targets:
        raise DataError(f"{_contents(path)}{_GIVE_SCAN}")
    if len(targets) > 1:
        raise DataError(
            f"{path} is a collection of links to the entries of {len(targets)} files: give "
            f"{_either(targets)}"
        )
    there = next((p for p in moved(path.parent, targets[0]) if p.is_file()), None)
    if there is None:
        raise DataError(f"{path} links to the entries of {targets[0]}, which is not there")
    return there


_GIVE_SCAN = ": are these frames of a detector? Give the file of their scan, in a folder above"


def _contents(path: Path | str) -> str:
    with opened(path) as file:
        held = listed([*file], _NAMED) or "nothing at all"
    return f"{path} has no entry 1.1, 2.1, ..., as BLISS writes them, but {held}"


def _targets(file: h5py.File) -> list[Path]:
    """The files to whose entries a collection links."""
    names = [link_target(file, name) for name in file if _LINK.fullmatch(name)]
    return [Path(name) for name in dict.fromkeys(names) if name]


def moved(folder: Path, target: Path) -> Iterator[Path]:
    """Where the file of a link may be: as it says, or moved along with the folder."""
    yield folder / target
    parts = target.parts[1:] if target.is_absolute() else target.parts
    for skipped in range(len(parts)):
        yield folder.joinpath(*parts[skipped:])


def _leads_to_scan(path: Path) -> bool:
    """Whether a file has entries of scans, or links to some."""
    try:
        with opened(path) as file:
            return bool(entries_in(file) or _targets(file))
    except DataError:
        return False


def _either(paths: list[Path]) -> str:
    listed = " or ".join(str(path) for path in paths[:_FEW_FILES])
    return f"{listed}, ..." if len(paths) > _FEW_FILES else listed


@contextmanager
def opened(path: str | Path) -> Iterator[h5py.File]:
    """Lend an HDF5 file, opened for reading without a lock: it may still be written to.

    A DataError names the likely cause where the file, or something in it, cannot be read.
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
        causes = (cause for sign, cause in _CAUSES.items() if sign in str(error).lower())
        cause = next(causes, "it may be damaged, or still be written to")
        raise DataError(f"{place} cannot be read: {cause} ({error})") from error


_CAUSES = {
    "the chunk at": "its frames are damaged",
    "truncated": "it ends too early; was its copy or its writing broken off?",
    "signature not found": "it is no HDF5 file",
    "already open": "another program has it open for writing; wait until the scan is over",
    "permission": "you may not read it",
    "filter": "its frames are compressed by a filter that is not known here, or are damaged",
}


def entries_in(file: h5py.File) -> list[str]:
    """Names of the entries `N.1`, `N.2`, ... of a file, in the order of their numbers."""
    return sorted(filter(_ENTRY.fullmatch, file), key=numbers_of)


def numbers_of(entry: str) -> tuple[int, int]:
    """Number of a scan, and which of its entries it is: (3, 2) of "3.2"."""
    scan, _, part = entry.partition(".")
    return int(scan), int(part)


def choose_entries(file: h5py.File, wanted: str | None = None) -> list[str]:
    """Names of the entries in a list such as "3.1,5-40" (5 for 5.1, 5.2, ...), or of all, in order.

    A DataError where the file has no entries, a ParameterError where it has not those.
    """
    entries = entries_in(file)
    if not entries:
        raise DataError(_contents(file.filename))
    if wanted is None:
        return entries
    chosen: set[str] = set()
    for part in wanted.split(","):
        first, last = _parse_range(part.strip(), wanted)
        found = [entry for entry in entries if first <= numbers_of(entry) <= last]
        if not found:
            has = listed(entries, _NAMED)
            raise ParameterError(f"entries {part.strip()}: {file.filename} has {has}")
        chosen.update(found)
    return sorted(chosen, key=numbers_of)


def _parse_range(part: str, wanted: str) -> tuple[tuple[int, int], tuple[int, int]]:
    """The first and the last entry of a range, by their numbers."""
    match = re.fullmatch(r"(\d{1,9})(\.\d{1,9})?(?:\s*-\s*(\d{1,9})(\.\d{1,9})?)?", part)
    if match is None:
        raise ParameterError(
            f"entries '{wanted[:60]}': expected numbers and ranges such as 3.1,5-40"
        )
    first, first_part, last, last_part = match.groups()
    if last is None:
        last, last_part = first, first_part
    end = int(last_part[1:]) if last_part else _LARGEST_PART
    return (int(first), int((first_part or ".0")[1:])), (int(last), end)


def item_at(group: h5py.Group, path: str) -> Any:
    """What a path leads to; None where nothing has that name.

    Unlike `group.get`, it tells what is not there from a link to nowhere, a KeyError, and from a
    damaged group on the way, a RuntimeError.
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
