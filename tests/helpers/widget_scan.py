"""A small scan, quick to simulate and to reconstruct, for widgets and browsers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from recon3d.simulate.phantom import make_phantom
from recon3d.simulate.presets import demo_plan
from recon3d.simulate.writers.edf_scan import simulate_scan
from recon3d.widgets import Session

PHI0, CHI0 = -3.5, 1.2


def simulate_widget_scan(folder: Path) -> None:
    """Simulate 12 ω x 7 μ x 7 γ frames of 60 x 68 pixels, with an .ini file that is quick."""
    plan = replace(
        demo_plan(),
        omega_deg=tuple(15.0 * k for k in range(12)),
        rows=60,
        cols=68,
        magnification_pix_per_um=4.0,
        axis_offset_pix=3.0,
    )
    phantom = make_phantom(size_um=8.0, spread_deg=0.05, seed=4)
    simulate_scan(folder, phantom, plan, voxels=16, show_progress=False)
    with (folder / "experiment.ini").open("a", encoding="utf-8") as ini:
        ini.write("split_half false\nrocking_width 0.016\nrolling_width 0.03\niterations 2\n")


def widget_session(folder: Path, **more: Any) -> Session:
    """Begin with such a scan in the folder of the notebooks; `more`: choices that are made."""
    simulate_widget_scan(folder / "frames")
    choices = {"phi0": PHI0, "chi0": CHI0, "min_region": 40} | more
    return Session.start(
        folder / "frames",
        "topotomo_",
        settings=folder / "choices.ini",
        show_progress=False,
        **choices,
    )
