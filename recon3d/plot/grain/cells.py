"""The cells of a grain: slices in the colours of their means, their boundaries, dislocations."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from recon3d.analysis.cells import Cells
from recon3d.analysis.misorientation import kernel_average_misorientation
from recon3d.analysis.profiles import Profile
from recon3d.arguments import checked, wrong
from recon3d.colors import orientation_range
from recon3d.files.grain import Grain
from recon3d.plot.grain.slices import (
    Axis,
    central_voxel,
    cut,
    draw_cuts,
    draw_slice,
    place_key,
    show_cut,
    slice_extent_um,
    slices_layout,
)
from recon3d.plot.parts import (
    BLUE,
    TEXT_SIZE,
    VERMILION,
    draw_color_bar,
    draw_color_key,
    draw_outline,
    label,
    new_figure,
)


@checked()
def cells_figure(grain: Grain, cells: Cells) -> Figure:
    """Three slices through a grain, each cell in the colour of its mean and with its number."""
    figure = new_figure(*slices_layout(grain.volume)[0])
    draw_cells(figure, grain, cells)
    return figure


def draw_cells(figure: Figure, grain: Grain, cells: Cells) -> None:
    """Draw what `cells_figure` shows into an empty figure of the size of `slices_layout`."""
    flat = replace(grain, orientation=_means(cells))
    range_deg, center_deg = orientation_range(grain.a_deg, grain.b_deg)

    def draw(ax: Axes, axis: Axis, index: int) -> AxesImage:
        image = draw_slice(ax, flat, axis, index, range_deg=range_deg, center_deg=center_deg)
        _draw_numbers(ax, cut(cells.labels, axis, index), slice_extent_um(grain.volume, axis))
        return image

    draw_cuts(figure, grain.volume, central_voxel(grain), draw)
    draw_color_key(place_key(figure, grain.volume), range_deg, center_deg=center_deg)


def _means(cells: Cells) -> NDArray[np.float32]:
    """The mean tilts of each voxel's cell, (nx, ny, nz, 2); NaN outside."""
    means = np.full((len(cells) + 1, 2), np.nan, np.float32)
    means[1:] = np.stack([cells.table["a_deg"], cells.table["b_deg"]], axis=1)
    return means[cells.labels]


def _draw_numbers(
    ax: Axes, labels: NDArray[np.int32], extent: tuple[float, float, float, float]
) -> None:
    """Outline every cell of a slice, and write its number where it fits."""
    rows, cols = labels.shape
    for number in np.unique(labels[labels > 0]):
        inside = labels == number
        draw_outline(ax, inside, extent)
        if inside.sum() < 0.004 * labels.size:
            continue
        depth = distance_transform_edt(np.pad(inside, 1))[1:-1, 1:-1]
        row, col = np.array(np.unravel_index(np.argmax(depth), depth.shape)) + 0.5
        x = extent[0] + (extent[1] - extent[0]) * col / cols
        y = extent[2] + (extent[3] - extent[2]) * row / rows
        ax.text(x, y, str(number), fontsize=TEXT_SIZE - 1, ha="center", va="center")


@checked()
def dislocations_figure(grain: Grain, density_per_m2: NDArray[Any]) -> Figure:
    """Three slices of the lower bound of the density of dislocations, on a logarithmic scale.

    `density_per_m2`, (nx, ny, nz): from `recon3d.analysis.dislocation_density`.
    """
    if density_per_m2.shape != grain.volume.shape:
        raise wrong("density_per_m2", density_per_m2.shape, f"the shape {grain.volume.shape}")
    known = density_per_m2[np.isfinite(density_per_m2) & (density_per_m2 > 0)]
    low, high = np.percentile(known, [2, 99.5]) if known.size else (1.0, 10.0)
    scale = LogNorm(low, max(high, 1.01 * low))
    figure = new_figure(*slices_layout(grain.volume)[0])

    def draw(ax: Axes, axis: Axis, index: int) -> AxesImage:
        shown = cut(density_per_m2, axis, index)
        return show_cut(ax, shown, grain.volume, axis, cmap="inferno", norm=scale)

    image = draw_cuts(figure, grain.volume, central_voxel(grain), draw)
    bar = place_key(figure, grain.volume, bar=True)
    draw_color_bar(image, bar, "dislocations, at least (1/m²)")
    return figure


@checked()
def misorientation_figure(grain: Grain, cells: Cells) -> Figure:
    """How neighbours, voxels of a cell and cells differ: three histograms."""
    figure = new_figure(9.2, 2.7)
    near, inside, between = figure.subplots(1, 3)
    average = 1e3 * kernel_average_misorientation(grain.orientation)[grain.mask]
    _histogram(near, average, "neighbours' misorientation (mdeg)")
    off = 1e3 * np.hypot(*np.moveaxis(grain.orientation - _means(cells), -1, 0))
    _histogram(inside, off[grain.mask], "from the mean of the cell (mdeg)")
    angles = 1e3 * cells.boundaries["misorientation_deg"]
    width = max(np.ptp(angles) / 60, 0.2) if angles.size else 1.0
    between.bar(angles, cells.boundaries["area_um2"], width=width, color=BLUE)
    label(between, "between cells (mdeg)", "area (µm²)", ticks=TEXT_SIZE - 1)
    figure.set_layout_engine("tight")
    return figure


def _histogram(ax: Axes, values: NDArray[Any], name: str) -> None:
    known = values[np.isfinite(values)]
    top = float(np.percentile(known, 99.5)) if known.size else 1.0
    ax.hist(known, bins=50, range=(0, top or 1.0), color=BLUE)
    label(ax, name, "voxels", ticks=TEXT_SIZE - 1)


@checked()
def profile_figure(profile: Profile) -> Figure:
    """The tilts along a line, with their errors where they are known.

    `profile`: from `recon3d.analysis.line_profile`.
    """
    figure = new_figure(9.2, 2.8)
    ax = figure.subplots()
    for i, (name, color) in enumerate((("a", BLUE), ("b", VERMILION))):
        tilt, error = 1e3 * profile.orientation_deg[:, i], 1e3 * profile.orientation_error_deg[:, i]
        ax.plot(profile.distance_um, tilt, ".-", color=color, label=name, markersize=3)
        ax.fill_between(profile.distance_um, tilt - error, tilt + error, color=color, alpha=0.2)
    label(ax, "distance (µm)", "tilt (mdeg)", ticks=TEXT_SIZE - 1)
    ax.legend(fontsize=TEXT_SIZE, frameon=False)
    figure.set_layout_engine("tight")
    return figure
