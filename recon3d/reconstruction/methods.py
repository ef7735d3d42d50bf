"""The ways from a prepared scan to what every voxel of the support is."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from recon3d.config.experiment import Experiment
from recon3d.errors import ParameterError
from recon3d.projection.bins import OrientationBins
from recon3d.projection.cells import cell_width
from recon3d.reconstruction.build import Prepared
from recon3d.reconstruction.fit.backprojection import (
    VoxelPeaks,
    backproject_laboratory,
    backproject_sample,
    find_peaks,
)
from recon3d.reconstruction.fit.checkpoint import Checkpoints
from recon3d.reconstruction.fit.completeness import IlluminatedBits, completeness
from recon3d.reconstruction.fit.passes import Report, Task, run_fit
from recon3d.reconstruction.fit.support import (
    SupportResult,
    choose_bins,
    cut_from_completeness,
    own_completeness,
    parameters_of,
    strain_of,
    support_voxels,
)
from recon3d.reconstruction.quality.shell_correlation import with_agreement, with_halves

logger = logging.getLogger(__name__)

FEWEST_TO_HALVE = 12
"""Projections below which two halves say nothing."""


@dataclass(frozen=True)
class Options:
    """How a reconstruction is run, whatever it is of.

    Parameters
    ----------
    memory_gib
        What the orientation distributions may take.
    show_progress
        False for a silent run.
    report
        Told after every pass of a fit.
    checkpoints
        Where the state of a fit is kept while it runs.
    """

    memory_gib: float = 8.0
    show_progress: bool = True
    report: Report | None = None
    checkpoints: Checkpoints | None = None

    def tell(self, stage: str) -> None:
        """Say that a stage begins in which there is nothing to show yet."""
        if self.report is not None:
            self.report(stage, 0, float("nan"), None)


def by_backprojection(
    prepared: Prepared, experiment: Experiment, options: Options
) -> SupportResult:
    """Backproject in the sample frame; the mask is cut from the completeness."""
    options.tell("backprojection")
    model = prepared.model
    support = support_voxels(prepared, 0.5, 0, options.show_progress)
    points, inside = support.points_um, support.inside
    bins, reach = choose_bins(prepared, experiment)
    cell_pix, illuminated = cell_width(model.in_pixels(experiment.volume)), IlluminatedBits(model)
    peaks = _in_parts(
        points,
        bins.size,
        options.memory_gib,
        lambda part: find_peaks(
            backproject_sample(
                model,
                bins,
                part,
                cell_pix=cell_pix,
                illuminated=illuminated,
                show_progress=options.show_progress,
            ),
            bins,
            reach,
        ),
    )
    share = own_completeness(prepared, bins, points, peaks, options.show_progress, illuminated)
    result = cut_from_completeness(
        experiment, model, inside, peaks, share, parameters_of(prepared, bins.step_deg)
    )
    return replace(result, strain=strain_of(prepared, experiment, peaks))


def at_laboratory_angles(
    prepared: Prepared, experiment: Experiment, options: Options
) -> SupportResult:
    """Backproject at fixed laboratory settings, which are the bins: the original's way."""
    options.tell("backprojection")
    model = prepared.model
    support = support_voxels(prepared, 0.5, 0, options.show_progress)
    points, inside = support.points_um, support.inside
    axes = [axis.values_deg for axis in model.store.axes] + [np.zeros(1)] * 2
    bins = OrientationBins(*(axis - (axis.max() + axis.min()) / 2 for axis in axes[:3]))
    illuminated = IlluminatedBits(model)
    peaks = _in_parts(
        points,
        bins.size,
        options.memory_gib,
        lambda part: find_peaks(
            backproject_laboratory(
                model, part, illuminated=illuminated, show_progress=options.show_progress
            ),
            bins,
            reach=0,
        ),
    )
    same = np.tile(np.arange(bins.size), (len(model.projections), 1))
    share = completeness(
        model, points, same, peaks.bins, bits=illuminated, show_progress=options.show_progress
    )
    return cut_from_completeness(experiment, model, inside, peaks, share, {})


def by_iteration(prepared: Prepared, experiment: Experiment, options: Options) -> SupportResult:
    """Fit all orientation distributions to the frames; the mask is cut at half occupancy."""
    support = support_voxels(prepared, 0.75, 2, options.show_progress)
    bins, reach = choose_bins(prepared, experiment)
    _check_memory(len(support.inside), bins.size, options.memory_gib)
    task = Task(
        experiment,
        bins,
        reach,
        support,
        options.show_progress,
        options.report,
        options.checkpoints,
    )
    passes = experiment.settings.iterations
    fit = run_fit(prepared.model, task, "iteration", settle=True, passes=passes)
    options.tell("refinement")
    refined = task.refined(fit, "refinement")
    prepared = replace(prepared, model=refined.model)
    peaks = refined.peaks
    occupancy, in_mask = task.occupancy(fit)
    result = SupportResult(
        refined.model,
        support.inside,
        occupancy,
        in_mask,
        peaks,
        own_completeness(prepared, bins, support.points_um, peaks, options.show_progress),
        strain=strain_of(prepared, experiment, peaks),
        residual=np.array(fit.residuals),
        found=parameters_of(prepared, bins.step_deg) | {"iterations": len(fit.residuals)},
    )
    result = with_agreement(result, fit, refined.voxels)
    columns = fit.columns
    del fit
    if experiment.settings.split_half and len(prepared.model.projections) >= FEWEST_TO_HALVE:
        options.tell("half")
        result = with_halves(result, task, columns)
    return result


def _check_memory(voxels: int, bins: int, memory_gib: float) -> None:
    needed_gib = 8 * voxels * bins / 2**30
    logger.info("%d voxels x %d bins: %.2f GiB", voxels, bins, needed_gib)
    if needed_gib > memory_gib:
        raise ParameterError(
            f"the distributions of {voxels} voxels x {bins} bins need {needed_gib:.1f} GiB, more "
            f"than the {memory_gib:g} GiB allowed: use fewer grain_steps, a larger bin_size, or "
            "allow more memory"
        )


METHODS = {
    ("backprojection", "sample"): by_backprojection,
    ("backprojection", "lab"): at_laboratory_angles,
    ("iterative", "sample"): by_iteration,
}
"""Each method by its name and frame."""


def _in_parts(
    points_um: NDArray[np.float64],
    bins: int,
    memory_gib: float,
    peaks_of: Callable[[NDArray[np.float64]], VoxelPeaks],
) -> VoxelPeaks:
    """Work on as many voxels at a time as their distributions fit into memory."""
    at_a_time = max(int(memory_gib * 2**30 / (4 * bins)), 1)
    starts = range(0, len(points_um), at_a_time)
    parts = [peaks_of(points_um[start : start + at_a_time]) for start in starts]
    columns = [[getattr(part, column.name) for part in parts] for column in fields(VoxelPeaks)]
    return VoxelPeaks(*(np.concatenate(column) for column in columns))
