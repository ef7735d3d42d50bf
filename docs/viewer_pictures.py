"""Takes the pictures of the viewer that the README shows: viewer_pictures.py GRAIN.h5 OUTDIR."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from matplotlib.image import imsave
from qtpy.QtWidgets import QApplication

import recon3d as r3


def main(grain: Path, folder: Path) -> None:
    """Open a grain, click on a voxel, show a projection."""
    window = r3.view(grain, block=False)
    window.viewer.window._qt_window.resize(1180, 860)
    QApplication.processEvents()
    window.fit()

    def take(name: str) -> None:
        jobs = (window.dock.voxel.jobs, window.dock.frames.jobs)
        while any(job.busy for job in jobs):
            QApplication.processEvents()
            time.sleep(0.01)
        QApplication.processEvents()
        picture = window.viewer.screenshot(canvas_only=False, flash=False)
        imsave(folder / f"{name}.png", picture[..., :3])

    take("viewer")
    window.pick(window.scene.grain.volume.position_um, window.viewer.scene.camera.view_direction)
    take("viewer_voxel")
    window.viewer.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
