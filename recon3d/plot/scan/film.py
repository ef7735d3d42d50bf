"""The film of a scan: one projection's sum, its settings, and where in the scan it is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from recon3d.cleaning.overview import ProjectionGlance
from recon3d.plot.parts import VERMILION, bright_counts, draw_color_bar
from recon3d.plot.scan.detector_frames import animate_frame, draw_frame, update_frame
from recon3d.plot.scan.overview import (
    SettingIntensity,
    draw_centre_of_mass,
    draw_centre_of_mass_residual,
    draw_counts,
    draw_intensity,
    draw_missing,
    draw_rotation_steps,
)
from recon3d.reconstruction.model.scanned import CentreOfMassFit


class Film:
    """The first projection of a scan, and then others, all on one scale of counts.

    `figure`: an empty figure, about 11 by 3.8 inches.
    """

    def __init__(self, figure: Figure, glances: Sequence[ProjectionGlance]) -> None:
        first = glances[0]
        self.top = max(bright_counts(glance.summed) for glance in glances)
        self.ax = figure.add_axes((0.07, 0.14, 0.23, 0.74))
        whole = np.kron(first.summed, np.ones(first.bin_pix, np.float32))
        self.image = draw_frame(self.ax, whole)
        bar = figure.add_axes((0.308, 0.14, 0.009, 0.74))
        draw_color_bar(self.image, bar, "sum over the frames (counts)")
        self.settings = SettingIntensity(figure.add_axes((0.45, 0.14, 0.21, 0.74)), glances)
        right = figure.add_axes((0.73, 0.14, 0.25, 0.74))
        draw_counts(right, [glance.omega_deg for glance in glances], glances, "ω (°)")
        self.here = right.axvline(first.omega_deg, color=VERMILION, linewidth=1.4)
        animate_frame(self.image)
        for moving in (self.ax.title, self.settings.points, self.settings.mean, self.here):
            moving.set_animated(True)
        self.update(first)

    def update(self, glance: ProjectionGlance, *, excluded: bool = False) -> None:
        """Show another projection, and whether it is left out of the reconstruction."""
        update_frame(self.image, glance.summed, top=self.top)
        note = " (left out)" if excluded else ""
        self.ax.title.set_text(f"ω = {glance.omega_deg:.2f}°{note}")
        self.ax.title.set_color(VERMILION if excluded else "black")
        self.settings.update(glance)
        self.here.set_xdata([glance.omega_deg, glance.omega_deg])


def draw_scan_health(
    figure: Figure,
    glances: Sequence[ProjectionGlance],
    fit: CentreOfMassFit,
    excluded_deg: Sequence[float] = (),
) -> None:
    """Draw what tells whether a scan is sound: rotation, gaps, intensity, and centre of mass.

    `figure`: empty, about 11 by 5.6 inches. Projections that are left out are shaded.
    """
    figure.clear()
    boxes = [(0.07 + 0.32 * (i % 3), 0.58 - 0.49 * (i // 3), 0.225, 0.34) for i in range(5)]
    mass, residual, intensity, steps, missing = (figure.add_axes(box) for box in boxes)
    draw_centre_of_mass(mass, fit)
    draw_centre_of_mass_residual(residual, fit)
    draw_intensity(intensity, glances)
    draw_rotation_steps(steps, glances)
    draw_missing(missing, glances)
    for angle in excluded_deg:
        for ax in (mass, residual):
            ax.axvline(angle, color=VERMILION, alpha=0.3, linewidth=3, zorder=0)
