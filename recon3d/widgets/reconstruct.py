"""Reconstruct the grain: parameters and what they mean, what it will cost, and how it grows."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import ipywidgets as controls
import numpy as np
from numpy.typing import NDArray

from recon3d.experiment import Experiment
from recon3d.ini_keys import ALIGNMENTS, METHODS
from recon3d.io.grain import Grain
from recon3d.io.settings_file import SettingsFile
from recon3d.io.store import CleanedScan
from recon3d.parallel.run import reconstruct
from recon3d.plot.growing import draw_growing, update_growing
from recon3d.plot.results import write_results
from recon3d.reconstruction.expected import Expected, expected_cost
from recon3d.widgets.panel import Panel, button, check, choice, new_canvas, row, slider

STAGES = {
    "alignment": "finding the rotation axis, the drift, and the turning centre",
    "widths": "finding the widths of the instrument",
    "iteration": "fitting the grain",
    "half": "fitting one half of the projections, to see how far the result can be trusted",
    "backprojection": "backprojecting",
}


_STOPPED = "stopped"


class Progress(NamedTuple):
    """What a reconstruction reports."""

    stage: str
    iteration: int
    residual: float
    occupancy: NDArray[np.float32] | None


class Reconstruct(Panel):
    """Parameters, start and stop, and the grain while it grows.

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
    options
        Further keyword arguments of `recon3d.reconstruct`, such as `client`.
    """

    def __init__(
        self,
        store: CleanedScan,
        experiment: Experiment,
        settings: SettingsFile | None = None,
        *,
        folder: Path | None = None,
        **options: Any,
    ) -> None:
        super().__init__(settings)
        self.store, self.experiment, self.options = store, experiment, options
        self.folder = folder or experiment.path
        self.grain: Grain | None = None
        self._stopping = False
        self._residuals: list[float] = []
        self._make_controls()
        self.canvas = new_canvas(3.4)
        self._figure = draw_growing(self.canvas.figure, experiment.volume)
        self.children = [
            row(self.method, self.iterations, self.voxels),
            row(self.bin_size, self.align, self.tv_weight),
            row(self.split_half, self.cutoff, self.memory),
            row(self.start_button, self.stop_button, self.estimate_button, self.bar),
            self.status,
            self.canvas,
        ]
        self.tell("press start, or ask first what it will cost")

    @property
    def value(self) -> Experiment:
        """The experiment with the parameters as the controls stand."""
        volume = self.experiment.volume.with_longest(int(self.voxels.value))
        chosen = replace(self.experiment, volume=volume)
        return chosen.with_settings(
            method=self.method.value,
            iterations=int(self.iterations.value),
            bin_deg=float(self.bin_size.value) or None,
            align=self.align.value,
            tv_weight=float(self.tv_weight.value),
            split_half=self.split_half.value,
            completeness_cutoff=float(self.cutoff.value),
        )

    @property
    def params(self) -> dict[str, Any]:
        """What was chosen, by the keys of the .ini file."""
        chosen = self.value
        return {
            "grain_steps": chosen.volume.shape,
            "method": chosen.settings.method,
            "iterations": chosen.settings.iterations,
            "bin_size": chosen.settings.bin_deg,
            "align": chosen.settings.align,
            "tv_weight": chosen.settings.tv_weight,
            "split_half": chosen.settings.split_half,
            "completeness_cutoff": chosen.settings.completeness_cutoff,
        }

    @property
    def running(self) -> bool:
        """Whether a reconstruction is going on."""
        return not self.stop_button.disabled

    def estimate(self) -> None:
        """Tell, when it is measured, how much memory and time it will take."""
        if self.running:
            return
        self.tell("measuring one projection ...")
        self.background.start(self._estimate(), self._show_estimate)

    def start(self) -> None:
        """Save the parameters, and reconstruct in the background."""
        if self.running:
            return
        self.save()
        chosen = self.value
        self._stopping, self._residuals, self.grain = False, [], None
        self._figure = draw_growing(self.canvas.figure, chosen.volume)
        self.bar.max = 2 + chosen.settings.iterations + 2 * chosen.settings.split_half
        self.bar.value = 0
        self.start_button.disabled, self.stop_button.disabled = True, False
        self.background.start(self._work(chosen), self._finished)

    def stop(self) -> None:
        """End the reconstruction after the pass that is going on; nothing is written."""
        self._stopping = True
        self.tell("stopping after this pass ...")

    def done(self, timeout_s: float = 24 * 3600.0) -> None:
        """Start, if nobody did, and wait for the grain.

        Raises
        ------
        TimeoutError
            It takes longer than `timeout_s`.
        """
        if self.grain is None:
            self.start()
        self.background.wait(timeout_s)
        print(self.grain if self.grain is not None else "there is no grain: see the line above")

    def refresh(self) -> None:
        """Draw what is known of the grain."""
        update_growing(self._figure, self._residuals, None)
        self.canvas.draw_idle()

    def _make_controls(self) -> None:
        given, volume = self.experiment.settings, self.experiment.volume
        self.method = choice(
            "method",
            METHODS,
            given.method,
            "iterative fits all frames; backprojection sums them, which is quicker and rougher",
        )
        self.iterations = slider(
            "passes",
            given.iterations,
            1,
            30,
            tip="at most; it ends by itself when the residual settles",
        )
        self.voxels = slider(
            "voxels",
            max(volume.shape),
            8,
            2 * max(volume.shape),
            tip="along the longest edge of the box; time and memory grow with the cube",
        )
        self.bin_size = controls.BoundedFloatText(
            value=given.bin_deg or 0,
            min=0,
            max=1,
            step=0.001,
            description="bins (°)",
            tooltip="distance of the orientation bins in degrees; 0 for half a step of the scan",
            style={"description_width": "90px"},
            layout=controls.Layout(width="260px"),
        )
        self.align = choice(
            "align",
            ALIGNMENTS,
            given.align,
            "drift: find the axis and how the sample drifted; axis: the axis alone; none: as given",
        )
        self.tv_weight = slider(
            "smoothing",
            float(given.tv_weight),
            0.0,
            0.3,
            step=0.01,
            tip="total variation of the shape, as a share of a voxel",
        )
        self.split_half = check(
            "two halves",
            given.split_half,
            "fit the odd and the even "
            "projections too: resolution and precision, at double the time",
        )
        self.cutoff = slider(
            "completeness",
            float(given.completeness_cutoff),
            0.0,
            1.0,
            step=0.01,
            tip="from which a voxel is grain (backprojection)",
        )
        self.memory = slider("memory (GiB)", 8.0, 0.5, 256.0, step=0.5, tip="for distributions")
        self.start_button = button("Start", self.start, "reconstruct in the background")
        self.stop_button = button("Stop", self.stop, "after the pass that is going on")
        self.stop_button.disabled = True
        self.estimate_button = button("What will it cost?", self.estimate, "memory and time")
        self.bar = controls.IntProgress(value=0, max=1, layout=controls.Layout(width="360px"))

    def _estimate(self) -> Iterator[Expected]:
        yield expected_cost(self.store, self.value)

    def _show_estimate(self, expected: Expected) -> None:
        minutes = expected.seconds / 60
        spent = f"{expected.seconds:.0f} s" if minutes < 2 else f"{minutes:.0f} minutes"
        self.tell(
            f"about {expected.voxels} voxels x {expected.bins} orientations: "
            f"{expected.memory_gib:.2f} GiB, about {spent} on this machine",
            bad=expected.memory_gib > self.memory.value,
        )

    def _work(self, experiment: Experiment) -> Iterator[Grain | str]:
        def report(*news: Any) -> None:
            self.background.post(self._show_progress, Progress(*news))
            if self._stopping:
                raise KeyboardInterrupt

        try:
            grain = reconstruct(
                self.store,
                experiment,
                memory_gib=float(self.memory.value),
                show_progress=False,
                report=report,
                **self.options,
            )
        except KeyboardInterrupt:
            yield _STOPPED
            return
        if self.folder is not None:
            write_results(grain, self.folder)
        yield grain

    def _show_progress(self, news: Progress) -> None:
        if not (news.stage == "iteration" and news.iteration):
            self.tell(STAGES.get(news.stage, news.stage))
        self.bar.value += 1
        if math.isfinite(news.residual):
            self._residuals.append(news.residual)
            update_growing(self._figure, self._residuals, news.occupancy)
            self.canvas.draw_idle()
            self.tell(f"pass {news.iteration}: residual {news.residual:.3f}")

    def _finished(self, grain: Grain | str) -> None:
        self.start_button.disabled, self.stop_button.disabled = False, True
        if isinstance(grain, str):
            self.tell("stopped; nothing was written", bad=True)
            return
        self.grain = grain
        self.bar.value = self.bar.max
        update_growing(self._figure, self._residuals, grain.occupancy)
        self.canvas.draw_idle()
        where = "" if self.folder is None else f", written to {self.folder / 'grain.h5'}"
        self.tell(", ".join(f"{name}: {text}" for name, text in grain.facts().items()) + where)

    def _show_error(self, error: Exception) -> None:
        self.start_button.disabled, self.stop_button.disabled = False, True
        super()._show_error(error)
