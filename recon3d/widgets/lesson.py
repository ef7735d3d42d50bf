"""The lesson: a voxel that sliders move, and a grain that is reconstructed in several ways."""

from __future__ import annotations

import html
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import ipywidgets as controls

from recon3d.arguments import checked
from recon3d.config.experiment import Experiment
from recon3d.files.grain import Grain
from recon3d.files.store import CleanedScan
from recon3d.plot.grain.slices import central_voxel, slices_figure
from recon3d.plot.lesson import SpotFigure
from recon3d.simulate.lesson import METHODS, Row, each_way, planted_grain, table
from recon3d.simulate.scan_plan import ScanPlan
from recon3d.simulate.truth import Truth
from recon3d.widgets.controls.canvas import new_canvas
from recon3d.widgets.controls.panel import Panel, button, choice, row, slider
from recon3d.widgets.display import is_served, png_of
from recon3d.widgets.reconstruct import STAGES

PLACE_UM = (4.0, 2.0, 1.0)
"""Where the voxel of the lesson is."""


class VoxelSpot(Panel):
    """Sliders for the tilt of a voxel, ω, θ and h; they move its spot over a frame of a scan."""

    @checked()
    def __init__(self, plan: ScanPlan) -> None:
        super().__init__()
        self._geometry = plan.geometry(0)
        mu, gamma = plan.mu.values_deg, plan.gamma.values_deg
        step = 0.002
        most = step * round(1.3 * float(mu[-1]) / step)
        self.a = slider("a (°)", 0.03, -most, most, step=step, tip="tilt along the beam at ω = 0")
        self.b = slider("b (°)", 0.05, -most, most, step=step, tip="tilt across the beam at ω = 0")
        self.omega = slider("ω (°)", 0.0, 0.0, 360.0, step=1.0, tip="turn of the sample about G")
        theta = round(plan.crystal.bragg_angle_deg, 1)
        self.theta = slider("θ (°)", theta, 0.0, 30.0, step=0.1, tip="Bragg angle")
        self.handedness = choice("h", {"+1": 1, "-1": -1}, 1, "sense of the tilt motors and ω")
        for angle in (self.a, self.b):
            angle.readout_format = ".3f"
        for angle in (self.omega, self.theta):
            angle.readout_format = ".1f"
        self.canvas = new_canvas(4.4)
        self._drawn = SpotFigure(self.canvas.figure, mu, gamma, (plan.rows, plan.cols))
        moved = (self.a, self.b, self.omega, self.theta, self.handedness)
        self.children = [row(*moved), self.canvas, self.status]
        self.answer_to(*moved)
        self.refresh()

    @property
    def value(self) -> tuple[float, float]:
        """(a, b) of the voxel."""
        return float(self.a.value), float(self.b.value)

    def refresh(self) -> None:
        """Move the spot to where the sliders say."""
        light = self._drawn.update(
            self.value,
            PLACE_UM,
            self.omega.value,
            replace(self._geometry, theta_deg=self.theta.value),
            self.handedness.value,
        )
        self.tell(f"in the nearest frame it shines at {light:.0%} of its full brightness")
        self.canvas.draw_idle()


class SeveralWays(Panel):
    """A button that reconstructs a simulated grain in several ways, and what each way gave."""

    @checked()
    def __init__(self, store: CleanedScan, experiment: Experiment, truth: Truth) -> None:
        super().__init__()
        self._of = (store, experiment, truth)
        self._planted = planted_grain(truth, experiment)
        self.rows: list[Row] = []
        self.start_button = button("Reconstruct", self.start, "in each of the ways")
        most = len(METHODS) + experiment.settings.iterations + 2
        self.bar = controls.IntProgress(value=0, max=most, layout=controls.Layout(width="360px"))
        self.table = controls.HTML()
        self.pictures = controls.VBox()
        self.children = [
            row(self.start_button, self.bar), self.status, self.table, self.pictures
        ]  # fmt: skip
        self.tell("press the button: it takes some 20 s")

    @property
    def value(self) -> list[Row]:
        """How far each way is from the truth, as far as it is known."""
        return self.rows

    def start(self) -> None:
        """Reconstruct in the background."""
        self.start_button.disabled = True
        self.rows, self.pictures.children, self.bar.value = [], (), 0
        self.background.start(self._work(), self._take)

    @checked(timeout_s="> 0")
    def done(self, timeout_s: float = 3600.0) -> None:
        """Start, if nobody did, and wait; a served page waits for the button."""
        if is_served():
            return
        if not self.rows:
            self.start()
        self.background.wait(timeout_s)
        if self._failed is not None:
            raise self._failed

    def _work(self) -> Iterator[tuple[Row, Grain] | None]:
        yield from each_way(*self._of, show_progress=False, report=self._report)
        self.background.post(self._end, None)

    def _report(self, stage: str, number: int, *_: Any) -> None:
        told = f", pass {number}" if stage == "iteration" and number else " ..."
        self.background.post(self._show_stage, STAGES.get(stage, stage) + told)

    def _show_stage(self, stage: str) -> None:
        self.bar.value += 1
        self.tell(stage)

    def _take(self, found: tuple[Row, Grain]) -> None:
        compared, grain = found
        self.rows.append(compared)
        style = "font-family:monospace;line-height:1.4;white-space:pre"
        self.table.value = f'<pre style="{style}">{html.escape(table(self.rows))}</pre>'
        # The colours and the cuts of the planted grain, to compare with it.
        figure = slices_figure(grain, through=central_voxel(self._planted), like=self._planted)
        layout = controls.Layout(width="fit-content", margin="0")
        picture = controls.Image(value=png_of(figure), layout=layout)
        self.pictures.children += (controls.HTML(f"<b>{compared.name}</b>"), picture)

    def _end(self, _: None) -> None:
        self.start_button.disabled, self.bar.value = False, self.bar.max
        self.tell("done")

    def _show_error(self, error: Exception) -> None:
        self.start_button.disabled = False
        super()._show_error(error)
