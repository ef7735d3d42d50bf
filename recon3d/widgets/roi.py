"""Choose the region of interest: drag a rectangle, type numbers, or take what the data suggest."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import ipywidgets as controls
import numpy as np
from matplotlib.backend_bases import MouseEvent
from matplotlib.widgets import RectangleSelector
from numpy.typing import NDArray

from recon3d.arguments import checked
from recon3d.cleaning.getdata import calibration_images
from recon3d.cleaning.light import (
    Light,
    look_for_light,
    share_outside,
    spread_projections,
    whole_frames,
)
from recon3d.cleaning.suggest import Suggestion, suggesting
from recon3d.config.getdata import GetData
from recon3d.config.settings_file import SettingsFile
from recon3d.plot.parts import TEXT_SIZE, draw_color_bar
from recon3d.plot.scan.detector_frames import (
    DrawnRegion,
    animate_frame,
    draw_frame,
    raw_limits,
    update_frame,
)
from recon3d.readers.source import Roi
from recon3d.scan.scan import Scan
from recon3d.widgets.controls.canvas import new_canvas
from recon3d.widgets.controls.panel import (
    Panel,
    button,
    check,
    choice,
    mend_button,
    row,
    show_if,
    slider,
)

SAMPLED = 9
"""Projections that are looked at for the suggestion, and for what falls outside."""
SHOWN = {
    "sum of the projection": "sum",
    "maximum of the projection": "maximum",
    "single frame": "frame",
    "brightest of several ω": "several",
}


class RegionOfInterest(Panel):
    """A frame with a rectangle on it.

    Parameters
    ----------
    scan
        The raw scan; a region that it has is the first one shown.
    settings
        The settings file to which `save` writes.
    """

    @checked()
    def __init__(self, scan: Scan, settings: SettingsFile | None = None) -> None:
        super().__init__(settings)
        self.scan = whole_frames(scan)
        chosen = {} if settings is None else settings.read()
        self._plan = settings.getdata() if settings and "datadir" in chosen else GetData("")
        self._images: dict[int, Light] = {}
        self._suggestion: Suggestion | None = None
        self._illuminated = np.zeros(self.scan.source.frame_shape, np.float32)
        self._roi = scan.roi
        self._moving = False
        self._make_controls()
        self._make_figure()
        self.mend = mend_button(self.suggest, "another region, and the rim that goes with it")
        self.children = [
            row(self.shown, self.projection, self.frame, self.log_colors),
            row(
                *self.numbers,
                button("Suggest", self.suggest, "the box that holds all light"),
                self.mend,
            ),
            self.canvas,
            self.status,
        ]
        # A suggestion that nobody asked for is shown, and saved by `done`.
        self._wanted = settings is not None and None in (self._plan.poi, self._plan.imgsize)
        self._pressed = False
        self.refresh()
        self.sample()

    @property
    def value(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """Centre and size, each (x, y) = (column, row), as `Scan.crop` takes them."""
        return self._roi.center, self._roi.size

    @value.setter
    @checked()
    def value(self, region: tuple[tuple[int, int], tuple[int, int]]) -> None:
        self._set(Roi.around(*region))

    @property
    def params(self) -> dict[str, Any]:
        """`poi` and `imgsize`, as `getdata` takes them, and `framebg` where it goes with them."""
        center, size = self.value
        chosen: dict[str, Any] = {"poi": center, "imgsize": size}
        found = self._suggestion
        if found is not None:  # a rim that was suggested does not go with another box
            chosen["framebg"] = found.framebg if found.box == self._roi else None
        return chosen

    @checked()
    def select(self, left: float, top: float, right: float, bottom: float) -> None:
        """Choose the pixels that a rectangle touches; its edges in pixels of the frame."""
        rows, cols = self.scan.source.frame_shape
        across = sorted(int(np.floor(np.clip(x, 0, cols - 1) + 0.5)) for x in (left, right))
        down = sorted(int(np.floor(np.clip(y, 0, rows - 1) + 0.5)) for y in (top, bottom))
        size = (across[1] - across[0] + 1, down[1] - down[0] + 1)
        self._set(Roi(down[0], across[0], size[1], size[0]))

    def suggest(self) -> None:
        """Choose the box that the data suggest, and the width of its rim with it."""
        self._wanted = self._pressed = True
        self.sample()

    @property
    def outside(self) -> float:
        """Share of the light that falls outside, the worst of the projections looked at."""
        return max(share_outside(list(self._images.values()), self._roi), default=0.0)

    def done(self) -> None:
        """Save the box; where none was chosen yet, wait for the one that the data suggest."""
        self.finish(lambda: not self._wanted)

    @checked()
    def set_scan(self, scan: Scan) -> None:
        """Go on with a scan that has grown."""
        known = self.scan.omega_deg
        self.scan = whole_frames(scan)
        if not np.array_equal(known, scan.omega_deg[: known.size]):
            self._images.clear()
            self._illuminated[:] = 0
        self.projection.max = self.scan.shape[0] - 1
        self.sample()

    def sample(self) -> None:
        """Look at projections spread over the scan, in the background."""
        self.background.start(self._look(), self._take)

    def refresh(self) -> None:
        """Show what was chosen to be shown; what is not known yet follows."""
        k = self.projection.value
        kind = SHOWN[self.shown.value]
        self.frame.disabled = kind != "frame"
        if kind in ("sum", "maximum") and k not in self._images:
            self.sample()
        self._show(self._image(kind, k))

    def _make_controls(self) -> None:
        projections, frames = self.scan.shape[:2]
        self.shown = choice("show", list(SHOWN), "sum of the projection", "which image to show")
        self.projection = slider("projection", projections // 2, 0, projections - 1)
        self.frame = slider("frame", frames // 2, 0, frames - 1)
        self.log_colors = check("log", False, "logarithmic colours")
        self.numbers = [
            controls.IntText(
                description=name,
                tooltip=tip,
                continuous_update=False,
                style={"description_width": "110px"},
                layout=controls.Layout(width="190px"),
            )
            for name, tip in (
                ("centre x (pixels)", "column of the centre"),
                ("centre y (pixels)", "row of the centre"),
                ("width (pixels)", "columns"),
                ("height (pixels)", "rows"),
            )
        ]
        self._show_numbers()
        self.answer_to(self.shown, self.projection, self.frame, self.log_colors)
        self.answer_to(*self.numbers, by=self._typed)

    def _make_figure(self) -> None:
        self.canvas = new_canvas(6.2, 9.0)
        figure = self.canvas.figure
        self.ax = figure.add_axes((0.09, 0.1, 0.76, 0.83))
        image = self._image("frame", self.projection.value)
        self.ax.set_anchor("E")
        self._drawn = draw_frame(self.ax, image, color_map="cividis")
        self._bar = draw_color_bar(self._drawn, figure.add_axes((0.88, 0.1, 0.02, 0.83)), "counts")
        self._region = DrawnRegion(self.ax, self._roi, np.zeros(image.shape, np.float32))
        # Blitting needs a browser's answer between two events.
        self.selector = RectangleSelector(
            self.ax,
            self._dragged,
            useblit=False,
            interactive=True,
            props={"edgecolor": "white", "facecolor": "none", "linewidth": 1.5, "fill": False},
        )
        animate_frame(self._drawn)
        region = (self._region.shade, self._region.lost)
        for moving in (*region, *self.selector.artists, self.ax.title, self._bar.ax):
            moving.set_animated(True)
        self._set_selector()

    def _image(self, kind: str, k: int) -> NDArray[Any]:
        if kind == "several" and self._images:
            return np.max([images.largest for images in self._images.values()], axis=0)
        if kind in ("sum", "maximum") and k in self._images:
            known = self._images[k]
            return known.summed if kind == "sum" else known.largest
        slot = int(self.scan.slots[k, self.frame.value])
        if slot < 0:
            return np.zeros(self.scan.source.frame_shape, self.scan.dtype)
        return self.scan.read_frame(slot)

    def _show(self, image: NDArray[Any]) -> None:
        low, top = raw_limits(image)
        update_frame(self._drawn, image, log=self.log_colors.value, low=low, top=top)
        k = self.projection.value
        self.ax.title.set_text(f"{self.shown.value}, ω = {self.scan.omega_deg[k]:.2f}°")
        # Exponents are smaller than the rest.
        self._bar.ax.tick_params(labelsize=TEXT_SIZE + (2 if self.log_colors.value else 0))
        self.canvas.draw_idle()

    def _show_outside(self) -> None:
        self._region.update(self._roi, self._illuminated)
        self.canvas.draw_idle()
        columns = f"columns {self._roi.col} to {self._roi.col + self._roi.cols - 1}"
        rows = f"rows {self._roi.row} to {self._roi.row + self._roi.rows - 1}"
        lost = self.outside
        told = (
            f"{lost:.1%} of the light falls outside at worst"
            if self._images
            else "looking for light"
        )
        if self._wanted:
            told += "; working out which box and rim to suggest ..."
        elif self._suggestion and self._suggestion.box == self._roi:
            told += f"; suggested with framebg {self._suggestion.framebg}"
        in_rim = self._in_rim
        if in_rim > 0.01:
            told += f"; {in_rim:.1%} of it falls into the rim of framebg {self._rim} pixels"
        bad = max(lost, in_rim) > 0.01
        show_if(bad, self.mend)
        told += f" ({len(self._images)} projections looked at)"
        if bad:
            told += ": the grain would be cut; press Mend, or drag a wider box"
        self.tell(f"{columns}, {rows}; {told}", bad=bad)

    @property
    def _rim(self) -> int:
        """Width of the rim that was chosen, or goes with the suggested box."""
        if self._suggestion is not None:
            return self._suggestion.framebg if self._suggestion.box == self._roi else 0
        return self._plan.cleaning.framebg or 0

    @property
    def _in_rim(self) -> float:
        """Share of the light that falls into the rim, in the worst projection."""
        roi, rim = self._roi, self._rim
        if min(roi.rows, roi.cols) <= 2 * rim:
            return 1.0
        inner = Roi(roi.row + rim, roi.col + rim, roi.rows - 2 * rim, roi.cols - 2 * rim)
        images = list(self._images.values())
        pairs = zip(share_outside(images, inner), share_outside(images, roi), strict=True)
        return max((less - more for less, more in pairs), default=0.0)

    def _look(self) -> Iterator[Light | Suggestion | None]:
        sampled = spread_projections(self.scan, SAMPLED)
        known = dict(self._images)
        for k in dict.fromkeys([self.projection.value, *sampled]):
            if k not in known:
                for light in look_for_light(self.scan, k):
                    if light is not None:
                        known[k] = light
                    yield light
        if self._wanted:
            lights, scan = [known[k] for k in sampled], self.scan.binned(*self._plan.binning)
            cleaning = replace(self._plan.cleaning, framebg=None, binth=None)
            images = calibration_images(self._plan)
            yield from suggesting(scan, cleaning, lights=lights, **images)

    def _take(self, found: Light | Suggestion) -> None:
        if isinstance(found, Light):
            self._keep(found)
        else:
            self._suggestion = found
            self._set(found.box, save=self._pressed)

    def _keep(self, light: Light) -> None:
        if len(self._images) > 3 * SAMPLED:
            self._images.pop(next(iter(self._images)))
        self._images[light.projection] = light
        np.maximum(self._illuminated, light.signal, out=self._illuminated)
        if light.projection == self.projection.value or SHOWN[self.shown.value] == "several":
            self._show(self._image(SHOWN[self.shown.value], self.projection.value))
        self._show_outside()

    def _set(self, roi: Roi, *, save: bool = True) -> None:
        if not self.attempt(roi.require_inside, self.scan.source.frame_shape):
            return
        self._roi = roi
        self._wanted = False
        self._show_numbers()
        self._set_selector()
        self._show_outside()
        if save:
            self.save()

    def _set_selector(self) -> None:
        left, top = self._roi.col - 0.5, self._roi.row - 0.5
        self.selector.extents = (left, left + self._roi.cols, top, top + self._roi.rows)

    def _show_numbers(self) -> None:
        self._moving = True
        center, size = self.value
        for control, number in zip(self.numbers, (*center, *size), strict=True):
            control.value = number
        self._moving = False

    def _typed(self) -> None:
        if not self._moving:
            x, y, width, height = (control.value for control in self.numbers)
            self.value = ((x, y), (width, height))

    def _dragged(self, press: MouseEvent, release: MouseEvent) -> None:
        if None in (press.xdata, press.ydata, release.xdata, release.ydata):
            return
        left, right, top, bottom = self.selector.extents
        # The outermost pixels are those that the rectangle covers by half or more.
        self.select(left + 0.5, top + 0.5, right - 0.5, bottom - 0.5)
