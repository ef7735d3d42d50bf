"""Follow a scan that is still being written, and preview the grain in it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import suppress

import ipywidgets as controls

from recon3d.arguments import checked
from recon3d.cleaning.getdata import calibration_images, opening, region_of
from recon3d.cleaning.overview import GrowingOverview, ProjectionGlance
from recon3d.config.settings_file import SettingsFile
from recon3d.errors import Recon3DError
from recon3d.files.grain import Grain
from recon3d.plot.grain.slices import slices_figure
from recon3d.reconstruction.preview import preview_grain
from recon3d.scan.follow import Follower
from recon3d.scan.scan import Scan
from recon3d.simulate.first_preview import begin_compiling, is_compiling
from recon3d.widgets.controls.background import Background
from recon3d.widgets.controls.panel import Panel, button, row
from recon3d.widgets.display import is_served, png_of
from recon3d.widgets.projections import Projections

PAUSE_S = 1.0
"""How long after it is shown it prepares for a preview."""
PATIENCE_S = 300.0
"""How long it waits for another process that compiles, before it compiles itself."""


class Live(Panel):
    """A switch that follows the scan of a settings file, and a button for a preview of the grain.

    `widgets`: open ones in which new projections are to appear. `interval_s`: seconds between two
    looks at the disk.
    """

    @checked()
    def __init__(
        self, settings: SettingsFile, widgets: Sequence[Panel] = (), *, interval_s: float = 2.0
    ) -> None:
        super().__init__(settings)
        self.widgets = list(widgets)
        self.interval_s = interval_s
        self.follower: Follower | None = None
        self.grain: Grain | None = None
        self._overview: GrowingOverview | None = None
        self._began = 0.0
        self._compiled = False
        self._preview = Background(self._show_error)
        self.switch = controls.ToggleButton(
            value=False, description="Follow", tooltip="look for new projections"
        )
        self.picture = controls.Image(format="png", layout=controls.Layout(display="none"))
        self.caption = controls.HTML()
        self.switch.observe(lambda change: self._switched(change["new"]), "value")
        tip = "a rough grain of what is there so far, on coarse voxels"
        self.children = [
            row(self.switch, button("Preview grain", self.preview, tip)),
            self.status,
            self.picture,
            self.caption,
        ]
        if not is_served():
            self._preview.start(self._prepare(), lambda _: None, delay_s=PAUSE_S)

    @property
    def value(self) -> bool:
        """Whether the scan is followed."""
        return bool(self.switch.value)

    @value.setter
    def value(self, follow: bool) -> None:
        self.switch.value = follow

    def preview(self) -> None:
        """Make a rough grain of what is there so far, and show it when it is done."""
        first = "" if self._compiled else "; the first after an installation compiles for a minute"
        self.tell(f"making a rough grain{first} ...")
        self._began = time.monotonic()
        self.caption.value = ""
        self._preview.start(self._quick(), self._show_grain)

    def close(self) -> None:
        """Follow no more, and close the widget."""
        self._switched(False)
        self._preview.cancel()
        super().close()

    def _switched(self, follow: bool) -> None:
        if self.follower is not None:
            self.follower.stop()
            self.background.cancel()
            self.follower = None
        if follow:
            self.follower = self._new_follower()
            self.tell("looking for new projections ...")
            self.background.start(self._watch(self.follower), self._take)
        else:
            self.tell("not following")

    def _new_follower(self) -> Follower:
        assert self.settings is not None
        plan = self.settings.getdata()
        return Follower(plan.datadir, plan.dataname, interval_s=self.interval_s, **opening(plan))

    def _watch(self, follower: Follower) -> Iterator[Scan | list[ProjectionGlance] | str]:
        for scan in follower.watch():
            if scan is None:
                yield follower.reason
                continue
            if any(isinstance(widget, Projections) for widget in self.widgets):
                yield from self._glances(scan)
            yield scan

    def _glances(self, scan: Scan) -> Iterator[list[ProjectionGlance] | str]:
        assert self.settings is not None
        plan = self.settings.getdata()
        cropped = region_of(scan, plan)
        if self._overview is None or self._overview.cleaning != plan.cleaning:
            self._overview = GrowingOverview(plan.cleaning, calibration_images(plan))
        for number, _ in enumerate(self._overview.extend(cropped)):
            yield f"cleaning new projections: {number + 1}"
        yield list(self._overview.glances.values())

    def _take(self, news: Scan | list[ProjectionGlance] | str) -> None:
        if isinstance(news, str):
            self.tell(f"{self._so_far()}; {news}")
        elif isinstance(news, list):
            for widget in self.widgets:
                if isinstance(widget, Projections):
                    widget.set_glances(news)
        else:
            for widget in self.widgets:
                if hasattr(widget, "set_scan"):
                    widget.set_scan(news)
            self.tell(self._so_far())

    def _so_far(self) -> str:
        scan = None if self.follower is None else self.follower.scan
        if scan is None:
            return "no complete projection yet"
        return f"{scan.shape[0]} complete projections, up to ω = {scan.omega_deg[-1]:.2f}°"

    def _prepare(self) -> Iterator[None]:
        """Have compiled what a preview needs, and load it by a tiny one, while nobody waits."""
        yield from self._wait_for_compiling()
        with suppress(Recon3DError):  # a preview that is asked for tells what is wrong
            self._rough(projections=3, voxels=8)

    def _wait_for_compiling(self) -> Iterator[None]:
        begin_compiling()
        end = time.monotonic() + PATIENCE_S
        while is_compiling() and time.monotonic() < end:
            time.sleep(0.2)
            yield

    def _quick(self) -> Iterator[Grain | str | None]:
        if not self._compiled:
            yield from self._wait_for_compiling()
        yield self._rough()

    def _rough(self, **size: int) -> Grain | str:
        """A rough grain of what there is; why there is none where there is no projection yet."""
        assert self.settings is not None
        plan = self.settings.getdata()
        follower = self.follower or self._new_follower()
        scan = follower.scan or follower.poll()
        if scan is None:
            return follower.reason
        images = calibration_images(plan)
        experiment = self.settings.experiment()
        grain = preview_grain(region_of(scan, plan), plan.cleaning, experiment, **size, **images)
        self._compiled = True
        return grain

    def _show_grain(self, grain: Grain | str) -> None:
        if isinstance(grain, str):
            self.tell(grain)
            return
        self.grain = grain
        self.picture.value = png_of(slices_figure(grain), 100)
        self.picture.layout.display = None
        omega = grain.projections["omega"].round(2) + 0.0  # no -0.00
        self.caption.value = (
            f"a rough grain of {grain.volume_um3:.3g} µm³ from {omega.size} projections at ω = "
            f"{omega.min():.2f} to {omega.max():.2f}°, on voxels of "
            f"{grain.volume.voxel_um[0]:.2g} µm, made in {time.monotonic() - self._began:.0f} s; "
            "not looked for: the drift, the axis to better than 0.2 pixels, errors; where angles "
            f"are missing, its volume is right to some {20 if omega.size >= 9 else 30} %"
        )
        self.tell(self._so_far() if self.follower else "not following")
