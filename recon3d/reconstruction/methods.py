"""The ways from a prepared scan to what every voxel of the support is."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from dataclasses import fields, replace

import numpy as np
from numpy.typing import NDArray

from recon3d.errors import ParameterError, Recon3DWarning
from recon3d.experiment import Experiment
from recon3d.projection.bins import OrientationBins
from recon3d.reconstruction.backprojection import (
    VoxelPeaks,
    backproject_laboratory,
    backproject_sample,
    completeness,
    find_peaks,
)
from recon3d.reconstruction.halves import compare_halves
from recon3d.reconstruction.iterative import IterativeFit
from recon3d.reconstruction.model import ScanModel, threshold_of
from recon3d.reconstruction.prepare import Prepared
from recon3d.reconstruction.quality import dice
from recon3d.reconstruction.refine import fit_shape
from recon3d.reconstruction.support import (
    Support,
    SupportResult,
    choose_bins,
    cut_from_completeness,
    cut_occupancy,
    own_completeness,
    parameters_of,
    smooth_occupancy,
    strain_of,
    support_voxels,
)
from recon3d.reconstruction.trust import suspects
from recon3d.reconstruction.widths import estimate_widths

logger = logging.getLogger(__name__)

Report = Callable[[str, int, float, NDArray[np.float32] | None], None]
"""Told after every pass: the stage, the number of the pass, the residual, and the occupancy of
the volume. What it raises ends the work."""

FEWEST_TO_HALVE = 12
"""Projections below which two halves say nothing."""


def by_backprojection(
    prepared: Prepared,
    experiment: Experiment,
    *,
    memory_gib: float,
    show_progress: bool,
    report: Report | None = None,
) -> SupportResult:
    """Backproject in the sample frame; the mask is cut from the completeness."""
    _tell(report, "backprojection")
    model = prepared.model
    support = support_voxels(prepared, 0.5, 0, show_progress)
    points, inside = support.points_um, support.inside
    bins, reach = choose_bins(prepared, experiment)
    peaks = _in_parts(
        points,
        bins.size,
        memory_gib,
        lambda part: find_peaks(
            backproject_sample(model, bins, part, show_progress=show_progress), bins, reach
        ),
    )
    share = own_completeness(prepared, bins, points, peaks, show_progress)
    result = cut_from_completeness(
        experiment, inside, peaks, share, parameters_of(prepared, bins.step_deg)
    )
    return replace(result, strain=strain_of(prepared, experiment, peaks))


def at_laboratory_angles(
    prepared: Prepared,
    experiment: Experiment,
    *,
    memory_gib: float,
    show_progress: bool,
    report: Report | None = None,
) -> SupportResult:
    """Backproject at fixed laboratory settings, which are the bins: the original's way."""
    _tell(report, "backprojection")
    model = prepared.model
    support = support_voxels(prepared, 0.5, 0, show_progress)
    points, inside = support.points_um, support.inside
    axes = [axis.values_deg for axis in model.store.axes] + [np.zeros(1)] * 2
    bins = OrientationBins(*(axis - (axis.max() + axis.min()) / 2 for axis in axes[:3]))
    peaks = _in_parts(
        points,
        bins.size,
        memory_gib,
        lambda part: find_peaks(
            backproject_laboratory(model, part, show_progress=show_progress), bins, reach=0
        ),
    )
    same = np.tile(np.arange(bins.size), (len(model.projections), 1))
    share = completeness(model, points, same, peaks.bins, show_progress=show_progress)
    return cut_from_completeness(experiment, inside, peaks, share, {})


def by_iteration(
    prepared: Prepared,
    experiment: Experiment,
    *,
    memory_gib: float,
    show_progress: bool,
    report: Report | None = None,
) -> SupportResult:
    """Fit all orientation distributions to the frames; the mask is cut at half occupancy."""
    support = support_voxels(prepared, 0.75, 2, show_progress)
    points, inside = support.points_um, support.inside
    bins, reach = choose_bins(prepared, experiment)
    needed_gib = 8 * len(points) * bins.size / 2**30
    logger.info("%d voxels x %d bins: %.2f GiB", len(points), bins.size, needed_gib)
    if needed_gib > memory_gib:
        raise ParameterError(
            f"the distributions of {len(points)} voxels x {bins.size} bins need "
            f"{needed_gib:.1f} GiB, more than the {memory_gib:g} GiB allowed: use fewer "
            "grain_steps, a larger bin_size, or allow more memory"
        )
    _tell(report, "widths")
    prepared = _with_widths(prepared, experiment, bins, points, show_progress)
    fit = _fit(prepared.model, experiment, bins, support, "iteration", show_progress, report)
    peaks = find_peaks(fit.volume, bins, reach)
    occupancy, in_mask = cut_occupancy(fit.volume.sum(axis=1), inside, experiment.volume.shape)
    share = own_completeness(prepared, bins, points, peaks, show_progress)
    found = parameters_of(prepared, bins.step_deg) | {"iterations": len(fit.residuals)}
    strange = suspects(fit.projection_residuals)
    result = SupportResult(
        inside,
        occupancy,
        in_mask,
        peaks,
        share,
        strain=strain_of(prepared, experiment, peaks),
        residual=np.array(fit.residuals),
        projections={"residual": fit.projection_residuals, "suspect": strange.astype(float)},
        found=found,
    )
    del fit
    _warn_of_suspects(prepared.model, strange)
    if experiment.settings.split_half and len(prepared.model.projections) >= FEWEST_TO_HALVE:
        result = _with_trust(
            result, prepared, experiment, bins, support, reach, show_progress, report
        )
    return result


