"""Slices through a reconstructed grain."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from numpy.typing import NDArray

from recon3d.colors import Center, orientation_range, orientation_rgba
from recon3d.config.experiment import Volume
from recon3d.errors import ParameterError
from recon3d.files.grain import Grain
from recon3d.plot.colors import draw_color_key
from recon3d.plot.parts import (
    TEXT_SIZE,
    Box,
    Extent,
    draw_color_bar,
    draw_outline,
    draw_scale_bar,
    make_bare,
    new_figure,
    place_axes,
)

Axis = Literal["x", "y", "z"]
What = Literal["orientation", "occupancy", "completeness", "spread", "strain"]

AXIS_LABELS = {"x": "x →", "y": "y ∥ G →", "z": "z →"}
SHOWN_AXES = {"x": ("z", "y"), "y": ("x", "z"), "z": ("x", "y")}
"""The axes that a slice shows, horizontal and vertical, by the axis it is normal to."""


class _Look(NamedTuple):
    """How a quantity is drawn: its array, its colours, and its scale and name."""

    array: str
    colors: str
    factor: float
    label: str


_LOOKS = {
    "occupancy": _Look("occupancy", "viridis", 1, "occupancy"),
    "completeness": _Look("completeness", "viridis", 1, "completeness"),
    "spread": _Look("orientation_spread", "cividis", 1e3, "orientation spread (mdeg)"),
    "strain": _Look("strain", "RdBu_r", 1e6, "strain along G (10⁻⁶)"),
}
_EVERYWHERE = ("occupancy", "completeness")
"""What is shown outside the mask too."""


def draw_slice(
    ax: Axes,
    grain: Grain,
    axis: Axis,
    index: int,
    what: What = "orientation",
    *,
    range_deg: float | None = None,
    center_deg: Center | None = None,
) -> AxesImage:
    """Draw one slice of a grain, with the outline of its mask and a scale bar.

    The vertical axis is y, except in slices normal to y, where it is z. Orientation, spread
    and strain are shown inside the mask, occupancy and completeness everywhere.

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
        What to show.
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
        suitable = orientation_range(grain.orientation[..., 0], grain.orientation[..., 1])
        rgba = orientation_rgba(
            cut(grain.orientation[..., 0], axis, index),
            cut(grain.orientation[..., 1], axis, index),
            mask,
            suitable[0] if range_deg is None else range_deg,
            suitable[1] if center_deg is None else center_deg,
        )
        image = ax.imshow(rgba, origin="lower", extent=extent, interpolation="nearest")
    else:
        image = _draw_values(ax, grain, axis, index, what)
    draw_outline(ax, mask, extent, "white" if what in _EVERYWHERE else "0.25")
    make_bare(ax, *(AXIS_LABELS[name] for name in SHOWN_AXES[axis]))
    draw_scale_bar(ax)
    return image


def slices_figure(
    grain: Grain, what: What = "orientation", *, through: tuple[int, int, int] | None = None
) -> Figure:
    """Three orthogonal slices of a grain at one scale, with the key of their colours.

    Parameters
    ----------
    grain
        The grain.
    what
        What to show.
    through
        The voxel through which to cut; the one nearest to the mask's centre where None.

    Returns
    -------
    figure
        The slice normal to z, that normal to x beside it (with y in common) and that normal
        to y below it (with x in common), and the key.
    """
    voxel = _central_voxel(grain) if through is None else through
    size, boxes = _layout(grain.volume)
    figure = new_figure(*size)
    cuts: list[tuple[Axis, int]] = [("z", voxel[2]), ("x", voxel[0]), ("y", voxel[1])]
    for axis, index in cuts:
        ax = place_axes(figure, boxes[axis])
        image = draw_slice(ax, grain, axis, index, what)
        at = grain.volume.axis_um("xyz".index(axis))[index]
        ax.set_title(f"{axis} = {at:.3g} µm", fontsize=TEXT_SIZE)
    if what == "orientation":
        range_deg, center_deg = orientation_range(*np.moveaxis(grain.orientation, -1, 0))
        draw_color_key(place_axes(figure, boxes["key"]), range_deg, center_deg=center_deg)
    else:
        left, bottom, _, up = boxes["key"]
        draw_color_bar(image, place_axes(figure, (left, bottom, 0.12, up)), _LOOKS[what].label)
    return figure


