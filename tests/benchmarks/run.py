"""Run all benchmarks and print their tables.

python tests/benchmarks/run.py --preset small|reference [--skip-iteration] [--only NAME ...]
                               [--volumes N ...]

The small preset takes about a minute. The reference preset writes and cleans 4.9 GB of EDF
files in a temporary folder (TMPDIR says where), which it removes. With --volumes 200 300 the job
is reconstructed on 200³ and 300³ voxels, too, which takes some 40 minutes and 6 GiB more.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numba
from bench_iteration import bin_rows, growth_rows, midas_rows
from bench_job import reference_job, run_job, small_job, start_rows
from bench_kernels import backprojection_rows, bandwidth_row, cleaning_rows, moments_rows
from measure import Row, machine, print_rows, start_with_sleeping_threads
from read_edf import measure, write_folder


@dataclass(frozen=True)
class Sizes:
    """How large each benchmark is."""

    frames: int
    size: int
    projections: int
    across: int
    edf_files: int
    edf_size: int
    bins: tuple[int, ...] = (1, 8, 64, 256)


PRESETS = {
    "small": Sizes(49, 150, 24, 24, 200, 300),
    "reference": Sizes(121, 300, 24, 64, 100, 2048),
}


def tables(
    preset: str, *, iterate: bool, volumes: Sequence[int]
) -> dict[str, tuple[str, Callable[[], list[Row]]]]:
    """The title of each table and what fills it."""
    s = PRESETS[preset]
    job = small_job() if preset == "small" else reference_job()
    return {
        "memory": ("Memory", lambda: [bandwidth_row()]),
        "start": ("Start", start_rows),
        "cleaning": ("Cleaning", lambda: cleaning_rows(s.frames, s.size, 6)),
        "backprojection": (
            "Backprojection",
            lambda: backprojection_rows(s.projections, s.frames, s.size, s.across, 40),
        ),
        "moments": ("Moment maps", lambda: moments_rows(round(s.frames**0.5), s.size)),
        "bins": ("Iteration, by bins", lambda: bin_rows(12, s.size, s.across, s.bins)),
        "growth": ("Iteration, by size", lambda: growth_rows(12, s.size, s.across)),
        "midas": ("Iteration, one bin", lambda: midas_rows(s.projections, 76)),
        "job": (f"The {preset} job", lambda: run_job(job, iterate=iterate, volumes=volumes)),
    }


def main() -> None:
    """Read the options, run, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", choices=list(PRESETS), default="small")
    parser.add_argument("--skip-iteration", action="store_true", help="no iterative job")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="some tables, by their names")
    parser.add_argument("--volumes", nargs="+", type=int, default=(), metavar="N", help="N³ voxels")
    options = parser.parse_args()
    start_with_sleeping_threads()
    print(f"{machine()}, {numba.config.NUMBA_NUM_THREADS} threads, preset {options.preset}")
    found = tables(options.preset, iterate=not options.skip_iteration, volumes=options.volumes)
    for name, (title, rows) in found.items():
        if options.only and name not in options.only:
            continue
        numba.set_num_threads(numba.config.NUMBA_NUM_THREADS)
        print_rows(title, rows())
    if not options.only or "edf" in options.only:
        sizes = PRESETS[options.preset]
        print("\nEDF read")
        with tempfile.TemporaryDirectory() as folder:
            files = write_folder(Path(folder), sizes.edf_files, sizes.edf_size)
            measure(Path(folder), files, sizes.edf_size, sizes.edf_size // 3, 3)


if __name__ == "__main__":
    main()
