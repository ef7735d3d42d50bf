"""What a reconstruction works on (`Task`), and what it finds (`Found`)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from recon3d.config.experiment import Experiment
from recon3d.config.volume import Volume
from recon3d.errors import DataError, ParameterError
from recon3d.projection.operator import voxel_centres_um
from recon3d.projection.oriented_voxels import OrientedVoxels
from recon3d.projection.weights import OrientationBins
from recon3d.reconstruction.fit.backprojection import VoxelPeaks
from recon3d.reconstruction.fit.checkpoint import Checkpoints
from recon3d.reconstruction.fit.completeness import find_support
from recon3d.reconstruction.model.scan_model import ScanModel
from recon3d.reconstruction.model.scanned import (
    bright_counts,
    orientation_bins,
    setting_steps_deg,
    threshold_of,
)
from recon3d.reconstruction.model.sizes import Coarse, Size

logger = logging.getLogger(__name__)

SMOOTHING_VOXELS = 0.7
"""Standard deviation with which the occupancy is smoothed before it is cut."""

CUT = 0.446
CUT_OF_DARK = 0.38
LEAST_CUT = 0.25
"""Smoothed occupancy from which a voxel is grain, and by how much less where more is made dark. It
keeps the volume of planted grains: a fit gives voxels of the rim some 0.7 of their share, and less
in a weak grain, of which cleaning makes pixels dark that hold less than its threshold."""

Report = Callable[[str, int, float, NDArray[np.float32] | None], None]
"""Told after every pass: the stage, the pass, its residual, and the occupancy so far.

When a stage begins the pass is 0, the residual NaN, and there is no occupancy.
What it raises ends the work."""


@dataclass(frozen=True)
class Task:
    """What a reconstruction works on, whichever projections it is given."""

    experiment: Experiment  # volume and settings
    model: ScanModel  # the scan, as far as it is known; it holds the communicator
    # (voxels,): numbers of the voxels that may be grain, the support, in the volume
    inside: NDArray[np.int64]
    points_um: NDArray[np.float64]  # (voxels, 3): their centres
    bins: OrientationBins
    reach: int  # how many of the orientation bins are one step of the scan
    memory_gib: float = 8.0  # what the orientation distributions may take
    report: Report | None = None  # told of every stage and every pass
    checkpoints: Checkpoints | None = None  # where the state of a fit is kept while it runs
    # whether the refinement of all projections went from coarse to fine, as those of parts of them
    # are to do; None where it is not known
    bent: bool | None = None
    shifts: bool | None = None  # whether it found shifts Δθ from μ alone, likewise
    finer: tuple[Size, ...] = ()  # the sizes of voxels and pixels that are still to come
    # what was found with larger voxels, for a fit to begin with; None for nothing
    coarse: Coarse | None = None
    dark: float = 0.0  # counts that cleaning makes dark, as a share of bright ones

    @property
    def cut(self) -> float:
        """Smoothed occupancy from which a voxel belongs to the grain."""
        return max(CUT - CUT_OF_DARK * self.dark, LEAST_CUT)

    @property
    def volume(self) -> Volume:
        """The box of voxels."""
        return self.experiment.volume

    def tell(self, stage: str) -> None:
        """Say that a stage begins in which there is nothing to show yet."""
        if self.report is not None:
            self.report(stage, 0, float("nan"), None)

    def fill(self, values: NDArray[Any], empty: float = 0.0) -> NDArray[np.float32]:
        """Spread what is known of the voxels of the support over the whole volume."""
        full = np.full((*self.volume.shape, *values.shape[1:]), empty, np.float32)
        full.reshape(-1, *values.shape[1:])[self.inside] = values
        return full

    def shown(self, values: NDArray[Any]) -> NDArray[np.float32]:
        """The same over the voxels that are wanted in the end, each like its larger voxel now."""
        full = self.fill(values)
        if self.finer:
            wanted = self.finer[-1].experiment.volume.shape
            times = -(-wanted[0] // full.shape[0])
            for axis in range(3):
                full = full.repeat(times, axis=axis)
            full = full[: wanted[0], : wanted[1], : wanted[2]]
        return full

    def in_mask(self, values: NDArray[Any], mask: NDArray[np.bool_]) -> NDArray[np.float32]:
        """The same, with NaN for the voxels that do not belong to the grain."""
        return self.fill(
            np.where(np.expand_dims(mask, tuple(range(1, values.ndim))), values, np.nan), np.nan
        )


@dataclass(frozen=True)
class Found:
    """What a method says of the voxels of the support; None stands for what is not known."""

    task: Task  # what was worked on, with the scan as it was modelled in the end
    occupancy: NDArray[np.float32]  # how much of each voxel scatters, 1 for a typical inner voxel
    in_mask: NDArray[np.bool_]  # which of them belong to the grain
    peaks: VoxelPeaks  # orientation, spread and strongest bin
    # share of the projections in which the voxel's own frame is lit
    completeness: NDArray[np.float32]
    # the grain as voxels of one orientation each, as the refinement left them
    voxels: OrientedVoxels | None = None
    errors_deg: NDArray[np.float64] | None = None  # (voxels, 3): standard deviations of a, b and Δθ
    # share of a voxel's intensity that has another orientation
    second_share: NDArray[np.float32] | None = None
    # (passes,): what is left unexplained; empty where nothing was fitted
    residual: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    # what is known of each projection that was used, by its name
    projections: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    # that tell how far the result can be trusted, by their names
    curves: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    # what is known of each pixel of the (oriented) detector, by its name
    images: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    # what else was used or found, for the record
    record: dict[str, Any] = field(default_factory=dict)


def task_of(experiment: Experiment, model: ScanModel, **outside: Any) -> Task:
    """Choose the voxels and the orientation bins that a scan is worth working on.

    `outside`: limit of memory, report and checkpoints, as of a `Task`. Raises a DataError where no
    voxel is lit often enough.
    """
    # A fit may empty a voxel again, so it is given more of them.
    fitted = experiment.settings.method == "iterative"
    share, margin_pix = (0.75, 2) if fitted else (0.5, 0)
    inside, points = support_of(model, experiment.volume, share, margin_pix)
    if inside.size == 0:
        raise DataError(
            f"{model.store.path}: no voxel of the volume is lit in {share:.0%} of the "
            "projections: are grain_pos, grain_dim, M and rotation_center those of this scan?"
        )
    if fitted and not np.ptp(points[:, [0, 2]], axis=0).any():
        raise DataError(
            f"{model.store.path}: the grain is one voxel wide along x and z, in which no field of "
            "orientations can be fitted: are grain_dim and grain_steps right?"
        )
    bins, reach = _choose_bins(experiment, model)
    dark = threshold_of(model.store) / bright_counts(model) if fitted else 0.0
    return Task(experiment, model, inside, points, bins, reach, dark=dark, **outside)


def support_of(
    model: ScanModel,
    volume: Volume,
    share: float,
    margin_pix: int,
    near: NDArray[np.bool_] | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Numbers and centres of the voxels that may be grain, as `find_support` tells; of some."""
    points = voxel_centres_um(volume)
    inside = np.arange(len(points)) if near is None else np.flatnonzero(near)
    inside = inside[find_support(model, points[inside], share, margin_pix)]
    # Layer by layer along the rotation axis: at every ω the voxels of a layer fall on few rows
    # of the detector, which then stay in the processor's cache.
    inside = inside[np.argsort(points[inside, 1], kind="stable")]
    return inside, points[inside]


