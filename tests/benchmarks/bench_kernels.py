"""Cleaning, backprojection and moment maps against plain loops and against darling."""

from __future__ import annotations

import statistics
from functools import partial
from itertools import product

import numba
import numpy as np
from bench_iteration import RADIUS_UM, bins_of
from clean_frames import CLEANING, make_projection
from measure import Row, median_seconds, once, thread_counts
from memory_scan import MemoryScan, ball_points, ball_scan
from numpy.typing import NDArray
from plain_loops import backproject_voxel, clean_frame

from recon3d.analysis.projection_maps import mosaicity, projection_moments
from recon3d.cleaning.calibration import Calibration
from recon3d.cleaning.normalize import Normalizer
from recon3d.cleaning.steps import work_on_projection
from recon3d.projection.cells import cell_width
from recon3d.reconstruction.fit.backprojection import (
    backproject_laboratory,
    backproject_sample,
    find_peaks,
)
from recon3d.reconstruction.fit.completeness import IlluminatedBits, completeness
from recon3d.scan.table import Projection, SettingAxis

Points = NDArray[np.float64]


def cleaning_rows(frames: int, size: int, plain_frames: int) -> list[Row]:
    """Cleaning of a frame, by plain loops and by the pipeline."""
    raw = make_projection(frames, size)
    valid, currents = np.ones(frames, bool), np.full(frames, 200.0)
    dark = raw[np.argsort(raw.sum(axis=(1, 2)))[:2]].mean(axis=0)
    plain = statistics.median(
        once(lambda frame=frame: clean_frame(frame, dark, 1.01, CLEANING.framebg, CLEANING.binth))
        for frame in raw[:: max(1, frames // plain_frames)]
    )
    rows = [Row(f"clean a frame of {size} x {size}, plain loops", plain)]
    # As the pipeline does, into memory that was used before: new memory may take longer to get
    # from the system than to fill.
    helpers = (Calibration.none(raw.shape[1:]), Normalizer(CLEANING.normalize))
    room = np.zeros(raw.shape, np.float32)
    for threads in thread_counts():
        numba.set_num_threads(threads)
        work = partial(work_on_projection, raw, valid, currents, CLEANING, *helpers, room=room)
        ours = median_seconds(work, 9) / frames
        rows.append(Row("clean a frame", ours, threads, f"{plain / ours:.0f} x plain loops"))
    return rows


def backprojection_rows(
    projections: int, frames: int, size: int, across: int, plain_voxels: int
) -> list[Row]:
    """Backprojection of a voxel and its completeness, the bins being the frames' settings.

    The plain loops take the nearest pixel and no turning of the tilts, and so do ours here; then
    the same with four pixels and weights that spread every frame over the bins.
    """
    points = ball_points(across, RADIUS_UM)
    scan = ball_scan(points, projections, frames, size, RADIUS_UM)
    known = scan.omega_deg, scan.geometry.theta_deg, scan.geometry.magnification_pix_per_um
    plain = statistics.median(
        once(lambda point=point: backproject_voxel(point, *known, scan.images))
        for point in points[:: max(1, len(points) // plain_voxels)]
    )
    share = f"{projections} ω x {frames} frames"
    rows = [Row(f"backproject a voxel, {share}, plain loops", plain)]
    works = {"the same way": _at_laboratory_angles, "in the sample frame": _in_the_sample_frame}
    for (name, work), threads in product(works.items(), thread_counts()):
        numba.set_num_threads(threads)
        ours = median_seconds(partial(work, scan, points)) / len(points)
        ratio = f"{plain / ours:.0f} x plain loops"
        rows.append(Row(f"backproject a voxel, {name}", ours, threads, ratio))
    return rows


def _at_laboratory_angles(scan: MemoryScan, points: Points) -> Points:
    illuminated = IlluminatedBits(scan)
    volume = backproject_laboratory(scan, points, illuminated=illuminated)
    return _completeness(scan, points, volume, 1, illuminated)


def _in_the_sample_frame(scan: MemoryScan, points: Points) -> Points:
    bins, illuminated = bins_of(2 * scan.images.shape[1]), IlluminatedBits(scan)
    voxel_um = np.ptp(points[:, 0]) / (np.unique(points[:, 0]).size - 1)
    cell_pix = cell_width(voxel_um * scan.geometry.magnification_pix_per_um)
    volume = backproject_sample(scan, bins, points, cell_pix=cell_pix, illuminated=illuminated)
    return _completeness(scan, points, volume, 2, illuminated)


def _completeness(
    scan: MemoryScan,
    points: Points,
    volume: NDArray[np.float32],
    bins_a_frame: int,
    illuminated: IlluminatedBits,
) -> Points:
    bins = bins_of(volume.shape[1])
    frames = np.tile(np.arange(bins.size) // bins_a_frame, (scan.shape[0], 1))
    own = find_peaks(volume, bins, 0).bins
    return completeness(scan, points, frames, own, bits=illuminated)


def moments_rows(steps: int, size: int) -> list[Row]:
    """Maps of one projection, by darling and by us, each on its own layout."""
    raw = make_projection(steps * steps, size)
    axis = np.arange(steps) * 0.016
    mu, gamma = np.meshgrid(axis, axis, indexing="ij")
    axes = (SettingAxis("mu", axis), SettingAxis("gamma", axis))
    projection = Projection(raw, 0.0, mu.ravel(), gamma.ravel(), axes)
    works = {
        "mean": lambda: projection_moments(raw, mu.ravel(), gamma.ravel()),
        "covariance": lambda: mosaicity(projection, peaks=False),
    }
    titles = {
        "mean": "total and mean of both angles",
        "covariance": "mean to kurtosis, amplitude",
    }
    rows = []
    for name, threads in product(works, thread_counts()):
        numba.set_num_threads(threads)
        ours = median_seconds(works[name], 15)
        theirs = _darling_seconds(name, raw, mu, gamma)
        ratio = "darling is not installed"
        if theirs is not None:
            ratio = f"{theirs / ours:.1f} x darling's {name}, {theirs * 1e3:.0f} ms"
        rows.append(Row(titles[name], ours, threads, ratio))
    return rows


def _darling_seconds(
    name: str, raw: NDArray[np.uint16], mu: NDArray[np.float64], gamma: NDArray[np.float64]
) -> float | None:
    """Darling's time on the same threads and its own memory layout; None where it is missing."""
    try:
        from darling import properties
    except ImportError:
        return None
    shape = (*raw.shape[1:], *mu.shape)
    data = np.ascontiguousarray(np.moveaxis(raw, 0, -1)).reshape(shape)
    coordinates = np.array([mu, gamma])
    work = {"mean": properties.mean, "covariance": properties.covariance}[name]
    return median_seconds(lambda: work(data, coordinates), 5)


def bandwidth_row(mib: int = 512) -> Row:
    """How fast memory is copied, which bounds what touches much and computes little."""
    source = np.ones(mib * 2**17)
    target = np.empty_like(source)
    seconds = median_seconds(partial(np.copyto, target, source))
    return Row(f"copy {mib} MiB", seconds, 1, f"{2 * mib / 1024 / seconds:.1f} GiB/s")
