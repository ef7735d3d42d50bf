"""Find the EDF files of a scan, and say what is there instead where there are none."""

from __future__ import annotations

import difflib
import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from recon3d.errors import DataError

SUFFIXES = (".edf", ".edf.gz", ".edf.bz2")
"""How the names of EDF files end, in upper or lower case."""

_DEEPEST = 3
_NAMED = 3
_TRIED = 5000


def is_edf(name: str) -> bool:
    """Whether a name is that of an EDF file."""
    return name.lower().endswith(SUFFIXES)


def list_edf(folder: str | Path, prefix: str) -> list[str]:
    """Names of the EDF files in a folder that begin with `prefix`, numbers in number order.

    Where the folder itself has none, they are looked for in its sub-folders (one for each ω,
    say); the names then begin with those of the sub-folders, and so may the prefix.

    Parameters
    ----------
    folder, prefix
        Where the files are, and how their names begin; "-" or "" for any.

    Raises
    ------
    DataError
        The folder does not exist or has no such file; the message names the nearest ones.
    """
    folder, prefix = Path(folder), "" if prefix == "-" else prefix.rstrip("*")
    try:
        here = [name for name in _entries(folder) if is_edf(name)]
        names = [name for name in here if name.startswith(prefix)]
        below = [] if names else [name for name in _names_below(folder) if is_edf(name)]
    except (OSError, ValueError) as error:
        raise DataError(_explain_folder(folder, error)) from error
    names = names or [name for name in below if Path(name).name.startswith(prefix)]
    names = names or [name for name in below if name.startswith(prefix)]
    if not names:
        raise DataError(
            f"no file {prefix}*.edf in {folder}: {_nearest(folder, prefix, here + below)}"
        )
    return sorted(names, key=natural)


def natural(name: str) -> list[tuple[int, str]]:
    """A key that sorts the numbers in names as numbers: scan_9 before scan_10."""
    parts = re.split(r"(\d+)", name)
    return [(int(part), "") if i % 2 else (0, part) for i, part in enumerate(parts)]


def _entries(folder: Path) -> list[str]:
    with os.scandir(folder) as entries:
        return [entry.name for entry in entries]


def _names_below(folder: Path, deep: int = 1, seen: set[str] | None = None) -> Iterator[str]:
    """Files in the sub-folders of a folder, by their paths from there; no folder is seen twice."""
    seen = {os.path.realpath(folder)} if seen is None else seen
    with os.scandir(folder) as entries:
        inside = [e for e in entries if not e.name.startswith(".") and e.is_dir()]
    for name in (e.name for e in sorted(inside, key=lambda e: (e.is_symlink(), e.name))):
        real = os.path.realpath(folder / name)
        if real in seen:
            continue
        seen.add(real)
        yield from (f"{name}/{other}" for other in _entries(folder / name))
        if deep < _DEEPEST:
            yield from (f"{name}/{other}" for other in _names_below(folder / name, deep + 1, seen))


def _explain_folder(folder: Path, error: OSError | ValueError) -> str:
    """Why a folder cannot be read, with the nearest that can."""
    if folder.is_symlink() and not folder.exists():
        return f"the folder {folder} is a link to {folder.readlink()}, which is not there"
    if folder.is_file():
        stem = re.sub(r"\d*$", "", re.sub(r"(?i)\.edf.*", "", folder.name))
        return f"{folder} is a file, neither HDF5 nor a folder of EDF files" + (
            f": give its folder, {folder.parent}, and its prefix, {stem}"
            if is_edf(folder.name)
            else ""
        )
    if isinstance(error, FileNotFoundError):
        parent = next(parent for parent in folder.absolute().parents if parent.is_dir())
        missing = folder.absolute().relative_to(parent).parts[0]
        near = difflib.get_close_matches(missing, _entries(parent)[:_TRIED], n=1)
        told = f": the nearest in {parent} is {near[0]}" if near else f": {parent} has no {missing}"
        return f"the folder {folder} does not exist{told}"
    return f"the folder {folder} cannot be read ({getattr(error, 'strerror', None) or error})"


def _nearest(folder: Path, prefix: str, edf: list[str]) -> str:
    """What a folder holds in place of EDF files with a prefix."""
    if not edf:
        return _other_files(folder)
    stems = Counter(_stems([Path(name).name for name in edf]))
    near = difflib.get_close_matches(prefix, stems, n=1, cutoff=0.0)
    rest = [stem for stem, _ in stems.most_common(_NAMED) if stem not in near][: _NAMED - 1]
    told = ", ".join(f"{stem}*.edf ({stems[stem]} files)" for stem in [*near, *rest])
    more = len(stems) - len(near) - len(rest)
    below = next((f" (in sub-folders, as {name})" for name in edf if "/" in name), "")
    return f"it has {told}{f' and {more} other kinds' if more else ''}{below}"


def _stems(names: list[str]) -> Iterator[str]:
    """The prefix of each name: what it shares with all that differ from it in numbers alone."""
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(re.sub(r"\d+", "#", name), []).append(name)
    for group in groups.values():
        pairs = list(zip(min(group), max(group), strict=False))
        alike = next((i for i, (a, b) in enumerate(pairs) if a != b), len(pairs))
        shared = re.sub(r"(?i)\.edf.*", "", group[0][:alike])
        yield from [re.sub(r"\d+$", "", shared)] * len(group)


def _other_files(folder: Path) -> str:
    """The kinds of files in a folder that holds no EDF file."""
    every = [*_entries(folder), *_names_below(folder)]
    files = [name for name in every if (folder / name).is_file()]
    hdf5 = [name for name in files if name.lower().endswith((".h5", ".hdf5", ".nxs"))]
    if hdf5:
        return f"it holds HDF5 files: give one, such as {folder / min(hdf5, key=natural)}"
    kinds = Counter(Path(name).suffix or "no suffix" for name in files).most_common(_NAMED)
    listed = ", ".join(f"{count} of {suffix}" for suffix, count in kinds)
    return f"it has no EDF file at all, but {listed}" if kinds else "it holds no file at all"
