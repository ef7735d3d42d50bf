"""Timing, peak memory, and the table that every benchmark fills."""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import distributions, version
from pathlib import Path

import numba

from recon3d.parallel.thread_policy import WAITING, let_idle_threads_sleep

COMPARED = ("numba", "numpy", "scipy", "h5py", "fabio", "darling-pypi", "midas-dct-tt", "torch")
"""What a time depends on, and the programs that are compared with."""


@dataclass(frozen=True)
class Row:
    """One line of the table: what was measured, on how many threads, and what it is held to."""

    name: str
    seconds: float
    threads: int = 1
    ratio: str = ""
    peak_mib: float | None = None


def start_with_sleeping_threads() -> None:
    """Start this program anew, threads told how to wait as the commands do: before NumPy."""
    if not os.environ.keys() >= WAITING.keys():
        let_idle_threads_sleep()
        os.execv(sys.executable, [sys.executable, *sys.argv])


def median_seconds(work: Callable[[], object], repeats: int = 3) -> float:
    """Median time of a few runs, after one that compiles."""
    work()
    return statistics.median(once(work) for _ in range(repeats))


def once(work: Callable[[], object]) -> float:
    """Time of one run."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def run_child(
    arguments: Sequence[str], threads: int, cache: Path | None = None
) -> tuple[float, float]:
    """Run Python with a script or `-m` module; return seconds and peak resident memory in MiB.

    With a folder as `cache`, compiled code is kept there and nowhere else.
    """
    environment = os.environ | {"NUMBA_NUM_THREADS": str(threads)}
    if cache is not None:
        environment["NUMBA_CACHE_DIR"] = str(cache)
    with tempfile.TemporaryDirectory() as folder:
        noted = Path(folder) / "peak"
        launcher = str(Path(__file__).with_name("note_peak.py"))
        start = time.perf_counter()
        subprocess.run([sys.executable, launcher, noted, *arguments], env=environment, check=True)
        return time.perf_counter() - start, int(noted.read_text()) / 1024


def thread_counts() -> list[int]:
    """1, 2, 4 ... up to what numba may use."""
    most = numba.config.NUMBA_NUM_THREADS
    return sorted({2**k for k in range(10) if 2**k <= most} | {most})


def machine() -> str:
    """The processor, its cores, and the versions that matter."""
    model = platform.processor() or platform.machine()
    with Path("/proc/cpuinfo").open() as file:
        names = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
    installed = {found.name for found in distributions()}
    versions = [f"{name} {version(name)}" for name in COMPARED if name in installed]
    return (
        f"{names[0] if names else model}, {os.cpu_count()} cores, {platform.system()}, "
        f"Python {platform.python_version()}, {', '.join(versions)}"
    )


def print_rows(title: str, rows: Sequence[Row]) -> None:
    """Print one table."""
    print(f"\n{title}")
    print(f"{'':52s} {'threads':>7s} {'time':>12s} {'peak':>9s}  ratio")
    for row in rows:
        peak = "" if row.peak_mib is None else f"{row.peak_mib:.0f} MiB"
        print(f"{row.name:52s} {row.threads:7d} {_time(row.seconds):>12s} {peak:>9s}  {row.ratio}")
    sys.stdout.flush()


def _time(seconds: float) -> str:
    for unit, scale in (("s", 1.0), ("ms", 1e3), ("µs", 1e6)):
        if seconds * scale >= 1:
            return f"{seconds * scale:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"
