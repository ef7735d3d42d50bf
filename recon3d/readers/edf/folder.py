"""Scans in folders of EDF files, one frame a file, as ID06 writes them: files and motors."""

from __future__ import annotations

import difflib
import math
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from textwrap import shorten
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recon3d.config.declare import nearest
from recon3d.config.goniometer import GONIOMETERS, Goniometer
from recon3d.errors import DataError, warn
from recon3d.readers.edf.image import EdfHead, HeadReader, read_into, read_whole
from recon3d.readers.source import (
    LARGEST_READING,
    Damage,
    FrameSource,
    MotorTable,
    Roi,
    list_damage,
)
from recon3d.runtime.progress import track

SUFFIXES = (".edf", ".edf.gz", ".edf.bz2")
"""How the names of EDF files end, in upper or lower case."""

_DEEPEST = 3
"""How many levels of sub-folders are looked at."""
_TRIED = 5000
"""How many names are looked through for the nearest."""
_NEEDED = ("omega", "base_tilt")
_TILTS = ("chi", "phi")
_LISTED = 200


class UnknownMotorError(DataError):
    """No file of a scan has a motor that is needed."""


class MotorReader:
    """Takes the motors, and the time, from header after header.

    The first decides whose names they have where `goniometer` is None, and which tilts there are.
    """

    def __init__(self, goniometer: Goniometer | None = None) -> None:
        self.goniometer = goniometer or GONIOMETERS["id06"]
        self._chosen = goniometer is not None
        self._absent: frozenset[str] | None = None
        self._places: dict[str, tuple[dict[str, int], int]] = {}

    def read(self, text: dict[str, str]) -> tuple[float, ...]:
        """The readings of one frame in the order of the fields of `MotorTable`, and its epoch.

        `text`: values by lower-case key. Tilts that the first header lacks are NaN, with a warning;
        a rotation or base tilt that it lacks is an UnknownMotorError.
        """
        for key in ("motor_mne", "motor_pos"):
            if not text.get(key):
                raise DataError(f"has no {key} in its header: no motor positions are known")
        places, count = self._place(text["motor_mne"])
        readings = _split_readings(text.get("motor_pos", ""), count)
        if len(readings) != count:
            raise DataError(
                f"names {count} motors in motor_mne but has {len(readings)} in motor_pos"
            )
        if self._absent is None:
            self._absent = self._look_for_motors(list(places))
        values = [self._position(part, places, readings) for part in self.goniometer.motors]
        if values[-1] > 1000:  # recorded in eV
            values[-1] /= 1000
        return (*values, self._ring_current(text), _number(text.get("epoch", "")))

    def _look_for_motors(self, known: list[str]) -> frozenset[str]:
        """The tilts that are not among the motors of a scan."""
        if not self._chosen:
            fitting = (b for b in GONIOMETERS.values() if {b.omega, b.base_tilt} <= set(known))
            self.goniometer = next(fitting, self.goniometer)
        for part in _NEEDED:
            if getattr(self.goniometer, part) not in known:
                name, listed = getattr(self.goniometer, part), " ".join(known)
                raise UnknownMotorError(
                    f"there is no motor '{name}' ({part}) in the files{nearest(name, known)}. Name "
                    f"the motors, as in --motors id06,{part}=...; they have: "
                    f"{shorten(listed, _LISTED, placeholder=' ...')}"
                )
        absent = [part for part in _TILTS if getattr(self.goniometer, part) not in known]
        if absent:
            names = " and ".join(f"'{getattr(self.goniometer, part)}'" for part in absent)
            verb = "is" if len(absent) == 1 else "are"
            warn(
                f"{names} {verb} not among the motors in the files: {' and '.join(absent)} "
                f"{verb} taken as still"
            )
        return frozenset(absent)

    def _position(self, part: str, places: dict[str, int], readings: list[str]) -> float:
        name = getattr(self.goniometer, part)
        absent = self._absent or frozenset()
        needed = part in _NEEDED or (part in _TILTS and part not in absent)
        if part in absent or (name not in places and not needed):
            return math.nan
        if name not in places:
            raise DataError(f"has no motor '{name}' ({part}), which other files have")
        value = _number(readings[places[name]])
        if needed and not abs(value) <= LARGEST_READING:
            raise DataError(f"reads '{readings[places[name]]}' for the motor '{name}' ({part})")
        return value if abs(value) <= LARGEST_READING else math.nan

    def _ring_current(self, text: dict[str, str]) -> float:
        """The current in mA; NaN where it is not recorded or makes no sense."""
        places, count = self._place(text.get("counter_mne", ""))
        readings = _split_readings(text.get("counter_pos", ""), count)
        current, value = self.goniometer.ring_current, math.nan
        if current in places and len(readings) == count:
            value = _number(readings[places[current]])
        elif current not in places:
            value = _number((text.get("machine current", "").split() or [""])[0])
        return value if math.isfinite(value) and value > 0 else math.nan

    def _place(self, line: str) -> tuple[dict[str, int], int]:
        """Position of each name in a line, taken apart once, and how many names there are."""
        if line not in self._places:
            names = line.replace(",", " ").split()
            self._places[line] = {name: i for i, name in enumerate(names)}, len(names)
        return self._places[line]


