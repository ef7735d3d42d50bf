"""A small simulated scan for all widgets."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from widget_scan import CHI0, PHI0, simulate_widget_scan

from recon3d.scan.scan import Scan, open_scan
from recon3d.widgets import Session


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
    simulate_widget_scan(folder)
    scan = open_scan(folder, "topotomo_", phi0_deg=PHI0, chi0_deg=CHI0, show_progress=False)
    return Simulated(folder, scan)


@pytest.fixture(autouse=True)
def nothing_is_compiled_in_advance(monkeypatch):
    monkeypatch.setattr("recon3d.widgets.live.begin_compiling", lambda: False)


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
