"""Readings taken at the start of an exposure, moved to its middle."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from recon3d.errors import GridError
from recon3d.io.coordinates import Coordinates
from recon3d.io.motors import MotorTable

FloatArray = NDArray[np.float64]

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
