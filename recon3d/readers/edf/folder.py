"""Scans in folders of EDF files, one frame a file, as ID06 writes them."""

from __future__ import annotations

import difflib
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recon3d.config.goniometer import GONIOMETERS, Goniometer
from recon3d.errors import DataError, warn
from recon3d.readers.damage import Damage, list_damage
from recon3d.readers.edf.image import EdfHead, HeadReader, read_into, read_whole
from recon3d.readers.edf.motors import MotorReader, UnknownMotorError
from recon3d.readers.source import FrameSource, MotorTable, Roi
from recon3d.runtime.progress import track

SUFFIXES = (".edf", ".edf.gz", ".edf.bz2")
"""How the names of EDF files end, in upper or lower case."""

_DEEPEST = 3
"""How many levels of sub-folders are looked at."""
_NAMED = 3
_TRIED = 5000
"""How many prefixes a message names, and how many names are looked through for the nearest."""


@dataclass(frozen=True, eq=False)
class EdfFile:
    """An EDF file of a folder: its name there, its head, and what was taken from its header."""

    name: str
    head: EdfHead
    taken: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class EdfFolder(FrameSource):
    """The frames of a scan in a folder of EDF files, in the order they were taken."""

    folder: str
    files: tuple[EdfFile, ...] = field(repr=False)  # of one shape and type
    motors: MotorTable
    goniometer: Goniometer = GONIOMETERS["id06"]
    # damaged files that are left out, each with the reason
    left_out: tuple[Damage, ...] = field(default=(), repr=False)

    @classmethod
    def open(
        cls,
        folder: str | Path,
        prefix: str = "",
        goniometer: Goniometer | None = None,
        *,
        skip_damaged: bool = False,
        show_progress: bool = True,
    ) -> EdfFolder:
        """Read the headers of the files that `list_edf` finds; as `open_source`."""
        motors = MotorReader(goniometer)
        files, left_out = _read_heads(
            folder, prefix, motors.read, skip_damaged=skip_damaged, show=show_progress
        )
        return replace(cls.of(folder, files, motors.goniometer), left_out=left_out)

    @classmethod
    def of(
        cls,
        folder: str | Path,
        files: list[EdfFile],
        goniometer: Goniometer,
    ) -> EdfFolder:
        """Put files whose motors are read into the order of epochs, or else of names."""
        readings = np.array([file.taken for file in files])
        epochs, order = readings[:, -1], np.arange(len(files))
        if np.isfinite(epochs).all() and np.unique(epochs).size == epochs.size:
            order = np.argsort(epochs)
        motors = MotorTable(*readings[order, :-1].T.copy())
        return cls(str(folder), tuple(files[i] for i in order), motors, goniometer)

    @property
    def frame_shape(self) -> tuple[int, int]:
        """Rows and columns of the whole frame."""
        return self.files[0].head.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the pixels, in native byte order."""
        return self.files[0].head.dtype

    def name(self, index: int) -> str:
        """File of a frame."""
        return os.path.join(self.folder, self.files[index].name)  # noqa: PTH118 (ten times quicker)

    def read_into(self, index: int, roi: Roi, out: NDArray[Any]) -> None:
        """Write the pixels of a frame inside `roi` into an array; damage is a DataError."""
        roi.require_inside(self.frame_shape)
        read_into(self.name(index), self.files[index].head, *roi.slices, out)


def mean_frame(folder: str | Path, prefix: str) -> NDArray[np.float64]:
    """Mean of all frames `<prefix>*.edf` in a folder, (rows, cols), as of background frames."""
    files, _ = _read_heads(folder, prefix, lambda _: (), show=False)
    total = np.zeros(files[0].head.shape)
    for file in files:
        total += read_whole(Path(folder) / file.name, file.head)
    return total / len(files)


def look_at_shape(folder: str | Path, prefix: str) -> tuple[int, int] | None:
    """Rows and columns of the frames, from the first, middle and last header; None if unlike."""
    names = list_edf(folder, prefix)
    shapes = set()
    for name in {names[0], names[len(names) // 2], names[-1]}:
        try:
            shapes.add(HeadReader().read(Path(folder) / name).shape)
        except DataError:
            continue  # damaged files are reported together when all are read
    return shapes.pop() if len(shapes) == 1 else None


def _read_heads(
    folder: str | Path,
    prefix: str,
    take: Callable[[dict[str, str]], tuple[float, ...]],
    *,
    skip_damaged: bool = False,
    show: bool = True,
) -> tuple[list[EdfFile], tuple[Damage, ...]]:
    """Read the headers of all files with a prefix, and check that their images are whole.

    `take`: what to keep of a header. One DataError names all damaged files, each with the reason.
    """
    names = list_edf(folder, prefix)
    reader = HeadReader()
    good: list[EdfFile] = []
    damaged: dict[str, str] = {}
    for name in track(names, "Reading headers", unit="file", show=show):
        try:
            head = reader.read(os.path.join(folder, name))  # noqa: PTH118 (as above)
            good.append(EdfFile(name, replace(head, text={}), take(head.text)))
        except UnknownMotorError as error:
            raise DataError(f"{folder}: {error}") from error
        except DataError as error:
            damaged[name] = str(error)
    kinds = [_kind(file.head) for file in good]
    usual = Counter(kinds).most_common(1)[0][0] if kinds else ""
    for file, kind in zip(good, kinds, strict=True):
        if kind != usual:
            damaged[file.name] = f"holds {kind}, where most files hold {usual}"
    if damaged:
        listed = list_damage([(name, damaged[name]) for name in names if name in damaged])
        message = f"{len(damaged)} of {len(names)} files in {folder} are damaged: {listed}"
        if not skip_damaged or len(damaged) == len(names):
            raise DataError(message)
        warn(f"{message}. They are left out")
    if reader.without_order:
        warn(
            f"{reader.without_order} of {len(names)} files in {folder} name no ByteOrder: they are "
            "read as LowByteFirst"
        )
    left_out = [(str(Path(folder) / n), damaged[n]) for n in names if n in damaged]
    return [file for file in good if file.name not in damaged], tuple(left_out)


def _kind(head: EdfHead) -> str:
    return f"{head.shape[0]} x {head.shape[1]} pixels of {head.dtype.name}"


def is_edf(name: str) -> bool:
    """Whether a name is that of an EDF file."""
    return name.lower().endswith(SUFFIXES)


def list_edf(folder: str | Path, prefix: str) -> list[str]:
    """Names of the EDF files in a folder that begin with `prefix`, numbers in number order.

    Where it has none its sub-folders are looked at (one for each ω, say), and the prefix may begin
    with theirs; "-" or "" stand for any. A DataError names the nearest files.
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
