"""Compare what the user says with the motors, the scan and the computer, before any work."""

from __future__ import annotations

import math
import os
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from recon3d.config.crystal import Crystal
from recon3d.config.experiment import Experiment
from recon3d.config.reconstruction import Settings
from recon3d.config.volume import Volume
from recon3d.errors import DataError, ParameterError, warn
from recon3d.files.grain import Grain
from recon3d.files.store import CleanedScan
from recon3d.projection.kernels import FloatArray
from recon3d.projection.weights import FrameSettings
from recon3d.readers.source import MotorTable
from recon3d.reconstruction.model.scanned import (
    gamma_scanned,
    setting_steps_deg,
    settings_of_frames,
    two_theta_step_deg,
)

_TWO_THETA_TOLERANCE_DEG = 0.2
_PARKED_BELOW_DEG = 1.0
_ENERGY_TOLERANCE = 0.005
_OFF_AXIS_DEG = 5.0
"""Angle from the rotation axis that a base tilt can make up for."""
_EDGES_ALIKE, _ANGLES_ALIKE_DEG = 0.01, 0.5
_TRIGONAL = 143
_CELLS = (
    (195, "cubic (a = b = c, angles of 90°)", 3, (90, 90, 90)),
    (168, "hexagonal (a = b, angles of 90, 90 and 120°)", 2, (90, 90, 120)),
    (_TRIGONAL, "trigonal (as hexagonal, or all edges and all angles alike)", 2, (90, 90, 120)),
    (75, "tetragonal (a = b, angles of 90°)", 2, (90, 90, 90)),
    (16, "orthorhombic (angles of 90°)", 1, (90, 90, 90)),
)
"""First space group of a system, what its cells are like, how many edges are alike, the angles."""
_BYTES_A_VOXEL = 80

_COUNTED = (
    "saturated_frames",
    "saturated_pixels",
    "wrapped_pixels",
    "lost_pixels",
    "hot_pixels_replaced",
    "pixels_dropped_by_mask",
    "projections_without_dark",
    "projections_unscaled",
)

FEWEST_PROJECTIONS = 2
"""From one projection nothing can be told of the depth of a grain."""


def check_energy(motors: MotorTable, crystal: Crystal) -> None:
    """Warn of a detector arm or a photon energy that is not the crystal's and the wavelength's.

    That is where 2θ differs by more than 0.2°, or the energy by more than 0.5 %. A detector arm
    within 1° of zero is parked and says nothing; an energy above 1000 is taken as given in eV. What
    is not known is not compared.
    """
    arm = abs(_typical(motors.two_theta_deg))
    expected = 2 * crystal.bragg_angle_deg
    if arm >= _PARKED_BELOW_DEG and abs(arm - expected) > _TWO_THETA_TOLERANCE_DEG:
        warn(
            f"the detector arm stands at 2θ = {arm:.3f}°, but hkl {crystal.hkl} at "
            f"{crystal.wavelength_angstrom:g} Å diffracts at {expected:.3f}°: check the unit cell, "
            "hkl and the wavelength"
        )
    energy = _typical(motors.energy_kev)
    energy = energy / 1000 if energy > 1000 else energy
    if energy > 0 and abs(energy / crystal.energy_kev - 1) > _ENERGY_TOLERANCE:
        warn(
            f"the photon energy in the files is {energy:.4f} keV, but that of the "
            f"wavelength {crystal.wavelength_angstrom:g} Å is {crystal.energy_kev:.4f} keV: check "
            "the wavelength"
        )


