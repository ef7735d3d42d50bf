"""The parameters of a reconstruction, and what they mean."""

from __future__ import annotations

from typing import Any

import ipywidgets as controls

from recon3d.config.declare import settings_of
from recon3d.config.experiment import Experiment
from recon3d.config.reconstruction import Settings
from recon3d.config.settings_file import OfFile, SettingsFile
from recon3d.files.store import CleanedScan
from recon3d.widgets.controls.panel import Panel, control, row, slider


class Parameters(Panel):
    """A control for every parameter that a user is likely to change.

    `experiment`: crystal, detector, volume, and the first values. `settings`: the settings file to
    which `save` writes.
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
            "completeness_cutoff": float(self.cutoff.value) or None,
            "memory_gib": float(self.memory.value),
        }

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
