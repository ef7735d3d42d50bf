"""Take a scan of wide frames from files to a grain; print time and peak memory of each step.

python tests/benchmarks/wide_frames.py [--projections N] [--size PIXELS] [--region PIXELS]
    [--voxels N] [--keep FOLDER]

As a rule 240 ω x 9 μ frames of 2048 x 2048 pixels, 18 GB of EDF files in a temporary folder
(TMPDIR says where), of which a region of 1000 x 1000 is cleaned and reconstructed on 101³ voxels.
With --keep the files stay in the folder and are used again.
"""

from __future__ import annotations

import argparse
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
from measure import Row, machine, once, print_rows, run_child, start_with_sleeping_threads

from recon3d.analysis.misorientation import compare_with_truth
from recon3d.files.grain import Grain
from recon3d.simulate.detector import SimulatedDetector
from recon3d.simulate.phantom import make_phantom
from recon3d.simulate.presets import grain_size_um, rocking_plan
from recon3d.simulate.scan_plan import ScanPlan
from recon3d.simulate.truth import Truth
from recon3d.simulate.writers.edf_scan import (
    ScanHeader,
    frame_path,
    motor_readings,
    scan_command,
    simulated_projections,
    write_edf,
)
from recon3d.simulate.writers.experiment_ini import write_experiment_ini

TIMES = 10
"""Pixels of a wide frame that are alike, along rows and along columns: the simulated grain has too
few points for finer ones, and the cost of a pixel does not depend on what it holds."""

RIM_PIX, PREFIX = 4, "topotomo_"
FRAMEBG = 20


def narrow_plan(projections: int, region: int) -> ScanPlan:
    """The scan that is simulated: a region whose pixels are `TIMES` as large."""
    omega = np.round(np.arange(projections) * 180.0 / projections, 6)
    plan, wide = rocking_plan(), region // TIMES
    scale = plan.magnification_pix_per_um * wide / plan.cols
    return replace(
        plan,
        omega_deg=tuple(omega.tolist()),
        magnification_pix_per_um=scale,
        rows=wide,
        cols=wide,
    )


def simulate(folder: Path, truth: Truth, size: int, region: int, voxels: int) -> None:
    """Write the frames of a scan, each pixel enlarged, in the middle of wide frames."""
    plan = truth.plan
    wide = replace(
        plan,
        magnification_pix_per_um=TIMES * plan.magnification_pix_per_um,
        rows=size,
        cols=size,
        axis_offset_pix=TIMES * plan.axis_offset_pix,
    )
    folder.mkdir(parents=True, exist_ok=True)
    write_experiment_ini(
        folder / "experiment.ini", truth.phantom, wide, results="results", voxels=voxels
    )
    around = np.random.default_rng(0).poisson(100, (size, size)).astype(np.uint16)
    first = (size - region) // 2
    header = ScanHeader(scan_command(wide), PREFIX, folder.name)

    def write(number: int, frame: np.ndarray, readings: dict[str, float]) -> None:
        image = around.copy()
        enlarged = frame.repeat(TIMES, axis=0).repeat(TIMES, axis=1)
        image[first : first + region, first : first + region] = enlarged
        encoded = header.encode(image.shape, number, readings, None)
        write_edf(frame_path(folder, PREFIX, number), image, encoded)

    with ThreadPoolExecutor(2) as threads:
        for k, (frames, motors) in enumerate(simulated_projections(truth)):
            numbers = range(k * plan.frames, (k + 1) * plan.frames)
            readings = [motor_readings(motors, f) for f in range(plan.frames)]
            list(threads.map(write, numbers, frames, readings))
    truth.save(folder / "truth.h5")


def getdata_words(plan: ScanPlan, folder: Path, size: int, region: int) -> list[str]:
    """What the command `getdata` is told."""
    middle, part = f"{size // 2},{size // 2}", f"{region},{region}"
    where = [str(folder), PREFIX, "-", "-", middle, part, str(folder), "results"]
    tilts = [str(plan.phi0_deg), str(plan.chi0_deg), "-", "-"]
    return [*where, *tilts, str(FRAMEBG), "12", "--arrays", "none", "--quiet"]


def run(folder: Path, options: argparse.Namespace) -> None:
    """Do all steps and print the table."""
    plan = narrow_plan(options.projections, options.region)
    rows: list[Row] = []
    if not (folder / "truth.h5").exists():
        phantom = make_phantom("subgrains", grain_size_um(plan, RIM_PIX), 0.06, 0)
        # An enlarged zinger would be none that cleaning, or a user, takes for one.
        truth = Truth(phantom, plan, SimulatedDetector(zingers=0))
        size, region, voxels = options.size, options.region, options.voxels
        seconds = once(lambda: simulate(folder, truth, size, region, voxels))
        rows.append(Row(f"simulate {plan.projections * plan.frames} EDF files", seconds))
    words = getdata_words(plan, folder, options.size, options.region)
    commands = {
        "getdata": ["getdata", *words],
        "reconstruct": ["reconstruct", str(folder / "experiment.ini"), "--quiet"],
    }
    for name, command in commands.items():
        seconds, peak = run_child(["-m", "recon3d", *command], options.threads)
        rows.append(Row(name, seconds, options.threads, peak_mib=peak))
    print_rows("Wide frames", rows)
    grain = Grain.load(folder / "results" / "grain.h5")
    planted = Truth.load(folder / "truth.h5").sample_on(grain.volume)
    print(compare_with_truth(grain, planted.inside, planted.a_deg, planted.b_deg))


def main() -> None:
    """Read the options, run, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--projections", type=int, default=240)
    parser.add_argument("--size", type=int, default=2048, help="pixels of a frame along each edge")
    parser.add_argument("--region", type=int, default=1000, help="the same of the region")
    parser.add_argument("--voxels", type=int, default=101)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="where the files are kept")
    options = parser.parse_args()
    start_with_sleeping_threads()
    print(machine())
    with tempfile.TemporaryDirectory(prefix="recon3d-wide-") as temporary:
        run(options.keep or Path(temporary), options)


if __name__ == "__main__":
    main()
