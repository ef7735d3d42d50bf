"""Time of cleaning a frame, stage by stage, against the same in plain NumPy and SciPy.

Run as a script: python tests/benchmarks/clean_frames.py [--frames 121] [--size 300]
"""

from __future__ import annotations

import argparse
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from recon3d.cleaning import steps
from recon3d.cleaning.calibration import Calibration
from recon3d.cleaning.normalize import Normalizer
from recon3d.cleaning.pipeline import clean
from recon3d.cleaning.steps import work_on_projection
from recon3d.config.cleaning import Cleaning
from recon3d.files.store import open_store
from recon3d.geometry import TiltOrigin
from recon3d.readers.source import FrameSource, MotorTable, Roi
from recon3d.scan.scan import Scan
from recon3d.scan.table import SettingAxis

CLEANING = Cleaning(framebg=20, binth=12)
LIT = 0.25


def make_projection(frames: int, size: int) -> NDArray[np.uint16]:
    """A quarter of the frames with a speckled grain, offset, noise and hot pixels in all."""
    rng = np.random.default_rng(0)
    row, col = np.mgrid[:size, :size]
    raw = np.empty((frames, size, size), np.uint16)
    illuminated = set(rng.permutation(frames)[: round(LIT * frames)].tolist())
    for number in range(frames):
        scene = rng.normal(100, 2.5, (size, size))
        if number in illuminated:
            centre, width = rng.uniform(0.4, 0.6, 2) * size, rng.uniform(0.08, 0.18) * size
            grain = np.exp(-((row - centre[0]) ** 2 + (col - centre[1]) ** 2) / 2 / width**2)
            speckle = ndimage.gaussian_filter(rng.exponential(1, (size, size)), 1.5)
            scene += rng.poisson(400 * grain * speckle)
        hot = rng.integers(0, size, (2, 5))
        scene[hot[0], hot[1]] += rng.uniform(300, 60000, 5)
        raw[number] = np.clip(scene, 0, 65535)
    return raw


@dataclass
class RepeatedSource(FrameSource):
    """A scan whose projections are all the same, in memory."""

    frames: NDArray[np.uint16]
    motors: MotorTable

    @property
    def frame_shape(self) -> tuple[int, int]:
        return self.frames.shape[1:]  # type: ignore[return-value]

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.frames.dtype

    def name(self, index: int) -> str:
        return f"frame {index}"

    def read_into(self, index: int, roi: Roi, out: NDArray[Any]) -> None:
        out[...] = self.frames[index % len(self.frames)][roi.slices]


def make_scan(raw: NDArray[np.uint16], projections: int) -> Scan:
    frames, rows, cols = raw.shape
    count = projections * frames
    motors = MotorTable(*np.full((7, count), 200.0))
    return Scan(
        source=RepeatedSource(raw, motors),
        roi=Roi(0, 0, rows, cols),
        origin=TiltOrigin(),
        kind="rocking",
        axes=(SettingAxis("mu", np.arange(frames) * 0.01),),
        omega_deg=np.arange(projections) * 0.8,
        slots=np.arange(count).reshape(projections, frames),
        motors=motors.map(lambda column: column.reshape(projections, frames)),
    )


def plain_projection(raw: NDArray[np.uint16]) -> NDArray[np.float64]:
    """Clean frame by frame with Python loops over NumPy and SciPy calls on whole frames."""
    sums = raw.sum(axis=(1, 2))
    dark = raw[np.argsort(sums)[:2]].mean(axis=0)
    variance = 1 + 1.5 * dark
    return np.stack([plain_frame(frame, dark, variance) for frame in raw])


def plain_frame(
    frame: NDArray[np.uint16], dark: NDArray[np.float64], variance: NDArray[np.float64]
) -> NDArray[np.float64]:
    counts = np.clip(frame - dark, 0, None)
    rows, cols = counts.shape
    around = np.pad(counts, 1, mode="reflect")
    offsets = [(r, c) for r in range(3) for c in range(3) if (r, c) != (1, 1)]
    ring = np.sort([around[r : r + rows, c : c + cols] for r, c in offsets], axis=0)
    median = (ring[3] + ring[4]) / 2
    hot = (counts - median > 8 * np.sqrt(median + variance)) & (counts > 2 * median)
    hot &= counts - ring[1] > 3 * (ring[5] - ring[1])
    counts = np.where(hot, median, counts)
    width = CLEANING.framebg
    for start in range(0, cols, width):
        band = slice(start, start + width)
        ends = counts[:width, band].mean(), counts[-width:, band].mean()
        share = (np.arange(rows) - (width - 1) / 2) / (rows - width)
        counts[:, band] -= (ends[0] + (ends[1] - ends[0]) * share)[:, None]
    inner = np.zeros_like(counts)
    core = (slice(width, -width), slice(width, -width))
    inner[core] = np.clip(counts[core], 0, None)
    mask = ndimage.binary_fill_holes(inner > CLEANING.binth)
    cross = ndimage.generate_binary_structure(2, 1)
    mask = ndimage.binary_fill_holes(ndimage.binary_closing(mask, cross))
    labels, _ = ndimage.label(mask, np.ones((3, 3)))
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return np.where((sizes >= CLEANING.min_region_pix)[labels], inner, 0)


