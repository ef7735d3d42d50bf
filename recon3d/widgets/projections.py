"""Check the projections of a scan: a film over ω, what stands out, and what to leave out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import ipywidgets as controls
import numpy as np

from recon3d.arguments import checked
from recon3d.cleaning.light import doubts_of_scan
from recon3d.cleaning.overview import ProjectionGlance, glances_of_store
from recon3d.config.experiment import Experiment
from recon3d.config.settings_file import SettingsFile
from recon3d.errors import ParameterError
from recon3d.files.grain import Grain
from recon3d.files.store import CleanedScan
from recon3d.plot.parts import TEXT_SIZE, bright_counts, draw_color_bar
from recon3d.plot.scan.detector_frames import draw_frame, update_frame
from recon3d.plot.scan.overview import Film, draw_scan_health
from recon3d.reconstruction.model.scanned import CentreOfMassFit, fit_centre_of_mass
from recon3d.reconstruction.quality.reprojection import model_of, reproject
from recon3d.widgets.controls.canvas import new_canvas
from recon3d.widgets.controls.panel import Panel, button, mend_button, row, show_if, slider

FILM_MS = 70
"""From one picture of the film to the next, if the browser shows them as quickly."""


class Projections(Panel):
    """A film of a scan's projections, its health, and marks on those to leave out.

    Parameters
    ----------
    glances
        A cleaned scan, or the glances of one that is growing.
    settings
        The settings file to which `save` writes.
    experiment, grain
        Where there is a grain already: measured frames are shown against reprojected ones.
    excluded_deg
        Rotation angles, in degrees, of projections that are left out already.
    clean_anew
        Cleans the scan with what the data suggest, where the stored one is in doubt.
    """

    @checked()
    def __init__(
        self,
        glances: CleanedScan | Iterable[ProjectionGlance],
        settings: SettingsFile | None = None,
        *,
        experiment: Experiment | None = None,
        grain: Grain | None = None,
        excluded_deg: Iterable[float] = (),
        clean_anew: Callable[[], CleanedScan] | None = None,
    ) -> None:
        super().__init__(settings)
        self.store = glances if isinstance(glances, CleanedScan) else None
        found = glances_of_store(glances) if isinstance(glances, CleanedScan) else glances
        self.glances = sorted(found, key=lambda glance: glance.omega_deg)
        if not self.glances:
            raise ParameterError("there is no projection to show yet")
        self._excluded = {self._nearest(angle) for angle in excluded_deg}
        self._clean_anew = clean_anew
        self.doubts = () if self.store is None else doubts_of_scan(self.store)
        self._make_controls()
        self._make_figures()
        self.mend = mend_button(self._mend, "clean again with what the data suggest")
        self.children = [
            row(self.play, self.projection, self.mark),
            self.canvas,
            row(
                button("Leave out what stands out", self.exclude_outliers, "off the rotation"),
                button("Keep all", self.keep_all, "leave nothing out"),
                self.mend,
            ),
            self.status,
            self.health_canvas,
            self.compare_canvas,
        ]
        self._model: Any = None
        self._draw_health()
        self.refresh()
        if grain is not None:
            self.compare(grain, experiment)

    @property
    def value(self) -> tuple[float, ...]:
        """Rotation angles, in degrees, of the projections to leave out."""
        return tuple(sorted(self._excluded))

    @value.setter
    @checked()
    def value(self, omega_deg: Iterable[float]) -> None:
        self._excluded = {self._nearest(angle) for angle in omega_deg}
        self._changed()

    @property
    def params(self) -> dict[str, Any]:
        """`omega_exclude`, as the .ini file takes it; None where nothing is left out."""
        return {"omega_exclude": self.value or None}

    @property
    def fit(self) -> CentreOfMassFit:
        """The centres of mass against the fitted rotation, without what is left out."""
        omega = np.array([glance.omega_deg for glance in self.glances])
        mass = np.array([glance.centre_of_mass_pix for glance in self.glances])
        return fit_centre_of_mass(omega, mass)

    def exclude_outliers(self) -> None:
        """Leave out, too, the projections whose centre of mass is off the rotation."""
        fit = self.fit
        self.value = {*self._excluded, *fit.omega_deg[fit.outlier].tolist()}

    def keep_all(self) -> None:
        """Leave nothing out."""
        self.value = ()

    def done(self) -> None:
        """Save what is to be left out."""
        self.finish(lambda: True)

    @checked()
    def set_glances(self, glances: Iterable[ProjectionGlance]) -> None:
        """Go on with a scan that has grown; the shown projection stays the same."""
        if not glances:
            raise ParameterError("there is no projection among the glances")
        shown = self.glances[self.projection.value].omega_deg
        self.glances = sorted(glances, key=lambda glance: glance.omega_deg)
        omega = [glance.omega_deg for glance in self.glances]
        self.projection.max = self.play.max = len(omega) - 1
        self.canvas.figure.clear()
        self._film = Film(self.canvas.figure, self.glances)
        self.canvas.draw_idle()
        self.projection.value = int(np.abs(np.array(omega) - shown).argmin())
        self._draw_health()
        self.refresh()

    def refresh(self) -> None:
        """Show the projection that the slider stands at."""
        glance = self.glances[self.projection.value]
        out = round(glance.omega_deg, 4) in self._excluded
        self._held = True
        self.mark.value = out
        self._held = False
        self._film.update(glance, excluded=out)
        self.canvas.draw_idle()
        if self._model is not None:
            self.background.start(self._reproject(self.projection.value), self._show_comparison)

    @checked()
    def compare(self, grain: Grain, experiment: Experiment | None) -> None:
        """Show measured frames of the cleaned scan against reprojected ones from now on."""
        if experiment is None or self.store is None:
            raise ParameterError("to compare with a grain, give its cleaned scan and experiment")
        self._grain, self._model = grain, model_of(grain, self.store, experiment)
        figure = self.compare_canvas.figure
        image = np.zeros(self._model.frames(int(self._model.projections[0])).shape[1:], np.float32)
        self._compared = []
        for number, name in enumerate(("measured", "reprojected", "difference")):
            ax = figure.add_axes((0.075 + 0.305 * number, 0.14, 0.22, 0.72))
            colors = "RdBu_r" if name == "difference" else "viridis"
            self._compared.append(draw_frame(ax, image, f"{name}, summed", color_map=colors))
            ax.set_ylabel("" if number else "row (pixel)", fontsize=TEXT_SIZE)
            bar = figure.add_axes((0.303 + 0.305 * number, 0.14, 0.009, 0.72))
            draw_color_bar(self._compared[-1], bar, "counts")
        show_if(True, self.compare_canvas)
        self.refresh()

    def _make_controls(self) -> None:
        last = len(self.glances) - 1
        self.projection = slider("projection", 0, 0, last)
        self.play = controls.Play(value=0, min=0, max=last, interval=FILM_MS)
        controls.link((self.play, "value"), (self.projection, "value"))
        self.mark = controls.Checkbox(description="leave this projection out", indent=False)
        self._held = False
        self.answer_to(self.projection)
        self.mark.observe(lambda change: self.attempt(self._marked, change["new"]), "value")

    def _make_figures(self) -> None:
        self.canvas = new_canvas(3.8)
        self._film = Film(self.canvas.figure, self.glances)
        self.health_canvas = new_canvas(5.6)
        self.compare_canvas = new_canvas(3.8)
        show_if(False, self.compare_canvas)

    def _draw_health(self) -> None:
        draw_scan_health(self.health_canvas.figure, self.glances, self.fit, self.value)
        self.health_canvas.draw_idle()
        self._tell_health()

    def _tell_health(self) -> None:
        fit = self.fit
        out = ", ".join(f"{angle:g}°" for angle in fit.omega_deg[fit.outlier])
        stands = f"off the rotation: {out}" if out else "none is off the rotation"
        left = ", ".join(f"{angle:g}°" for angle in self.value) or "nothing"
        show_if(bool(self.doubts and self._clean_anew), self.mend)
        none = len(self.value) == len(self.glances)
        left += ", which is every projection: keep some to reconstruct from" if none else ""
        missing = sum(int(np.count_nonzero(~glance.valid)) for glance in self.glances)
        self.tell(
            f"{len(self.glances)} projections, {missing} frames missing; {stands}; "
            f"left out: {left}" + "".join(f"; in doubt: {doubt}" for doubt in self.doubts),
            bad=none or bool(out) or missing > 0 or bool(self.doubts),
        )

    def _mend(self) -> None:
        assert self._clean_anew is not None
        self.mend.disabled = True
        self.tell("cleaning again with what the data suggest ...")
        self.background.start((clean() for clean in [self._clean_anew]), self._set_store)

    def _set_store(self, store: CleanedScan) -> None:
        """Go on with the scan as it was cleaned anew; a grain of the old one is not compared."""
        self.store, self.doubts = store, doubts_of_scan(store)
        self.mend.disabled = False
        self._model = None
        show_if(False, self.compare_canvas)
        self.set_glances(glances_of_store(store))

    def _marked(self, out: bool) -> None:
        if self._held:
            return
        angle = self._nearest(self.glances[self.projection.value].omega_deg)
        self.value = {*self._excluded, angle} if out else self._excluded - {angle}

    def _changed(self) -> None:
        self._draw_health()
        self.refresh()
        self.save()

    def _nearest(self, omega_deg: float) -> float:
        angles = np.array([glance.omega_deg for glance in self.glances])
        return round(float(angles[np.abs(angles - omega_deg).argmin()]), 4)

    def _reproject(self, k: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        measured = self._model.frames(k).sum(axis=0)
        yield measured, reproject(self._grain, self._model, k).sum(axis=0)

    def _show_comparison(self, images: tuple[np.ndarray, np.ndarray]) -> None:
        measured, modelled = images
        shown = self.glances[self.projection.value].omega_deg
        self.compare_canvas.figure.suptitle(f"ω = {shown:.2f}°", fontsize=TEXT_SIZE + 2, y=0.99)
        top = max(bright_counts(measured), bright_counts(modelled))
        update_frame(self._compared[0], measured, top=top)
        update_frame(self._compared[1], modelled, top=top)
        self._compared[2].set_data(measured - modelled)
        self._compared[2].set_clim(-top / 2, top / 2)
        self.compare_canvas.draw_idle()
