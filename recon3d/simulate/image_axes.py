"""The recorded image and the upright one: flips and transposition.

A reader turns the recorded image upright by its flip, then its transposition; the
simulator does the opposite.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Box = tuple[int, int, int, int]
_FLIPPED = {"none": (), "rows": (-2,), "columns": (-1,), "both": (-2, -1)}


def as_recorded(images: NDArray[Any], flip: str, transpose: bool) -> NDArray[Any]:
    """Turn upright images, (..., rows, cols), into those that the detector records."""
    turned = np.swapaxes(images, -2, -1) if transpose else images
    return np.flip(turned, _FLIPPED[flip])


def recorded_shape(shape: tuple[int, int], transpose: bool) -> tuple[int, int]:
    """Rows and columns of the recorded image, from those of the upright one."""
    return (shape[1], shape[0]) if transpose else shape


def restored_box(box: Box, shape: tuple[int, int], flip: str, transpose: bool) -> Box:
    """Find a part of the recorded image again in the upright one.

    `box`: first row, first column, rows and columns, in a recorded image of some shape (rows,
    cols). `flip`, `transpose`: what turns the recorded image upright, in this order.
    """
    row, col, rows, cols = box
    if flip in ("rows", "both"):
        row = shape[0] - row - rows
    if flip in ("columns", "both"):
        col = shape[1] - col - cols
    return (col, row, cols, rows) if transpose else (row, col, rows, cols)