def best_ms(work: Callable[[], object], frames: int, repeats: int = 5) -> float:
    """Shortest of several runs, in milliseconds a frame."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return 1000 * min(times) / frames


def stages(raw: NDArray[np.uint16]) -> dict[str, float]:
    """Milliseconds a frame of each stage."""
    frames = len(raw)
    shape = raw.shape[1:]
    calibration, valid = Calibration.none(shape), np.ones(frames, bool)
    dark = steps.dark_frame(raw)
    assert dark is not None
    counts, flat = np.empty(raw.shape, np.float32), np.empty(raw.shape, np.float32)
    factors = np.full(frames, 1.01, np.float32)

    def subtract(sigmas: float) -> None:
        cleaning = replace(CLEANING, hot_pixels=sigmas)
        steps.subtract_pedestal(raw, valid, dark, 2, cleaning, calibration, counts)

    def scale() -> None:
        flat[:] = counts
        steps.scale_frames(flat, factors, CLEANING.framebg)

    def mask() -> None:
        work = flat.copy()
        steps.mask_frames(work, CLEANING)

    found = {"weakest frames": best_ms(lambda: steps.dark_frame(raw), frames)}
    found["subtract, clip"] = best_ms(lambda: subtract(0.0), frames)
    found["hot pixels"] = best_ms(lambda: subtract(8.0), frames) - found["subtract, clip"]
    copy = best_ms(lambda: flat.copy(), frames)
    found["normalise, background"] = best_ms(scale, frames) - copy
    found["mask"] = best_ms(mask, frames) - copy
    return found


def main() -> None:
    """Print the times and the memory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=121)
    parser.add_argument("--size", type=int, default=300)
    parser.add_argument("--projections", type=int, default=8)
    options = parser.parse_args()
    raw = make_projection(options.frames, options.size)
    valid, currents = np.ones(len(raw), bool), np.full(len(raw), 200.0)

    def compiled() -> NDArray[np.float32]:
        given = (Calibration.none(raw.shape[1:]), Normalizer(CLEANING.normalize))
        return work_on_projection(raw, valid, currents, CLEANING, *given).frames

    few = raw[:: max(1, len(raw) // 12)]
    plain = best_ms(lambda: [plain_projection(few)], len(few), repeats=2)
    difference = np.abs(compiled() - plain_projection(raw)).max()
    illuminated = (compiled().reshape(len(raw), -1).max(axis=1) > 0).mean()
    print(f"{len(raw)} frames of {options.size} x {options.size}, {illuminated:.0%} lit")
    print(f"plain NumPy and SciPy: {plain:.2f} ms a frame; largest difference {difference:.2g}")
    for threads in sorted({1, numba.config.NUMBA_NUM_THREADS}):
        numba.set_num_threads(threads)
        total = best_ms(compiled, len(raw))
        print(f"{threads} threads: {total:.3f} ms a frame, {plain / total:.0f} times faster")
        for name, milliseconds in stages(raw).items():
            print(f"    {name:22s} {milliseconds:.3f}")
    scan = make_scan(raw, options.projections)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scan.h5"

        def whole_scan() -> None:
            clean(scan, CLEANING, path, show_progress=False)

        whole = best_ms(whole_scan, scan.slots.size, repeats=3)
        tracemalloc.start()
        whole_scan()
        peak = tracemalloc.get_traced_memory()[1] / raw.nbytes
        tracemalloc.stop()
        size = path.stat().st_size / scan.slots.size / 1e3
        store = open_store(path)
        reading = best_ms(lambda: store.read_projection(0), len(raw))
    print(f"scan into scan.h5: {whole:.3f} ms a frame, {size:.0f} kB a frame on disk")
    print(f"read back from scan.h5: {reading:.3f} ms a frame")
    print(f"peak memory of arrays: {peak:.1f} times a raw projection")


if __name__ == "__main__":
    main()
