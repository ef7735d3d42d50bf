"""Which HDF5 file holds a scan, where its folder, a collection or a detector's file was given."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import h5py

from recon3d.errors import DataError
from recon3d.readers.bliss.entries import SUFFIXES, is_hdf5, link_target, numbers_in, opened

_LINK = re.compile(r"(?:.*_)?\d{1,9}\.1")
_EDF = re.compile(r"\.edf(\.\w+)?$", re.IGNORECASE)
_MOST_OPENED = 40
_NAMED = 3


def scan_file(path: str | Path, prefix: str = "") -> Path | None:
    """The HDF5 file with the scan to which a path leads; None where it is a folder of EDF files.

    A folder stands for the only file of a scan in it, and a collection, which holds nothing but
    links to the entries of other files, for the only file that it links to.

    Parameters
    ----------
    path
        A file or a folder.
    prefix
        How the names of EDF files would begin.

    Raises
    ------
    DataError
        Another file is to be given; the message says which.
    """
    path = Path(path)
    found = _file_in(path, prefix) if path.is_dir() else path
    if found is None or not is_hdf5(found):
        return None
    return _followed(found) if found.is_file() else found


def _file_in(folder: Path, prefix: str) -> Path | None:
    """The scan's file in a folder; None where the folder has other files instead."""
    names = sorted(os.listdir(folder))  # noqa: PTH208 (names are wanted)
    held = [name for name in names if name.lower().endswith(SUFFIXES)]
    others = [name for name in names if name not in held and (folder / name).is_file()]
    if prefix not in ("", "-") and any(name.startswith(prefix) for name in others):
        return None
    if any(_EDF.search(name) for name in others):
        return None
    files = [folder / name for name in held]
    scans = [file for file in files[:_MOST_OPENED] if _leads_to_scan(file)]
    if len(scans) == 1:
        return scans[0]
    if scans:
        raise DataError(f"{folder} holds {len(scans)} files of scans: give {_either(scans)}")
    if files and len(files) == len(names):
        raise DataError(_no_scan(files[0], f"{folder} holds no scan"))
    deeper = [file for name in names[:_MOST_OPENED] for file in _files(folder / name)]
    deeper = [file for file in deeper[:_MOST_OPENED] if _leads_to_scan(file)]
    if deeper and not others:
        raise DataError(f"{folder} holds no scan itself: give {_either(deeper)}")
    return None


def _followed(path: Path) -> Path:
    """The file itself, or the one to whose entries it links.

    Raises
    ------
    DataError
        It holds links to several files, to one that is not there, or no scan at all.
    """
    with opened(path) as file:
        if numbers_in(file):
            return path
        targets, names = _targets(file), list(file)
    if not targets:
        raise DataError(_no_scan(path, _contents(path, names)))
    if len(targets) > 1:
        listed = _either(list(targets))
        raise DataError(
            f"{path} is a collection of links to the entries of {len(targets)} files: give {listed}"
        )
    target = next(iter(targets))
    there = [p for p in _moved(path.parent, target) if p.is_file()]
    if not there:
        raise DataError(f"{path} links to the entries of {target}, which is not there")
    return there[0]


def _contents(path: Path, names: list[str]) -> str:
    listed = ", ".join(names[:_NAMED]) + (" ..." if len(names) > _NAMED else "")
    return (
        f"{path} has no entry 1.1, 2.1, ..., as BLISS writes them, but {listed or 'nothing at all'}"
    )


def _targets(file: h5py.File) -> Counter[Path]:
    """The files to whose entries a collection links, with the number of links."""
    names = [link_target(file, name) for name in file if _LINK.fullmatch(name)]
    return Counter(Path(name) for name in names if name)


def _moved(folder: Path, target: Path) -> Iterator[Path]:
    """Where the file of a link may be: as it says, or moved along with the folder."""
    yield folder / target
    parts = target.parts[1:] if target.is_absolute() else target.parts
    for skipped in range(len(parts)):
        yield folder.joinpath(*parts[skipped:])


def _no_scan(path: Path, what: str) -> str:
    """Say that a file has no entries, and which file near it has."""
    for folder in (path.parent, *list(path.absolute().parents)[1:3]):
        near = [file for file in _files(folder) if _leads_to_scan(file)]
        if near:
            return f"{what}: are these frames of a detector? Give their scan, {_either(near)}"
    return what


def _files(folder: Path) -> list[Path]:
    """The first HDF5 files in a folder, by their names."""
    if not folder.is_dir() or not os.access(folder, os.R_OK | os.X_OK):
        return []
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES)[:_MOST_OPENED]


def _leads_to_scan(path: Path) -> bool:
    """Whether a file has entries of scans, or links to some."""
    try:
        with opened(path) as file:
            return bool(numbers_in(file) or _targets(file))
    except DataError:
        return False


def _either(paths: list[Path]) -> str:
    listed = " or ".join(str(path) for path in paths[:_NAMED])
    return f"{listed}, ..." if len(paths) > _NAMED else listed
