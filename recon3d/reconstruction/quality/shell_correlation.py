"""What a fit says of itself: how well it predicts the data, and how well two halves agree."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from recon3d.config.volume import Volume
from recon3d.projection.oriented_voxels import OrientedVoxels
from recon3d.reconstruction.fit.alignment import fit_shape, sum_residuals
from recon3d.reconstruction.fit.iterative import IterativeFit
from recon3d.reconstruction.fit.passes import HALF_PASSES, occupancy_of, run_fit
from recon3d.reconstruction.fit.residuals import relative, suspects
from recon3d.reconstruction.model.scanned import threshold_of
from recon3d.reconstruction.task import Found, Task, cut_occupancy

logger = logging.getLogger(__name__)

FloatArray = NDArray[np.float64]


def with_agreement(found: Found, fit: IterativeFit, voxels: OrientedVoxels) -> Found:
    """Add how well each projection and each pixel is predicted, and which ones stand out.

    `voxels`: the grain, one orientation each, whose summed frames are compared too.
    """
    model = found.task.model
    of_sums = sum_residuals(model, voxels)
    strange = suspects(fit.projection_residuals)
    return replace(
        found,
        projections=found.projections
        | {
            "residual": fit.projection_residuals,
            "sum_residual": of_sums,
            "suspect": strange.astype(float),
        },
        images=found.images | {"residual": relative(*np.moveaxis(fit.pixel_sums, -1, 0))},
        record=found.record | {"sum_residual": float(np.median(of_sums))},
    )


def with_halves(found: Found, columns: NDArray[np.int64] | None = None) -> Found:
    """Fit every other projection, and the others, and add what the two say of the shape.

    That is the resolution, and the agreement of the shape with that of the sums alone. `columns`:
    numbers of the orientation bins that the whole fills, which is where its halves are looked for;
    all of them where None.
    """
    task, model = found.task, found.task.model
    first, second = (_half(task, part, columns) for part in (0, 1))
    shells = fourier_shell_correlation(first, second, task.volume)
    logger.info("two halves: resolution %.0f nm", shells.resolution_nm)
    shape = fit_shape(model, task.points_um, task.volume.voxel_um, threshold_of(model.store))
    _, in_shape = cut_occupancy(task, shape[:, 0])
    both = int((in_shape & found.in_mask).sum())
    dice = 2 * both / max(int(in_shape.sum()) + int(found.in_mask.sum()), 1)
    return replace(
        found,
        curves={
            "fsc_frequency": shells.frequency_per_um,
            "fsc": shells.correlation,
            "fsc_threshold": shells.threshold,
        },
        record=found.record
        | {
            "resolution_nm": shells.resolution_nm,
            "shape_check_dice": dice,
        },
    )


def _half(task: Task, part: int, columns: NDArray[np.int64] | None) -> FloatArray:
    """Occupancy by every other projection, of the whole volume; its fit is then let go."""
    model = task.model
    half = replace(task, model=replace(model, projections=model.projections[part::2]))
    passes = min(HALF_PASSES, task.experiment.settings.iterations)
    fit = run_fit(half, "half", passes=passes, stage=f"half-{part + 1}", columns=columns)
    return task.fill(occupancy_of(half, fit)[0]).astype(float)


@dataclass(frozen=True)
class ShellCorrelation:
    """Fourier shell correlation of two volumes, by shells."""

    frequency_per_um: FloatArray  # spatial frequency of each shell
    correlation: FloatArray  # normalised, of the two Fourier transforms in the shell
    # half-bit criterion: the correlation at which half a bit is known of each voxel
    threshold: FloatArray
    # the wavelength at which the correlation first falls below the threshold; that of the last
    # shell where it never does
    resolution_nm: float


def fourier_shell_correlation(
    first: FloatArray, second: FloatArray, volume: Volume
) -> ShellCorrelation:
    r"""Correlate two independent reconstructions shell by shell in Fourier space.

    .. math::
        FSC(q) = \frac{\sum_{|k| = q} F_1 F_2^*}
        {\sqrt{\sum_{|k| = q} |F_1|^2 \sum_{|k| = q} |F_2|^2}}

    with the half-bit threshold, both of van Heel & Schatz 2005, J. Struct. Biol. 151, 250, up to
    the Nyquist frequency of the longest voxel edge.
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
