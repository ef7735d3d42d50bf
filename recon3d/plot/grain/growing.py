"""A grain while it is being fitted: the residual after every pass, and three slices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray
from scipy import ndimage

from recon3d.config.volume import Volume
from recon3d.plot.grain.slices import AXIS_LABELS, SHOWN_AXES, Axis, cut, slice_extent_um
from recon3d.plot.parts import TEXT_SIZE, draw_color_bar, draw_scale_bar, make_bare
from recon3d.plot.scan.detector_frames import BLUE
from recon3d.plot.scan.overview import label
from recon3d.reconstruction.fit.task import SMOOTHING_VOXELS

_HIGHEST = 1.25


@dataclass(frozen=True, eq=False)
class GrowingFigure:
    """What `update_growing` changes in a drawn figure."""

    residual: Line2D
    slices: dict[Axis, AxesImage]


def draw_growing(figure: Figure, volume: Volume) -> GrowingFigure:
    """Draw an empty residual curve, and three empty slices through the middle of a volume.

    Parameters
    ----------
    figure
        A figure, about 11 by 3.4 inches; it is cleared.
    volume
        The voxels.
    """
    figure.clear()
    left = figure.add_axes((0.055, 0.16, 0.2, 0.7))
    (line,) = left.plot([], [], "o-", color=BLUE)
    label(left, "pass", "residual / measured", "what is not explained yet")
    left.xaxis.set_major_locator(MaxNLocator(integer=True))
    left.set_xlim(0.5, 5.5)
    left.set_ylim(0, 1)
    slices: dict[Axis, AxesImage] = {}
    empty = np.zeros(volume.shape, np.float32)
    names: tuple[Axis, ...] = ("z", "x", "y")
    for number, axis in enumerate(names):
        ax = figure.add_axes((0.31 + 0.213 * number, 0.16, 0.185, 0.7))
        middle = volume.shape["xyz".index(axis)] // 2
        slices[axis] = ax.imshow(
            cut(empty, axis, middle),
            origin="lower",
            extent=slice_extent_um(volume, axis),
            cmap="viridis",
            vmin=0,
            vmax=_HIGHEST,
            interpolation="nearest",
        )
        make_bare(ax, *(AXIS_LABELS[name] for name in SHOWN_AXES[axis]))
        draw_scale_bar(ax)
        at = volume.axis_um("xyz".index(axis))[middle]
        ax.set_title(f"{axis} = {at:.3g} µm", fontsize=TEXT_SIZE + 1)
    bar = figure.add_axes((0.93, 0.16, 0.009, 0.7))
    draw_color_bar(slices["z"], bar, "occupancy, smoothed as for the mask")
    return GrowingFigure(line, slices)


def update_growing(
    drawn: GrowingFigure, residuals: Sequence[float], occupancy: NDArray[np.float32] | None
) -> None:
    """Show the residuals so far, and slices of the occupancy, where there is one.

    It is smoothed as it is before the mask is cut from it: the single voxels of a fit are noisy.
    """
    passes = np.arange(1, len(residuals) + 1)
    drawn.residual.set_data(passes, residuals)
    ax = drawn.residual.axes
    assert ax is not None
    ax.set_xlim(0.5, max(len(residuals), 5) + 0.5)
    ax.set_ylim(0, 1.1 * max(residuals, default=0.9))
    if occupancy is None:
        return
    smoothed = ndimage.gaussian_filter(occupancy, SMOOTHING_VOXELS, mode="constant")
    for axis, image in drawn.slices.items():
        image.set_data(cut(smoothed, axis, occupancy.shape["xyz".index(axis)] // 2))
