"""The small scan of the notebooks, and how its grain is reconstructed in several ways."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from recon3d.analysis.misorientation import Comparison, compare_with_truth
from recon3d.config.experiment import Experiment
from recon3d.files.grain import Grain
from recon3d.files.store import CleanedScan
from recon3d.reconstruction.run import reconstruct
from recon3d.simulate.phantom import make_phantom
from recon3d.simulate.presets import demo_plan
from recon3d.simulate.scan_plan import ScanPlan
from recon3d.simulate.truth import Truth, VoxelTruth
from recon3d.simulate.writers.edf_scan import simulate_scan

VOXELS = 28


def lesson_plan() -> ScanPlan:
    """A mosaicity scan of 20 ω x 7 μ x 7 γ frames of 84 x 96 pixels, the grain off the middle."""
    return replace(
        demo_plan(),
        omega_deg=tuple(9.0 * k for k in range(20)),
        drift_pix=(),
        rows=84,
        cols=96,
        magnification_pix_per_um=4.0,
        axis_offset_pix=4.5,
    )


def simulate_lesson(folder: Path, *, show_progress: bool = True) -> tuple[float, float]:
    """Simulate the scan of the notebooks, unless it is there; gives phi0 and chi0 in degrees."""
    plan = lesson_plan()
    if not (folder / "complete").exists():
        phantom = make_phantom("subgrains", size_um=12.0, spread_deg=0.06, seed=3)
        how: dict[str, Any] = {"overwrite": True, "show_progress": show_progress}
        simulate_scan(folder, phantom, plan, voxels=VOXELS, **how)
        with (folder / "experiment.ini").open("a", encoding="utf-8") as ini:
            ini.write("split_half false\n")
        (folder / "complete").touch()
    return plan.phi0_deg, plan.chi0_deg


@dataclass(frozen=True)
class Row:
    """How far one reconstruction is from the truth."""

    name: str  # the method
    comparison: Comparison  # orientation and shape
    strain_error: float | None = None  # its median; None where no strain was planted or found


METHODS: dict[str, dict[str, Any]] = {
    "fixed laboratory angles": {"method": "backprojection", "frame": "lab"},
    "sample frame": {"method": "backprojection", "frame": "sample"},
    "iterative": {"method": "iterative", "frame": "sample", "split_half": False},
}


def row_of(name: str, grain: Grain, truth: VoxelTruth) -> Row:
    """Compare a grain with the truth; the strain only where some was planted and found."""
    compared = compare_with_truth(grain, truth.inside, truth.a_deg, truth.b_deg)
    if grain.strain is None or not np.any(truth.strain):
        return Row(name, compared)
    both = truth.inside & grain.mask
    return Row(name, compared, float(np.median(np.abs(grain.strain - truth.strain)[both])))


def each_way(
    store: CleanedScan, experiment: Experiment, truth: Truth, **options: Any
) -> Iterator[tuple[Row, Grain]]:
    """Reconstruct a simulated scan by each method, iterative last, and compare with the truth."""
    planted = truth.sample_on(experiment.volume)
    for name, settings in METHODS.items():
        grain = reconstruct(store, experiment.with_settings(**settings), **options)
        yield row_of(name, grain, planted), grain


def planted_grain(truth: Truth, experiment: Experiment) -> Grain:
    """The truth on the voxels of a reconstruction, to be drawn as any other grain."""
    voxels = truth.sample_on(experiment.volume)
    tilts = np.stack([voxels.a_deg, voxels.b_deg], axis=-1).astype(np.float32)
    return Grain(
        volume=experiment.volume,
        occupancy=voxels.occupancy.astype(np.float32),
        mask=voxels.inside,
        orientation=np.where(voxels.inside[..., None], tilts, np.float32(np.nan)),
        orientation_spread=np.where(voxels.inside, np.float32(0), np.float32(np.nan)),
        completeness=voxels.inside.astype(np.float32),
        provenance={"method": "planted"},
    )


def table(rows: list[Row]) -> str:
    """Format the comparison with the truth as a table of plain text."""
    strained = any(row.strain_error is not None for row in rows)
    head = f"{'method':<26}{'median':>9}{'90 %':>9}{'Dice':>8}"
    lines = [head + (f"{'strain':>11}" if strained else "")]
    for row in rows:
        errors = row.comparison
        median, most = (
            f"{value:.1f}" if math.isfinite(value) else "missing"
            for value in (errors.median_mdeg, errors.p90_mdeg)
        )
        strain = "" if row.strain_error is None else f"{row.strain_error:.1e}"
        lines.append(f"{row.name:<26}{median:>9}{most:>9}{errors.dice:>8.3f}{strain:>11}".rstrip())
    lines.append("orientation errors in mdeg, over all true voxels (missing: fewer voxels")
    last = "were found); Dice: agreement of the shapes, 1 is perfect"
    lines.append(last + ("; strain: median error" if strained else ""))
    return "\n".join(lines)
