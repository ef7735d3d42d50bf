"""The small scan of the notebooks: simulated in seconds, reconstructed in half a minute."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from recon3d.simulate.phantom import Phantom, make_phantom
from recon3d.simulate.presets import demo_plan
from recon3d.simulate.scan_plan import ScanPlan
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


def lesson_grain() -> Phantom:
    """A grain of seven subgrains."""
    return make_phantom("subgrains", size_um=12.0, spread_deg=0.06, seed=3)


def simulate_lesson(folder: Path, *, show_progress: bool = True) -> tuple[float, float]:
    """Simulate the scan of the notebooks, unless it is there already.

    Parameters
    ----------
    folder
        Where its frames go.
    show_progress
        False for a silent run.

    Returns
    -------
    phi0_deg, chi0_deg
        The readings from which tilts are counted.
    """
    plan = lesson_plan()
    if not (folder / "complete").exists():
        simulate_scan(
            folder,
            lesson_grain(),
            plan,
            voxels=VOXELS,
            overwrite=True,
            show_progress=show_progress,
        )
        with (folder / "experiment.ini").open("a", encoding="utf-8") as ini:
            ini.write("split_half false\n")
        (folder / "complete").touch()
    return plan.phi0_deg, plan.chi0_deg
