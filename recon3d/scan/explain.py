"""Why a scan forms no grid of settings, in words that help at the beamline."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from recon3d.config.goniometer import GONIOMETERS, Goniometer
from recon3d.errors import DataError, GridError
from recon3d.geometry import TiltOrigin
from recon3d.readers.source import FrameSource
from recon3d.scan.doubled import Doubled, explain_doubled
from recon3d.scan.grid import (
    Candidate,
    Coordinates,
    best_grid,
    flat_projections,
)
from recon3d.scan.table import SettingAxis, short

_NAMED = 3


def refuse_flat(coordinates: Coordinates, grid: Candidate, goniometer: Goniometer) -> None:
    """Refuse a grid that two motors spanned along one and the same direction.

    Raises
    ------
    GridError
        The message names the motors and the rotation angles.
    """
    if len(grid.moving) < 2:
        return
    half_done = math.prod(grid.grid_shape[1:]) // 2 + 1
    flat = flat_projections(coordinates, grid.omega, grid.step_deg, half_done)
    if not flat.size:
        return
    moving = [_MOTORS[coordinate](goniometer) for coordinate in grid.moving]
    raise GridError(
        f"{' and '.join(moving)} tilt the sample along one and the same direction at omega "
        f"({goniometer.omega}) = {_list(flat)}: there the frames cover only a line of "
        f"orientations, not a grid{_other_azimuth(coordinates)}"
    )


def explain_misfit(
    coordinates: Coordinates,
    goniometer: Goniometer,
    doubled: Sequence[Doubled],
    source: FrameSource,
) -> DataError:
    """The error to raise where the frames of a scan fill no grid.

    Parameters
    ----------
    coordinates
        Of the frames.
    goniometer
        The names of the motors.
    doubled
        Those that were taken where others were.
    source
        The frames.
    """
    advice = _other_azimuth(coordinates) or _other_origin(coordinates)
    if doubled and not advice:
        return explain_doubled(doubled, goniometer, source)
    lines = _lines(coordinates, goniometer)
    misfit = f"{lines}the frames fill no grid of settings (mu, gamma) or (chi, phi)"
    if advice:
        return GridError(f"{misfit}{advice}")
    parts = ("omega", "base", "chi", "phi")
    motors = "; ".join(_describe(coordinates, part, goniometer) for part in parts)
    return GridError(
        f"{misfit}: {motors}. Check phi0, chi0, the step (ANGSTEPS) and the motor names; are two "
        "scans mixed?"
    )


_MOTORS: dict[str, Callable[[Goniometer], str]] = {
    "omega": lambda goniometer: goniometer.omega,
    "base": lambda goniometer: goniometer.base_tilt,
    "chi": lambda goniometer: goniometer.chi,
    "phi": lambda goniometer: goniometer.phi,
    "u": lambda goniometer: f"{goniometer.chi} with {goniometer.phi}",
    "v": lambda goniometer: f"{goniometer.chi} with {goniometer.phi}",
}


def _lines(coordinates: Coordinates, goniometer: Goniometer) -> str:
    """What to say where the base tilt and the tilts above the rotation move along one line."""
    base = coordinates.likeliest("base")
    tilts_move = max(coordinates.width("chi"), coordinates.width("phi")) > base.step / 2
    if base.count == 1 or not tilts_move:
        return ""
    flat = flat_projections(coordinates, coordinates.likeliest("omega"), base.step)
    if not flat.size:
        return ""
    return (
        f"{goniometer.base_tilt} and {goniometer.chi} / {goniometer.phi} tilt the sample along one "
        f"and the same direction at omega ({goniometer.omega}) = {_list(flat)}, and "
    )


def _describe(coordinates: Coordinates, part: str, goniometer: Goniometer) -> str:
    values, groups = coordinates.values(part), coordinates.likeliest(part)
    span = f"{short(float(values.min()))} to {short(float(values.max()))}"
    if part in ("chi", "phi"):
        span += f" about {part}0"
    count = str(groups.count) if groups.count > 1 else "no separate"
    return f"{_MOTORS[part](goniometer)} has {count} positions, {span}"


LEAST_ROTATION_DEG = 5.0
"""A topo-tomography scan turns the sample by more than this."""


def refuse_narrow_rotation(
    omega_deg: NDArray[np.float64], axes: Sequence[SettingAxis], goniometer: Goniometer
) -> None:
    """Refuse a guessed rotation that hardly turns while nothing rocks: it is what rocks.

    The first projections of a scan that is still running turn little too, but their base
    tilt, or both tilts, take several settings.

    Raises
    ------
    GridError
        Several projections span less than `LEAST_ROTATION_DEG`, the base tilt stands still,
        and at most one other tilt moves.
    """
    span = float(np.ptp(omega_deg))
    moving = [axis.name for axis in axes if axis.values_deg.size > 1]
    rocks = "mu" in moving or {"chi", "phi"} <= set(moving)
    if omega_deg.size < 2 or span >= LEAST_ROTATION_DEG or rocks:
        return
    beamline = next((name for name, known in GONIOMETERS.items() if known == goniometer), "id06")
    raise GridError(
        f"the motor '{goniometer.omega}', taken for the rotation, has {omega_deg.size} positions "
        f"over {short(span)} degrees only: is it the one that rocks? Then say so, as in --motors "
        f"{beamline},omega={goniometer.base_tilt},base_tilt={goniometer.omega} --tilt-azimuth 90; "
        f"if it does turn the sample, --motors {beamline} takes it as it is"
    )


def _other_azimuth(coordinates: Coordinates) -> str:
    """Advice to turn the tilts by the other azimuth, where that makes a grid."""
    other = 90.0 if coordinates.origin.azimuth_deg == 0 else 0.0
    if _fits(coordinates, replace(coordinates.origin, azimuth_deg=other)):
        return f". With tilt_azimuth {other:g} they do form a grid: the scan swaps chi and phi"
    return ""


def _other_origin(coordinates: Coordinates) -> str:
    """Advice on phi0 and chi0, where other ones make a grid of mu and gamma."""
    origin = coordinates.origin
    omega = np.radians(coordinates.values("omega"))
    matrix = np.stack([np.cos(omega), -np.sin(omega)], axis=1)
    shift = np.linalg.lstsq(matrix, coordinates.values("v"), rcond=None)[0]
    azimuth = np.radians(origin.azimuth_deg)
    turn = np.array([[np.cos(azimuth), np.sin(azimuth)], [-np.sin(azimuth), np.cos(azimuth)]])
    chi, phi = turn @ shift
    found = replace(
        origin,
        chi_deg=origin.chi_deg + chi / np.cos(np.radians(origin.phi_deg)),
        phi_deg=origin.phi_deg + phi,
    )
    if not _fits(coordinates, found):
        return ""
    return (
        f". With phi0 = {found.phi_deg:.4f} and chi0 = {found.chi_deg:.4f} (given: "
        f"{origin.phi_deg:.4f} and {origin.chi_deg:.4f}) they do form a grid"
    )


def _fits(coordinates: Coordinates, origin: TiltOrigin) -> bool:
    """Whether the frames are a mosaicity scan about another origin."""
    grid = best_grid(Coordinates(coordinates.motors, origin, coordinates.steps_deg))
    return grid is not None and grid.kind.name == "mosaicity"


def _list(omega_deg: NDArray[np.float64]) -> str:
    listed = ", ".join(short(value) for value in omega_deg[:_NAMED])
    more = f" and {omega_deg.size - _NAMED} more" if omega_deg.size > _NAMED else ""
    return f"{listed}{more} degrees"
