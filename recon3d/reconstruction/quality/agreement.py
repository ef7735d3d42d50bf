"""How well a grain agrees with every projection, and how well two halves of the data agree."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from recon3d.config.volume import Volume
from recon3d.projection.kernels import FloatArray, Frames
from recon3d.projection.oriented_voxels import OrientedVoxels
from recon3d.reconstruction.fit.alignment import fit_shape
from recon3d.reconstruction.fit.frames import (
    frames_reached,
    predict_sum,
    relative,
    sum_residuals,
    suspects,
)
from recon3d.reconstruction.fit.iterative import IterativeFit
from recon3d.reconstruction.fit.passes import HALF_PASSES, occupancy_of, run_fit
from recon3d.reconstruction.model.scan_model import ScanModel
from recon3d.reconstruction.model.scanned import threshold_of
from recon3d.reconstruction.task import Found, cut_occupancy
from recon3d.runtime.progress import track

logger = logging.getLogger(__name__)

MOST_PROJECTIONS = 36
"""More than these say the same again."""

NEARBY = 0.1
"""Half of the distance, in widths, over which the slopes of the predicted frames are taken."""

FAR_ABOVE_THRESHOLD = 3.0
"""A pixel that is dark though this many thresholds are predicted was not cut by the mask."""

THRESHOLD_SIGMAS = 3.0
"""Standard deviations of the background that a threshold is, as a rule."""

OUTLIER = 6.0
"""Counts above the predicted ones, in standard deviations and thresholds, of no grain's pixel."""


@dataclass(frozen=True)
class Evidence:
    """What frames and predictions say of each other, one row a projection."""

    projections: NDArray[np.int64]  # numbers of the projections that were looked at
    # (projections, 2): by how much (μ, γ) of the frames would have to change to meet the grain
    # better; NaN where it is not told
    shift_deg: FloatArray
    # how much less a pixel of typical brightness holds than its share: below zero where bright
    # pixels are too dim
    curvature: FloatArray
    # share of the predicted intensity that falls on dark pixels though far above the threshold:
    # what something hides
    missing: FloatArray
    outliers: FloatArray  # share of the squared differences in pixels that are far too bright
    residuals: FloatArray  # relative residual of each projection
    signal: FloatArray  # counts of a bright pixel: the 95th percentile of those above the threshold
    # (2, cols): measured and predicted counts of each column of the scan's images, summed over
    # everything
    columns: FloatArray
    counting: float  # relative residual that counting, of grain and background, would leave alone
    residual: float  # the relative residual there is

    @property
    def excess(self) -> float:
        """What the residual has beyond counting noise."""
        return float(np.sqrt(max(self.residual**2 - self.counting**2, 0.0)))


def look_at_frames(
    model: ScanModel, voxels: OrientedVoxels, whole: ScanModel | None = None
) -> Evidence:
    """Hold the frames of a scan against those that a grain predicts.

    `model`: with pixels merged as far as voxels do not resolve them: a rim that is told to half a
    voxel would leave many single pixels too bright. `whole`: the same with the pixels of the scan,
    where they are smaller.
    """
    whole = whole or model
    thinned = model.thinned(MOST_PROJECTIONS)
    columns = np.zeros((2, whole.image_shape[1]))
    merged = model.store.binning.pixels / whole.store.binning.pixels
    own = []
    for number in map(int, track(thinned.own, "evidence", unit="projection")):
        row, scale = _look(thinned, voxels, number, merged)
        own.append(row)
        measured, predicted = whole.summed(number), predict_sum(whole, voxels, number)
        known = measured >= 0
        columns[0] += np.where(known, measured, 0).sum(axis=0)
        columns[1] += scale * np.where(known, predicted, 0).sum(axis=0)
    rows = np.array(model.communicator.collect(own))
    model.communicator.sum(columns)
    squares, differences, counts = rows[:, 6:].sum(axis=0)
    curvature, missing, outliers, signal = rows[:, 2:6].T
    return Evidence(
        thinned.projections,
        rows[:, :2],
        curvature,
        missing,
        outliers,
        np.sqrt(rows[:, 7] / np.maximum(rows[:, 6], 1)),
        signal / merged,
        columns,
        counting=float(np.sqrt(counts / squares)),
        residual=float(np.sqrt(differences / squares)),
    )


