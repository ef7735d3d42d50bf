"""What the data itself says of the rotation axis, the turning centre and the handedness."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from recon3d.errors import DataError
from recon3d.files.store import CleanedScan
from recon3d.projection.weights import FrameSettings
from recon3d.reconstruction.model.scanned import strain_axis

FloatArray = NDArray[np.float64]

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


def rotation_axis_from_centre_of_mass(
    summed: NDArray[np.float32], omega_deg: FloatArray, omega_sense: int = 1
) -> float:
    r"""Column of the rotation axis, from how the centre of mass of the images turns.

    .. math:: \bar{col}(ω) = col_0 + p \cos ω + q \sin ω

    `summed`, (projections, rows, cols): summed frames of each projection. Returns col_0 in pixels.
    With fewer than three projections, or less than 60° of rotation, the law is not determined and
    the middle of the image is returned.
    """
    cols = np.arange(summed.shape[2])
    profile = summed.sum(axis=1, dtype=np.float64)
    mass = profile.sum(axis=1)
    illuminated = mass > 0
    if np.count_nonzero(illuminated) < 3 or np.ptp(omega_deg[illuminated]) < 60:
        return (summed.shape[2] - 1) / 2
    mean_col = profile[illuminated] @ cols / mass[illuminated]
    omega = omega_sense * np.radians(omega_deg[illuminated])
    design = np.stack([np.ones_like(omega), np.cos(omega), np.sin(omega)], axis=1)
    return float(_robust_fit(design, mean_col, scale=1.0)[0])


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

    Where γ was not scanned, the law of μ alone is fitted and γ_c is the setting of the frames.

    `integrated`, (projections, frames): intensities; 0 where a frame is missing; a DataError where
    all are. `gamma_scanned`: False where γ stood still but for the jitter of its motors. `course`,
    (projections,): how far the scan has come, from -1/2 to 1/2, where a drift of the centre is to
    be fitted.
    """
    illuminated = integrated.sum(axis=1) > 0
    if not illuminated.any():
        raise DataError("the scan has no signal: no frame of it has any intensity")
    weights = integrated[illuminated] / integrated[illuminated].sum(axis=1, keepdims=True)
    mu = (np.nan_to_num(settings.mu_deg[illuminated]) * weights).sum(axis=1)
    gamma = (np.nan_to_num(settings.gamma_deg[illuminated]) * weights).sum(axis=1)
    omega = handedness * np.radians(omega_deg[illuminated])
    one, zero, cosine, sine = (
        np.ones_like(omega),
        np.zeros_like(omega),
        np.cos(omega),
        np.sin(omega),
    )
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


def mean_two_theta(settings: FrameSettings, integrated: FloatArray) -> float:
    """Intensity-weighted mean of the frames' 2θ, from the middle of its range, in degrees."""
    return float((np.nan_to_num(settings.two_theta_deg) * integrated).sum() / integrated.sum())


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
    illuminated = squares > 0
    return (
        float(np.mean(total[illuminated] ** 2 / squares[illuminated]))
        if illuminated.any()
        else float("inf")
    )


def _robust_fit(design: FloatArray, values: FloatArray, scale: float) -> FloatArray:
    """Least squares in which outlying projections count less (soft L1)."""

    def misfit(parameters: FloatArray) -> FloatArray:
        return design @ parameters - values

    start = np.linalg.lstsq(design, values, rcond=None)[0]
    return least_squares(misfit, start, loss="soft_l1", f_scale=scale).x


OUTLIER_WIDTHS = 4.0
LEAST_OUTLIER_PIX = 0.5
_ROUNDS = 5


@dataclass(frozen=True, eq=False)
class CentreOfMassFit:
    """The centre of mass over ω, and the circle that it should follow; all by projections."""

    omega_deg: FloatArray
    measured_pix: FloatArray  # (row, column); NaN where it is not known
    fitted_pix: FloatArray  # (row, column) of the fit
    axis_pix: float  # column of the rotation axis; NaN where the rotation is too short to tell
    outlier: NDArray[np.bool_]  # which projections do not follow the others


def fit_centre_of_mass(
    omega_deg: FloatArray, centre_of_mass_pix: FloatArray, omega_sense: int = 1
) -> CentreOfMassFit:
    r"""Fit the law of a rotating point to the centres of mass.

    .. math:: \bar{c}(ω) = c_0 + p \cos ω + q \sin ω

    along rows and columns, by least squares in which what stands out counts less.

    `centre_of_mass_pix`, (projections, 2): (row, column); NaN where a projection is dark. With
    fewer than five lit projections or less than 60° of rotation nothing is fitted, and all of it is
    NaN.
    """
    omega_deg, mass = np.asarray(omega_deg, float), np.asarray(centre_of_mass_pix, float)
    known = np.isfinite(mass).all(axis=1)
    fitted = np.full_like(mass, np.nan)
    nothing = CentreOfMassFit(omega_deg, mass, fitted, np.nan, np.zeros(len(mass), bool))
    if known.sum() < 5 or np.ptp(omega_deg[known]) < 60:
        return nothing
    omega = omega_sense * np.radians(omega_deg)
    design = np.stack([np.ones_like(omega), np.cos(omega), np.sin(omega)], axis=1)
    solutions = np.stack([_robust(design[known], mass[known, i]) for i in (0, 1)], axis=1)
    fitted = design @ solutions
    off = np.linalg.norm(mass - fitted, axis=1)
    limit = max(OUTLIER_WIDTHS * 1.4826 * float(np.median(off[known])), LEAST_OUTLIER_PIX)
    return CentreOfMassFit(omega_deg, mass, fitted, float(solutions[0, 1]), known & (off > limit))


def _robust(design: FloatArray, values: FloatArray) -> FloatArray:
    """Least squares, reweighted a few times by 1 / (1 + (r / s)²) with s the usual misfit."""
    weights = np.ones(len(values))
    solution: FloatArray = np.zeros(design.shape[1])
    for _ in range(_ROUNDS):
        root = np.sqrt(weights)
        found = np.linalg.lstsq(design * root[:, None], values * root, rcond=None)[0]
        solution = np.asarray(found, np.float64)
        misfit = np.abs(values - design @ solution)
        scale = 3 * float(np.median(misfit)) + 1e-9
        weights = 1 / (1 + (misfit / scale) ** 2)
    return solution
