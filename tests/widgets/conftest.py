"""A small simulated scan for all widgets."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from recon3d.scan.scan import Scan, open_scan
from recon3d.simulate.phantom import make_phantom
from recon3d.simulate.presets import demo_plan
from recon3d.simulate.writers.edf_scan import simulate_scan
from recon3d.widgets import Session

PHI0, CHI0 = -3.5, 1.2


@dataclass(frozen=True)
class Simulated:
    """A folder of frames, and where its grain falls."""

    folder: Path
    scan: Scan

    def session(self, settings: Path, **more) -> Session:
        """A session about it, with a settings file of its own."""
        return Session.start(
            self.folder,
            "topotomo_",
            settings=settings,
            phi0=PHI0,
            chi0=CHI0,
            show_progress=False,
            **more,
        )


@pytest.fixture(scope="session")
def simulated(tmp_path_factory) -> Simulated:
    folder = tmp_path_factory.mktemp("widgets") / "frames"
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
    scan = open_scan(folder, "topotomo_", phi0_deg=PHI0, chi0_deg=CHI0, show_progress=False)
    return Simulated(folder, scan)


@pytest.fixture
def session(simulated, tmp_path) -> Session:
    return simulated.session(tmp_path / "choices.ini", framebg=6, min_region=40)


@pytest.fixture(scope="session")
def finished(simulated, tmp_path_factory) -> Session:
    """A session with a cleaned scan and a grain."""
    settings = tmp_path_factory.mktemp("finished") / "choices.ini"
    session = simulated.session(settings, framebg=6, min_region=40)
    assert session.grain.mask.any()
    return session


def pixels(canvas) -> np.ndarray:
    """What a canvas shows."""
    canvas.draw()
    return np.array(canvas.buffer_rgba())


@pytest.fixture
def drawn():
    return pixels
