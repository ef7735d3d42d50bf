"""A bent grain, refined from coarse to fine where its depth shows in μ.

Where γ was not scanned, a field (a, b) = g (x, -h z) shifts μ in proportion to the depth along the
beam, at every ω: each ray sees a spread of settings that says little of the sign of g, and that a
wider instrument would show too. Steps of single voxels leave such a field flattened and the width
too large. Steps that are smooth over a quarter of the grain, with momentum, at a narrow width,
find it; and widths are looked for with the orientations refined at each of them. Where γ was
scanned, single steps flatten such a field too, by a seventh.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from recon3d.config.volume import Volume
from recon3d.projection.operator import Projector
from recon3d.projection.oriented_voxels import OrientedVoxels
from recon3d.projection.weights import OrientationList
from recon3d.reconstruction.fit.orientations import (
    Place,
    Unknowns,
    gather,
    refine_orientations,
    smoothed_steps,
)
from recon3d.reconstruction.fit.widths import estimate_widths
from recon3d.reconstruction.model.scan_model import ScanModel
from recon3d.reconstruction.model.scanned import setting_steps_deg, two_theta_step_deg

FloatArray = NDArray[np.float64]

State = tuple[ScanModel, OrientedVoxels, float]
"""A model, voxels, and the residual of these."""

logger = logging.getLogger(__name__)

MOST_CELLS = 2500
MOST_PROJECTIONS = 24
"""Voxels are merged into about so many cells, which are fitted to no more projections."""

WIDEST = 1 / 3
WIDE_STEPS = 9
WIDTH_STEPS = 3
"""The widest smoothing, as a share of the grain, the steps at it and at half of it, and those
between two looks at the widths."""

FIRST_STEPS = 3
"""Steps of single voxels that tell what a start from coarser ones has to be better than."""

SHIFT_STEPS = 4
AGREEMENT = 0.9
"""Steps with shifts from each half, and the correlation at which the shifts are believed: what
other errors leave in both halves alike correlated by 0.84 on planted grains without strain."""

BETTER = 0.93
"""Residual, as a share of the other's, at which a start from coarser steps is worth it."""


@dataclass(frozen=True)
class Bent:
    """What is refined, and what may be changed."""

    unknowns: Unknowns
    place: Place
    volume: Volume
    free: tuple[str, ...]  # the widths to be found
    bent: bool | None = None  # whether steps from coarse to fine are called for; None to find out


def refine_bent(
    model: ScanModel, voxels: OrientedVoxels, bent: Bent, *, description: str = "refinement"
) -> tuple[ScanModel, OrientedVoxels, bool]:
    """Refine orientations by steps of single voxels, or from coarse to fine where that is better.

    Returns the model with the turning centre and the widths that were found, the voxels with the
    orientations that predict the frames best, and whether steps from coarse to fine were better.
    """
    refine = (bent.unknowns, bent.place)
    if bent.bent is False:
        model, voxels, _ = refine_orientations(model, voxels, *refine, description=description)
        return model, voxels, False
    coarse, start = _coarse_start(model, voxels, bent, description)
    if bent.bent is None:
        plain, single, least = refine_orientations(
            model, voxels, *refine, description=description, steps=FIRST_STEPS
        )
        _, residual = gather(coarse, start, bent.unknowns, description)
        logger.info("%s: residual %.4f from coarse steps, else %.4f", description, residual, least)
        if not residual < BETTER * least:
            model, voxels, _ = refine_orientations(plain, single, *refine, description=description)
            return model, voxels, False
    model, voxels, smoothing = coarse, start, float(_merge_factor(voxels))
    while smoothing >= 1:
        model, voxels, _ = refine_orientations(
            model, voxels, *refine, description=description, smoothing=smoothing
        )
        if bent.free:
            model = replace(model, acceptance=estimate_widths(model, voxels, bent.free))
        smoothing /= 2
    return model, voxels, True


def is_bent(model: ScanModel, voxels: OrientedVoxels) -> bool:
    """Whether a grain has more of the mode (x, -h z) than the width hides; it may have more yet."""
    return _weak_spread_deg(model, voxels) > model.acceptance.rocking_width_deg


def shifts_agree(
    model: ScanModel, voxels: OrientedVoxels, unknowns: Unknowns, place: Place, description: str
) -> bool:
    """Whether two halves of the projections find the same shifts Δθ."""
    shifts = []
    for start in (0, 1):
        half = replace(model, projections=model.projections[start::2])
        _, found, _ = refine_orientations(
            half, voxels, unknowns, place, description=description, steps=SHIFT_STEPS
        )
        shifts.append(found.orientations.dtheta_deg)
    if min(float(np.std(shift)) for shift in shifts) == 0:
        return False
    first, second = (shift - shift.mean() for shift in shifts)
    agreement = float(first @ second / (np.linalg.norm(first) * np.linalg.norm(second)))
    logger.info("shifts of two halves correlate by %.3f", agreement)
    return agreement > AGREEMENT


