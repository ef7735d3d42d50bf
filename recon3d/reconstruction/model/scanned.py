"""What was scanned, the orientation bins that it tells, and what the data says of the geometry."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import least_squares

from recon3d.errors import DataError
from recon3d.files.store import CleanedScan
from recon3d.geometry import TiltOrigin
from recon3d.projection.kernels import FloatArray
from recon3d.projection.weights import FrameSettings, OrientationBins, centred_axis, nearest_frames
from recon3d.reconstruction.model.scan_model import ScanModel

ILLUMINATED_SHARE = 0.8
DIM = 0.01
"""A bin is kept if, in this share of the projections, its frame holds more than this share of
the counts of the brightest one."""

BRIGHT_PROJECTIONS = 8
"""Projections of which the brightness is looked at."""


def settings_of_frames(
    store: CleanedScan, azimuth_deg: float | None, handedness: int, theta_deg: float
) -> FrameSettings:
    r"""Settings in the laboratory of all frames of a store.

    `azimuth_deg`: of the tilts, as the experiment has it; that of the scan where None. Where the
    photon energy was scanned in place of 2θ, it is expressed as the 2θ that meets the same strain:
    :math:`Δ2θ = 2 \tan θ \, ΔE / E`.
    """
    motors, origin = store.motors, store.origin
    if azimuth_deg is not None:
        origin = TiltOrigin(origin.base_tilt_deg, origin.chi_deg, origin.phi_deg, azimuth_deg)
    mu, gamma = motors.settings(origin, handedness)
    two_theta = np.where(np.isnan(mu), np.nan, 0.0)
    if scanned := strain_axis(store):
        (values,) = (axis.values_deg for axis in store.axes if axis.name == scanned)
        # Single readings may be off by much more than the middle of all of them.
        middle = float(values[0] + values[-1]) / 2
        two_theta = motors.two_theta_deg - middle
        if scanned == "energy":
            per_share = 2 * np.degrees(np.tan(np.radians(theta_deg)))
            two_theta = per_share * (motors.energy_kev - middle) / middle
    return FrameSettings(mu, gamma, two_theta)


def threshold_of(store: CleanedScan) -> float:
    """Counts up to which cleaning set a pixel of the frames to zero."""
    return float(store.provenance["cleaning"]["binth"]) * store.binning.pixels


def bright_counts(model: ScanModel) -> float:
    """Counts of a bright pixel: in a typical projection 5 % of the lit ones hold more."""
    few = model.thinned(BRIGHT_PROJECTIONS)
    frames = [few.illuminated_frames(int(number)).frames for number in few.projections]
    bright = [np.percentile(lit, 95) for lit in (one[one > 0] for one in frames) if lit.size]
    return float(np.median(bright)) if bright else np.inf


def strain_axis(store: CleanedScan) -> str | None:
    """What was scanned to see strain: "two_theta", "energy", or None."""
    names = [axis.name for axis in store.axes if axis.values_deg.size > 1]
    return next((name for name in ("two_theta", "energy") if name in names), None)


def gamma_scanned(store: CleanedScan) -> bool:
    """Whether the frames of a projection differ in γ."""
    return bool(np.isfinite(setting_steps_deg(store)[1]))


def tells_drift(store: CleanedScan) -> bool:
    """Whether a drift of the turning centre over the scan can be told from tilts that turn.

    From μ alone only a large one can: over half a turn a cosine is nearly a straight line.
    """
    many = len(store.omega_deg) >= 12 and np.ptp(store.omega_deg) >= 60
    return bool(gamma_scanned(store) and many)


def tells_handedness(store: CleanedScan) -> bool:
    """Only base tilt and rolling scanned together, over a range of ω, tell the two apart."""
    sizes = {axis.name: axis.values_deg.size for axis in store.axes}
    both = sizes.get("mu", 1) > 1 and sizes.get("gamma", 1) > 1
    base_moves = np.nanmax(store.motors.base_tilt_deg) > np.nanmin(store.motors.base_tilt_deg)
    return both and bool(base_moves) and len(store.omega_deg) > 2


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
    if name is None:
        return np.inf
    range_deg = np.nanmax(settings.two_theta_deg) - np.nanmin(settings.two_theta_deg)
    return float(range_deg / (axes[name] - 1))


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


def orientation_bins(model: ScanModel, step_deg: float) -> OrientationBins:
    """Bins that cover every orientation of which the scan has seen anything.

    A voxel lights the frame that its orientation turns to at every ω: bins whose frames are
    mostly dark hold no voxel, and the box of bins is cut down to the others.
    """
    bins = _all_bins(model, step_deg)
    illuminated = _illuminated_share(model, bins) >= ILLUMINATED_SHARE
    if not illuminated.any():
        return bins
    a, b, shift = (
        _cut(axis, illuminated.any(axis=others))
        for axis, others in ((bins.a_deg, (1, 2)), (bins.b_deg, (0, 2)), (bins.dtheta_deg, (0, 1)))
    )
    return OrientationBins(a, b, shift)


def frames_of_bins(model: ScanModel, bins: OrientationBins) -> NDArray[np.int64]:
    """The frame nearest to each bin in every projection that is used, (projections, bins).

    -1 where the bin's setting lies outside what the projection measured.
    """
    steps = setting_steps_deg(model.store)
    shift = two_theta_step_deg(model.store, model.settings)
    # The corner of a cell of turned settings lies 0.71 steps from its frame.
    reach = (0.75 * steps[0], 0.75 * steps[1], 0.75 * shift)
    centres = bins.centres_deg()
    nearest = []
    for k in map(int, model.projections):
        turned = model.turning.settings_of(centres, model.omega_deg(k))
        nearest.append(nearest_frames(model.settings.of(k), turned, reach))
    return np.stack(nearest)


def _all_bins(model: ScanModel, step_deg: float) -> OrientationBins:
    """Bins up to the farthest settings of the scan, about its turning centre."""
    used = model.projections
    reach_mu = _reach(model.settings.mu_deg[used] - model.turning.centre_mu_deg)
    gamma = model.settings.gamma_deg[used] - model.turning.centre_gamma_deg
    scanned_gamma = np.nanmax(gamma, axis=1) - np.nanmin(gamma, axis=1) > step_deg / 2
    reach = max(reach_mu, _reach(gamma)) if scanned_gamma.any() else reach_mu
    axis = centred_axis(reach, step_deg)
    shift = np.zeros(1)
    if strain_axis(model.store):
        # Δθ is half of Δ2θ, and bins are half a step as those of the tilts are.
        two_theta = model.settings.two_theta_deg[used]
        shift_step = two_theta_step_deg(model.store, model.settings) / 4
        shift = centred_axis(_reach(two_theta) / 2, shift_step)
    return OrientationBins(axis, axis, shift)


def _illuminated_share(model: ScanModel, bins: OrientationBins) -> FloatArray:
    """Share of the projections that measured a bin in which its frame is lit."""
    frames = frames_of_bins(model, bins)
    counts = model.store.integrated[model.projections]
    bright = counts > DIM * counts.max(axis=1, keepdims=True)
    illuminated = np.take_along_axis(bright, frames, axis=1)
    measured = frames >= 0
    share = (illuminated & measured).sum(axis=0) / np.maximum(measured.sum(axis=0), 1)
    # A bin that hardly any projection measured cannot be ruled out, nor be found.
    share[measured.mean(axis=0) < 0.2] = 0
    return share.reshape(bins.shape)


def _cut(axis: FloatArray, wanted: ArrayLike) -> FloatArray:
    """The part of an axis that holds all wanted bins, and two more at either end."""
    first, last = np.flatnonzero(wanted)[[0, -1]]
    return axis[max(first - 2, 0) : last + 3]


def _reach(offsets_deg: FloatArray) -> float:
    return float(np.nanmax(np.abs(offsets_deg)))


NEAR_THETA_DEG = 3.0
"""How near to ±θ a base tilt motor reads where its zero is that of the goniometer."""


@dataclass(frozen=True)
class TurningFit:
    """The turning law fitted to the mean setting of every projection."""

    centre_mu_deg: float  # μ_c; with γ_c the turning centre
    centre_gamma_deg: float
    a_deg: float  # with b_deg the mean tilt of the grain
    b_deg: float
    residual_deg: float  # root mean square of what the law leaves unexplained
    # by how much the centre drifts over the scan; 0 where it was not fitted
    drift_mu_deg: float = 0.0
    drift_gamma_deg: float = 0.0


def fit_turning(
    settings: FrameSettings,
    integrated: FloatArray,
    omega_deg: FloatArray,
    handedness: int,
    *,
    gamma_scanned: bool = True,
    course: FloatArray | None = None,
) -> TurningFit:
    r"""Fit the turning law to the intensity-weighted mean setting of each projection.

    .. math::
        \bar μ(ω) = μ_c + a \cos ω - h b \sin ω, \quad \barγ(ω) = γ_c + h a \sin ω + b \cos ω

    Where γ was not scanned, but for the jitter of its motors, the law of μ alone is fitted and γ_c
    is the setting of the frames. `integrated`, (projections, frames): intensities; a DataError
    where all are 0. `course`, (projections,): how far the scan has come, where a drift is fitted.
    """
    illuminated = integrated.sum(axis=1) > 0
    if not illuminated.any():
        raise DataError("the scan has no signal: no frame of it has any intensity")
    weights = integrated[illuminated] / integrated[illuminated].sum(axis=1, keepdims=True)
    mu = (np.nan_to_num(settings.mu_deg[illuminated]) * weights).sum(axis=1)
    gamma = (np.nan_to_num(settings.gamma_deg[illuminated]) * weights).sum(axis=1)
    omega = handedness * np.radians(omega_deg[illuminated])
    one, zero = np.ones_like(omega), np.zeros_like(omega)
    cosine, sine = np.cos(omega), np.sin(omega)
    rows_mu = np.stack([one, zero, cosine, -sine], axis=1)
    rows_gamma = np.stack([zero, one, sine, cosine], axis=1)
    if not gamma_scanned:
        rows_gamma[:, 2:] = 0
    if course is not None:
        drift = np.stack([course[illuminated], zero], axis=1)
        rows_mu = np.concatenate([rows_mu, drift], axis=1)
        rows_gamma = np.concatenate([rows_gamma, drift[:, ::-1]], axis=1)
    design, values = np.concatenate([rows_mu, rows_gamma]), np.concatenate([mu, gamma])
    solution = _robust_fit(design, values, scale=float(np.std(values)) / 4 + 1e-6)
    residual = np.sqrt(np.mean((design @ solution - values) ** 2))
    centre_mu, centre_gamma, a, b, *drifts = (float(value) for value in solution)
    return TurningFit(centre_mu, centre_gamma, a, b, float(residual), *drifts)


def base_tilt_sense(store: CleanedScan, settings: FrameSettings, theta_deg: float) -> int:
    """Sense with which a shift of the Bragg angle shows in the base tilt.

    +1 where the base tilt motor reads about +θ, -1 where about -θ; else the slope of μ against
    2θ within the projections decides. 0 where the energy was scanned, which leaves μ alone,
    and +1 where strain was not scanned.
    """
    scanned = strain_axis(store)
    if scanned != "two_theta":
        return 0 if scanned == "energy" else 1
    reading = store.origin.base_tilt_deg
    if min(abs(reading - theta_deg), abs(reading + theta_deg)) < NEAR_THETA_DEG:
        return 1 if reading > 0 else -1
    weights = store.integrated / np.maximum(store.integrated.sum(axis=1, keepdims=True), 1e-30)
    mu, two_theta = np.nan_to_num(settings.mu_deg), np.nan_to_num(settings.two_theta_deg)
    means = [(values * weights).sum(axis=1) for values in (mu, two_theta, mu * two_theta)]
    return 1 if (means[2] - means[0] * means[1]).sum() >= 0 else -1


def effective_bins(volume: NDArray[np.float32]) -> float:
    r"""How many bins the voxels of a volume, (voxels, bins), fill on average.

    This is :math:`(\sum p)^2 / \sum p^2`. The fewer, the sharper: maps turned back with the right
    handedness pile up in few bins.
    """
    total = volume.sum(axis=1, dtype=np.float64)
    squares = (volume.astype(np.float64) ** 2).sum(axis=1)
    lit = squares > 0
    return float(np.mean(total[lit] ** 2 / squares[lit])) if lit.any() else np.inf


def _robust_fit(design: FloatArray, values: FloatArray, scale: float) -> FloatArray:
    """Least squares in which outlying projections count less (soft L1)."""

    def misfit(parameters: FloatArray) -> FloatArray:
        return design @ parameters - values

    start = np.linalg.lstsq(design, values, rcond=None)[0]
    return least_squares(misfit, start, loss="soft_l1", f_scale=scale).x


OUTLIER_WIDTHS = 4.0
LEAST_OUTLIER_PIX = 0.5


@dataclass(frozen=True, eq=False)
class CentreOfMassFit:
    """The centre of mass over ω, and the circle that it should follow; all by projections."""

    omega_deg: FloatArray
    measured_pix: FloatArray  # (row, column); NaN where it is not known
    fitted_pix: FloatArray  # (row, column) of the fit
    axis_pix: float  # column of the rotation axis; NaN where the rotation is too short to tell
    outlier: NDArray[np.bool_]  # which projections do not follow the others


def fit_centre_of_mass(omega_deg: FloatArray, centre_of_mass_pix: FloatArray) -> CentreOfMassFit:
    r"""Fit the law of a rotating point to the centres of mass, (projections, 2), NaN where dark.

    .. math:: \bar{c}(ω) = c_0 + p \cos ω + q \sin ω

    along rows and columns, by least squares in which what stands out counts less. With fewer than
    three lit projections or less than 60° of rotation nothing is fitted, and all of it is NaN.
    """
    omega_deg, mass = np.asarray(omega_deg, float), np.asarray(centre_of_mass_pix, float)
    known = np.isfinite(mass).all(axis=1)
    fitted = np.full_like(mass, np.nan)
    nothing = CentreOfMassFit(omega_deg, mass, fitted, np.nan, np.zeros(len(mass), bool))
    if known.sum() < 3 or np.ptp(omega_deg[known]) < 60:
        return nothing
    omega = np.radians(omega_deg)  # of either sense: the sine takes it up
    design = np.stack([np.ones_like(omega), np.cos(omega), np.sin(omega)], axis=1)
    laws = [_robust_fit(design[known], mass[known, i], scale=1.0) for i in (0, 1)]
    solutions = np.stack(laws, axis=1)
    fitted = design @ solutions
    off = np.linalg.norm(mass - fitted, axis=1)
    limit = max(OUTLIER_WIDTHS * 1.4826 * float(np.median(off[known])), LEAST_OUTLIER_PIX)
    return CentreOfMassFit(omega_deg, mass, fitted, float(solutions[0, 1]), known & (off > limit))
