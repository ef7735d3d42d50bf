"""How quickly a slider answers: from its new value to the picture that goes to the browser.

Run as ``python tests/benchmarks/widgets.py``; it fails where a median exceeds its limit.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recon3d.cleaning.overview import GrowingOverview
from recon3d.config.cleaning import Cleaning
from recon3d.config.getdata import GetData
from recon3d.config.goniometer import GONIOMETERS, Goniometer
from recon3d.readers.source import FrameSource, MotorTable, Roi
from recon3d.scan.coordinates import Choices
from recon3d.scan.scan import Scan, arrange_scan
from recon3d.widgets import Projections, RegionOfInterest, Threshold

LIMITS_MS = {512: 150.0, 2048: 400.0}
OMEGAS, MU, GAMMA = 6, 5, 5


@dataclass(frozen=True, eq=False)
class MemorySource(FrameSource):
    """Frames in memory: a disk would add what it takes to read one frame."""

    frames: NDArray[np.uint16]
    motors: MotorTable
    goniometer: Goniometer = GONIOMETERS["id06"]

    @property
    def frame_shape(self) -> tuple[int, int]:
        return self.frames.shape[1:]

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.frames.dtype

    def name(self, index: int) -> str:
        return f"frame {index}"

    def read_into(self, index: int, roi: Roi, out: NDArray[np.uint16]) -> None:
        out[...] = self.frames[index % len(self.frames)][roi.slices]


def make_scan(size: int) -> Scan:
    """A mosaicity scan of a bright disk with noise, `size` pixels along an edge."""
    rng = np.random.default_rng(0)
    grid = np.meshgrid(
        20.0 * np.arange(OMEGAS), 10 + 0.03 * np.arange(MU), 0.03 * np.arange(GAMMA), indexing="ij"
    )
    omega, mu, gamma = (axis.ravel() for axis in grid)
    chi, phi = gamma * np.sin(np.radians(omega)), gamma * np.cos(np.radians(omega))
    unknown = np.full(omega.size, np.nan)
    motors = MotorTable(omega, mu, chi, phi, unknown, unknown, unknown + 180)
    row, col = np.mgrid[:size, :size]
    disk = np.hypot(row - size / 2, col - size / 2) < size / 4
    frames = rng.poisson(100, (MU * GAMMA, size, size)).astype(np.uint16)
    bright = np.arange(MU * GAMMA) % 3 == 0
    frames[bright] += (200 * disk).astype(np.uint16)
    return arrange_scan(MemorySource(frames, motors), Choices(phi0_deg=0.0, chi0_deg=0.0))


def answers(widget: Any, move: Callable[[int], None], repeats: int) -> tuple[float, float]:
    """Median time and processor time, in ms, from a slider's new value to the picture."""
    # As in a browser: what is drawn is sent, and not kept as a still picture too.
    widget.canvas.syncing_data_url = False
    times = []
    for number in range(repeats + 2):
        begin = time.perf_counter(), time.thread_time()
        move(number)
        widget.canvas.draw()
        times.append((time.perf_counter() - begin[0], time.thread_time() - begin[1]))
    wall, busy = zip(*times[2:], strict=True)
    return 1e3 * statistics.median(wall), 1e3 * statistics.median(busy)


def measure(size: int, repeats: int) -> dict[str, tuple[float, float]]:
    """Time the sliders on frames of `size` x `size` pixels, while the background works."""
    scan = make_scan(size)
    plan = GetData("", cleaning=Cleaning(framebg=20, binth=30.0))
    roi, threshold = RegionOfInterest(scan), Threshold(scan, plan)
    film = Projections(GrowingOverview(plan.cleaning).extend(scan))
    threshold.preview.prepare(threshold.projection.value, threshold.value)

    def set_value(control: Any, values: list[float]) -> Callable[[int], None]:
        return lambda number: setattr(control, "value", values[number % len(values)])

    roi.shown.value = "single frame"
    found = {
        "binth": answers(threshold, set_value(threshold.binth, [31.0, 40.0, 50.0]), repeats),
        "framebg": answers(threshold, set_value(threshold.framebg, [21, 25, 30]), repeats),
        "min_region": answers(threshold, set_value(threshold.min_region, [50, 200]), repeats),
        "frame": answers(threshold, set_value(threshold.frame, [1, 2, 3]), repeats),
        "frame (region)": answers(roi, set_value(roi.frame, [1, 2, 3]), repeats),
        "film": answers(film, set_value(film.projection, [1, 2, 3]), repeats),
    }
    for widget in (roi, threshold, film):
        widget.close()
    return found


def main() -> int:
    """Read the options, measure, and compare with the limits."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=sorted(LIMITS_MS))
    parser.add_argument("--repeats", type=int, default=9)
    options = parser.parse_args()
    slow = False
    for size in options.sizes:
        limit = LIMITS_MS.get(size, np.inf)
        for name, (milliseconds, busy) in measure(size, options.repeats).items():
            late = milliseconds > limit
            slow |= late
            print(
                f"{size:5d} x {size:<5d} {name:15s} {milliseconds:6.0f} ms, of them "
                f"{busy:4.0f} of the processor  (limit {limit:.0f})"
                f"{'  LATE' if late else ''}"
            )
    return int(slow)


if __name__ == "__main__":
    sys.exit(main())