def _look(
    model: ScanModel, voxels: OrientedVoxels, number: int, merged: float
) -> tuple[FloatArray, float]:
    """Row of shifts, curvature, missing, outliers, signal, three sums; scale of predictions.

    `merged`: how many pixels of the scan make one of the model's.
    """
    images, settings = frames_reached(model, voxels, number)
    threshold = threshold_of(model.store)
    measured = images.images.copy()

    def predict(step: float | FloatArray) -> Frames:
        of_frames, of_voxels = settings
        return voxels.frames((of_frames, of_voxels + step), model.affine(number), images.pixels)

    predicted = predict(0.0)
    lit, dark = measured > 0, measured == 0
    if not (predicted[lit] > 0).any():
        return np.concatenate([np.full(6, np.nan), np.zeros(3)]), 0.0
    widths = model.acceptance.widths_deg
    told = [axis for axis in range(2) if np.isfinite(widths[axis])]
    steps = [NEARBY * np.eye(3)[axis] for axis in told]
    slopes = [((predict(step) - predict(-step)) / (2 * NEARBY))[lit] for step in steps]
    design = np.stack([predicted[lit], *slopes], axis=1, dtype=np.float64)
    fitted = np.linalg.lstsq(design.T @ design, design.T @ measured[lit], rcond=1e-9)[0]
    shift = np.full(2, np.nan)
    # A voxel's setting moves against that of the frames.
    shift[told] = -fitted[1:] / fitted[0] * widths[told]
    scaled = predicted * np.float32(fitted[0])
    bright = scaled > FAR_ABOVE_THRESHOLD * threshold
    rest = np.where(lit, measured - scaled, -np.maximum(scaled - threshold, 0))
    rest[~(lit | dark)] = 0
    measured[~(lit | dark)] = 0
    # Where the model is wrong altogether, the fitted scale can be negative.
    far = rest > OUTLIER * np.sqrt(np.maximum(scaled, 0) + threshold) + OUTLIER * threshold
    total = scaled.sum()
    row = np.array(
        [
            *shift,
            _curvature(*(part[lit].astype(np.float64) for part in (scaled, measured))),
            scaled[bright & dark].sum() / total,
            (rest[far] ** 2).sum() / (rest**2).sum(),
            np.percentile(measured[lit], 95),
            (measured**2).sum(),
            (rest**2).sum(),
            measured.sum() + lit.sum() * (threshold / THRESHOLD_SIGMAS) ** 2 / merged,
        ]
    )
    return row, float(fitted[0])


def _curvature(predicted: FloatArray, measured: FloatArray) -> float:
    """Relative loss of a pixel at the root mean square of what is predicted, by a parabola."""
    unit = np.sqrt((predicted**2).mean())
    x, y = predicted / unit, measured / unit
    normal = np.array([[(x**2).sum(), (x**3).sum()], [(x**3).sum(), (x**4).sum()]])
    linear, square = np.linalg.solve(normal, [(x * y).sum(), (x**2 * y).sum()])
    return float(square / linear) if linear > 0 else float("nan")


def with_agreement(found: Found, fit: IterativeFit, voxels: OrientedVoxels) -> Found:
    """Add how well each projection and each pixel is predicted, and which ones stand out.

    `voxels`: the grain, one orientation each, whose summed frames are compared too.
    """
    of_sums = sum_residuals(found.task.model, voxels)
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
    passes = min(HALF_PASSES, task.experiment.settings.iterations)
    occupancies = []
    for part in (0, 1):
        half = replace(task, model=replace(model, projections=model.projections[part::2]))
        fit = run_fit(half, "half", passes=passes, stage=f"half-{part + 1}", columns=columns)
        occupancies.append(task.fill(occupancy_of(half, fit)[0]).astype(float))
        del fit  # the next one needs the room
    first, second = occupancies
    shells = fourier_shell_correlation(first, second, task.volume)
    logger.info("two halves: resolution %.0f nm", shells.resolution_nm)
    shape = fit_shape(model, task.points_um, task.volume.voxel_um)
    _, in_shape = cut_occupancy(task, shape[:, 0])
    of_both = int(in_shape.sum()) + int(found.in_mask.sum())
    dice = 2 * int((in_shape & found.in_mask).sum()) / max(of_both, 1)
    return replace(
        found,
        curves={
            "fsc_frequency": shells.frequency_per_um,
            "fsc": shells.correlation,
            "fsc_threshold": shells.threshold,
        },
        record=found.record | {"resolution_nm": shells.resolution_nm, "shape_check_dice": dice},
    )


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