def check_crystal(motors: MotorTable, crystal: Crystal) -> None:
    """Warn of what contradicts itself in a crystal, or the motors.

    Besides what `check_energy` compares, that is a unit cell which the system of the space group
    (orthorhombic or higher) does not allow, and an orientation that does not put the imaged
    reflection along y.
    """
    check_energy(motors, crystal)
    if needed := _needed_cell(crystal):
        warn(
            f"sg_no {crystal.space_group} is {needed}, and unit_cell is "
            f"{list(crystal.unit_cell)}: exports would tell a wrong symmetry; which is right?"
        )
    if crystal.orientation is None:
        return
    x, y, z = crystal.orientation @ crystal.reflection
    off = math.degrees(math.atan2(math.hypot(x, z), abs(y)))
    if off > _OFF_AXIS_DEG:
        warn(
            f"the orientation given (orientation_matrix or euler_bunge) puts hkl {crystal.hkl} "
            f"{off:.1f}° off y, the axis that ω turns about, where the imaged reflection stands: "
            "exports would be turned by as much; was it measured in other axes?"
        )


def _needed_cell(crystal: Crystal) -> str | None:
    """The system of the space group, where the cell is of another, and what its cells are like."""
    edges, angles = np.split(np.array(crystal.unit_cell), 2)
    system = next((cell for cell in _CELLS if crystal.space_group >= cell[0]), None)
    if system is None:
        return None
    first, told, equal, right_deg = system
    fits = np.ptp(edges[:equal]) <= _EDGES_ALIKE * edges[0]
    fits &= np.allclose(angles, right_deg, rtol=0, atol=_ANGLES_ALIKE_DEG)
    if first == _TRIGONAL:
        fits |= np.ptp(edges) <= _EDGES_ALIKE * edges[0] and np.ptp(angles) <= _ANGLES_ALIKE_DEG
    return None if fits else told


def require_memory(volume: Volume) -> None:
    """Refuse, with a ParameterError, a volume that this computer, or process, cannot hold."""
    needed, there = math.prod(volume.shape) * _BYTES_A_VOXEL, _memory_bytes()
    if needed > there:
        raise ParameterError(
            f"grain_steps {list(volume.shape)}: {math.prod(volume.shape):.3g} voxels take at least "
            f"{needed / 2**30:.3g} GiB, and {there / 2**30:.3g} are there for them: choose fewer"
        )


def _memory_bytes() -> float:
    """Memory of the computer, or what a limit (`ulimit -v`) leaves of it to this process."""
    try:
        import resource

        there = float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    except (ImportError, AttributeError, OSError, ValueError):
        return math.inf  # this system does not tell
    return there if limit == resource.RLIM_INFINITY else min(there, limit)


def check_centres(experiment: Experiment) -> None:
    """Warn of centres that count from the region of interest, before another one is chosen."""
    given = [key for key in ("centre_row", "rotation_center") if key in experiment.record()]
    if given:
        warn(
            f"the .ini file gives {' and '.join(given)}, in pixels of the region of interest that "
            "it was made for: where you choose another, change them by as much"
        )


def _require_own_region(store: CleanedScan, experiment: Experiment) -> None:
    """Refuse centres that count from a region of interest, where the data suggested another one."""
    said = store.provenance.get("getdata", {})
    chosen = all(said.get(key, "-") not in ("-", "None") for key in ("poi", "imgsize"))
    given = [key for key in ("centre_row", "rotation_center") if key in experiment.record()]
    if given and "suggested" in store.provenance and not chosen:
        roi = store.roi
        raise ParameterError(
            f"{' and '.join(given)} of the .ini file count from the region of interest, and that "
            f"of {store.path} was suggested (column {roi.col}, row {roi.row} on): leave them out, "
            f"or give getdata POI {roi.col + roi.cols // 2},{roi.row + roi.rows // 2} and IMGSIZE "
            f"{roi.cols},{roi.rows}, and make them count from there"
        )


def check_before(store: CleanedScan, experiment: Experiment) -> None:
    """Look whether a scan can be reconstructed as an experiment says, before it is begun.

    Raises a DataError where too few projections have signal, a ParameterError where the volume does
    not fit into the memory of this computer, or centres count from another region of interest;
    warns of what `check_crystal` finds.
    """
    check_crystal(store.motors, experiment.crystal)
    lit = int((store.integrated > 0).any(axis=1).sum())
    if lit < FEWEST_PROJECTIONS:
        raise DataError(
            f"{store.path}: {lit} of {store.shape[0]} projections have signal, and a grain "
            f"cannot be reconstructed from fewer than {FEWEST_PROJECTIONS}: is the scan complete?"
        )
    _require_own_region(store, experiment)
    require_memory(experiment.volume)


