"""The whole job from the command line: simulate, getdata, reconstruct; time and memory."""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from measure import Row, once, run_child, thread_counts
from plain_loops import backproject_voxel
from speed_up import ONE_THREAD
from speed_up import run as run_passes

from recon3d.config.experiment import Experiment
from recon3d.files.grain import Grain
from recon3d.files.store import open_store
from recon3d.projection.operator import voxel_centres_um
from recon3d.simulate.detector import SimulatedDetector
from recon3d.simulate.phantom import make_phantom
from recon3d.simulate.presets import demo_plan, full_plan, grain_size_um
from recon3d.simulate.scan_plan import ScanPlan, Steps
from recon3d.simulate.truth import Truth
from recon3d.simulate.writers.edf_scan import simulate_scan


@dataclass(frozen=True)
class Job:
    """A scan and the volume that it is reconstructed on."""

    plan: ScanPlan
    voxels: int
    framebg: int


def small_job() -> Job:
    """The demonstration's scan at half of its rotation angles."""
    plan = demo_plan()
    return Job(replace(plan, omega_deg=plan.omega_deg[::2]), 32, 8)


def reference_job() -> Job:
    """226 ω x 11 μ x 11 γ frames of 300 x 300 pixels, 101³ voxels."""
    return Job(full_plan(), 101, 20)


def job_rows(job: Job, folder: Path, *, iterate: bool, volumes: Sequence[int] = ()) -> list[Row]:
    """Every step on all threads, in processes of their own, then half the ω and more voxels."""
    threads = thread_counts()[-1]
    plan = job.plan
    frames = plan.projections * plan.frames
    rows = [
        Row(f"simulate {frames} EDF files", once(lambda: _simulate(job, folder / "a")), threads),
        _raw_read(folder / "a"),
    ]
    half = replace(job, plan=replace(plan, omega_deg=plan.omega_deg[::2]))
    _simulate(half, folder / "b")
    # The first run reads and compiles what the second one finds in place.
    _getdata(job, folder / "a", threads)
    seconds, peak = _getdata(job, folder / "a", threads)
    getdata = Row("getdata --arrays none", seconds, threads, peak_mib=peak)
    rows.append(getdata)
    seconds, peak = _getdata(half, folder / "b", threads)
    share = f"1/{getdata.seconds / seconds:.2f}"
    rows.append(Row("getdata of half the projections", seconds, threads, share, peak))
    if iterate:
        rows += _default_rows(folder, getdata.seconds, threads, volumes)
        rows += _stage_rows(folder / "a" / "experiment.ini")
        rows += _shared_rows(folder / "a" / "experiment.ini")
    return rows + _backprojection_rows(folder / "a", threads)


def _default_rows(
    folder: Path, getdata_s: float, threads: int, volumes: Sequence[int]
) -> list[Row]:
    """`reconstruct` as it comes: compiled first, then twice, of half the ω, at other sizes."""
    ini = folder / "a" / "experiment.ini"
    _reconstruct(ini, threads)
    rows = []
    for _ in range(2):
        seconds, peak = _reconstruct(ini, threads)
        ratio = f"{seconds / getdata_s:.1f} x getdata; {_accuracy(ini)}"
        rows.append(Row("reconstruct, the default", seconds, threads, ratio, peak))
    base = min(row.seconds for row in rows)
    seconds, peak = _reconstruct(folder / "b" / "experiment.ini", threads)
    ratio = f"1/{base / seconds:.2f}; {_accuracy(folder / 'b' / 'experiment.ini')}"
    rows.append(Row("the same of half the projections", seconds, threads, ratio, peak))
    for across in volumes:
        larger = ini.with_name(f"voxels_{across}.ini")
        text = re.sub(r"(?m)^grain_steps .*", f"grain_steps {across}", ini.read_text("utf-8"))
        larger.write_text(text, "utf-8")
        seconds, peak = _reconstruct(larger, threads)
        ratio = f"{seconds / base:.1f} x; {_accuracy(larger)}"
        rows.append(Row(f"the same with {across}³ voxels", seconds, threads, ratio, peak))
    return rows


