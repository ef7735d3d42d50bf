"""How a grain's orientations and other quantities are distributed."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from numpy.typing import NDArray

from recon3d.arguments import checked
from recon3d.colors import orientation_range
from recon3d.errors import ParameterError
from recon3d.files.grain import Grain
from recon3d.plot.grain.quantities import QUANTITIES, quantities_of, values_of
from recon3d.plot.parts import (
    BLUE,
    TEXT_SIZE,
    VERMILION,
    draw_color_bar,
    draw_color_key,
    label,
    new_figure,
    place_axes,
)


@checked(bins=">= 1, <= 10000")
def draw_orientation_density(ax: Axes, grain: Grain, *, bins: int = 41) -> QuadMesh:
    """Draw how much of a grain has which tilt (a, b), like a small part of a pole figure.

    Parameters
    ----------
    ax
        Where to draw.
    grain
        The grain; voxels count as much as their occupancy.
    bins
        Cells along each tilt.

    Returns
    -------
    mesh
        Share of the grain in each cell, in per cent.

    Raises
    ------
    ParameterError
        No voxel has an orientation.
    """
    inside, tilts = _known_tilts(grain)
    range_deg, center_deg = orientation_range(*tilts.T)
    reach = 1.3 * range_deg
    edges = [1e3 * np.linspace(c - reach, c + reach, bins + 1) for c in center_deg]
    weights = grain.occupancy[inside].astype(float)
    a, b = 1e3 * tilts.T
    density, _, _ = np.histogram2d(a, b, bins=edges, weights=weights)
    shares = 100 * density.T / max(weights.sum(), 1e-30)
    mesh = ax.pcolormesh(*edges, shares, cmap="magma_r", rasterized=True)
    middle = (1e3 * center_deg[0], 1e3 * center_deg[1])
    ax.add_patch(Circle(middle, 1e3 * range_deg, fill=False, color="0.5", linewidth=0.8))
    ax.set_aspect("equal")
    label(ax, "a (mdeg)", "b (mdeg)", ticks=TEXT_SIZE - 1)
    return mesh


@checked()
def orientation_density_figure(grain: Grain) -> Figure:
    """The density of tilts, with the key of the colours that they have in maps."""
    figure = new_figure(6.0, 3.4)
    mesh = draw_orientation_density(place_axes(figure, (0.6, 0.5, 2.7, 2.7)), grain)
    bar = place_axes(figure, (3.42, 0.5, 0.1, 2.7))
    draw_color_bar(mesh, bar, "share of the grain (%)")
    range_deg, center_deg = orientation_range(*_known_tilts(grain)[1].T)
    draw_color_key(place_axes(figure, (4.85, 0.5, 0.95, 0.95)), range_deg, center_deg=center_deg)
    return figure


@checked(bins=">= 1, <= 1000000")
def draw_histogram(ax: Axes, grain: Grain, name: str, *, bins: int = 60) -> None:
    """Draw how many voxels of the mask have which value of a quantity.

    Parameters
    ----------
    ax
        Where to draw.
    grain
        The grain.
    name
        One of `recon3d.plot.grain.quantities.quantities_of(grain)`.
    bins
        Number of bars.
    """
    values = np.asarray(values_of(grain, name), float)[grain.mask]
    values = values[np.isfinite(values)]
    # A few voxels far off would squeeze all others into one bar.
    ends = np.percentile(values, [0.2, 99.8]) if values.size else np.array([0.0, 1.0])
    ends = ends if ends[1] > ends[0] else ends + np.array([-0.5, 0.5])
    ax.hist(np.clip(values, *ends), bins=bins, range=tuple(ends), color=BLUE)
    label(ax, QUANTITIES[name].label, "voxels", ticks=TEXT_SIZE - 1)
    if values.size:
        ax.axvline(float(np.median(values)), color=VERMILION, linewidth=1)
        ax.set_title(f"median {np.median(values):.3g}", fontsize=TEXT_SIZE)


@checked()
def histograms_figure(grain: Grain) -> Figure:
    """Histograms of every quantity of a grain."""
    names = quantities_of(grain)
    rows = -(-len(names) // 3)
    figure = new_figure(7.2, 2.1 * rows)
    axes = figure.subplots(rows, 3, squeeze=False).ravel()
    for ax, name in zip(axes, names, strict=False):
        draw_histogram(ax, grain, name)
    for ax in axes[len(names) :]:
        ax.remove()
    figure.set_layout_engine("tight")
    return figure


def _known_tilts(grain: Grain) -> tuple[NDArray[np.bool_], NDArray[Any]]:
    inside = grain.oriented
    if not inside.any():
        raise ParameterError("no voxel of the grain has an orientation to draw")
    return inside, grain.orientation[inside].astype(float)
