"""What every source of frames offers: regions, binned pixels, motor readings, what is damaged."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from textwrap import shorten
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from recon3d.config.goniometer import Goniometer
from recon3d.errors import ParameterError, listed
from recon3d.geometry import TiltOrigin, frame_settings
from recon3d.runtime.compiled import njit


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


class FrameSource:
    """Frames of one shape and type, in the order in which they were taken."""

    motors: MotorTable  # readings, shape (frames,)
    goniometer: Goniometer  # the names of the motors

    @property
    def frame_shape(self) -> tuple[int, int]:
        """Rows and columns of the whole frame."""
        raise NotImplementedError

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the pixels, in native byte order."""
        raise NotImplementedError

    @property
    def merit(self) -> NDArray[np.int64]:
        """How good each frame is, shape (frames,): of two at one setting the better one is used."""
        return np.zeros(self.motors.shape[0], np.int64)

    @property
    def advice(self) -> str:
        """What else to say where the frames form no scan; empty for nothing."""
        return ""

    def name(self, index: int) -> str:
        """File (and frame in it) of a frame, for messages."""
        raise NotImplementedError

    def read_into(self, index: int, roi: Roi, out: NDArray[Any]) -> None:
        """Write the pixels of a frame inside `roi` into an array, shape (rows, cols).

        A DataError says that it cannot be read whole.
        """
        raise NotImplementedError

    def read(self, index: int, roi: Roi) -> NDArray[Any]:
        """The pixels of a frame inside `roi`, likewise."""
        pixels = np.empty((roi.rows, roi.cols), self.dtype)
        self.read_into(index, roi, pixels)
        return pixels


FloatArray = NDArray[np.float64]


