r"""The forward model: ideal frames of a planted grain.

The grain is a cloud of points on a lattice of its own, finer than the voxels of any
reconstruction, turned against them and shifted by odd amounts. A point of density ρ that
diffracts at (μ, γ, 2θ) adds to frame f

.. math::
    ρ \exp\left(-\frac{(μ_f - μ)^2}{2 w_μ^2} - \frac{(γ_f - γ)^2}{2 w_γ^2}
    - \frac{(2θ_f - 2θ)^2}{2 w_{2θ}^2}\right)

spread over a square as wide as the lattice's spacing, each pixel by the area it covers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numba import prange
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from recon3d.errors import ParameterError
from recon3d.geometry import turn_to_laboratory
from recon3d.runtime.compiled import njit
from recon3d.simulate.phantom import Phantom
from recon3d.simulate.scan_plan import ScanPlan, true_motors

FloatArray = NDArray[np.float64]
POINTS_ACROSS = 140
"""Points of the lattice across the sphere that holds the grain."""
FINEST_PIX = 0.5
"""Spacing of the lattice, in pixels, below which it need not be finer."""
_BLOCKS = 4
_TABLE_STEPS_PER_UNIT = 256
_FARTHEST = 30.0
_TURN = (0.31, -0.17, 0.23)
_SHIFT = (math.sqrt(2) - 1, math.sqrt(3) - 1, math.sqrt(5) - 2)


@dataclass(frozen=True)
class PointCloud:
    """A planted grain as points."""

    position_um: FloatArray  # sample coordinates, shape (points, 3)
    tilt_deg: FloatArray  # a, b and the shift Δθ of the Bragg angle, shape (points, 3)
    density: FloatArray  # scattering power, shape (points,)
    spacing_um: float  # distance of the points along the lattice's axes


def point_cloud(phantom: Phantom, plan: ScanPlan, spacing_um: float | None = None) -> PointCloud:
    """Sample a grain on a fine lattice that is aligned with no other grid.

    `spacing_um`: None for `POINTS_ACROSS` points across the grain, or `FINEST_PIX` where that is
    coarser.
    """
    if spacing_um is None:
        finest = FINEST_PIX / plan.magnification_pix_per_um
        spacing_um = max(finest, 2 * phantom.radius_um / POINTS_ACROSS)
    half = math.ceil(phantom.radius_um / spacing_um) + 1
    steps = np.arange(-half, half + 1)
    parts = [_slab(phantom, plan, spacing_um, steps, int(step)) for step in steps]
    position, tilt, density = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    if not density.size:
        raise ParameterError(
            f"no point of a lattice of {spacing_um:g} µm falls into the grain of radius "
            f"{phantom.radius_um:g} µm: make the spacing smaller"
        )
    share, *apart = phantom.second
    if share > 0:
        position = np.concatenate([position, position])
        tilt = np.concatenate([tilt, tilt + np.array([*apart, 0.0])])
        density = np.concatenate([(1 - share) * density, share * density])
    return PointCloud(position, tilt, density, spacing_um)


def _slab(
    phantom: Phantom, plan: ScanPlan, spacing: float, steps: NDArray[np.int64], layer: int
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Points of one layer of the lattice: positions, tilts and densities."""
    first, second = np.meshgrid(steps, steps, indexing="ij")
    lattice = np.stack((np.full_like(first, layer), first, second), axis=-1).reshape(-1, 3)
    offset = (lattice + np.array(_SHIFT)) * spacing
    offset = offset[np.linalg.norm(offset, axis=1) <= phantom.radius_um]
    position = offset @ Rotation.from_euler("XYZ", _TURN).as_matrix().T + np.array(
        phantom.position_um
    )
    sample = phantom.sample(*position.T)
    inside = sample.density > 0
    shift = bragg_shift_deg(plan, sample.strain)
    tilt = np.column_stack((sample.a_deg, sample.b_deg, shift))
    return position[inside], tilt[inside], sample.density[inside]


