r"""The last digits of the orientations: one orientation a voxel, fitted to the frames.

A distribution over bins is free to spread, and a fit that is stopped before it follows the noise
has not drawn it together. Here every voxel has one orientation :math:`u = (a, b)`, and Δθ where
strain shows, and the frames are those of `OrientedVoxels`. A step solves, for every voxel,

.. math::
    \Bigl[\sum_ω J_ω^T C_ω J_ω\Bigr] δu = \sum_ω J_ω^T g_ω

with :math:`J_ω` the turning law in widths of the instrument, :math:`C_ω` the squared slopes of the
voxel's own weights and :math:`g_ω` the slopes of what is left unexplained, shared out along each
ray by intensity. This is the Gauss-Newton step with a block-diagonal matrix, as SIRT is that of the
intensities: early steps move what many projections agree on, so few of them do not follow noise.
The turning centre is common to all voxels, and is found with them.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import count, islice

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from recon3d.projection.kernels import FloatArray, Frames
from recon3d.projection.operator import spread
from recon3d.projection.oriented_voxels import BLOCK, OrientedVoxels, ScaledSettings, gather_slopes
from recon3d.reconstruction.fit.frames import (
    ProjectionImages,
    differences,
    frames_reached,
    read_ahead,
)
from recon3d.reconstruction.model.scan_model import ScanModel
from recon3d.runtime.compiled import in_parts

logger = logging.getLogger(__name__)

STEPS = 8
SETTLED = 0.003
"""How many steps as a rule, and the relative change of the residual that ends them."""

MOST_STEPS = 40
COMMON_SETTLED = 0.01
"""How many at most, and the move of a common unknown, in widths of the instrument, with which more
are taken: what the orientations made up for comes off them slowly, while the residual hardly
falls."""

MOMENTUM = 0.85
"""Share of a smoothed step, that of common unknowns included, taken again with the next one."""

ROWS = 1 << 16
"""Voxels that are solved for at a time."""

FARTHEST_STEP = 0.5
"""How far a step may move an orientation, in widths: the slopes hold near by only."""


@dataclass(frozen=True)
class Unknowns:
    """What a refinement may change."""

    shift: bool  # the shift Δθ of every voxel
    centre_mu: bool  # the turning centre in μ; centre_gamma in γ
    centre_gamma: bool
    smoothing: float = 0.0  # of changes of Δθ, a standard deviation in voxels; 0 for none
    # the drift over the scan of those parts of the turning centre that may be changed
    drift: bool = False
    slope: bool = False  # the slope of the acceptance in γ over the image


@dataclass(frozen=True)
class Place:
    """Where the voxels lie, for the smoothing: their numbers in a volume of some shape."""

    inside: NDArray[np.int64]
    shape: tuple[int, int, int]


@dataclass(frozen=True)
class Refinement:
    """A scan, voxels that are to predict its frames, and what may be changed of both."""

    model: ScanModel
    voxels: OrientedVoxels
    unknowns: Unknowns
    place: Place
    description: str = "refinement"
    residual: float = np.inf  # relative residual of model and voxels, as far as it is known

    def may(self, **changes: bool) -> Refinement:
        """The same with other unknowns."""
        return replace(self, unknowns=replace(self.unknowns, **changes))


def refine_orientations(
    start: Refinement, *, smoothing: float = 0.0, steps: int = STEPS
) -> Refinement:
    """Fit one orientation a voxel, and what all voxels share, to the frames.

    Voxels without intensity are left alone. `smoothing`: standard deviation, in voxels, with which
    steps are smoothed; such steps have momentum. `steps`: how many as a rule; the refinement ends
    where the residual hardly falls and what all voxels share has settled.
    """
    best = start
    half_pix = half_image_pix(start.model, start.voxels)
    widths = start.model.acceptance.widths_deg[:2]
    walk = islice(smoothed_steps(start, smoothing), MOST_STEPS)
    for number, then in enumerate(walk):
        falling = number < steps and then.residual < best.residual * (1 - SETTLED)
        before, after = (_common_deg(one.model, half_pix) for one in (best, then))
        moved = (np.abs(after - before) / widths).max()
        if number and not falling and moved < COMMON_SETTLED:
            break
        best = then
    return best


def half_image_pix(model: ScanModel, voxels: OrientedVoxels) -> FloatArray:
    """Half of the grain's image along rows and columns: twice its standard deviation."""
    affine = model.affine(int(model.projections[0]))
    half: FloatArray = 2 * (voxels.projector.points_um @ affine[:, :3].T).std(axis=0)
    return half


