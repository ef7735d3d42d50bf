"""How the centre of mass of the images turns with ω: the axis, drift, and what stands out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

OUTLIER_WIDTHS = 4.0
LEAST_OUTLIER_PIX = 0.5
_ROUNDS = 5


@dataclass(frozen=True, eq=False)
class MassFit:
    """The centre of mass over ω, and the circle that it should follow.

    Parameters
    ----------
    omega_deg, shape (projections,)
        Rotation angles.
    measured_pix, fitted_pix, shape (projections, 2)
        (row, column) of the centre of mass, and of the fit; NaN where it is not known.
    axis_pix
        Column of the rotation axis; NaN where the rotation is too short to tell.
    outlier, shape (projections,)
        Which projections do not follow the others.
    """

    omega_deg: FloatArray
    measured_pix: FloatArray
    fitted_pix: FloatArray
    axis_pix: float
    outlier: NDArray[np.bool_]


def fit_mass(omega_deg: FloatArray, mass_pix: FloatArray, omega_sense: int = 1) -> MassFit:
    r"""Fit the law of a rotating point to the centres of mass.

    .. math:: \bar{c}(ω) = c_0 + p \cos ω + q \sin ω

    along rows and columns, by least squares in which what stands out counts less.

    Parameters
    ----------
    omega_deg, shape (projections,)
        Rotation angles.
    mass_pix, shape (projections, 2)
        (row, column) of the centre of mass; NaN where a projection is dark.
    omega_sense
        Sense of ω.

    Returns
    -------
    fit
        With fewer than five lit projections or less than 60° of rotation nothing is fitted,
        and all of it is NaN.
    """
    omega_deg, mass = np.asarray(omega_deg, float), np.asarray(mass_pix, float)
    known = np.isfinite(mass).all(axis=1)
    fitted = np.full_like(mass, np.nan)
    nothing = MassFit(omega_deg, mass, fitted, np.nan, np.zeros(len(mass), bool))
    if known.sum() < 5 or np.ptp(omega_deg[known]) < 60:
        return nothing
    omega = omega_sense * np.radians(omega_deg)
    design = np.stack([np.ones_like(omega), np.cos(omega), np.sin(omega)], axis=1)
    solutions = np.stack([_robust(design[known], mass[known, i]) for i in (0, 1)], axis=1)
    fitted = design @ solutions
    off = np.linalg.norm(mass - fitted, axis=1)
    limit = max(OUTLIER_WIDTHS * 1.4826 * float(np.median(off[known])), LEAST_OUTLIER_PIX)
    return MassFit(omega_deg, mass, fitted, float(solutions[0, 1]), known & (off > limit))


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