def _layout(volume: Volume) -> tuple[tuple[float, float], dict[str, Box]]:
    """Size of the figure, and where the three slices and the key go, all in inches."""
    width, height, depth = volume.size_um
    scale = 4.4 / max(width + depth, height + depth)
    across, up, deep = scale * width, scale * height, scale * depth
    key = 1.1
    lower = max(deep, key)
    second, upper = 0.3 + across + 0.35, 0.4 + lower + 0.65
    boxes = {
        "z": (0.3, upper, across, up),
        "x": (second, upper, deep, up),
        "y": (0.3, 0.4 + lower - deep, across, deep),
        "key": (second + 0.55, 0.4 + lower - key, key, key),
    }
    return (second + max(deep, key + 0.75) + 0.15, upper + up + 0.3), boxes


def slice_extent_um(volume: Volume, axis: Axis) -> Extent:
    """Left, right, bottom and top edge in µm of a slice normal to an axis.

    Parameters
    ----------
    volume
        The box of voxels.
    axis
        The axis that the slice is normal to.
    """
    shown = ["xyz".index(name) for name in SHOWN_AXES[axis]]
    (left, right), (bottom, top) = (
        (
            volume.position_um[i] - volume.size_um[i] / 2,
            volume.position_um[i] + volume.size_um[i] / 2,
        )
        for i in shown
    )
    return left, right, bottom, top


def _draw_values(ax: Axes, grain: Grain, axis: Axis, index: int, what: What) -> AxesImage:
    look = _LOOKS[what]
    volume = look.factor * np.asarray(getattr(grain, look.array), float)
    if what not in _EVERYWHERE:
        volume = np.where(grain.mask, volume, np.nan)
    low, high = _limits(volume, what)
    return ax.imshow(
        cut(volume, axis, index),
        origin="lower",
        extent=slice_extent_um(grain.volume, axis),
        interpolation="nearest",
        cmap=look.colors,
        vmin=low,
        vmax=high,
    )


def _limits(values: NDArray[np.float64], what: What) -> tuple[float, float]:
    """Ends of the colour scale, the same for every slice of a grain."""
    if what in _EVERYWHERE:
        return 0.0, (1.25 if what == "occupancy" else 1.0)
    known = values[np.isfinite(values)]
    high = float(np.percentile(np.abs(known), 99)) if known.size else 1.0
    return (-high if what == "strain" else 0.0), high


def cut(volume: NDArray[Any], axis: Axis, index: int) -> NDArray[Any]:
    """Take one slice of a volume as an image: rows along the vertical axis that is shown.

    Parameters
    ----------
    volume, shape (nx, ny, nz)
        Any quantity.
    axis
        The axis that the slice is normal to.
    index
        Number of the slice along that axis.
    """
    plane: NDArray[Any] = np.moveaxis(volume, "xyz".index(axis), 0)[index]
    # What is left of (x, y, z) is in that order: only z and y are shown the other way round.
    return plane if axis == "x" else plane.T


def _central_voxel(grain: Grain) -> tuple[int, int, int]:
    if not grain.mask.any():
        nx, ny, nz = grain.volume.shape
        return nx // 2, ny // 2, nz // 2
    x, y, z = (round(float(index.mean())) for index in np.nonzero(grain.mask))
    return x, y, z


def _check(grain: Grain, axis: str, index: int, what: str) -> None:
    if axis not in SHOWN_AXES:
        raise ParameterError(f"axis is '{axis}': expected x, y or z")
    count = grain.volume.shape["xyz".index(axis)]
    if not 0 <= index < count:
        raise ParameterError(f"slice {index} along {axis}: the grain has slices 0 to {count - 1}")
    if what != "orientation" and what not in _LOOKS:
        raise ParameterError(f"'{what}': expected orientation, {', '.join(_LOOKS)}")
    if what == "strain" and grain.strain is None:
        raise ParameterError("the grain has no strain: neither 2θ nor the energy was scanned")
