"""A bent grain, and the widths of the instrument that look like its bend.

A field (a, b) = g (x, -h z) shifts μ in proportion to the depth along the beam, at every ω: each
ray sees a spread of settings that a wider instrument would show too. Steps of single voxels leave
such a field flattened and the width too large, so the amount g and the widths are fitted together,
before steps that are smooth over a few voxels. Where γ was not scanned, little tells the sign of g:
strong bends are found there by steps that are smooth over a quarter of the grain, with momentum, at
a narrow width.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cache
from itertools import islice
from typing import Any

import numpy as np
from scipy.ndimage import map_coordinates

from recon3d.projection.kernels import FloatArray, Frames
from recon3d.projection.operator import Projector
from recon3d.projection.oriented_voxels import OrientedVoxels
from recon3d.projection.weights import Acceptance
from recon3d.reconstruction.fit.frames import (
    ProjectionImages,
    differences,
    frames_reached,
    settings_in_place,
)
from recon3d.reconstruction.fit.orientations import (
    Place,
    Refinement,
    gather,
    refine_orientations,
    smoothed_steps,
)
from recon3d.reconstruction.model.scan_model import ScanModel
from recon3d.reconstruction.model.scanned import (
    gamma_scanned,
    setting_steps_deg,
    two_theta_step_deg,
)

logger = logging.getLogger(__name__)

MOST_CELLS = 2500
MOST_PROJECTIONS = 24
"""Voxels are merged into about so many cells, which are fitted to no more projections."""

WIDEST = 1 / 3
WIDE_STEPS = 9
WIDTH_STEPS = 3
"""The widest smoothing, as a share of the grain, the steps at it and at half of it, and those
between two looks at the widths."""

JOINT_PROJECTIONS = 18
FEW_PROJECTIONS = 9
"""Projections that tell a bend and the widths together, and that tell whether there is one."""

MODE_TRIAL = 0.05
WIDTH_TRIAL = 0.02
MOST_WIDENED = 0.2
"""The trial bend, in rocking widths over the grain, and the trial share of a width, that tell the
slopes; and by what share a width may change at once."""

SMOOTHINGS = ((2.0, 6), (1.0, 4), (0.0, 6))
STILL_WIDENED = 0.005
MOST_ROUNDS = 6
"""Smoothing in voxels, and the most steps, of the rounds that each begin with bend and widths; and
the change of a width from which the last round is taken again, up to so many in all."""

CLEAR_BEND = 0.03
"""Steps of the scan that a bend, over the grain, is found to lack where it counts as one."""

SHIFT_STEPS = 4
AGREEMENT = 0.9
"""Steps with shifts from each half, and the correlation at which the shifts are believed: what
other errors leave in both halves alike correlated by 0.84 on planted grains without strain."""

TRIAL_PROJECTIONS = 8
FACTORS = (1.3, 1.1, 1.03)
"""How much of the data a trial sees, and by which factors the widths are varied in turn."""

BETTER = 0.93
"""Residual, as a share of the other's, at which a start from coarser steps is worth it."""


def refine_bent(
    start: Refinement, free: tuple[str, ...], bent: bool | None
) -> tuple[Refinement, bool]:
    """Refine orientations and widths of a grain that may be bent more than it seems.

    `free`: the widths to be found. `bent`: whether it is; None to find out. Returns what was
    found, and whether it is: where γ was not scanned, whether steps from coarse to fine were
    better; elsewhere nothing is done if it is not.
    """
    store = start.model.store
    if gamma_scanned(store):
        if bent is None:
            lacking, _ = bend_left(start.model, start.voxels, free, FEW_PROJECTIONS)
            bent = lacking >= CLEAR_BEND * min(setting_steps_deg(store))
        return (_rounds(start, free) if bent else start), bent
    fine = start if bent else _rounds(start, free, range(1))
    if bent is not False:
        coarse = _coarse_start(start, free)
        if bent is None:
            residual, least = (
                gather(one.model, one.voxels, one.unknowns, one.description)[1]
                for one in (coarse, fine)
            )
            logger.info("residual %.4f from coarse steps, else %.4f", residual, least)
            bent = residual < BETTER * least
        if bent:
            # What is fine in the field is not there yet: a width would make up for it.
            fine = _refined(coarse, 0)
    return _rounds(fine, free, range(1, MOST_ROUNDS)), bent


