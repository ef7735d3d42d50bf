"""The film of a scan: one projection's sum, its settings, and where in the scan it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D

from recon3d.cleaning.overview import ProjectionGlance
from recon3d.plot.parts import draw_color_bar
from recon3d.plot.scan.detector_frames import (
    VERMILION,
    animate_frame,
    bright_counts,
    draw_frame,
    update_frame,
)
from recon3d.plot.scan.overview import (
    draw_centre_of_mass,
    draw_centre_of_mass_residual,
    draw_counts,
    draw_intensity,
    draw_missing,
    draw_rotation_steps,
    draw_setting_intensity,
    update_setting_intensity,
)
from recon3d.reconstruction.model.scanned import CentreOfMassFit


@dataclass(frozen=True, eq=False)
class Film:
    """What `update_film` changes in a drawn figure."""

    figure: Figure
    image: AxesImage
    settings: PathCollection
    here: Line2D
    top: float


def draw_film(figure: Figure, glances: Sequence[ProjectionGlance]) -> Film:
    """Draw the first projection, all on one scale of counts.

    `figure`: an empty figure, about 11 by 3.8 inches.
    """
    first = glances[0]
    ax = figure.add_axes((0.07, 0.14, 0.23, 0.74))
    image = draw_frame(ax, np.kron(first.summed, np.ones(first.bin_pix, np.float32)))
    bar = figure.add_axes((0.308, 0.14, 0.009, 0.74))
    draw_color_bar(image, bar, "sum over the frames (counts)")
    middle = figure.add_axes((0.45, 0.14, 0.21, 0.74))
    settings = draw_setting_intensity(middle, first, glances)
    right = figure.add_axes((0.73, 0.14, 0.25, 0.74))
    draw_counts(right, [glance.omega_deg for glance in glances], glances, "ω (°)")
    here = right.axvline(first.omega_deg, color=VERMILION, linewidth=1.4)
    film = Film(figure, image, settings, here, max(bright_counts(g.summed) for g in glances))
    mean = [line for line in middle.lines if line.get_gid() == "mean"]
    animate_frame(image)
    for moving in (ax.title, settings, *mean, here):
        moving.set_animated(True)
    update_film(film, first)
    return film


def update_film(film: Film, glance: ProjectionGlance, *, excluded: bool = False) -> None:
    """Show another projection.

    `excluded`: whether it is left out of the reconstruction.
    """
    update_frame(film.image, glance.summed, top=film.top)
    ax = film.image.axes
    assert ax is not None
    note = " (left out)" if excluded else ""
    ax.title.set_text(f"ω = {glance.omega_deg:.2f}°{note}")
    ax.title.set_color(VERMILION if excluded else "black")
    update_setting_intensity(film.settings, glance)
    film.here.set_xdata([glance.omega_deg, glance.omega_deg])


def draw_scan_health(
    figure: Figure,
    glances: Sequence[ProjectionGlance],
    fit: CentreOfMassFit,
    excluded_deg: Sequence[float] = (),
) -> None:
    """Draw what tells whether a scan is sound: rotation, gaps, intensity, and centre of mass.

    `figure`: an empty figure, about 11 by 5.6 inches. `excluded_deg`: angles of projections that
    are left out: they are shaded.
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
