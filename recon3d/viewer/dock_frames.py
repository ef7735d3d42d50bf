"""A measured frame beside the grain's reprojection."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from recon3d.errors import Recon3DError
from recon3d.plot.scan.projections import draw_comparison, image_extent
from recon3d.viewer.panel import Panel

if TYPE_CHECKING:
    from recon3d.reconstruction.model.scan_model import ScanModel
    from recon3d.viewer.window import GrainWindow

SUMMED = "all, summed"


@dataclass(frozen=True)
class Shown:
    """The frames of a projection, measured and modelled, (frames, rows, cols)."""

    projection: int
    measured: NDArray[np.float32]
    modelled: NDArray[np.float32]


class FramesPanel(Panel):
    """Choose ω and a frame, and see measured and modelled side by side."""

    def __init__(self, window: GrainWindow) -> None:
        from magicgui import widgets as gui

        note = "frames need the cleaned scan that the grain was made from"
        super().__init__(window, (3.1, 4.6), note)
        self.found: ScanModel | None = None
        self.shown: Shown | None = None
        self.omega = gui.Slider(label="projection", min=0, max=1, value=0)
        self.omega.tracking = False
        self.frame = gui.ComboBox(label="frame", choices=[SUMMED])
        self.load = gui.PushButton(text="show frames")
        controls = gui.Container(widgets=[self.omega, self.frame, self.load])
        self._stack(controls.native, self.note, self.canvas)
        self.load.changed.connect(lambda: self.jump(self.omega.value))
        self.omega.changed.connect(self.jump)
        self.frame.changed.connect(lambda: self._draw())

    def model(self) -> ScanModel:
        """The scan, opened when first needed; a ParameterError says where it was looked for."""
        if self.found is None:
            from recon3d.reconstruction.quality.reprojection import find_model

            window = self.window
            self.found = find_model(window.scene.coarse, window.scene.path, window.scan, window.ini)
            with self.omega.changed.blocked():
                self.omega.max = len(self.found.projections) - 1
        return self.found

    def jump(self, number: int) -> None:
        """Show the projection of some number among those that were used."""
        try:
            model = self.model()
        except (Recon3DError, OSError) as error:
            self._failed(error)
            return
        with self.omega.changed.blocked():
            self.omega.value = min(number, len(model.projections) - 1)
        projection = int(model.projections[min(number, len(model.projections) - 1)])
        grain = self.window.scene.coarse
        self.note.setText(f"ω = {model.omega_deg(projection):.2f}°: projecting the grain …")

        def job() -> Iterator[Shown]:
            from recon3d.reconstruction.quality.reprojection import reproject

            measured = model.frames(projection)
            yield Shown(projection, measured, reproject(grain, model, projection))

        self.jobs.start(job, 0)

    def _take(self, shown: Shown) -> None:
        self.shown = shown
        numbers = [SUMMED, *(str(i) for i in range(len(shown.measured)))]
        if len(numbers) != len(self.frame.choices):
            with self.frame.changed.blocked():
                self.frame.choices = numbers
        self._draw()

    def _draw(self) -> None:
        if self.shown is None:
            return
        shown, model, chosen = self.shown, self.model(), self.frame.value
        pick = slice(None) if chosen == SUMMED else slice(int(chosen), int(chosen) + 1)
        measured, modelled = shown.measured[pick].sum(axis=0), shown.modelled[pick].sum(axis=0)
        extent = image_extent(measured.shape, model.pixel_um)
        self.canvas.figure.clear()
        room = {"hspace": 0.45, "top": 0.93, "bottom": 0.1}
        axes = self.canvas.figure.subplots(2, 1, gridspec_kw=room)
        draw_comparison(axes[0], axes[1], measured, modelled, extent)
        self._mark(axes, shown.projection)
        self.canvas.draw_idle()
        where = f"ω = {model.omega_deg(shown.projection):.2f}°"
        if chosen != SUMMED:
            place, settings = (shown.projection, int(chosen)), model.settings
            mu, gamma = settings.mu_deg[place], settings.gamma_deg[place]
            where += f", μ = {mu:.3f}°, γ = {gamma:.3f}°"
        self.note.setText(where)

    def _mark(self, axes: Any, projection: int) -> None:
        """Mark where the clicked voxel lands."""
        from recon3d.reconstruction.quality.reprojection import place_of

        if self.window.voxel is None:
            return
        volume = self.window.scene.grain.volume
        row, col = place_of(self.model(), projection, volume.centre_um(self.window.voxel))
        height, width = self.model().pixel_um
        for ax in axes:
            ax.plot((col + 0.5) * width, (row + 0.5) * height, "o", mfc="none", color="w")
