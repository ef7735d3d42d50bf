"""Takes the pictures of the viewer, and the film, that the README shows.

Run `recon3d demo` first, then `python docs/viewer_pictures.py recon3d_demo docs/images`.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from matplotlib.image import imsave
from qtpy.QtWidgets import QApplication

import recon3d as r3
from recon3d.files.grain import Grain
from recon3d.plot.grain.film import write_film


def main(demo: Path, folder: Path) -> None:
    """Click on a voxel, look at slices and at a frame, compare two grains, turn one."""
    first, second = demo / "grain_iterative.h5", demo / "grain_sample_frame.h5"
    window = r3.view(first, block=False)
    window.viewer.window._qt_window.resize(1180, 860)
    dock = window.dock

    def take(name: str) -> None:
        QApplication.processEvents()
        while dock.voxel.busy or dock.frames.busy:
            QApplication.processEvents()
            time.sleep(0.01)
        QApplication.processEvents()
        picture = window.viewer.screenshot(canvas_only=False, flash=False)
        imsave(folder / f"{name}.png", picture[..., :3])

    QApplication.processEvents()
    window.fit()
    take("viewer")
    window.pick(window.scene.grain.volume.position_um, window.viewer.scene.camera.view_direction)
    take("viewer_voxel")
    dock.tabs.setCurrentWidget(dock.frames.widget)
    dock.frames.omega.value = dock.frames.omega.max // 3
    take("viewer_frames")
    dock.tabs.setCurrentWidget(dock.look.native)
    dock.mode.value = "slices z"
    window.show_boundaries(dock.angle.value / 1e3)
    window.fit()
    take("viewer_slices")
    window.viewer.layers["boundaries"].visible = False
    dock.tabs.setCurrentWidget(dock.compare.native)
    dock.other.value = second
    dock.lay_over.changed.emit(True)
    take("viewer_compare")
    window.viewer.close()
    write_film(Grain.load(first), folder / "turning.gif", frames=24, per_second=8)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
