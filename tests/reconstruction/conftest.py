"""Small simulated scans, cleaned once a session."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from recon3d.analysis.misorientation import Comparison, compare_with_truth
from recon3d.cleaning.pipeline import clean
from recon3d.config.cleaning import Cleaning
from recon3d.config.experiment import Experiment
from recon3d.files.store import CleanedScan
from recon3d.scan.scan import open_scan
from recon3d.simulate.faults import Fault
from recon3d.simulate.phantom import make_phantom
from recon3d.simulate.presets import OFF_CENTRE_POSITION_UM, PLANS
from recon3d.simulate.truth import Truth
from recon3d.simulate.writers.edf_scan import simulate_scan


@dataclass(frozen=True)
class Planted:
    """A cleaned scan of a planted grain, and the truth."""

    store: CleanedScan
    experiment: Experiment
    truth: Truth

    def compare(self, grain) -> Comparison:
        truth = self.truth.sample_on(grain.volume)
        return compare_with_truth(grain, truth.inside, truth.a_deg, truth.b_deg)


def plant(folder: Path, name: str, grain: str = "subgrains", faults=(), **changes) -> Planted:
    """Simulate a smaller version of one of the scans, write it as EDF, and clean it."""
    full = PLANS[name]()
    shrunk = {"rows": 64, "cols": 64, "magnification_pix_per_um": 4.0} if full.roi is None else {}
    fewer = {"omega_deg": full.omega_deg[::2], "drift_pix": full.drift_pix[::2]}
    plan = replace(full, **(shrunk | fewer | changes))
    position = OFF_CENTRE_POSITION_UM if name == "off-centre" else (0.0, 0.0, 0.0)
    phantom = make_phantom(grain, size_um=9.5, spread_deg=0.05, seed=4, position_um=position)
    planted_faults = [Fault.parse(text) for text in faults]
    simulate_scan(folder, phantom, plan, voxels=32, faults=planted_faults, show_progress=False)
    scan = open_scan(
        folder,
        "topotomo_",
        phi0_deg=plan.phi0_deg,
        chi0_deg=plan.chi0_deg,
        show_progress=False,
    )
    if plan.roi is not None:
        row, col, rows, cols = plan.roi
        scan = scan.crop((col + cols // 2, row + rows // 2), (cols, rows))
    cleaning = Cleaning(framebg=6, binth=12, min_region_pix=40)
    store = clean(scan, cleaning, folder / "scan.h5", show_progress=False)
    return Planted(
        store, Experiment.from_ini(folder / "experiment.ini"), Truth.load(folder / "truth.h5")
    )


@pytest.fixture(scope="session")
def planted(tmp_path_factory):
    """Plant a grain and scan it; the same call gives the same scan."""
    made: dict[str, Planted] = {}

    def get(name: str, **changes) -> Planted:
        key = f"{name} {sorted(changes.items())}"
        if key not in made:
            made[key] = plant(tmp_path_factory.mktemp(name.replace("-", "_")), name, **changes)
        return made[key]

    return get
