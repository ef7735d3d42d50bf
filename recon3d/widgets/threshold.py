"""Choose how frames are cleaned: see every step on one frame, and what is kept of the scan."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recon3d.cleaning.preview import FramePreview, Kept
from recon3d.cleaning.region import coarse_to_fine
from recon3d.cleaning.suggest import suggest_cleaning
from recon3d.experiment import Cleaning
from recon3d.getdata import calibration_images, region_of
from recon3d.getdata_keys import CLEANING_KEYS, GetData
from recon3d.io.scan import Scan
from recon3d.io.settings_file import SettingsFile
from recon3d.plot.cleaning import (
    CleaningFigure,
    draw_cleaning,
    draw_kept,
    update_cleaning,
    update_kept,
)
from recon3d.plot.frames import draw_frame_grid, frame_grid, setting_text, thinned
from recon3d.widgets.panel import Panel, button, check, choice, new_canvas, row, slider

PAUSE_S = 0.4
"""How long a slider must rest before the whole scan is looked at."""
NO_MASK: dict[str, Any] = {
    "binth": 0.0,
    "min_region_pix": 0,
    "close_radius_pix": 0,
    "fill_holes": False,
}
"""The parameters with which step 6 keeps every count."""


class Threshold(Panel):
    """One frame on its way through cleaning, and sliders for every step.

    Parameters
    ----------
    scan
        The raw scan.
    plan
        Region of interest, first values, background, flat field and bad pixels; the usual
        cleaning of the scan's own region where None.
    settings
        The settings file to which `save` writes.
    """

    def __init__(
        self, scan: Scan, plan: GetData | None = None, settings: SettingsFile | None = None
    ) -> None:
        super().__init__(settings)
        self._plan = plan or GetData(datadir="")
        self._images = calibration_images(self._plan)
        self.scan = scan if plan is None else region_of(scan, plan)
        self._kept: dict[float, Kept] = {}
        self._held = False
        self._make_controls(self._plan.cleaning)
        self._make_preview()
        self._cleaned_as = self.value
        self._make_figures()
        self.children = [
            row(self.projection, self.frame, self.all_frames),
            row(self.framebg, self.binth, self.min_region),
            row(*self._steps, self.normalize),
            row(button("Suggest", self.suggest, "rim and threshold from the data")),
            self.canvas,
            self.kept_canvas,
            self.status,
            self.grid_canvas,
        ]
        self._suggesting = False
        self.refresh()
        if settings is not None and "binth" not in settings.read():
            self.suggest()

    @property
    def value(self) -> Cleaning:
        """The parameters of cleaning as the controls stand."""
        hot = self._plan.hot_pixels or Cleaning.hot_pixels
        chosen = Cleaning(
            framebg=self.framebg.value if self.frame_background.value else 0,
            binth=float(self.binth.value),
            min_region_pix=self.min_region.value,
            dark=self.dark.value,
            hot_pixels=hot if self.hot.value else 0.0,
            hot_limit=self._plan.hot_limit if self.hot.value else None,
            normalize=self.normalize.value,
            close_radius_pix=(self._plan.close_radius or 1) if self.close_mask.value else 0,
            fill_holes=self.fill_holes.value,
        )
        return chosen if self.mask.value else replace(chosen, **NO_MASK)

    @value.setter
    def value(self, cleaning: Cleaning) -> None:
        self._held = True
        self._set_controls(cleaning)
        self._held = False
        self._changed()

    @property
    def params(self) -> dict[str, Any]:
        """Every cleaning parameter by its key, and the background where it is switched off."""
        cleaning = self.value
        chosen = {key: getattr(cleaning, field) for field, key in CLEANING_KEYS.items()}
        if not self.use_background.value:
            chosen["bgdir"] = "-"
        return chosen

    @property
    def kept(self) -> float:
        """Share of the signal that the mask keeps, over the projections looked at so far."""
        total = sum(kept.total for kept in self._kept.values())
        return sum(kept.inside for kept in self._kept.values()) / total if total > 0 else np.nan

    def suggest(self) -> None:
        """Take the rim and the threshold that the data suggest, when they are found."""
        self.tell("looking at projections spread over the scan ...")
        self._suggesting = True
        self.background.start(suggest_cleaning(self.preview, self.value), self._take_suggestion)

    def done(self) -> None:
        """Save the parameters; wait for a suggestion that is being looked for."""
        self.finish(lambda: not self._suggesting)

    def set_scan(self, scan: Scan) -> None:
        """Go on with a scan that has grown."""
        self.scan = region_of(scan, self._plan)
        self.projection.max = self.scan.shape[0] - 1
        self._make_preview()
        self.refresh()

    def refresh(self) -> None:
        """Clean the shown frame anew; the rest follows in the background."""
        cleaning = self.value
        if cleaning != self._cleaned_as:
            self._kept.clear()
            self._cleaned_as = cleaning
            self.tell("signal kept: looking ...")
        k = self.projection.value
        steps = self.preview.steps(k, self.frame.value, cleaning)
        update_cleaning(self._figure, steps, self.preview.own(cleaning).binth, self._title())
        self.canvas.draw_idle()
        self.background.start(self._rest(k, cleaning), self._take, delay_s=PAUSE_S)

    def _make_preview(self) -> None:
        images = self._images if self.use_background.value else self._images | {"background": None}
        self.preview = FramePreview(self.scan, **images)

    def _make_controls(self, cleaning: Cleaning) -> None:
        projections, frames, rows, cols = self.scan.shape
        self.projection = slider("projection", projections // 2, 0, projections - 1)
        self.frame = slider("frame", frames // 2, 0, frames - 1)
        self.all_frames = check("all frames of the projection", False, "cleaned, as a grid")
        widest = max((min(rows, cols) - 1) // 2, 0) * max(self.scan.binning)
        self.framebg = slider("framebg", min(cleaning.framebg, widest), 0, widest, tip="pixels")
        self.binth = slider("binth", float(cleaning.binth), 0.0, 100.0, step=0.5, tip="counts")
        self.min_region = slider("min_region", cleaning.min_region_pix, 0, 1000, tip="pixels")
        self.dark = check("2 dark frame", True, "mean of the two weakest frames, subtracted")
        self.hot = check("3 hot pixels", True, "far above their neighbours: replaced")
        self.frame_background = check("5 frame background", True, "lines between the rims")
        self.mask = check("6 mask", True, "zero outside the lit regions")
        self.fill_holes = check("fill holes", True, "of the mask")
        self.close_mask = check("close", True, "the mask, with a small disk")
        self.use_background = check("1 background", True, "the mean of the background frames")
        self.use_background.disabled = self._images["background"] is None
        ways = ["auto", "current", "total", "none"]
        self.normalize = choice("4 normalise", ways, "auto", "by ring current, or to equal totals")
        self._steps = [
            self.use_background,
            self.dark,
            self.hot,
            self.frame_background,
            self.mask,
            self.fill_holes,
            self.close_mask,
        ]
        self._set_controls(cleaning)
        sliders = (self.framebg, self.binth, self.min_region, self.normalize)
        for control in (*self._steps, *sliders):
            control.observe(lambda _: self._changed(), "value")
        for control in (self.projection, self.frame):
            control.observe(lambda _: self.attempt(self.refresh), "value")
        self.all_frames.observe(lambda _: self._show_grid(), "value")

    def _set_controls(self, cleaning: Cleaning) -> None:
        self.framebg.value = min(cleaning.framebg, self.framebg.max)
        self.frame_background.value = cleaning.framebg > 0
        self.binth.max = max(self.binth.max, 2 * cleaning.binth)
        self.binth.value = cleaning.binth
        self.min_region.max = max(self.min_region.max, 2 * cleaning.min_region_pix)
        self.min_region.value = cleaning.min_region_pix
        self.dark.value = cleaning.dark
        self.hot.value = cleaning.hot_pixels > 0
        self.normalize.value = cleaning.normalize
        self.fill_holes.value = cleaning.fill_holes
        self.close_mask.value = cleaning.close_radius_pix > 0

    def _make_figures(self) -> None:
        self.canvas, self.kept_canvas = new_canvas(5.2), new_canvas(2.0)
        self._kept_line = draw_kept(self.kept_canvas.figure)
        k, frame = self.projection.value, self.frame.value
        steps = self.preview.steps(k, frame, self.value)
        roi, binth = self.scan.roi, self.preview.own(self.value).binth
        places = {"first_pix": (roi.row, roi.col), "bin_pix": self.scan.binning}
        self._figure: CleaningFigure = draw_cleaning(self.canvas.figure, steps, binth, **places)
        self.grid_canvas = new_canvas(9.0, 9.6)
        self.grid_canvas.layout.display = "none"

    def _title(self) -> str:
        k, frame = self.projection.value, self.frame.value
        shape = [axis.values_deg.size for axis in self.scan.axes]
        place = np.unravel_index(frame, shape)
        setting = ", ".join(
            setting_text(axis.name, float(axis.values_deg[i]))
            for axis, i in zip(self.scan.axes, place, strict=True)
        )
        return f"ω = {self.scan.omega_deg[k]:.2f}°, {setting}"

    def _changed(self) -> None:
        if self._held:
            return
        if self.attempt(self.refresh):
            self.attempt(self.save)

    def _rest(self, k: int, cleaning: Cleaning) -> Iterator[Any]:
        """Everything that a change leaves to be done, in the order of its worth."""
        if not self.preview.is_exact(k, cleaning):
            self.preview.prepare(k, cleaning)
            yield self.preview.steps(k, self.frame.value, cleaning)
        if self.all_frames.value:
            yield from self._all_frames(k, cleaning)
        for number in coarse_to_fine(self.scan, 9):
            if float(self.scan.omega_deg[number]) not in self._kept:
                so_far = Kept(number, 0.0, 0.0)
                for kept in self.preview.kept(number, cleaning):
                    so_far = kept
                    yield None
                yield so_far

    def _all_frames(self, k: int, cleaning: Cleaning) -> Iterator[Any]:
        edge = max(960 // max(self._grid_shape()), 8)
        frames = []
        for frame in range(self.scan.shape[1]):
            frames.append(thinned(self.preview.steps(k, frame, cleaning).after, edge))
            yield None
        yield np.stack(frames)

    def _take(self, result: Any) -> None:
        if isinstance(result, Kept):
            self._kept[float(self.scan.omega_deg[result.projection])] = result
            self._show_kept()
        elif isinstance(result, np.ndarray):
            self._draw_grid(result)
        else:
            binth = self.preview.own(self.value).binth
            update_cleaning(self._figure, result, binth, self._title())
            self.canvas.draw_idle()

    def _take_suggestion(self, cleaning: Cleaning) -> None:
        self._suggesting = False
        self.value = cleaning

    def _show_kept(self) -> None:
        shares = {
            omega: kept.inside / kept.total for omega, kept in self._kept.items() if kept.total > 0
        }
        update_kept(self._kept_line, shares, (self.scan.omega_deg[0], self.scan.omega_deg[-1]))
        self.kept_canvas.draw_idle()
        done = f"{len(self._kept)} of {self.scan.shape[0]} projections"
        self.tell(f"{self.kept:.1%} of the signal is kept ({done})", bad=self.kept < 0.9)

    def _grid_shape(self) -> tuple[int, int]:
        sizes = [axis.values_deg.size for axis in self.scan.axes]
        return int(np.prod(sizes[:-1])), sizes[-1]

    def _show_grid(self) -> None:
        self.grid_canvas.layout.display = None if self.all_frames.value else "none"
        self.attempt(self.refresh)

    def _draw_grid(self, frames: NDArray[np.float32]) -> None:
        figure = self.grid_canvas.figure
        figure.clear()
        shape = self._grid_shape()
        *slow, fast = self.scan.axes
        names = " and ".join(axis.name for axis in slow)
        positions = slow[0].values_deg if len(slow) == 1 else np.arange(shape[0], dtype=float)
        ax = figure.add_axes((0.09, 0.07, 0.89, 0.88))
        image = frame_grid(frames, shape)
        draw_frame_grid(ax, image, (names, positions), (fast.name, fast.values_deg))
        ax.set_title(
            f"all frames, cleaned, at ω = {self.scan.omega_deg[self.projection.value]:.2f}°"
        )
        self.grid_canvas.draw_idle()
