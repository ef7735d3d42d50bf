"""The frames that are not dark, and which pixels they light."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recon3d.projection.cells import merge_pixels
from recon3d.projection.lit_bits import pack
from recon3d.projection.operator import LitPixels
from recon3d.reconstruction.model import ScanModel
from recon3d.reconstruction.streaming import Frames

MOST_BYTES = 1 << 28
"""Memory that the lit pixels of projections may take; those of the others are read again."""


class LitBits:
    """The lit pixels of a scan's frames, kept for as many projections as there is room for.

    Parameters
    ----------
    model
        The scan.
    """

    def __init__(self, model: ScanModel) -> None:
        self._model = model
        self._kept: dict[int, tuple[NDArray[np.int64], NDArray[np.uint8]]] = {}
        self._room = MOST_BYTES

    def keep(self, projection: int, numbers: NDArray[np.int64], frames: Frames) -> None:
        """Note the frames of a projection that are not dark all over, if there is room."""
        if projection not in self._kept and self._room > 0:
            bits = pack(frames)
            self._kept[projection] = numbers, bits
            self._room -= bits.nbytes

    def of(self, projection: int) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
        """The frames of a projection that are not dark all over, and their lit pixels.

        Returns
        -------
        numbers, shape (lit frames,)
        bits, shape (lit frames, rows, cols / 8)
            As `pack` gives them.
        """
        if projection in self._kept:
            return self._kept[projection]
        lit = self._model.lit_frames(projection)
        return lit.numbers, pack(lit.frames)


@dataclass(frozen=True)
class LitCells:
    """The frames of one projection that are not dark all over, in cells of pixels.

    Parameters
    ----------
    projection
        Its number.
    numbers, shape (lit frames,)
        Which frames.
    cells
        The cells that any of them lights.
    images, shape (cells + 1, lit frames)
        Their intensities; the last row is zero.
    """

    projection: int
    numbers: NDArray[np.int64]
    cells: LitPixels
    images: Frames


def read_lit(model: ScanModel, number: int, cell_pix: int, bits: LitBits | None) -> LitCells:
    """Read the lit frames of a projection where they are lit, for a backprojection.

    Parameters
    ----------
    model
        The scan.
    number
        Which projection.
    cell_pix
        Edge, in pixels, of the cells into which pixels are merged.
    bits
        Where to keep which pixels are lit.
    """
    numbers, frames, _ = model.lit_frames(number)
    if bits is not None:
        bits.keep(number, numbers, frames)
    if cell_pix > 1:
        frames = merge_pixels(frames, cell_pix)
    cells = LitPixels.from_mask(np.any(frames > 0, axis=0))
    return LitCells(number, numbers, cells, cells.gather(frames))
