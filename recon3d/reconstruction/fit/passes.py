"""The passes of a fit, and what is learnt of the instrument between them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from recon3d.config.experiment import Experiment
from recon3d.projection.operator import Projector
from recon3d.projection.oriented_voxels import OrientedVoxels
from recon3d.reconstruction.fit.alignment import LEAST_TURN_DEG, Alignment, realign
from recon3d.reconstruction.fit.backprojection import VoxelPeaks, find_peaks
from recon3d.reconstruction.fit.bending import estimate_widths, refine_bent, shifts_agree
from recon3d.reconstruction.fit.frames import suspects
from recon3d.reconstruction.fit.iterative import IterativeFit
from recon3d.reconstruction.fit.orientations import (
    STEPS,
    Place,
    Refinement,
    Unknowns,
    half_image_pix,
    refine_by_parts,
    refine_orientations,
)
from recon3d.reconstruction.model.scan_model import ScanModel
from recon3d.reconstruction.model.scanned import (
    gamma_scanned,
    setting_steps_deg,
    strain_axis,
    tells_drift,
    tells_handedness,
    tells_shift,
    threshold_of,
)
from recon3d.reconstruction.model.sizes import FINER_PASSES, Coarse, may_be_grain, seen_in
from recon3d.reconstruction.task import (
    Task,
    cut_occupancy,
    require_memory,
    smoother_share,
    support_of,
)

logger = logging.getLogger(__name__)

SETTLING_PASSES = 3
WIDTH_PASSES = 2
"""After how many passes axis and drift, and the widths, are looked at again."""

PASSES_TO_FILL = 2
"""After how many passes it shows which bins the grain fills."""

MOST_SUSPECTED = 0.4
"""Share of the projections above which those that stand out are learnt from all the same."""

HALF_PASSES = 2
"""Passes of the fit of one half of the data: it begins where the fit of all has begun."""

STEPS_FROM_COARSE = 5
"""Steps of the refinement after a fit that began with larger voxels."""

PARTS = 4
LEAST_PART = 25
"""Into how many parts the projections are dealt that tell its first steps, as far as each has so
many of them."""

FEWEST_TO_REFINE = 6
"""Projections below which a tilt and a turning centre cannot be told apart."""

LEAST_DRIFT_STEPS = 0.2
"""Steps of μ below which a drift of μ_c that is found from μ alone is none: it was half a step or
more on planted scans with a drift of one step, a twentieth on those without."""

CLEAR_SLOPE = 0.15
SLOPE_SMOOTHING_VOXELS = 2.0
"""Steps of γ over half of the grain from which the acceptance is known to move over the image, and
the smoothing, which comes with momentum, of the first steps that know it."""

SHIFT_SMOOTHING_VOXELS = 1.5
"""Over which distance shifts that are told from μ alone are made smooth: they are less precise."""


def run_fit(
    task: Task,
    description: str,
    *,
    passes: int,
    settle: int = 0,
    stage: str | None = None,
    done: Sequence[float] = (),
    columns: NDArray[np.int64] | None = None,
) -> IterativeFit:
    """Run the passes of a fit, until the residual hardly changes; it has the model it ended with.

    `settle`: after how many passes to look again for the axis, the drift and, at first, the widths;
    projections that stand out are then left out. `stage`: what its checkpoint is called; None for
    none. `done`: residuals of the passes that were done with larger voxels. `columns`: numbers of
    the bins that may be filled where no larger voxels tell; all where None.
    """
    settings, model = task.experiment.settings, task.model
    fit = _begun_fit(task, columns)
    fit.residuals = list(done)
    watch = None
    if task.checkpoints is not None and stage is not None:
        model = task.checkpoints.resume(stage, fit, model)
        watch = task.checkpoints.watch(stage)
    first, last = len(fit.residuals) + 1, len(done) + passes
    for number in range(first, last + 1):
        nth = number - len(done)
        before = fit.residuals[-1] if nth > 1 else np.inf
        if settle and nth > settle:
            model = _without_suspects(model, task, fit)
        fit.run_pass(f"{description} {number}", before_subset=watch)
        if settings.tv_weight:
            fit.scale(smoother_share(fit.volume, task.inside, task.volume, settings.tv_weight))
        residual = fit.residuals[-1]
        logger.info("%s %d: residual %.4f", description, number, residual)
        if task.report is not None:
            task.report(description, number, residual, task.shown(_grown(task, fit)))
        settling = nth <= min(settle, passes - 1)
        if settling:
            voxels, _ = oriented_voxels(task, fit)
            model = settled(model, task.experiment, voxels, widths=nth <= WIDTH_PASSES)
            fit.adopt(model)
        if not settling and abs(before - residual) < settings.stop_change * residual:
            logger.info("%s: the residual has settled", description)
            break
        if PASSES_TO_FILL <= number < last:
            fit.close_empty_bins()
    return fit


def _grown(task: Task, fit: IterativeFit) -> NDArray[np.float32]:
    """What a fit shows of itself while it runs: occupancy, a and b of every voxel, (voxels, 3)."""
    occupancy, _ = occupancy_of(task, fit)
    a, b, _ = fit.bins.centres_deg()
    strongest = fit.volume.argmax(axis=1)
    return np.column_stack([occupancy, a[strongest], b[strongest]]).astype(np.float32)


def _begun_fit(task: Task, columns: NDArray[np.int64] | None) -> IterativeFit:
    """A fit before its first pass: from larger voxels where there were any, else all alike."""
    model, coarse = task.model, task.coarse
    return IterativeFit(
        model,
        task.bins,
        task.points_um,
        task.volume.voxel_um,
        threshold=threshold_of(model.store),
        rule=task.experiment.settings.algorithm,
        columns=columns if coarse is None else coarse.columns,
        fill=None if coarse is None else coarse.filler(task.inside, task.volume.shape),
    )


def fit_from_coarse(task: Task, description: str) -> tuple[Task, IterativeFit]:
    """Run the fits of all projections, one after another with finer voxels.

    Returns the task of the finest voxels, with what the fit before has left, and its fit.
    """
    passes = task.experiment.settings.iterations - FINER_PASSES * len(task.finer)
    settle, done = SETTLING_PASSES, list[float]()
    while task.finer:
        fit = run_fit(task, description, passes=passes, settle=settle, done=done)
        passes, settle, done = FINER_PASSES, 1, fit.residuals
        task = _finer(task, fit)
        # Its distributions are not needed any more, those of finer voxels need the room.
        del fit
    return task, run_fit(task, description, passes=passes, settle=settle, stage="", done=done)


def _finer(task: Task, fit: IterativeFit) -> Task:
    """The next finer size of voxels, looked for near those that hold anything of a fit."""
    size, *rest = task.finer
    volume, (occupancy, _) = size.experiment.volume, occupancy_of(task, fit)
    ratio = round(task.volume.voxel_um[0] / volume.voxel_um[0])
    near = may_be_grain(task.fill(occupancy), volume.shape, ratio).ravel()
    model = seen_in(fit.model, size)
    inside, points = support_of(model, volume, 0.75, 2, near)
    task = replace(
        task,
        experiment=size.experiment,
        model=model,
        inside=inside,
        points_um=points,
        finer=tuple(rest),
        coarse=Coarse(fit.volume.copy(), fit.columns, task.inside, task.volume.shape, ratio),
    )
    require_memory(task, fit.columns.size)
    return task


def _without_suspects(model: ScanModel, task: Task, fit: IterativeFit) -> ScanModel:
    """Learn no more from projections that stand out, unless they are many; align the others."""
    strange = model.projections[suspects(fit.projection_residuals)]
    suspected = model.suspected | frozenset(map(int, strange))
    if suspected == model.suspected or len(suspected) > MOST_SUSPECTED * len(model.projections):
        return model
    logger.info("%d projections are suspected and not learnt from", len(suspected))
    voxels, _ = oriented_voxels(task, fit)
    model = replace(model, suspected=suspected)
    for _ in range(SETTLING_PASSES):
        model = settled(model, task.experiment, voxels, widths=False)
    fit.adopt(model)
    return model


def settled(
    model: ScanModel, experiment: Experiment, voxels: OrientedVoxels, *, widths: bool = True
) -> ScanModel:
    """Improve what was not given of axis, drift and widths, from the grain as it stands."""
    allowed = Alignment.of(experiment, model)
    if allowed.any:
        model = realign(model, voxels, allowed)
    free = free_widths(model, experiment)
    if widths and free:
        model = replace(model, acceptance=estimate_widths(model, voxels, free))
    return model


def free_widths(model: ScanModel, experiment: Experiment) -> tuple[str, ...]:
    """The widths that are neither given nor infinite."""
    return tuple(
        name
        for name in ("rocking_width_deg", "rolling_width_deg", "two_theta_width_deg")
        if getattr(experiment.settings, name) is None
        and np.isfinite(getattr(model.acceptance, name))
    )


def refined(
    task: Task, fit: IterativeFit, description: str
) -> tuple[Task, OrientedVoxels, VoxelPeaks]:
    """Fit the orientations of the grain's voxels to the frames, from where a fit ended.

    Returns the task with the model that was found, turning centre included, the grain's voxels, and
    the orientation of every voxel of the support.
    """
    model = fit.model
    peaks = peaks_of(task, fit)
    voxels, chosen = oriented_voxels(task, fit)
    if len(model.projections) < FEWEST_TO_REFINE or not chosen.any():
        return replace(task, model=model), voxels, peaks
    start = Refinement(
        model,
        voxels,
        unknowns_of(model, task.experiment),
        Place(task.inside[chosen], task.volume.shape),
        description,
    )
    task, found = _refined_voxels(task, start)
    columns = {}
    names = ("a_deg", "b_deg", "dtheta_deg")
    for name, values in zip(names, found.voxels.orientations, strict=True):
        columns[name] = getattr(peaks, name).copy()
        columns[name][chosen] = values
    return replace(task, model=found.model), found.voxels, replace(peaks, **columns)


def _refined_voxels(task: Task, start: Refinement) -> tuple[Task, Refinement]:
    """Fit orientations to the frames; note in the task what the scan called for."""
    store, shift = start.model.store, start.unknowns.shift
    if task.bent is False and gamma_scanned(store):
        return task, _refined_with_slope(task, start)
    # What is known of all projections is known of a part of them, too.
    free = free_widths(start.model, task.experiment) if task.bent is None else ()
    # A slope of the acceptance looks like a bend, and shifts told from μ alone like anything.
    level = start.may(slope=False, shift=shift and not tells_shift(store))
    found, bent = refine_bent(level, free, task.bent)
    task, found = replace(task, bent=bent), replace(found, unknowns=start.unknowns)
    if not gamma_scanned(store):
        found = with_clear_drift(found)
        if not (shift and tells_shift(store)):
            return task, found
        # The shifts Δθ that μ alone tells, too, where parts of the projections agree on them.
        if task.shifts is None:
            task = replace(task, shifts=shifts_agree(found))
        return task, refine_orientations(found) if task.shifts else found
    if bent and not found.unknowns.slope:
        return task, found
    sloped = _refined_with_slope(task, found)
    if bent and slope_steps(sloped.model, sloped.voxels) < CLEAR_SLOPE:
        return task, found
    return task, sloped


def with_clear_drift(found: Refinement) -> Refinement:
    """Fit a drift of μ_c, too, where γ was not scanned, and keep it if it is large.

    Over half a turn a small one is not told from tilts that turn, and would only add noise.
    """
    store, unknowns = found.model.store, found.unknowns
    omega = store.omega_deg
    if len(omega) < 12 or np.ptp(omega) < LEAST_TURN_DEG or not unknowns.centre_mu:
        return found
    drifting = found.may(shift=unknowns.shift and not tells_shift(store), drift=True)
    tried = replace(drifting, description=f"{found.description} with drift")
    drifted = refine_orientations(tried)
    if abs(drifted.model.centre_drift_deg[0]) < LEAST_DRIFT_STEPS * setting_steps_deg(store)[0]:
        return found
    return replace(found, model=drifted.model, voxels=drifted.voxels)


def _refined_with_slope(task: Task, found: Refinement) -> Refinement:
    """Fit orientations where γ was scanned, and an acceptance that moves over the image."""
    parts = 1 if task.coarse is None else parts_for(len(found.model.projections))
    slope = found.unknowns.slope
    if parts > 1:
        found = refine_by_parts(found, parts)
    if parts == 1 or (slope and slope_steps(found.model, found.voxels) > CLEAR_SLOPE / 3):
        steps = STEPS if task.coarse is None else STEPS_FROM_COARSE
        found = refine_orientations(found, steps=steps)
    if slope and slope_steps(found.model, found.voxels) > CLEAR_SLOPE:
        # The widths were found by a fit that does not know of it.
        found = refine_orientations(found, smoothing=SLOPE_SMOOTHING_VOXELS)
        if free := free_widths(found.model, task.experiment):
            acceptance = estimate_widths(found.model, found.voxels, free)
            found = replace(found, model=replace(found.model, acceptance=acceptance))
        found = refine_orientations(found)
    return found


def parts_for(projections: int) -> int:
    """Into how many parts so many projections are dealt; 1 where all tell every step."""
    return min(max(projections // LEAST_PART, 1), PARTS)


def slope_steps(model: ScanModel, voxels: OrientedVoxels) -> float:
    """By how many steps of γ the acceptance moves over half of the grain's image."""
    slope = model.acceptance.slope_deg_per_pix * half_image_pix(model, voxels)
    return float(np.abs(slope).max() / setting_steps_deg(model.store)[1])


