"""A small scan and a small grain, quick to simulate."""

from __future__ import annotations

from dataclasses import replace

import pytest

from recon3d.simulate.phantom import Phantom, make_phantom
from recon3d.simulate.presets import demo_plan
from recon3d.simulate.scan_plan import ScanPlan, Steps


@pytest.fixture
def small_plan() -> ScanPlan:
    return replace(
        demo_plan(),
        omega_deg=(0.0, 40.0, 115.0),
        mu=Steps(0.06, 5),
        gamma=Steps(0.06, 3),
        magnification_pix_per_um=4.0,
        rows=40,
        cols=48,
    )


@pytest.fixture
def small_phantom() -> Phantom:
    return make_phantom("subgrains", size_um=6.0, spread_deg=0.04, seed=3)