def with_counts(grain: Grain, store: CleanedScan) -> Grain:
    """Add, for the record, how many projections, frames and pixels of a scan a grain rests on.

    What the scan does not tell, as it was cleaned by an older version, is left out.
    """
    used = int(grain.projections.get("omega", store.omega_deg).size)
    counted = {name: store.provenance[name] for name in _COUNTED if name in store.provenance}
    counted |= {
        "projections_in_scan": store.shape[0],
        "projections_used": used,
        "projections_excluded": store.shape[0] - used,
        "frames_missing": int((~store.valid).sum()),
        "frames_left_out": int(store.provenance.get("frames_left_out", 0)),
    }
    return replace(grain, provenance=counted | grain.provenance)


def _typical(readings: NDArray[np.float64]) -> float:
    """Median of the finite readings; 0 where there is none."""
    known = readings[np.isfinite(readings)]
    return float(np.median(known)) if known.size else 0.0


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
    """Refuse, with a ParameterError, values that lie far outside what the scan covers.

    They are the Bragg angle, the turning centre, the widths, the bins and the size of the volume.
    """
    given = experiment.settings
    crystal, theta = experiment.crystal, experiment.crystal.bragg_angle_deg
    least, most = BRAGG_ANGLES_DEG
    if not least <= theta <= most:
        raise ParameterError(
            f"hkl {crystal.hkl} at wavelength {crystal.wavelength_angstrom:g} Å has a Bragg angle "
            f"of {theta:.3g}°: expected {least:g} to {most:g}° (are the wavelength and the unit "
            "cell in Å?)"
        )
    _require_visible(store, experiment)
    used = accepted_projections(store, given.omega_exclude)
    settings = settings_of_frames(store, given.tilt_azimuth_deg, given.handedness or 1, theta)
    mu, gamma = _span(settings.mu_deg[used]), _span(settings.gamma_deg[used])
    _require_near(given, mu, gamma, gamma_scanned(store))
    _require_widths(store, given, settings, mu)
    _require_few_bins(given, mu, gamma)


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


def _require_near(given: Settings, mu: Span, gamma: Span, scanned: bool) -> None:
    """Refuse a turning centre farther outside the scan than the scan is wide."""
    if given.turning_center_deg is None:
        return
    reach = max(mu[1] - mu[0], gamma[1] - gamma[0])
    reach_gamma = reach
    if not scanned:
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


def accepted_projections(store: CleanedScan, omega_exclude: tuple[float, ...]) -> NDArray[np.int64]:
    """Numbers of the projections that have frames and were not excluded.

    Raises a DataError where none is left, a ParameterError where no projection was taken at an
    angle that is to be left out.
    """
    omega = store.omega_deg
    # Within the jitter of the motor: an angle between two projections means neither.
    tolerance = 0.1 * np.diff(omega).min() if omega.size > 1 else 0.01
    excluded = [np.abs(omega - angle) < tolerance for angle in omega_exclude]
    for angle, matches in zip(omega_exclude, excluded, strict=True):
        if not matches.any():
            nearest = omega[np.abs(omega - angle).argmin()]
            raise ParameterError(
                f"omega_exclude {angle:g}: no projection was taken there; the nearest one is at "
                f"{nearest:g}°"
            )
    illuminated = (store.integrated > 0).any(axis=1)
    accepted = np.flatnonzero(illuminated & ~np.any(excluded, axis=0) if excluded else illuminated)
    if accepted.size == 0:
        raise DataError(
            f"{store.path}: no projection is left: of {omega.size}, {int(illuminated.sum())} have "
            f"signal, and omega_exclude leaves out {len(omega_exclude)}"
        )
    return accepted
