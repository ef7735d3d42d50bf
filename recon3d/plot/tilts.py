"""Maps over two tilts: of a pixel, of a voxel, and which frames lit it."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.image import AxesImage
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike, NDArray

from recon3d.plot.parts import BLUE, ORANGE, TEXT_SIZE, VERMILION, label
from recon3d.plot.scan.detector_frames import setting_label
from recon3d.reconstruction.quality.reprojection import VoxelEvidence

Image = NDArray[Any]


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
