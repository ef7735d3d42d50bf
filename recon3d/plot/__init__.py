"""Every figure and colour key: functions that draw data into axes, and a few whole figures.

Nothing here touches pyplot or its state, so scripts run without a display.
"""

from recon3d.colors import orientation_colors, orientation_range
from recon3d.plot.colors import draw_color_key
from recon3d.plot.grain.cells import (
    cells_figure,
    dislocations_figure,
    misorientation_figure,
    profile_figure,
)
from recon3d.plot.grain.distributions import (
    draw_histogram,
    draw_orientation_density,
    histograms_figure,
    orientation_density_figure,
)
from recon3d.plot.grain.film import surface_figure, write_film
from recon3d.plot.grain.quality import quality_figure
from recon3d.plot.grain.reprojection import reprojection_figure
from recon3d.plot.grain.slices import draw_slice, slices_figure
from recon3d.plot.parts import draw_scale_bar
from recon3d.plot.scan.projections import draw_comparison, draw_mosaicity, mosaicity_map_figure

__all__ = [
    "cells_figure",
    "dislocations_figure",
    "draw_color_key",
    "draw_comparison",
    "draw_histogram",
    "draw_mosaicity",
    "draw_orientation_density",
    "draw_scale_bar",
    "draw_slice",
    "histograms_figure",
    "misorientation_figure",
    "mosaicity_map_figure",
    "orientation_colors",
    "orientation_density_figure",
    "orientation_range",
    "profile_figure",
    "quality_figure",
    "reprojection_figure",
    "slices_figure",
    "surface_figure",
    "write_film",
]