def _common_deg(model: ScanModel, half_pix: FloatArray) -> FloatArray:
    """Turning centre, its drift, and what the slope makes of half of the image, (3, 2)."""
    turning = model.turning
    centre = (turning.centre_mu_deg, turning.centre_gamma_deg)
    slope = (0.0, float(np.dot(model.acceptance.slope_deg_per_pix, half_pix)))
    return np.array([centre, model.centre_drift_deg, slope])


def refine_by_parts(start: Refinement, parts: int) -> Refinement:
    """Take a step by each part of the projections in turn, and one by all of them.

    Far from the end a part moves the orientations about as well as all projections would; the
    last step takes out the noise of the last part.
    """
    found, every = start, start.model.projections
    dealt = [every[part::parts] for part in range(parts)]
    for number, projections in enumerate([*dealt, every], 1):
        few = replace(found.model, projections=projections)
        normal, residual = gather(few, found.voxels, found.unknowns, f"{start.description}, part")
        logger.info("%s, part %d: residual %.4f", start.description, number, residual)
        change, common = solve(normal)
        moves = np.zeros((len(change), 3))
        moves[:, : change.shape[1]] = _limited(change, start, 0.0)
        few, voxels = _moved(few, found.voxels, normal, found.unknowns, moves, common)
        found = replace(found, model=replace(few, projections=every), voxels=voxels)
    return found


def smoothed_steps(start: Refinement, smoothing: float) -> Iterator[Refinement]:
    """Take step after step, as `refine_orientations`; yield where each begins."""
    model, voxels, unknowns = start.model, start.voxels, start.unknowns
    velocity, push = np.zeros((len(voxels.intensity), 3)), np.zeros(())
    for number in count(1):
        stage = f"{start.description} {number}"
        normal, residual = gather(model, voxels, unknowns, stage)
        logger.info("%s: residual %.4f", stage, residual)
        yield replace(start, model=model, voxels=voxels, residual=residual)
        change, common = solve(normal)
        velocity *= MOMENTUM if smoothing else 0
        push = common + (MOMENTUM * push if smoothing else 0)
        velocity[:, : change.shape[1]] += _limited(change, start, smoothing)
        model, voxels = _moved(model, voxels, normal, unknowns, velocity, push)


def jacobian(model: ScanModel, projection: int, unknowns: Unknowns) -> FloatArray:
    """How a voxel's setting, in widths, follows the unknowns at a projection: (3, unknowns).

    The unknowns are a, b, Δθ where it is free, then the parts of the turning centre that are, and
    their drifts; then the slopes of the acceptance over rows and columns, of which every voxel
    has columns of its own (`_tilts`): here they are zero.
    """
    turning = replace(model.turning, centre_mu_deg=0.0, centre_gamma_deg=0.0)
    settings = turning.settings_of(np.eye(3), model.omega_deg(projection))
    columns = [settings[:, : _own(unknowns)]]
    free = _free_centres(model, unknowns)
    columns += [np.eye(3)[:, [axis]] for axis in free]
    if unknowns.drift:
        columns += [model.course[projection] * np.eye(3)[:, [axis]] for axis in free]
    columns.append(np.zeros((3, 2 if unknowns.slope else 0)))
    return np.concatenate(columns, axis=1) / model.acceptance.widths_deg[:, None]


def _tilts(model: ScanModel, projection: int, unknowns: Unknowns) -> FloatArray:
    """How γ, in widths, follows the slopes at a voxel's place in µm: (2, 3); (0, 3) for none."""
    tilts = model.affine(projection)[:, :3] / model.acceptance.rolling_width_deg
    return tilts if unknowns.slope else tilts[:0]


def _own(unknowns: Unknowns) -> int:
    """How many unknowns are each voxel's own."""
    return 3 if unknowns.shift else 2


