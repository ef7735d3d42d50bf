"""A scan without its pixels: one table for raw scans, cleaned scans and scan.h5."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from recon3d.arguments import NamedFields, check_fields
from recon3d.errors import NoSuchProjectionError, ParameterError
from recon3d.geometry import TiltOrigin
from recon3d.readers.source import NO_BINNING, Binning, MotorTable, Roi

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class SettingAxis:
    """One axis of the grid of settings."""

    name: str  # "mu", "gamma", "chi", "phi", "two_theta" or "energy"
    values_deg: FloatArray  # positions along it, increasing, in degrees (in keV for "energy")


@dataclass(frozen=True, eq=False)
class Projection:
    """The frames of one ω, and the setting of each; `numpy.asarray` gives the frames.

    Parameters
    ----------
    frames
        Counts, shape (frames, rows, cols); zeros where a frame is missing.
    omega_deg
        The rotation.
    mu_deg, gamma_deg
        Setting of each frame in the laboratory, shape (frames,): μ from the middle of the base
        tilt's range, for a handedness of +1, and γ; NaN where a frame is missing.
    axes
        The grid of settings, as in `ScanTable`; C order of it is that of the frames.
    """

    frames: NDArray[Any]
    omega_deg: float
    mu_deg: FloatArray
    gamma_deg: FloatArray
    axes: tuple[SettingAxis, ...] = ()

    @property
    def shape(self) -> tuple[int, ...]:
        """(frames, rows, cols)."""
        return self.frames.shape

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self.frames, dtype, copy=copy)

    def __len__(self) -> int:
        return len(self.frames)

    def __repr__(self) -> str:
        count, rows, cols = self.shape
        return (
            f"Projection(omega = {self.omega_deg:.7g} degrees: {count} frames of {rows} x {cols} "
            f"pixels, {self.frames.dtype})"
        )


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class ScanTable(NamedFields):
    """The layout of a scan: its projections (one ω each), their settings, motors and region.

    Parameters
    ----------
    kind
        "mosaicity" (mu x gamma, fixed in the laboratory), "rocking" (mu alone), "tilts"
        (chi x phi above the rotation), or "skew" (mu with one of these two).
    axes
        The grid of settings; C order of it is the order of frames in a projection. "mu"
        holds readings of the base tilt, and "gamma" γ relative to (phi0, chi0). Where a
        mosaicity scan left the base tilt alone and rocked with the tilts above the rotation,
        "mu" holds χ cos ω - φ sin ω: the true μ if the handedness is +1, which the motors do
        not tell. "chi" and "phi" hold χ and φ relative to (chi0, phi0). A scan of strain adds
        "two_theta" or "energy" (in keV).
    origin
        The readings from which tilts are counted.
    omega_deg
        Rotation of each projection, increasing, shape (projections,).
    slots
        Where each frame is among those of its source, -1 where it is missing, shape
        (projections, frames).
    motors
        Motor readings, shape (projections, frames), NaN where a frame is missing.
    roi
        The part of the detector that the frames cover, in its own pixels.
    binning
        How many pixels of the detector are summed to one.

    Raises
    ------
    ParameterError
        The parts are not of the shape of one scan.
    """

    kind: str
    axes: tuple[SettingAxis, ...]
    origin: TiltOrigin
    omega_deg: FloatArray
    slots: NDArray[np.int64]
    motors: MotorTable
    roi: Roi
    binning: Binning = NO_BINNING

    def __post_init__(self) -> None:
        check_fields(self)
        settings = math.prod(axis.values_deg.size for axis in self.axes)
        found = {
            "omega": (self.omega_deg.shape, self.slots.shape[:1]),
            "the motors": (self.motors.shape, self.slots.shape),
            "the grid of settings": ((settings,), self.slots.shape[1:]),
        }
        for what, (has, expected) in found.items():
            if has != expected:
                raise ParameterError(f"{what} has the shape {has}: the scan asks for {expected}")

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Projections, frames in each, rows and columns of the region, or of the bins in it."""
        projections, frames = self.slots.shape
        return projections, frames, *self.binning.shape_of((self.roi.rows, self.roi.cols))

    @property
    def valid(self) -> NDArray[np.bool_]:
        """Where there is a frame, shape (projections, frames)."""
        return self.slots >= 0

    @property
    def missing(self) -> list[tuple[int, int]]:
        """(projection, frame) of every frame that is missing."""
        return [(int(k), int(frame)) for k, frame in np.argwhere(self.slots < 0)]

    def read_projection(self, k: int) -> NDArray[Any]:
        """The frames of one projection, shape (frames, rows, cols), zeros where missing."""
        raise NotImplementedError

    def settings(self, k: int | slice) -> tuple[FloatArray, FloatArray]:
        """(μ, γ) of the frames of one projection, or of several, as in `Projection`."""
        own = self.motors[k if isinstance(k, slice) else self.number(k)]
        return own.settings(self.origin, +1)

    def number(self, k: int) -> int:
        """The number of a projection from 0, of one that may be counted from the end (-1).

        Raises a NoSuchProjectionError where there is none.
        """
        known = isinstance(k, (int, np.integer)) and not isinstance(k, bool)
        if not known or not -len(self) <= k < len(self):
            raise NoSuchProjectionError(
                f"projection {k!r:.40}: the scan has {len(self)}, from 0; expected one whole number"
            )
        return int(k) % len(self)

    def __len__(self) -> int:
        return len(self.slots)

    def __getitem__(self, k: int) -> Projection:
        k = self.number(k)
        frames, omega_deg = self.read_projection(k), float(self.omega_deg[k])
        return Projection(frames, omega_deg, *self.settings(k), self.axes)

    def __iter__(self) -> Iterator[Projection]:
        return (self[k] for k in range(len(self)))

    def __repr__(self) -> str:
        omega = " to ".join(short(self.omega_deg[k]) for k in sorted({0, len(self) - 1}))
        grid = " x ".join(f"{axis.values_deg.size} {axis.name}" for axis in self.axes)
        gaps, roi, (rows, cols) = len(self.missing), self.roi, self.binning
        bins = f" in bins of {rows} x {cols} (rows x columns)" if rows * cols > 1 else ""
        return (
            f"{type(self).__name__}({self.kind}: {len(self)} omega ({omega} degrees) x {grid}, "
            f"{roi.cols} x {roi.rows} pixels{bins} from column {roi.col}, row {roi.row}, "
            f"{f'{gaps} frames missing' if gaps else 'complete'})"
        )


def short(value_deg: float) -> str:
    """A number for messages, to a tenth of a millidegree."""
    return f"{round(value_deg, 4) + 0.0:.7g}"


def in_words(omega_deg: float, axes: Sequence[SettingAxis], frame: int) -> str:
    """The rotation, and the setting of a frame of a projection, for messages."""
    place = np.unravel_index(frame, [axis.values_deg.size for axis in axes])
    named = {axis.name: axis.values_deg[i] for axis, i in zip(axes, place, strict=True)}
    return ", ".join(f"{name} = {short(v)}" for name, v in {"omega": omega_deg, **named}.items())
