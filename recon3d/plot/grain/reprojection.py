"""Measured projections beside those that the grain would give."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure
from numpy.typing import NDArray

from recon3d.arguments import checked
from recon3d.errors import ParameterError
from recon3d.plot.parts import TEXT_SIZE, bright_counts, draw_color_bar, new_figure, place_axes
from recon3d.plot.scan.projections import draw_comparison, draw_image, image_extent


@checked(pixel_um="> 0")
def reprojection_figure(
    omega_deg: list[float],
    measured: list[NDArray[Any]],
    modelled: list[NDArray[Any]],
    pixel_um: float | tuple[float, float],
) -> Figure:
    """Projections, their models and what is left, one column for each ω.

    Parameters
    ----------
    omega_deg
        Rotation angles.
    measured, modelled
        Summed frames, each of shape (rows, cols), in counts.
    pixel_um
        Edge of a pixel in the sample, or its height and width.

    Raises
    ------
    ParameterError
        There are none, or not as many of each.
    """
    count = len(omega_deg)
    if not count or not len(measured) == len(modelled) == count:
        raise ParameterError(
            f"{count} angles, {len(measured)} measured and {len(modelled)} modelled images: "
            "expected as many of each, and one at least"
        )
    if measured[0].ndim != 2:
        raise ParameterError(f"a measured image has the shape {measured[0].shape}: expected 2 axes")
    extent = image_extent(measured[0].shape, pixel_um)
    up = 1.9 * extent[2] / extent[1]
    figure = new_figure(2.2 * count + 0.9, 3 * (up + 0.45) + 0.2)
    for column, images in enumerate(zip(omega_deg, measured, modelled, strict=True)):
        angle, real, model = images
        left = 0.3 + 2.2 * column
        upper, middle, lower = (
            place_axes(figure, (left, 0.3 + (up + 0.45) * row, 1.9, up)) for row in (2, 1, 0)
        )
        draw_comparison(upper, middle, real, model, extent)
        upper.set_title(f"ω = {angle:.1f}°, measured", fontsize=TEXT_SIZE)
        middle.set_title("reprojected", fontsize=TEXT_SIZE)
        share = (real - model) / bright_counts(real)
        drawn = draw_image(lower, share, extent, cmap="RdBu_r", vmin=-0.5, vmax=0.5)
        lower.set_title("difference", fontsize=TEXT_SIZE)
    bar = place_axes(figure, (2.2 * count + 0.25, 0.3, 0.08, up))
    draw_color_bar(drawn, bar, "share of the brightest")
    return figure
