"""The parts that figures share: bare axes, outlines, scale bars, colour keys."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colorbar import Colorbar
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from mpl_toolkits.axes_grid1.anchored_artists import AnchoredSizeBar
from numpy.typing import NDArray

from recon3d.arguments import checked
from recon3d.colors import Center, decimals_of
from recon3d.colors import orientation_colors as orientation_colors
from recon3d.colors import orientation_range as orientation_range

Extent = tuple[float, float, float, float]
"""Left, right, bottom and top edge of an image, in µm."""
Box = tuple[float, float, float, float]
"""Left, bottom, width and height in inches."""

TEXT_SIZE = 8
"""Size of text in points."""
BLUE, ORANGE, VERMILION, GREEN = "#0072b2", "#e69f00", "#d55e00", "#009e73"
"""Colours that colour-blind people tell apart (Okabe and Ito)."""


def new_figure(width_in: float, height_in: float) -> Figure:
    """A figure that needs no display and leaves no state behind."""
    figure = Figure(figsize=(width_in, height_in), dpi=150)
    FigureCanvasAgg(figure)
    return figure


def place_axes(figure: Figure, box_in: Box, size_in: tuple[float, float] | None = None) -> Axes:
    """Add axes at a place in inches, of the figure as it is or as it was planned (`size_in`)."""
    width, height = figure.get_size_inches() if size_in is None else size_in
    left, bottom, across, up = box_in
    return figure.add_axes((left / width, bottom / height, across / width, up / height))


def scale_bar_length_um(width_um: float) -> float:
    """The longest of 1, 2 or 5 times a power of ten that is up to a third of a width."""
    longest = width_um / 3 * (1 + 1e-9)
    power = 10.0 ** np.floor(np.log10(longest))
    return float(max(step * power for step in (1, 2, 5) if step * power <= longest))


@checked()
def draw_scale_bar(ax: Axes) -> AnchoredSizeBar:
    """Draw a scale bar below the right end of an image whose horizontal axis is in µm.

    The bar's `size_bar` is as wide as its length in µm.
    """
    left, right = sorted(ax.get_xlim())
    length = scale_bar_length_um(right - left)
    bar = AnchoredSizeBar(
        ax.transData,
        length,
        f"{length:g} µm",
        "upper right",
        bbox_to_anchor=(1, 0),
        bbox_transform=ax.transAxes,
        frameon=False,
        pad=0,
        borderpad=0.6,
        sep=2,
        size_vertical=(right - left) / 80,
        fontproperties={"size": TEXT_SIZE},
    )
    ax.add_artist(bar)
    return bar


def label(
    ax: Axes, horizontal: str, vertical: str, title: str = "", *, ticks: float = TEXT_SIZE
) -> None:
    """Name the axes of a plot, and its subject; `ticks`: size of their numbers."""
    ax.set_xlabel(horizontal, fontsize=TEXT_SIZE)
    ax.set_ylabel(vertical, fontsize=TEXT_SIZE)
    ax.set_title(title, fontsize=TEXT_SIZE + 1)
    ax.tick_params(labelsize=ticks)


def make_bare(ax: Axes, horizontal: str, vertical: str) -> None:
    """Name the axes of an image in place of ticks: a scale bar says the rest."""
    ax.set_xticks([])
    ax.set_yticks([])
    ax.set_xlabel(horizontal, loc="left", fontsize=TEXT_SIZE)
    ax.set_ylabel(vertical, fontsize=TEXT_SIZE)
    for spine in ax.spines.values():
        spine.set(color="0.7", linewidth=0.6)


def draw_outline(
    ax: Axes, mask: NDArray[np.bool_], extent: Extent, color: str = "0.25"
) -> LineCollection:
    """Draw the border of a mask, (rows, cols), row 0 at the bottom, along its pixels' edges."""
    rows, cols = mask.shape
    x = np.linspace(extent[0], extent[1], cols + 1)
    y = np.linspace(extent[2], extent[3], rows + 1)
    padded = np.pad(mask, 1)
    across = np.argwhere(padded[:-1, 1:-1] != padded[1:, 1:-1])
    upward = np.argwhere(padded[1:-1, :-1] != padded[1:-1, 1:])
    lines = [[(x[j], y[i]), (x[j + 1], y[i])] for i, j in across]
    lines += [[(x[j], y[i]), (x[j], y[i + 1])] for i, j in upward]
    outline = LineCollection(lines, colors=color, linewidths=0.5, capstyle="projecting")
    ax.add_collection(outline)
    return outline


def draw_color_bar(
    mappable: ScalarMappable,
    cax: Axes,
    label: str,
    orientation: Literal["vertical", "horizontal"] = "vertical",
) -> Colorbar:
    """Draw the colour bar of an image into axes of its own."""
    bar = Colorbar(cax, mappable, orientation=orientation)
    bar.set_label(label, fontsize=TEXT_SIZE)
    bar.ax.tick_params(labelsize=TEXT_SIZE - 1)
    return bar


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


def bright_counts(image: NDArray[Any]) -> float:
    """The counts that 99.8 % of the pixels above zero stay below; at least 1."""
    illuminated = image[image > 0]
    return max(float(np.percentile(illuminated, 99.8)), 1.0) if illuminated.size else 1.0


def pixel_at(image: AxesImage, x: float, y: float) -> tuple[int, int]:
    """Row and column of the array of an image at a place given in its axes' units."""
    left, right, bottom, top = image.get_extent()
    rows, cols = image.get_size()
    first, last = (bottom, top) if image.origin == "lower" else (top, bottom)
    row, col = (y - first) / (last - first) * rows, (x - left) / (right - left) * cols
    return int(np.clip(row, 0, rows - 1)), int(np.clip(col, 0, cols - 1))


def value_at(image: AxesImage, x: float, y: float) -> float:
    """What an image shows at a place given in its axes' units; NaN where it shows nothing."""
    array: NDArray[np.float64] = np.ma.filled(np.ma.asarray(image.get_array(), float), np.nan)
    return float(array[pixel_at(image, x, y)])


def read_out(image: AxesImage, text: Callable[[float, float], str]) -> None:
    """Tell, below a figure in the browser, what is under the mouse."""
    image.mouseover = False
    ax = image.axes
    assert ax is not None
    ax.format_coord = text  # type: ignore[method-assign, assignment]
