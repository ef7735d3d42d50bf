"""What the detector saw: mosaicity maps of a projection, and measured beside modelled."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from numpy.typing import ArrayLike, NDArray

from recon3d.analysis.projection_maps import illuminated, projection_moments
from recon3d.arguments import checked
from recon3d.colors import Center, orientation_range, orientation_rgba
from recon3d.plot.colors import draw_color_key
from recon3d.plot.parts import (
    TEXT_SIZE,
    Extent,
    bright_counts,
    draw_color_bar,
    draw_scale_bar,
    make_bare,
    new_figure,
    place_axes,
)

Image = NDArray[Any]


@checked(range_deg="> 0", a_deg="(rows, cols)", b_deg="(rows, cols)", mask="(rows, cols)")
def draw_mosaicity(
    ax: Axes,
    a_deg: Image,
    b_deg: Image,
    extent_um: Extent,
    range_deg: float,
    mask: NDArray[np.bool_],
    center_deg: Center = (0.0, 0.0),
) -> AxesImage:
    """Draw a map of two tilts in the colours of the key, row 0 at the top.

    Parameters
    ----------
    ax
        Where to draw.
    a_deg, b_deg
        Shape (rows, cols): the two tilts in degrees.
    extent_um
        Left, right, bottom and top edge.
    range_deg, center_deg
        As in `orientation_colors`.
    mask
        Shape (rows, cols): where to show them.
    """
    rgba = orientation_rgba(a_deg, b_deg, mask, range_deg, center_deg)
    return draw_image(ax, rgba, extent_um)


@checked(measured="(rows, cols)", modelled="(rows, cols)")
def draw_comparison(
    ax_measured: Axes,
    ax_modelled: Axes,
    measured: Image,
    modelled: Image,
    extent_um: Extent,
) -> tuple[AxesImage, AxesImage]:
    """Draw a measured image and its model side by side, on one scale of counts.

    Parameters
    ----------
    ax_measured, ax_modelled
        Where to draw.
    measured, modelled
        Shape (rows, cols), in counts.
    extent_um
        Left, right, bottom and top edge.

    Returns
    -------
    images
        The two images.

    Raises
    ------
    ParameterError
        The images differ in shape.
    """
    scale = {"cmap": "viridis", "vmin": 0, "vmax": max(map(bright_counts, (measured, modelled)))}
    ax_measured.set_title("measured", fontsize=TEXT_SIZE)
    ax_modelled.set_title("modelled", fontsize=TEXT_SIZE)
    return (
        draw_image(ax_measured, measured, extent_um, **scale),
        draw_image(ax_modelled, modelled, extent_um, **scale),
    )


@checked(pixel_um="> 0", illuminated_share=">= 0, <= 1")
def mosaicity_map_figure(
    frames: Image,
    mu_deg: ArrayLike,
    gamma_deg: ArrayLike,
    pixel_um: float | tuple[float, float],
    *,
    illuminated_share: float = 0.05,
    title: str = "",
) -> Figure:
    """Show one projection: its summed intensity, and each pixel's mean (μ, γ) with the key.

    Parameters
    ----------
    frames
        Shape (frames, rows, cols): the frames of one projection.
    mu_deg, gamma_deg
        Shape (frames,): the setting of each frame in degrees.
    pixel_um
        Edge of a pixel in the sample, 1 / M, or its height and width.
    illuminated_share
        Share of the brightest pixels' total from which a pixel is shown in colour.
    title
        What projection it is.
    """
    total, mu, gamma = projection_moments(frames, mu_deg, gamma_deg)
    bright = bright_counts(total)
    lit = illuminated(total, illuminated_share)
    range_deg, center_deg = orientation_range(mu[lit], gamma[lit])
    _, wide, high, _ = image_extent(total.shape, pixel_um)
    extent, up = (0.0, wide, 0.0, high), 2.6 * high / wide
    figure = new_figure(8.7, up + 0.9)
    left = place_axes(figure, (0.25, 0.5, 2.6, up))
    image = draw_image(left, total, extent, cmap="viridis", vmin=0, vmax=bright)
    bar = place_axes(figure, (2.93, 0.5, 0.1, up))
    draw_color_bar(image, bar, "sum over the frames (counts)")
    right = place_axes(figure, (3.95, 0.5, 2.6, up))
    draw_mosaicity(right, mu, gamma, extent, range_deg, lit, center_deg)
    key = place_axes(figure, (7.35, 0.5 + up / 2 - 0.55, 1.1, 1.1))
    draw_color_key(key, range_deg, ("μ (°)", "γ (°)"), center_deg)
    figure.suptitle(title, fontsize=TEXT_SIZE + 1)
    return figure


def image_extent(shape: tuple[int, ...], pixel_um: float | tuple[float, float]) -> Extent:
    """Left, right, bottom and top edge of an image (rows, cols) in µm, row 0 at the top.

    `pixel_um`: edge of a pixel, or its height and width.
    """
    height, width = np.broadcast_to(pixel_um, 2).tolist()
    return (0.0, shape[1] * width, shape[0] * height, 0.0)


def draw_image(ax: Axes, image: Image, extent_um: Extent, **options: Any) -> AxesImage:
    """Draw an image of the detector, or its colours, row 0 at the top, with a scale bar."""
    drawn = ax.imshow(image, origin="upper", extent=extent_um, interpolation="nearest", **options)
    make_bare(ax, "columns →", "← rows")
    draw_scale_bar(ax)
    return drawn
