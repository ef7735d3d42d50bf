"""The panel of the clicked voxel: its values, and its map of tilts from the frames."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from recon3d.errors import Recon3DError
from recon3d.plot.parts import TEXT_SIZE, label
from recon3d.viewer.background import Jobs
from recon3d.viewer.canvas import Canvas
from recon3d.viewer.layers import describe_voxel
from recon3d.viewer.pick import Voxel

if TYPE_CHECKING:
    from recon3d.viewer.window import GrainWindow


class VoxelPanel:
    """Values and orientation distribution of one voxel."""

    def __init__(self, window: GrainWindow) -> None:
        from qtpy.QtCore import Qt
        from qtpy.QtWidgets import QLabel, QVBoxLayout, QWidget

        self.window = window
        self.canvas = Canvas(3.1, 2.9)
        self.widget: Any = QWidget()
        self.text: Any = QLabel("click on a voxel")
        self.text.setWordWrap(True)
        self.text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.note: Any = QLabel("")
        self.note.setWordWrap(True)
        layout = QVBoxLayout(self.widget)
        for part in (self.text, self.canvas.widget, self.note):
            layout.addWidget(part)
        layout.addStretch()
        self.jobs = Jobs(self._draw, self._failed)

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
        tilt = np.asarray(grain.orientation[voxel], float)

        def job() -> Iterator[Any]:
            from recon3d.reconstruction.quality.voxel import look_at_voxel, voxel_bins

            bins = voxel_bins(model)
            total = len(model.projections)
            steps = look_at_voxel(model, bins, grain.volume.centre_um(voxel))
            for number, seen in enumerate(steps, start=1):
                # Every tenth state is enough to watch it grow.
                shares = seen.tilts / max(float(seen.tilts.max()), 1e-30)
                shown = shares if number % 10 == 0 or number == total else None
                yield bins, shown, tilt, number == total

        self.jobs.start(job, len(model.projections))

    def _draw(self, state: Any) -> None:
        bins, shares, (a, b), done = state
        if shares is None:
            return
        self.canvas.clear()
        ax = self.canvas.figure.add_axes((0.2, 0.18, 0.74, 0.72))
        draw_distribution(ax, bins.a_deg, bins.b_deg, shares, (a, b))
        self.canvas.draw()
        if done:
            self.note.setText("light of the frames at this voxel, turned back to ω = 0")

    def _failed(self, error: Exception) -> None:
        self.note.setText(str(error))
        self.canvas.clear()
        self.canvas.draw()


def draw_distribution(
    ax: Any, a_deg: Any, b_deg: Any, shares: Any, tilt_deg: tuple[float, float]
) -> None:
    """Draw an orientation distribution over (a, b), with the voxel's own orientation marked.

    `shares`, (bins of a, bins of b): the distribution, 1 at its maximum.
    """
    half_a = (a_deg[1] - a_deg[0]) / 2 if a_deg.size > 1 else 1e-3
    half_b = (b_deg[1] - b_deg[0]) / 2 if b_deg.size > 1 else 1e-3
    edges = (a_deg[0] - half_a, a_deg[-1] + half_a, b_deg[0] - half_b, b_deg[-1] + half_b)
    extent = tuple(1e3 * float(edge) for edge in edges)
    ax.imshow(shares.T, origin="lower", extent=extent, cmap="viridis", vmin=0, vmax=1)
    ax.plot(1e3 * tilt_deg[0], 1e3 * tilt_deg[1], "+", color="#d55e00", ms=12, mew=2)
    label(ax, "a: μ at ω = 0 (mdeg)", "b: γ at ω = 0 (mdeg)", ticks=TEXT_SIZE - 1)
