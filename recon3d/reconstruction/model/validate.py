"""Refuse what an experiment says where it has nothing to do with its scan, before any work."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from recon3d.config.crystal import Crystal
from recon3d.config.experiment import Experiment
from recon3d.config.reconstruction import Settings
from recon3d.errors import ParameterError
from recon3d.files.store import CleanedScan
from recon3d.projection.weights import FrameSettings
from recon3d.reconstruction.model.scan_model import accepted_projections
from recon3d.reconstruction.model.scanned import (
    scan_origin,
    setting_steps_deg,
    settings_of_frames,
    two_theta_step_deg,
)

FloatArray = NDArray[np.float64]
Span = tuple[float, float]

BRAGG_ANGLES_DEG = (0.1, 89.0)
"""Below there is no strain to be had, and above no image of the direction along **G**."""

MOST_BINS = 100_000
"""Orientation bins beyond which no computer gets through a scan."""

NARROWEST = 0.01
"""Share of a step below which a width leaves nothing to be seen between the settings."""

SMALLEST_PIX = 1.0
"""A volume that is smaller on the detector shows nothing."""

_WIDE_OPEN_DEG = 360.0


def require_plausible(store: CleanedScan, experiment: Experiment) -> None:
    """Refuse values that lie far outside what the scan covers.

    Parameters
    ----------
    store
        The cleaned scan.
    experiment
        What the user says of it.

    Raises
    ------
    ParameterError
        The Bragg angle, the turning centre, a width, the bins or the size of the volume cannot
        be those of this scan.
    """
    given = experiment.settings
    theta = _require_bragg_angle(experiment.crystal)
    _require_visible(store, experiment)
    used = accepted_projections(store, given.omega_exclude)
    origin = scan_origin(store, given.tilt_azimuth_deg)
    settings = settings_of_frames(store, origin, given.handedness or 1, theta)
    mu, gamma = _span(settings.mu_deg[used]), _span(settings.gamma_deg[used])
    _require_near(given, mu, gamma, gamma_scanned=bool(np.isfinite(setting_steps_deg(store)[1])))
    _require_widths(store, given, settings, mu)
    _require_few_bins(given, mu, gamma)


def _require_bragg_angle(crystal: Crystal) -> float:
    theta = crystal.bragg_angle_deg
    least, most = BRAGG_ANGLES_DEG
    if not least <= theta <= most:
        raise ParameterError(
            f"hkl {crystal.hkl} at wavelength {crystal.wavelength_angstrom:g} Å has a Bragg angle "
            f"of {theta:.3g}°: expected {least:g} to {most:g}° (are the wavelength and the unit "
            "cell in Å?)"
        )
    return theta


def _require_visible(store: CleanedScan, experiment: Experiment) -> None:
    """Refuse a volume smaller than a pixel, or with voxels larger than the image."""
    scale = experiment.detector.magnification_pix_per_um
    volume = experiment.volume
    box, voxel = scale * max(volume.size_um), scale * max(volume.voxel_um)
    told = f"grain_dim {list(volume.size_um)} µm at M = {scale:g} pixels per µm"
    if not box >= SMALLEST_PIX:
        raise ParameterError(f"{told} is {box:.3g} pixels on the detector: are both right?")
    rows, cols = store.shape[2:]
    if not voxel <= max(rows, cols):
        raise ParameterError(
            f"{told} in {list(volume.shape)} grain_steps makes voxels of {voxel:.3g} pixels, more "
            f"than the image has ({rows} x {cols}): are they right?"
        )


def _require_near(given: Settings, mu: Span, gamma: Span, *, gamma_scanned: bool) -> None:
    """Refuse a turning centre farther outside the scan than the scan is wide."""
    if given.turning_center_deg is None:
        return
    reach = max(mu[1] - mu[0], gamma[1] - gamma[0])
    reach_gamma = reach
    if not gamma_scanned:
        # Open in γ, any centre gives the same; else a frame sees as far as its acceptance.
        reach_gamma += 4 * (given.rolling_width_deg or _WIDE_OPEN_DEG)
    for name, value, (low, high), far in zip(
        ("μ_c", "γ_c"), given.turning_center_deg, (mu, gamma), (reach, reach_gamma), strict=True
    ):
        if not low - far <= value <= high + far:
            raise ParameterError(
                f"turning_center: {name} = {value:g}° lies far outside the scan, {low:.3g} to "
                f"{high:.3g}° (μ counts from the middle of the base tilt's range, γ from phi0 and "
                "chi0); without the key it is found from the data"
            )


def _require_widths(store: CleanedScan, given: Settings, settings: FrameSettings, mu: Span) -> None:
    """Refuse widths that hide everything between two settings, or tell none from another."""
    steps = setting_steps_deg(store)
    two_theta = two_theta_step_deg(store, settings)
    widest_mu = mu[1] - mu[0] if np.isfinite(steps[0]) else _WIDE_OPEN_DEG
    for name, width, step, widest in (
        ("rocking_width", given.rocking_width_deg, steps[0], widest_mu),
        ("rolling_width", given.rolling_width_deg, steps[1], _WIDE_OPEN_DEG),
        ("two_theta_width", given.two_theta_width_deg, two_theta, _WIDE_OPEN_DEG),
    ):
        least = NARROWEST * step if np.isfinite(step) else 0.0
        if width is not None and not least <= width <= widest:
            raise ParameterError(
                f"{name} is {width:g}°: expected a standard deviation of {least:.2g} to "
                f"{widest:.3g}° for this scan (without the key it is found from the data)"
            )


def _require_few_bins(given: Settings, mu: Span, gamma: Span) -> None:
    """Refuse bins that are wider than the scan, or too many."""
    if given.bin_deg is None:
        return
    range_deg = max(mu[1] - mu[0], gamma[1] - gamma[0])
    if given.bin_deg > range_deg:
        raise ParameterError(
            f"bin_size is {given.bin_deg:g}°, but the scan covers only {range_deg:.3g}°: nothing "
            "of the orientations would be left (default: half a step)"
        )
    bins = (range_deg / given.bin_deg) ** 2
    if bins > MOST_BINS:
        raise ParameterError(
            f"bin_size is {given.bin_deg:g}°: the {range_deg:.3g}° of the scan would make "
            f"{bins:.2g} orientation bins, where {MOST_BINS} are the most (default: half a step)"
        )


def _span(values_deg: FloatArray) -> Span:
    return float(np.nanmin(values_deg)), float(np.nanmax(values_deg))
