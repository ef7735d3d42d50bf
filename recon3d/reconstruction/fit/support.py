"""What is known of the voxels of the support, and what every method does alike with them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from recon3d.config.experiment import Experiment
from recon3d.config.volume import Volume
from recon3d.errors import DataError
from recon3d.projection.bins import OrientationBins
from recon3d.reconstruction.build import Prepared
from recon3d.reconstruction.fit.backprojection import VoxelPeaks
from recon3d.reconstruction.fit.completeness import IlluminatedBits, completeness, find_support
from recon3d.reconstruction.model.scan_model import ScanModel
from recon3d.reconstruction.model.scanned import (
    frames_of_bins,
    orientation_bins,
    strain_axis,
    tells_shift,
)

SMOOTHING_VOXELS = 0.7
"""Standard deviation with which the occupancy is smoothed before it is cut at one half."""


@dataclass(frozen=True)
class Support:
    """The voxels that may be grain.

    Parameters
    ----------
    points_um, shape (voxels, 3)
        Their centres.
    inside, shape (voxels,)
        Their numbers in the volume, in C order.
    """

    points_um: NDArray[np.float64]
    inside: NDArray[np.int64]


@dataclass(frozen=True)
class SupportResult:
    """What a method says of the voxels of the support.

    Parameters
    ----------
    model
        The scan as it was modelled in the end.
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
    projections
        What is known of each projection that was used, by its name.
    curves
        Curves that tell how far the result can be trusted, by their names.
    images
        What is known of each pixel of the (oriented) detector, by its name.
    found
        Parameters of the method, for the record.
    """

    model: ScanModel
    inside: NDArray[np.int64]
    occupancy: NDArray[np.float32]
    in_mask: NDArray[np.bool_]
    peaks: VoxelPeaks
    completeness: NDArray[np.float32]
    strain: NDArray[np.float64] | None = None
    residual: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    projections: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    curves: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    images: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    found: dict[str, Any] = field(default_factory=dict)


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


def support_voxels(
    prepared: Prepared, share: float, margin_pix: int, show_progress: bool
) -> Support:
    """Find the voxels that are lit often enough to be worth the work."""
    found = prepared.supports.get((share, margin_pix))
    if found is None:
        model, points = prepared.model, prepared.points_um
        found = find_support(model, points, share, margin_pix, show_progress=show_progress)
    inside = np.flatnonzero(found)
    # Layer by layer along the rotation axis: at every ω the voxels of a layer fall on few rows
    # of the detector, which then stay in the processor's cache.
    inside = inside[np.argsort(prepared.points_um[inside, 1], kind="stable")]
    if inside.size == 0:
        raise DataError(
            f"{prepared.model.store.path}: no voxel of the volume is lit in {share:.0%} of the "
            "projections: are grain_pos, grain_dim, M and rotation_center those of this scan?"
        )
    return Support(prepared.points_um[inside], inside)


def choose_bins(prepared: Prepared, experiment: Experiment) -> tuple[OrientationBins, int]:
    """Orientation bins, and the reach of one step of the scan among them."""
    step = experiment.settings.bin_deg or prepared.step_deg / 2
    bins = prepared.model.communicator.agree(orientation_bins(prepared.model, step))
    return bins, max(round(prepared.step_deg / step), 1)


def own_completeness(
    prepared: Prepared,
    bins: OrientationBins,
    points_um: NDArray[np.float64],
    peaks: VoxelPeaks,
    show_progress: bool,
    illuminated: IlluminatedBits | None = None,
) -> NDArray[np.float32]:
    """Completeness of each voxel at its own orientation, its strongest bin."""
    model = prepared.model
    frames = frames_of_bins(model, bins)
    return completeness(
        model, points_um, frames, peaks.bins, bits=illuminated, show_progress=show_progress
    )


def cut_from_completeness(
    experiment: Experiment,
    model: ScanModel,
    inside: NDArray[np.int64],
    peaks: VoxelPeaks,
    share: NDArray[np.float32],
    found: dict[str, Any],
) -> SupportResult:
    """Take the voxels whose completeness reaches the cutoff as the grain."""
    cutoff = experiment.settings.completeness_cutoff
    in_mask = share >= cutoff
    typical = np.median(peaks.intensity[in_mask]) if in_mask.any() else 1.0
    occupancy = (peaks.intensity / typical).astype(np.float32)
    found = found | {"completeness_cutoff": cutoff}
    return SupportResult(model, inside, occupancy, in_mask, peaks, share, found=found)


def strain_of(
    prepared: Prepared, experiment: Experiment, peaks: VoxelPeaks
) -> NDArray[np.float64] | None:
    """Strain along **G**, -cot θ Δθ; None where the scan does not tell it."""
    store = prepared.model.store
    fitted = experiment.settings.method == "iterative" and tells_shift(store)
    if strain_axis(store) is None and not fitted:
        return None
    theta = np.radians(experiment.crystal.bragg_angle_deg)
    return -np.radians(peaks.dtheta_deg) / np.tan(theta)


def parameters_of(prepared: Prepared, bin_deg: float) -> dict[str, Any]:
    """Name the bins and widths that were used, for the record."""
    acceptance = prepared.model.acceptance
    return {
        "bin_size": bin_deg,
        "rocking_width": acceptance.rocking_width_deg,
        "rolling_width": acceptance.rolling_width_deg,
        "two_theta_width": acceptance.two_theta_width_deg,
    }


def smoother_share(
    distributions: NDArray[np.float32],
    inside: NDArray[np.int64],
    volume: Volume,
    weight: float,
) -> NDArray[np.float32]:
    """By how much to scale each distribution so that their sums have less total variation.

    Total variation by Chambolle 2004, J. Math. Imaging Vis. 20, 89: faces stay sharp while
    noise goes. What every voxel's distribution looks like is left alone.

    Parameters
    ----------
    distributions, shape (voxels, bins)
        Orientation distributions of the support's voxels.
    inside, shape (voxels,)
        Their numbers in the volume.
    volume
        The voxels.
    weight
        Strength, as a share of a typical voxel's occupancy.

    Returns
    -------
    share, shape (voxels,)
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
