"""Choose how frames are cleaned: see every step on one frame, and what is kept of the scan."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import ipywidgets as controls
import numpy as np
from numpy.typing import NDArray

from recon3d.arguments import checked
from recon3d.cleaning.frame_preview import FramePreview, Kept
from recon3d.cleaning.getdata import calibration_images, region_of
from recon3d.cleaning.light import RegionWatch, coarse_to_fine, whole_frames
from recon3d.cleaning.suggest import Suggestion, suggesting
from recon3d.config.cleaning import Cleaning
from recon3d.config.declare import settings_of, values_of
from recon3d.config.getdata import GetData
from recon3d.config.settings_file import SettingsFile
from recon3d.plot.scan.cleaning import CleaningFigure, draw_kept, update_kept
from recon3d.plot.scan.detector_frames import draw_frame_grid, grid_shape, setting_text, thinned
from recon3d.scan.scan import Scan
from recon3d.widgets.controls.canvas import new_canvas
from recon3d.widgets.controls.panel import (
    Panel,
    button,
    check,
    control,
    mend_button,
    row,
    show_if,
    slider,
)

NO_MASK: dict[str, Any] = {
    "binth": 0.0,
    "min_region_pix": 0,
    "close_radius_pix": 0,
    "fill_holes": False,
}
"""The parameters with which step 6 keeps every count."""
PAUSE_S = 0.4
"""How long a slider must rest before the whole scan is looked at."""


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

    @checked()
    def __init__(
        self, scan: Scan, plan: GetData | None = None, settings: SettingsFile | None = None
    ) -> None:
        super().__init__(settings)
        self._whole, self._plan = scan, plan or GetData(datadir="")
        self._images, self._held = calibration_images(self._plan), False
        self._suggesting = self._pressed = False
        self._region: dict[str, Any] = {}
        self.mend = mend_button(self.suggest_all, "another region, rim and threshold")
        self.canvas, self.kept_canvas = new_canvas(5.2), new_canvas(2.0)
        self.grid_canvas = new_canvas(9.0, 9.6)
        # Only the controls are made anew for another region: a page does not take figures away.
        self._controls = controls.VBox()
        self.children = [
            self._controls,
            self.canvas,
            self.kept_canvas,
            self.status,
            self.grid_canvas,
        ]
        self._build(scan if plan is None else region_of(scan, plan), self._plan.cleaning)
        if None in (self._plan.cleaning.framebg, self._plan.cleaning.binth):
            is_open = settings is not None and self._plan.poi is None
            region = whole_frames(scan).binned(*self.scan.binning) if is_open else self.scan
            self._suggest(region, self._plan.cleaning)

    def _build(self, scan: Scan, cleaning: Cleaning) -> None:
        """Make controls and figures for a scan of one region."""
        self.scan = scan
        self._make_controls(cleaning)
        self._make_preview()
        self._look_anew()
        self._cleaned_as = self.params
        self._make_figures()
        self._controls.children = [
            row(self.projection, self.frame, self.all_frames),
            row(self.framebg, self.binth, self.min_region),
            row(*self.steps),
            row(
                self.normalize,
                button("Suggest", self.suggest, "rim and threshold from the data"),
                self.mend,
            ),
        ]
        self.refresh()

    @property
    def value(self) -> Cleaning:
        """The parameters of cleaning as the controls stand."""
        given = self._plan.cleaning
        hot = given.hot_pixels or Cleaning.hot_pixels
        chosen = Cleaning(
            framebg=self.framebg.value if self.frame_background.value else 0,
            binth=self.binth.value,
            min_region_pix=self.min_region.value,
            dark=self.dark.value,
            hot_pixels=hot if self.hot.value else 0.0,
            hot_limit=given.hot_limit if self.hot.value else None,
            normalize=self.normalize.value,
            close_radius_pix=(given.close_radius_pix or 1) if self.close_mask.value else 0,
            fill_holes=self.fill_holes.value,
        )
        return chosen if self.mask.value else replace(chosen, **NO_MASK)

    @value.setter
    def value(self, cleaning: Cleaning) -> None:
        self._show(cleaning)
        self.changed()

    @property
    def params(self) -> dict[str, Any]:
        """Every cleaning parameter by its key, and the images that are used.

        Those that are still sought are left to the data.
        """
        chosen = values_of(self.value)
        chosen["bgdir"] = self._plan.bgdir if self.use_background.value else "-"
        for key in ("flat_field", "bad_pixels"):
            chosen[key] = getattr(self._plan, key) if self.use_detector.value else None
        sought = {"framebg": self._plan.cleaning.framebg, "binth": self._plan.cleaning.binth}
        return chosen | self._region | (sought if self._suggesting else {})

    @property
    def used(self) -> tuple[str, ...]:
        """Which images are used, of background, flat field and bad pixels."""
        others = self.use_detector.value
        wanted = {"background": self.use_background.value}
        return tuple(name for name in self._images if wanted.get(name, others))

    @property
    def images(self) -> dict[str, Any]:
        """The images that are used."""
        return {name: self._images[name] for name in self.used}

    @property
    def kept(self) -> float:
        """Share of the signal that the mask keeps, over the projections looked at so far."""
        inside, total = np.sum([(0.0, 0.0), *self._kept.values()], axis=0).tolist()
        return inside / total if total > 0 else np.nan

    def suggest(self) -> None:
        """Take the rim and the threshold that the data suggest for this region."""
        self._pressed = True
        self._suggest(self.scan, replace(self.value, framebg=None, binth=None))

    def suggest_all(self) -> None:
        """Take the region, the rim and the threshold that the data suggest together."""
        self._pressed = True
        whole = whole_frames(self._whole).binned(*self.scan.binning)
        self._suggest(whole, replace(self.value, framebg=None, binth=None))

    def _suggest(self, scan: Scan, cleaning: Cleaning) -> None:
        self.tell("looking for light in projections spread over the scan ...")
        self._suggesting = True
        self.allow(False)
        keep: dict[str, Any] = {}
        if scan is self.scan:
            keep = {"poi": scan.roi.center, "imgsize": scan.roi.size}
        steps = suggesting(scan, cleaning, **keep, **self.images)
        self.background.start(steps, self._take_suggestion)

    def done(self) -> None:
        """Save the parameters; wait for a suggestion that is being looked for."""
        self.finish(lambda: not self._suggesting)

    @checked()
    def set_scan(self, scan: Scan) -> None:
        """Go on with a scan that has grown."""
        self._whole, self.scan = scan, region_of(scan, self._plan)
        self.projection.max = self.scan.shape[0] - 1
        self._make_preview()
        self.refresh()

    def refresh(self) -> None:
        """Clean the shown frame anew; the rest follows in the background."""
        cleaning = self.value
        if self.params != self._cleaned_as:
            if self.used != self._used:
                self._make_preview()
            self._look_anew()
            self._cleaned_as = self.params
            self.tell("signal kept: looking ...")
        k = self.projection.value
        steps = self.preview.steps(k, self.frame.value, cleaning)
        self._figure.update(steps, self.preview.own(cleaning).chosen[1], self._title())
        self.canvas.draw_idle()
        if not self._suggesting:
            self.background.start(self._rest(k, cleaning), self._take, delay_s=PAUSE_S)

    def changed(self) -> None:
        """Clean anew, and save what was chosen; it overrules a suggestion that is still sought."""
        self._suggesting = False
        if self.attempt(self.refresh):
            self.attempt(self.save)

    def _look_anew(self) -> None:
        self._kept: dict[float, tuple[float, float]] = {}
        self._watch = RegionWatch(self.preview.own(self.value).chosen[0])

    def _make_preview(self) -> None:
        self._used = self.used
        self.preview = FramePreview(self.scan, **self.images)

    def _make_controls(self, cleaning: Cleaning) -> None:
        projections, frames, rows, cols = self.scan.shape
        self.projection = slider("projection", projections // 2, 0, projections - 1)
        self.frame = slider("frame", frames // 2, 0, frames - 1)
        self.all_frames = check("all frames of the projection", False, "cleaned, as a grid")
        widest = max((min(rows, cols) - 1) // 2, 0) * max(self.scan.binning)
        self._make_steps(cleaning, widest)
        self.answer_to(self.projection, self.frame)
        self.all_frames.observe(lambda _: self._show_grid(), "value")

    def _make_steps(self, cleaning: Cleaning, widest: int) -> None:
        keys = settings_of(Cleaning)
        self.framebg = control(keys["framebg"], 0, 0, widest)
        self.binth = control(keys["binth"], 0.0, 0.0, 100.0, step=0.1)
        self.min_region = control(keys["min_region"], cleaning.min_region_pix, 0, 1000)
        self.dark = control(keys["dark"], True, label="2 dark frame")
        self.hot = check("3 hot pixels", True, "far above their neighbours: replaced")
        self.frame_background = check("5 frame background", True, "lines between the rims")
        self.mask = check("6 mask", True, "zero outside the lit regions")
        self.fill_holes = control(keys["fill_holes"], True, label="fill holes")
        self.close_mask = check("close", True, "the mask, with a small disk")
        self.use_background = self._given("1 background", "background")
        self.use_detector = self._given("0 flat field, bad pixels", "flat_field", "bad_pixels")
        self.normalize = control(keys["normalize"], "auto", label="4 normalise")
        self.steps = [
            self.use_detector,
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
        self._movable = [moved for moved in (*self.steps, *sliders) if not moved.disabled]
        for moved in (*self.steps, *sliders):
            moved.observe(lambda _: self._moved(), "value")

    def _given(self, label: str, *names: str) -> Any:
        """A step that needs images; greyed, with the reason, where none of them was given."""
        missing = all(self._images[name] is None for name in names)
        made = check(f"{label} (none given)" if missing else label, True, "as getdata was given it")
        made.disabled = missing
        return made

    def allow(self, allowed: bool) -> None:
        """Let the controls be moved, or not: while the data are asked, they show no choice yet."""
        for moved in self._movable:
            moved.disabled = not allowed

    def _show(self, cleaning: Cleaning) -> None:
        """Set the controls without answering to it."""
        self._held = True
        self._set_controls(cleaning)
        self._held = False

    def _moved(self) -> None:
        if not self._held:
            self.changed()

    def _set_controls(self, cleaning: Cleaning) -> None:
        framebg, binth = cleaning.framebg or 0, cleaning.binth or 0.0  # or not suggested yet
        self.framebg.value = min(framebg, self.framebg.max)
        self.frame_background.value = framebg > 0
        self.binth.max = max(self.binth.max, 2 * binth)
        self.binth.value = binth
        self.min_region.max = max(self.min_region.max, 2 * cleaning.min_region_pix)
        self.min_region.value = cleaning.min_region_pix
        self.dark.value = cleaning.dark
        self.hot.value = cleaning.hot_pixels > 0
        self.normalize.value = cleaning.normalize
        self.fill_holes.value = cleaning.fill_holes
        self.close_mask.value = cleaning.close_radius_pix > 0

    def _make_figures(self) -> None:
        for canvas in (self.canvas, self.kept_canvas):
            canvas.figure.clear()
        self._kept_line = draw_kept(self.kept_canvas.figure)
        k, frame = self.projection.value, self.frame.value
        steps = self.preview.steps(k, frame, self.value)
        roi, binth = self.scan.roi, self.preview.own(self.value).chosen[1]
        places = {"first_pix": (roi.row, roi.col), "bin_pix": self.scan.binning}
        self._figure = CleaningFigure(self.canvas.figure, steps, binth, **places)
        show_if(False, self.grid_canvas)

    def _title(self) -> str:
        k, frame = self.projection.value, self.frame.value
        shape = [axis.values_deg.size for axis in self.scan.axes]
        place = np.unravel_index(frame, shape)
        setting = ", ".join(
            setting_text(axis.name, float(axis.values_deg[i]))
            for axis, i in zip(self.scan.axes, place, strict=True)
        )
        return f"ω = {self.scan.omega_deg[k]:.2f}°, {setting}"

    def _rest(self, k: int, cleaning: Cleaning) -> Iterator[Any]:
        """Everything that a change leaves to be done, in the order of its worth."""
        if not self.preview.is_exact(k, cleaning):
            self.preview.prepare(k, cleaning)
            yield self.preview.steps(k, self.frame.value, cleaning)
        if self.all_frames.value:
            yield from self._all_frames(k, cleaning)
        for number in coarse_to_fine(self.scan, 9):
            if float(self.scan.omega_deg[number]) not in self._kept:
                so_far = Kept(number, 0.0, 0.0, np.zeros(self.scan.shape[2:], np.float32))
                for kept in self.preview.kept(number, cleaning):
                    so_far = kept
                    yield None
                yield so_far

    def _all_frames(self, k: int, cleaning: Cleaning) -> Iterator[Any]:
        edge = max(960 // max(grid_shape(self.scan.axes)), 8)
        frames = []
        for frame in range(self.scan.shape[1]):
            frames.append(thinned(self.preview.steps(k, frame, cleaning).after, edge))
            yield None
        yield np.stack(frames)

    def _take(self, result: Any) -> None:
        if isinstance(result, Kept):
            omega = float(self.scan.omega_deg[result.projection])
            self._kept[omega] = result.inside, result.total
            if self.scan.valid[result.projection].any():
                self._watch.look(omega, result.summed)
            self._show_kept()
        elif isinstance(result, np.ndarray):
            self._draw_grid(result)
        else:
            binth = self.preview.own(self.value).chosen[1]
            self._figure.update(result, binth, self._title())
            self.canvas.draw_idle()

    def _take_suggestion(self, found: Suggestion) -> None:
        self._suggesting = False
        self.allow(True)
        chosen = found.applied_to(self.value)
        if found.box != self.scan.roi:
            self._region = {"poi": found.poi, "imgsize": found.imgsize}
            self._plan = replace(self._plan, poi=found.poi, imgsize=found.imgsize)
            self._build(region_of(self._whole, self._plan), chosen)
        else:
            self._show(chosen)
            self.attempt(self.refresh)
        if self._pressed:
            self.attempt(self.save)

    def _show_error(self, error: Exception) -> None:
        self.allow(True)  # where the data suggest nothing, the user chooses
        super()._show_error(error)

    def _show_kept(self) -> None:
        shares = {omega: inside / total for omega, (inside, total) in self._kept.items() if total}
        update_kept(self._kept_line, shares, (self.scan.omega_deg[0], self.scan.omega_deg[-1]))
        self.kept_canvas.draw_idle()
        doubts = self._watch.doubts(self.kept)
        show_if(bool(doubts), self.mend)
        done = f"{len(self._kept)} of {self.scan.shape[0]} projections"
        told = [f"{self.kept:.1%} of the signal is kept ({done})", *doubts]
        if doubts:
            told.append("press Mend, which takes region, framebg and binth from the data")
        self.tell("; ".join(told), bad=bool(doubts))

    def _show_grid(self) -> None:
        show_if(self.all_frames.value, self.grid_canvas)
        self.attempt(self.refresh)

    def _draw_grid(self, frames: NDArray[np.float32]) -> None:
        figure = self.grid_canvas.figure
        figure.clear()
        ax = figure.add_axes((0.09, 0.07, 0.89, 0.88))
        draw_frame_grid(ax, frames, self.scan.axes)
        ax.set_title(
            f"all frames, cleaned, at ω = {self.scan.omega_deg[self.projection.value]:.2f}°"
        )
        self.grid_canvas.draw_idle()
