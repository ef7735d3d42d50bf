"""Pixels that say nothing of the grain: dead ones, and those beyond an edge of the light."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recon3d.projection.ratios import UNKNOWN

Frames = NDArray[np.float32]

DEAD = 0.3
BRIGHT = 0.05
"""Share of the darker side's counts below which a pixel between two sides is dead, and of the
brightest pixel's that both sides hold at least. In the sum over ω a grain has no such clefts."""


@dataclass(frozen=True)
class UnknownPixels:
    """Which pixels of the oriented images are not known.

    Parameters
    ----------
    dead, shape (rows, cols)
        Pixels that never read anything.
    lit, shape (projections, 2, 2)
        First row and first column that the beam lights at each projection of the scan, and the
        ends of both.
    """

    dead: NDArray[np.bool_]
    lit: NDArray[np.int64]

    @classmethod
    def of_total(cls, total: Frames, projections: int) -> UnknownPixels:
        """Those of a scan whose frames have a sum (rows, cols), everything being lit."""
        lit = np.array([(0, 0), total.shape])
        return cls(dead_pixels(total), np.tile(lit, (projections, 1, 1)))

    def of(self, projection: int) -> NDArray[np.bool_]:
        """Which pixels of a projection are not known, (rows, cols)."""
        (first_row, first_col), (end_row, end_col) = self.lit[projection]
        unknown = np.ones_like(self.dead)
        lit = (slice(first_row, end_row), slice(first_col, end_col))
        unknown[lit] = self.dead[lit]
        return unknown

    def mark(self, image: Frames, projection: int) -> Frames:
        """An image of a projection with its unknown pixels marked."""
        return np.where(self.of(projection), np.float32(UNKNOWN), image)


def dead_pixels(total: Frames) -> NDArray[np.bool_]:
    """Which pixels, or lines of up to two pixels, are far darker than what is on either side.

    Parameters
    ----------
    total, shape (rows, cols)
        Sum of all frames of a scan.
    """
    dead = np.zeros(total.shape, bool)
    for axis in (0, 1):
        lines = np.moveaxis(total, axis, 0)
        near = np.pad(lines, [(2, 2), (0, 0)])
        before, after = np.maximum(near[:-4], near[1:-3]), np.maximum(near[3:-1], near[4:])
        sides = np.minimum(before, after)
        dark = (lines < DEAD * sides) & (sides > BRIGHT * total.max())
        dead |= np.moveaxis(dark, 0, axis)
    return dead
