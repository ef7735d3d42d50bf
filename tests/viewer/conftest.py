"""A display for the tests of the viewer, and one window that they share."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import time

import numpy as np
import pytest

from recon3d.config.volume import Volume
from recon3d.files.grain import Grain

PACKAGES = (
    "apt-get install xvfb libgl1 libgl1-mesa-dri libglx-mesa0 libegl1 libxkbcommon-x11-0 "
    "libxcb-cursor0 libxcb-icccm4 libxcb-image0 libxcb-keysyms1 libxcb-randr0 "
    "libxcb-render-util0 libxcb-shape0 libxcb-xkb1"
)


@pytest.fixture(scope="session")
def display(require_or_skip, tmp_path_factory):
    """A screen of its own, so that no window pops up on the developer's."""
    if importlib.util.find_spec("napari") is None:
        require_or_skip("napari is not installed: pip install recon3d[viewer]")
    if shutil.which("Xvfb") is None:
        require_or_skip(f"Xvfb is not installed: {PACKAGES}")
    reading, writing = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(writing), "-screen", "0", "1280x1024x24", "-nolisten", "tcp"],
        pass_fds=(writing,),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(writing)
    with os.fdopen(reading) as pipe:
        number = pipe.readline().strip()
    if not number:
        server.kill()
        require_or_skip(f"Xvfb does not start: {PACKAGES}")
    # The developer's own settings of napari are neither read nor changed.
    settings = str(tmp_path_factory.mktemp("napari") / "settings.yaml")
    changes = {"DISPLAY": f":{number}", "QT_QPA_PLATFORM": "xcb", "NAPARI_CONFIG": settings}
    before = {name: os.environ.get(name) for name in changes}
    os.environ |= changes
    yield f":{number}"
    for name, value in before.items():
        os.environ.pop(name, None)
        if value is not None:
            os.environ[name] = value
    server.terminate()
    server.wait()


def planted_grain(shape=(24, 20, 28)) -> Grain:
    """A box of two subgrains: +a (red) at z < 0, -a (cyan) at z > 0, in a rim of nothing."""
    volume = Volume((1.0, 2.0, 0.0), tuple(0.25 * n for n in shape), shape)
    mask = np.zeros(shape, bool)
    mask[4:-4, 4:-4, 4:-4] = True
    z = volume.axis_um(2) < 0
    a = np.where(z, 0.05, -0.05) * np.ones(shape)
    known = np.where(mask, 1.0, np.nan)
    orientation = np.stack([a * known, 0 * known], axis=-1).astype(np.float32)
    full = mask.astype(np.float32)
    return Grain(
        volume,
        occupancy=full,
        mask=mask,
        orientation=orientation,
        orientation_spread=(0.01 * known).astype(np.float32),
        completeness=0.9 * full,
        strain=(1e-4 * known).astype(np.float32),
        provenance={"method": "iterative"},
    )


@pytest.fixture(scope="session")
def grain_path(tmp_path_factory):
    path = tmp_path_factory.mktemp("viewer") / "grain.h5"
    planted_grain().save(path)
    return path


@pytest.fixture
def planted():
    return planted_grain()


@pytest.fixture(scope="session")
def app(display):  # noqa: ARG001 (it sets the environment)
    from qtpy.QtWidgets import QApplication

    return QApplication.instance() or QApplication([])


@pytest.fixture(scope="session")
def shared_window(app, grain_path):  # noqa: ARG001
    import recon3d

    window = recon3d.view(grain_path, block=False)
    window.viewer.window._qt_window.resize(1200, 900)
    yield window
    window.viewer.close()


@pytest.fixture
def window(shared_window):
    """The window as it was opened."""
    dock = shared_window.dock
    dock.color.value = "orientation"
    dock.mode.value = "3D surface"
    dock.clip_axis.value = "none"
    dock.own_mask.value = True
    shared_window.viewer.scene.camera.angles = (0.0, 0.0, 0.0)
    return shared_window


@pytest.fixture
def picture(app):
    """What the canvas shows, (rows, cols, 3)."""

    def take(window, **options):
        app.processEvents()
        return window.viewer.screenshot(flash=False, **({"canvas_only": True} | options))[..., :3]

    return take


@pytest.fixture
def wait(app):
    """Let the window work until a job is done."""

    def until_done(panel, seconds=120):
        end = time.monotonic() + seconds
        while panel.busy:
            assert time.monotonic() < end, "the job does not end"
            app.processEvents()
            time.sleep(0.01)
        app.processEvents()

    return until_done
