"""The motor positions of frames, under the names of the parts they play."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, repr=False)
class MotorTable:
    """Motor and counter readings of frames, one array a motor, all of one shape.

    The shape is (frames,) for a scan as it was read, and (projections, frames) once it is
    sorted into settings. NaN stands for a reading that is not known.

    Parameters
    ----------
    omega_deg
        Rotation about **G**.
    base_tilt_deg
        Rocking below the ω stage (`diffrz` at ID06).
    chi_deg, phi_deg
        Tilts above the ω stage.
    two_theta_deg
        Detector arm (`obpitch` at ID06).
    energy_kev
        Photon energy.
    ring_current_ma
        Current of the storage ring during the exposure.
    """

    omega_deg: FloatArray
    base_tilt_deg: FloatArray
    chi_deg: FloatArray
    phi_deg: FloatArray
    two_theta_deg: FloatArray
    energy_kev: FloatArray
    ring_current_ma: FloatArray

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

    def at(self, slots: NDArray[np.int64]) -> MotorTable:
        """The readings of the rows that `slots` names, NaN where it is negative."""
        return self.map(lambda column: np.where(slots >= 0, column[slots], np.nan))


def _span(column: FloatArray) -> str:
    known = column[np.isfinite(column)]
    return f"{known.min():g} to {known.max():g}" if known.size else "not known"