def require_memory(task: Task, bins: int) -> None:
    """Refuse distributions that need more memory than is allowed, and say what would fit."""
    voxels = len(task.inside)
    needed_gib = 8 * voxels * bins / 2**30
    logger.info("%d voxels x %d bins: %.2f GiB", voxels, bins, needed_gib)
    if needed_gib > task.memory_gib:
        fits = int(max(task.volume.shape) * (task.memory_gib / needed_gib) ** (1 / 3))
        raise ParameterError(
            f"the distributions of {voxels} voxels x {bins} bins need {needed_gib:.3g} GiB, more "
            f"than the {task.memory_gib:g} GiB allowed: use fewer grain_steps (about {fits} would "
            "fit), a larger bin_size, or allow more memory"
        )


def bin_deg(model: ScanModel, experiment: Experiment) -> float:
    """Distance of the orientation bins: half a step of the scan, unless it is given."""
    return experiment.settings.bin_deg or min(setting_steps_deg(model.store)) / 2


def _choose_bins(experiment: Experiment, model: ScanModel) -> tuple[OrientationBins, int]:
    """Orientation bins, and how many of them are one step of the scan."""
    if experiment.settings.frame == "lab":
        # There the settings of the frames are the bins.
        axes = [axis.values_deg for axis in model.store.axes] + [np.zeros(1)] * 2
        return OrientationBins(*(axis - (axis.max() + axis.min()) / 2 for axis in axes[:3])), 0
    step = bin_deg(model, experiment)
    bins = model.communicator.agree(orientation_bins(model, step))
    return bins, max(round(min(setting_steps_deg(model.store)) / step), 1)


def smoothed(task: Task, values: NDArray[Any], width_voxels: float) -> NDArray[np.float64]:
    """What is known of the voxels of the support, (voxels,), smoothed over the volume."""
    volume = np.zeros(task.volume.shape)
    volume.reshape(-1)[task.inside] = values
    smooth: NDArray[np.float64] = gaussian_filter(volume, width_voxels, mode="constant")
    return smooth.reshape(-1)[task.inside]


def cut_occupancy(
    task: Task, intensity: NDArray[np.floating[Any]]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Scale intensities so that a typical inner voxel is 1, and cut the smoothed ones.

    `intensity`, (voxels,): total intensity of each of them. Returns the scaled intensity, not
    smoothed, and where the smoothed occupancy is no less than the task's cut.
    """
    smooth = smoothed(task, intensity, SMOOTHING_VOXELS)
    inner = smooth > 0.5 * np.percentile(smooth, 90)
    typical = np.median(smooth[inner]) if inner.any() else 1.0
    return (intensity / typical).astype(np.float32), smooth >= task.cut * typical


def smoother_share(
    distributions: NDArray[np.float32], inside: NDArray[np.int64], volume: Volume, weight: float
) -> NDArray[np.float32]:
    """By how much to scale each distribution so that their sums have less total variation.

    By Chambolle 2004, J. Math. Imaging Vis. 20, 89: faces stay sharp while noise goes. `weight`:
    strength, as a share of a typical voxel's occupancy.
    """
    # Slow to import, and seldom wanted.
    from skimage.restoration import denoise_tv_chambolle

    intensity = distributions.sum(axis=1)
    typical = float(np.percentile(intensity, 90))
    full = np.zeros(volume.shape)
    full.reshape(-1)[inside] = intensity / typical
    smooth = denoise_tv_chambolle(full, weight=weight).reshape(-1)[inside]
    share = np.maximum(smooth, 1e-6) / np.maximum(intensity / typical, 1e-6)
    return share.astype(np.float32)