def bend_left(
    model: ScanModel,
    voxels: OrientedVoxels,
    free: tuple[str, ...],
    projections: int = JOINT_PROJECTIONS,
) -> tuple[float, float]:
    """How much more bend the frames ask for, in degrees over the grain, and its error."""
    mode, change, covariance = _joint(model, voxels, free, projections)
    spread = _mode_spread_um(mode, voxels)
    return abs(float(change[0])) * spread, float(np.sqrt(covariance[0, 0])) * spread


def _rounds(
    state: Refinement, free: tuple[str, ...], rounds: Iterable[int] = range(MOST_ROUNDS)
) -> Refinement:
    """Fit bend and widths together, then all orientations by ever less smooth steps, in turn."""
    for number in rounds:
        state, widened = bent_and_widened(state, free)
        state = _refined(state, number)
        if number >= len(SMOOTHINGS) - 1 and widened < STILL_WIDENED:
            break
    return state


def _refined(state: Refinement, number: int) -> Refinement:
    """Fit all orientations by steps as smooth as those of a round."""
    smoothing, steps = SMOOTHINGS[min(number, len(SMOOTHINGS) - 1)]
    return refine_orientations(state, smoothing=smoothing, steps=steps)


def _joint(
    model: ScanModel, voxels: OrientedVoxels, free: tuple[str, ...], projections: int
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Take the Gauss-Newton step in the amount of the weak mode and the free widths together.

    Returns the mode, (2, voxels): the tilts (a, b) of each voxel at an amount of one; the change,
    (1 + widths,): of the amount in °/µm, then of the logarithms of the widths; and its covariance,
    by how much the projections disagree.
    """
    model = model.thinned(projections)
    mode, _ = _weak_mode(model, voxels)
    bend = MODE_TRIAL * model.acceptance.rocking_width_deg / _mode_spread_um(mode, voxels)
    trials = np.array([bend, *(WIDTH_TRIAL for _ in free)])
    trials_of = [_changed(model, voxels, free, mode, trial) for trial in np.diag(trials)]
    # Of each projection: products of the slopes, and of these with what is left unexplained.
    products = np.zeros((len(model.projections), len(trials), len(trials) + 1))
    place = {int(number): at for at, number in enumerate(model.projections)}
    for number in map(int, model.own):
        images, _ = frames_reached(model, voxels, number)
        rest, *tried = (
            _left(*one, images).ravel().astype(float) for one in ((model, voxels), *trials_of)
        )
        slopes = (np.stack(tried) - rest) / trials[:, None]
        products[place[number]] = slopes @ np.stack([*slopes, -rest], axis=1)
    model.communicator.sum(products)
    matrix = np.linalg.pinv(products[:, :, :-1].sum(axis=0), hermitian=True)
    change = matrix @ products[:, :, -1].sum(axis=0)
    pulls = products[:, :, -1] - products[:, :, :-1] @ change
    return mode, change, matrix @ (pulls.T @ pulls) @ matrix


def _left(model: ScanModel, voxels: OrientedVoxels, images: ProjectionImages) -> Frames:
    """What a grain leaves of frames that were read for another one."""
    of_frames, of_voxels = settings_in_place(model, voxels, images.projection)
    return differences(model, voxels, images, (of_frames[images.shown], of_voxels))[0]


def _changed(
    model: ScanModel,
    voxels: OrientedVoxels,
    free: tuple[str, ...],
    mode: FloatArray,
    change: FloatArray,
) -> tuple[ScanModel, OrientedVoxels]:
    """A grain with more of a mode, seen with other widths; `change` as of `_joint`."""
    orientations = voxels.orientations.copy()
    orientations[:2] += change[0] * mode
    widths: dict[str, Any] = {
        name: float(getattr(model.acceptance, name) * np.exp(more))
        for name, more in zip(free, change[1:], strict=True)
    }
    model = replace(model, acceptance=replace(model.acceptance, **widths))
    return model, replace(voxels, orientations=orientations)


def bent_and_widened(state: Refinement, free: tuple[str, ...]) -> tuple[Refinement, float]:
    """Find bend and widths together; tell by what share a width changed at most."""
    model, voxels = state.model, state.voxels
    mode, wanted, _ = _joint(model, voxels, free, JOINT_PROJECTIONS)
    change = np.clip(wanted, -MOST_WIDENED, MOST_WIDENED)
    most = model.acceptance.rocking_width_deg / _mode_spread_um(mode, voxels)
    change[0] = np.clip(wanted[0], -most, most)
    model, voxels = _changed(model, voxels, free, mode, change)
    widened = float(np.abs(change[1:]).max(initial=0))
    logger.info("bend changed by %.2f mdeg/µm, widths by %.3f", 1e3 * change[0], widened)
    return replace(state, model=model, voxels=voxels), widened


def shifts_agree(start: Refinement) -> bool:
    """Whether two halves of the projections find the same shifts Δθ."""
    shifts = []
    for first in (0, 1):
        half = replace(start.model, projections=start.model.projections[first::2])
        found = refine_orientations(replace(start, model=half), steps=SHIFT_STEPS)
        shifts.append(found.voxels.orientations[2])
    if min(float(np.std(shift)) for shift in shifts) == 0:
        return False
    agreement = float(np.corrcoef(*shifts)[0, 1])
    logger.info("shifts of two halves correlate by %.3f", agreement)
    return agreement > AGREEMENT


def _coarse_start(start: Refinement, free: tuple[str, ...]) -> Refinement:
    """Find the smooth part of the field on merged voxels, from a narrow instrument."""
    cells = Cells.of(start.voxels, start.place)
    unknowns = replace(start.unknowns, smoothing=start.unknowns.smoothing / cells.factor)
    across = len(cells.merged.intensity) ** (1 / 3)

    def walk(state: Refinement, share: float, steps: int) -> Refinement:
        *_, last = islice(smoothed_steps(state, share * across), steps + 1)
        return last

    def wide(state: Refinement) -> Refinement:
        return walk(walk(state, WIDEST, WIDE_STEPS), WIDEST / 2, WIDE_STEPS)

    few = _narrowed(start.model, free).thinned(MOST_PROJECTIONS)
    merged = Refinement(few, cells.merged, unknowns, cells.place, f"coarse {start.description}")
    state = wide(merged)
    if bend_in_widths(state.model, state.voxels) > 1:
        # The mirror image looks alike but for the shape: where it fits better, it is the grain.
        mode, amount = _weak_mode(few, cells.merged)
        _, mirrored = _changed(few, cells.merged, (), mode, np.array([-2 * amount]))
        state = min(state, wide(replace(merged, voxels=mirrored)), key=lambda one: one.residual)
    for share in (WIDEST / 2, WIDEST / 4, WIDEST / 4) if free else (WIDEST / 4,):
        if free:
            state, _ = bent_and_widened(state, free)
        state = walk(state, share, WIDTH_STEPS)
    change = cells.on_voxels(state.voxels.orientations - cells.merged.orientations)
    moved = replace(start.voxels, orientations=start.voxels.orientations + change)
    found = state.model
    model = replace(start.model, turning=found.turning, acceptance=found.acceptance)
    return replace(start, model=model, voxels=moved)


def _narrowed(model: ScanModel, free: tuple[str, ...]) -> ScanModel:
    """Begin with free widths no wider than half a step of the scan."""
    half_steps = {
        "rocking_width_deg": setting_steps_deg(model.store)[0] / 2,
        "two_theta_width_deg": two_theta_step_deg(model.store, model.settings) / 2,
    }
    widths = vars(model.acceptance)
    narrow = {name: min(half_steps[name], widths[name]) for name in free if name in half_steps}
    return replace(model, acceptance=replace(model.acceptance, **narrow))


def along_bend(model: ScanModel, points_um: FloatArray, weights: FloatArray) -> FloatArray:
    """The bend (x, -h z) of points about their centre, (2, points), in µm."""
    x, _, z = (points_um - weights @ points_um).T
    return np.stack([x, -model.turning.handedness * z])


def _weak_mode(model: ScanModel, voxels: OrientedVoxels) -> tuple[FloatArray, float]:
    """The mode (x, -h z) about the grain's centre, (2, voxels), and how much of it there is."""
    weights = voxels.intensity / voxels.intensity.sum()
    mode = along_bend(model, voxels.projector.points_um, weights)
    amount = float((weights * mode * voxels.orientations[:2]).sum() / (weights * mode**2).sum())
    return mode, amount


def bend_in_widths(model: ScanModel, voxels: OrientedVoxels) -> float:
    """What a field has of the weak mode, in rocking widths (standard deviation over the grain)."""
    mode, amount = _weak_mode(model, voxels)
    return abs(amount) * _mode_spread_um(mode, voxels) / model.acceptance.rocking_width_deg


def _mode_spread_um(mode: FloatArray, voxels: OrientedVoxels) -> float:
    """Standard deviation over the grain of a mode (a, b), per amount of it."""
    return float(np.sqrt(np.average((mode**2).sum(axis=0), weights=voxels.intensity)))


@dataclass(frozen=True)
class Cells:
    """Voxels merged into larger ones, at the centre and mean orientation of their parts."""

    merged: OrientedVoxels
    place: Place
    factor: int  # how many voxels make one along each axis
    where: FloatArray  # (3, voxels): each voxel's place among the larger ones, in their edges

    @classmethod
    def of(cls, voxels: OrientedVoxels, place: Place) -> Cells:
        """Merge the voxels of a place."""
        factor = max(round((len(voxels.intensity) / MOST_CELLS) ** (1 / 3)), 1)
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
        edges = tuple(float(factor * edge) for edge in voxels.projector.voxel_um)
        orientations = np.stack([mean(row) for row in voxels.orientations])
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


def estimate_widths(model: ScanModel, voxels: OrientedVoxels, free: tuple[str, ...]) -> Acceptance:
    """Find the widths with which voxels of one orientation each predict the frames best.

    Distributions would make up for whatever a width lacks by spreading. Where the grain's voxels
    truly spread, the widths hold their mean spread too. `free`: the names of those to be found.
    """
    trial = model.thinned(TRIAL_PROJECTIONS)

    @cache
    def residual(acceptance: Acceptance) -> float:
        model, total = replace(trial, acceptance=acceptance), np.zeros(2)
        for number in map(int, model.own):
            images, settings = frames_reached(model, voxels, number)
            total += differences(model, voxels, images, settings)[1]
        model.communicator.sum(total)
        return float(total[0] / total[1])

    best = model.acceptance
    for factor in FACTORS:
        for name in free:
            best = descend(residual, best, name, factor)
    logger.info("%s", ", ".join(f"{name[:-4]} {getattr(best, name):.4f}°" for name in free))
    return best


def descend(
    residual: Callable[[Acceptance], float], start: Acceptance, name: str, factor: float
) -> Acceptance:
    """Vary one width by a factor, up or down, for as long as the residual falls."""
    best = start
    for step in (factor, 1 / factor):
        following = replace(best, **{name: getattr(best, name) * step})
        while residual(following) < residual(best):
            best = following
            following = replace(best, **{name: getattr(best, name) * step})
        if best != start:
            break
    return best