def _split_readings(line: str, count: int) -> list[str]:
    """The readings in a line, between spaces, or between commas where that gives their number."""
    readings = line.split()
    if len(readings) != count and "," in line:
        apart = [reading for reading in re.split(r"[\s,]+", line) if reading]
        return apart if len(apart) == count else readings
    return readings


def _number(text: str) -> float:
    """A number as C, Fortran and German programs write it; NaN for what is none."""
    try:
        return float(text)
    except ValueError:
        pass
    try:
        return float(text.rstrip(",").replace(",", ".").lower().replace("d", "e"))
    except ValueError:
        return math.nan


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
        known: dict[str, EdfFile] | None = None,
    ) -> EdfFolder:
        """Read the headers of the files that `list_edf` finds, and put them in order of epochs.

        Without epochs, the order is that of their names. As `open_source`.
        """
        motors = MotorReader(goniometer)
        files, left_out = _read_heads(
            folder, prefix, motors.read, known, skip_damaged=skip_damaged, show=show_progress
        )
        readings = np.array([file.taken for file in files])
        epochs, order = readings[:, -1], np.arange(len(files))
        if np.isfinite(epochs).all() and np.unique(epochs).size == epochs.size:
            order = np.argsort(epochs)
        table = MotorTable(*readings[order, :-1].T.copy())
        own = tuple(files[i] for i in order)
        return cls(str(folder), own, table, motors.goniometer, left_out)

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
    known: dict[str, EdfFile] | None = None,
    *,
    skip_damaged: bool = False,
    show: bool = True,
) -> tuple[list[EdfFile], tuple[Damage, ...]]:
    """Read the headers of all files with a prefix, and check that their images are whole.

    `take`: what to keep of a header. `known`: files that were read before, by name; those that are
    read now are added. One DataError names all damaged files, each with the reason.
    """
    names = list_edf(folder, prefix)
    reader = HeadReader()
    known = {} if known is None else known
    damaged: dict[str, str] = {}
    new = [name for name in names if name not in known]
    for name in track(new, "Reading headers", unit="file", show=show):
        try:
            head = reader.read(os.path.join(folder, name))  # noqa: PTH118 (as above)
            known[name] = EdfFile(name, replace(head, text={}), take(head.text))
        except UnknownMotorError as error:
            raise DataError(f"{folder}: {error}") from error
        except DataError as error:
            damaged[name] = str(error)
    good = [known[name] for name in names if name in known]
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
    with theirs; "-" or "" stand for any. A DataError names files that are there instead.
    """
    folder, prefix = Path(folder), "" if prefix == "-" else prefix.rstrip("*")
    try:
        here = [name for name in _entries(folder) if is_edf(name)]
        names = [name for name in here if name.startswith(prefix)]
        below = [] if names else [name for name in _names_below(folder) if is_edf(name)]
    except NotADirectoryError as error:
        raise DataError(
            f"{folder} is a file, neither HDF5 nor a folder of EDF files: give the folder of the "
            "EDF files, and how their names begin"
        ) from error
    except (OSError, ValueError) as error:
        what = "cannot be read" if folder.exists() else "does not exist"
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"the folder {folder} {what} ({reason})") from error
    names = names or [name for name in below if Path(name).name.startswith(prefix)]
    names = names or [name for name in below if name.startswith(prefix)]
    if not names:
        found = [*here, *below][:_TRIED]
        near = difflib.get_close_matches(f"{prefix}.edf", found, n=1, cutoff=0.0)
        held = f"it has others, such as {near[0]}" if near else "it has no EDF file at all"
        raise DataError(f"no file {prefix}*.edf in {folder}: {held}")
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
