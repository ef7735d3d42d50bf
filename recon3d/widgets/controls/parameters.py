"""The parameters of a reconstruction, and what they mean."""

from __future__ import annotations

from typing import Any

import ipywidgets as controls

from recon3d.config.experiment import Experiment
from recon3d.config.reconstruction import ALIGNMENTS, METHODS
from recon3d.config.settings_file import USUAL_MEMORY_GIB, SettingsFile
from recon3d.files.store import CleanedScan
from recon3d.widgets.controls.panel import Panel, check, choice, row, slider


class Parameters(Panel):
    """A control for every parameter that a user is likely to change.

    Parameters
    ----------
    store
        The cleaned scan.
    experiment
        Crystal, detector, volume, and the first values of the parameters.
    settings
        The settings file to which `save` writes.
    """

    def __init__(
        self, store: CleanedScan, experiment: Experiment, settings: SettingsFile | None = None
    ) -> None:
        super().__init__(settings)
        self.store, self.experiment = store, experiment
        self._make_controls()
        self.rows = [
            row(self.method, self.iterations, self.voxels),
            row(self.bin_size, self.align, self.tv_weight),
            row(self.split_half, self.cutoff, self.memory),
        ]
        self.children = [*self.rows, self.status]

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
            "completeness_cutoff": float(self.cutoff.value),
            "memory_gib": float(self.memory.value),
        }

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
            style={"description_width": "100px"},
            layout=controls.Layout(width="270px"),
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
            given.completeness_cutoff or 0.5,
            0.0,
            1.0,
            step=0.01,
            tip="from which a voxel is grain (backprojection)",
        )
        allowed = USUAL_MEMORY_GIB if self.settings is None else self.settings.memory_gib()
        self.memory = slider("memory (GiB)", allowed, 0.5, 256.0, step=0.5, tip="for distributions")
