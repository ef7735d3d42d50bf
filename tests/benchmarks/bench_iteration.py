"""Iteration: what a bin costs as bins are added, and one bin against midas-dct-tt."""

from __future__ import annotations

import numba
import numpy as np
from measure import Row, median_seconds, thread_counts
from memory_scan import MemoryScan, ball_points, ball_scan

from recon3d.projection.weights import OrientationBins
from recon3d.reconstruction.fit.iterative import IterativeFit

RADIUS_UM = 8.0


def bins_of(count: int) -> OrientationBins:
    """Some bins along one tilt."""
    return OrientationBins(np.arange(count) * 0.008, np.zeros(1), np.zeros(1))


def fit_seconds(
    scan: MemoryScan, points: np.ndarray, bins: int, rule: str = "mlem", threshold: float = 0.0
) -> float:
    """Median time of one pass."""
    edge = (16.0 / round((len(points) * 6 / np.pi) ** (1 / 3)),) * 3
    fit = IterativeFit(scan, bins_of(bins), points, edge, threshold=threshold, rule=rule)
    return median_seconds(lambda: fit.run_pass("pass"))


def bin_rows(projections: int, size: int, across: int, counts: tuple[int, ...]) -> list[Row]:
    """Time of a voxel, projection and bin as the number of bins grows, 16 frames each time."""
    points = ball_points(across, RADIUS_UM)
    scan = ball_scan(points, projections, 16, size, RADIUS_UM)
    rows, first = [], 0.0
    for count in counts:
        seconds = fit_seconds(scan, points, count)
        each = seconds / len(points) / projections / count
        first = first or each
        name = f"iterate a voxel, projection and bin of {count} bins"
        rows.append(Row(name, each, numba.get_num_threads(), f"1/{first / each:.1f} of one bin"))
    return rows


def growth_rows(projections: int, size: int, across: int) -> list[Row]:
    """A pass with the threads, and as projections and voxels double; 64 bins, 16 frames."""
    points = ball_points(across, RADIUS_UM)
    scan = ball_scan(points, projections, 16, size, RADIUS_UM)
    rows = []
    for threads in thread_counts():
        numba.set_num_threads(threads)
        seconds = fit_seconds(scan, points, 64)
        ratio = f"{rows[0].seconds / seconds:.2f} x one thread" if rows else "strong scaling"
        rows.append(Row(f"pass of {len(points)} voxels, {projections} ω", seconds, threads, ratio))
    base = rows[-1].seconds
    twice = ball_scan(points, 2 * projections, 16, size, RADIUS_UM)
    seconds = fit_seconds(twice, points, 64)
    rows.append(Row("twice the projections", seconds, threads, f"{seconds / base:.2f} x"))
    more = ball_points(round(across * 2 ** (1 / 3)), RADIUS_UM)
    seconds = fit_seconds(ball_scan(more, projections, 16, size, RADIUS_UM), more, 64)
    share = f"{len(more) / len(points):.2f} x the voxels"
    rows.append(Row(share, seconds, threads, f"{seconds / base:.2f} x"))
    return rows


def midas_rows(projections: int, across: int) -> list[Row]:
    """SIRT at one bin on summed frames, per voxel and projection, by both programs.

    A voxel is about as large as a pixel, as in other tomography: what an image costs by itself,
    however few voxels fall on it, is not what is compared.
    """
    size = round(across / 0.84)
    points = ball_points(across, RADIUS_UM)
    scan = ball_scan(points, projections, 1, size, RADIUS_UM)
    units = len(points) * projections
    ours = fit_seconds(scan, points, 1, rule="sirt") / units
    threads = numba.get_num_threads()
    theirs = _midas_seconds(scan, points, size, threads)
    if theirs is None:
        return [Row("SIRT, a voxel and projection", ours, threads, "midas-dct-tt not installed")]
    theirs /= units
    return [
        Row("midas-dct-tt: SIRT, a voxel and projection", theirs, threads),
        Row("SIRT, a voxel and projection", ours, threads, f"1/{theirs / ours:.0f} of midas"),
    ]


def _midas_seconds(scan: MemoryScan, points: np.ndarray, size: int, threads: int) -> float | None:
    """One iteration of midas-dct-tt, in its own geometry; None where it is not installed."""
    try:
        import midas_dct_tt
        import torch
    except ImportError:
        return None
    torch.set_num_threads(threads)
    reflection = torch.tensor([0.0, 0.0, 2 * np.pi / 2.02475], dtype=torch.float64)
    alignment = midas_dct_tt.tt_alignment(reflection, 0.7293)
    detector = midas_dct_tt.PlaneDetector(
        pixel_um=2 * RADIUS_UM / (0.84 * size), shape=(size, size)
    )
    angles = torch.linspace(0, 180, len(scan.omega_deg) + 1, dtype=torch.float64)[:-1]
    positions = torch.as_tensor(points)
    operator = midas_dct_tt.forward_operator(
        positions, alignment, angles, detector, voxel_volume_um3=1.0
    )
    sinogram = operator(torch.ones(len(points), dtype=torch.float64))
    # Its weights are made anew at every call: two numbers of iterations tell them apart.
    few, many = (
        median_seconds(
            lambda n=n: midas_dct_tt.sirt(sinogram, operator, len(points), n_iter=n), repeats=1
        )
        for n in (1, 4)
    )
    return (many - few) / 3
