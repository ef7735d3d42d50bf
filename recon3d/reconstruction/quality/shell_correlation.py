"""What a fit says of itself: how well it predicts the data, and how well two halves agree."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter

from recon3d.config.volume import Volume
from recon3d.errors import warn
from recon3d.projection.oriented import OrientedVoxels
from recon3d.reconstruction.fit.alignment import fit_shape, sum_residuals
from recon3d.reconstruction.fit.backprojection import VoxelPeaks
from recon3d.reconstruction.fit.iterative import IterativeFit, relative
from recon3d.reconstruction.fit.passes import HALF_PASSES, Task, run_fit
from recon3d.reconstruction.fit.support import SupportResult, cut_occupancy
from recon3d.reconstruction.model.scan_model import ScanModel
from recon3d.reconstruction.model.scanned import threshold_of
from recon3d.reconstruction.quality.truth import dice


def with_agreement(
    result: SupportResult, fit: IterativeFit, voxels: OrientedVoxels
) -> SupportResult:
    """Add how well each projection and each pixel is predicted, and which ones stand out.

    Parameters
    ----------
    result
        What was found.
    fit
        The fit that it comes from.
    voxels
        The grain as voxels of one orientation each, whose summed frames are compared too.
    """
    model = result.model
    of_sums = sum_residuals(model, voxels)
    strange = suspects(fit.projection_residuals)
    _warn_of_suspects(model, strange)
    return replace(
        result,
        projections=result.projections
        | {
            "residual": fit.projection_residuals,
            "sum_residual": of_sums,
            "suspect": strange.astype(float),
        },
        images=result.images | {"residual": relative(*np.moveaxis(fit.pixel_sums, -1, 0))},
        found=result.found | {"sum_residual": float(np.median(of_sums))},
    )


def with_halves(
    result: SupportResult, task: Task, columns: NDArray[np.int64] | None = None
) -> SupportResult:
    """Add what two halves of the data, and the summed frames alone, say of the result.

    Parameters
    ----------
    result
        What was found from all the data.
    task
        How it was found.
    columns
        Numbers of the orientation bins that the whole fills, which is where its halves are
        looked for; all of them where None.
    """
    passes = min(HALF_PASSES, task.experiment.settings.iterations)

    def fit_one(model: ScanModel) -> tuple[NDArray[np.float32], VoxelPeaks]:
        odd = int(model.projections[0] != result.model.projections[0])
        stage = f"half-{odd + 1}"
        fit = run_fit(model, task, "half", passes=passes, stage=stage, columns=columns)
        return fit.volume.sum(axis=1), task.refined(fit, "half refinement").peaks

    model, volume = result.model, task.experiment.volume
    halves = compare_halves(model, fit_one, result.inside, result.in_mask, volume)
    points, threshold = task.support.points_um, threshold_of(model.store)
    shape = fit_shape(model, points, volume.voxel_um, threshold)[:, 0]
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
        warn(
            f"the grain does not explain the projections at ω = {angles}° as it does the others "
            "(another grain passing, or the beam lost?): omega_exclude leaves them out"
        )


FloatArray = NDArray[np.float64]

NEIGHBOURS = 15
"""Projections among which one has to stand out to be suspect."""


SHARED_ERRORS = 1.25
"""Error of the whole for a unit of difference between its halves, as seen on planted grains:
the middle, in proportion, of mosaicity, tilt, strain and rocking-only scans."""


@dataclass(frozen=True)
class ShellCorrelation:
    """Fourier shell correlation of two volumes.

    Parameters
    ----------
    frequency_per_um, shape (shells,)
        Spatial frequency of each shell.
    correlation, shape (shells,)
        Normalised correlation of the two Fourier transforms in the shell.
    threshold, shape (shells,)
        The half-bit criterion: the correlation at which half a bit is known of each voxel.
    resolution_nm
        The wavelength at which the correlation first falls below the threshold; that of the
        last shell where it never does.
    """

    frequency_per_um: FloatArray
    correlation: FloatArray
    threshold: FloatArray
    resolution_nm: float


def fourier_shell_correlation(
    first: FloatArray, second: FloatArray, volume: Volume
) -> ShellCorrelation:
    r"""Correlate two independent reconstructions shell by shell in Fourier space.

    .. math::
        FSC(q) = \frac{\sum_{|k| = q} F_1 F_2^*}
        {\sqrt{\sum_{|k| = q} |F_1|^2 \sum_{|k| = q} |F_2|^2}}

    with the half-bit threshold, both of van Heel & Schatz 2005, J. Struct. Biol. 151, 250, up
    to the Nyquist frequency of the longest voxel edge.

    Parameters
    ----------
    first, second, shape (nx, ny, nz)
        The two volumes.
    volume
        Their voxels.
    """
    transforms = [np.fft.fftn(values) for values in (first, second)]
    axes = [np.fft.fftfreq(n, d) for n, d in zip(volume.shape, volume.voxel_um, strict=True)]
    distance = np.sqrt(sum(q**2 for q in np.meshgrid(*axes, indexing="ij")))
    width = 1 / max(n * d for n, d in zip(volume.shape, volume.voxel_um, strict=True))
    shell = np.rint(distance / width).astype(int).ravel()
    shells = int(0.5 / max(volume.voxel_um) / width)

    def per_shell(values: FloatArray) -> FloatArray:
        return np.bincount(shell, values.ravel(), shells + 1)[: shells + 1].astype(float)

    cross = per_shell((transforms[0] * transforms[1].conj()).real)
    power = per_shell(np.abs(transforms[0]) ** 2) * per_shell(np.abs(transforms[1]) ** 2)
    correlation: FloatArray = cross / np.sqrt(np.maximum(power, 1e-300))
    # A Fourier coefficient and its mirror image are one independent number.
    root: FloatArray = np.sqrt(np.maximum(per_shell(np.ones_like(distance)) / 2, 1))
    threshold: FloatArray = np.asarray(
        (0.2071 + 1.9102 / root) / (1.2071 + 0.9102 / root), np.float64
    )
    frequency = width * np.arange(shells + 1, dtype=np.float64)
    resolution = _resolution_nm(frequency, correlation - threshold)
    return ShellCorrelation(frequency, correlation, threshold, resolution)


def orientation_precision_mdeg(first: FloatArray, second: FloatArray) -> float:
    """Predict the error of the whole from the difference of two halves.

    Independent errors alone would make the whole twice as good as the halves agree. Errors that
    the halves share (the size of a voxel, what cleaning cuts off) do not show in their difference,
    and on planted grains they are larger: the whole was wrong by 0.9 to 2 times the difference,
    so a little more than the difference itself, `SHARED_ERRORS` of it, is the prediction.

    Parameters
    ----------
    first, second, shape (..., 2)
        Orientations (a, b) in degrees from the two halves; NaN where either has none.

    Returns
    -------
    precision
        Median over the voxels that both halves have, in mdeg; NaN where there are none.
    """
    difference = np.hypot(*np.moveaxis(np.asarray(first) - np.asarray(second), -1, 0))
    known = difference[np.isfinite(difference)]
    return float(1e3 * SHARED_ERRORS * np.median(known)) if known.size else float("nan")


def suspects(residuals: FloatArray, limit: float = 6.0) -> NDArray[np.bool_]:
    """Which projections the model explains far worse than those around them.

    Another grain passing, or the beam lost: the residual is then beyond `limit` robust
    standard deviations above the median of its neighbours, and at least half as large again.
    What changes slowly with ω, such as a narrow instrument hiding more of the grain, is none.

    Parameters
    ----------
    residuals, shape (projections,)
        Relative residual of each projection.
    limit
        Robust standard deviations.
    """
    known = np.where(np.isfinite(residuals), residuals, np.nanmedian(residuals))
    around = median_filter(known, min(NEIGHBOURS, len(known)), mode="mirror")
    deviation = 1.4826 * np.median(np.abs(known - around))
    return residuals > np.maximum(around + limit * deviation, 1.5 * around)


def _resolution_nm(frequency_per_um: FloatArray, margin: FloatArray) -> float:
    """Wavelength at which the margin of the correlation over the threshold is used up."""
    below = np.flatnonzero(margin[1:] < 0)
    last = len(margin) - 1
    if below.size == 0 or last < 1:
        return float(1e3 / frequency_per_um[last]) if last > 0 else float("inf")
    i = int(below[0]) + 1
    # Linear between the shells on either side of the crossing.
    share = max(margin[i - 1], 0) / (max(margin[i - 1], 0) - margin[i])
    crossing = frequency_per_um[i - 1] + share * (frequency_per_um[i] - frequency_per_um[i - 1])
    return float(1e3 / crossing) if crossing > 0 else float("inf")


logger = logging.getLogger(__name__)

FitOne = Callable[[ScanModel], tuple[NDArray[np.float32], VoxelPeaks]]


@dataclass(frozen=True)
class HalvesResult:
    """How well two halves of the data agree.

    Parameters
    ----------
    shells
        Fourier shell correlation of the two occupancies; it gives the spatial resolution.
    precision_mdeg
        Median distance of their orientations, the predicted error of the whole.
    """

    shells: ShellCorrelation
    precision_mdeg: float


def compare_halves(
    model: ScanModel,
    fit_one: FitOne,
    inside: NDArray[np.int64],
    in_mask: NDArray[np.bool_],
    volume: Volume,
) -> HalvesResult:
    """Reconstruct from every other projection, twice, and compare.

    Parameters
    ----------
    model
        The scan.
    fit_one
        Gives the intensities and the peaks of the support's voxels for one half.
    inside, shape (voxels,)
        Numbers of the support's voxels in the volume.
    in_mask, shape (voxels,)
        Which of them belong to the grain.
    volume
        The voxels.
    """
    occupancies, orientations = [], []
    for start in (0, 1):
        intensity, peaks = fit_one(replace(model, projections=model.projections[start::2]))
        occupancy, _ = cut_occupancy(intensity, inside, volume.shape)
        full = np.zeros(volume.shape)
        full.reshape(-1)[inside] = occupancy
        occupancies.append(full)
        orientations.append(np.stack([peaks.a_deg, peaks.b_deg], axis=-1)[in_mask])
    shells = fourier_shell_correlation(occupancies[0], occupancies[1], volume)
    precision = orientation_precision_mdeg(orientations[0], orientations[1])
    logger.info(
        "two halves: resolution %.0f nm, orientations to %.2f mdeg",
        shells.resolution_nm,
        precision,
    )
    return HalvesResult(shells, precision)
