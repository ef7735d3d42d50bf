"""The key of the orientation colours, drawn."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.image import AxesImage

from recon3d.arguments import checked
from recon3d.colors import Center, decimals_of
from recon3d.colors import orientation_colors as orientation_colors
from recon3d.colors import orientation_range as orientation_range
from recon3d.plot.parts import TEXT_SIZE


@checked(range_deg="> 0", pixels=">= 2")
def draw_color_key(
    ax: Axes,
    range_deg: float,
    labels: tuple[str, str] = ("a (°)", "b (°)"),
    center_deg: Center = (0.0, 0.0),
    *,
    pixels: int = 401,
) -> AxesImage:
    """Draw the disc of colours that `orientation_colors` gives.

    Parameters
    ----------
    ax
        Where to draw.
    range_deg, center_deg
        As in `orientation_colors`.
    labels
        Names of the two tilts.
    pixels
        Width of the drawn image.

    Returns
    -------
    image
        The disc, a along the horizontal axis and b upwards.
    """
    line = np.linspace(-range_deg, range_deg, pixels)
    a, b = np.meshgrid(line, line)
    rgba = np.ones((pixels, pixels, 4))
    rgba[..., :3] = orientation_colors(a, b, range_deg)
    rgba[..., 3] = np.clip((1 - np.hypot(a, b) / range_deg) * pixels / 2, 0, 1)
    edge = range_deg * pixels / (pixels - 1)
    left, bottom = center_deg[0] - edge, center_deg[1] - edge
    extent = (left, left + 2 * edge, bottom, bottom + 2 * edge)
    image = ax.imshow(rgba, origin="lower", extent=extent, interpolation="nearest")
    ax.set_xlabel(labels[0], fontsize=TEXT_SIZE)
    ax.set_ylabel(labels[1], fontsize=TEXT_SIZE)
    number = f"{{x:.{decimals_of(range_deg)}f}}"
    for axis, middle in ((ax.xaxis, center_deg[0]), (ax.yaxis, center_deg[1])):
        axis.set_ticks([middle - range_deg, middle, middle + range_deg])
        axis.set_major_formatter(number)
    ax.tick_params(labelsize=TEXT_SIZE - 1)
    ax.spines[:].set_visible(False)
    return image
