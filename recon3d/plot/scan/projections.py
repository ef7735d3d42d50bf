"""What the detector saw: maps of a projection, what a model gives, tilts behind a place."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike, NDArray

from recon3d.analysis.projection_maps import illuminated, projection_moments
from recon3d.arguments import checked
from recon3d.colors import Center, orientation_range, orientation_rgba
from recon3d.errors import ParameterError
from recon3d.plot.parts import (
    BLUE,
    ORANGE,
    TEXT_SIZE,
    VERMILION,
    Extent,
    bright_counts,
    draw_color_bar,
    draw_color_key,
    draw_scale_bar,
    label,
    make_bare,
    new_figure,
    place_axes,
)
from recon3d.plot.scan.detector_frames import setting_label
from recon3d.reconstruction.quality.reprojection import VoxelEvidence

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
    ax_measured: Axes, ax_modelled: Axes, measured: Image, modelled: Image, extent_um: Extent
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


def draw_tilt_map(
    ax: Axes,
    counts: Image,
    horizontal: tuple[str, ArrayLike],
    vertical: tuple[str, ArrayLike],
    title: str = "",
) -> AxesImage:
    """Draw counts, (horizontal, vertical), over two tilts, each a name and its positions."""
    (across, x), (up, y) = ((name, np.asarray(at, float)) for name, at in (horizontal, vertical))
    extent = (*_edges(x), *_edges(y))
    image = ax.imshow(
        counts.T,
        origin="lower",
        extent=extent,
        cmap="viridis",
        aspect="auto",
        interpolation="nearest",
        vmin=0,
    )
    label(ax, setting_label(across), setting_label(up), title)
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(MaxNLocator(5))
    return image


def mark_tilt(ax: Axes, tilt: ArrayLike) -> None:
    """Put a ring at one tilt, such as the centre of mass, in the unit of the map."""
    ax.plot(
        *np.reshape(tilt, (2, 1)),
        "o",
        color=VERMILION,
        mfc="none",
        markersize=9,
        markeredgewidth=1.5,
    )


def draw_illuminated_frames(ax: Axes, counts: Image, title: str = "") -> None:
    """Draw the counts of one pixel in all frames of a projection, and name the brightest."""
    numbers = np.arange(counts.size)
    ax.bar(numbers, counts, color="0.75", width=1.0)
    illuminated = counts > 0.1 * max(float(np.nanmax(counts, initial=0)), 1e-9)
    ax.bar(numbers[illuminated], counts[illuminated], color=BLUE, width=1.0)
    for frame in np.argsort(counts)[::-1][:3]:
        if illuminated[frame]:
            ax.annotate(
                str(frame), (frame, counts[frame]), ha="center", va="bottom", fontsize=TEXT_SIZE
            )
    ax.set_xlim(-1, counts.size)
    ax.set_ylim(0, 1.15 * max(float(np.nanmax(counts, initial=0)), 1))
    label(ax, "frame of the projection (blue: above 10 % of the most)", "counts", title)


def draw_illuminated_projections(ax: Axes, evidence: VoxelEvidence, title: str = "") -> AxesImage:
    """Draw which frame of which projection lit a voxel."""
    omega = evidence.omega_deg
    step = float(np.median(np.diff(omega))) if omega.size > 1 else 1.0
    frames = evidence.counts.shape[1]
    image = ax.imshow(
        evidence.counts.T,
        origin="lower",
        aspect="auto",
        interpolation="nearest",
        cmap="viridis",
        extent=(omega[0] - step / 2, omega[-1] + step / 2, -0.5, frames - 0.5),
    )
    brightest = np.nan_to_num(evidence.counts)
    illuminated = brightest.max(axis=1) > 0
    ax.plot(
        omega[illuminated], brightest.argmax(axis=1)[illuminated], ".", color=ORANGE, markersize=3
    )
    label(ax, "ω (°); the dots mark the brightest frame", "frame of the projection", title)
    return image


def _edges(values: NDArray[np.float64]) -> tuple[float, float]:
    step = float(np.median(np.diff(values))) if values.size > 1 else 0.01
    return float(values[0]) - step / 2, float(values[-1]) + step / 2
