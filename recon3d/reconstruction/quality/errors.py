r"""One standard deviation of every voxel's orientation and strain.

What makes an orientation wrong is told by what a run leaves behind:

- counting, and whatever else the model does not explain: the voxel's own normal matrix at the end
  of the refinement, :math:`ρ^2 N^{-1}` with ρ the relative residual. A mode that few frames tell
  has a small eigenvalue, so its error is large. Pixels that cleaning made dark tell less than N
  says, and so do tilts that are not scanned themselves.
- a threshold so high that it cuts true counts: what is left pulls all tilts to where it is bright.
- voxels that share their pixels with differently oriented ones: by how much a voxel differs from
  those around it, and the scatter of these, which is large where subgrains meet.
- the rim, where a voxel is only partly grain: that scatter counts more there.
- noise that the refinement followed: by how much two halves of the data would still move it apart.
- a second orientation in the voxel, which pulls at the first.
- a bend (a, b) = g (x, -h z) of the whole grain, for which wide acceptances make up: how much of it
  the frames still ask for at the end, and by how much the projections disagree on it.
- a drift of the turning centre found from μ alone, which looks much like a tilt of the whole grain.

The squares are added up. The factors were found on planted scans, so that two thirds of the
voxels are wrong by less than one standard deviation (`tests/benchmarks/hard_scans.py`).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from recon3d.projection.kernels import FloatArray
from recon3d.projection.oriented_voxels import OrientedVoxels
from recon3d.reconstruction.fit.bending import along_bend, bend_left
from recon3d.reconstruction.fit.iterative import IterativeFit
from recon3d.reconstruction.fit.orientations import gather, solve
from recon3d.reconstruction.fit.passes import free_widths, in_grain, unknowns_of
from recon3d.reconstruction.model.scan_model import ScanModel
from recon3d.reconstruction.model.scanned import (
    frames_of_bins,
    gamma_scanned,
    setting_steps_deg,
    strain_axis,
)
from recon3d.reconstruction.task import Found, Task, smoothed

OF_COUNTING = np.array([0.4, 0.4, 0.18])
OF_DIFFERENCE = np.array([0.5, 0.5, 1.3])
OF_SCATTER = np.array([0.2, 0.2, 0.1])
OF_RIM = 1.4
OF_HALVES = np.array([0.3, 0.3, 0.1])
"""What a unit of each adds to the error of a, b and Δθ."""

OF_DARK = 4.0
WITHOUT_GAMMA = 1.7
WITH_STRAIN = np.array([1.7, 1.7, 1.0])
"""By how much more counting adds where a bright pixel hardly exceeds the threshold, where γ was not
scanned, and where 2θ or the energy was: the same light then tells a and b, and the strain."""

OF_STEP = 0.0065
OF_CUT = 0.5
OF_SECOND = 0.5
OF_DRIFT = 0.3
"""What a step of the scan adds: no model is better; and times the fourth power of the threshold, as
a share of bright counts; a second orientation, in its share times the spread; and the tilt that a
drift found from μ alone looks like."""

OF_BEND = 4.0
"""What the disagreement of the projections on the bend adds: steps of single voxels, which follow
it, hide a part."""

SCATTER_VOXELS = 0.8
HALVES_VOXELS = 0.5
RIM_VOXELS = 1.0
"""Standard deviations of the Gaussians that smooth scatter, halves and rim."""

LEAST_ERROR_DEG = 1e-5
"""Below that no error is told."""

LEAST_OF_BRIGHTEST = 0.05
"""Share of a voxel's strongest bin below which a bin of it is noise."""

MOST_PROJECTIONS = 72
"""Projections from which the normal matrices of all are told: they add up alike."""

APART_STEPS = 1.25
"""Distance from a voxel's peak, in steps of the scan, from which a second orientation counts."""

ROWS = 1 << 14
"""Voxels that are worked on at a time."""


