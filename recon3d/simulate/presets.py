"""Ready-made plans of scans to simulate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from recon3d.arguments import checked
from recon3d.config.crystal import Crystal
from recon3d.errors import ParameterError
from recon3d.simulate.phantom import Vector
from recon3d.simulate.scan_plan import ScanPlan, Steps

ALUMINIUM_200 = Crystal(
    unit_cell=(4.0495, 4.0495, 4.0495, 90.0, 90.0, 90.0),
    hkl=(2, 0, 0),
    wavelength_angstrom=0.7293,
    space_group=225,
)
"""The (200) reflection of aluminium at 17 keV."""


def demo_plan() -> ScanPlan:
    """A small mosaicity scan: 36 ω x 7 μ x 7 γ frames of 96 x 96 pixels."""
    return ScanPlan(
        kind="mosaicity",
        omega_deg=_turn(36, 5.0),
        mu=Steps(0.096, 7),
        gamma=Steps(0.096, 7),
        crystal=ALUMINIUM_200,
        magnification_pix_per_um=6.0,
        rows=96,
        cols=96,
        turning_center_deg=(0.008, -0.005),
        axis_offset_pix=1.3,
    )


def full_plan() -> ScanPlan:
    """A scan as at the beamline: 226 ω x 11 μ x 11 γ frames of 300 x 300 pixels."""
    return replace(
        demo_plan(),
        omega_deg=_turn(226, 0.8),
        mu=Steps(0.16, 11),
        gamma=Steps(0.16, 11),
        magnification_pix_per_um=18.57,
        rows=300,
        cols=300,
        turning_center_deg=(0.021, -0.013),
        axis_offset_pix=-2.4,
    )


def rocking_plan() -> ScanPlan:
    """Rocking alone, the rolling acceptance wide: 60 ω x 9 μ frames."""
    return replace(
        demo_plan(),
        kind="rocking",
        omega_deg=_turn(60, 3.0),
        mu=Steps(0.104, 9),
        gamma=Steps(),
        turning_center_deg=(0.008, 0.0),
        rolling_width_deg=0.15,
    )


def tilts_plan() -> ScanPlan:
    """Tilts above the rotation, base tilt fixed: 36 ω x 7 χ x 7 φ frames."""
    return replace(demo_plan(), kind="tilts", turning_center_deg=(0.0, 0.0))


def strain_plan() -> ScanPlan:
    """Rocking at several angles of the detector arm: 36 ω x 9 μ x 7 2θ frames."""
    return replace(
        rocking_plan(), omega_deg=_turn(36, 5.0), mu=Steps(0.112, 9), two_theta=Steps(0.03, 7)
    )


def off_centre_plan() -> ScanPlan:
    """A small grain away from the middle of a larger detector, ω from 30°, drifting.

    For a grain at `OFF_CENTRE_POSITION_UM`, with its region of interest.
    """
    share = np.arange(36) / 35
    return replace(
        demo_plan(),
        omega_deg=_turn(36, 5.0, first=30.0),
        rows=160,
        cols=224,
        handedness=-1,
        turning_center_deg=(0.011, 0.004),
        axis_offset_pix=0.0,
        centre_row_pix=67.0,
        centre_col_pix=131.4,
        drift_pix=tuple((0.3 * float(s), 0.2 * float(np.sin(3 * s))) for s in share),
        roi=(10, 74, 120, 116),
    )


OFF_CENTRE_POSITION_UM = (0.9, -0.6, -0.7)
"""Where the grain of `off_centre_plan` sits."""

PLANS: dict[str, Callable[[], ScanPlan]] = {
    "demo": demo_plan,
    "full": full_plan,
    "rocking": rocking_plan,
    "tilts": tilts_plan,
    "strain": strain_plan,
    "off-centre": off_centre_plan,
}
"""The scans by their names."""


@checked()
def grain_size_um(plan: ScanPlan, rim_pix: int = 8, position_um: Vector = (0.0, 0.0, 0.0)) -> float:
    """Size of the largest grain that leaves a rim free at every ω.

    Parameters
    ----------
    plan
        The scan.
    rim_pix
        Pixels that stay dark on every side (`framebg`), and two more.
    position_um
        Where the grain's centre sits, in sample axes.

    Raises
    ------
    ParameterError
        No grain fits.
    """
    rows, cols = plan.roi_shape
    row, col, _, _ = plan.upright_roi
    free = np.inf
    for k, omega in enumerate(plan.omega_deg):
        at_row, at_col = plan.geometry(k).affine(omega) @ (*position_um, 1.0) - (row, col)
        free = min(free, at_row, rows - 1 - at_row, at_col, cols - 1 - at_col)
    free += 0.5 - rim_pix - 2
    if free < 1:
        raise ParameterError(
            f"no grain at {list(position_um)} µm leaves {rim_pix} pixels free around it in an "
            f"image of {rows} x {cols}: is it near the rotation axis, and the rim right?"
        )
    return float(np.floor(20 * free / plan.magnification_pix_per_um) / 10)


def _turn(number: int, step_deg: float, first: float = 0.0) -> tuple[float, ...]:
    return tuple(round(first + step_deg * k, 6) for k in range(number))