def _tell(report: Report | None, stage: str) -> None:
    """Say that a stage begins in which there is nothing to show yet."""
    if report is not None:
        report(stage, 0, float("nan"), None)


def _with_trust(
    result: SupportResult,
    prepared: Prepared,
    experiment: Experiment,
    bins: OrientationBins,
    support: Support,
    reach: int,
    show_progress: bool,
    report: Report | None,
) -> SupportResult:
    """Add what two halves of the data, and the summed frames alone, say of the result."""

    def fit_one(model: ScanModel) -> tuple[NDArray[np.float32], VoxelPeaks]:
        _tell(report, "half")
        fit = _fit(model, experiment, bins, support, "half", show_progress)
        return fit.volume.sum(axis=1), find_peaks(fit.volume, bins, reach)

    volume = experiment.volume
    halves = compare_halves(prepared.model, fit_one, result.inside, result.in_mask, volume)
    threshold = threshold_of(prepared.model.store)
    shape = fit_shape(prepared.model, support.points_um, volume.voxel_um, threshold)[:, 0]
    _, in_shape = cut_occupancy(shape, result.inside, volume.shape)
    shells = halves.shells
    return replace(
        result,
        curves={
            "fsc_frequency": shells.frequency_per_um,
            "fsc": shells.correlation,
            "fsc_threshold": shells.threshold,
        },
        found=result.found
        | {
            "resolution_nm": shells.resolution_nm,
            "precision_mdeg": halves.precision_mdeg,
            "shape_check_dice": dice(in_shape, result.in_mask),
        },
    )


def _warn_of_suspects(model: ScanModel, strange: NDArray[np.bool_]) -> None:
    if strange.any():
        angles = ", ".join(f"{model.omega_deg(int(k)):.2f}" for k in model.projections[strange])
        warnings.warn(
            f"the grain does not explain the projections at ω = {angles}° as it does the others "
            "(another grain passing, or the beam lost?): omega_exclude leaves them out",
            Recon3DWarning,
            stacklevel=2,
        )


def _fit(
    model: ScanModel,
    experiment: Experiment,
    bins: OrientationBins,
    support: Support,
    description: str,
    show_progress: bool,
    report: Report | None = None,
) -> IterativeFit:
    """Run the passes of a fit, until the residual hardly changes."""
    settings = experiment.settings
    fit = IterativeFit(
        model,
        bins,
        support.points_um,
        experiment.volume.voxel_um,
        threshold=threshold_of(model.store),
        rule=settings.algorithm,
    )
    for number in range(1, settings.iterations + 1):
        before = fit.residuals[-1] if fit.residuals else np.inf
        fit.run_pass(f"{description} {number}", show_progress=show_progress)
        if settings.tv_weight:
            smooth_occupancy(fit.volume, support.inside, experiment.volume, settings.tv_weight)
        residual = fit.residuals[-1]
        logger.info("%s %d: residual %.4f", description, number, residual)
        if report is not None:
            shape, intensity = experiment.volume.shape, fit.volume.sum(axis=1)
            occupancy = np.zeros(shape, np.float32)
            occupancy.flat[support.inside] = cut_occupancy(intensity, support.inside, shape)[0]
            report(description, number, residual, occupancy)
        if abs(before - residual) < settings.stop_change * residual:
            logger.info("%s: the residual has settled", description)
            break
    return fit


def _with_widths(
    prepared: Prepared,
    experiment: Experiment,
    bins: OrientationBins,
    points_um: NDArray[np.float64],
    show_progress: bool,
) -> Prepared:
    """Find the widths of the instrument that are not given."""
    model = prepared.model
    free = tuple(
        name
        for name in ("rocking_width_deg", "rolling_width_deg", "two_theta_width_deg")
        if getattr(experiment.settings, name) is None
        and np.isfinite(getattr(model.acceptance, name))
    )
    if not free:
        return prepared
    acceptance = estimate_widths(
        model,
        bins,
        points_um,
        experiment.volume,
        threshold_of(model.store),
        free,
        show_progress=show_progress,
    )
    return replace(prepared, model=replace(model, acceptance=acceptance))


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