def _stage_rows(ini: Path) -> list[Row]:
    """Processor's time of each stage of the default command, on one thread."""
    script = str(Path(__file__).with_name("stages.py"))
    printed = subprocess.run(
        [sys.executable, script, str(ini)],
        env=os.environ | ONE_THREAD,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout
    stages = [line.split(" ", 1) for line in printed.splitlines()]
    rows = [Row(f"processor time, {name}", float(seconds)) for seconds, name in stages]
    return [*rows, Row("processor time, in all", sum(row.seconds for row in rows))]


def _shared_rows(ini: Path) -> list[Row]:
    """A pass of every second projection by one process of one thread, then by two."""
    rounds = [[run_passes(count, str(ini), "2", "2") for count in ("1", "2")] for _ in range(2)]
    one, two = (min(found[k]["wall"] for found in rounds) for k in (0, 1))
    busy = [min(found[k]["busy"] for found in rounds) for k in (0, 1)]
    ratio = f"{one / two:.2f} x one; {busy[0] / busy[1]:.2f} by processor time"
    return [
        Row("pass of all bins, one process", one),
        Row("pass of all bins, two processes of one thread", two, 1, ratio),
    ]


def _backprojection_rows(folder: Path, threads: int) -> list[Row]:
    """Backprojection alone, beside what plain loops would take."""
    ini = folder / "experiment.ini"
    unaligned = folder / "unaligned.ini"
    unaligned.write_text(ini.read_text("utf-8") + "align none\n", "utf-8")
    plain = _plain_seconds(folder)
    rows = [Row("backprojection by plain loops (from a sample)", plain)]
    for name, file, options in (
        ("backprojection", ini, []),
        ("backprojection, not aligned", unaligned, []),
        ("backprojection, laboratory", ini, ["--frame", "lab"]),
    ):
        seconds, peak = _reconstruct(file, threads, "--method", "backprojection", *options)
        ratio = f"{plain / seconds:.0f} x plain loops"
        rows.append(Row(f"reconstruct, {name}", seconds, threads, ratio, peak))
    return rows


def _reconstruct(ini: Path, threads: int, *options: str) -> tuple[float, float]:
    return run_child(["-m", "recon3d", "reconstruct", str(ini), "--quiet", *options], threads)


def _accuracy(ini: Path) -> str:
    """Median and 90 % of the errors of the orientations, Dice, how many doubts."""
    grain = Grain.load(ini.parent / "results" / "grain.h5")
    planted = Truth.load(ini.parent / "truth.h5").sample_on(grain.volume)
    both = planted.inside & grain.mask
    a_deg, b_deg = (grain.orientation[both][:, k] for k in (0, 1))
    wrong = 1e3 * np.hypot(a_deg - planted.a_deg[both], b_deg - planted.b_deg[both])
    dice = 2 * both.sum() / (planted.inside.sum() + grain.mask.sum())
    middle, most = np.percentile(wrong, [50, 90])
    return f"{middle:.2f} mdeg, {most:.1f}, {dice:.3f}, {len(grain.doubts)} doubts"


def run_job(job: Job, *, iterate: bool, volumes: Sequence[int] = ()) -> list[Row]:
    """The same in a temporary folder, which is removed."""
    with tempfile.TemporaryDirectory(prefix="recon3d-benchmark-") as folder:
        return job_rows(job, Path(folder), iterate=iterate, volumes=volumes)


def _simulate(job: Job, folder: Path) -> None:
    phantom = make_phantom("subgrains", grain_size_um(job.plan, job.framebg), 0.06, 0)
    simulate_scan(
        folder, phantom, job.plan, SimulatedDetector(), voxels=job.voxels, show_progress=False
    )


def _raw_read(folder: Path) -> Row:
    """Read all bytes of all files: what no reader can beat."""
    files = sorted(folder.glob("*.edf"))
    size = sum(path.stat().st_size for path in files) / 2**30

    def read() -> None:
        for path in files:
            with path.open("rb", buffering=0) as file:
                file.read()

    seconds = once(read)
    return Row(f"read the bytes of {size:.2f} GiB", seconds, 1, f"{size / seconds:.1f} GiB/s")


SAMPLED_VOXELS = 400
OMEGA_STEP = 4
"""On how many voxels, and every how manyth projection, the plain loops are tried."""


def _plain_seconds(folder: Path) -> float:
    """What the plain loops would take for all voxels and projections of a job."""
    experiment = Experiment.from_ini(folder / "experiment.ini")
    store = open_store(folder / "results" / "scan.h5")
    numbers = range(0, store.shape[0], OMEGA_STEP)
    frames = np.stack([store.read_projection(k) for k in numbers])
    points = voxel_centres_um(experiment.volume)
    known = (
        store.omega_deg[::OMEGA_STEP],
        experiment.crystal.bragg_angle_deg,
        experiment.detector.magnification_pix_per_um,
    )
    chosen = np.random.default_rng(0).integers(0, len(points), SAMPLED_VOXELS)
    seconds = once(lambda: [backproject_voxel(points[k], *known, frames) for k in chosen])
    return seconds / SAMPLED_VOXELS * len(points) * store.shape[0] / len(numbers)


def _getdata(job: Job, folder: Path, threads: int) -> tuple[float, float]:
    plan = job.plan
    size = f"{plan.cols},{plan.rows}"
    steps = f"{_step(plan.mu)},{_step(plan.gamma)}"
    numbers = f"{plan.mu.number},{plan.gamma.number}"
    positions = [
        str(folder),
        "topotomo_",
        "-",
        "-",
        f"{plan.cols // 2},{plan.rows // 2}",
        size,
        str(folder),
        "results",
        str(plan.phi0_deg),
        str(plan.chi0_deg),
        steps,
        numbers,
        str(job.framebg),
        "12",
    ]
    return run_child(
        ["-m", "recon3d", "getdata", *positions, "--arrays", "none", "--quiet"], threads
    )


def _step(steps: Steps) -> float:
    return steps.half_range_deg * 2 / (steps.number - 1)


def start_rows() -> list[Row]:
    """Import of the library, and a first run with and without compiled code in the cache."""
    command = "import time; t = time.perf_counter(); import recon3d; print(time.perf_counter() - t)"
    times = [
        subprocess.run([sys.executable, "-c", command], capture_output=True, check=True).stdout
        for _ in range(5)
    ]
    rows = [Row("import recon3d", statistics.median(map(float, times)))]
    work = str(Path(__file__).with_name("first_run.py"))
    with tempfile.TemporaryDirectory() as cache:
        first, _ = run_child([work], 2, Path(cache))
        second, _ = run_child([work], 2, Path(cache))
    rows.append(Row("first run: clean, backproject, iterate a tiny scan", first, 2))
    rows.append(Row("second run of the same", second, 2, f"{first - second:.0f} s to compile"))
    return rows
