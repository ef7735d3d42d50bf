"""Opening a grain in napari: from Python, from the command line, and from napari's menu."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from recon3d.arguments import checked
from recon3d.errors import ParameterError
from recon3d.files.grain import Grain
from recon3d.viewer.dock import GrainDock
from recon3d.viewer.layers import AXIS_LABELS
from recon3d.viewer.scene import GrainScene, open_grain
from recon3d.viewer.window import GrainWindow

WINDOW_PIX = (1240, 900)
"""Size of the window: the dock would leave a smaller one no room for the grain."""

DISPLAY_S = 20.0
"""How long a display may take to answer."""

TRIAL = """
import resource

resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # no file is left where Qt aborts
from qtpy.QtWidgets import QApplication

QApplication([])
"""


@checked()
def view(
    grain: Grain | str | Path,
    other: Grain | str | Path | None = None,
    *,
    scan: str | Path | None = None,
    ini: str | Path | None = None,
    block: bool | None = None,
) -> GrainWindow:
    """Look at a grain in napari.

    Parameters
    ----------
    grain
        The grain, or its file.
    other
        Another reconstruction on the same voxels, to lay over it.
    scan, ini
        The cleaned scan and the .ini file it was made from; by default scan.h5 beside the
        grain's file, and what the grain recorded.
    block
        Wait until the window is closed; by default only in a script.

    Returns
    -------
    window
        The window: `window.viewer` is napari's.

    Raises
    ------
    ParameterError
        napari is not installed, no window can be opened, or the two grains do not share one grid.
    """
    try:
        import napari
        from qtpy.QtWidgets import QApplication
    except ImportError as error:
        raise ParameterError(
            'napari is not installed: python -m pip install "recon3d[viewer]"'
        ) from error
    scene = GrainScene.of(grain) if isinstance(grain, Grain) else GrainScene.open(Path(grain))
    second = open_grain(other) if isinstance(other, (str, Path)) else other
    name = "grain" if scene.path is None else str(scene.path)
    if QApplication.instance() is None:
        require_display()
    viewer = napari.Viewer(title=f"Recon3D: {name}", ndisplay=3, axis_labels=AXIS_LABELS)
    window = GrainWindow(viewer, scene, _path(scan), _path(ini))
    window.dock = GrainDock(window)
    viewer.window.add_dock_widget(window.dock.widget, name="Grain", area="right")
    viewer.window.resize(*WINDOW_PIX)
    # The canvas has its new size only once the resizing is done.
    QApplication.processEvents()
    window.fit()
    if second is not None:
        window.lay_over(second)
    if block if block is not None else not _interactive():
        napari.run()
    return window


def require_display() -> None:
    """See in another process whether Qt can open windows: where it cannot, it ends its process."""
    display = os.environ.get("DISPLAY", "") or os.environ.get("WAYLAND_DISPLAY", "")
    try:
        trial = subprocess.run(
            [sys.executable, "-c", TRIAL],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=DISPLAY_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        reason = f"the display {display} does not answer"
    else:
        if trial.returncode == 0:
            return
        first = next((line for line in trial.stderr.splitlines() if line.strip()), "Qt ended")
        reason = first if display else "there is no display"
    raise ParameterError(
        f"no window can be opened: {reason[:200]}. On another computer, log in with ssh -X or use "
        "its remote desktop; `recon3d figures` draws the grain without a window"
    )


def dock_of(viewer: Any = None) -> Any:
    """The dock of the grain that a viewer shows, for napari's Plugins menu; or a ParameterError."""
    import napari

    viewer = viewer or napari.current_viewer()
    paths = [one.metadata["recon3d"] for one in viewer.layers if "recon3d" in one.metadata]
    if not paths:
        raise ParameterError("no grain is open: drag a grain.h5 into the window first")
    window = GrainWindow(viewer, GrainScene.open(Path(paths[-1])))
    window.dock = GrainDock(window)
    return window.dock.widget


def _path(name: str | Path | None) -> Path | None:
    return None if name is None else Path(name)


def _interactive() -> bool:
    return hasattr(sys, "ps1") or "ipykernel" in sys.modules
