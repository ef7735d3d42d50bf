"""Reconstruct scans that obey the model less, and compare with what was planted.

python tests/benchmarks/hard_scans.py [--only NAME ...] [--keep FOLDER] [--seed N ...]

Each scan is simulated as `recon3d simulate --fault ...` does it, cleaned and reconstructed with
default settings: 36 ω x 7 x 7 or 60 ω x 9 frames of 96 x 96 pixels, 48³ voxels, about a minute
each. With --keep the simulated and cleaned scans stay in the folder and are used again.
"""

from __future__ import annotations

import argparse
import tempfile
import time
import warnings
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from measure import start_with_sleeping_threads
from scipy.stats import rankdata

from recon3d import Cleaning, clean, open_scan, open_store
from recon3d.analysis.misorientation import compare_with_truth
from recon3d.config.experiment import Experiment
from recon3d.files.grain import Grain
from recon3d.reconstruction.run import reconstruct
from recon3d.simulate.detector import SimulatedDetector
from recon3d.simulate.faults import Fault
from recon3d.simulate.phantom import make_phantom
from recon3d.simulate.presets import PLANS, grain_size_um
from recon3d.simulate.truth import Truth
from recon3d.simulate.writers.edf_scan import simulate_scan

RIM_PIX = 8


@dataclass(frozen=True)
class HardScan:
    """A scan, what is wrong with it, and what a user says of it."""

    plan: str = "demo"
    grain: str = "subgrains"
    faults: tuple[str, ...] = ()
    binth: float = 12.0
    settings: dict[str, Any] = field(default_factory=dict)


SCANS = {
    "reference": HardScan(),
    "12 projections": HardScan(faults=("few:12",)),
    "18 projections": HardScan(faults=("few:18",)),
    "360 degrees": HardScan(faults=("quarter:360",)),
    "axis tilt": HardScan(faults=("axis_tilt:1",)),
    "absorption": HardScan(faults=("absorption",)),
    "rocking": HardScan("rocking"),
    "rocking, mu drift": HardScan("rocking", faults=("mu_drift:1",)),
    "rocking bent": HardScan("rocking", faults=("bent",)),
    "rocking bent back": HardScan("rocking", faults=("bent:-0.06",)),
    "rocking bent across": HardScan("rocking", faults=("bent_across",)),
    "strain": HardScan("strain", "strained"),
    "strain, mu drift": HardScan("strain", "strained", faults=("mu_drift:0.5",)),
    "strain bent": HardScan("strain", faults=("bent",)),
    "strain bent across": HardScan("strain", faults=("bent_across",)),
    "bent": HardScan(faults=("bent",)),
    "mu drift": HardScan(faults=("mu_drift:1",)),
    "edge of 12": HardScan(faults=("edge:0.334",)),
    "edge of all": HardScan(faults=("edge:1",)),
    "acceptance": HardScan(faults=("acceptance:0.05",)),
    "two orientations": HardScan(faults=("two_orientations",)),
    "weak": HardScan(faults=("weak:30",), binth=9),
    "weak, binth high": HardScan(faults=("weak:30",), binth=18),
    "wrapped peaks": HardScan(faults=("wrap:1.3",), binth=600),
    "second grain": HardScan(faults=("second_grain",)),
    "zingers, dead columns": HardScan(faults=("zingers", "dead_columns")),
    "quarter": HardScan(faults=("quarter",)),
    "quarter 120": HardScan(faults=("quarter:120",)),
    "extinction": HardScan(faults=("extinction",)),
    "rocking, wrong hand": HardScan("rocking", settings={"handedness": -1}),
    "drift, second grain": HardScan(faults=("mu_drift:0.7", "second_grain:0.1")),
}


