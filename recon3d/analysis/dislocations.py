r"""Lattice curvature from the two measured tilts, and the lower bound of dislocation density."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from recon3d.arguments import checked
from recon3d.errors import ParameterError
from recon3d.files.grain import Grain
from recon3d.files.rotations import lattice, rotation_vectors

FloatArray = NDArray[np.float64]
SEEN = ((0, 2, 2, 0, 0, 2), (0, 2, 0, 2, 1, 1))
"""The curvatures that are seen: turns about x or z (first row) along x, y or z (second row)."""
NORM = np.eye(6)
NORM[:2, :2] = ((1.5, 0.5), (0.5, 1.5))
"""The squared bound of `dislocation_density` as a quadratic form of the curvatures in `SEEN`."""

FIRST_HEXAGONAL = 168
"""Number of the first hexagonal space group; cubic ones follow."""


@checked()
def curvature(grain: Grain) -> FloatArray:
    """How the lattice turns along x, y and z, as far as two tilts show it.

    Parameters
    ----------
    grain
        The grain.

    Returns
    -------
    curvature_rad_per_um, shape (nx, ny, nz, 3, 3)
        Derivative of turns about x, y, z (first index) along x, y, z (second index). Turns about
        y, along **G**, are not seen: their row is NaN. Central differences; NaN where a
        neighbour on both sides is unknown (one-sided where one is).
    """
    turns = np.radians(rotation_vectors(np.asarray(grain.orientation, float), grain.provenance))
    result = np.full((*grain.volume.shape, 3, 3), np.nan)
    for about in (0, 2):
        for along, step in enumerate(grain.volume.voxel_um):
            result[..., about, along] = _slope(turns[..., about], along, step)
    return result


class DislocationDensity(NamedTuple):
    """Lower bound of the density of dislocations, arrays of shape (nx, ny, nz), per m².

    Parameters
    ----------
    density_per_m2
        The bound; NaN where a curvature is not known.
    error_per_m2
        One σ from `orientation_error`, whose noise is taken as independent; NaN without it.
    noise_per_m2
        What that noise alone would show (root mean square) where there are no dislocations: a
        density that is not well above it says nothing. NaN likewise.
    """

    density_per_m2: FloatArray
    error_per_m2: FloatArray
    noise_per_m2: FloatArray


@checked(burgers_nm="> 0")
def dislocation_density(grain: Grain, burgers_nm: float | None = None) -> DislocationDensity:
    r"""Lower bound of the density of geometrically necessary dislocations.

    Dislocations of density ρ, Burgers vector b and line t make the tensor
    :math:`\alpha = \sum_s \rho_s \, b_s \otimes t_s` (Nye 1953, Acta Metall. 1, 153), and the
    lattice's curvature κ gives it, elastic strain left aside:
    :math:`\alpha_{ij} = \kappa_{ji} - \delta_{ij} \, \mathrm{tr} \, \kappa` (see also Pantleon
    2008, Scripta Mater. 58, 994). As every :math:`b_s \otimes t_s` has the norm b, whatever the
    slip systems are, the triangle inequality says

    .. math:: \sum_s |\rho_s| \ge \lVert \alpha \rVert_F / b .

    Three of the nine curvatures, of turns about **G** (y), are not seen. The bound takes the
    values of these that make it least, :math:`\kappa_{yx} = \kappa_{yz} = 0` and
    :math:`\kappa_{yy} = -(\kappa_{xx} + \kappa_{zz}) / 2`:

    .. math::
        b^2 \rho^2 \ge \kappa_{zx}^2 + \kappa_{xz}^2 + \kappa_{xy}^2 + \kappa_{zy}^2
        + (\kappa_{xx} + \kappa_{zz})^2 + (\kappa_{xx} - \kappa_{zz})^2 / 2 .

    Parameters
    ----------
    grain
        The grain.
    burgers_nm
        Length of the Burgers vector; where None the shortest translation of the grain's own
        lattice, hexagonal (a or c) or cubic (a / √2 in F, a √3 / 2 in I, a in P).

    Raises
    ------
    ParameterError
        No Burgers vector is given, and the cell does not tell it.

    Examples
    --------
    >>> import recon3d as r3
    >>> grain = r3.Grain.load("grain.h5")
    >>> density, error, noise = r3.analysis.dislocation_density(grain, burgers_nm=0.286)
    >>> density.shape
    (12, 12, 12)
    """
    burgers_um = 1e-3 * (_burgers_nm(grain) if burgers_nm is None else burgers_nm)
    # The bound is k Q k for the curvatures that are seen; half its derivative is Q k.
    k = curvature(grain)[..., SEEN[0], SEEN[1]]
    slopes = k @ NORM
    norm = np.sqrt((k * slopes).sum(axis=-1))
    variances = _curvature_variances(grain)
    with np.errstate(invalid="ignore", divide="ignore"):
        error = np.sqrt((slopes**2 * variances).sum(axis=-1)) / norm
    noise = np.sqrt(variances @ np.diag(NORM))
    per_m2 = 1e12 / burgers_um
    return DislocationDensity(norm * per_m2, error * per_m2, noise * per_m2)


def _curvature_variances(grain: Grain) -> FloatArray:
    """Variance of each curvature that is seen, (nx, ny, nz, 6), in (rad/µm)²."""
    if grain.orientation_error is None:
        return np.full((*grain.volume.shape, 6), np.nan)
    a, b = np.moveaxis(np.radians(np.asarray(grain.orientation_error, float)) ** 2, -1, 0)
    step = grain.volume.voxel_um
    turns = {0: b, 2: a}
    seen = zip(*SEEN, strict=True)
    return np.stack([_slope_variance(turns[i], j, step[j]) for i, j in seen], axis=-1)


def _slope(values: FloatArray, axis: int, step: float) -> FloatArray:
    """Derivative along an axis: central, or one-sided beside what is unknown."""
    before, after = _shifted(values, axis)
    central = (after - before) / (2 * step)
    one = np.where(np.isfinite(after), after - values, values - before) / step
    return np.where(np.isfinite(central), np.where(np.isfinite(values), central, np.nan), one)


def _slope_variance(variance: FloatArray, axis: int, step: float) -> FloatArray:
    before, after = _shifted(variance, axis)
    central = (after + before) / (2 * step) ** 2
    one = (np.where(np.isfinite(after), after, before) + variance) / step**2
    return np.where(np.isfinite(central), central, one)


def _shifted(values: FloatArray, axis: int) -> tuple[FloatArray, FloatArray]:
    """The values of the voxels before and after each one, NaN beyond the ends."""
    padded = np.pad(
        values, [(1, 1) if i == axis else (0, 0) for i in range(3)], constant_values=np.nan
    )
    n = values.shape[axis]
    return np.take(padded, range(n), axis), np.take(padded, range(2, n + 2), axis)


def _burgers_nm(grain: Grain) -> float:
    """The shortest translation of a hexagonal or cubic lattice."""
    cell = lattice(grain.provenance)
    if cell is None or cell.space_group < FIRST_HEXAGONAL:
        raise ParameterError(
            "the grain's lattice is not known to be hexagonal or cubic (sg_no in the .ini), so "
            "that its shortest Burgers vector is not known: give burgers_nm"
        )
    a, _, c = (0.1 * length for length in cell.unit_cell[:3])
    return {"F": a / math.sqrt(2), "I": a * math.sqrt(3) / 2}.get(cell.centring, min(a, c))
