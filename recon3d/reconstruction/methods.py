"""The ways from a prepared scan to what every voxel of the support is."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from recon3d.errors import DataError, ParameterError
from recon3d.experiment import Experiment
from recon3d.projection.bins import OrientationBins
from recon3d.reconstruction.backprojection import (
    VoxelPeaks,
    backproject_laboratory,
    backproject_sample,
    completeness,
    find_peaks,
    find_support,
    frames_of_bins,
)
from recon3d.reconstruction.iterative import MaximumLikelihood
from recon3d.reconstruction.model import orientation_bins, setting_steps_deg, strain_axis
from recon3d.reconstruction.prepare import Prepared

logger = logging.getLogger(__name__)

SMOOTHING_VOXELS = 0.7
"""Standard deviation with which the occupancy is smoothed before it is cut at one half."""


@dataclass(frozen=True)
class SupportResult:
    """What a method says of the voxels of the support.

    Parameters
    ----------
    inside, shape (voxels,)
        Numbers of the voxels in the volume, in C order.
    occupancy
        How much of each voxel scatters, 1 for a typical inner voxel.
    in_mask
        Which of them belong to the grain.
    peaks
        Orientation, spread and strongest bin.
    completeness
        Share of the projections in which the voxel's own frame is lit.
    strain
        Along **G**; None where it was not scanned.
    residual, shape (passes,)
        What is left unexplained; empty where nothing was fitted.
    found
        Parameters of the method, for the record.
    """

    inside: NDArray[np.int64]
    occupancy: NDArray[np.float32]
    in_mask: NDArray[np.bool_]
    peaks: VoxelPeaks
    completeness: NDArray[np.float32]
    strain: NDArray[np.float64] | None = None
    residual: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    found: dict[str, Any] = field(default_factory=dict)


def by_backprojection(
    prepared: Prepared, experiment: Experiment, *, memory_gib: float, show_progress: bool
) -> SupportResult:
    """Backproject in the sample frame; the mask is cut from the completeness."""
    model, points, inside = prepared.model, *_support(prepared, 0.5, 0, show_progress)
    bins, reach = _bins(prepared, experiment)
    peaks = _in_parts(
        points,
        bins.size,
        memory_gib,
        lambda part: find_peaks(
            backproject_sample(model, bins, part, show_progress=show_progress), bins, reach
        ),
    )
    share = _own_completeness(prepared, bins, points, peaks, show_progress)
    result = _cut_from_completeness(
        experiment, inside, peaks, share, _parameters(prepared, bins.step_deg)
    )
    return replace(result, strain=_strain(prepared, experiment, peaks))


def at_laboratory_angles(
    prepared: Prepared, experiment: Experiment, *, memory_gib: float, show_progress: bool
) -> SupportResult:
    """Backproject at fixed laboratory settings, which are the bins: the original's way."""
    model, points, inside = prepared.model, *_support(prepared, 0.5, 0, show_progress)
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
    return _cut_from_completeness(experiment, inside, peaks, share, {})


def by_iteration(
    prepared: Prepared, experiment: Experiment, *, memory_gib: float, show_progress: bool
) -> SupportResult:
    """Fit all orientation distributions to the frames; the mask is cut at half occupancy."""
    model, points, inside = prepared.model, *_support(prepared, 0.75, 2, show_progress)
    bins, reach = _bins(prepared, experiment)
    needed_gib = 8 * len(points) * bins.size / 2**30
    logger.info("%d voxels x %d bins: %.2f GiB", len(points), bins.size, needed_gib)
    if needed_gib > memory_gib:
        raise ParameterError(
            f"the distributions of {len(points)} voxels x {bins.size} bins need "
            f"{needed_gib:.1f} GiB, more than the {memory_gib:g} GiB allowed: use fewer "
            "grain_steps, a larger bin_size, or allow more memory"
        )
    fit = MaximumLikelihood(
        model,
        bins,
        points,
        experiment.volume.voxel_um,
        threshold=float(model.store.provenance["cleaning"]["binth"]),
    )
    passes = experiment.settings.iterations
    for number in range(1, passes + 1):
        fit.run_pass(f"iteration {number}/{passes}", show_progress=show_progress)
        logger.info("iteration %d: residual %.4f", number, fit.residuals[-1])
    peaks = find_peaks(fit.volume, bins, reach)
    occupancy, in_mask = cut_occupancy(fit.volume.sum(axis=1), inside, experiment.volume.shape)
    share = _own_completeness(prepared, bins, points, peaks, show_progress)
    found = _parameters(prepared, bins.step_deg) | {
        "iterations": passes,
        "projection_residual": fit.projection_residuals.tolist(),
    }
    return SupportResult(
        inside,
        occupancy,
        in_mask,
        peaks,
        share,
        _strain(prepared, experiment, peaks),
        np.array(fit.residuals),
        found,
    )


