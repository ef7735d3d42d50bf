"""One frame on its way through cleaning, and how much of the signal is kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MaxNLocator
from numpy.typing import NDArray

from recon3d.cleaning.frame_preview import FrameSteps
from recon3d.plot.parts import BLUE, TEXT_SIZE, VERMILION, draw_color_bar, label
from recon3d.plot.scan.detector_frames import (
    animate_frame,
    draw_frame,
    raw_limits,
    set_limits,
    update_frame,
)

Image = NDArray[Any]
HISTOGRAM_BINS = 80
PANELS = {
    "before": "before (counts)",
    "background": "background (counts)",
    "mask": "mask",
    "after": "after",
}
"""The steps that are shown, and their titles."""


class CleaningFigure:
    """A frame before and after cleaning, what was subtracted, the mask, and the counts.

    `figure`: empty, about 11 by 5.2 inches. `threshold`: `binth`, in counts of a pixel of the
    frame. `first_pix` and `bin_pix` as in `draw_frame`.
    """

    def __init__(
        self,
        figure: Figure,
        steps: FrameSteps,
        threshold: float,
        *,
        first_pix: tuple[int, int] = (0, 0),
        bin_pix: tuple[int, int] = (1, 1),
    ) -> None:
        self.images: dict[str, AxesImage] = {}
        places = {"first_pix": first_pix, "bin_pix": bin_pix}
        for number, (name, title) in enumerate(PANELS.items()):
            ax = figure.add_axes((0.075 + 0.228 * number, 0.47, 0.165, 0.44))
            colors = "gray" if name == "mask" else "viridis"
            image = draw_frame(ax, _image(steps, name), title, color_map=colors, **places)
            self.images[name] = image
            if name in ("mask", "after"):  # what the threshold changes
                animate_frame(image)
            if number:
                # Drawing text is what takes longest: the panels share the first one's labels.
                ax.set_ylabel("")
                ax.tick_params(labelleft=False)
            if name in ("background", "after"):
                bar = figure.add_axes((0.245 + 0.228 * number, 0.47, 0.008, 0.44))
                counts = draw_color_bar(image, bar, "counts" if name == "after" else "")
                counts.locator = MaxNLocator(4)
        below = figure.add_axes((0.075, 0.1, 0.862, 0.25))
        self.histogram = CountHistogram(below, steps.unmasked, threshold)
        for moving in (self.histogram.bars, self.histogram.threshold):
            moving.set_animated(True)
        self.title = figure.suptitle("", fontsize=TEXT_SIZE + 2, y=0.99)
        self.update(steps, threshold, "")

    def update(self, steps: FrameSteps, threshold: float, title: str) -> None:
        """Show another frame, or the same one cleaned otherwise; parameters as above."""
        # One scale for what goes in and what is taken off it, so that the eye can compare.
        low, top = raw_limits(steps.before)
        limits = {"before": (low, top), "background": (low, top), "mask": (0.0, 1.0)}
        limits["after"] = (0.0, raw_limits(steps.unmasked)[1])
        for name, image in self.images.items():
            lowest, highest = limits[name]
            update_frame(image, _image(steps, name), low=lowest, top=highest)
        self.histogram.update(steps.unmasked, threshold)
        self.title.set_text(title)


def draw_kept(figure: Figure) -> Line2D:
    """Draw an empty plot of the signal that is kept, into a figure of about 11 by 2 inches."""
    ax = figure.add_axes((0.075, 0.26, 0.862, 0.66))
    (line,) = ax.plot([], [], ".", color=BLUE)
    line.set_animated(True)
    ax.axhline(100, color="0.7", linewidth=0.8, zorder=0)
    label(ax, "ω (°)", "signal kept (%)")
    return line


def update_kept(
    line: Line2D, shares: Mapping[float, float], omega_range: tuple[float, float]
) -> None:
    """Show the share of the signal that is kept, 0 to 1, by the angle ω in degrees."""
    omega = sorted(shares)
    line.set_data(omega, [100 * shares[angle] for angle in omega])
    ax = line.axes
    assert ax is not None
    margin = 0.02 * (omega_range[1] - omega_range[0]) + 0.5
    lowest = min((100 * share for share in shares.values()), default=100.0)
    across = (omega_range[0] - margin, omega_range[1] + margin)
    set_limits(ax, across, (min(max(lowest - 10, 0), 80), 105))


def _image(steps: FrameSteps, name: str) -> Image:
    if name == "background":
        return steps.pedestal + steps.background
    image: Image = getattr(steps, name)
    return image.astype(np.float32) if name == "mask" else image


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
