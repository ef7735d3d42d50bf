"""A region of interest on the detector, and the light that falls outside it."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import PathPatch
from matplotlib.path import Path as Outline
from numpy.typing import NDArray

from recon3d.plot.scan.detector_frames import thinned
from recon3d.readers.source import Roi

_LOST = np.array([0.835, 0.369, 0.0, 0.85])
"""Vermilion, for lit pixels that are left out."""


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
    """The whole frame with a hole where the region is."""
    outer = [(-0.5, -0.5), (-0.5, shape[0] - 0.5), (shape[1] - 0.5, shape[0] - 0.5)]
    outer += [(shape[1] - 0.5, -0.5), (-0.5, -0.5)]
    left, top = roi.col - 0.5, roi.row - 0.5
    right, bottom = left + roi.cols, top + roi.rows
    inner = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)]
    codes = [Outline.MOVETO, *[Outline.LINETO] * 3, Outline.CLOSEPOLY] * 2
    return Outline([*outer, *inner], codes)
