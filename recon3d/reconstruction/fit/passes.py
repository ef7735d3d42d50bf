"""The passes of a fit, and what is learnt of the instrument between them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
from numpy.typing import NDArray

from recon3d.config.experiment import Experiment
from recon3d.projection.bins import OrientationBins, OrientationList
from recon3d.projection.operator import Projector
from recon3d.projection.oriented import OrientedVoxels
from recon3d.reconstruction.fit.alignment import Alignment, realign
from recon3d.reconstruction.fit.backprojection import VoxelPeaks, find_peaks
from recon3d.reconstruction.fit.checkpoint import Checkpoints
from recon3d.reconstruction.fit.iterative import IterativeFit
from recon3d.reconstruction.fit.orientations import Place, Unknowns, refine_orientations
from recon3d.reconstruction.fit.support import Support, cut_occupancy, smoother_share
from recon3d.reconstruction.fit.widths import estimate_widths
from recon3d.reconstruction.model.scan_model import ScanModel
from recon3d.reconstruction.model.scanned import (
    gamma_scanned,
    strain_axis,
    tells_shift,
    threshold_of,
)

logger = logging.getLogger(__name__)

SETTLING_PASSES = 3
WIDTH_PASSES = 2
"""After how many passes axis and drift, and the widths, are looked at again."""

PASSES_TO_FILL = 2
"""After how many passes it shows which bins the grain fills."""

HALF_PASSES = 3
"""Passes of the fit of one half of the data: the refinement after it does the rest."""

FEWEST_TO_POLISH = 6
"""Projections below which a tilt and a turning centre cannot be told apart."""

SHIFT_SMOOTHING_VOXELS = 1.5
"""Over which distance shifts that are told from μ alone are made smooth: they are less precise."""

Report = Callable[[str, int, float, NDArray[np.float32] | None], None]
"""Told after every pass: the stage, the pass, its residual, and the occupancy so far.

When a stage begins the pass is 0, the residual NaN, and there is no occupancy.
What it raises ends the work."""


@dataclass(frozen=True)
class Task:
    """What a fit works on, whichever projections it is given.

    Parameters
    ----------
    experiment
        Volume and settings.
    bins, reach
        The orientation bins, and how many of them are one step of the scan.
    support
        The voxels that may be grain.
    show_progress
        False for a silent run.
    report
        Told after every pass.
    checkpoints
        Where the state is kept while a fit runs.
    """

    experiment: Experiment
    bins: OrientationBins
    reach: int
    support: Support
    show_progress: bool = True
    report: Report | None = None
    checkpoints: Checkpoints | None = None

    def peaks(self, fit: IterativeFit) -> VoxelPeaks:
        """Orientation of every voxel of the support, as the fit has it."""
        return find_peaks(fit.volume, self.bins, self.reach, fit.columns)

    def occupancy(self, fit: IterativeFit) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Occupancy of every voxel of the support, and which belong to the grain."""
        shape = self.experiment.volume.shape
        return cut_occupancy(fit.volume.sum(axis=1), self.support.inside, shape)

    def oriented(self, fit: IterativeFit) -> tuple[OrientedVoxels, NDArray[np.bool_]]:
        """The grain as voxels of one orientation each, and which of the support they are."""
        peaks = self.peaks(fit)
        _, chosen = self.occupancy(fit)
        # Sums over this choice have one row a voxel: it must be the same everywhere.
        chosen = fit.communicator.agree(chosen & (peaks.bins >= 0))
        columns = (peaks.a_deg, peaks.b_deg, peaks.dtheta_deg)
        orientations = OrientationList(*(column[chosen].astype(float) for column in columns))
        projector = Projector(self.support.points_um[chosen], fit.projector.voxel_um)
        intensity = fit.volume.sum(axis=1, dtype=np.float64)[chosen]
        return OrientedVoxels(projector, orientations, intensity), chosen

    def refined(self, fit: IterativeFit, description: str) -> Refined:
        """Fit the orientations of the grain's voxels to the frames, from where a fit ended."""
        model = cast(ScanModel, fit.model)
        peaks = self.peaks(fit)
        voxels, chosen = self.oriented(fit)
        if len(model.projections) < FEWEST_TO_POLISH or not chosen.any():
            return Refined(model, voxels, peaks)
        place = Place(self.support.inside[chosen], self.experiment.volume.shape)
        model, voxels = refine_orientations(
            model,
            voxels,
            unknowns_of(model, self.experiment),
            place,
            description=description,
            show_progress=self.show_progress,
        )
        columns = {}
        names = ("a_deg", "b_deg", "dtheta_deg")
        for name, values in zip(names, voxels.orientations.centres_deg(), strict=True):
            columns[name] = getattr(peaks, name).copy()
            columns[name][chosen] = values
        return Refined(model, voxels, replace(peaks, **columns))


