"""Reconstruct the grain: engines, start and stop, and how it grows."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import ipywidgets as controls
import numpy as np
from numpy.typing import NDArray

from recon3d.arguments import check_options, checked
from recon3d.config.declare import settings_of
from recon3d.config.experiment import Experiment
from recon3d.config.reconstruction import Settings
from recon3d.config.settings_file import OfFile, SettingsFile
from recon3d.files.grain import Grain
from recon3d.files.store import CleanedScan
from recon3d.parallel.jobs import reconstruct
from recon3d.plot.grain.quality import write_results
from recon3d.plot.grain.slices import GrowingFigure, grown_of
from recon3d.reconstruction.fit.passes import HALF_PASSES
from recon3d.widgets.controls.canvas import new_canvas, push
from recon3d.widgets.controls.panel import Panel, button, control, row, slider
from recon3d.widgets.display import is_served
from recon3d.widgets.engines import Engines

STAGES = {
    "alignment": "finding the rotation axis, the drift, and the turning centre",
    "widths": "finding the widths of the instrument",
    "iteration": "fitting the grain",
    "refinement": "refining the orientation of every voxel",
    "half": "fitting one half of the projections, to see how far the result can be trusted",
    "backprojection": "backprojecting",
}


HALVES = 1 + 2 * HALF_PASSES
"""What is reported while two halves are fitted."""
_STOPPED = "stopped"


class Reconstruct(Panel):
    """Parameters, engines, start and stop, and the grain while it grows.

    Parameters
    ----------
    store
        The cleaned scan.
    experiment
        Crystal, detector, volume, and the first values of the parameters.
    settings
        The settings file to which `save` writes.
    folder
        Where grain.h5 goes; the experiment's path where None.
    engines
        Controls of engines that may share the work; new ones where None.
    options
        Further keyword arguments of `recon3d.reconstruct`.
    """

    @checked()
    def __init__(
        self,
        store: CleanedScan,
        experiment: Experiment,
        settings: SettingsFile | None = None,
        *,
        folder: Path | None = None,
        engines: Engines | None = None,
        **options: Any,
    ) -> None:
        check_options(reconstruct, options)
        super().__init__(settings)
        self.store, self.experiment, self.options = store, experiment, options
        self.engines, self._own_engines = engines or Engines(), engines is None
        self.folder = folder or experiment.path
        self.grain: Grain | None = None
        self._stopping, self._began, self._fit_began = False, 0.0, 0.0
        self._residuals: list[float] = []
        self._make_controls()
        self._make_buttons()
        self.canvas = new_canvas(5.8)
        self._figure = GrowingFigure(self.canvas.figure, experiment.volume)
        self.children = [
            row(self.method, self.iterations, self.voxels),
            row(self.bin_size, self.align, self.tv_weight),
            row(self.split_half, self.cutoff, self.memory),
            self.engines,
            row(self.start_button, self.stop_button, self.bar),
            self.status,
            self.canvas,
        ]
        self.tell("press start: the first pass tells how long it will take")

    @property
    def value(self) -> Experiment:
        """The experiment with the parameters as the controls stand, as its files would say it."""
        return Experiment.from_record(self.experiment.record() | self.params)

    @property
    def params(self) -> dict[str, Any]:
        """What was chosen, by the keys of the settings file."""
        return {
            "grain_steps": self.experiment.volume.with_longest(int(self.voxels.value)).shape,
            "method": self.method.value,
            "iterations": int(self.iterations.value),
            "bin_size": float(self.bin_size.value) or None,
            "align": self.align.value,
            "tv_weight": float(self.tv_weight.value),
            "split_half": self.split_half.value,
            "completeness_cutoff": float(self.cutoff.value) or None,
            "memory_gib": float(self.memory.value),
        }

    @checked()
    def show_saved(self, grain: Grain) -> None:
        """Show a grain that is there already; it is not this widget's own."""
        self._figure.update(grain.residual.tolist(), grown_of(grain))
        self.canvas.draw_idle()
        self.tell("this is the grain that is there already: press Start to make it anew")

    @property
    def running(self) -> bool:
        """Whether a reconstruction is going on."""
        return not self.stop_button.disabled

    def start(self) -> None:
        """Save the parameters, and reconstruct in the background."""
        if self.running:
            return
        self.save()
        chosen = self.value
        self._stopping, self._residuals, self.grain = False, [], None
        self._began = time.time()
        self._figure = GrowingFigure(self.canvas.figure, chosen.volume)
        self.bar.max = 3 + chosen.settings.iterations + chosen.settings.split_half * HALVES
        self.bar.value = 0
        self.start_button.disabled, self.stop_button.disabled = True, False
        self.background.start(self._work(chosen), self._finished)

    def stop(self) -> None:
        """End the reconstruction after the pass that is going on; nothing is written."""
        self._stopping = True
        self.tell("stopping after this pass ...")

    @checked(timeout_s="> 0")
    def done(self, timeout_s: float = 24 * 3600.0) -> None:
        """Start, if nobody did, and wait for the grain; a served page waits for *Start*."""
        if is_served():
            return
        if self.grain is None:
            self.start()
        try:
            self.background.wait(timeout_s)
        except KeyboardInterrupt:
            self.stop()
            self.background.wait(timeout_s)
        print(self.grain if self.grain is not None else "there is no grain: see the line above")

    def close(self) -> None:
        """End what is going on, and the widget; engines of its own are stopped."""
        self._stopping = True
        super().close()
        if self._own_engines:
            self.engines.close()

    def _make_controls(self) -> None:
        given, longest = self.experiment.settings, max(self.experiment.volume.shape)
        allowed = OfFile.memory_gib if self.settings is None else self.settings.memory_gib()
        keys = settings_of(Settings) | settings_of(OfFile)
        self.method = control(keys["method"], given.method)
        self.iterations = control(keys["iterations"], given.iterations, 1, 30, label="passes")
        self.voxels = slider(
            "voxels",
            longest,
            8,
            2 * longest,
            tip="along the longest edge of the box; time and memory grow with the cube",
        )
        self.bin_size = controls.BoundedFloatText(
            value=given.bin_deg or 0,
            min=0,
            max=1,
            step=0.001,
            description="bins (°, 0: auto)",
            tooltip=f"{keys['bin_size'].help} (0)",
            style={"description_width": "120px"},
            layout=controls.Layout(width="270px"),
        )
        self.align = control(keys["align"], given.align)
        self.tv_weight = control(
            keys["tv_weight"], given.tv_weight, 0.0, 0.3, step=0.01, label="smoothing"
        )
        self.split_half = control(keys["split_half"], given.split_half, label="two halves")
        self.cutoff = control(
            keys["completeness_cutoff"],
            given.completeness_cutoff or 0.0,
            step=0.01,
            label="complete (0: auto)",
        )
        self.memory = control(
            keys["memory_gib"], allowed, 0.5, 256.0, step=0.5, label="memory (GiB)"
        )

    def _make_buttons(self) -> None:
        self.start_button = button("Start", self.start, "reconstruct in the background")
        self.stop_button = button("Stop", self.stop, "after the pass that is going on")
        self.stop_button.disabled = True
        self.bar = controls.IntProgress(value=0, max=1, layout=controls.Layout(width="360px"))

    def _work(self, experiment: Experiment) -> Iterator[Grain | str]:
        def post(take: Callable[[Any], None], news: Any) -> None:
            self.background.post(take, news)
            if self._stopping:
                raise KeyboardInterrupt

        client = self.engines.wait()
        self.engines.work(client is not None)
        told = {
            "report": lambda *news: post(self._show_progress, news),
            "watch": lambda news: post(self.engines.show_news, news),
        }
        memory = {"memory_gib": float(self.memory.value), "checkpoint": self._checkpoint}
        options: dict[str, Any] = memory | self.options | told | {"client": client}
        try:
            grain = reconstruct(self.store, experiment, show_progress=False, **options)
        except KeyboardInterrupt:
            yield _STOPPED
            return
        finally:
            self.engines.work(False)
        if self.folder is not None:
            write_results(grain, self.folder)
        yield grain

    @property
    def _checkpoint(self) -> Path | None:
        return None if self.folder is None else self.folder / "checkpoint.h5"

    def _show_progress(self, news: tuple[str, int, float, NDArray[np.float32] | None]) -> None:
        stage, iteration, residual, grown = news
        if stage != "iteration" or not iteration:
            self.tell(STAGES.get(stage, stage))
        if stage == "iteration" and not iteration:
            self._fit_began = time.time()
        self.bar.value += 1
        if stage == "iteration" and math.isfinite(residual):
            self._residuals.append(residual)
            self._figure.update(self._residuals, grown)
            push(self.canvas)
            self.tell(f"pass {iteration}: residual {residual:.3f}, {self._time_left(iteration)}")

    def _time_left(self, passes: int) -> str:
        """What is left, at most, if every step takes as long as a pass has taken so far."""
        seconds = (time.time() - self._fit_began) / passes * (self.bar.max - self.bar.value)
        left = f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} minutes"
        return f"about {left} left at most"

    def _finished(self, grain: Grain | str) -> None:
        self.start_button.disabled, self.stop_button.disabled = False, True
        if isinstance(grain, str):
            self.tell(self._told_of_stop(), bad=True)
            return
        self.grain = grain
        self.bar.value = self.bar.max
        self._figure.update(self._residuals, grown_of(grain))
        push(self.canvas)
        where = "" if self.folder is None else f", written to {self.folder / 'grain.h5'}"
        facts = ", ".join(f"{name}: {text}" for name, text in grain.facts().items())
        doubts = "".join(f"; in doubt: {doubt}" for doubt in grain.doubts)
        self.tell(facts + where + doubts, bad=bool(doubts))

    def _told_of_stop(self) -> str:
        path = self._checkpoint
        if path is None or not path.is_file() or path.stat().st_mtime < self._began:
            return "stopped; nothing was written"
        file = "" if self.settings is None else f" --settings {self.settings.path.name}"
        command = f"recon3d reconstruct{file} --resume"
        return f"stopped; {path.name} holds what was done: `{command}` goes on from it"

    def _show_error(self, error: Exception) -> None:
        self.start_button.disabled, self.stop_button.disabled = False, True
        super()._show_error(error)
