"""A grain while it is being fitted: the residual after every pass, and slices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray
from scipy import ndimage

from recon3d.colors import orientation_range, orientation_rgba
from recon3d.config.volume import Volume
from recon3d.files.grain import Grain
from recon3d.plot.colors import draw_color_key
from recon3d.plot.grain.slices import Axis, cut, name_cut, show_cut
from recon3d.plot.parts import TEXT_SIZE, draw_color_bar, label
from recon3d.plot.scan.detector_frames import BLUE
from recon3d.reconstruction.task import SMOOTHING_VOXELS

HEIGHT_IN = 5.8
_HIGHEST = 1.25
_IN_GRAIN = 0.5
_NAMES: tuple[Axis, ...] = ("z", "x", "y")


@dataclass(frozen=True, eq=False)
class GrowingFigure:
    """What `update_growing` changes in a drawn figure."""

    residual: Line2D
    slices: dict[Axis, AxesImage]
    orientations: dict[Axis, AxesImage]
    key: Axes


def draw_growing(figure: Figure, volume: Volume) -> GrowingFigure:
    """Draw an empty residual curve, and empty slices through the middle of a volume.

    `figure`: a figure, about 11 by 5.8 inches; it is cleared.
    """
    figure.clear()
    left = figure.add_axes((0.075, 0.6, 0.18, 0.33))
    (line,) = left.plot([], [], "o-", color=BLUE)
    label(left, "pass", "residual / measured", "what is not explained yet")
    left.xaxis.set_major_locator(MaxNLocator(integer=True))
    left.set_xlim(0.5, 5.5)
    left.set_ylim(0, 1)
    slices: dict[Axis, AxesImage] = {}
    orientations: dict[Axis, AxesImage] = {}
    for number, axis in enumerate(_NAMES):
        middle = volume.shape["xyz".index(axis)] // 2
        empty = cut(np.zeros(volume.shape), axis, middle)
        for images, image, bottom in (
            (slices, empty, 0.6),
            (orientations, np.zeros((*empty.shape, 4)), 0.09),
        ):
            ax = figure.add_axes((0.31 + 0.213 * number, bottom, 0.185, 0.34))
            scale = {"cmap": "viridis", "vmin": 0, "vmax": _HIGHEST}
            images[axis] = show_cut(ax, image, volume, axis, **scale)
            if images is slices:
                name_cut(ax, volume, axis, middle, TEXT_SIZE + 1)
    bar = figure.add_axes((0.93, 0.6, 0.009, 0.34))
    draw_color_bar(slices["z"], bar, "occupancy, smoothed")
    key = figure.add_axes((0.1, 0.1, 0.15, 0.31))
    key.set_axis_off()
    key.text(0.5, 0.5, "orientations appear\nafter the first pass", ha="center", color="0.5")
    return GrowingFigure(line, slices, orientations, key)


def grown_of(grain: Grain) -> NDArray[np.float32]:
    """Occupancy, a and b of a whole grain, as a fit shows them while it runs."""
    return np.concatenate([grain.occupancy[..., None], grain.orientation], axis=-1)


def update_growing(
    drawn: GrowingFigure, residuals: Sequence[float], grown: NDArray[np.float32] | None
) -> None:
    """Show the residuals so far, and slices of what has grown, where there is something.

    The occupancy is smoothed as it is before the mask is cut from it: the single voxels of a fit
    are noisy. Orientations are shown where that is 0.5 or more. `grown`, (nx, ny, nz, 3):
    occupancy, a and b of every voxel.
    """
    passes = np.arange(1, len(residuals) + 1)
    drawn.residual.set_data(passes, residuals)
    ax = drawn.residual.axes
    assert ax is not None
    ax.set_xlim(0.5, max(len(residuals), 5) + 0.5)
    ax.set_ylim(0, 1.1 * max(residuals, default=0.9))
    if grown is None:
        return
    occupancy, a, b = np.moveaxis(grown, -1, 0)
    smoothed = ndimage.gaussian_filter(occupancy, SMOOTHING_VOXELS, mode="constant")
    inside = smoothed >= _IN_GRAIN
    range_deg, center_deg = orientation_range(a[inside], b[inside])
    for axis in _NAMES:
        middle = occupancy.shape["xyz".index(axis)] // 2
        drawn.slices[axis].set_data(cut(smoothed, axis, middle))
        a_cut, b_cut, shown = (cut(values, axis, middle) for values in (a, b, inside))
        drawn.orientations[axis].set_data(
            orientation_rgba(a_cut, b_cut, shown, range_deg, center_deg)
        )
    drawn.key.clear()
    drawn.key.set_axis_on()
    draw_color_key(drawn.key, range_deg, center_deg=center_deg, pixels=101)
