"""The motors of a planned scan, frame by frame, and the settings that they make."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from recon3d.geometry import frame_settings, turn_to_laboratory
from recon3d.readers.source import MotorTable
from recon3d.simulate.scan_plan import ScanPlan

FloatArray = NDArray[np.float64]
MOVED = ("omega", "base_tilt", "chi", "phi", "two_theta")
"""The parts of a goniometer that scans move; a `MotorTable` has them with "_deg" behind."""


def true_motors(plan: ScanPlan, projection: int) -> MotorTable:
    """Where the motors stand in the frames of a projection, in the order of time.

    The ID06 macro drives ``diffrz = diffrz0 + μ``, ``phi = phi0 + γ cos ω`` and
    ``chi = chi0 + γ sin ω / cos phi0``. The ring current is left open (NaN).
    """
    mu, gamma, two_theta = planned_steps(plan)
    omega = np.radians(plan.omega_deg[projection])
    if plan.kind == "tilts":
        base_tilt, chi, phi = np.zeros_like(mu), mu, gamma
    else:
        base_tilt, chi, phi = mu, gamma * np.sin(omega), gamma * np.cos(omega)
    azimuth = np.radians(plan.tilt_azimuth_deg)
    chi, phi = (
        chi * np.cos(azimuth) + phi * np.sin(azimuth),
        phi * np.cos(azimuth) - chi * np.sin(azimuth),
    )
    return MotorTable(
        omega_deg=np.full(plan.frames, plan.omega_deg[projection], float),
        base_tilt_deg=plan.origin.base_tilt_deg + base_tilt,
        chi_deg=plan.chi0_deg + chi / np.cos(np.radians(plan.phi0_deg)),
        phi_deg=plan.phi0_deg + phi,
        two_theta_deg=2 * plan.crystal.bragg_angle_deg + two_theta,
        energy_kev=np.full(plan.frames, plan.crystal.energy_kev),
        ring_current_ma=np.full(plan.frames, np.nan),
    )


def planned_steps(plan: ScanPlan) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Steps of (μ, γ, 2θ), or (χ, φ, 2θ), of the frames in order of time, μ the fastest."""
    two_theta, gamma, mu = np.meshgrid(
        plan.two_theta.values_deg, plan.gamma.values_deg, plan.mu.values_deg, indexing="ij"
    )
    series = mu.reshape(-1, plan.mu.number)
    if plan.zigzag:
        series[1::2] = series[1::2, ::-1].copy()
    return series.ravel(), gamma.ravel(), two_theta.ravel()


def recorded_motors(plan: ScanPlan, projection: int, seed: int) -> MotorTable:
    """Motor readings as they are recorded, with their jitter, shape (frames,)."""
    motors = true_motors(plan, projection)
    rng = np.random.default_rng([seed, 1, projection])
    for part in MOVED:
        read = getattr(motors, f"{part}_deg") + plan.jitter_deg * rng.standard_normal(plan.frames)
        motors = replace(motors, **{f"{part}_deg": read})
    return motors


def frame_points(plan: ScanPlan, projection: int) -> FloatArray:
    """Settings μ_f, γ_f and 2θ of the frames, (frames, 3), in widths of the acceptance."""
    motors = true_motors(plan, projection)
    mu, gamma = frame_settings(
        motors.omega_deg,
        motors.base_tilt_deg,
        motors.chi_deg,
        motors.phi_deg,
        plan.origin,
        plan.handedness,
    )
    two_theta = motors.two_theta_deg - 2 * plan.crystal.bragg_angle_deg
    return np.column_stack((mu, gamma, two_theta)) / _widths(plan)


def voxel_map(plan: ScanPlan, projection: int) -> FloatArray:
    r"""Map from a voxel's own numbers to the setting at which it diffracts, shape (3, 4).

    .. math::
        μ = μ_c + a \cos ω - h b \sin ω + s Δθ, \quad
        γ = γ_c + h a \sin ω + b \cos ω, \quad 2θ - 2θ_0 = 2 Δθ

    with s the sense of the base tilt. ``matrix @ (a, b, Δθ, 1)``, angles in degrees, is the setting
    (μ, γ, 2θ from its middle), each in units of its acceptance's width.
    """
    omega = plan.omega_deg[projection]
    matrix = np.zeros((3, 4))
    matrix[:2, 0] = turn_to_laboratory(1.0, 0.0, omega, plan.handedness)
    matrix[:2, 1] = turn_to_laboratory(0.0, 1.0, omega, plan.handedness)
    matrix[:, 2] = plan.base_tilt_sense, 0.0, 2.0
    matrix[:2, 3] = plan.turning_center_deg
    if plan.centre_drift_deg:
        matrix[:2, 3] += plan.centre_drift_deg[projection]
    return matrix / _widths(plan)[:, None]


def field_map(plan: ScanPlan, projection: int) -> FloatArray:
    """The shift of the acceptance where a voxel falls on the detector, ``matrix @ (x, y, z, 1)``.

    It is added to the setting of the voxel, in units of the acceptance's widths.
    """
    geometry = plan.geometry(projection)
    from_origin = geometry.affine(plan.omega_deg[projection])
    from_origin[:, 3] -= geometry.centre_row_pix, geometry.centre_col_pix
    matrix = np.zeros((3, 4))
    matrix[1] = -np.array(plan.gamma_slope_deg_per_pix) @ from_origin
    return matrix / _widths(plan)[:, None]


def bragg_shift_deg(plan: ScanPlan, strain: FloatArray) -> FloatArray:
    """Shift of the Bragg angle by a strain along **G**, Δθ = -tan θ · ε, in degrees."""
    return np.degrees(-np.tan(np.radians(plan.crystal.bragg_angle_deg)) * strain)


def _widths(plan: ScanPlan) -> FloatArray:
    return np.array([plan.rocking_width_deg, plan.rolling_width_deg, plan.two_theta_width_deg])