@dataclass(frozen=True, repr=False)
class MotorTable:
    """Motor and counter readings of frames, one array a motor, all of one shape; NaN if not known.

    The shape is (frames,) for a scan as it was read, (projections, frames) once it is sorted.
    """

    omega_deg: FloatArray  # rotation about G
    base_tilt_deg: FloatArray  # rocking below the ω stage (`diffrz` at ID06)
    chi_deg: FloatArray  # tilts above the ω stage, as phi
    phi_deg: FloatArray
    two_theta_deg: FloatArray  # detector arm (`obpitch` at ID06)
    energy_kev: FloatArray  # of the photons
    ring_current_ma: FloatArray  # of the storage ring during the exposure

    def __repr__(self) -> str:
        spans = [f"{name} {_span(column)}" for name, column in self.items()]
        return f"MotorTable({' x '.join(map(str, self.shape))} readings: {', '.join(spans)})"

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of every column."""
        return self.omega_deg.shape

    def items(self) -> list[tuple[str, FloatArray]]:
        """Names and columns, in the order of the fields."""
        return [(field.name, getattr(self, field.name)) for field in fields(self)]

    def map(self, change: Callable[[FloatArray], FloatArray]) -> MotorTable:
        """A table with `change` applied to every column."""
        return MotorTable(*(change(column) for _, column in self.items()))

    def __getitem__(self, index: Any) -> MotorTable:
        """The rows that `index` picks, as NumPy would from one column."""
        return self.map(lambda column: column[index])

    def settings(self, origin: TiltOrigin, handedness: int) -> tuple[FloatArray, FloatArray]:
        """(μ, γ) in the laboratory, as `recon3d.geometry.frame_settings` has them."""
        readings = (self.omega_deg, self.base_tilt_deg, self.chi_deg, self.phi_deg)
        return frame_settings(*readings, origin, handedness)

    def at(self, slots: NDArray[np.int64]) -> MotorTable:
        """The readings of the rows that `slots` names, NaN where it is negative."""
        return self.map(lambda column: np.where(slots >= 0, column[slots], np.nan))


def _span(column: FloatArray) -> str:
    known = column[np.isfinite(column)]
    return f"{known.min():g} to {known.max():g}" if known.size else "not known"


Damage: TypeAlias = "tuple[str, str]"
"""The name of a frame, and the reason why it cannot be used."""

_ROOM, _REST = 280, 60
"""Characters that a list of frames, and names without a reason, may take in a message."""

LARGEST_COUNT = 1e30
"""Counts beyond it are damage: their sums and squares would not fit into float32."""

LARGEST_READING = 1e5
"""Positions of motors beyond it, in degrees or keV, are damage."""


def list_damage(damaged: Iterable[Damage], between: str = " ") -> str:
    """Name frames with the reason, as many as a message has room for, and count the rest.

    `damaged`: names and reasons; `between`: what stands between the two.
    """
    reasons: dict[str, list[str]] = {}
    for name, reason in damaged:
        reasons.setdefault(reason, []).append(name)
    text, rest = "", list[str]()
    for reason, names in reasons.items():
        ends = np.cumsum([len(name) + len(", ") for name in names])
        shown = max(int(np.searchsorted(ends, _ROOM)), 1)
        part = f"{listed(names, shown)}{between}{shorten(reason, _ROOM)}"
        if rest or (text and len(text) + len(part) > _ROOM):
            rest += names
        else:
            text = f"{text}; {part}" if text else part
    if not rest:
        return text
    named = ", ".join(rest)
    return f"{text}; and {named if len(named) <= _REST else f'{len(rest)} more'}"


def trouble_in(pixels: NDArray[Any]) -> str:
    """What makes the counts of a frame unusable; empty for nothing."""
    if pixels.dtype.kind != "f":
        return ""
    unusable = int(np.count_nonzero(~(np.abs(pixels) <= LARGEST_COUNT)))
    if not unusable:
        return ""
    return f"holds {unusable} counts that are not finite, or beyond {LARGEST_COUNT:g}"


FEWEST_BINS = 2
"""Rows and columns of bins that a frame must have."""


class Binning(NamedTuple):
    """How many rows and columns of the detector make one row and column of a frame, 1 for pixels.

    Blocks begin at the first pixel of the region; what fills no whole block at its end is dropped.
    """

    rows: int = 1
    cols: int = 1

    @property
    def pixels(self) -> int:
        """How many pixels a bin has."""
        return self.rows * self.cols

    def shape_of(self, shape: tuple[int, ...]) -> tuple[int, int]:
        """Rows and columns of bins in a region of a shape (rows, cols) in pixels."""
        return shape[0] // self.rows, shape[1] // self.cols

    def left_over(self, shape: tuple[int, ...]) -> tuple[int, int]:
        """Rows and columns of pixels that fill no bin."""
        return shape[0] % self.rows, shape[1] % self.cols

    def require_room(self, shape: tuple[int, ...]) -> None:
        """Refuse bins of which fewer than `FEWEST_BINS` fit along an edge of a region."""
        if self.pixels > 1 and min(self.shape_of(shape)) < FEWEST_BINS:
            raise ParameterError(
                f"binning is {self.rows} x {self.cols} (rows x columns), and the region of "
                f"interest has {shape[0]} x {shape[1]} pixels: expected at least {FEWEST_BINS} "
                "bins along each edge"
            )

    def dtype_of(self, dtype: np.dtype[Any]) -> np.dtype[Any]:
        """Type that holds the sums of pixels of a type without loss."""
        if self.pixels == 1 or dtype.kind == "f":
            return dtype
        return np.dtype(np.int32 if dtype.itemsize <= 2 else np.int64)

    def sum_into(self, pixels: NDArray[Any], out: NDArray[Any]) -> None:
        """Sum the pixels, C-contiguous, of every bin into an array of `shape_of` and `dtype_of`."""
        sum_blocks(pixels, self.rows, self.cols, out)

    def sums(self, image: ArrayLike) -> NDArray[Any]:
        """Sum the pixels of every bin of one image, in the type that `dtype_of` names."""
        pixels: NDArray[Any] = np.ascontiguousarray(image)
        if self.pixels == 1:
            return pixels
        out = np.empty(self.shape_of(pixels.shape), self.dtype_of(pixels.dtype))
        self.sum_into(pixels, out)
        return out


NO_BINNING = Binning()
"""Pixels as they are."""


@njit(cache=True, nogil=True)
def sum_blocks(pixels: NDArray[Any], rows: int, cols: int, out: NDArray[Any]) -> None:
    """Fill `out` with sums over blocks of `rows` x `cols` pixels; what is left over is dropped.

    Rows are added up before columns are: so most of the work is on neighbouring numbers.
    """
    line = np.empty(out.shape[1] * cols, out.dtype)
    for row in range(out.shape[0]):
        for col in range(line.size):
            line[col] = pixels[row * rows, col]
        for below in range(row * rows + 1, row * rows + rows):
            for col in range(line.size):
                line[col] += pixels[below, col]
        if cols == 2:  # a constant step is what the compiler can make quick
            for col in range(out.shape[1]):
                out[row, col] = line[2 * col] + line[2 * col + 1]
            continue
        for col in range(out.shape[1]):
            summed = line[col * cols]
            for beside in range(col * cols + 1, col * cols + cols):
                summed += line[beside]
            out[row, col] = summed
