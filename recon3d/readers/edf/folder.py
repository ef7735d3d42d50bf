"""Scans in folders of EDF files, one frame a file, as ID06 writes them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from recon3d.config.goniometer import GONIOMETERS, Goniometer
from recon3d.errors import DataError, warn
from recon3d.readers.damage import Damage, list_damage
from recon3d.readers.edf.image import EdfHead, HeadReader, read_into, read_whole
from recon3d.readers.edf.listing import list_edf
from recon3d.readers.edf.motors import MotorReader, UnknownMotorError
from recon3d.readers.motors import MotorTable
from recon3d.readers.source import Roi
from recon3d.runtime.progress import track

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class EdfFile(Generic[T]):
    """An EDF file of a folder: its name there, its head, and what was taken from its header."""

    name: str
    head: EdfHead
    taken: T


@dataclass(frozen=True, eq=False)
class EdfFolder:
    """The frames of a scan in a folder of EDF files, in the order they were taken.

    Parameters
    ----------
    folder
        Where they are.
    files
        The files, of one shape and type.
    motors
        Their motor readings.
    goniometer
        The names of these motors.
    left_out
        Damaged files that are left out, each with the reason.
    """

    folder: str
    files: tuple[EdfFile[Any], ...]
    motors: MotorTable
    goniometer: Goniometer = GONIOMETERS["id06"]
    left_out: tuple[Damage, ...] = ()

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
        """Read the headers of the files that `recon3d.readers.edf.listing.list_edf` finds.

        Parameters
        ----------
        folder
            Where the files are.
        prefix
            How their names begin.
        goniometer
            The names of the motors; None for those of the beamline that the headers fit.
        skip_damaged
            Leave damaged files out, with a warning that lists them.

        Raises
        ------
        DataError
            There are no such files, some are damaged, or they lack the rotation or the base
            tilt motor.
        """
        motors = MotorReader(goniometer)
        files, left_out = _read_heads(
            folder, prefix, motors.read, skip_damaged=skip_damaged, show=show_progress
        )
        return replace(cls.of(folder, files, motors.goniometer), left_out=left_out)

    @classmethod
    def of(
        cls,
        folder: str | Path,
        files: list[EdfFile[tuple[float, ...]]],
        goniometer: Goniometer,
    ) -> EdfFolder:
        """Put files whose motors are read into the order in which they were taken.

        It is that of the header key `epoch` where every file has one of its own, else that of
        the names.
        """
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

    def read(self, index: int, roi: Roi) -> NDArray[Any]:
        """Pixels of a frame inside `roi`, shape (rows, cols); a damaged file is a DataError."""
        pixels = np.empty((roi.rows, roi.cols), self.dtype)
        self.read_into(index, roi, pixels)
        return pixels

    def read_into(self, index: int, roi: Roi, out: NDArray[Any]) -> None:
        """Write the pixels of a frame inside `roi` into an array, shape (rows, cols)."""
        roi.require_inside(self.frame_shape)
        rows = slice(roi.row, roi.row + roi.rows)
        cols = slice(roi.col, roi.col + roi.cols)
        read_into(self.name(index), self.files[index].head, rows, cols, out)


def mean_frame(
    folder: str | Path, prefix: str = "", *, show_progress: bool = False
) -> NDArray[np.float64]:
    """Mean of all frames `<prefix>*.edf` in a folder, as of background frames.

    Returns
    -------
    mean, shape (rows, cols)
        One frame is in memory at a time.

    Raises
    ------
    DataError
        There are no such files, or some are damaged.
    """
    files, _ = _read_heads(folder, prefix, lambda _: None, show=show_progress)
    total = np.zeros(files[0].head.shape)
    for file in track(files, "Reading background", unit="frame", show=show_progress):
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
            continue  # damaged files are told, all at once, when all are read
    return shapes.pop() if len(shapes) == 1 else None


def _read_heads(
    folder: str | Path,
    prefix: str,
    take: Callable[[dict[str, str]], T],
    *,
    skip_damaged: bool = False,
    show: bool = True,
) -> tuple[list[EdfFile[T]], tuple[Damage, ...]]:
    """Read the headers of all files with a prefix, and check that their images are whole.

    What `take` returns is kept of each header; a DataError from it counts the file as damaged.

    Raises
    ------
    DataError
        All damaged files at once, each with the reason.
    """
    names = list_edf(folder, prefix)
    reader = HeadReader()
    good: list[EdfFile[T]] = []
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
