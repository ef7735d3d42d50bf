"""The panel of the clicked voxel: its values, and its map of tilts from the frames."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from recon3d.errors import Recon3DError
from recon3d.plot.tilts import draw_tilt_map, mark_tilt
from recon3d.viewer.layers import describe_voxel
from recon3d.viewer.panel import Panel, new_text
from recon3d.viewer.pick import Voxel

if TYPE_CHECKING:
    from recon3d.reconstruction.quality.reprojection import VoxelEvidence
    from recon3d.viewer.window import GrainWindow


class VoxelPanel(Panel):
    """Values and orientation distribution of one voxel."""

    def __init__(self, window: GrainWindow) -> None:
        from qtpy.QtCore import Qt

        super().__init__(window, (3.1, 2.9), "")
        self.text = new_text("click on a voxel")
        self.text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._stack(self.text, self.canvas, self.note)

    def show(self, voxel: Voxel) -> None:
        """Read out a voxel, and begin to gather its distribution from the frames."""
        grain = self.window.scene.grain
        self.text.setText(describe_voxel(grain, voxel))
        self.window.dock.tabs.setCurrentWidget(self.widget)
        try:
            model = self.window.dock.frames.model()
        except (Recon3DError, OSError) as error:
            self._failed(error)
            return
        self.note.setText("gathering what the frames say of this voxel …")
        self.tilt_mdeg = 1e3 * np.asarray(grain.orientation[voxel], float)
        self.projections = len(model.projections)

        def job() -> Iterator[VoxelEvidence]:
            from recon3d.reconstruction.quality.reprojection import look_at_voxel, voxel_bins

            yield from look_at_voxel(model, voxel_bins(model), grain.volume.centre_um(voxel))

        self.jobs.start(job, self.projections)

    def _take(self, seen: VoxelEvidence) -> None:
        done = seen.omega_deg.size == self.projections
        if seen.omega_deg.size % 10 and not done:
            return  # every tenth state is enough to watch it grow
        self.canvas.figure.clear()
        ax = self.canvas.figure.add_axes((0.2, 0.18, 0.74, 0.72))
        draw_tilt_map(
            ax,
            seen.tilts / max(float(seen.tilts.max()), 1e-30),
            ("a: μ at ω = 0 (mdeg)", 1e3 * seen.bins.a_deg),
            ("b: γ at ω = 0 (mdeg)", 1e3 * seen.bins.b_deg),
        )
        mark_tilt(ax, self.tilt_mdeg)
        self.canvas.draw_idle()
        if done:
            self.note.setText("light of the frames at this voxel, turned back to ω = 0")

    def _failed(self, error: Exception) -> None:
        super()._failed(error)
        self.canvas.figure.clear()
        self.canvas.draw_idle()
