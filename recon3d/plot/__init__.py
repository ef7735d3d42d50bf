"""Every figure and colour key: functions that draw data into axes, and a few whole figures.

Nothing here touches pyplot or its state, so scripts run without a display.
"""

from recon3d.plot.colors import draw_color_key, orientation_colors, orientation_range
from recon3d.plot.parts import draw_scale_bar
from recon3d.plot.projections import draw_comparison, draw_mosaicity, mosaicity_map_figure
from recon3d.plot.slices import draw_slice, slices_figure
from recon3d.plot.trust import trust_figure

__all__ = [
    "draw_color_key",
    "draw_comparison",
    "draw_mosaicity",
    "draw_scale_bar",
    "draw_slice",
    "mosaicity_map_figure",
    "orientation_colors",
    "orientation_range",
    "slices_figure",
    "trust_figure",
]
