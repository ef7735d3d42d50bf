"""Compares the user's steps with the motors; refuses scans without rocking."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from recon3d.errors import DataError, warn
from recon3d.scan.scan import Scan

_UNEVEN = 1.5


def compare_steps(scan: Scan, steps_deg: tuple[float, float], numbers: tuple[float, float]) -> None:
    """Warn where the user's steps are not those of the motors, which are the truth.

    `steps_deg` and `numbers`: size and number of the steps of the two tilts, as given. A warning
    also tells of uneven steps, or of a single projection.
    """
    tilts = [axis for axis in scan.axes if axis.name not in ("two_theta", "energy")]
    for axis, step, number in zip(tilts, steps_deg, numbers, strict=False):
        values = axis.values_deg
        if number != values.size:
            warn(
                f"NUMANGSTEPS is {number:g}, but the motors took {values.size} settings of "
                f"{axis.name}: the motors are used"
            )
        if values.size < 2:
            continue
        measured = (values[-1] - values[0]) / (values.size - 1)
        if abs(abs(step) - measured) > 0.1 * measured:
            warn(
                f"ANGSTEPS is {step:g}°, but the motors moved {axis.name} in steps of "
                f"{measured:.4g}°: the motors are used"
            )
    for axis in scan.axes:
        _warn_of_uneven_steps(axis.name, axis.values_deg)
    _warn_of_uneven_steps("omega", scan.omega_deg)
    if scan.omega_deg.size == 1:
        warn("the scan has one projection only: it can be cleaned, but not reconstructed")


def require_rocking(scan: Scan) -> None:
    """Refuse a scan in which no projection has a second frame with a DataError."""
    if np.count_nonzero(scan.valid, axis=1).max(initial=0) < 2:
        first = scan.source.name(int(scan.slots[scan.valid].min(initial=0)))
        raise DataError(
            f"no projection has more than one frame ({scan.shape[0]} projections, from {first}): "
            "nothing rocked, so no orientation can be found. Are all frames there, and the motors "
            "named rightly?"
        )


def _warn_of_uneven_steps(name: str, values: NDArray[np.float64]) -> None:
    steps = np.diff(values)
    if steps.size > 1 and steps.max() > _UNEVEN * steps.min():
        warn(
            f"the steps of {name} are uneven, {steps.min():.4g} to {steps.max():.4g}: every frame "
            "is used at the setting that its motors read"
        )
