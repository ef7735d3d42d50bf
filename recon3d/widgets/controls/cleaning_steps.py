"""The controls of cleaning: every step of it, on or off, and its numbers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from recon3d.cleaning.getdata import calibration_images
from recon3d.config.cleaning import Cleaning
from recon3d.config.declare import settings_of, values_of
from recon3d.config.getdata import GetData
from recon3d.config.settings_file import SettingsFile
from recon3d.widgets.controls.panel import Panel, check, control

NO_MASK: dict[str, Any] = {
    "binth": 0.0,
    "min_region_pix": 0,
    "close_radius_pix": 0,
    "fill_holes": False,
}
"""The parameters with which step 6 keeps every count."""


class CleaningSteps(Panel):
    """A control for every step of cleaning.

    `plan`: first values, and the background, flat field and bad pixels that there are. `settings`:
    the settings file to which `save` writes.
    """

    def __init__(self, plan: GetData, settings: SettingsFile | None = None) -> None:
        super().__init__(settings)
        self._plan = plan
        self._images = calibration_images(plan)
        self._held = False

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
        """Every cleaning parameter by its key, and the images that are used."""
        chosen = values_of(self.value)
        chosen["bgdir"] = self._plan.bgdir if self.use_background.value else "-"
        for key in ("flat_field", "bad_pixels"):
            chosen[key] = getattr(self._plan, key) if self.use_detector.value else None
        return chosen

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

    def changed(self) -> None:
        """Answer to a control that moved."""
        raise NotImplementedError

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
