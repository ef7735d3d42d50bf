"""Scans in folders of EDF files, one frame a file, as ID06 writes them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fabio
import numpy as np
from numpy.typing import NDArray

from recon3d.config.goniometer import GONIOMETERS, Goniometer
from recon3d.errors import DataError
from recon3d.progress import track
from recon3d.readers.damage import Damage
from recon3d.readers.edf.files import EdfFiles, read_heads
from recon3d.readers.edf.header import HeadReader, open_edf, read_pixels
from recon3d.readers.edf.motors import MotorReader
from recon3d.readers.motors import MotorTable
from recon3d.readers.source import Roi


@dataclass(frozen=True, eq=False)
class EdfFolder:
    """The frames of a scan in a folder of EDF files, in the order they were taken.

    Parameters
    ----------
    files
        Where the frames are.
    motors
        Their motor readings.
    """

    files: EdfFiles[tuple[float, ...]]
    motors: MotorTable

    @classmethod
    def open(
        cls,
        folder: str | Path,
        prefix: str = "",
        goniometer: Goniometer = GONIOMETERS["id06"],
        *,
        skip_damaged: bool = False,
        show_progress: bool = True,
    ) -> EdfFolder:
        """Read the headers of the files `<prefix>*.edf` and `<prefix>*.edf.gz`.

        The order is that of the header key `epoch` where every file has one of its own, else
        that of the names, with numbers in them compared as numbers.

        Parameters
        ----------
        folder
            Where the files are.
        prefix
            How their names begin.
        goniometer
            The names of the motors.
        skip_damaged
            Leave damaged files out, with a warning that lists them.
        show_progress
            Show a progress bar.

        Raises
        ------
        DataError
            There are no such files, some are damaged, or they lack the rotation or the base
            tilt motor.
        """
        files = read_heads(
            folder,
            prefix,
            reading_of(goniometer),
            skip_damaged=skip_damaged,
            show=show_progress,
        )
        return cls.ordered(files)

    @classmethod
    def ordered(cls, files: EdfFiles[tuple[float, ...]]) -> EdfFolder:
        """Put files whose readings `reading_of` took into the order in which they were taken."""
        readings = np.array(files.taken)
        epochs = readings[:, -1]
        order = np.arange(len(readings))
        if np.isfinite(epochs).all() and np.unique(epochs).size == epochs.size:
            order = np.argsort(epochs)
        return cls(files.reordered(order), MotorTable(*readings[order, :-1].T.copy()))

    @property
    def frame_shape(self) -> tuple[int, int]:
        """Rows and columns of the whole frame."""
        return self.files.frame_shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the pixels, in native byte order."""
        return self.files.dtype

    @property
    def left_out(self) -> tuple[Damage, ...]:
        """Damaged files that are left out, each with the reason."""
        return self.files.left_out

    def name(self, index: int) -> str:
        """File of a frame."""
        return str(self.files.folder / self.files.names[index])

    def read(self, index: int, roi: Roi) -> NDArray[Any]:
        """Pixels of a frame inside `roi`, shape (rows, cols); a damaged file is a DataError."""
        return self.files.read(index, roi)

    def read_into(self, index: int, roi: Roi, out: NDArray[Any]) -> None:
        """Write the pixels of a frame inside `roi` into an array, shape (rows, cols)."""
        self.files.read_into(index, roi, out)


def reading_of(goniometer: Goniometer) -> Callable[[dict[str, str]], tuple[float, ...]]:
    """What to take of the header of every frame: its motors, and when it was taken.

    Parameters
    ----------
    goniometer
        The names of the motors.
    """
    reader = MotorReader(goniometer)
    return lambda text: (*reader.read(text), _epoch(text))


def mean_frame(
    folder: str | Path, prefix: str = "", roi: Roi | None = None, *, show_progress: bool = False
) -> NDArray[np.float64]:
    """Mean of all frames `<prefix>*.edf` in a folder, as of background frames.

    Parameters
    ----------
    folder, prefix
        Where the files are, and how their names begin.
    roi
        The part of the frames that is wanted; None for the whole.
    show_progress
        Show a progress bar.

    Returns
    -------
    mean, shape (rows, cols)
        One frame is in memory at a time.

    Raises
    ------
    DataError
        There are no such files, or some are damaged.
    """
    files = read_heads(folder, prefix, lambda _: None, show=show_progress)
    roi = roi or Roi.whole(files.frame_shape)
    total = np.zeros((roi.rows, roi.cols))
    frames = range(len(files.names))
    for index in track(frames, "Reading background", unit="frame", show=show_progress):
        total += files.read(index, roi)
    return total / len(files.names)


def read_image(path: str | Path) -> NDArray[Any]:
    """One image, such as a flat field or a bad-pixel mask, from EDF, .npy or what fabio opens.

    Returns
    -------
    image, shape (rows, cols)

    Raises
    ------
    DataError
        The file is missing or damaged, or holds something else than one image.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path}: there is no such file")
    try:
        if path.name.endswith((".edf", ".edf.gz")):
            return _read_edf(path)
        if path.suffix == ".npy":
            image = np.load(path, allow_pickle=False)
        else:
            with fabio.open(str(path)) as opened:
                image = opened.data
    except Exception as error:
        reason = str(error)
        if "pickle" in reason:
            reason = "it is no NumPy file of numbers, or a damaged one"
        raise DataError(f"{path} cannot be read as an image: {reason}") from error
    if image.ndim != 2:
        raise DataError(f"{path} holds an array of shape {image.shape}: expected rows x columns")
    if image.dtype.kind not in "biuf":
        raise DataError(f"{path} holds {image.dtype}, which are no real numbers")
    return image


def _read_edf(path: Path) -> NDArray[Any]:
    head = HeadReader().read(path)
    with open_edf(path) as file:
        return read_pixels(file, head, slice(0, head.shape[0]), slice(0, head.shape[1]))


def _epoch(text: dict[str, str]) -> float:
    try:
        return float(text.get("epoch", "nan"))
    except ValueError:
        return math.nan
