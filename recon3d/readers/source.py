"""What every source of frames offers, be it a folder of EDF files or an HDF5 file."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from recon3d.arguments import wrong
from recon3d.errors import ParameterError
from recon3d.readers.motors import MotorTable


@dataclass(frozen=True)
class Roi:
    """A rectangle of the detector, in pixels of the whole frame."""

    row: int  # the first row
    col: int  # the first column
    rows: int  # how many rows
    cols: int  # how many columns

    @classmethod
    def whole(cls, frame_shape: tuple[int, int]) -> Roi:
        """The rectangle that covers a frame of `frame_shape` (rows, columns)."""
        return cls(0, 0, *frame_shape)

    @classmethod
    def around(cls, center: tuple[int, int], size: tuple[int, int]) -> Roi:
        """The rectangle of `size` about `center`, both (x, y) = (column, row).

        It starts at center - size // 2 along each axis.
        """
        start = (center[0] - size[0] // 2, center[1] - size[1] // 2)
        return cls(start[1], start[0], size[1], size[0])

    @property
    def center(self) -> tuple[int, int]:
        """The centre, (x, y) = (column, row), from which `around` makes the rectangle again."""
        return self.col + self.cols // 2, self.row + self.rows // 2

    @property
    def size(self) -> tuple[int, int]:
        """The size, (x, y)."""
        return self.cols, self.rows

    @property
    def slices(self) -> tuple[slice, slice]:
        """The rows and columns of the rectangle, to cut it out of a whole frame."""
        return slice(self.row, self.row + self.rows), slice(self.col, self.col + self.cols)

    def require_inside(self, frame_shape: tuple[int, int]) -> None:
        """Refuse a rectangle that is empty or leaves the frame, of so many rows and columns.

        The ParameterError names both sizes, columns first as the user gives them.
        """
        rows, cols = frame_shape
        inside = min(self.row, self.col) >= 0 and min(self.rows, self.cols) >= 1
        if not inside or self.row + self.rows > rows or self.col + self.cols > cols:
            raise ParameterError(
                f"the ROI covers columns {self.col} to {self.col + self.cols - 1} and rows "
                f"{self.row} to {self.row + self.rows - 1}, but the frame has {cols} columns and "
                f"{rows} rows (x, y = column, row): move its centre or make it smaller"
            )


class FrameSource(Protocol):
    """Frames of one shape and type, in the order in which they were taken."""

    @property
    def frame_shape(self) -> tuple[int, int]:
        """Rows and columns of the whole frame."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the pixels, in native byte order."""

    @property
    def motors(self) -> MotorTable:
        """Motor readings, shape (frames,)."""

    def name(self, index: int) -> str:
        """File (and frame in it) of a frame, for messages."""

    def read(self, index: int, roi: Roi) -> NDArray[Any]:
        """Pixels of a frame inside `roi`, (rows, cols); a DataError if it cannot be read whole."""


@runtime_checkable
class ReadsInto(Protocol):
    """A source that can write a frame where it is wanted, which saves a copy."""

    def read_into(self, index: int, roi: Roi, out: NDArray[Any]) -> None:
        """Write the pixels of a frame inside `roi` into an array, (rows, cols), likewise."""


@runtime_checkable
class KnowsMerits(Protocol):
    """A source that knows which of two frames of one setting is the better one."""

    @property
    def merits(self) -> dict[str, NDArray[np.bool_]]:
        """What speaks for a frame, in words, and for which it does, shape (frames,).

        What weighs most comes first; the words go on from "the frame ...".
        """


def whole_pair(name: str, pair: tuple[int, int]) -> tuple[int, int]:
    """Make sure that a pair (x, y) holds two whole numbers; a ParameterError names it if not."""
    try:
        x, y = (operator.index(int(value)) for value in pair if int(value) == value)
    except (TypeError, ValueError, OverflowError):
        raise wrong(name, pair, "two whole numbers, (x, y) in pixels") from None
    return x, y
