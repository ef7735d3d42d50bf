"""One frame on its way through cleaning, and how much of the signal is kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D

from recon3d.cleaning.explain import FrameSteps
from recon3d.plot.frames import (
    BLUE,
    HistogramParts,
    draw_frame,
    draw_histogram,
    raw_limits,
    update_frame,
    update_histogram,
)
from recon3d.plot.overview import label
from recon3d.plot.parts import TEXT_SIZE, draw_color_bar

PANELS = ("before", "background", "mask", "after")
_TITLES = {
    "before": "before",
    "background": "background (dark and step 5)",
    "mask": "mask",
    "after": "after",
}


@dataclass(frozen=True, eq=False)
class CleaningFigure:
    """What `update_cleaning` and `update_kept` change in a drawn figure."""

    figure: Figure
    images: dict[str, AxesImage]
    histogram: HistogramParts
    kept: Line2D


def draw_cleaning(
    figure: Figure, steps: FrameSteps, threshold: float, *, first_pix: tuple[int, int] = (0, 0)
) -> CleaningFigure:
    """Draw a frame before and after cleaning, what was subtracted, the mask, and the counts.

    Parameters
    ----------
    figure
        An empty figure, about 12 by 5.4 inches.
    steps
        The frame.
    threshold
        `binth`, in counts.
    first_pix
        Row and column of the first pixel on the detector.
    """
    images: dict[str, AxesImage] = {}
    for number, name in enumerate(PANELS):
        ax = figure.add_axes((0.05 + 0.24 * number, 0.47, 0.18, 0.44))
        colors = "gray" if name == "mask" else "viridis"
        image = draw_frame(
            ax, _image(steps, name), _TITLES[name], color_map=colors, first_pix=first_pix
        )
        images[name] = image
        if number:
            ax.set_ylabel("")
        if name != "mask":
            bar = figure.add_axes((0.235 + 0.24 * number, 0.47, 0.008, 0.44))
            draw_color_bar(image, bar, "counts" if name == "after" else "")
    below = figure.add_axes((0.05, 0.1, 0.42, 0.25))
    histogram = draw_histogram(below, steps.unmasked, threshold)
    kept = _draw_kept(figure.add_axes((0.56, 0.1, 0.4, 0.25)))
    drawn = CleaningFigure(figure, images, histogram, kept)
    update_cleaning(drawn, steps, threshold, "")
    return drawn


def update_cleaning(drawn: CleaningFigure, steps: FrameSteps, threshold: float, title: str) -> None:
    """Show another frame, or the same one cleaned otherwise.

    Parameters
    ----------
    drawn
        From `draw_cleaning`.
    steps
        The frame.
    threshold
        `binth`, in counts.
    title
        Which frame it is.
    """
    # One scale for what goes in and what is taken off it, so that the eye can compare.
    low, top = raw_limits(steps.before)
    limits = {"before": (low, top), "background": (low, top), "mask": (0.0, 1.0)}
    for name, image in drawn.images.items():
        lowest, highest = limits.get(name, (0.0, None))
        update_frame(image, _image(steps, name), low=lowest, top=highest)
    update_histogram(drawn.histogram, steps.unmasked, threshold)
    drawn.figure.suptitle(title, fontsize=TEXT_SIZE + 2, y=0.99)


def update_kept(
    drawn: CleaningFigure, shares: Mapping[float, float], omega_range: tuple[float, float]
) -> None:
    """Show the share of the signal that is kept, 0 to 1, by the angle ω in degrees."""
    omega = sorted(shares)
    drawn.kept.set_data(omega, [100 * shares[angle] for angle in omega])
    ax = drawn.kept.axes
    assert ax is not None
    margin = 0.02 * (omega_range[1] - omega_range[0]) + 0.5
    ax.set_xlim(omega_range[0] - margin, omega_range[1] + margin)
    lowest = min((100 * share for share in shares.values()), default=100.0)
    ax.set_ylim(min(max(lowest - 10, 0), 80), 105)


def _draw_kept(ax: Axes) -> Line2D:
    (line,) = ax.plot([], [], ".", color=BLUE)
    ax.axhline(100, color="0.7", linewidth=0.8, zorder=0)
    label(ax, "ω (°)", "signal kept (%)")
    return line


def _image(steps: FrameSteps, name: str) -> np.ndarray:
    if name == "background":
        return steps.pedestal + steps.background
    image: np.ndarray = getattr(steps, name)
    return image.astype(np.float32) if name == "mask" else image
