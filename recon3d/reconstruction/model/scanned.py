"""What was scanned: the settings of the frames of a store, and their steps."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from recon3d.files.store import CleanedScan
from recon3d.geometry import TiltOrigin, frame_settings
from recon3d.projection.weights import FrameSettings

FloatArray = NDArray[np.float64]


def scan_origin(store: CleanedScan, azimuth_deg: float | None) -> TiltOrigin:
    """Where the tilts of a store are counted from, with the azimuth of the experiment."""
    origin = store.origin
    if azimuth_deg is None:
        return origin
    return TiltOrigin(origin.base_tilt_deg, origin.chi_deg, origin.phi_deg, azimuth_deg)


def settings_of_frames(
    store: CleanedScan, origin: TiltOrigin, handedness: int, theta_deg: float
) -> FrameSettings:
    r"""Settings in the laboratory of all frames of a store.

    Where the photon energy was scanned in place of 2θ, it is expressed as the 2θ that meets
    the same strain: :math:`Δ2θ = 2 \tan θ \, ΔE / E`.
    """
    motors = store.motors
    mu, gamma = frame_settings(
        motors.omega_deg,
        motors.base_tilt_deg,
        motors.chi_deg,
        motors.phi_deg,
        origin,
        handedness,
    )
    two_theta = np.where(np.isnan(mu), np.nan, 0.0)
    scanned = strain_axis(store)
    if scanned == "two_theta":
        two_theta = motors.two_theta_deg - _middle(motors.two_theta_deg)
    elif scanned == "energy":
        middle = _middle(motors.energy_kev)
        per_share = 2 * np.degrees(np.tan(np.radians(theta_deg)))
        two_theta = per_share * (motors.energy_kev - middle) / middle
    return FrameSettings(mu, gamma, two_theta)


def threshold_of(store: CleanedScan) -> float:
    """Counts up to which cleaning set a pixel of the frames to zero."""
    return float(store.provenance["cleaning"]["binth"]) * store.binning.pixels


def strain_axis(store: CleanedScan) -> str | None:
    """What was scanned to see strain: "two_theta", "energy", or None."""
    names = [axis.name for axis in store.axes if axis.values_deg.size > 1]
    return next((name for name in ("two_theta", "energy") if name in names), None)


def gamma_scanned(store: CleanedScan) -> bool:
    """Whether the frames of a projection differ in γ."""
    return bool(np.isfinite(setting_steps_deg(store)[1]))


def tells_shift(store: CleanedScan) -> bool:
    """Whether shifts Δθ are told from the part of μ(ω) that does not turn.

    In a rocking-only scan over a range of ω they are; where strain was scanned, 2θ tells them.
    """
    many = len(store.omega_deg) >= 12 and np.ptp(store.omega_deg) >= 90
    return bool(store.kind == "rocking" and strain_axis(store) is None and many)


def two_theta_step_deg(store: CleanedScan, settings: FrameSettings) -> float:
    """Distance of neighbouring settings in 2θ; infinite where strain was not scanned."""
    axes = {axis.name: axis.values_deg.size for axis in store.axes}
    name = strain_axis(store)
    return float(np.ptp(_finite(settings.two_theta_deg)) / (axes[name] - 1)) if name else np.inf


def setting_steps_deg(store: CleanedScan) -> tuple[float, float]:
    """Distance of neighbouring settings in μ and in γ; infinite along what was not scanned.

    Tilts above rotation have one step, that of their grid, in both directions.
    """
    steps = {axis.name: _step(axis.values_deg) for axis in store.axes}
    if store.kind in ("tilts", "skew"):
        finite = [step for step in steps.values() if np.isfinite(step)]
        return min(finite), min(finite)
    return steps.get("mu", np.inf), steps.get("gamma", np.inf)


def _step(values_deg: FloatArray) -> float:
    return float(np.median(np.diff(values_deg))) if values_deg.size > 1 else np.inf


def _middle(values: FloatArray) -> float:
    return float(np.nanmax(values) + np.nanmin(values)) / 2


def _finite(values: FloatArray) -> FloatArray:
    return values[np.isfinite(values)]
