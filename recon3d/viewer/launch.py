"""Opening a grain in napari: from Python, the command line, napari's menu, and dragged into it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py

from recon3d.arguments import checked
from recon3d.errors import ParameterError
from recon3d.files.grain import FORMAT, Grain
from recon3d.plot.grain.scene import GrainScene
from recon3d.viewer.dock import GrainDock
from recon3d.viewer.layers import AXIS_LABELS, LayerData, all_layers, open_grain
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
    path = None if isinstance(grain, Grain) else Path(grain)
    first = grain if isinstance(grain, Grain) else open_grain(grain)
    second = open_grain(other) if isinstance(other, (str, Path)) else other
    if QApplication.instance() is None:
        require_display()
    viewer = napari.Viewer(title=f"Recon3D: {path or 'grain'}", ndisplay=3, axis_labels=AXIS_LABELS)
    beside = [None if name is None else Path(name) for name in (scan, ini)]
    window = GrainWindow(viewer, first, path, *beside)
    window.dock = GrainDock(window)
    viewer.window.add_dock_widget(window.dock.widget, name="Grain", area="right")
    viewer.window.resize(*WINDOW_PIX)
    # The canvas has its new size only once the resizing is done.
    QApplication.processEvents()
    window.fit()
    if second is not None:
        window.lay_over(second)
    if block is None:
        block = not hasattr(sys, "ps1") and "ipykernel" not in sys.modules
    if block:
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
    window = GrainWindow(viewer, open_grain(paths[-1]), Path(paths[-1]))
    window.dock = GrainDock(window)
    return window.dock.widget


def get_reader(path: str | list[str]) -> Callable[[str | list[str]], list[LayerData]] | None:
    """What reads a grain.h5 that is dragged into napari, or None for any other file."""
    first = path[0] if isinstance(path, list) else path
    try:
        with h5py.File(first, "r", locking=False) as file:
            return _read_grains if file.attrs.get("_format") == FORMAT else None
    except OSError:
        return None


def _read_grains(path: str | list[str]) -> list[LayerData]:
    """Read every grain of a list of paths as layers."""
    return [
        (data, options | {"metadata": {"recon3d": str(one)}}, kind)
        for one in (path if isinstance(path, list) else [path])
        for data, options, kind in all_layers(GrainScene.of(open_grain(one)))
    ]