def _free_centres(model: ScanModel, unknowns: Unknowns) -> list[int]:
    """Which of μ_c (0) and γ_c (1) are unknowns of their own.

    Where shifts are told from μ alone, a shift of all voxels is a shift of μ_c: one too many.
    """
    same = unknowns.shift and np.isinf(model.acceptance.two_theta_width_deg)
    free = (unknowns.centre_mu and not same, unknowns.centre_gamma)
    return [axis for axis in range(2) if free[axis]]


@dataclass(frozen=True)
class Normal:
    """Normal equations of every voxel, right hand sides last, and sums for its intensity."""

    # (voxels, own unknowns, unknowns + 1): the rows of a voxel's own unknowns, which come first
    own: FloatArray
    # (shared unknowns, shared unknowns + 1): of the unknowns that all voxels share
    shared: FloatArray
    strengths: FloatArray  # (voxels, 2)


def gather(
    model: ScanModel, voxels: OrientedVoxels, unknowns: Unknowns, stage: str
) -> tuple[Normal, float]:
    """Sum the normal equations over the projections; the residual comes with them."""
    points, rows = voxels.projector.points_um, _own(unknowns)
    size = jacobian(model, int(model.projections[0]), unknowns).shape[1]
    own, strengths = np.zeros((len(points), rows, size + 1)), np.zeros((len(points), 2))
    moments = np.zeros((-(-len(points) // BLOCK), 3, 4, 5))
    shared, total = np.zeros((size - rows, size - rows + 1)), np.zeros(2)

    def read(number: int) -> tuple[ProjectionImages, ScaledSettings]:
        return frames_reached(model, voxels, number)

    for measured, settings in read_ahead(read, model.own, stage):
        number = measured.projection
        if number in model.suspected:
            continue
        rest, sums = _differences(model, voxels, settings, measured)
        total += sums
        turning, tilts = jacobian(model, number, unknowns), _tilts(model, number, unknowns)
        of_frames, of_voxels = settings
        where = (points, model.affine(number), measured.known_lookup())
        moments[...] = 0
        given = own, moments, strengths, turning, tilts, of_voxels, of_frames, *where, rest
        in_parts(gather_slopes, len(moments), *given)
        shared += _of_shared(moments.sum(axis=0), turning[:, rows:], tilts)
    for array in (own, shared, strengths, total):
        model.communicator.sum(array)
    return Normal(own, shared, strengths), float(np.sqrt(total[0] / total[1]))


def _of_shared(moments: FloatArray, turning: FloatArray, tilts: FloatArray) -> FloatArray:
    """Normal equations of the unknowns that all voxels share, right hand side last.

    `moments`, (3, 4, 5): of all voxels, as `gather_slopes` leaves them. `turning`, (3, shared
    unknowns), and `tilts`, (last unknowns, 3): as it takes them.
    """
    # How each axis follows the unknowns at (1, x, y, z).
    follow = np.zeros((3, turning.shape[1], 4))
    follow[:, :, 0] = turning
    follow[1, turning.shape[1] - len(tilts) :, 1:] = tilts
    left = follow @ moments[:, :, :4] @ follow.swapaxes(1, 2)
    right = follow @ moments[:, :, 4:]
    return np.concatenate([left, right], axis=2).sum(axis=0)


def _differences(
    model: ScanModel, voxels: OrientedVoxels, settings: ScaledSettings, measured: ProjectionImages
) -> tuple[Frames, FloatArray]:
    """What is left of the frames of a projection, as a share of the intensity along each ray."""
    pixels, affine = measured.pixels, model.affine(measured.projection)
    footprint = voxels.projector.footprint(affine)
    rest, sums, scale = differences(model, voxels, measured, settings)
    intensity = (scale * voxels.intensity).astype(np.float32)[:, None]
    along = spread(voxels.projector.forward(intensity, affine, pixels), pixels, *footprint)
    # At the rim, where hardly anything lies along a ray, noise must not be blown up.
    floor = 0.1 * along.max()
    rest /= np.maximum(along, floor if floor > 0 else np.inf)
    return spread(rest, pixels, *footprint), sums


def _limited(change: FloatArray, start: Refinement, smoothing: float) -> FloatArray:
    """Keep a change of (a, b, Δθ) near by, and make it as smooth as it has to be."""
    nearest = start.model.acceptance.widths_deg[:2].min()
    change = np.clip(change, -FARTHEST_STEP * nearest, FARTHEST_STEP * nearest)
    widths = [smoothing, smoothing, max(smoothing, start.unknowns.smoothing)]
    columns = zip(change.T, widths[: change.shape[1]], strict=True)
    return np.stack([_smoothed(column, width, start.place) for column, width in columns], axis=1)


def _moved(
    model: ScanModel,
    voxels: OrientedVoxels,
    normal: Normal,
    unknowns: Unknowns,
    change: FloatArray,
    common: FloatArray,
) -> tuple[ScanModel, OrientedVoxels]:
    """Move orientations, intensities and turning centre by one step."""
    orientations = voxels.orientations + change.T
    centre = [model.turning.centre_mu_deg, model.turning.centre_gamma_deg]
    free = _free_centres(model, unknowns)
    drift, slope = [0.0, 0.0], (0.0, 0.0)
    if unknowns.slope:
        common, slope = common[:-2], (float(common[-2]), float(common[-1]))
    for number, value in enumerate(map(float, common)):
        (centre if number < len(free) else drift)[free[number % len(free)]] += value
    if unknowns.shift and unknowns.centre_mu and 0 not in free:
        mean = float(np.average(orientations[2], weights=voxels.intensity))
        orientations[2] -= mean
        centre[0] += model.turning.base_tilt_sense * mean
    ratio = normal.strengths[:, 0] / np.maximum(normal.strengths[:, 1], 1e-12)
    intensity = voxels.intensity * np.clip(1 + ratio, 0.5, 2)
    moved = OrientedVoxels(voxels.projector, orientations, intensity)
    turning = replace(model.turning, centre_mu_deg=centre[0], centre_gamma_deg=centre[1])
    steeper = np.add(model.acceptance.slope_deg_per_pix, slope)
    acceptance = replace(model.acceptance, slope_deg_per_pix=(float(steeper[0]), float(steeper[1])))
    model = replace(model, turning=turning, acceptance=acceptance)
    return (model.drifted((drift[0], drift[1])) if unknowns.drift else model), moved


def solve(normal: Normal) -> tuple[FloatArray, FloatArray]:
    """Solve for each voxel's own unknowns and for those that all voxels share.

    The shared ones come from the Schur complement of the voxels' own blocks.
    """
    starts = range(0, len(normal.own), ROWS)
    parts = [_eliminated(normal.own[start : start + ROWS]) for start in starts]
    solved = np.concatenate([part for part, _ in parts])
    alone, through = solved[..., 0], solved[..., 1:]
    if not normal.shared.size:
        return alone, np.zeros(0)
    left = normal.shared - np.sum([taken for _, taken in parts], axis=0)
    common = np.linalg.lstsq(left[:, :-1], left[:, -1], rcond=1e-6)[0]
    return alone - through @ common, common


def _eliminated(rows: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Solve some voxels' rows for their own unknowns, whatever the shared ones are.

    Returns, (voxels, own unknowns, 1 + shared unknowns), the solution where the shared ones are
    zero, and what it loses for each of them; and, (shared unknowns, shared unknowns + 1), what this
    takes from the equations of the shared ones, the right hand side last.
    """
    own = rows.shape[1]
    block, across, right = np.split(rows, [own, rows.shape[2] - 1], axis=2)
    ridge = 2e-3 * np.trace(block, axis1=1, axis2=2) + 1e-9
    block = block + ridge[:, None, None] * np.eye(own)
    solved = np.linalg.solve(block, np.concatenate([right, across], axis=2))
    taken = np.tensordot(across, solved, axes=((0, 1), (0, 1)))
    return solved, np.roll(taken, -1, axis=1)


def _smoothed(values: FloatArray, smoothing: float, place: Place) -> FloatArray:
    """Mean of the values of the voxels around each voxel, weighted by a Gaussian."""
    if not smoothing:
        return values
    sums = np.zeros((2, *place.shape))
    sums.reshape(2, -1)[:, place.inside] = values, np.ones_like(values)
    sums = gaussian_filter(sums, (0, smoothing, smoothing, smoothing), mode="constant")
    above, below = sums.reshape(2, -1)[:, place.inside]
    smooth: FloatArray = above / below
    return smooth