def with_errors(found: Found, voxels: OrientedVoxels) -> Found:
    """Add the standard deviations of a, b and Δθ of every voxel of the grain.

    `voxels`: those of the support that the refinement left an orientation.
    """
    task, in_mask, peaks = found.task, found.in_mask, found.peaks
    values = np.stack([peaks.a_deg, peaks.b_deg, peaks.dtheta_deg], axis=1).astype(float)
    counting = OF_COUNTING * (1 + OF_DARK * task.dark)
    if not gamma_scanned(task.model.store):
        counting = WITHOUT_GAMMA * counting
    if strain_axis(task.model.store):
        counting = WITH_STRAIN * counting
    by_counting, apart = _of_two_halves(found, voxels)
    variance = (counting * by_counting) ** 2
    mean = _mean_around(task, values, in_mask, SCATTER_VOXELS)
    squares = _mean_around(task, values**2, in_mask, SCATTER_VOXELS)
    scatter = np.maximum(squares - mean**2, 0)
    difference = (values - mean) ** 2
    # The tilts of a voxel that is half of another one are wrong together.
    for both in (scatter, difference):
        both[:, :2] = both[:, :2].mean(axis=1, keepdims=True)
    outside = 1 - smoothed(task, in_mask.astype(float), RIM_VOXELS)
    variance += OF_DIFFERENCE**2 * difference
    variance += (OF_SCATTER**2 + (OF_RIM * outside[:, None]) ** 2) * scatter
    variance += OF_HALVES**2 * _mean_around(task, apart**2, in_mask, HALVES_VOXELS)
    of_step = np.hypot(OF_STEP, OF_CUT * task.dark**4)
    variance[:, :2] += (of_step * min(setting_steps_deg(task.model.store))) ** 2
    if found.second_share is not None:
        second = found.second_share * found.peaks.spread_deg
        variance[:, :2] += (OF_SECOND * second[:, None]) ** 2
    variance[:, :2] += _of_whole_grain(task, voxels, in_mask)
    errors = np.sqrt(np.maximum(variance, LEAST_ERROR_DEG**2))
    errors[~in_mask] = np.nan
    record = found.record | {"precision_mdeg": precision_mdeg(errors)}
    return replace(found, errors_deg=errors, record=record)


def with_distributions(found: Found, fit: IterativeFit) -> Found:
    """Take the spread from the whole distribution of each voxel, and look for a second peak."""
    task, peaks = found.task, found.peaks
    a, b, _ = task.bins.centres_deg()[:, fit.columns]
    apart = APART_STEPS * min(setting_steps_deg(task.model.store))
    spread, second = np.zeros(len(fit.volume)), np.zeros(len(fit.volume), np.float32)
    for start in range(0, len(fit.volume), ROWS):
        rows = slice(start, start + ROWS)
        part = np.array(fit.volume[rows])
        part[part < LEAST_OF_BRIGHTEST * part.max(axis=1, keepdims=True)] = 0
        part /= np.maximum(part.sum(axis=1, keepdims=True), np.finfo(np.float32).tiny)
        squares = part @ (a**2 + b**2) - (part @ a) ** 2 - (part @ b) ** 2
        spread[rows] = np.sqrt(np.maximum(squares, 0))
        distance = np.hypot(a - peaks.a_deg[rows, None], b - peaks.b_deg[rows, None])
        second[rows] = np.where(distance > apart, part, 0).sum(axis=1)
    # Where one tilt alone was scanned, distributions stay wide: a second peak is not told.
    told = second if gamma_scanned(task.model.store) else None
    return replace(found, peaks=replace(peaks, spread_deg=spread), second_share=told)


def quality_of(found: Found) -> NDArray[np.float32]:
    """Share of the scan's projections that saw each voxel's own frame, and are not suspected."""
    model, peaks = found.task.model, found.peaks
    suspect = found.projections.get("suspect", np.zeros(len(model.projections))) > 0
    at = np.concatenate([found.task.points_um, np.ones((len(peaks.bins), 1))], axis=1)
    rows, cols = model.image_shape
    seen = np.zeros(len(peaks.bins), np.float32)
    frames = frames_of_bins(model, found.task.bins)
    for number, frame_of, strange in zip(model.projections, frames, suspect, strict=True):
        row, col = model.affine(int(number)) @ at.T
        inside = (row > -0.5) & (row < rows - 0.5) & (col > -0.5) & (col < cols - 0.5)
        if model.unknown is not None:
            at_row = np.clip(np.rint(row), 0, rows - 1).astype(int)
            at_col = np.clip(np.rint(col), 0, cols - 1).astype(int)
            inside &= ~model.unknown.of(int(number))[at_row, at_col]
        seen += inside & (frame_of[peaks.bins] >= 0) & (not strange)
    return seen / np.float32(len(model.store.omega_deg))


