"""Slices through a reconstructed grain, and through one that is still being fitted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray
from scipy import ndimage

from recon3d.arguments import checked
from recon3d.colors import Center, orientation_range, orientation_rgba
from recon3d.config.volume import Volume
from recon3d.errors import ParameterError
from recon3d.files.grain import Grain
from recon3d.plot.grain.quantities import QUANTITIES, limits_of, quantities_of, values_of
from recon3d.plot.parts import (
    BLUE,
    TEXT_SIZE,
    Box,
    Extent,
    draw_color_bar,
    draw_color_key,
    draw_outline,
    draw_scale_bar,
    label,
    make_bare,
    new_figure,
    pixel_at,
    place_axes,
    read_out,
    value_at,
)
from recon3d.reconstruction.task import SMOOTHING_VOXELS

Axis = Literal["x", "y", "z"]

CUTS: tuple[Axis, ...] = ("z", "x", "y")
"""The axes that the slices of a figure are normal to, from left to right."""
_HIGHEST = 1.25
"""The occupancy at the end of its scale, as in `QUANTITIES`."""
_IN_GRAIN = 0.5
AXIS_LABELS = {"x": "x →", "y": "y ∥ G →", "z": "z →"}
SHOWN_AXES = {"x": ("z", "y"), "y": ("x", "z"), "z": ("x", "y")}
"""The axes that a slice shows, horizontal and vertical, by the axis it is normal to."""


@checked(range_deg="> 0")
def draw_slice(
    ax: Axes,
    grain: Grain,
    axis: Axis,
    index: int,
    what: str = "orientation",
    *,
    range_deg: float | None = None,
    center_deg: Center | None = None,
) -> AxesImage:
    """Draw one slice of a grain, with the outline of its mask and a scale bar.

    The vertical axis is y, except in slices normal to y, where it is z. Occupancy and
    completeness are shown everywhere, all else inside the mask.

    Parameters
    ----------
    ax
        Where to draw.
    grain
        The grain.
    axis
        The axis that the slice is normal to.
    index
        Number of the slice along that axis.
    what
        "orientation", or one of `recon3d.plot.grain.quantities.QUANTITIES`.
    range_deg, center_deg
        Range and centre of the orientation's colours; what suits the whole grain where None.

    Returns
    -------
    image
        The drawn slice.

    Raises
    ------
    ParameterError
        There is no such slice or quantity, or the grain has no strain.
    """
    _check(grain, axis, index, what)
    extent = slice_extent_um(grain.volume, axis)
    mask = cut(grain.mask, axis, index)
    if what == "orientation":
        suitable = orientation_range(grain.a_deg, grain.b_deg)
        rgba = orientation_rgba(
            cut(grain.a_deg, axis, index),
            cut(grain.b_deg, axis, index),
            mask,
            suitable[0] if range_deg is None else range_deg,
            suitable[1] if center_deg is None else center_deg,
        )
        image = show_cut(ax, rgba, grain.volume, axis)
    else:
        look, values = QUANTITIES[what], np.asarray(values_of(grain, what))
        if not look.everywhere:
            values = np.where(grain.mask, values, np.nan)
        # The same scale for every slice of a grain.
        low, high = limits_of(grain, what)
        scale = {"cmap": look.colors, "vmin": low, "vmax": high}
        image = show_cut(ax, cut(values, axis, index), grain.volume, axis, **scale)
    read_out(image, _reader(image, grain, axis, index, what))
    everywhere = what != "orientation" and QUANTITIES[what].everywhere
    draw_outline(ax, mask, extent, "white" if everywhere else "0.25")
    return image


def show_cut(
    ax: Axes, image: NDArray[Any], volume: Volume, axis: Axis, **options: Any
) -> AxesImage:
    """Show an image of a slice normal to an axis, with the names of its axes and a scale bar."""
    place: dict[str, Any] = {"origin": "lower", "extent": slice_extent_um(volume, axis)}
    drawn = ax.imshow(image, interpolation="nearest", **place, **options)
    make_bare(ax, *(AXIS_LABELS[name] for name in SHOWN_AXES[axis]))
    draw_scale_bar(ax)
    return drawn


def name_cut(ax: Axes, volume: Volume, axis: Axis, index: int, size: float = TEXT_SIZE) -> None:
    """Write above a slice where it is."""
    at = volume.axis_um("xyz".index(axis))[index]
    ax.set_title(f"{axis} = {at:.3g} µm", fontsize=size)


def _reader(
    image: AxesImage, grain: Grain, axis: Axis, index: int, what: str
) -> Callable[[float, float], str]:
    """What a slice tells of a place: where it is in µm, and its tilts in mdeg or its value."""
    first, second = SHOWN_AXES[axis]

    def text(x: float, y: float) -> str:
        place = f"{first} = {x:.2f} µm, {second} = {y:.2f} µm"
        if what != "orientation":
            return f"{place}: {QUANTITIES[what].label} {value_at(image, x, y):.4g}"
        row, col = pixel_at(image, x, y)
        a, b = (1000 * float(cut(t, axis, index)[row, col]) for t in (grain.a_deg, grain.b_deg))
        return f"{place}: a = {a:.1f}, b = {b:.1f} mdeg" if np.isfinite(a) else f"{place}: outside"

    return text


@checked()
def slices_figure(
    grain: Grain,
    what: str = "orientation",
    *,
    through: tuple[int, int, int] | None = None,
    like: Grain | None = None,
) -> Figure:
    """Three orthogonal slices of a grain at one scale, with the key of their colours.

    Parameters
    ----------
    grain
        The grain.
    what
        What to show, as in `draw_slice`.
    through
        The voxel through which to cut; the one nearest to the mask's centre where None.
    like
        Another grain whose colours of orientations to use, to compare with it.

    Returns
    -------
    figure
        The slices normal to z, x and y side by side, and the key.

    Examples
    --------
    >>> import recon3d as r3
    >>> figure = r3.plot.slices_figure(r3.Grain.load("grain.h5"))
    >>> figure.savefig("slices.png")
    """
    figure = new_figure(*slices_layout(grain.volume)[0])
    draw_slices(figure, grain, what, through=through or central_voxel(grain), like=like)
    return figure


def draw_slices(
    figure: Figure,
    grain: Grain,
    what: str,
    *,
    through: tuple[int, int, int],
    like: Grain | None = None,
) -> None:
    """Draw what `slices_figure` shows into an empty figure, shaped as `slices_layout` says."""
    range_deg, center_deg = orientation_range((like or grain).a_deg, (like or grain).b_deg)

    def draw(ax: Axes, axis: Axis, index: int) -> AxesImage:
        return draw_slice(ax, grain, axis, index, what, range_deg=range_deg, center_deg=center_deg)

    image = draw_cuts(figure, grain.volume, through, draw)
    if what == "orientation":
        draw_color_key(place_key(figure, grain.volume), range_deg, center_deg=center_deg)
    else:
        bar = place_key(figure, grain.volume, bar=True)
        draw_color_bar(image, bar, QUANTITIES[what].label)


def draw_cuts(
    figure: Figure,
    volume: Volume,
    through: tuple[int, int, int],
    draw: Callable[[Axes, Axis, int], AxesImage],
) -> AxesImage:
    """Draw the slices normal to z, x and y through a voxel, and return the last image.

    `draw`: draws the slice of a number along an axis.
    """
    size, boxes = slices_layout(volume)
    for axis in CUTS:
        index = through["xyz".index(axis)]
        ax = place_axes(figure, boxes[axis], size)
        image = draw(ax, axis, index)
        name_cut(ax, volume, axis, index)
    return image


def place_key(figure: Figure, volume: Volume, *, bar: bool = False) -> Axes:
    """Axes for the key of the colours beside the slices; `bar`: for a colour bar."""
    size, boxes = slices_layout(volume)
    left, bottom, across, up = boxes["key"]
    return place_axes(figure, (left, bottom, 0.12 if bar else across, up), size)


def slices_layout(volume: Volume) -> tuple[tuple[float, float], dict[str, Box]]:
    """Size of the figure, and where the three slices and the key go, all in inches."""
    width, height, depth = volume.size_um
    bottom, key = 0.4, 1.0
    scale = min(6.4 / (2 * width + depth), 4.0 / max(height, depth))
    sides = {"z": (width, height), "x": (depth, height), "y": (width, depth)}
    boxes, left = {}, 0.3
    for axis, (across, up) in sides.items():
        boxes[axis] = (left, bottom, scale * across, scale * up)
        left += scale * across + 0.3
    tallest = max(scale * max(height, depth), key)
    boxes["key"] = (left + 0.5, bottom + (tallest - key) / 2, key, key)
    return (left + 0.5 + key + 0.3, bottom + tallest + 0.3), boxes


def slice_extent_um(volume: Volume, axis: Axis) -> Extent:
    """Left, right, bottom and top edge in µm of a slice normal to an axis."""
    (left, right), (bottom, top) = (
        np.array([-0.5, 0.5]) * volume.size_um[i] + volume.position_um[i]
        for i in map("xyz".index, SHOWN_AXES[axis])
    )
    return float(left), float(right), float(bottom), float(top)


def cut(volume: NDArray[Any], axis: Axis, index: int) -> NDArray[Any]:
    """Take one slice of a volume, normal to an axis, as an image: rows along the vertical axis."""
    plane: NDArray[Any] = np.moveaxis(volume, "xyz".index(axis), 0)[index]
    # What is left of (x, y, z) is in that order: only z and y are shown the other way round.
    return plane if axis == "x" else plane.T


def central_voxel(grain: Grain) -> tuple[int, int, int]:
    """The voxel nearest to the centre of a grain's mask."""
    if not grain.mask.any():
        nx, ny, nz = grain.volume.shape
        return nx // 2, ny // 2, nz // 2
    x, y, z = (round(float(index.mean())) for index in np.nonzero(grain.mask))
    return x, y, z


def _check(grain: Grain, axis: str, index: int, what: str) -> None:
    count = grain.volume.shape["xyz".index(axis)]
    if not 0 <= index < count:
        raise ParameterError(f"slice {index} along {axis}: the grain has slices 0 to {count - 1}")
    if what == "strain" and grain.strain is None:
        raise ParameterError("the grain has no strain: neither 2θ nor the energy was scanned")
    if what not in ("orientation", *quantities_of(grain)):
        raise ParameterError(f"'{what}': expected orientation, {', '.join(quantities_of(grain))}")


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
