"""Sort the frames of a source into projections and settings, from their motors alone."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recon3d.config.goniometer import Goniometer
from recon3d.errors import DataError, GridError, ParameterError
from recon3d.geometry import TiltOrigin
from recon3d.readers.motors import MotorTable
from recon3d.readers.source import FrameSource
from recon3d.scan.doubled import Doubled, are_copies, settle_doubled
from recon3d.scan.explain import explain_misfit, refuse_flat
from recon3d.scan.grid import Candidate, Coordinates, best_grid, doubled_grid

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Choices:
    """What a user may say of how a scan was made.

    Parameters
    ----------
    phi0_deg, chi0_deg
        The readings of phi and chi at which the tilts are zero; None for the middle of
        their ranges.
    tilt_azimuth_deg
        0 or 90: turns (χ, φ), for scan macros that swap the two.
    recorded_at
        "middle", or "start" where motors were read at the start of the exposures of a
        continuous scan.
    step_deg
        About how far the positions of (mu, gamma) are apart, one number or two.
    """

    phi0_deg: float | None = None
    chi0_deg: float | None = None
    tilt_azimuth_deg: float = 0.0
    recorded_at: str = "middle"
    step_deg: float | tuple[float, float] | None = None

    def __post_init__(self) -> None:
        for name in ("phi0_deg", "chi0_deg"):
            if getattr(self, name) is not None:
                _require_number(name, getattr(self, name), "a reading in degrees, or None")
        if self.tilt_azimuth_deg not in (0, 90):
            raise ParameterError(
                f"tilt_azimuth is {self.tilt_azimuth_deg}: expected 0 or 90 degrees"
            )
        if self.recorded_at not in ("middle", "start"):
            raise ParameterError(f"recorded_at is '{self.recorded_at}': expected middle or start")
        if len(self.steps_deg) != 2:
            raise ParameterError(
                f"step_deg is {self.step_deg}: expected one number, or (mu, gamma)"
            )
        for step in self.steps_deg:
            if step is not None:
                _require_number("step_deg", step, "a positive number of degrees", above=0)

    @property
    def steps_deg(self) -> tuple[float | None, float | None]:
        """Steps of mu and of gamma."""
        step = self.step_deg
        return tuple(step) if isinstance(step, (tuple, list)) else (step, step)  # type: ignore[return-value]

    def coordinates(self, motors: MotorTable) -> Coordinates:
        """The coordinates of frames at the middle of their exposures, from the chosen origin."""
        if self.recorded_at == "start":
            motors = centre_exposures(self._counted(motors))
        return self._counted(motors)

    def _counted(self, motors: MotorTable) -> Coordinates:
        chi0 = _middle(motors.chi_deg) if self.chi0_deg is None else self.chi0_deg
        phi0 = _middle(motors.phi_deg) if self.phi0_deg is None else self.phi0_deg
        origin = TiltOrigin(chi_deg=chi0, phi_deg=phi0, azimuth_deg=self.tilt_azimuth_deg)
        return Coordinates(motors, origin, self.steps_deg)


@dataclass(frozen=True, eq=False)
class Placement:
    """The grid that the frames of a scan fill.

    Parameters
    ----------
    grid
        The grid, and the place of every kept frame in it.
    coordinates
        Of the kept frames.
    kept
        Which frames of the source they are.
    doubled
        The others, which were taken at the setting of one of them.
    """

    grid: Candidate
    coordinates: Coordinates
    kept: NDArray[np.int64]
    doubled: tuple[Doubled, ...] = ()

    @property
    def origin(self) -> TiltOrigin:
        """The origin of the tilts, with the middle of the base tilt's positions."""
        base = self.coordinates.likeliest("base").centres
        if "base" in self.grid.axis_coordinates:
            base = self.grid.groups[self.grid.axis_coordinates.index("base")].centres
        return replace(self.coordinates.origin, base_tilt_deg=_middle(base))


def place_frames(
    source: FrameSource, goniometer: Goniometer, choices: Choices, *, skip_doubled: bool = False
) -> Placement:
    """Find the grid of settings and the place of every frame in it.

    Parameters
    ----------
    source
        The frames, in the order in which they were taken. A tilt whose readings are all NaN is
        taken as still.
    goniometer
        The names of the motors, for messages.
    choices
        What the user says of the scan.
    skip_doubled
        Where frames were taken at one setting, use the best and leave the others out.

    Raises
    ------
    DataError
        Two frames were taken at the same setting, or a reading is not known.
    GridError
        The motors span no usable grid of settings.
    """
    filled = _fill_absent(source.motors, choices)
    _require_readings(filled, source.name)
    kept = np.arange(filled.shape[0])
    coordinates = choices.coordinates(filled)
    grid, doubled = best_grid(coordinates), list[Doubled]()
    if grid is None:
        shared = doubled_grid(coordinates)
        doubled = [] if shared is None else settle_doubled(shared, source)
        if not (skip_doubled and are_copies(doubled, kept.size)):
            raise explain_misfit(coordinates, goniometer, doubled, source)
        kept = np.setdiff1d(kept, [each.index for each in doubled])
        coordinates = choices.coordinates(filled[kept])
        grid = best_grid(coordinates)
    if grid is None:
        raise explain_misfit(coordinates, goniometer, [], source)
    refuse_flat(coordinates, grid, goniometer)
    return Placement(grid, coordinates, kept, tuple(doubled))