def _coarse_start(
    model: ScanModel, voxels: OrientedVoxels, bent: Bent, description: str
) -> tuple[ScanModel, OrientedVoxels]:
    """Find the smooth part of the field on merged voxels, from a narrow instrument."""
    cells = Cells.of(voxels, bent.place, bent.volume)
    unknowns = replace(bent.unknowns, smoothing=bent.unknowns.smoothing / cells.factor)
    across = len(cells.merged.intensity) ** (1 / 3)

    def walk(state: State, share: float, steps: int) -> State:
        model, merged, _ = state
        walked = smoothed_steps(
            model, merged, unknowns, cells.place, share * across, f"coarse {description}"
        )
        *_, last = islice(walked, steps + 1)
        return last

    def wide(state: State) -> State:
        return walk(walk(state, WIDEST, WIDE_STEPS), WIDEST / 2, WIDE_STEPS)

    few = _narrowed(model, bent.free).thinned(MOST_PROJECTIONS)
    state = wide((few, cells.merged, np.inf))
    if is_bent(*state[:2]):
        # The mirror image looks alike but for the shape: where it fits better, it is the grain.
        mirrored = wide((few, _mirrored(few, cells.merged), np.inf))
        state = min(state, mirrored, key=lambda one: one[2])
    for share in (WIDEST / 2, WIDEST / 4, WIDEST / 4) if bent.free else (WIDEST / 4,):
        few, merged, residual = state
        if bent.free:
            few = replace(few, acceptance=estimate_widths(few, merged, bent.free))
        state = walk((few, merged, residual), share, WIDTH_STEPS)
    few, merged, _ = state
    change = np.stack(merged.orientations.centres_deg())
    change -= np.stack(cells.merged.orientations.centres_deg())
    fine = np.stack(voxels.orientations.centres_deg()) + cells.on_voxels(change)
    moved = replace(voxels, orientations=OrientationList(*fine))
    return replace(model, turning=few.turning, acceptance=few.acceptance), moved


def _narrowed(model: ScanModel, free: tuple[str, ...]) -> ScanModel:
    """Begin with free widths no wider than half a step of the scan."""
    half_steps = {
        "rocking_width_deg": setting_steps_deg(model.store)[0] / 2,
        "two_theta_width_deg": two_theta_step_deg(model.store, model.settings) / 2,
    }
    narrow = {
        name: min(half_steps[name], getattr(model.acceptance, name))
        for name in free
        if name in half_steps
    }
    return replace(model, acceptance=replace(model.acceptance, **narrow))


def _weak_mode(model: ScanModel, voxels: OrientedVoxels) -> tuple[FloatArray, float]:
    """The mode (x, -h z) about the grain's centre, (2, voxels), and how much of it there is."""
    weights = voxels.intensity / voxels.intensity.sum()
    points = voxels.projector.points_um - weights @ voxels.projector.points_um
    mode = np.stack([points[:, 0], -model.turning.handedness * points[:, 2]])
    field = np.stack(voxels.orientations.centres_deg()[:2])
    amount = float((weights * mode * field).sum() / (weights * mode**2).sum())
    return mode, amount


def _weak_spread_deg(model: ScanModel, voxels: OrientedVoxels) -> float:
    """Standard deviation over the grain of the part of its field that is the weak mode."""
    mode, amount = _weak_mode(model, voxels)
    return abs(amount) * float(np.sqrt(np.average((mode**2).sum(axis=0), weights=voxels.intensity)))


def _mirrored(model: ScanModel, voxels: OrientedVoxels) -> OrientedVoxels:
    """The same grain with the other sign of the weak mode."""
    mode, amount = _weak_mode(model, voxels)
    a, b, shift = voxels.orientations.centres_deg()
    a, b = np.stack([a, b]) - 2 * amount * mode
    return replace(voxels, orientations=OrientationList(a, b, shift))


def _merge_factor(voxels: OrientedVoxels) -> int:
    return max(round((len(voxels.intensity) / MOST_CELLS) ** (1 / 3)), 1)


@dataclass(frozen=True)
class Cells:
    """Voxels merged into larger ones, at the centre and mean orientation of their parts."""

    merged: OrientedVoxels
    place: Place
    factor: int  # how many voxels make one along each axis
    where: FloatArray  # (3, voxels): each voxel's place among the larger ones, in their edges

    @classmethod
    def of(cls, voxels: OrientedVoxels, place: Place, volume: Volume) -> Cells:
        """Merge the voxels of a place in a volume."""
        factor = _merge_factor(voxels)
        indices = np.stack(np.unravel_index(place.inside, place.shape))
        shape = tuple(-(-n // factor) for n in place.shape)
        numbers = np.ravel_multi_index(tuple(indices // factor), shape)
        # Layer by layer along the rotation axis, as the voxels are.
        cells, first, of_voxels = np.unique(numbers, return_index=True, return_inverse=True)
        order = np.argsort(indices[1, first] // factor, kind="stable")
        weights = np.maximum(voxels.intensity, 1e-12 * voxels.intensity.max())
        total = np.bincount(of_voxels, weights).astype(float)

        def mean(values: FloatArray) -> FloatArray:
            return (np.bincount(of_voxels, weights * values) / total)[order]

        points = np.stack([mean(axis) for axis in voxels.projector.points_um.T], axis=1)
        edges = tuple(float(factor * edge) for edge in volume.voxel_um)
        orientations = OrientationList(*map(mean, voxels.orientations.centres_deg()))
        merged = OrientedVoxels(Projector(points, edges), orientations, total[order])
        n0, n1, n2 = shape
        return cls(
            merged, Place(cells[order], (n0, n1, n2)), factor, (indices + 0.5) / factor - 0.5
        )

    def on_voxels(self, values: FloatArray) -> FloatArray:
        """Interpolate what is known of the larger voxels, (n, cells), to the others."""
        known = np.ones((1, values.shape[1]))
        grids = np.zeros((len(values) + 1, *self.place.shape))
        grids.reshape(len(grids), -1)[:, self.place.inside] = np.concatenate([values, known])
        *found, share = (map_coordinates(g, self.where, order=1, mode="nearest") for g in grids)
        return np.stack(found) / np.maximum(share, 1e-6)
