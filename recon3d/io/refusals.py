"""Why a scan forms no grid of settings, in words that help at the beamline."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from recon3d.errors import DataError, GridError
from recon3d.experiment import Goniometer
from recon3d.geometry import TiltOrigin
from recon3d.io.coordinates import Coordinates
from recon3d.io.settings_grid import Candidate, best_grid, doubled_grid, flat_projections

_NAMED = 3


def refuse_flat(coordinates: Coordinates, grid: Candidate, goniometer: Goniometer) -> None:
    """Refuse a grid that two motors spanned along one and the same direction.

    Raises
    ------
    GridError
        The message names the motors and the rotation angles.
    """
    flat = flat_projections(coordinates, grid)
    if not flat.size:
        return
    moving = [
        _MOTORS[coord](goniometer)
        for coord, group in zip(grid.axis_coordinates, grid.groups, strict=True)
        if coord in _MOTORS and group.count > 1
    ]
    raise GridError(
        f"{' and '.join(moving)} tilt the sample along one and the same direction at omega "
        f"({goniometer.omega}) = {_list(flat)}: there the frames cover only a line of "
        f"orientations, not a grid{_other_azimuth(coordinates)}"
    )


def explain_misfit(
    coordinates: Coordinates, goniometer: Goniometer, name: Callable[[int], str]
) -> DataError:
    """The error to raise where the frames of a scan fill no grid.

    Parameters
    ----------
    coordinates
        Of the frames.
    goniometer
        The names of the motors.
    name
        File of a frame.
    """
    doubled = doubled_grid(coordinates)
    if doubled is not None:
        return _explain_doubled(doubled, goniometer, name)
    advice = _other_azimuth(coordinates) or _other_origin(coordinates)
    lines = _lines(coordinates, goniometer)
    motors = "; ".join(_describe(coordinates, name, goniometer) for name in _MOTORS)
    return GridError(
        f"{lines}the frames fill no grid of settings (mu, gamma) or (chi, phi): {motors}"
        f"{advice or _GENERAL_ADVICE}"
    )


_GENERAL_ADVICE = (
    ". Check phi0 and chi0, the step (ANGSTEPS), and the motor names; are two scans mixed?"
)

_MOTORS: dict[str, Callable[[Goniometer], str]] = {
    "omega": lambda goniometer: goniometer.omega,
    "base": lambda goniometer: goniometer.base_tilt,
    "chi": lambda goniometer: goniometer.chi,
    "phi": lambda goniometer: goniometer.phi,
    "u": lambda goniometer: f"{goniometer.chi} with {goniometer.phi}",
    "v": lambda goniometer: f"{goniometer.chi} with {goniometer.phi}",
}


def _explain_doubled(
    grid: Candidate, goniometer: Goniometer, name: Callable[[int], str]
) -> DataError:
    cells = grid.cells
    order = np.argsort(cells, kind="stable")
    repeats = np.flatnonzero(np.diff(cells[order]) == 0)
    first, second = order[repeats[0]], order[repeats[0] + 1]
    place = np.unravel_index(cells[first], grid.grid_shape)
    setting = ", ".join(
        f"{axis.name} = {axis.values_deg[i]:.5g}"
        for axis, i in zip(grid.axes, place[1:], strict=True)
    )
    parts = ("omega", "base_tilt", "chi", "phi", "two_theta", "energy")
    known = ", ".join(getattr(goniometer, part) for part in parts)
    return DataError(
        f"{name(int(first))} and {name(int(second))} were both taken at omega = "
        f"{grid.omega.centres[place[0]]:.5g}, {setting} ({repeats.size} frames are doubled so): "
        "is one a copy, are two scans mixed, or did a motor move that is not among "
        f"{known}?"
    )


def _lines(coordinates: Coordinates, goniometer: Goniometer) -> str:
    """What to say where the base tilt and the tilts above the rotation move along one line."""
    base, projections = coordinates.likeliest("base"), coordinates.likeliest("omega")
    tilts_move = max(coordinates.width("chi"), coordinates.width("phi")) > base.step / 2
    if base.count == 1 or not tilts_move:
        return ""
    flat = [
        omega
        for k, omega in enumerate(projections.centres)
        if np.ptp(coordinates.values("u")[projections.index == k]) < base.step / 2
    ]
    if not flat:
        return ""
    return (
        f"{goniometer.base_tilt} and {goniometer.chi} / {goniometer.phi} tilt the sample along one "
        f"and the same direction at omega ({goniometer.omega}) = {_list(np.array(flat))}, and "
    )


def _describe(coordinates: Coordinates, name: str, goniometer: Goniometer) -> str:
    values, groups = coordinates.values(name), coordinates.likeliest(name)
    what = _MOTORS[name](goniometer)
    if name in ("u", "v"):
        direction = "rolling" if name == "u" else "rocking"
        what = f"{what}, along {direction} in the laboratory,"
    span = f"{values.min():.5g} to {values.max():.5g}"
    if groups.count > 1:
        return f"{what} has {groups.count} positions, {span}"
    return f"{what} has no separate positions, {span}"


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
    other = Coordinates(coordinates.motors, origin, coordinates.steps_deg)
    grid = best_grid(other)
    return grid is not None and not flat_projections(other, grid).size


def _list(omega_deg: NDArray[np.float64]) -> str:
    listed = ", ".join(f"{value:.5g}" for value in omega_deg[:_NAMED])
    more = f" and {omega_deg.size - _NAMED} more" if omega_deg.size > _NAMED else ""
    return f"{listed}{more} degrees"