def _fill_absent(motors: MotorTable, choices: Choices) -> MotorTable:
    """Put tilts that the files do not know at their origin."""
    changes = {
        column: np.full(motors.shape, zero or 0.0)
        for column, zero in (("chi_deg", choices.chi0_deg), ("phi_deg", choices.phi0_deg))
        if np.isnan(getattr(motors, column)).all()
    }
    return replace(motors, **changes)


def _require_readings(motors: MotorTable, name: Callable[[int], str]) -> None:
    for column in ("omega_deg", "base_tilt_deg", "chi_deg", "phi_deg"):
        unknown = np.flatnonzero(~np.isfinite(getattr(motors, column)))
        if unknown.size:
            raise DataError(f"{name(int(unknown[0]))} has no reading of {column}")


def _require_number(name: str, value: Any, expected: str, above: float = -math.inf) -> None:
    if not (isinstance(value, Real) and math.isfinite(value) and float(value) > above):
        raise ParameterError(f"{name} is {value!r:.60}: expected {expected}")


def _middle(readings: FloatArray) -> float:
    return float(readings.min() + readings.max()) / 2


_COLUMNS = {
    "omega": ("omega_deg",),
    "base": ("base_tilt_deg",),
    "chi": ("chi_deg",),
    "phi": ("phi_deg",),
    "u": ("chi_deg", "phi_deg"),
    "v": ("chi_deg", "phi_deg"),
    "two_theta": ("two_theta_deg",),
}


def centre_exposures(coordinates: Coordinates) -> MotorTable:
    """Motor readings at the middle of the exposures of a continuous scan.

    The motor that changes between most successive frames was moving while they were taken.
    Its readings are shifted by half a step in the direction of each sweep, so those of a
    zigzag scan fall on the same positions there and back.

    Parameters
    ----------
    coordinates
        Of the frames in the order in which they were taken, read at the start of each.

    Returns
    -------
    motors
        All columns but those of the moving motor are unchanged.

    Raises
    ------
    GridError
        No motor changes between most successive frames.
    """
    labels = {
        name: coordinates.likeliest(name).index
        for name in _COLUMNS
        if coordinates.groupings(name) and coordinates.likeliest(name).count > 1
    }
    share = {name: float(np.mean(np.diff(index) != 0)) for name, index in labels.items()}
    fast = max(share, key=lambda name: share[name], default="")
    if not fast or share[fast] < 0.5:
        raise GridError(
            "recorded_at is 'start', for continuous scans, but no motor changes between most "
            "successive frames: check that the files are numbered in the order they were taken"
        )
    slow = [index for name, index in labels.items() if share[name] < 0.5]
    sweeps = _sweeps(coordinates.values(fast), slow)
    shifted = {
        column: _shift(getattr(coordinates.motors, column), sweeps) for column in _COLUMNS[fast]
    }
    return replace(coordinates.motors, **shifted)


def _sweeps(values: FloatArray, slow: list[NDArray[np.int64]]) -> NDArray[np.int64]:
    """Number of the sweep that each frame belongs to.

    A sweep ends where a slow motor changes, where the moving one turns (the frame that
    starts at the far end belongs to the way back), and at a step of unusual length.
    """
    moves = np.diff(values)
    usual = np.median(np.abs(moves))
    ends = np.abs(np.abs(moves) - usual) > usual / 2
    for index in slow:
        ends |= np.diff(index) != 0
    turns = np.zeros_like(ends)
    turns[:-1] = (np.sign(moves[1:]) != np.sign(moves[:-1])) & ~ends[1:] & ~ends[:-1]
    return np.concatenate(([0], np.cumsum(ends | turns)))


def _shift(readings: FloatArray, sweeps: NDArray[np.int64]) -> FloatArray:
    """Readings moved on by half the usual step of their sweep; single frames stay."""
    shifted = readings.copy()
    starts = np.flatnonzero(np.diff(sweeps, prepend=-1))
    for own in np.split(np.arange(readings.size), starts[1:]):
        if own.size > 1:
            shifted[own] += np.median(np.diff(readings[own])) / 2
    return shifted
