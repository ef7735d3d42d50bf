"""Compiled morphology of the masks of frames, confined to the lit box.

A mask is a (rows, cols) uint8 array, 1 where lit, inside a rim of zeros. The frame is thought
of as lying on an endless dark plane: holes are what the lit pixels enclose on that plane, and
closing does not wear away what touches the frame's edge. So nothing depends on where the box
ends, and the rim need only be as wide as each function says.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from recon3d.cleaning.kernels.frames import FloatFrame, total
from recon3d.runtime.compiled import njit

Mask = NDArray[np.uint8]

RIM = 2
"""Dark pixels around a mask, beyond twice the radius of the disk."""


@njit(cache=True)
def illuminated_box(frame: FloatFrame, binth: float) -> tuple[int, int, int, int]:
    """First row, last row + 1, first column, last column + 1 above `binth`; zeros if none."""
    rows, cols = frame.shape
    top, bottom, left, right = rows, 0, cols, 0
    for row in range(rows):
        illuminated = 0
        for col in range(cols):  # many pixels at a time; most rows of most frames end here
            illuminated += frame[row, col] > binth
        if illuminated == 0:
            continue
        first = 0
        while first < cols and not frame[row, first] > binth:
            first += 1
        last = cols
        while last > right and not frame[row, last - 1] > binth:
            last -= 1
        top, bottom = min(top, row), row + 1
        left, right = min(left, first), max(right, last)
    return (top, bottom, left, right) if bottom else (0, 0, 0, 0)


@njit(cache=True)
def fill_holes(mask: Mask) -> None:
    """Light every dark pixel that no path of edge-sharing dark pixels joins to the rim.

    The rim must be 2 pixels wide: the outermost keeps the flood inside the array. What is
    outside is marked 2: first all that can be seen from above or below, a row at a time, then
    what is flooded from there.
    """
    rows, cols = mask.shape
    mask[0], mask[-1] = 2, 2
    mask[:, 0], mask[:, -1] = 2, 2
    for row in range(1, rows):
        _pass_on(mask[row - 1], mask[row])
    for row in range(rows - 1, 0, -1):
        _pass_on(mask[row], mask[row - 1])
    flat = mask.reshape(-1)
    stack = np.empty(flat.size, np.int32)
    for start in range(cols, flat.size - cols):
        if flat[start] == 0 and (flat[start - 1] == 2 or flat[start + 1] == 2):
            _flood(flat, cols, start, stack)
    for at in range(flat.size):
        flat[at] = flat[at] != 2


@njit(cache=True)
def _pass_on(known: NDArray[np.uint8], row: NDArray[np.uint8]) -> None:
    """Mark the dark pixels of a row beside which, in the row before, one is marked."""
    for col in range(row.size):
        row[col] |= known[col] & np.uint8(2) & ((row[col] ^ np.uint8(1)) << np.uint8(1))


@njit(cache=True)
def _flood(flat: NDArray[np.uint8], cols: int, start: int, stack: NDArray[np.int32]) -> None:
    """Mark a dark pixel, and all that paths of dark pixels join to it."""
    stack[0], depth = start, 1
    flat[start] = 2
    while depth:
        depth -= 1
        at = stack[depth]
        for near in (at - cols, at - 1, at + 1, at + cols):
            if flat[near] == 0:
                flat[near] = 2
                stack[depth] = near
                depth += 1


@njit(cache=True)
def close_with_disk(mask: Mask, radius: int) -> None:
    """Close the mask with a disk: dark pixels that no disk outside the mask covers are lit.

    The rim must be twice the `radius` wide; closing never leaves the box of the lit pixels.
    """
    flat, cols = mask.reshape(-1), mask.shape[1]
    grown, closed = flat.copy(), np.ones_like(flat)
    reach = radius * cols + radius
    growing, closing = grown[reach : flat.size - reach], closed[reach : flat.size - reach]
    for down in range(-radius, radius + 1):
        for right in range(-radius, radius + 1):
            if down**2 + right**2 <= radius**2:
                step = down * cols + right
                beside = flat[reach + step : flat.size - reach + step]
                for at in range(growing.size):
                    growing[at] |= beside[at]
    for down in range(-radius, radius + 1):
        for right in range(-radius, radius + 1):
            if down**2 + right**2 <= radius**2:
                step = down * cols + right
                beside = grown[reach + step : flat.size - reach + step]
                for at in range(closing.size):
                    closing[at] &= beside[at]
    for row in range(2 * radius, mask.shape[0] - 2 * radius):
        for col in range(2 * radius, cols - 2 * radius):
            mask[row, col] = closed[row * cols + col]


@njit(cache=True)
def drop_small_regions(mask: Mask, min_region: int) -> None:
    """Put out the regions of fewer than `min_region` pixels that share edges or corners.

    The rim must be 1 pixel wide. A pixel beside one that is kept is kept; from any other one
    its region is searched until it is large enough, or meets what is kept.
    """
    flat, cols = mask.reshape(-1), mask.shape[1]
    region = np.empty(min(min_region, flat.size) + 8, np.int32)
    for start in range(cols + 1, flat.size - cols - 1):
        if flat[start] != 1:
            continue
        up = start - cols
        if flat[start - 1] == 2 or flat[up - 1] == 2 or flat[up] == 2 or flat[up + 1] == 2:
            flat[start] = 2
            continue
        found, kept = _search(flat, cols, start, min_region, region)
        for i in range(found):
            flat[region[i]] = 2 if kept else 0
    for at in range(flat.size):
        flat[at] = flat[at] != 0


@njit(cache=True)
def _search(
    flat: NDArray[np.uint8], cols: int, start: int, min_region: int, region: NDArray[np.int32]
) -> tuple[int, bool]:
    """List the pixels of a region, marked 3, until it is known whether it is kept."""
    region[0], done, found = start, 0, 1
    flat[start] = 3
    while done < found and found < min_region:
        at = region[done]
        done += 1
        for line in range(at - cols, at + cols + 1, cols):
            for near in range(line - 1, line + 2):
                if flat[near] == 2:
                    return found, True
                if flat[near] == 1:
                    flat[near] = 3
                    region[found] = near
                    found += 1
    return found, found >= min_region


@njit(cache=True)
def box_mask(frame: FloatFrame, binth: float, min_region: int, radius: int, fill: bool) -> Mask:
    """Mask, of the shape of `frame`, of a frame or of its lit box."""
    rows, cols = frame.shape
    rim = 2 * radius + RIM
    mask = np.zeros((rows + 2 * rim, cols + 2 * rim), np.uint8)
    inner = mask[rim:-rim, rim:-rim]
    for row in range(rows):
        for col in range(cols):
            inner[row, col] = frame[row, col] > binth
    # Filling before closing, too, would change nothing: a disk that avoids the mask is all in
    # one of its holes, or all outside.
    if radius > 0:
        close_with_disk(mask, radius)
    if fill:
        fill_holes(mask)
    if min_region > 1:
        drop_small_regions(mask, min_region)
    return inner


@njit(cache=True)
def mask_frame(
    frame: FloatFrame, binth: float, min_region: int, radius: int, fill: bool
) -> tuple[float, int]:
    """Zero a frame outside its mask, in place.

    Return the sum of what is left, and how many pixels above `binth` were dropped: those of
    regions that are too small.
    """
    top, bottom, left, right = illuminated_box(frame, binth)
    frame[:top], frame[bottom:] = 0, 0
    frame[:, :left], frame[:, right:] = 0, 0
    left_over, dropped = 0.0, 0
    if bottom == 0:
        return left_over, dropped
    box = frame[top:bottom, left:right]
    mask = box_mask(box, binth, min_region, radius, fill)
    for row in range(box.shape[0]):
        for col in range(box.shape[1]):
            dropped += (not mask[row, col]) & (box[row, col] > binth)
            box[row, col] = box[row, col] if mask[row, col] else np.float32(0)
        left_over += total(box[row])
    return left_over, dropped


@njit(cache=True, nogil=True)
def mask_frames(
    first: int,
    stop: int,
    frames: NDArray[np.float32],
    binth: float,
    min_region: int,
    radius: int,
    fill: bool,
    sums: NDArray[np.float64],
    dropped: NDArray[np.int64],
) -> None:
    """Do step 6 on every frame of a projection.

    Fill in the sum of what is left of each, and the number of pixels above `binth` that were
    dropped from it.
    """
    for f in range(first, stop):
        sums[f], dropped[f] = mask_frame(frames[f], binth, min_region, radius, fill)
