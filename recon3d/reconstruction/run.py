"""The reconstruction of a grain from a cleaned scan, from end to end."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recon3d.config.experiment import Experiment
from recon3d.errors import ParameterError, warn
from recon3d.files.grain import Grain
from recon3d.files.store import CleanedScan
from recon3d.projection.cells import cell_width
from recon3d.reconstruction.build import prepare
from recon3d.reconstruction.fit.backprojection import (
    VoxelPeaks,
    backproject_laboratory,
    backproject_sample,
    find_peaks,
)
from recon3d.reconstruction.fit.checkpoint import Checkpoints
from recon3d.reconstruction.fit.completeness import IlluminatedBits, best_cutoff, completeness
from recon3d.reconstruction.fit.passes import fit_from_coarse, occupancy_of, refined
from recon3d.reconstruction.model.checks import check_before, with_counts
from recon3d.reconstruction.model.scan_model import ScanModel
from recon3d.reconstruction.model.scanned import frames_of_bins, strain_axis, tells_shift
from recon3d.reconstruction.model.sizes import Size, seen_in, sizes_of
from recon3d.reconstruction.quality.agreement import look_at_frames, with_agreement, with_halves
from recon3d.reconstruction.quality.doubts import Case, doubts_of
from recon3d.reconstruction.quality.errors import quality_of, with_distributions, with_errors
from recon3d.reconstruction.task import Found, Report, Task, bin_deg, require_memory, task_of
from recon3d.runtime.communicator import ALONE, Communicator
from recon3d.runtime.progress import bars_shown

logger = logging.getLogger(__name__)

FEWEST_TO_HALVE = 12
"""Projections below which two halves say nothing."""


def reconstruct(
    clean: CleanedScan,
    experiment: Experiment,
    *,
    memory_gib: float = 8.0,
    show_progress: bool = True,
    report: Report | None = None,
    checkpoints: Checkpoints | None = None,
    communicator: Communicator = ALONE,
) -> Grain:
    """Reconstruct the grain: `recon3d.reconstruct`, in each process that shares it.

    `report`: called as `report(stage, number, residual, grown)` when a stage begins (number 0,
    residual NaN, grown None) and after every pass of a fit, with the occupancy and the strongest
    orientation (a, b) of the whole volume, shape (nx, ny, nz, 3). What it raises ends the
    reconstruction. `checkpoints`: where the state of an iterative fit is kept while it runs, and
    whether to go on from it. Each process of the communicator gets the grain.
    """
    settings = experiment.settings
    if (settings.method, settings.frame) == ("iterative", "lab"):
        raise ParameterError(
            "the method 'iterative' works in the sample frame only, not in 'lab': use --method "
            "backprojection for comparison"
        )
    check_before(clean, experiment)
    first = communicator.rank == 0
    if checkpoints is not None:
        checkpoints.begin(clean, experiment, communicator)
    if first and report is not None:
        report("alignment", 0, float("nan"), None)
    with bars_shown(show_progress and first), clean.kept_open() as opened:
        model, record = prepare(opened, experiment, communicator)
        work = iterated if settings.method == "iterative" else backprojected
        found = work(
            _first_task(
                model,
                experiment,
                memory_gib=memory_gib,
                report=report if first else None,
                checkpoints=checkpoints,
            )
        )
        merged, voxels = found.task.model, found.voxels
        found = _with_all_pixels(found, Size(opened, experiment, model.unknown))
        evidence = None if voxels is None else look_at_frames(merged, voxels, found.task.model)
    doubts = (*clean.doubts, *doubts_of(Case(found, record, evidence)))
    for doubt in doubts if first else ():
        warn(doubt)
    grain = with_counts(_grain(found, experiment.record() | record), clean)
    return replace(grain, doubts=doubts)


def _first_task(model: ScanModel, experiment: Experiment, **outside: Any) -> Task:
    """The task of the coarsest size; it alone holds what is kept of that size's frames."""
    coarsest, *finer = sizes_of(model, experiment)
    seen = seen_in(model, coarsest)
    return task_of(coarsest.experiment, seen, finer=tuple(finer), **outside)


def backprojected(task: Task) -> Found:
    """Backproject, in the sample frame or as the original did; cut the mask by completeness."""
    task.tell("backprojection")
    model, bins, settings = task.model, task.bins, task.experiment.settings
    illuminated = IlluminatedBits(model)
    cell_pix = cell_width(model.in_pixels(task.volume))
    # As many voxels at a time as their distributions fit into memory.
    at_a_time = max(int(task.memory_gib * 2**30 / (4 * bins.size)), 1)
    parts = []
    for start in range(0, len(task.points_um), at_a_time):
        points = task.points_um[start : start + at_a_time]
        if settings.frame == "lab":
            volume = backproject_laboratory(model, points, illuminated=illuminated)
        else:
            volume = backproject_sample(
                model, bins, points, cell_pix=cell_pix, illuminated=illuminated
            )
        parts.append(vars(find_peaks(volume, bins, task.reach)).values())
    peaks = VoxelPeaks(*map(np.concatenate, zip(*parts, strict=True)))
    share = _completeness(task, peaks, illuminated)
    cutoff = settings.completeness_cutoff
    if cutoff is None:
        cutoff = best_cutoff(model, task.points_um, share, model.in_pixels(task.volume))
        logger.info("completeness cutoff %.2f, by the lit pixels", cutoff)
    in_mask = share >= cutoff
    typical = np.median(peaks.intensity[in_mask]) if in_mask.any() else 1.0
    occupancy = (peaks.intensity / typical).astype(np.float32)
    return Found(task, occupancy, in_mask, peaks, share, record={"completeness_cutoff": cutoff})