def ideal_frames(cloud: PointCloud, plan: ScanPlan, projection: int) -> NDArray[np.float32]:
    """Frames of one projection as a perfect detector would see them: (frames, rows, cols), upright.

    A voxel of 1 µm³ and density 1 that meets its frame exactly has the integrated intensity 1; what
    falls beside the detector is lost.
    """
    geometry = plan.geometry(projection)
    scale = np.array([geometry.stretch_rows, geometry.stretch_cols])
    images = np.zeros((_BLOCKS, plan.rows, plan.cols, plan.frames), np.float32)
    ones = np.ones((len(cloud.density), 1))
    settings = np.hstack((cloud.tilt_deg, ones)) @ voxel_map(plan, projection).T
    settings += np.hstack((cloud.position_um, ones)) @ field_map(plan, projection).T
    _spread(
        cloud.position_um,
        settings.astype(np.float32),
        cloud.density * cloud.spacing_um**3,
        geometry.affine(plan.omega_deg[projection]),
        frame_points(plan, projection).T.astype(np.float32),
        scale * cloud.spacing_um * plan.magnification_pix_per_um / 2,
        _gaussian_table(),
        images,
    )
    return np.ascontiguousarray(np.moveaxis(images.sum(axis=0), -1, 0))


def frame_points(plan: ScanPlan, projection: int) -> FloatArray:
    """Settings μ_f, γ_f and 2θ of the frames, (frames, 3), in widths of the acceptance."""
    motors = true_motors(plan, projection)
    mu, gamma = motors.settings(plan.origin, plan.handedness)
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


def _gaussian_table() -> NDArray[np.float32]:
    """Table of exp(-u / 2) from u = 0 to `_FARTHEST`, where it is taken as 0."""
    count = int(_FARTHEST * _TABLE_STEPS_PER_UNIT)
    table = np.exp(-np.arange(count + 2) / _TABLE_STEPS_PER_UNIT / 2)
    table[count:] = 0.0
    return table.astype(np.float32)


@njit(cache=True, parallel=True)
def _spread(position, meet, density, land, settings, half_pix, table, images):  # type: ignore[no-untyped-def]
    """Add points to images, shape (blocks, rows, cols, frames), each block by one thread."""
    blocks, rows, cols, frames = images.shape
    count = density.shape[0]
    for block in prange(blocks):
        weights = np.empty(frames, np.float32)
        for point in range(block * count // blocks, (block + 1) * count // blocks):
            row = land[0, 3] - half_pix[0] + 0.5
            col = land[1, 3] - half_pix[1] + 0.5
            for axis in range(3):
                row += land[0, axis] * position[point, axis]
                col += land[1, axis] * position[point, axis]
            if not (row > -rows and row < 2 * rows and col > -cols and col < 2 * cols):
                continue
            _weigh(meet[point], settings, density[point], table, weights)
            row_end, col_end = row + 2 * half_pix[0], col + 2 * half_pix[1]
            for i in range(max(math.floor(row), 0), min(math.ceil(row_end), rows)):
                height = min(row_end, i + 1.0) - max(row, float(i))
                for j in range(max(math.floor(col), 0), min(math.ceil(col_end), cols)):
                    width = min(col_end, j + 1.0) - max(col, float(j))
                    share = np.float32(height * width / (4 * half_pix[0] * half_pix[1]))
                    image = images[block, i, j]
                    for frame in range(frames):
                        image[frame] += share * weights[frame]


@njit(cache=True)
def _weigh(meet, settings, density, table, weights):  # type: ignore[no-untyped-def]
    """Weights of one point in all frames, by linear interpolation in the table."""
    steps = np.float32(_TABLE_STEPS_PER_UNIT)
    farthest = np.float32(_FARTHEST)
    amount = np.float32(density)
    for frame in range(weights.shape[0]):
        from_mu = settings[0, frame] - meet[0]
        from_gamma = settings[1, frame] - meet[1]
        from_two_theta = settings[2, frame] - meet[2]
        u = from_mu * from_mu + from_gamma * from_gamma + from_two_theta * from_two_theta
        u = min(u, farthest) * steps
        k = int(u)
        part = u - np.float32(k)
        weights[frame] = amount * (table[k] + part * (table[k + 1] - table[k]))