def unknowns_of(model: ScanModel, experiment: Experiment) -> Unknowns:
    """What a refinement may change: what the scan tells, and the settings leave open."""
    open_centre = experiment.settings.turning_center_deg is None
    gamma_seen = bool(np.isfinite(model.acceptance.rolling_width_deg))
    scanned = strain_axis(model.store) is not None
    rocking_only = tells_shift(model.store)
    return Unknowns(
        shift=scanned or rocking_only,
        centre_mu=open_centre,
        centre_gamma=open_centre and gamma_seen and gamma_scanned(model.store),
        smoothing=0.0 if scanned else SHIFT_SMOOTHING_VOXELS,
        drift=open_centre and tells_drift(model.store),
        slope=open_centre and tells_drift(model.store) and tells_handedness(model.store),
    )


def peaks_of(task: Task, fit: IterativeFit) -> VoxelPeaks:
    """Orientation of every voxel of the support, as the fit has it."""
    return find_peaks(fit.volume, task.bins, task.reach, fit.columns)


def occupancy_of(task: Task, fit: IterativeFit) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Occupancy of every voxel of the support, and which belong to the grain."""
    return cut_occupancy(task, fit.volume.sum(axis=1))


def in_grain(task: Task, in_mask: NDArray[np.bool_], peaks: VoxelPeaks) -> NDArray[np.bool_]:
    """Which voxels of the support have an orientation to refine.

    Sums over this choice have one row a voxel: it must be the same everywhere.
    """
    return np.asarray(task.model.communicator.agree(in_mask & (peaks.bins >= 0)))


def oriented_voxels(task: Task, fit: IterativeFit) -> tuple[OrientedVoxels, NDArray[np.bool_]]:
    """The grain as voxels of one orientation each, and which of the support they are."""
    peaks = peaks_of(task, fit)
    chosen = in_grain(task, occupancy_of(task, fit)[1], peaks)
    columns = (peaks.a_deg, peaks.b_deg, peaks.dtheta_deg)
    orientations = np.stack([column[chosen].astype(float) for column in columns])
    projector = Projector(task.points_um[chosen], fit.projector.voxel_um)
    intensity = fit.volume.sum(axis=1, dtype=np.float64)[chosen]
    return OrientedVoxels(projector, orientations, intensity), chosen