@dataclass(frozen=True)
class Refined:
    """What a refinement left.

    Parameters
    ----------
    model
        The scan, with the turning centre that was found.
    voxels
        The grain's voxels.
    peaks
        Orientation of every voxel of the support.
    """

    model: ScanModel
    voxels: OrientedVoxels
    peaks: VoxelPeaks


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
    )


def run_fit(
    model: ScanModel,
    task: Task,
    description: str,
    *,
    passes: int,
    settle: bool = False,
    stage: str = "",
    columns: NDArray[np.int64] | None = None,
) -> IterativeFit:
    """Run the passes of a fit, until the residual hardly changes.

    Parameters
    ----------
    model
        The scan.
    task
        What to fit.
    description
        The stage, for the progress bar.
    settle
        Look for the widths, the axis and the drift again after the first passes.
    passes
        How many at most.
    stage
        What its checkpoint is called; "" for the fit of all projections.
    columns
        Numbers of the bins that may be filled; all of them where None.

    Returns
    -------
    fit
        With the model that it ended with.
    """
    settings = task.experiment.settings
    fit = IterativeFit(
        model,
        task.bins,
        task.support.points_um,
        task.experiment.volume.voxel_um,
        threshold=threshold_of(model.store),
        rule=settings.algorithm,
        communicator=model.communicator,
    )
    if columns is not None:
        fit.keep_bins(columns)
    watch, finished = None, 0
    if task.checkpoints is not None:
        model = task.checkpoints.resume(stage, fit, model)
        watch, finished = task.checkpoints.watch(stage), len(fit.residuals)
    for number in range(finished + 1, passes + 1):
        before = fit.residuals[-1] if fit.residuals else np.inf
        fit.run_pass(
            f"{description} {number}", show_progress=task.show_progress, before_subset=watch
        )
        if settings.tv_weight:
            _smooth(fit, task, settings.tv_weight)
        residual = fit.residuals[-1]
        logger.info("%s %d: residual %.4f", description, number, residual)
        if task.report is not None:
            task.report(description, number, residual, _full_occupancy(fit, task))
        settling = settle and number <= min(SETTLING_PASSES, passes - 1)
        if settling:
            model = settled(model, task, task.oriented(fit)[0], widths=number <= WIDTH_PASSES)
            fit.adopt(model)
        if not settling and abs(before - residual) < settings.stop_change * residual:
            logger.info("%s: the residual has settled", description)
            break
        if PASSES_TO_FILL <= number < passes:
            fit.close_empty_bins()
    return fit


def settled(
    model: ScanModel, task: Task, voxels: OrientedVoxels, *, widths: bool = True
) -> ScanModel:
    """Improve what was not given of axis, drift and widths, from the grain as it stands.

    Parameters
    ----------
    model
        The scan as it is known so far.
    task
        Says what was given.
    voxels
        The grain as it is known so far.
    widths
        False to leave the widths alone.
    """
    allowed = Alignment.of(task.experiment)
    if allowed.any and len(model.projections) >= Alignment.FEWEST:
        model = realign(model, voxels, allowed)
    free = free_widths(model, task.experiment)
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


def _smooth(fit: IterativeFit, task: Task, weight: float) -> None:
    fit.scale(smoother_share(fit.volume, task.support.inside, task.experiment.volume, weight))


def _full_occupancy(fit: IterativeFit, task: Task) -> NDArray[np.float32]:
    """Occupancy of the whole volume, (nx, ny, nz)."""
    volume = np.zeros(task.experiment.volume.shape, np.float32)
    volume.reshape(-1)[task.support.inside], _ = task.occupancy(fit)
    return volume
