"""Reconstruct the grain: engines, start and stop, and how it grows."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import ipywidgets as controls
import numpy as np
from numpy.typing import NDArray

from recon3d.arguments import check_options, checked
from recon3d.config.experiment import Experiment
from recon3d.config.settings_file import SettingsFile
from recon3d.files.grain import Grain
from recon3d.files.store import CleanedScan
from recon3d.parallel.jobs import reconstruct
from recon3d.plot.grain.growing import HEIGHT_IN, GrowingFigure, grown_of
from recon3d.plot.grain.results import write_results
from recon3d.reconstruction.fit.passes import HALF_PASSES
from recon3d.widgets.controls.panel import button, new_canvas, push, row
from recon3d.widgets.controls.parameters import Parameters
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


class Progress(NamedTuple):
    """What a reconstruction reports."""

    stage: str
    iteration: int
    residual: float
    grown: NDArray[np.float32] | None


class Reconstruct(Parameters):
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
        super().__init__(store, experiment, settings)
        self.options = options
        self.engines, self._own_engines = engines or Engines(), engines is None
        self.folder = folder or experiment.path
        self.grain: Grain | None = None
        self._stopping, self._began, self._fit_began = False, 0.0, 0.0
        self._residuals: list[float] = []
        self._make_buttons()
        self.canvas = new_canvas(HEIGHT_IN)
        self._figure = GrowingFigure(self.canvas.figure, experiment.volume)
        self.children = [
            *self.rows,
            self.engines,
            row(self.start_button, self.stop_button, self.bar),
            self.status,
            self.canvas,
        ]
        self.tell("press start: the first pass tells how long it will take")

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

    def refresh(self) -> None:
        """Draw what is known of the grain."""
        self._figure.update(self._residuals, None)
        self.canvas.draw_idle()

    def _make_buttons(self) -> None:
        self.start_button = button("Start", self.start, "reconstruct in the background")
        self.stop_button = button("Stop", self.stop, "after the pass that is going on")
        self.stop_button.disabled = True
        self.bar = controls.IntProgress(value=0, max=1, layout=controls.Layout(width="360px"))

    def _work(self, experiment: Experiment) -> Iterator[Grain | str]:
        def report(*news: Any) -> None:
            self.background.post(self._show_progress, Progress(*news))
            if self._stopping:
                raise KeyboardInterrupt

        def watch(news: list[dict[str, Any]]) -> None:
            self.background.post(self.engines.show_news, news)
            if self._stopping:
                raise KeyboardInterrupt

        client = self.engines.wait()
        self.engines.work(client is not None)
        try:
            grain = self._reconstruct(experiment, client=client, report=report, watch=watch)
        except KeyboardInterrupt:
            yield _STOPPED
            return
        finally:
            self.engines.work(False)
        if self.folder is not None:
            write_results(grain, self.folder)
        yield grain

    def _reconstruct(self, experiment: Experiment, **more: Any) -> Grain:
        memory_gib = float(self.memory.value)
        options = {"memory_gib": memory_gib, "checkpoint": self._checkpoint} | self.options | more
        return reconstruct(self.store, experiment, show_progress=False, **options)

    @property
    def _checkpoint(self) -> Path | None:
        return None if self.folder is None else self.folder / "checkpoint.h5"

    def _show_progress(self, news: Progress) -> None:
        if not (news.stage == "iteration" and news.iteration):
            self.tell(STAGES.get(news.stage, news.stage))
        self.bar.value += 1
        if news.stage == "iteration" and not news.iteration:
            self._fit_began = time.time()
        if news.stage == "iteration" and math.isfinite(news.residual):
            self._residuals.append(news.residual)
            self._figure.update(self._residuals, news.grown)
            push(self.canvas)
            self.tell(
                f"pass {news.iteration}: residual {news.residual:.3f}, "
                f"{self._time_left(news.iteration)}"
            )

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