def iterated(task: Task) -> Found:
    """Fit all orientation distributions to the frames; cut the mask by occupancy."""
    require_memory(task, task.bins.size)
    settings = task.experiment.settings
    task.tell("iteration")
    task, fit = fit_from_coarse(task, "iteration")
    task.tell("refinement")
    task, voxels, peaks = refined(task, fit, "refinement")
    occupancy, in_mask = occupancy_of(task, fit)
    found = Found(
        task,
        occupancy,
        in_mask,
        peaks,
        _completeness(task, peaks),
        voxels=voxels,
        residual=np.array(fit.residuals),
        record={"iterations": len(fit.residuals)},
    )
    found = with_agreement(with_distributions(found, fit), fit, voxels)
    columns = fit.columns
    # The distributions of the halves take its place.
    del fit
    if settings.split_half and len(task.model.projections) >= FEWEST_TO_HALVE:
        task.tell("half")
        found = with_halves(found, columns)
    return with_errors(found, voxels)


def _with_all_pixels(found: Found, whole: Size) -> Found:
    """Say what was found in the pixels of the scan as it was cleaned."""
    model = found.task.model
    times = model.store.binning.rows // whole.store.binning.rows
    if times == 1:
        return found
    model = seen_in(model, whole)
    images = {
        name: _enlarged(image, times, model.image_shape) for name, image in found.images.items()
    }
    return replace(found, task=replace(found.task, model=model), images=images)


def _enlarged(
    image: NDArray[np.float64], times: int, shape: tuple[int, int]
) -> NDArray[np.float64]:
    """An image in pixels `times` smaller, of some shape; NaN where it has none."""
    large = np.full(shape, np.nan)
    filled = image.repeat(times, axis=0).repeat(times, axis=1)
    large[: filled.shape[0], : filled.shape[1]] = filled
    return large


def _completeness(
    task: Task, peaks: VoxelPeaks, illuminated: IlluminatedBits | None = None
) -> NDArray[np.float32]:
    """Completeness of each voxel at its own orientation, its strongest bin."""
    model, bins = task.model, task.bins
    if task.experiment.settings.frame == "lab":
        frames = np.tile(np.arange(bins.size), (len(model.projections), 1))
    else:
        frames = frames_of_bins(model, bins)
    return completeness(model, task.points_um, frames, peaks.bins, bits=illuminated)


def _tells_strain(task: Task) -> bool:
    settings, store = task.experiment.settings, task.model.store
    # From μ alone only where parts of the projections agree on it.
    fitted = settings.method == "iterative" and tells_shift(store) and task.shifts is not False
    return settings.frame == "sample" and (strain_axis(store) is not None or fitted)


def _grain(found: Found, provenance: dict[str, Any]) -> Grain:
    """Spread the voxels of the support over the whole volume, with all that is known of them."""
    task, peaks, model = found.task, found.peaks, found.task.model
    maps: dict[str, NDArray[Any]] = {
        "orientation": np.stack([peaks.a_deg, peaks.b_deg], axis=1),
        "orientation_spread": peaks.spread_deg,
    }
    # Strain along G is -cot θ Δθ.
    strain_per_deg = -np.radians(1) / np.tan(np.radians(task.experiment.crystal.bragg_angle_deg))
    if _tells_strain(task):
        maps["strain"] = strain_per_deg * peaks.dtheta_deg
    if found.errors_deg is not None:
        maps["orientation_error"] = found.errors_deg[:, :2]
        if "strain" in maps:
            maps["strain_error"] = abs(strain_per_deg) * found.errors_deg[:, 2]
    if found.second_share is not None:
        maps["second_share"] = found.second_share
    if task.experiment.settings.frame == "sample":
        maps["quality"] = quality_of(found)
    inside: dict[str, Any] = {
        name: task.in_mask(values, found.in_mask) for name, values in maps.items()
    }
    return Grain(
        volume=task.volume,
        occupancy=task.fill(found.occupancy),
        mask=task.fill(found.in_mask) > 0,
        completeness=task.fill(found.completeness),
        **inside,
        residual=found.residual,
        projections={
            "omega": model.store.omega_deg[model.projections],
            "drift": model.drift_pix[model.projections] * model.pixels.size,
        }
        | _lit_part(model)
        | found.projections,
        curves=found.curves,
        images=found.images,
        provenance=provenance | _parameters(task, model) | found.record,
    )


def _lit_part(model: ScanModel) -> dict[str, NDArray[np.float64]]:
    """The part of the region that is lit in each projection; nothing where all of it always is."""
    if model.unknown is None:
        return {}
    lit = model.unknown.lit[model.projections]
    whole = (lit == [(0, 0), model.image_shape]).all()
    return {} if whole else {"lit": lit * model.pixels.size + model.pixels.corner}


def _parameters(task: Task, model: ScanModel) -> dict[str, Any]:
    """What was used, given or found, for the record."""
    settings, turning, acceptance = task.experiment.settings, model.turning, model.acceptance
    used: dict[str, Any] = {
        "method": settings.method,
        "frame": settings.frame,
        "roi": list(vars(model.store.roi).values()),
        "rotation_center": model.rotation_center,
        "turning_center": [turning.centre_mu_deg, turning.centre_gamma_deg],
        "turning_center_drift": list(model.centre_drift_deg),
        "acceptance_slope": list(np.divide(acceptance.slope_deg_per_pix, model.pixels.size)),
    }
    if settings.frame == "lab":
        return used
    return used | {
        "bin_size": bin_deg(model, task.experiment),
        "rocking_width": acceptance.rocking_width_deg,
        "rolling_width": acceptance.rolling_width_deg,
        "two_theta_width": acceptance.two_theta_width_deg,
    }
