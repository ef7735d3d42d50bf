"""Detector frames in pixels: single ones, the steps of cleaning, histograms, and whole grids.

What is drawn once is updated later, so that a slider redraws without building anything anew.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.image import AxesImage
from matplotlib.ticker import LogLocator, MaxNLocator
from numpy.typing import NDArray

from recon3d.plot.parts import TEXT_SIZE, VERMILION, bright_counts, label, read_out, value_at

Image = NDArray[Any]

SHOWN_PIXELS = 320
"""Pixels along an edge that a panel shows; larger frames are thinned before they are drawn."""


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
    drawn: AxesImage,
    image: Image,
    *,
    log: bool = False,
    low: float = 0.0,
    top: float | None = None,
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


HISTOGRAM_BINS = 80


class CountHistogram:
    """How often counts occur in an image, with the threshold of signal among them."""

    def __init__(self, ax: Axes, image: Image, threshold: float) -> None:
        self.ax = ax
        self.bars = ax.stairs([1.0], [0, 1], fill=True, color="0.72", baseline=0.5)
        self.threshold = ax.axvline(threshold, color=VERMILION, linewidth=1.6)
        ax.set_yscale("log")
        ax.yaxis.set_major_locator(LogLocator(numticks=5))
        ax.minorticks_off()
        # Noise and threshold lie at a few counts, the grain at hundreds.
        ax.set_xscale("function", functions=(_signed_root, _signed_square))
        label(ax, "counts after step 5", "pixels")
        ax.tick_params(axis="y", labelsize=TEXT_SIZE + 2)  # exponents are smaller than the rest
        self.update(image, threshold)

    def update(self, image: Image, threshold: float) -> None:
        """Show the counts of another image, or another threshold."""
        numbers, edges = _histogram(image, threshold)
        self.bars.set_data(numbers, edges, baseline=0.5)
        self.threshold.set_xdata([threshold, threshold])
        set_limits(self.ax, (edges[0], edges[-1]), (0.5, 2 * max(float(numbers.max()), 1)))


def _histogram(image: Image, threshold: float) -> tuple[Image, Image]:
    """Numbers of pixels and edges; a large image is sampled, its numbers scaled up."""
    step = max(max(image.shape) // 512, 1)
    sample = image[::step, ::step] if image.ndim == 2 else image
    # In steps, so that a threshold that moves seldom changes the scale.
    top = max(float(sample.max(initial=0)), 20 * np.ceil(threshold / 10), 10.0)
    bins = np.linspace(0, np.sqrt(top), HISTOGRAM_BINS + 1) ** 2
    numbers, edges = np.histogram(sample[sample > 0], bins=bins)
    return numbers * step**2, edges


def _signed_root(values: Image) -> Image:
    root: Image = np.sign(values) * np.sqrt(np.abs(values))
    return root


def _signed_square(values: Image) -> Image:
    square: Image = values * np.abs(values)
    return square


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


def draw_frame_grid(
    ax: Axes,
    image: Image,
    slow: tuple[str, NDArray[np.float64]],
    fast: tuple[str, NDArray[np.float64]],
) -> AxesImage:
    """Draw the image that `frame_grid` makes, with the settings along its edges.

    `slow` and `fast`: name and positions of the axis that runs downwards, and of that to the right.
    """
    (slow_name, down), (fast_name, across) = slow, fast
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
    label(ax, setting_label(fast_name), setting_label(slow_name))
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