def prepare(folder: Path, scan: HardScan, seed: int) -> None:
    """Simulate and clean a scan, unless that is done."""
    if (folder / "scan.h5").exists():
        return
    plan = PLANS[scan.plan]()
    phantom = make_phantom(scan.grain, grain_size_um(plan, RIM_PIX), seed=seed)
    faults = [Fault.parse(text) for text in scan.faults]
    with tempfile.TemporaryDirectory() as frames:
        simulate_scan(
            frames,
            phantom,
            plan,
            SimulatedDetector(seed=seed),
            overwrite=True,
            faults=faults,
            show_progress=False,
        )
        raw = open_scan(frames, "topotomo_", phi0_deg=plan.phi0_deg, chi0_deg=plan.chi0_deg)
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("truth.h5", "experiment.ini"):
            (folder / name).write_bytes((Path(frames) / name).read_bytes())
        cleaning = Cleaning(framebg=RIM_PIX, binth=scan.binth)
        clean(raw, cleaning, folder / "scan.h5", show_progress=False)


def row(name: str, grain: Grain, truth: Truth, seconds: float) -> str:
    """One line of the table."""
    planted = truth.sample_on(grain.volume)
    errors = compare_with_truth(grain, planted.inside, planted.a_deg, planted.b_deg)
    both = planted.inside & grain.mask
    wrong = 1e3 * np.hypot(
        grain.orientation[both][:, 0] - planted.a_deg[both],
        grain.orientation[both][:, 1] - planted.b_deg[both],
    )
    found = grain.provenance
    axis = float(found["rotation_center"]) - truth.rotation_center_pix
    strain = ""
    if grain.strain is not None:
        strain = f"{np.median(np.abs(grain.strain - planted.strain)[both]):.1e}"
    claimed = 1e3 * np.hypot(*grain.orientation_error[both].T)
    within = [float((wrong < factor * claimed).mean()) for factor in (1, 2)]
    bad = wrong > 3 * np.median(wrong)
    return (
        f"{name:<24}{errors.median_mdeg:>8.1f}{np.median(wrong):>8.1f}"
        f"{np.percentile(wrong, 90):>8.1f}{errors.dice:>8.3f}"
        f"{np.median(claimed):>9.1f}"
        f"{within[0]:>7.2f}{within[1]:>6.2f}{_area_under_curve(claimed, bad):>6.2f}"
        f"{found['rocking_width']:>8.4f}"
        f"{axis:>7.2f}{grain.residual[-1]:>8.3f}{strain:>9}{seconds:>7.0f}  "
        + " | ".join(grain.doubts)
    )


def _area_under_curve(claimed: np.ndarray, bad: np.ndarray) -> float:
    """How often a claimed error is larger for a bad voxel than for a good one."""
    pairs = np.count_nonzero(bad) * np.count_nonzero(~bad)
    ranks = rankdata(claimed)[bad].sum() - np.count_nonzero(bad) * (bad.sum() + 1) / 2
    return float(ranks / pairs) if pairs else np.nan


HEAD = (
    f"{'scan':<24}{'median':>8}{'in mask':>8}{'90 %':>8}{'Dice':>8}{'claimed':>9}"
    f"{'1 σ':>7}{'2 σ':>6}{'AUC':>6}{'width':>8}"
    f"{'axis':>7}{'left':>8}{'strain':>9}{'s':>7}  doubts"
)
"""Median error of the true voxels; median and 90 % of those in the mask too; the median claimed,
in mdeg; shares of voxels within one and two claimed errors; area under the curve of the claimed
error for voxels that are wrong by more than three times the median."""


def main() -> None:
    """Read the options, run, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", metavar="NAME", help="some scans, by their names")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="where scans are kept")
    parser.add_argument("--seed", type=int, nargs="+", default=[1], help="of grain and noise")
    options = parser.parse_args()
    start_with_sleeping_threads()
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.keep or Path(temporary)
        print(HEAD, flush=True)
        for name, seed in product(options.only or SCANS, options.seed):
            scan = SCANS[name]
            place = folder / f"{name.replace(',', '').replace(' ', '_')}_{seed}"
            prepare(place, scan, seed)
            experiment = Experiment.from_ini(place / "experiment.ini")
            experiment = experiment.with_settings(**scan.settings)
            started = time.process_time()
            grain = reconstruct(open_store(place / "scan.h5"), experiment, show_progress=False)
            spent = time.process_time() - started
            print(row(f"{name} {seed}", grain, Truth.load(place / "truth.h5"), spent), flush=True)


if __name__ == "__main__":
    main()
