"""A grain while it is being fitted: the residual after every pass, and slices."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray
from scipy import ndimage

from recon3d.colors import orientation_range, orientation_rgba
from recon3d.config.volume import Volume
from recon3d.files.grain import Grain
from recon3d.plot.colors import draw_color_key
from recon3d.plot.grain.slices import CUTS, Axis, cut, name_cut, show_cut
from recon3d.plot.parts import BLUE, TEXT_SIZE, draw_color_bar, label
from recon3d.reconstruction.task import SMOOTHING_VOXELS

HEIGHT_IN = 5.8
_HIGHEST = 1.25
_IN_GRAIN = 0.5


class GrowingFigure:
    """The residual after every pass, and slices through the middle of what has grown.

    `figure`: a figure, about 11 by 5.8 inches; it is cleared.
    """

    def __init__(self, figure: Figure, volume: Volume) -> None:
        figure.clear()
        left = figure.add_axes((0.075, 0.6, 0.18, 0.33))
        (self.residual,) = left.plot([], [], "o-", color=BLUE)
        label(left, "pass", "residual / measured", "what is not explained yet")
        left.xaxis.set_major_locator(MaxNLocator(integer=True))
        self.left = left
        self.slices: dict[Axis, AxesImage] = {}
        self.orientations: dict[Axis, AxesImage] = {}
        for number, axis in enumerate(CUTS):
            middle = volume.shape["xyz".index(axis)] // 2
            empty = cut(np.zeros(volume.shape), axis, middle)
            upper, lower = (
                figure.add_axes((0.31 + 0.213 * number, bottom, 0.185, 0.34))
                for bottom in (0.6, 0.09)
            )
            scale = {"cmap": "viridis", "vmin": 0, "vmax": _HIGHEST}
            self.slices[axis] = show_cut(upper, empty, volume, axis, **scale)
            self.orientations[axis] = show_cut(lower, np.zeros((*empty.shape, 4)), volume, axis)
            name_cut(upper, volume, axis, middle, TEXT_SIZE + 1)
        bar = figure.add_axes((0.93, 0.6, 0.009, 0.34))
        draw_color_bar(self.slices["z"], bar, "occupancy, smoothed")
        self.key = figure.add_axes((0.1, 0.1, 0.15, 0.31))
        self.key.set_axis_off()
        self.key.text(
            0.5, 0.5, "orientations appear\nafter the first pass", ha="center", color="0.5"
        )
        self.update([], None)

    def update(self, residuals: Sequence[float], grown: NDArray[np.float32] | None) -> None:
        """Show the residuals so far, and slices of occupancy, a and b, (nx, ny, nz, 3), if any.

        The occupancy is smoothed as it is before the mask is cut from it: the single voxels of a
        fit are noisy. Orientations are shown where that is 0.5 or more.
        """
        self.residual.set_data(np.arange(1, len(residuals) + 1), residuals)
        self.left.set_xlim(0.5, max(len(residuals), 5) + 0.5)
        self.left.set_ylim(0, 1.1 * max(residuals, default=0.9))
        if grown is None:
            return
        occupancy, a, b = np.moveaxis(grown, -1, 0)
        smoothed = ndimage.gaussian_filter(occupancy, SMOOTHING_VOXELS, mode="constant")
        inside = smoothed >= _IN_GRAIN
        range_deg, center_deg = orientation_range(a[inside], b[inside])
        for axis in CUTS:
            middle = occupancy.shape["xyz".index(axis)] // 2
            self.slices[axis].set_data(cut(smoothed, axis, middle))
            a_cut, b_cut, shown = (cut(values, axis, middle) for values in (a, b, inside))
            rgba = orientation_rgba(a_cut, b_cut, shown, range_deg, center_deg)
            self.orientations[axis].set_data(rgba)
        self.key.clear()
        self.key.set_axis_on()
        draw_color_key(self.key, range_deg, center_deg=center_deg, pixels=101)


def grown_of(grain: Grain) -> NDArray[np.float32]:
    """Occupancy, a and b of a whole grain, as a fit shows them while it runs."""
    return np.concatenate([grain.occupancy[..., None], grain.orientation], axis=-1)