METHODS = {
    ("backprojection", "sample"): by_backprojection,
    ("backprojection", "lab"): at_laboratory_angles,
    ("iterative", "sample"): by_iteration,
}
"""Each method by its name and frame."""


def cut_occupancy(
    intensity: NDArray[np.floating[Any]],
    inside: NDArray[np.int64],
    shape: tuple[int, int, int],
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Scale intensities so that a typical inner voxel is 1, and cut the smoothed ones at 0.5.

    Parameters
    ----------
    intensity, shape (voxels,)
        Total intensity of each voxel of the support.
    inside, shape (voxels,)
        Their numbers in the volume.
    shape
        Shape of the volume.

    Returns
    -------
    occupancy, shape (voxels,)
        The scaled intensity, not smoothed.
    in_mask, shape (voxels,)
        Where the smoothed occupancy is 0.5 or more.
    """
    volume = np.zeros(shape)
    volume.reshape(-1)[inside] = intensity
    smooth = gaussian_filter(volume, SMOOTHING_VOXELS, mode="constant").reshape(-1)[inside]
    inner = smooth > 0.5 * np.percentile(smooth, 90)
    typical = np.median(smooth[inner]) if inner.any() else 1.0
    return (intensity / typical).astype(np.float32), smooth >= 0.5 * typical


def _support(
    prepared: Prepared, share: float, margin_pix: int, show_progress: bool
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Points and numbers of the voxels that are lit often enough to be worth the work."""
    found = find_support(
        prepared.model, prepared.points_um, share, margin_pix, show_progress=show_progress
    )
    inside = np.flatnonzero(found)
    if inside.size == 0:
        raise DataError(
            f"{prepared.model.store.path}: no voxel of the volume is lit in {share:.0%} of the "
            "projections: are grain_pos, grain_dim, M and rotation_center those of this scan?"
        )
    return prepared.points_um[inside], inside


def _bins(prepared: Prepared, experiment: Experiment) -> tuple[OrientationBins, int]:
    """Orientation bins, and the reach of one step of the scan among them."""
    step = experiment.settings.bin_deg or prepared.step_deg / 2
    return orientation_bins(prepared.model, step), max(round(prepared.step_deg / step), 1)


def _own_completeness(
    prepared: Prepared,
    bins: OrientationBins,
    points_um: NDArray[np.float64],
    peaks: VoxelPeaks,
    show_progress: bool,
) -> NDArray[np.float32]:
    model = prepared.model
    steps = setting_steps_deg(model.store)
    # A setting further than this from every frame lies outside the scan.
    frames = frames_of_bins(model, bins, (0.75 * steps[0], 0.75 * steps[1], np.inf))
    return completeness(model, points_um, frames, peaks.bins, show_progress=show_progress)


def _cut_from_completeness(
    experiment: Experiment,
    inside: NDArray[np.int64],
    peaks: VoxelPeaks,
    share: NDArray[np.float32],
    found: dict[str, Any],
) -> SupportResult:
    cutoff = experiment.settings.completeness_cutoff
    in_mask = share >= cutoff
    typical = np.median(peaks.intensity[in_mask]) if in_mask.any() else 1.0
    occupancy = (peaks.intensity / typical).astype(np.float32)
    found = found | {"completeness_cutoff": cutoff}
    return SupportResult(inside, occupancy, in_mask, peaks, share, found=found)


def _strain(
    prepared: Prepared, experiment: Experiment, peaks: VoxelPeaks
) -> NDArray[np.float64] | None:
    """Strain along **G**, -cot θ Δθ; None where it was not scanned."""
    if strain_axis(prepared.model.store) is None:
        return None
    theta = np.radians(experiment.crystal.bragg_angle_deg)
    return -np.radians(peaks.dtheta_deg) / np.tan(theta)


def _parameters(prepared: Prepared, bin_deg: float) -> dict[str, Any]:
    acceptance = prepared.model.acceptance
    return {
        "bin_size": bin_deg,
        "rocking_width": acceptance.rocking_width_deg,
        "rolling_width": acceptance.rolling_width_deg,
        "two_theta_width": acceptance.two_theta_width_deg,
    }


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