def precision_mdeg(errors_deg: FloatArray) -> float:
    """Median of the voxels' errors of (a, b) together, in mdeg; NaN where there are none."""
    both = np.hypot(errors_deg[:, 0], errors_deg[:, 1])
    known = both[np.isfinite(both)]
    return float(1e3 * np.median(known)) if known.size else float("nan")


def _of_two_halves(found: Found, voxels: OrientedVoxels) -> tuple[FloatArray, FloatArray]:
    """Ask every other projection, and the others, where each voxel's orientation ought to be.

    Returns errors from the normal matrix of each voxel, zero for what is not fitted, and the
    difference between the steps that the two halves ask for, (voxels, 3) each.
    """
    task, chosen = found.task, in_grain(found.task, found.in_mask, found.peaks)
    unknowns = unknowns_of(task.model, task.experiment)
    unknowns = replace(unknowns, shift=unknowns.shift and task.shifts is not False)
    model = task.model.thinned(MOST_PROJECTIONS)
    share = len(model.projections) / len(task.model.projections)
    steps, matrices, squares = [], [], 0.0
    for start in (0, 1):
        half = replace(model, projections=model.projections[start::2])
        normal, residual = gather(half, voxels, unknowns, f"errors {start + 1}")
        steps.append(solve(normal)[0])
        own = normal.own.shape[1]
        matrices.append(normal.own[:, :, :own] / share)
        squares += residual**2 / 2
    matrix = matrices[0] + matrices[1]
    trace = np.trace(matrix, axis1=1, axis2=2)[:, None, None]
    inverse = np.linalg.pinv(matrix + (1e-9 * trace + 1e-12) * np.eye(own), hermitian=True)
    variances = squares * np.maximum(np.diagonal(inverse, axis1=1, axis2=2), 0)
    errors, apart = np.zeros((2, len(chosen), 3))
    errors[chosen, :own] = np.sqrt(variances)
    apart[chosen, :own] = (steps[0] - steps[1]) * np.sqrt(share)
    return errors, apart


def _of_whole_grain(task: Task, voxels: OrientedVoxels, in_mask: NDArray[np.bool_]) -> FloatArray:
    """Squares of the tilts by which the whole grain may be bent or turned, (voxels, 2)."""
    model, squares = task.model, np.zeros((len(in_mask), 2))
    if not gamma_scanned(model.store):
        squares += (OF_DRIFT * _tilt_like_drift(model)) ** 2
    elif not task.bent:
        return squares
    left, disagreement = bend_left(model, voxels, free_widths(model, task.experiment))
    along = along_bend(model, task.points_um, in_mask / in_mask.sum()).T
    typical = (along[in_mask] ** 2).sum(axis=1).mean()
    squares += (left**2 + (OF_BEND * disagreement) ** 2) * along**2 / typical
    return squares


def _tilt_like_drift(model: ScanModel) -> FloatArray:
    """The tilt (a, b) whose μ(ω) is most like the drift of μ_c that was found."""
    omega = np.radians(model.store.omega_deg)
    turning = [np.ones_like(omega), np.cos(omega), -model.turning.handedness * np.sin(omega)]
    drift = model.centre_drift_deg[0] * model.course
    tilt: FloatArray = np.linalg.lstsq(np.stack(turning, axis=1), drift, rcond=None)[0][1:]
    return tilt


def _mean_around(
    task: Task, values: FloatArray, in_mask: NDArray[np.bool_], around: float
) -> FloatArray:
    """Mean of the grain's values around each voxel, by a Gaussian, (voxels, columns)."""
    inside = in_mask.astype(float)
    below = np.maximum(smoothed(task, inside, around), 1e-9)
    columns = [smoothed(task, np.where(in_mask, column, 0), around) / below for column in values.T]
    return np.stack(columns, axis=1)
