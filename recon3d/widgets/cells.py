"""The cells of a grain in the notebook: parted by a threshold, or as the data choose."""

from __future__ import annotations

import ipywidgets as controls
import numpy as np

from recon3d.analysis.cells import Cells, find_cells
from recon3d.arguments import checked
from recon3d.files.grain import Grain
from recon3d.plot.grain.cells import draw_cells
from recon3d.plot.grain.slices import slices_layout
from recon3d.widgets.controls.panel import WIDTH_IN, Panel, check, new_canvas, row, slider


class GrainCells(Panel):
    """Slices of a grain's cells with their numbers, their table, and what parts them."""

    @checked()
    def __init__(self, grain: Grain) -> None:
        super().__init__()
        self.grain = grain
        spread = np.ptp(grain.orientation[grain.oriented], axis=0) if grain.oriented.any() else 0
        most = max(round(1e3 * float(np.hypot(*np.broadcast_to(spread, 2)))), 2)
        self.by_data = check("automatic", True, "what stays in one piece longest is a cell")
        self.threshold = slider(
            "threshold (mdeg)",
            min(20, most),
            1,
            most,
            tip="neighbours that differ by more are parted",
        )
        self.threshold.disabled = True
        width, height = slices_layout(grain.volume)[0]
        self.canvas = new_canvas(height * WIDTH_IN / width)
        self.table = controls.HTML()
        self._found: Cells | None = None
        self.children = [
            row(self.by_data, self.threshold), self.canvas, self.table, self.status
        ]  # fmt: skip
        for control in (self.by_data, self.threshold):
            control.observe(lambda _: self.attempt(self.refresh), "value")
        self.attempt(self.refresh)

    @property
    def value(self) -> Cells | None:
        """The cells that are shown; None where there are none to find."""
        return self._found

    def refresh(self) -> None:
        """Find the cells as it is chosen, and draw them."""
        self.threshold.disabled = bool(self.by_data.value)
        chosen = None if self.by_data.value else 1e-3 * self.threshold.value
        self._found = find_cells(self.grain, chosen)
        self.canvas.figure.clear()
        draw_cells(self.canvas.figure, self.grain, self._found)
        self.canvas.draw_idle()
        self.table.value = self._found._repr_html_()
        self.tell(f"{len(self._found)} cells, {len(self._found.boundaries)} boundaries")
