"""Detector frames in pixels: single ones, regions of them, and whole grids.

What is drawn once is updated later, so that a slider redraws without building anything anew.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.image import AxesImage
from matplotlib.patches import PathPatch
from matplotlib.path import Path as Outline
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import Affine2D
from numpy.typing import NDArray

from recon3d.plot.parts import bright_counts, label, read_out, value_at
from recon3d.readers.source import Roi
from recon3d.scan.table import SettingAxis

Image = NDArray[Any]

SHOWN_PIXELS = 320
"""Pixels along an edge that a panel shows; larger frames are thinned before they are drawn."""
_LOST = np.array([0.835, 0.369, 0.0, 0.85])
"""Vermilion, for lit pixels that are left out of a region."""


def thinned(image: Image, largest: int = SHOWN_PIXELS) -> Image:
    """The largest pixel of every whole square block, so that single bright pixels still show."""
    size = max(image.shape) // largest
    if size < 2:
        return image
    rows, cols = (length // size * size for length in image.shape)
    whole = image[:rows, :cols]
    across = whole[:, ::size].copy()
    for offset in range(1, size):
        np.maximum(across, whole[:, offset::size], out=across)
    return across.reshape(rows // size, size, -1).max(axis=1)


def draw_frame(
    ax: Axes,
    image: Image,
    title: str = "",
    *,
    color_map: str = "viridis",
    first_pix: tuple[int, int] = (0, 0),
    bin_pix: tuple[int, int] = (1, 1),
) -> AxesImage:
    """Draw the counts of a frame, row 0 at the top, its axes in pixels.

    `first_pix`: row and column of the first pixel on the detector. `bin_pix`: rows and columns of
    the detector that make one pixel of the image.
    """
    rows, cols = (size * length for size, length in zip(bin_pix, image.shape, strict=True))
    row, col = first_pix
    drawn = ax.imshow(
        thinned(image),
        cmap=color_map,
        extent=(col - 0.5, col + cols - 0.5, row + rows - 0.5, row - 0.5),
        interpolation="nearest",
        norm=Normalize(0, bright_counts(image)),
    )
    label(ax, "column (pixel)", "row (pixel)", title)
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(MaxNLocator(4, integer=True))
    read_out(drawn, lambda x, y: f"column {x:.0f}, row {y:.0f}: {value_at(drawn, x, y):.4g} counts")
    return drawn


def update_frame(
    drawn: AxesImage, image: Image, *, log: bool = False, low: float = 0.0, top: float | None = None
) -> None:
    """Show another image of the same region, from `low` to `top` counts (None: its own)."""
    shown = thinned(image)
    bright = max(bright_counts(shown) if top is None else top, low + 1)
    if log:
        drawn.set_data(np.maximum(shown, 1))
        drawn.set_norm(LogNorm(max(low, 1), max(bright, 10 * low, 10)))
        return
    if isinstance(drawn.norm, LogNorm):
        drawn.set_norm(Normalize(low, bright))
    if not np.array_equal(shown, np.asarray(drawn.get_array())):
        drawn.set_data(shown)  # else all would be drawn anew for nothing
    drawn.set_clim(low, bright)


def animate_frame(drawn: AxesImage) -> None:
    """Let a frame change without ticks and labels being drawn anew; its border lies over it."""
    ax = drawn.axes
    assert ax is not None
    for moving in (drawn, *ax.spines.values()):
        moving.set_animated(True)


def set_limits(ax: Any, across: tuple[float, float], up: tuple[float, float]) -> None:
    """Set the limits of axes, unless they have them: matplotlib would draw all ticks anew."""
    if (ax.get_xlim(), ax.get_ylim()) != (across, up):
        ax.set_xlim(*across)
        ax.set_ylim(*up)


def raw_limits(image: Image) -> tuple[float, float]:
    """Counts between which a raw frame shows the grain rather than background and hot pixels."""
    step = max(max(image.shape) // 256, 1)
    calm = image[::step, ::step]
    for _ in range(2):  # medians of three, along columns and along rows: no single hot pixel
        around = np.pad(calm, ((1, 1), (0, 0)), mode="reflect")
        lower = np.minimum(around[:-2], around[2:])
        upper = np.maximum(around[:-2], around[2:])
        calm = np.clip(calm, lower, upper).T
    low, high = np.percentile(calm, (1, 99.9))
    return float(low), float(high)


class DrawnRegion:
    """The shade over what a region leaves out of a frame, and the colour of the lit pixels there.

    `signal`, (rows, cols): of the whole frame: above zero where it is lit.
    """

    def __init__(self, ax: Axes, roi: Roi, signal: NDArray[Any]) -> None:
        rows, cols = signal.shape
        place: dict[str, Any] = {
            "extent": (-0.5, cols - 0.5, rows - 0.5, -0.5),
            "interpolation": "nearest",
        }
        self.shade = PathPatch(Outline([(0, 0)]), facecolor="white", alpha=0.35, edgecolor="none")
        ax.add_patch(self.shade)
        self.lost = ax.imshow(np.zeros((1, 1, 4)), zorder=2.5, **place)
        self.lost.mouseover = False  # the readout is that of the frame below
        self.update(roi, signal)

    def update(self, roi: Roi, signal: NDArray[Any]) -> None:
        """Show another region, or other lit pixels."""
        self.shade.set_path(_frame_around(roi, (signal.shape[0], signal.shape[1])))
        outside = signal > 0
        outside[roi.row : roi.row + roi.rows, roi.col : roi.col + roi.cols] = False
        self.lost.set_visible(bool(outside.any()))
        self.lost.set_data(thinned(outside)[..., None] * _LOST)


def _frame_around(roi: Roi, shape: tuple[int, int]) -> Outline:
    """The whole frame with a hole where the region is, which runs the other way round."""
    outer = _box(-0.5, -0.5, shape[1], shape[0])
    inner = _box(roi.col - 0.5, roi.row + roi.rows - 0.5, roi.cols, -roi.rows)
    return Outline.make_compound_path(outer, inner)


def _box(left: float, top: float, width: float, height: float) -> Outline:
    box = Affine2D().scale(width, height).translate(left, top)
    return Outline.unit_rectangle().transformed(box)


def frame_grid(frames: Image, shape: tuple[int, int], largest: int = 960) -> Image:
    """Put all frames of a projection, (frames, rows, cols), side by side in one image.

    They are in C order of `shape`: settings of the slower axis (downwards) and of the faster one
    (to the right). One dark pixel (NaN) stands between neighbours. `largest`: about how many pixels
    along an edge of the whole; frames are thinned to fit.
    """
    down, across = shape
    edge = max(largest // max(down, across), 8)
    small = np.stack([thinned(frame, edge) for frame in frames]).astype(np.float32)
    rows, cols = small.shape[1:]
    whole = np.full((down * (rows + 1) - 1, across * (cols + 1) - 1), np.nan, np.float32)
    for number, frame in enumerate(small[: down * across]):
        row, col = divmod(number, across)
        whole[row * (rows + 1) :, col * (cols + 1) :][:rows, :cols] = frame
    return whole


def grid_shape(axes: Sequence[SettingAxis]) -> tuple[int, int]:
    """How many frames of a projection stand below, and beside each other (the last axis)."""
    *slow, fast = (axis.values_deg.size for axis in axes)
    return math.prod(slow), fast


def draw_frame_grid(ax: Axes, frames: Image, axes: Sequence[SettingAxis]) -> AxesImage:
    """Draw all frames of a projection as a grid, with their settings along its edges."""
    *slow, fast = axes
    shape, across = grid_shape(axes), fast.values_deg
    down = slow[0].values_deg if len(slow) == 1 else np.arange(shape[0], dtype=float)
    image = frame_grid(frames, shape)
    drawn = ax.imshow(
        image,
        cmap="viridis",
        extent=(-0.5, across.size - 0.5, down.size - 0.5, -0.5),
        interpolation="nearest",
        aspect=image.shape[0] / image.shape[1] * across.size / down.size,
        norm=Normalize(0, bright_counts(np.nan_to_num(image))),
    )
    for axis, values in ((ax.xaxis, across), (ax.yaxis, down)):
        step = max(-(-values.size // 8), 1)
        shown = np.arange(0, values.size, step)
        axis.set_ticks(shown, [f"{values[i]:.3f}" for i in shown])
    label(ax, setting_label(fast.name), setting_label(" and ".join(axis.name for axis in slow)))
    return drawn


_SYMBOLS = {
    "mu": "μ (°)", "gamma": "γ (°)", "chi": "χ (°)", "phi": "φ (°)", "two_theta": "2θ (°)",
    "energy": "energy (keV)", "a": "a (°)", "b": "b (°)",
}  # fmt: skip


def setting_label(name: str) -> str:
    """Symbol and unit of an axis of settings or tilts by its name."""
    return _SYMBOLS.get(name, name)


def setting_text(name: str, value: float) -> str:
    """One setting in words: symbol, number and unit."""
    symbol, _, unit = setting_label(name).partition(" (")
    unit = unit.rstrip(")")
    # Adding zero turns -0.0 into 0.0.
    return f"{symbol} = {round(value, 4) + 0.0:.4f}{unit if unit == '°' else f' {unit}'}"
